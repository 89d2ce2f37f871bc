//! Arguments, logging, exit code; nothing else.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use lambda_vpc_controller::commands::Cli;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Where nothing can be printed, the exit code still tells.
            let _ = error.print();
            // clap's own code for wrong usage is 2, which `plan` uses for pending changes.
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let log = match lambda_vpc_controller::telemetry::init(cli.log_format, cli.log_level()) {
        Ok(log) => log,
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "error: the log could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "error: the runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(cli.run(&log));
    // What still runs in the background (a read that nobody waits for) must not hold up the end.
    runtime.shutdown_background();
    code
}
