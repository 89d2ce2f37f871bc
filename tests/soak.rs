//! The daemon for as long as one says, with everything going on at once: somebody changes functions by hand, AWS fails in
//! every way, the file is edited, broken and mended, and the guard trips and is agreed with. `.ci/soak SECONDS` runs it on
//! the release build. At the end all is as the file says, memory has not grown, and the audit trail has every change.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::served::aws_environment;
use crate::support::account::Account;
use crate::support::announced::{Seen, UPDATE, assert_announced, trail};
use crate::support::process::{Process, eventually_or, within};
use crate::support::{bare, program};

/// So many functions the file lists at the start.
const FUNCTIONS: usize = 200;
/// So many more it lists with each turn in which the guard trips, as long as there are more: of a function that was changed
/// within the hour the guard holds nothing.
const MORE: usize = 20;
const ALL: usize = 2_000;
const VPCS: usize = 4;
/// So long it takes at most until all is in sync once nothing more happens.
const SETTLES_WITHIN: Duration = Duration::from_secs(300);
/// How many times as fast the account lives.
const TIME_SCALE: &str = "30";
const WIDE: &str = "max_changes = 1000000\nmax_change_percent = 100\n";
const NARROW: &str = "max_changes = 0\nmax_change_percent = 0\n";
/// How an update looks that takes a function out of its VPC; the file wants that of none, so it is always somebody else's.
const DETACHES: &str = "VpcConfig subnets= groups= ipv6=false";

fn world() -> String {
    let mut world = "[defaults]\naccount = '123456789012'\nregion = 'eu-west-1'\n".to_owned();
    for vpc in 0..VPCS {
        writeln!(world, "[[vpc]]\nid = 'vpc-{vpc:08}'\nname = 'v{vpc}'\ndefault_security_group = 'sg-{vpc:08}'")
            .unwrap();
        for zone in ["a", "b"] {
            writeln!(world, "[[subnet]]\nid = 'subnet-{vpc:07}{zone}'\nvpc = 'vpc-{vpc:08}'\nzone = '{zone}'").unwrap();
        }
    }
    for number in 0..ALL {
        if number % 20 == 0 {
            writeln!(world, "[[role]]\nname = 'role-{}'\npolicies = []", number / 20).unwrap();
        }
        writeln!(world, "[[function]]\nname = 'f-{number:04}'\nrole = 'role-{}'", number / 20).unwrap();
    }
    world
}

struct Soak {
    folder: tempfile::TempDir,
    account: Account,
    daemon: Process,
    random: fastrand::Rng,
    /// The VPC of each function, as the file says.
    wanted: Vec<usize>,
    /// How often somebody has detached each function.
    by_hand: BTreeMap<String, usize>,
    counts: BTreeMap<&'static str, usize>,
}

impl Soak {
    fn begin(random: fastrand::Rng) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let account = Account::serve_at(&world(), TIME_SCALE);
        let wanted: Vec<usize> = (0..FUNCTIONS).map(|number| number % VPCS).collect();
        fs::write(folder.path().join("functions.toml"), file(&wanted)).unwrap();
        fs::write(folder.path().join("controller.toml"), settings(WIDE, &[])).unwrap();
        let mut command = tested();
        command.args(["run", "--log-format", "json", "--config"]).arg(folder.path().join("controller.toml"));
        command
            .arg("--audit")
            .arg(folder.path().join("audit.jsonl"))
            .env("RUST_LOG", "warn,lambda_vpc_controller=info");
        let daemon = Process::start(command.envs(aws_environment(&account.url)));
        // From now on it listens, also to signals.
        daemon.told("\"at\":\"", '"');
        let (by_hand, counts) = (BTreeMap::new(), BTreeMap::new());
        Self { folder, account, daemon, random, wanted, by_hand, counts }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn replace(&self, name: &str, text: &str) {
        let next = self.path("next");
        fs::write(&next, text).unwrap();
        fs::rename(next, self.path(name)).unwrap();
    }

    fn metric(&self, series: &str) -> Option<f64> {
        let at = self.daemon.told("\"at\":\"", '"');
        let text = ureq::get(format!("http://{at}/metrics")).call().ok()?.body_mut().read_to_string().ok()?;
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// One thing happens. The guard trips seldom, since all has to be settled for that.
    fn turn(&mut self) {
        let happens = match self.random.u8(..40) {
            0..12 => Self::somebody_detaches_some,
            12..24 => Self::something_fails_for_a_while,
            24..32 => Self::the_file_is_edited,
            32..39 => Self::the_file_is_broken_for_a_moment,
            _ => Self::the_guard_trips_and_is_agreed_with,
        };
        self.happens(happens);
    }

    fn happens(&mut self, what: fn(&mut Self) -> &'static str) {
        let what = what(self);
        *self.counts.entry(what).or_default() += 1;
    }

    fn somebody_detaches_some(&mut self) -> &'static str {
        for _ in 0..self.random.usize(1..8) {
            let function = name(self.random.usize(..self.wanted.len()));
            // It may be refused, if an update is going on.
            if self.account.try_detach(&function).is_ok() {
                *self.by_hand.entry(function).or_default() += 1;
            }
        }
        "detached by hand"
    }

    fn something_fails_for_a_while(&mut self) -> &'static str {
        let answers =
            ["throttled", "server_error", "reset", "lost", "truncated", "malformed", "unavailable", "expired"];
        let answer = self.random.choice(answers).unwrap();
        let fault = json!({ "fault": [{ "answer": answer, "percent": 20 }] });
        self.account.fault(&fault);
        std::thread::sleep(Duration::from_millis(self.random.u64(200..1500)));
        self.account.no_faults();
        "failures"
    }

    fn the_file_is_edited(&mut self) -> &'static str {
        for _ in 0..self.random.usize(1..20) {
            let function = self.random.usize(..self.wanted.len());
            self.wanted[function] = self.random.usize(..VPCS);
        }
        self.replace("functions.toml", &file(&self.wanted));
        "edits"
    }

    fn the_file_is_broken_for_a_moment(&mut self) -> &'static str {
        self.replace("functions.toml", "[[function]\nname = ");
        std::thread::sleep(Duration::from_millis(700));
        self.replace("functions.toml", &file(&self.wanted));
        "broken files"
    }

    /// More changes than the guard lets through; a person looks at the plan and agrees.
    fn the_guard_trips_and_is_agreed_with(&mut self) -> &'static str {
        if self.wanted.len() == ALL {
            return "no functions more for the guard";
        }
        self.settle("before the guard is made narrow");
        self.decide(NARROW, &[]);
        let listed = self.wanted.len();
        self.wanted.extend((listed..ALL.min(listed + MORE)).map(|number| number % VPCS));
        self.replace("functions.toml", &file(&self.wanted));
        let holding = "lambda_vpc_guard_holding{account=\"123456789012\",region=\"eu-west-1\"}";
        let said = || format!("the guard never held: {:?}\n{}", self.metric(holding), self.daemon.output());
        eventually_or(said, || self.metric(holding).filter(|held| *held == (self.wanted.len() - listed) as f64));
        let mut command = tested();
        command.args(["plan", "--output", "json", "--config"]).arg(self.path("controller.toml"));
        let output = command.envs(aws_environment(&self.account.url)).output().unwrap();
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        let id = plan["plan_id"].as_str().unwrap_or_else(|| panic!("{plan}")).to_owned();
        self.decide(NARROW, &[id]);
        self.settle("after the plan was agreed with");
        self.decide(WIDE, &[]);
        "guard trips"
    }

    /// The settings say this from now on, and the daemon has taken it over.
    fn decide(&self, guard: &str, approved: &[String]) {
        let told = || self.daemon.output().matches("new settings are in force").count();
        let before = told();
        self.replace("controller.toml", &settings(guard, approved));
        eventually_or(|| self.daemon.output(), || (told() > before).then_some(()));
    }

    /// Waits until every function is where the file says.
    fn settle(&self, when: &str) {
        // What waits for somebody is tried again now.
        self.daemon.signal("HUP");
        let said = || {
            let last = self.daemon.output().lines().rev().take(40).collect::<Vec<_>>().join("\n");
            format!("{when}, not in sync: {:?}\n{last}", self.elsewhere())
        };
        within(SETTLES_WITHIN, said, || self.elsewhere().is_empty().then_some(()));
    }

    /// The functions that are blocked, and why.
    fn blocked(&self) -> BTreeMap<String, String> {
        let at = self.daemon.told("\"at\":\"", '"');
        let url = format!("http://{at}/api/v1/functions?state=blocked&limit=1000");
        let Ok(mut answer) = ureq::get(url).call() else { return BTreeMap::new() };
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        let functions = answer["functions"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        functions.map(|function| (text(&function["name"]), text(&function["why"]["reason"]))).collect()
    }

    /// The functions that are not where the file says, and those that are not seen to be.
    fn elsewhere(&self) -> Vec<String> {
        let is_elsewhere = |(number, vpc): (usize, &usize)| {
            let configuration = self.account.configuration(&name(number));
            let is_in = configuration["VpcConfig"]["VpcId"].as_str().unwrap_or_default();
            (is_in != format!("vpc-{vpc:08}"))
                .then(|| format!("{} is in {is_in:?} and not in vpc-{vpc:08}", name(number)))
        };
        let blocked = self.blocked();
        // Whom somebody has set back again and again is left alone, until the entry is edited.
        let fought_over = |name: &str| {
            let said = blocked.get(name).is_some_and(|reason| reason == "Flapping");
            said && self.by_hand.get(name).is_some_and(|times| *times > 1)
        };
        let (left_alone, others): (Vec<_>, Vec<_>) =
            self.wanted.iter().enumerate().partition(|(number, _)| fought_over(&name(*number)));
        let left: Vec<String> = others.into_iter().filter_map(is_elsewhere).collect();
        let series = "lambda_vpc_functions{account=\"123456789012\",region=\"eu-west-1\",state=\"in_sync\"}";
        let in_sync = self.metric(series);
        match left.is_empty() && in_sync != Some((self.wanted.len() - left_alone.len()) as f64) {
            true => vec![format!("in sync are {in_sync:?}, blocked {blocked:?}")],
            false => left,
        }
    }
}

/// The program: the release build, where somebody says where it is.
fn tested() -> Command {
    std::env::var_os("SOAK_PROGRAM").map_or_else(program, bare)
}

fn name(number: usize) -> String {
    format!("f-{number:04}")
}

fn file(wanted: &[usize]) -> String {
    let mut file = "[defaults]\naccount = '123456789012'\nregion = 'eu-west-1'\n".to_owned();
    for vpc in 0..VPCS {
        writeln!(file, "[[vpc]]\nname = 'v{vpc}'\nid = 'vpc-{vpc:08}'").unwrap();
    }
    for (number, vpc) in wanted.iter().enumerate() {
        writeln!(file, "[[function]]\nname = '{}'\nvpc = 'v{vpc}'", name(number)).unwrap();
    }
    // One that nobody has made: blocked, for a true reason.
    file + "[[function]]\nname = 'ghost'\nvpc = 'v0'\n"
}

fn settings(guard: &str, approved: &[String]) -> String {
    format!(
        "desired = 'functions.toml'\nlisten = '127.0.0.1:0'\nresync = '3s'\nsettle = '0s'\n\
         [limits]\nrequests_per_second = 15\niam_requests_per_second = 100\nec2_requests_per_second = 20\n\
         [guard]\n{guard}approved = {approved:?}\n"
    )
}

/// The memory that a process has in use, in KiB.
fn memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// The memory of a process, twice a second until the sender goes.
fn watch_memory(process: u32, until: Receiver<()>) -> JoinHandle<Vec<u64>> {
    std::thread::spawn(move || {
        let mut figures = Vec::new();
        while until.recv_timeout(Duration::from_millis(500)) == Err(RecvTimeoutError::Timeout) {
            figures.extend(memory(process));
        }
        figures
    })
}

/// The middle one of some figures.
fn median(figures: &[u64]) -> u64 {
    let mut figures = figures.to_vec();
    figures.sort_unstable();
    figures[figures.len() / 2]
}

#[test]
#[ignore = "as long as one says: .ci/soak SECONDS"]
fn everything_at_once_for_as_long_as_one_says() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(120, |text| text.parse().unwrap());
    let lasts = Duration::from_secs(seconds);
    let seed = std::env::var("SOAK_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    println!("{seconds} s, by the seed {seed}");
    let mut soak = Soak::begin(fastrand::Rng::with_seed(seed));
    soak.settle("at the start");
    // What has to happen once, also in a short run.
    soak.happens(Soak::the_guard_trips_and_is_agreed_with);
    let begun = Instant::now();
    let (stop, stopped) = channel();
    let watching = watch_memory(soak.daemon.id(), stopped);
    while begun.elapsed() < lasts {
        soak.turn();
        let pause = Duration::from_millis(soak.random.u64(..300));
        std::thread::sleep(pause);
    }
    soak.settle("at the end");
    drop(stop);
    let memory = watching.join().unwrap();
    let blocked = soak.blocked();
    let untrue: Vec<_> = blocked.iter().filter(|(name, reason)| *name != "ghost" && *reason != "Flapping").collect();
    assert!(untrue.is_empty() && blocked["ghost"] == "FunctionNotFound", "{blocked:?}");

    // What it grows to in the second quarter is what it needs; the last quarter needs no more.
    let quarter = memory.len() / 4;
    let (early, late) = (median(&memory[quarter..2 * quarter]), median(&memory[3 * quarter..]));
    assert!(late as f64 <= early as f64 * 1.1 + 2048.0, "memory grew from {early} to {late} KiB: {memory:?}");

    let changes: Vec<Seen> = soak.account.calls().1.iter().map(Seen::of).collect();
    let (by_hand, ours): (Vec<Seen>, Vec<Seen>) = changes.into_iter().partition(|seen| seen.what.detail == DETACHES);
    let trail = trail(&soak.path("audit.jsonl"));
    assert_announced(&ours, &trail);
    let updates = |all: &[Seen]| all.iter().filter(|seen| seen.accepted && seen.what.operation == UPDATE).count();
    println!(
        "{:?}; {} updates by hand and {} by the daemon, {} records; memory {early} KiB and then {late} KiB",
        soak.counts,
        updates(&by_hand),
        updates(&ours),
        trail.len()
    );
    soak.daemon.signal("TERM");
    assert!(soak.daemon.ended().success(), "{}", soak.daemon.output());
}
