//! What a fleet costs: calls to AWS, time, processor time and memory of the program as a process of its own, against the
//! simulated account in this one.
//!
//! `cargo bench --bench fleet`, with `-- --largest 10000` to leave out what is larger, `-- --without-rollout` to leave out
//! what takes minutes, and `-- --bad-days` for those alone on which AWS does not answer as it should. Everything is printed
//! as a table, with the figure that is to be reached beside each.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lambda_vpc_controller::cloud::aws::{Aws, Deadlines, Endpoint};
use lambda_vpc_controller::cloud::{Class, CloudError, Rates, Read, Unobserved, Write};
use lambda_vpc_controller::names::{
    AccountId, Clock, FunctionKey, FunctionName, Network, PolicyName, Region, ScopeKey, Time,
};
use lambda_vpc_controller::simulator::{DeclaredQuotas, DeclaredRate, Door, Fault, Misbehaviour, World, http};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

mod support;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The simulated world is this old, so that nothing in it looks freshly changed.
const AGE: Duration = Duration::from_secs(24 * 3600);
/// What AWS grants Lambda's control plane.
const FULL_RATE: f64 = 15.0;
/// The heap of a daemon as deploy/systemd sets it: glibc's own is one for each thread, which keep what they once took.
const HEAP: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072")];
/// The operations that count for it.
const CONTROL_PLANE: [&str; 3] = ["ListFunctions", "GetFunctionConfiguration", "UpdateFunctionConfiguration"];

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().collect();
    let after = |flag: &str| args.iter().skip_while(|arg| *arg != flag).nth(1);
    let largest: usize = after("--largest").map_or(Ok(100_000), |number| number.parse())?;
    let sizes: Vec<usize> = [100, 1_000, 10_000, 100_000].into_iter().filter(|size| *size <= largest).collect();
    println!("| what | figure | to reach |\n|---|---|---|");
    if args.iter().any(|arg| arg == "--bad-days") {
        crowded_day(120)?;
        return bad_day(largest);
    }
    for size in &sizes {
        sweep(&format!("{size} functions"), &support::fleet_in_sync(*size), &support::file(*size), 1)?;
    }
    sweep("20 accounts x 500", &support::accounts_in_sync(20, 500), &support::file_of_accounts(20, 500), 20)?;
    for size in sizes.iter().filter(|size| **size >= 10_000) {
        daemon(*size)?;
    }
    if !args.iter().any(|arg| arg == "--without-rollout") {
        rollout(1_000)?;
        script(1_000)?;
        crowded_day(120)?;
        bad_day(largest)?;
    }
    Ok(())
}

fn row(what: &str, figure: &str, goal: &str) {
    println!("| {what} | {figure} | {goal} |");
}

/// A simulated world that is served in this process, by the system's clock.
struct Served {
    door: Door,
    url: String,
    _runtime: Runtime,
}

impl Served {
    fn world(world: &World) -> Outcome<Self> {
        let clock = Clock::new(|| Time::from_system(SystemTime::now()));
        let built = Time(clock.now().0.saturating_sub(u64::try_from(AGE.as_millis())?));
        let door = Door::new(world.build(built)?, clock);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("http://{}", listener.local_addr()?);
        runtime.spawn(http::serve(listener, door.clone(), std::future::pending::<()>()));
        Ok(Self { door, url, _runtime: runtime })
    }

    fn calls(&self, operations: &[&str]) -> u64 {
        operations.iter().map(|operation| self.door.count(operation)).sum()
    }
}

/// A folder with the two files of the program, which runs against a world.
struct Desk {
    folder: tempfile::TempDir,
    served: Served,
}

impl Desk {
    fn new(world: &World, file: &str, settings: &str) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("functions.toml"), file)?;
        fs::write(
            folder.path().join("controller.toml"),
            format!("desired = 'functions.toml'\naudit = 'none'\n{settings}"),
        )?;
        Ok(Self { folder, served: Served::world(world)? })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lambda-vpc-controller"));
        command.args(args).arg("--config").arg(self.path("controller.toml"));
        command.env("AWS_ENDPOINT_URL", &self.served.url).env("AWS_REGION", support::REGION).env("RUST_LOG", "warn");
        command.env("AWS_ACCESS_KEY_ID", support::ACCOUNT).env("AWS_SECRET_ACCESS_KEY", "any");
        command.stdout(Stdio::null());
        command
    }
}

/// The program while it runs; it ends with this.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Outcome<Self> {
        Ok(Self(command.spawn()?))
    }

    /// A line of `/proc/PID/status`, in KiB.
    fn memory(&self, line: &str) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|it| it.strip_prefix(line)).ok_or("no such line")?;
        Ok(line.trim_matches(|c: char| !c.is_ascii_digit()).parse()?)
    }

    fn processor_time(&self) -> Outcome<Duration> {
        processor_time(&format!("/proc/{}/stat", self.0.id()), 13)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The sum of two neighbouring fields of a `stat` file, from 0: processor time in user and kernel, in ticks of 10 ms.
fn processor_time(path: &str, field: usize) -> Outcome<Duration> {
    let stat = fs::read_to_string(path)?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no such file of a process")?;
    let ticks: u64 = fields.split_whitespace().skip(field - 2).take(2).filter_map(|it| it.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// That of the processes which this one has started and seen end.
fn processor_time_of_ended() -> Outcome<Duration> {
    processor_time("/proc/self/stat", 15)
}

/// One sweep and plan with nothing to do, at the rates that AWS grants, with the budget raised to all of it.
fn sweep(what: &str, world: &World, file: &str, scopes: u32) -> Outcome<()> {
    let (functions, roles) = (world.functions.len(), world.roles.len());
    let mut world = world.clone();
    world.quotas = DeclaredQuotas { real_rates: true, ..DeclaredQuotas::default() };
    let settings = "[limits]\nrequests_per_second = 15\niam_requests_per_second = 15\nec2_requests_per_second = 15\n";
    let accounts: String = match scopes {
        1 => String::new(),
        _ => {
            // Each account is reached by its own key in the simulated world; here by a role of it.
            let mut ids: Vec<&String> =
                world.functions.iter().filter_map(|function| function.account.as_ref()).collect();
            ids.dedup();
            let account = |id: &&String| {
                format!("[[account]]\nname = 'a{id}'\nid = '{id}'\nrole_arn = 'arn:aws:iam::{id}:role/role-0000'\n")
            };
            ids.iter().map(account).collect()
        }
    };
    let desk = Desk::new(&world, file, &format!("{settings}{accounts}"))?;
    let (before, begun) = (processor_time_of_ended()?, Instant::now());
    let status = desk.program(&["plan"]).status()?;
    let (took, processor) = (begun.elapsed(), processor_time_of_ended()?.saturating_sub(before));
    if status.code() != Some(0) {
        return Err(format!("{what}: the plan is not empty: {status}").into());
    }
    let all: u64 = desk.served.door.counts().values().sum();
    let most = functions / 50 + roles / 1000 + 12 * scopes as usize;
    row(&format!("{what}: calls of a sweep with nothing to do"), &all.to_string(), &format!("at most {most}"));
    // A second's worth of calls passes at once.
    let lambda = desk.served.calls(&CONTROL_PLANE) as f64 / f64::from(scopes);
    let least = (lambda - FULL_RATE).max(0.0) / FULL_RATE;
    let share = if least > 1.0 { format!("{:.3} x", took.as_secs_f64() / least) } else { "-".to_owned() };
    let figure = format!("{:.2} s; they must take {least:.2} s: {share}", took.as_secs_f64());
    row(&format!("{what}: its time at AWS's rates"), &figure, "at most 1.05 x, where that is seconds");
    row(
        &format!("{what}: processor time of the program"),
        &format!("{:.2} s", processor.as_secs_f64()),
        match functions {
            10_000 => "at most 0.5 s",
            _ => "growing linearly",
        },
    );
    Ok(())
}

/// The daemon with a fleet in sync: its memory, its processor time while nothing happens, and how soon an edit shows.
fn daemon(functions: usize) -> Outcome<()> {
    let settings = "resync = '10h'\nlisten = '127.0.0.1:0'\n[limits]\nrequests_per_second = 15\n";
    let desk = Desk::new(&support::fleet_in_sync(functions), &support::file(functions), settings)?;
    let mut program = desk.program(&["run"]);
    let running = Running::start(program.envs(HEAP))?;
    wait_for_rest(&desk.served, Duration::from_secs(5))?;
    let peak = |what: &str| -> Outcome<()> {
        let (peak, now) = (running.memory("VmHWM:")? as f64 / 1024.0, running.memory("VmRSS:")? as f64 / 1024.0);
        let goal = if functions == 10_000 { "at most 64 MB" } else { "at most 400 MB" };
        row(&format!("{functions} functions: {what}"), &format!("{peak:.0} MB, then {now:.0} MB"), goal);
        Ok(())
    };
    peak("peak memory of the daemon, first sweep included")?;
    let (before, idle) = (running.processor_time()?, Duration::from_secs(60));
    std::thread::sleep(idle);
    let used = (running.processor_time()? - before).as_secs_f64() / idle.as_secs_f64();
    let figure = format!("{:.2} %", used * 100.0);
    row(&format!("{functions} functions: processor between sweeps"), &figure, "at most 0.2 % of one core");
    let calls: u64 = desk.served.door.counts().values().sum();
    let edited = support::file(functions).replacen("names = ['lambda']", "names = ['default']", 1);
    let (file, new) = (desk.path("functions.toml"), desk.path("new"));
    fs::write(&new, edited)?;
    let begun = Instant::now();
    fs::rename(&new, &file)?;
    while desk.served.door.counts().values().sum::<u64>() == calls {
        std::thread::sleep(Duration::from_millis(2));
        if begun.elapsed() > Duration::from_secs(60) {
            return Err("the edit was not noticed".into());
        }
    }
    let figure = format!("{:.2} s", begun.elapsed().as_secs_f64());
    row(&format!("{functions} functions: an edit of one, to its first call"), &figure, "at most 1 s");
    // While a file is parsed, what it said before is in force.
    wait_for_rest(&desk.served, Duration::from_secs(5))?;
    fs::write(&new, support::file(functions))?;
    fs::rename(&new, &file)?;
    wait_for_rest(&desk.served, Duration::from_secs(10))?;
    peak("peak memory of the daemon, two edits included")
}

/// Waits until no call has come for so long.
fn wait_for_rest(served: &Served, quiet: Duration) -> Outcome<()> {
    let (mut calls, mut since) = (0, Instant::now());
    let begun = Instant::now();
    while since.elapsed() < quiet || calls == 0 {
        let now: u64 = served.door.counts().values().sum();
        if now != calls {
            (calls, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(20));
        if begun.elapsed() > Duration::from_secs(3600) {
            return Err("it does not come to rest".into());
        }
    }
    Ok(())
}

/// A first rollout from nothing, with the guard out of the way, in an account whose IAM is ten seconds late; and a plan
/// just after it.
fn rollout(functions: usize) -> Outcome<()> {
    const IAM: f64 = 10.0;
    let settings = format!(
        "resync = '10h'\nsettle = '0s'\nlisten = '127.0.0.1:0'\n[limits]\nrequests_per_second = {FULL_RATE}\n\
         [guard]\nmax_changes = 1000000\nmax_change_percent = 100\n"
    );
    let mut world = support::fleet(functions);
    world.timings.propagation = Some(IAM);
    let desk = Desk::new(&world, &support::file(functions), &settings)?;
    let served = &desk.served;
    let (running, begun) = (Running::start(&mut desk.program(&["run"]))?, Instant::now());
    let accepted =
        || served.door.changes().iter().filter(|it| it.subject.starts_with("function") && it.refused.is_none()).count();
    // The number of calls and of accepted updates, each second.
    let mut seconds: Vec<(u64, usize)> = Vec::new();
    while seconds.last().is_none_or(|(_, done)| *done < functions) {
        std::thread::sleep(Duration::from_secs(1));
        seconds.push((served.calls(&CONTROL_PLANE), accepted()));
        if begun.elapsed() > Duration::from_secs(3600) {
            return Err("the rollout does not end".into());
        }
    }
    let took = begun.elapsed();
    wait_for_rest(served, Duration::from_secs(30))?;
    drop(running);
    let beside = served.calls(&["GetFunctionConfiguration", "UpdateFunctionConfiguration"]) as f64 / functions as f64;
    row(
        &format!("first rollout of {functions}: Lambda calls a function beside the sweep"),
        &format!("{beside:.2}"),
        "at most 2.2",
    );
    // There is work for all while the last waves go: from a tenth of the updates to nine tenths.
    let at = |share: usize| seconds.iter().position(|(_, done)| *done * 10 >= functions * share).unwrap_or_default();
    let (from, to) = (at(1), at(9));
    let rate = (seconds[to].0 - seconds[from].0) as f64 / (to - from).max(1) as f64;
    let figure = format!("{rate:.1} a second: {:.0} %", 100.0 * rate / FULL_RATE);
    row(
        &format!("first rollout of {functions}: calls, while there is work for all"),
        &figure,
        "at least 95 % of 15 a second",
    );
    let all: u64 = served.door.counts().values().sum();
    let figure = format!("{:.0} s, {:.2} calls a function in all", took.as_secs_f64(), all as f64 / functions as f64);
    row(&format!("first rollout of {functions}: until the last update is accepted"), &figure, "");
    let (calls, _) = seconds.last().copied().unwrap_or_default();
    // Before anything can be attached, IAM is asked about each role, at the rate that the settings grant by default.
    let (asked, at_once) = (served.calls(&["SimulatePrincipalPolicy"]) as f64, Rates::default().iam);
    let least = (asked - at_once) / at_once + IAM + (calls as f64 - FULL_RATE) / FULL_RATE;
    let figure = format!("{:.2} x of {least:.0} s", took.as_secs_f64() / least);
    row(
        &format!("first rollout of {functions}: its time, beside what IAM and its calls must take"),
        &figure,
        "at most 1.1 x",
    );
    served.door.forget_calls();
    let status = desk.program(&["plan"]).status()?;
    if status.code() != Some(0) {
        return Err(format!("the plan after the rollout is not empty: {status}").into());
    }
    let all: u64 = served.door.counts().values().sum();
    row(&format!("calls of a plan just after a rollout of {functions}"), &all.to_string(), "at most 40");
    Ok(())
}

/// Resyncs while one call in a hundred fails, in each way in which a call can fail that may succeed a moment later.
fn bad_day(functions: usize) -> Outcome<()> {
    const RESYNCS: usize = 3;
    let listen = free_address()?;
    let settings = format!("resync = '1s'\nlisten = '{listen}'\n[limits]\nrequests_per_second = {FULL_RATE}\n");
    let desk = Desk::new(&support::fleet_in_sync(functions), &support::file(functions), &settings)?;
    let roles = World::fleet(functions).roles.len();
    let calls = || desk.served.door.counts().values().sum::<u64>() as f64;
    let running = Running::start(&mut desk.program(&["run"]))?;
    let (first, fine) = resyncs(&listen, 1)?;
    let needed = calls();
    if first.len() != fine {
        return Err("a resync failed although no call did".into());
    }
    use Misbehaviour::{Malformed, Reset, ServerError, Throttled, Truncated, Unavailable};
    let answers = [Throttled(None), ServerError, Unavailable, Reset, Truncated, Malformed];
    desk.served.door.with(|aws, _| {
        for answer in answers {
            aws.faults.add(Fault::always(answer).percent(1.0 / 6.0));
        }
    });
    let begun = Instant::now();
    let (ended, fine) = resyncs(&listen, RESYNCS)?;
    let each = (calls() - needed) / ended.len() as f64;
    let (unknown, took) = (states(&listen, "unknown")?, begun.elapsed().as_secs_f64() / ended.len() as f64);
    drop(running);
    let what = format!("{functions} functions, {roles} roles, one call in a hundred fails");
    let figure = format!("{fine} of {}, {unknown} functions unknown", ended.len());
    row(&format!("{what}: resyncs that read all"), &figure, "all, none");
    let figure = format!("{each:.0} instead of {needed:.0}: {:.3} x; {took:.0} s", each / needed);
    row(&format!("{what}: calls of a resync"), &figure, "at most 1.05 x");
    Ok(())
}

/// A rollout while others leave two requests to Lambda a second, as a daemon with the usual settings does it.
fn crowded_day(functions: usize) -> Outcome<()> {
    const LEFT: u32 = 2;
    const TIME: Duration = Duration::from_secs(150);
    let mut world = support::fleet(functions);
    for role in &mut world.roles {
        role.policies.push(support::POLICY.to_owned());
    }
    let left = DeclaredRate { per_second: LEFT, burst: None };
    world.quotas = DeclaredQuotas { lambda_requests: Some(left), ..DeclaredQuotas::default() };
    let settings = "settle = '0s'\nlisten = '127.0.0.1:0'\n[guard]\nmax_changes = 1000000\nmax_change_percent = 100\n";
    let desk = Desk::new(&world, &support::file(functions), settings)?;
    let served = &desk.served;
    let updates = |refused: bool| served.door.changes().iter().filter(|it| it.refused.is_some() == refused).count();
    let (running, begun) = (Running::start(&mut desk.program(&["run"]))?, Instant::now());
    while updates(false) < functions && begun.elapsed() < TIME {
        std::thread::sleep(Duration::from_millis(100));
    }
    let (took, done, refused) = (begun.elapsed(), updates(false), updates(true));
    drop(running);
    // A listing, and for each function an update and a look at its end.
    let possible = (TIME.as_secs() as usize * LEFT as usize - functions.div_ceil(50)) / 2;
    let possible = possible.min(functions);
    let what = format!("AWS leaves {LEFT} requests a second: updates of {functions} within {} s", TIME.as_secs());
    let share = done as f64 / possible as f64;
    let must = (functions * 2 + functions.div_ceil(50)) as f64 / f64::from(LEFT);
    let figure = format!(
        "{done} of {possible} that are possible: {share:.2}; {refused} refused; {:.0} s, of {must:.0} s that their calls must take",
        took.as_secs_f64()
    );
    row(&what, &figure, "at least 0.9");
    Ok(())
}

/// A loopback address whose port is free.
fn free_address() -> Outcome<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// What a daemon tells of itself; none while it does not answer yet.
fn status(listen: &str) -> Option<serde_json::Value> {
    let text = ureq::get(format!("http://{listen}/api/v1/status")).call().ok()?.body_mut().read_to_string().ok()?;
    serde_json::from_str(&text).ok()
}

/// How many functions a daemon shows in a state.
fn states(listen: &str, state: &str) -> Outcome<u64> {
    let status = status(listen).ok_or("the daemon does not answer")?;
    status["states"][state].as_u64().ok_or_else(|| format!("no {state} in {status}").into())
}

/// Waits until so many resyncs of a daemon's only scope have ended from now on. Returns when they did, and how many of
/// them could read everything.
fn resyncs(listen: &str, number: usize) -> Outcome<(Vec<String>, usize)> {
    let last = |status: &serde_json::Value| status["scopes"][0]["last_sweep"].as_str().map(str::to_owned);
    let before = status(listen).as_ref().and_then(last);
    let (mut ended, mut fine, begun) = (Vec::new(), 0, Instant::now());
    while ended.len() < number {
        std::thread::sleep(Duration::from_millis(100));
        if begun.elapsed() > Duration::from_secs(3600) {
            return Err("the resyncs do not end".into());
        }
        let Some(status) = status(listen) else { continue };
        let Some(at) = last(&status).filter(|at| Some(at) != before.as_ref() && ended.last() != Some(at)) else {
            continue;
        };
        fine += usize::from(status["scopes"][0]["fault"].is_null());
        ended.push(at);
    }
    Ok((ended, fine))
}

/// What a script would do, one function after the other: read the subnets and groups of its VPC, update, and on the refusal
/// attach the policy and try again.
fn script(functions: usize) -> Outcome<()> {
    let mut world = support::fleet(functions);
    // The script waits for IAM no longer than it must.
    world.timings.propagation = Some(0.0);
    let served = Served::world(&world)?;
    let runtime = Runtime::new()?;
    let endpoint = Endpoint::Emulator { url: served.url.clone(), access_key: support::ACCOUNT.to_owned() };
    let clock = Clock::new(|| Time::from_system(SystemTime::now()));
    let rates = Rates { lambda: 1e4, get_function: None, iam: 1e4, ec2: 1e4 };
    runtime.block_on(async {
        let aws =
            Aws::connect(&endpoint, HashMap::new(), Deadlines::default(), rates, Arc::new(Unobserved), clock).await?;
        for when in ["the first time", "again, with nothing to do"] {
            served.door.forget_calls();
            for number in 0..functions {
                by_script(&aws, &world, number).await?;
            }
            let calls: u64 = served.door.counts().values().sum();
            let figure = format!("{:.2} calls a function", calls as f64 / functions as f64);
            row(&format!("a script, {functions} functions, {when}"), &figure, "for comparison");
        }
        Ok(())
    })
}

async fn by_script(aws: &Aws, world: &World, number: usize) -> Outcome<()> {
    let scope = ScopeKey { account: AccountId::parse(support::ACCOUNT)?, region: Region::parse(support::REGION)? };
    let name = FunctionName::parse(&world.functions[number].name)?;
    let key = FunctionKey { scope: scope.clone(), name };
    let vpc = [lambda_vpc_controller::names::VpcId::parse(&world.vpcs[number / 500].id)?];
    let subnets = aws.describe_subnets(&scope, &vpc, None).await?.items;
    let groups = aws.describe_security_groups(&scope, &vpc, None).await?.items;
    let network = Network {
        subnets: subnets.into_iter().map(|subnet| subnet.id).collect(),
        security_groups: groups.into_iter().filter(|group| group.name == "lambda").map(|group| group.id).collect(),
        ipv6: false,
    };
    let refused = |error: &CloudError| error.class == Class::RoleDenied;
    match aws.set_vpc(&key, &network, None).await {
        Err(error) if refused(&error) => {
            let role = aws.get_function(&key).await?.role;
            aws.attach_policy(&role, &PolicyName::vpc_access().for_role(&role)).await?;
            aws.set_vpc(&key, &network, None).await?;
        }
        // The script of one function meets no update that goes on; this one comes by too soon.
        Err(error) if error.class == Class::Busy => {}
        other => drop(other?),
    }
    Ok(())
}
