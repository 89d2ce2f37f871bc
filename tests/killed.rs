//! The daemon is killed (SIGKILL) again and again, at random moments in the midst of its work, and begins anew each time
//! with the same state directory. In the end all is as without kills, nothing was done twice, and the guard let no more
//! through than it lets one process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use lambda_vpc_controller::names::FunctionKey;
use lambda_vpc_controller::plan::ScopeRecord;
use serde_json::Value;

use crate::served::aws_environment;
use crate::support::account::Account;
use crate::support::announced::{ATTACH, Seen, UPDATE, assert_announced, trail};
use crate::support::process::{Process, eventually_or};
use crate::support::program;

/// So many kills while work was left.
const KILLS: u32 = 52;
/// A run that is killed so often without work left has a fault of its own.
const MOST_KILLS: u32 = 3 * KILLS;
/// A daemon is killed after up to so many calls. Its first look at the fleet takes about 40.
const MOST_CALLS: u64 = 80;
const MOVERS: usize = 10;
/// Functions of another region, more than the guard lets through in an hour.
const GUARDED: usize = 24;
/// So many of them pass in the first hour of a directory, which nobody knows.
const PASS: usize = 10;
const AUDIT: &str = "audit.jsonl";
const VPC_ACCESS: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole";

const SETTINGS: &str = "resync = '1s'\nsettle = '0s'\nlisten = '127.0.0.1:0'\n\
                        [limits]\nrequests_per_second = 15\nec2_requests_per_second = 20\niam_requests_per_second = 50\n\
                        [guard]\nallow_detach = true\nmax_changes = 12\nmax_change_percent = 100\n";

/// Ten functions that have to move with each edit, over three roles that lack the policy; one that is as it should be; one
/// that is to be taken out of its VPC and put back; and one that the file does not list.
fn world() -> String {
    let mut world = "[timings]\nupdate = 0.1\nnew_interface = 0.3\npropagation = 0.3\npending = 0.1\niam_reads = 0.1\n\
                     [defaults]\naccount = '123456789012'\nregion = 'eu-west-1'\n"
        .to_owned();
    for vpc in ["a", "b"] {
        writeln!(world, "[[vpc]]\nid = 'vpc-{vpc}0000000'\nname = '{vpc}'\ndefault_security_group = 'sg-{vpc}0000000'")
            .unwrap();
        for zone in ["a", "b"] {
            writeln!(world, "[[subnet]]\nid = 'subnet-{vpc}{zone}000000'\nvpc = 'vpc-{vpc}0000000'\nzone = '{zone}'")
                .unwrap();
        }
    }
    for role in 0..3 {
        writeln!(world, "[[role]]\nname = 'role-{role}'\npolicies = ['service-role/AWSLambdaBasicExecutionRole']")
            .unwrap();
    }
    writeln!(world, "[[role]]\nname = 'old-role'\npolicies = ['service-role/AWSLambdaVPCAccessExecutionRole']")
        .unwrap();
    for number in 0..MOVERS {
        writeln!(world, "[[function]]\nname = 'mover-{number}'\nrole = 'role-{}'", number % 3).unwrap();
    }
    for name in ["steady", "legacy", "unlisted"] {
        writeln!(
            world,
            "[[function]]\nname = '{name}'\nrole = 'old-role'\nsubnets = ['subnet-aa000000', 'subnet-ab000000']\n\
             security_groups = ['sg-a0000000']"
        )
        .unwrap();
    }
    let far = "region = 'us-east-1'";
    writeln!(world, "[[vpc]]\nid = 'vpc-f0000000'\n{far}\ndefault_security_group = 'sg-f0000000'").unwrap();
    writeln!(world, "[[subnet]]\nid = 'subnet-fa000000'\nvpc = 'vpc-f0000000'\nzone = 'a'").unwrap();
    for number in 0..GUARDED {
        writeln!(world, "[[function]]\nname = 'guarded-{number:02}'\nrole = 'old-role'\n{far}").unwrap();
    }
    world
}

/// One of two things that the file says in turn; from one to the other every mover changes its VPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    This,
    That,
}

impl Says {
    fn other(self) -> Self {
        match self {
            Self::This => Self::That,
            Self::That => Self::This,
        }
    }

    /// The VPC of each function that is listed.
    fn vpcs(self) -> BTreeMap<String, &'static str> {
        let (even, odd, legacy) = match self {
            Self::This => ("a", "b", "none"),
            Self::That => ("b", "a", "b"),
        };
        let movers = (0..MOVERS).map(|number| (format!("mover-{number}"), if number % 2 == 0 { even } else { odd }));
        movers.chain([("steady".to_owned(), "a"), ("legacy".to_owned(), legacy)]).collect()
    }

    fn file(self) -> String {
        let mut file = "[defaults]\naccount = '123456789012'\nregion = 'eu-west-1'\n".to_owned();
        for vpc in ["a", "b"] {
            writeln!(file, "[[vpc]]\nname = '{vpc}'\nid = 'vpc-{vpc}0000000'").unwrap();
        }
        for (function, vpc) in self.vpcs() {
            writeln!(file, "[[function]]\nname = '{function}'\nvpc = '{vpc}'").unwrap();
        }
        for number in 0..GUARDED {
            let name = format!("guarded-{number:02}");
            writeln!(file, "[[function]]\nname = '{name}'\nregion = 'us-east-1'\nvpc = 'vpc-f0000000'").unwrap();
        }
        file
    }
}

/// What a VPC means here, in the words in which the account writes an update down.
fn update_into(vpc: &str) -> String {
    match vpc {
        "none" => "VpcConfig subnets= groups= ipv6=false".to_owned(),
        vpc => format!("VpcConfig subnets=subnet-{vpc}a000000,subnet-{vpc}b000000 groups=sg-{vpc}0000000 ipv6=false"),
    }
}

/// An account, and a daemon that works on it.
struct Stage {
    folder: tempfile::TempDir,
    account: Account,
    daemon: Process,
}

impl Stage {
    fn open(says: Says) -> Self {
        let (folder, account) = (tempfile::tempdir().unwrap(), Account::serve(&world()));
        fs::write(folder.path().join("controller.toml"), SETTINGS).unwrap();
        fs::write(folder.path().join("functions.toml"), says.file()).unwrap();
        let daemon = Self::daemon(&folder, &account, AUDIT);
        Self { folder, account, daemon }
    }

    fn daemon(folder: &tempfile::TempDir, account: &Account, audit: &str) -> Process {
        let path = |name: &str| folder.path().join(name);
        let mut command = program();
        command.args(["run", "--log-format", "json", "--config"]).arg(path("controller.toml"));
        command.arg("--desired").arg(path("functions.toml")).arg("--audit").arg(path(audit));
        // One directory for each daemon: two that run at once are never to share one.
        command.arg("--state").arg(path(&format!("state-of-{audit}")));
        Process::start(command.envs(aws_environment(&account.url)))
    }

    /// Kills the daemon when the account has seen so many more calls.
    fn kill_after(&mut self, calls: u64) {
        let before = self.account.calls().0;
        let said = || format!("the daemon makes no more calls: {}", self.daemon.output());
        eventually_or(said, || (self.account.calls().0 >= before + calls).then_some(()));
        self.daemon.kill();
    }

    fn restart(&mut self) {
        self.daemon = Self::daemon(&self.folder, &self.account, AUDIT);
    }

    /// The file is edited, as editors and git do it: the new one is renamed over it.
    fn edit(&self, says: Says) {
        let next = self.folder.path().join("next");
        fs::write(&next, says.file()).unwrap();
        fs::rename(next, self.folder.path().join("functions.toml")).unwrap();
    }

    /// The listed functions that are not, or not yet, where they should be.
    fn left(&self, says: Says) -> Vec<String> {
        let wrong = |(function, vpc): &(String, &str)| {
            let configuration = self.account.configuration(function);
            let is_in = configuration["VpcConfig"]["VpcId"].as_str().unwrap_or_default();
            let should_be_in = if *vpc == "none" { String::new() } else { format!("vpc-{vpc}0000000") };
            is_in != should_be_in || configuration["LastUpdateStatus"] != "Successful"
        };
        says.vpcs().into_iter().filter(wrong).map(|(function, _)| function).collect()
    }

    fn until_done(&self, says: Says) {
        let said = || format!("left: {:?}\n{}", self.left(says), self.daemon.output());
        eventually_or(said, || self.left(says).is_empty().then_some(()));
    }

    /// How everything stands: the network of each function, and the policies of each role.
    fn end(&self) -> BTreeMap<String, Vec<Value>> {
        let functions = (0..MOVERS).map(|number| format!("mover-{number}"));
        let functions = functions.chain(["steady", "legacy", "unlisted"].map(str::to_owned));
        let networks = functions.map(|name| {
            let configuration = self.account.configuration(&name);
            (name, vec![configuration["VpcConfig"].clone(), configuration["LastUpdateStatus"].clone()])
        });
        let roles = ["role-0", "role-1", "role-2", "old-role"].map(|role| {
            let policies = self.account.policies(role).into_iter().collect::<BTreeSet<_>>();
            (role.to_owned(), policies.into_iter().map(Value::from).collect())
        });
        networks.chain(roles).collect()
    }

    fn changes(&self) -> Vec<Seen> {
        self.account.calls().1.iter().map(Seen::of).collect()
    }

    /// What is kept of the region whose functions the guard lets through a little at a time.
    fn record(&self) -> ScopeRecord {
        let scope = FunctionKey::parse("123456789012", "us-east-1", "x").unwrap().scope;
        let file = self.folder.path().join(format!("state-of-{AUDIT}/123456789012-us-east-1.json"));
        ScopeRecord::parse(&fs::read_to_string(file).unwrap(), &scope).unwrap()
    }

    fn audit(&self) -> Vec<Value> {
        trail(&self.folder.path().join(AUDIT))
    }
}

/// The updates of functions that the guard lets through a little at a time, and all other changes.
fn guarded(changes: Vec<Seen>) -> (Vec<Seen>, Vec<Seen>) {
    changes.into_iter().partition(|seen| seen.what.subject.starts_with("guarded-"))
}

/// Each function that the guard let through was updated once, and they are as many as pass.
fn assert_no_more_than_pass(changes: &[Seen]) -> BTreeSet<String> {
    let updates = accepted(changes, UPDATE);
    assert!(updates.values().all(|sent| sent.len() == 1), "one was updated twice: {updates:#?}");
    assert_eq!(updates.len(), PASS, "{updates:#?}");
    updates.into_keys().map(str::to_owned).collect()
}

/// What was accepted, by function or role.
fn accepted<'a>(changes: &'a [Seen], operation: &str) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut by_subject: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Seen { what, .. } in changes.iter().filter(|seen| seen.accepted && seen.what.operation == operation) {
        by_subject.entry(&what.subject).or_default().push(&what.detail);
    }
    by_subject
}

/// Each update was needed: it is to where the file said, from where it was not; so there is one at most for each time that
/// the file was edited, kills or not. (A kill is granted one more by what was asked for; none is ever seen.)
fn assert_no_update_too_many(changes: &[Seen], edits: usize) {
    let updates = accepted(changes, UPDATE);
    let movers: Vec<String> = Says::This.vpcs().into_keys().filter(|function| function != "steady").collect();
    assert_eq!(updates.keys().copied().collect::<Vec<_>>(), movers, "these are updated and no others");
    for function in movers {
        let allowed = [Says::This, Says::That].map(|says| update_into(says.vpcs()[&function]));
        let (sent, begins) = (&updates[function.as_str()], update_into("a"));
        assert!(sent.len() <= edits, "{function} was updated {} times in {edits} edits", sent.len());
        assert!(sent.iter().all(|sent| allowed.iter().any(|allowed| allowed == sent)), "{function}: {sent:?}");
        let before = (function == "legacy").then_some(begins.as_str());
        let course: Vec<&str> = before.into_iter().chain(sent.iter().copied()).collect();
        assert!(course.windows(2).all(|two| two[0] != two[1]), "{function} got the same twice: {course:#?}");
    }
}

/// Each role got the policy that it needs, and no role got it more often than that and once for each kill.
fn assert_no_attachment_too_many(changes: &[Seen], kills: u32) {
    let attached = accepted(changes, ATTACH);
    assert_eq!(attached.keys().copied().collect::<Vec<_>>(), ["role-0", "role-1", "role-2"]);
    for (role, policies) in attached {
        assert!(policies.iter().all(|policy| *policy == VPC_ACCESS), "{role}: {policies:?}");
        assert!(policies.len() <= 1 + kills as usize, "{role}: {} times", policies.len());
    }
}

#[test]
fn a_daemon_that_is_killed_again_and_again_comes_to_the_same_end_and_does_nothing_twice() {
    let (seed, begun) = (fastrand::u64(..), Instant::now());
    // Told only if the test fails.
    println!("the kills are at random by the seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut says = Says::This;
    let mut stage = Stage::open(says);
    let (mut edits, mut kills, mut idle) = (1, 0, 0);
    while kills < KILLS {
        // Sometimes everything changes under the daemon's hands.
        if random.u8(..4) == 0 {
            says = says.other();
            edits += 1;
            stage.edit(says);
        }
        stage.kill_after(random.u64(1..=MOST_CALLS));
        match stage.left(says).is_empty() {
            false => kills += 1,
            true => {
                idle += 1;
                says = says.other();
                edits += 1;
                stage.edit(says);
            }
        }
        assert!(kills + idle < MOST_KILLS, "only {kills} of {} kills met any work", kills + idle);
        stage.restart();
    }
    // Meanwhile another daemon does the same work and is let alone.
    let alone = Stage::open(says);
    stage.until_done(says);
    alone.until_done(says);
    assert_eq!(stage.end(), alone.end());
    for stage in [&stage, &alone] {
        let passed = || accepted(&guarded(stage.changes()).0, UPDATE).len();
        eventually_or(|| format!("{} passed the guard", passed()), || (passed() >= PASS).then_some(()));
    }

    let (changes, trail) = (stage.changes(), stage.audit());
    assert_announced(&changes, &trail);
    let (few, changes) = guarded(changes);
    let passed = assert_no_more_than_pass(&few);
    let counted = stage.record().hour.changed.into_iter().flat_map(|changed| changed.functions);
    assert_eq!(counted.map(|function| function.name.to_string()).collect::<BTreeSet<_>>(), passed);
    assert_no_update_too_many(&changes, edits);
    assert_no_attachment_too_many(&changes, kills + idle);
    let (few, of_the_other) = guarded(alone.changes());
    assert_no_more_than_pass(&few);
    assert_no_update_too_many(&of_the_other, 1);
    assert_no_attachment_too_many(&of_the_other, 0);
    let unanswered = trail.iter().filter(|record| record["phase"] == "intent").count() * 2 - trail.len();
    println!(
        "{} kills, {kills} of them amid work; {edits} states of the file; {} changing calls, {unanswered} without an \
         answer that was recorded; {:?}",
        kills + idle,
        changes.len(),
        begun.elapsed()
    );
}

/// Nobody is to run two, but one may begin before another has ended. An update carries the revision that it was decided on,
/// so Lambda takes only one of two.
#[test]
fn two_daemons_at_once_do_nothing_twice_either() {
    let stage = Stage::open(Says::This);
    let other = Stage::daemon(&stage.folder, &stage.account, "other.jsonl");
    for daemon in [&stage.daemon, &other] {
        daemon.says("\"at\":\"");
    }
    stage.until_done(Says::This);
    // Both look at all of it again.
    let calls = stage.account.calls().0;
    let said = || format!("no further sweeps:\n{}\n{}", stage.daemon.output(), other.output());
    eventually_or(said, || (stage.account.calls().0 >= calls + 40).then_some(()));
    let (_, changes) = guarded(stage.changes());
    assert_no_update_too_many(&changes, 1);
    // They need not know of each other's attachments.
    assert_no_attachment_too_many(&changes, 1);
}
