//! `status`: how the fleet of a running daemon stands, asked of its API.

mod client;
mod text;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use self::client::Client;
use super::{Failure, Output, StatusArgs, exit, print};
use crate::http::answer::{Details, Function, Status};
use crate::names::{FunctionKey, Time};
use crate::plan::State;

/// How often a daemon is asked that is watched.
const EVERY: Duration = Duration::from_secs(2);
/// So many functions that are not in sync are shown to people; a program gets all of them.
const SHOWN: usize = 50;
/// So many functions of one name, or that a pattern fits, are explained to people; a program gets all of them.
const EXPLAINED: usize = 20;

pub(super) async fn run(args: &StatusArgs) -> Result<ExitCode, Failure> {
    let client = Client::new(&args.url)?;
    let mut before = String::new();
    loop {
        let told = tell(&client, args);
        if !args.watch {
            let (text, code) = told?;
            print::out(&text)?;
            return Ok(code);
        }
        // A daemon that is being restarted is watched on.
        let text = told.map_or_else(|failure| format!("{failure}\n"), |(text, _)| text);
        show_again(&text, &mut before)?;
        tokio::time::sleep(EVERY).await;
    }
}

/// On a terminal the picture is replaced; elsewhere each that is another one is written.
fn show_again(text: &str, before: &mut String) -> Result<(), Failure> {
    match can_be_cleared() {
        true => {
            print::clear()?;
            print::out(text)?;
        }
        false if text != before => print::out(text)?,
        false => {}
    }
    text.clone_into(before);
    Ok(())
}

fn can_be_cleared() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

fn tell(client: &Client, args: &StatusArgs) -> Result<(String, ExitCode), Failure> {
    match &args.function {
        None => fleet(client, args),
        Some(name) => explain(client, name, args),
    }
}

/// By settings that cannot be used nobody knows what was meant: perhaps that everything stops.
fn code(status: &Status, fine: bool) -> ExitCode {
    match (&status.settings_problem, fine) {
        (Some(_), _) => exit::ERROR,
        (None, true) => exit::FINE,
        (None, false) => exit::pending(),
    }
}

fn fleet(client: &Client, args: &StatusArgs) -> Result<(String, ExitCode), Failure> {
    #[derive(Serialize)]
    struct Whole {
        #[serde(flatten)]
        status: Status,
        functions: Vec<Function>,
    }
    let status: Status = client.get("/api/v1/status")?;
    let code = code(&status, status.is_in_sync());
    let text = match args.output {
        Output::Json => {
            print::json(&Whole { functions: client.functions("sort=name", usize::MAX)?.functions, status })?
        }
        Output::Human => {
            let others = State::BY_URGENCY.into_iter().filter(|state| *state != State::InSync);
            let query: String = others.map(|state| format!("state={}&", state.name())).collect();
            let wrong = client.functions(&format!("{query}sort=state"), SHOWN)?;
            text::Page::here(now()).fleet(&args.url, &status, &wrong)
        }
    };
    Ok((text, code))
}

fn explain(client: &Client, name: &str, args: &StatusArgs) -> Result<(String, ExitCode), Failure> {
    let status: Status = client.get("/api/v1/status")?;
    let is_fine = |function: &Function| function.is_in_sync_with(status.desired.digest.as_ref());
    let detail = |key: &FunctionKey| client.get::<Details>(&format!("/api/v1/functions/{key}"));
    let (found, left) = match name.split('/').collect::<Vec<_>>()[..] {
        [account, region, name] => {
            let key = FunctionKey::parse(account, region, name).map_err(|error| Failure::Other(error.to_string()))?;
            (vec![detail(&key)?], Vec::new())
        }
        _ => {
            let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("name", name).finish();
            let mut fitting = client.functions(&query, usize::MAX)?.functions;
            let left = match args.output {
                Output::Json => Vec::new(),
                Output::Human => {
                    // What is not as it should be is explained first.
                    fitting.sort_by_key(is_fine);
                    fitting.split_off(EXPLAINED.min(fitting.len()))
                }
            };
            (fitting.iter().map(|function| detail(&function.key())).collect::<Result<_, _>>()?, left)
        }
    };
    if found.is_empty() {
        return Err(Failure::Other(format!("the desired state at {} lists no function {name}", args.url)));
    }
    let all_fine = found.iter().map(|details| &details.function).chain(&left).all(is_fine);
    let code = code(&status, status.desired.valid && all_fine);
    let text = match args.output {
        Output::Json => print::json(&found)?,
        Output::Human => {
            let wrong = left.iter().filter(|function| !is_fine(function)).count();
            text::Page::here(now()).details(&found, &text::Left { count: left.len(), wrong })
        }
    };
    Ok((text, code))
}

fn now() -> Time {
    Time::from_system(SystemTime::now())
}
