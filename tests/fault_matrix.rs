//! Every misbehaviour of AWS and of the wire, in every operation: what is told meanwhile, what must not be done, and that
//! all is well when it is over. The controller goes through the SDK and real sockets; only the clock stands still.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use lambda_vpc_controller::cloud::aws::Deadlines;
use lambda_vpc_controller::cloud::{Failure, Listing, Operation, Rates};
use lambda_vpc_controller::manager::{Event, Signal};
use lambda_vpc_controller::names::Time;
use lambda_vpc_controller::plan::{Limits, Outcome, Reason, State};
use lambda_vpc_controller::reconcile::Notice;
use lambda_vpc_controller::simulator::{Fault, Misbehaviour, World};

use crate::served::{self, ACCESS_KEY, PLENTY, Served};
use crate::support::history::{History, desired, key, settings};

const WORLD: &str = include_str!("../src/simulator/world/demo.toml");
const FILE: &str = "[defaults]\nregion = 'eu-west-1'\naccount = '123456789012'\n\
                    [[vpc]]\nname = 'orders'\nid = 'vpc-0a1b2c3d4e5f60718'\n\
                    [[function]]\nname = 'orders-api'\nvpc = 'orders'\n";
/// How long a fault lasts. Without one, the function is in sync after some seconds.
const LASTS: Duration = Duration::from_secs(180);
/// A fault that lasts so long is met by no more calls of its operation than this: a read is tried five times at first.
const MOST_CALLS: u64 = 14 + 4;
/// When the function is in sync at the latest after the fault is over: what seems to be refused is tried again after half
/// an hour.
const RECOVERY: Duration = Duration::from_secs(45 * 60);
/// An update that Lambda gave up is not tried again sooner.
const BETWEEN_FAILURES: Duration = Duration::from_secs(30);
/// What is told and recorded of one thing is not longer, in bytes.
const LONGEST_TEXT: usize = 4096;
/// What nobody may ever be told of: it stands in a text of AWS's that quotes the request.
const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLETOKEN";
/// The secret key that goes with [`ACCESS_KEY`].
const SECRET: &str = "emulated";

/// What comes of a misbehaviour in one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// The function stands with this reason as long as it lasts. What needs the answer is not done.
    Told(Reason),
    /// Nobody notices: the function comes into sync all the same.
    Unseen,
    /// The answer is lost or makes no sense, but the change was made: this is told once, then the function is in sync
    /// without a second change.
    Done(Reason),
    /// The update is accepted and given up for this reason.
    GivenUp(Reason),
    /// There is no such thing.
    Never,
}

/// A misbehaviour, and what comes of it by operation.
struct Row {
    answer: Misbehaviour,
    /// In reads without which nothing can be decided.
    needed: Cell,
    /// In reads without which things are only done less well.
    helpful: Cell,
    /// In AttachRolePolicy.
    attach: Cell,
    /// In UpdateFunctionConfiguration.
    update: Cell,
}

fn row(answer: Misbehaviour, [needed, helpful, attach, update]: [Cell; 4]) -> Row {
    Row { answer, needed, helpful, attach, update }
}

fn error(status: u16, code: &str, message: &str) -> Misbehaviour {
    Misbehaviour::Error { status, code: code.to_owned(), message: message.to_owned() }
}

fn gives_up(code: &str) -> Misbehaviour {
    Misbehaviour::UpdateFails(Failure { code: code.to_owned(), text: "Because.".to_owned() })
}

/// Errors that AWS answers.
#[rustfmt::skip]
fn refusals() -> Vec<Row> {
    use Cell::{Never, Told, Unseen};
    use Misbehaviour::{Denied, Ec2Throttled, Expired, ServerError, Throttled, Unavailable};
    use Reason as R;
    let wait = Some(Duration::from_secs(47));
    let quotes = format!("The request signature does not match. The Canonical String for this request should have been \
                          'POST\n/\n\nhost:iam.amazonaws.com\nx-amz-security-token:{TOKEN}\n'");
    let long = "This text has no end. ".repeat(1000);
    vec![
        //                                    needed reads            helpful  attach                  update
        row(Throttled(None),                 [Told(R::Throttled),     Unseen,  Told(R::Throttled),     Told(R::Throttled)]),
        row(Throttled(wait),                 [Told(R::Throttled),     Unseen,  Told(R::Throttled),     Told(R::Throttled)]),
        row(Ec2Throttled,                    [Never,                  Never,   Never,                  Told(R::Ec2Throttled)]),
        row(ServerError,                     [Told(R::ServerError),   Unseen,  Told(R::ServerError),   Told(R::ServerError)]),
        row(Unavailable,                     [Told(R::ServerError),   Unseen,  Told(R::ServerError),   Told(R::ServerError)]),
        row(Expired,                         [Told(R::Credentials),   Unseen,  Told(R::Credentials),   Told(R::Credentials)]),
        row(Denied,                          [Told(R::AccessDenied),  Unseen,  Told(R::AccessDenied),  Told(R::AccessDenied)]),
        row(error(400, "SomethingNew", "x"), [Told(R::Refused),       Unseen,  Told(R::Refused),       Told(R::Refused)]),
        row(error(400, "Endless", &long),    [Told(R::Refused),       Unseen,  Told(R::Refused),       Told(R::Refused)]),
        row(error(403, "SignatureDoesNotMatch", &quotes),
                                             [Told(R::Credentials),   Unseen,  Told(R::Credentials),   Told(R::Credentials)]),
    ]
}

/// Answers that do not arrive as they should.
#[rustfmt::skip]
fn deliveries() -> Vec<Row> {
    use Cell::{Done, Told, Unseen};
    use Misbehaviour::{Lost, Malformed, Reset, Slow, Truncated};
    use Reason as R;
    vec![
        //                          needed reads            helpful  attach                  update
        row(Reset,                 [Told(R::Unreachable),   Unseen,  Told(R::Unreachable),   Told(R::Unreachable)]),
        row(Lost,                  [Told(R::Unreachable),   Unseen,  Done(R::Unreachable),   Done(R::Unreachable)]),
        row(Slow(WITHIN),          [Unseen,                 Unseen,  Unseen,                 Unseen]),
        row(Truncated,             [Told(R::Malformed),     Unseen,  Done(R::Malformed),     Done(R::Malformed)]),
        // The body of an answer without a result is one that nobody reads.
        row(Malformed,             [Told(R::Malformed),     Unseen,  Unseen,                 Done(R::Malformed)]),
    ]
}

/// Answers after the deadline.
#[rustfmt::skip]
fn late() -> Vec<Row> {
    use Cell::{Done, Told, Unseen};
    use Reason as R;
    vec![
        row(Misbehaviour::Slow(BEYOND), [Told(R::Timeout), Unseen, Done(R::Timeout), Done(R::Timeout)]),
    ]
}

/// Updates that are accepted and given up.
fn failures() -> Vec<Row> {
    use Cell::{GivenUp, Never};
    let row = |code, reason| row(gives_up(code), [Never, Never, Never, GivenUp(reason)]);
    vec![
        row("EniLimitExceeded", Reason::InterfaceQuota),
        row("SubnetOutOfIPAddresses", Reason::NoFreeAddress),
        row("InsufficientRolePermissions", Reason::RolePropagation),
        row("InternalError", Reason::ServerError),
        row("EC2RequestLimitExceeded", Reason::Ec2Throttled),
        row("InvalidSubnet", Reason::NetworkRefused),
        row("SomethingThatNoListHas", Reason::UpdateFailed),
    ]
}

/// Slow, but in time.
const WITHIN: Duration = Duration::from_millis(10);
/// Slower than [`DEADLINE`] by far, also on a machine that has other things to do.
const BEYOND: Duration = Duration::from_secs(60);
/// The deadline where answers are late: short, since it is waited for in real time, and long enough for all others.
const DEADLINE: Duration = Duration::from_millis(1500);

impl Row {
    fn cell(&self, operation: Operation) -> Cell {
        match operation {
            Operation::AttachRolePolicy => self.attach,
            Operation::UpdateFunctionConfiguration => self.update,
            // Functions of this region are none of Lambda@Edge's, and nobody sets one back: so nobody asks.
            Operation::GetRole | Operation::ListTags => Cell::Never,
            Operation::SimulatePrincipalPolicy
            | Operation::DescribeVpcEndpoints
            | Operation::DescribeNetworkInterfaces
            | Operation::ListAliases => self.helpful,
            // A role of which that is not known is read by itself.
            Operation::ListEntitiesForPolicy => match self.needed {
                // What nobody knows is not tried again within the fault's time.
                Cell::Told(reason) if reason != Reason::Refused => Cell::Done(reason),
                cell => cell,
            },
            _ => self.needed,
        }
    }

    fn deadlines(&self) -> Deadlines {
        match self.answer {
            Misbehaviour::Slow(BEYOND) => Deadlines { answer: DEADLINE, ..Deadlines::default() },
            _ => Deadlines::default(),
        }
    }
}

/// One operation that misbehaves in one way.
struct Trial {
    operation: Operation,
    cell: Cell,
    answer: Misbehaviour,
    file: String,
    served: Served,
    history: History,
    /// How often the operation had been called at each time.
    calls: Vec<(Time, u64)>,
    wrong: Vec<String>,
}

impl Trial {
    /// The fault is there from the beginning.
    fn new(row: &Row, operation: Operation) -> Self {
        let mut trial = Self::without_fault(row, operation);
        trial.begin_fault();
        trial.history.feed(Event::Loaded(Ok(Some(desired(&trial.file)))));
        trial.note_calls();
        trial
    }

    fn begin_fault(&self) {
        let fault = Fault::always(self.answer.clone()).on(self.operation.name());
        self.served.door.with(|aws, _| aws.faults.add(fault));
        // The policies of a single role are read where Lambda refuses it unexpectedly.
        if self.operation == Operation::ListAttachedRolePolicies {
            let fault = Fault::always(error(403, "AccessDenied", "no")).on(Operation::SimulatePrincipalPolicy.name());
            self.served.door.with(|aws, _| aws.faults.add(fault));
        }
    }

    fn without_fault(row: &Row, operation: Operation) -> Self {
        let (mut world, mut file) = (WORLD.to_owned(), FILE.to_owned());
        // Several functions are listed, one is read by itself.
        if operation == Operation::ListFunctions {
            for number in 0..20 {
                let name = format!("name = 'right-{number}'");
                write!(
                    world,
                    "[[function]]\n{name}\nrole = 'legacy-role'\nsecurity_groups = ['sg-0d0d0d0d0d0d0d0d1']\n\
                     subnets = ['subnet-0a1a1a1a1a1a1a1a1', 'subnet-0b2b2b2b2b2b2b2b2', 'subnet-0c3c3c3c3c3c3c3c3']\n"
                )
                .unwrap();
                write!(file, "[[function]]\n{name}\nvpc = 'orders'\n").unwrap();
            }
        }
        // Aliases are read where somebody wants to know of versions, and one of them lags.
        if operation == Operation::ListAliases {
            world += "[[function]]\nname = 'published'\nrole = 'legacy-role'\nversions = [{ version = 1, \
                      subnets = ['subnet-0a1a1a1a1a1a1a1a1'], security_groups = ['sg-0e5e5e5e5e5e5e5e5'] }]\n";
            file += "[[function]]\nname = 'published'\nvpc = 'none'\n";
        }
        // Groups of other VPCs are read where some are picked by tags, endpoints where a subnet leads nowhere.
        if operation == Operation::GetSecurityGroupsForVpc {
            world = world.replace("name = \"lambda\"\n", "name = \"lambda\"\ntags = { app = \"orders\" }\n");
            file = file.replace("[[function]]", "security_groups = { tags = { app = 'orders' } }\n[[function]]");
        }
        if operation == Operation::DescribeVpcEndpoints {
            world = world.replace("default_route = \"nat\"", "default_route = \"none\"");
        }
        let served = Served::world(&World::parse(&world, "world").unwrap());
        served.clock.pass(Duration::from_secs(24 * 3600));
        let rates = match operation {
            Operation::GetFunction => Rates { get_function: Some(PLENTY), ..served::rates() },
            _ => served::rates(),
        };
        let mut history = History::over_the_wire(&served, row.deadlines(), rates, Limits::of(&settings()));
        if operation == Operation::ListAliases {
            history.list(Limits::of(&settings()), Listing::All);
        }
        let (cell, answer) = (row.cell(operation), row.answer.clone());
        Self { operation, cell, answer, file, served, history, calls: Vec::new(), wrong: Vec::new() }
    }

    /// Plays a fault that begins when all is in sync and known; says what is wrong.
    fn run_known(mut self) -> Vec<String> {
        self.history.feed(Event::Loaded(Ok(Some(desired(&self.file)))));
        self.pass(Duration::from_secs(20 * 60), |_| false);
        let changes = self.history.calls();
        self.demand(self.history.outcome("orders-api") == Outcome::InSync, |_| "it never came into sync".to_owned());
        self.begin_fault();
        self.history.notices.clear();
        for _ in 0..2 {
            self.history.signal(Signal::Reload);
            self.pass(LASTS, |_| false);
        }
        let told: BTreeSet<State> = self.history.notices.iter().filter_map(state_told).collect();
        self.demand(told == [State::InSync].into(), |_| format!("what was known became {told:?}"));
        self.demand(self.history.calls() == changes, |it| format!("done: {:?}", it.history.calls()));
        self.served.door.with(|aws, _| aws.faults.clear());
        self.pass(Duration::from_secs(601), |_| false);
        self.demand(self.history.calls() == changes, |it| format!("done afterwards: {:?}", it.history.calls()));
        self.told_of_the_place()
    }

    /// Plays the fault and its end; says what is wrong.
    fn run(mut self) -> Vec<String> {
        self.pass(LASTS, |_| false);
        self.check_what_is_told();
        self.check_what_is_done();
        self.check_waits();
        self.served.door.with(|aws, _| aws.faults.clear());
        let in_sync = |trial: &Self| trial.history.outcome("orders-api") == Outcome::InSync;
        self.pass(RECOVERY, in_sync);
        self.check_the_end();
        self.check_texts();
        self.told_of_the_place()
    }

    fn told_of_the_place(self) -> Vec<String> {
        let place = format!("{} {:?}", self.operation.name(), self.answer);
        let place = place.chars().take(120).collect::<String>();
        self.wrong.into_iter().map(|wrong| format!("{place}: {wrong}")).collect()
    }

    /// Lets time pass, until something is so.
    fn pass(&mut self, time: Duration, until: impl Fn(&Self) -> bool) {
        let end = self.history.clock.now() + time;
        while let Some(wake) = self.history.controller.next_wake().filter(|wake| *wake <= end && !until(self)) {
            self.history.clock.pass(wake.since(self.history.clock.now()));
            self.history.feed(Event::Tick);
            self.note_calls();
        }
        if !until(self) {
            self.history.clock.pass(end.since(self.history.clock.now()));
        }
    }

    fn note_calls(&mut self) {
        self.calls.push((self.history.clock.now(), self.served.door.count(self.operation.name())));
    }

    fn demand(&mut self, so: bool, otherwise: impl FnOnce(&Self) -> String) {
        if !so {
            let text = otherwise(self);
            self.wrong.push(text);
        }
    }

    /// The reasons that were told of the function, but for those that every attachment meets.
    fn told(&self) -> BTreeSet<Reason> {
        let usual = [Reason::PolicyNeeded, Reason::RolePropagation, Reason::UpdateInProgress];
        let reasons = self.history.notices.iter().filter_map(|notice| match notice {
            Notice::Concluded { key: of, outcome, .. } if *of == key("orders-api") => Some(outcome.why()?.reason),
            _ => None,
        });
        reasons.filter(|reason| !usual.contains(reason)).collect()
    }

    fn check_what_is_told(&mut self) {
        let (told, stands) = (self.told(), self.history.outcome("orders-api"));
        let stands = stands.why().map(|why| why.reason);
        let fine = match self.cell {
            Cell::Told(reason) => told == [reason].into() && stands == Some(reason),
            Cell::Unseen => told.is_empty() && stands.is_none(),
            Cell::Done(reason) => told == [reason].into() && stands.is_none(),
            // The reason is the usual one, or the next try is under way.
            // It is tried again and again meanwhile, and each try is an update that is going on for a moment.
            Cell::GivenUp(Reason::RolePropagation) => {
                let waits = [Some(Reason::RolePropagation), Some(Reason::UpdateInProgress)];
                told.is_empty() && waits.contains(&stands)
            }
            Cell::GivenUp(reason) => told == [reason].into() && stands.is_some(),
            Cell::Never => true,
        };
        self.demand(fine, |it| format!("expected {:?}, told {told:?}, stands {stands:?}", it.cell));
    }

    /// When calls of a changing operation were carried out.
    fn accepted(&self, operation: Operation) -> Vec<Time> {
        let changes = self.served.door.changes().into_iter();
        changes
            .filter(|call| call.operation == operation.name() && call.refused.is_none())
            .map(|call| call.at)
            .collect()
    }

    /// How many calls of a changing operation came from the first on that was carried out, refused ones too.
    fn since_accepted(&self, operation: Operation) -> usize {
        let changes = self.served.door.changes().into_iter().filter(|call| call.operation == operation.name());
        changes.skip_while(|call| call.refused.is_some()).count()
    }

    fn check_what_is_done(&mut self) {
        use Operation::{AttachRolePolicy, ListAttachedRolePolicies, UpdateFunctionConfiguration};
        let (attached, updated) = (self.accepted(AttachRolePolicy).len(), self.accepted(UpdateFunctionConfiguration));
        let fine = match (self.cell, self.operation) {
            (Cell::Told(_), UpdateFunctionConfiguration) => (attached, updated.len()) == (1, 0),
            // Nothing is as much as tried.
            // Lambda has refused without.
            (Cell::Told(_), ListAttachedRolePolicies) => (attached, updated.len()) == (0, 0),
            (Cell::Told(_), AttachRolePolicy) => attached == 0 && self.tried(UpdateFunctionConfiguration) == 0,
            (Cell::Told(_), _) => self.tried(AttachRolePolicy) + self.tried(UpdateFunctionConfiguration) == 0,
            (Cell::GivenUp(_), _) => {
                attached == 1 && updated.is_sorted_by(|one, next| next.since(*one) >= BETWEEN_FAILURES)
            }
            (Cell::Unseen | Cell::Done(_), _) => (attached, updated.len()) == (1, 1),
            (Cell::Never, _) => true,
        };
        self.demand(fine, |it| format!("done: {:?}", it.history.calls()));
    }

    fn tried(&self, operation: Operation) -> u64 {
        self.served.door.count(operation.name())
    }

    /// What fails is not hammered at, and AWS's own wish to wait is met.
    fn check_waits(&mut self) {
        let count = self.tried(self.operation);
        if matches!(self.cell, Cell::Told(_)) {
            self.demand(count <= MOST_CALLS, |_| format!("called {count} times in {LASTS:?}"));
        }
        self.demand(count > 0, |_| "it was never called".to_owned());
        let asked = match (&self.answer, self.operation.service().name()) {
            (Misbehaviour::Throttled(Some(wait)), "lambda") if matches!(self.cell, Cell::Told(_)) => *wait,
            _ => return,
        };
        let tries: Vec<Time> = self.calls.windows(2).filter(|two| two[1].1 > two[0].1).map(|two| two[1].0).collect();
        let patient = tries.is_sorted_by(|one, next| next.since(*one) >= asked);
        self.demand(patient && count > 1, |_| format!("asked to wait for {asked:?}, came at {tries:?}"));
    }

    /// The function is in its VPC, by one attachment and one update (but for those that were given up), and stays there.
    fn check_the_end(&mut self) {
        let stands = self.history.outcome("orders-api");
        self.demand(stands == Outcome::InSync, |_| format!("not in sync after {RECOVERY:?}: {stands:?}"));
        let network = self.history.network("orders-api");
        self.demand(network.subnets.len() == 3, |_| format!("it is in {network:?}"));
        let given_up = matches!(self.cell, Cell::GivenUp(_));
        for operation in [Operation::AttachRolePolicy, Operation::UpdateFunctionConfiguration] {
            let again = self.since_accepted(operation) > 1 && !(given_up && operation == self.operation);
            self.demand(!again, |it| format!("asked again for what was done: {:?}", it.history.calls()));
        }
        let changes = self.history.calls();
        self.pass(Duration::from_secs(601), |_| false);
        self.demand(self.history.calls() == changes, |it| format!("more was done: {:?}", it.history.calls()));
    }

    /// Neither a page for people, nor pages of text, nor credentials get into what is told and recorded.
    fn check_texts(&mut self) {
        let told: Vec<String> = self.history.notices.iter().map(|notice| format!("{notice:?}")).collect();
        let audit = self.history.audit();
        let texts = || told.iter().map(String::as_str).chain(audit.lines());
        for banned in ["<html", "<h1>", ACCESS_KEY, SECRET, TOKEN, "Authorization", "Signature="] {
            let found = texts().find(|text| text.contains(banned));
            self.demand(found.is_none(), |_| format!("`{banned}` in: {found:?}"));
        }
        let long = texts().find(|text| text.len() > LONGEST_TEXT);
        self.demand(long.is_none(), |_| format!("many kilobytes: {long:?}"));
    }
}

/// Plays a row in all operations at once, since the late answers are waited for in real time.
fn play(row: &Row) -> Vec<String> {
    let cell = |operation| Trial::new(row, operation).run();
    let played = Operation::ALL.into_iter().filter(|operation| row.cell(*operation) != Cell::Never);
    std::thread::scope(|scope| {
        let cells: Vec<_> = played.map(|operation| scope.spawn(move || cell(operation))).collect();
        cells.into_iter().flat_map(|cell| cell.join().unwrap()).collect()
    })
}

/// The state that is told of a function.
fn state_told(notice: &Notice) -> Option<State> {
    match notice {
        Notice::Concluded { outcome, .. } => Some(outcome.state()),
        _ => None,
    }
}

#[test]
fn what_was_known_stays_known_whatever_fails_to_be_read() {
    let mut wrong = Vec::new();
    for row in refusals().into_iter().chain(deliveries()) {
        let reads = Operation::ALL.into_iter().filter(|operation| {
            use Operation::{AttachRolePolicy, UpdateFunctionConfiguration};
            !matches!(operation, AttachRolePolicy | UpdateFunctionConfiguration) && row.cell(*operation) != Cell::Never
        });
        let row = &row;
        std::thread::scope(|scope| {
            let cells = reads.map(|read| scope.spawn(move || Trial::without_fault(row, read).run_known()));
            let cells: Vec<_> = cells.collect();
            wrong.extend(cells.into_iter().flat_map(|cell| cell.join().unwrap()));
        });
    }
    assert!(wrong.is_empty(), "{} things are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

#[track_caller]
fn check(rows: &[Row]) {
    let wrong: Vec<String> = rows.iter().flat_map(play).collect();
    assert!(wrong.is_empty(), "{} things are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_aws_refuses_is_told_not_done_and_made_up_for() {
    check(&refusals());
}

#[test]
fn what_is_lost_on_the_way_is_told_and_never_done_twice() {
    check(&deliveries());
}

#[test]
fn what_comes_after_the_deadline_is_told_and_never_done_twice() {
    check(&late());
}

#[test]
fn what_lambda_gives_up_is_told_and_tried_again_in_time() {
    check(&failures());
}
