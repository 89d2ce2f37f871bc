//! The pure controller and the simulated account, one effect after the other: hours pass in milliseconds. Usually without
//! a runtime, by the direct door; where a test is about the wire, through the SDK.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use lambda_vpc_controller::apply::{Answered, Applier, Call, Journal, Order, Recording};
use lambda_vpc_controller::cloud::aws::Deadlines;
use lambda_vpc_controller::cloud::{
    Changed, Cloud, Function, Life, Listing, Rates, Read, Receipt, Reply, Retrying, Turn, Update, Write,
};
use lambda_vpc_controller::desired::{Accounts, DesiredState};
use lambda_vpc_controller::file::Source;
use lambda_vpc_controller::live::{self, Surveyed};
use lambda_vpc_controller::manager::{Controller, Effect, Event, Signal};
use lambda_vpc_controller::names::{
    AccountId, Digest, FunctionKey, FunctionName, Network, PolicyArn, Region, RevisionId, RoleArn, ScopeKey, Time,
    WallClock,
};
use lambda_vpc_controller::plan::{Limits, Outcome, Reason, ScopeRecord, Why, Writable};
use lambda_vpc_controller::reconcile::{self, Action, Cadence, Notice, Recall};
use lambda_vpc_controller::settings::{Overrides, Settings};
use lambda_vpc_controller::simulator::{
    Door, StillClock, Timings, UpdateFunctionConfiguration, VpcConfigRequest, World,
};
use lambda_vpc_controller::telemetry::audit::Record;
use tokio::runtime::Runtime;

use super::permitted::{permit, settings_of};
use crate::served::{self, Served};

/// The moment at which every history begins.
pub(crate) const BEGINNING: Time = Time(1_795_417_200_000);

/// One controller and one world.
pub(crate) struct History {
    pub(crate) clock: StillClock,
    pub(crate) door: Door,
    pub(crate) controller: Controller,
    pub(crate) notices: Vec<Notice>,
    /// What is done to what a sweep found, before the controller gets to see it.
    pub(crate) alter: fn(&mut Surveyed),
    read: Arc<dyn Read>,
    applier: Applier,
    trail: Arc<Trail>,
    /// What answers that come over a wire are awaited with.
    runtime: Option<Runtime>,
    /// How often functions are read by GetFunction, if they are.
    get_function: Option<f64>,
    /// How far the machine's wall clock is ahead, in milliseconds.
    ahead: i64,
    /// What outlives a restart: the records of scopes; none where nothing does.
    pub(crate) records: Option<BTreeMap<ScopeKey, String>>,
    /// Whether records can be stored, and read.
    pub(crate) stores: bool,
}

/// The world's door for writing, before which there is a crowd at first: how far away each next turn is.
struct Crowded {
    door: Door,
    turns: Mutex<VecDeque<Duration>>,
}

impl Write for Crowded {
    fn turn<'a>(&'a self, _: Changed<'a>) -> Turn<'a> {
        let wait = self.turns.lock().unwrap().pop_front();
        Box::pin(std::future::ready(wait.map_or(Ok(()), Err)))
    }

    fn attach_policy<'a>(&'a self, role: &'a RoleArn, policy: &'a PolicyArn) -> Reply<'a, Receipt> {
        self.door.attach_policy(role, policy)
    }

    fn set_vpc<'a>(&'a self, key: &'a FunctionKey, to: &'a Network, at: Option<&'a RevisionId>) -> Reply<'a, Receipt> {
        self.door.set_vpc(key, to, at)
    }
}

/// An audit trail in memory.
#[derive(Default)]
struct Trail(Mutex<String>);

impl Trail {
    fn append(&self, record: &Record) -> Recording<'static> {
        self.0.lock().unwrap().push_str(&record.line().unwrap());
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Journal for Trail {
    fn intent<'a>(&'a self, call: &'a Call<'a>) -> Recording<'a> {
        self.append(&Record::intent(call))
    }
    fn result<'a>(&'a self, call: &'a Call<'a>, answered: &'a Answered) -> Recording<'a> {
        self.append(&Record::result(call, answered))
    }
}

/// Settings with all defaults.
pub(crate) fn settings() -> Settings {
    Settings::new(&Overrides::default())
}

/// What a test's file says, with the demo's account as the one of the credentials.
pub(crate) fn desired(text: &str) -> DesiredState {
    let source = Source::from_bytes(Path::new("functions.toml"), text.as_bytes().to_vec()).unwrap();
    let own = AccountId::parse("123456789012").unwrap();
    let accounts = Accounts { own, ..Accounts::without_aws(BTreeMap::new(), None) };
    DesiredState::check(&source, &accounts).unwrap_or_else(|unusable| panic!("{}", unusable.render(false)))
}

impl History {
    /// The demo's world, and a controller with these limits.
    pub(crate) fn new(limits: Limits) -> Self {
        Self::of(World::demo().unwrap(), limits)
    }

    /// Any world, and a controller with these limits. What AWS answers lags, as it does in life: IAM's lists behind what was
    /// attached, listings of functions and the state of an update behind its acceptance.
    pub(crate) fn of(world: World, limits: Limits) -> Self {
        let clock = StillClock::at(BEGINNING);
        let door = Door::new(world.build(BEGINNING).unwrap(), clock.clock());
        door.with(|aws, _| {
            let Timings { iam_reads, unsaid, lists, .. } = &mut aws.timings;
            *iam_reads = (*iam_reads).max(Duration::from_secs(3));
            *unsaid = (*unsaid).max(Duration::from_secs(1));
            *lists = (*lists).max(Duration::from_secs(5));
        });
        clock.pass(Duration::from_secs(24 * 3600));
        let way = Arc::new(door.clone());
        Self::by(way, None, (door, clock), limits)
    }

    /// A world that is served, and a controller that reaches it through the SDK.
    pub(crate) fn over_the_wire(served: &Served, deadlines: Deadlines, rates: Rates, limits: Limits) -> Self {
        let runtime = served::runtime();
        let aws = Arc::new(runtime.block_on(served.sdk_with(HashMap::new(), deadlines, rates)));
        let history = Self::by(aws, Some(runtime), (served.door.clone(), served.clock.clone()), limits.clone());
        let history = Self { get_function: rates.get_function, ..history };
        history.permit(&limits, Listing::Latest);
        history
    }

    fn by<C: Cloud + 'static>(
        way: Arc<C>,
        runtime: Option<Runtime>,
        (door, clock): (Door, StillClock),
        limits: Limits,
    ) -> Self {
        let trail = Arc::<Trail>::default();
        let applier = Applier::new(Arc::<C>::clone(&way), Arc::<Trail>::clone(&trail), clock.clock());
        let cadence = Cadence {
            resync: Some(Duration::from_secs(300)),
            poll: None,
            workers: 16,
            listing: Listing::Latest,
            seed: 1,
        };
        let mut controller = Controller::new(limits.clone(), cadence);
        // The process has been there for hours: of the last one it knows what it did.
        controller.handle(Event::Tick, BEGINNING);
        let (notices, alter) = (Vec::new(), (|_| {}) as fn(&mut Surveyed));
        let passing = clock.clone();
        let read = Arc::new(Retrying::pausing(way, clock.clock(), move |time| {
            passing.pass(time);
            Box::pin(std::future::ready(()))
        }));
        let history = Self {
            clock,
            door,
            controller,
            notices,
            alter,
            read,
            applier,
            trail,
            runtime,
            get_function: None,
            ahead: 0,
            records: None,
            stores: true,
        };
        history.permit(&limits, Listing::Latest);
        history
    }

    /// The same, with a directory that outlives restarts.
    pub(crate) fn keeping(self) -> Self {
        Self { controller: self.controller.with_records(), records: Some(BTreeMap::new()), ..self }
    }

    /// The limits of a person at a terminal: no settling, any account.
    pub(crate) fn attended() -> Self {
        Self::new(Limits { writable: Writable::Shown, ..Limits::attended(&settings()) })
    }

    /// The next changes find their turn so many seconds away.
    pub(crate) fn crowd(&mut self, seconds: &[u64]) {
        let turns = Mutex::new(seconds.iter().copied().map(Duration::from_secs).collect());
        let crowded = Arc::new(Crowded { door: self.door.clone(), turns });
        self.applier = Applier::new(crowded, Arc::<Trail>::clone(&self.trail), self.clock.clock());
    }

    /// The operator decides otherwise from now on.
    pub(crate) fn limit(&mut self, limits: Limits) {
        self.list(limits, Listing::Latest);
    }

    /// The operator decides otherwise, also about published versions.
    pub(crate) fn list(&mut self, limits: Limits, listing: Listing) {
        let cadence = Cadence { resync: Some(Duration::from_secs(300)), poll: None, workers: 16, listing, seed: 3 };
        self.signal(Signal::Settle(Box::new(limits), cadence));
    }

    /// A daemon that has been restarted: the same world, and nothing remembered but what is kept.
    pub(crate) fn restart(&mut self, limits: Limits) {
        let cadence = Cadence {
            resync: Some(Duration::from_secs(300)),
            poll: None,
            workers: 16,
            listing: Listing::Latest,
            seed: 2,
        };
        self.permit(&limits, Listing::Latest);
        let controller = Controller::new(limits, cadence);
        self.controller = if self.records.is_some() { controller.with_records() } else { controller };
    }

    /// The file says this from now on.
    pub(crate) fn load(&mut self, text: &str) {
        self.feed(Event::Loaded(Ok(Some(desired(text)))));
    }

    /// The controller may do what these limits need, and nothing else.
    fn permit(&self, limits: &Limits, listing: Listing) {
        let mut settings = settings_of(limits, listing);
        settings.limits.rates.get_function = self.get_function;
        permit(&self.door, &settings);
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        if let Signal::Settle(limits, cadence) = &signal {
            self.permit(limits, cadence.listing);
        }
        self.feed(Event::Signal(signal));
    }

    /// Feeds an event, and carries out what comes of it until nothing is left to do at this moment.
    pub(crate) fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = self.clock.now();
            self.controller.see_wall_clock(WallClock::of(now, Time(now.0.saturating_add_signed(self.ahead))));
            for effect in self.controller.handle(event, self.clock.now()) {
                events.extend(self.perform(effect));
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Load(_) | Effect::Stop => None,
            Effect::Tell(notice) => {
                self.notices.push(notice);
                None
            }
            Effect::Of(scope, action) => {
                let event = self.act(&scope, action)?;
                Some(Event::of(scope, event))
            }
        }
    }

    fn act(&mut self, scope: &ScopeKey, action: Action) -> Option<reconcile::Event> {
        let now = self.clock.now();
        match action {
            Action::Share(..) | Action::Shows(_) | Action::Tell(_) => None,
            Action::Survey(needs) => {
                let mut found = self.wait(live::survey(&*self.read, scope, &needs, &self.clock.clock()));
                (self.alter)(&mut found);
                Some(reconcile::Event::Surveyed(found))
            }
            Action::Look(key, needs) => {
                let found = self.wait(live::look(&*self.read, &key, needs.as_ref(), now));
                Some(reconcile::Event::Looked(key, found))
            }
            Action::AskOwner(key, partition) => {
                let owner = self.wait(live::owner(&*self.read, &key, &partition));
                Some(reconcile::Event::Owner(key, owner))
            }
            Action::Do(order) => {
                self.assert_recorded(&order);
                let (answer, took) = self.wait(self.applier.make(&order));
                Some(reconcile::Event::Answered(order, answer, took))
            }
            Action::Recall => {
                let found = match &self.records {
                    Some(_) if !self.stores => Err(std::io::Error::other("the disk is gone")),
                    records => Ok(records.as_ref().and_then(|records| records.get(scope).cloned())),
                };
                Some(reconcile::Event::Recalled(Recall::of(scope, found)))
            }
            Action::Store(record) => {
                let stored = if self.stores { Ok(()) } else { Err("the disk is full".to_owned()) };
                if let (true, Some(records)) = (self.stores, &mut self.records) {
                    records.insert(scope.clone(), record);
                }
                Some(reconcile::Event::Stored(stored))
            }
        }
    }

    /// Demands that whoever comes after this process knows of a call that is about to be made.
    #[track_caller]
    fn assert_recorded(&self, order: &Order) {
        let Some(records) = &self.records else { return };
        let key = order.step.key();
        let text = records.get(&key.scope).unwrap_or_else(|| panic!("nothing is recorded, and {key} is changed"));
        let record = ScopeRecord::parse(text, &key.scope).unwrap();
        let mut changed = record.hour.changed.iter().flat_map(|changed| &changed.functions);
        let mut agreed = record.approvals.agreed.iter().flat_map(|agreed| &agreed.functions);
        let (counted, agreed) = (changed.any(|it| it.name == key.name), agreed.any(|name| *name == key.name));
        assert!(counted || agreed, "{key} is changed, and the record does not tell: {text}");
    }

    fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        match &self.runtime {
            None => answer.now_or_never().expect("the direct door answers at once"),
            Some(runtime) => runtime.block_on(answer),
        }
    }

    /// Somebody sets the machine's wall clock.
    pub(crate) fn set_wall_clock(&mut self, by: i64) {
        self.ahead += by;
    }

    /// Lets time pass, waking the controller whenever it wants to be woken.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.clock.now() + time;
        while let Some(wake) = self.controller.next_wake().filter(|wake| *wake <= end) {
            self.clock.pass(wake.since(self.clock.now()));
            self.feed(Event::Tick);
        }
        self.clock.pass(end.since(self.clock.now()));
    }

    /// Lets time pass until everything rests. Panics if that takes longer than `most`.
    pub(crate) fn until_rest(&mut self, most: Duration) {
        let end = self.clock.now() + most;
        while !self.controller.at_rest() {
            let wake = self.controller.next_wake().expect("it neither rests nor wants to be woken");
            assert!(wake <= end, "no rest after {most:?}: {:#?}", self.controller.fleet());
            self.clock.pass(wake.since(self.clock.now()));
            self.feed(Event::Tick);
        }
    }

    /// How a function stands.
    pub(crate) fn outcome(&self, name: &str) -> Outcome {
        self.controller.line(&key(name)).expect("nothing is known of it").outcome.clone()
    }

    /// Why a function is not in sync.
    #[track_caller]
    fn why(&self, name: &str) -> Why {
        self.outcome(name).why().unwrap_or_else(|| panic!("{name} is in sync")).clone()
    }

    /// The reason why a function is not in sync.
    #[track_caller]
    pub(crate) fn reason(&self, name: &str) -> Reason {
        self.why(name).reason
    }

    /// The reasons that were told of a function so far, in their order.
    pub(crate) fn reasons(&self, name: &str) -> Vec<Reason> {
        let reason = |notice: &Notice| match notice {
            Notice::Concluded { key: of, outcome, .. } if *of == key(name) => Some(outcome.why()?.reason),
            _ => None,
        };
        self.notices.iter().filter_map(reason).collect()
    }

    /// What is told of that reason beside its name.
    #[track_caller]
    pub(crate) fn detail(&self, name: &str) -> String {
        self.why(name).detail
    }

    /// What is doubtful about a function.
    pub(crate) fn doubts(&self, name: &str) -> String {
        self.controller.line(&key(name)).expect("nothing is known of it").warnings.join("; ")
    }

    /// The id of the plan as whoever runs `plan` now sees it.
    pub(crate) fn plan_id(&self) -> Digest {
        self.controller.plan(self.clock.now()).unwrap().id
    }

    /// What a function really has.
    pub(crate) fn network(&self, name: &str) -> Network {
        Network::clone(&self.function(name).network)
    }

    pub(crate) fn function(&self, name: &str) -> Function {
        // It is not the controller who looks.
        let permissions = self.door.with(|aws, _| aws.permissions.take());
        let function = self.door.get_function(&key(name)).now_or_never().unwrap().unwrap();
        self.door.with(|aws, _| aws.permissions = permissions);
        function
    }

    /// The audit trail so far.
    pub(crate) fn audit(&self) -> String {
        self.trail.0.lock().unwrap().clone()
    }

    /// The changing calls so far: operation, subject, and the code of a refusal.
    pub(crate) fn calls(&self) -> Vec<String> {
        let line = |call: lambda_vpc_controller::simulator::Call| {
            let refused = call.refused.map(|code| format!(" refused: {code}")).unwrap_or_default();
            format!("{} {}{refused}", call.operation, call.subject)
        };
        self.door.changes().into_iter().map(line).collect()
    }

    /// The changing calls that AWS accepted.
    pub(crate) fn accepted(&self) -> Vec<String> {
        self.calls().into_iter().filter(|call| !call.contains("refused")).collect()
    }

    /// Demands that the plan is empty and that a day of resyncs changes nothing.
    #[track_caller]
    pub(crate) fn assert_nothing_left_to_do(&mut self) {
        let plan = self.controller.plan(self.clock.now()).unwrap();
        let changes: Vec<_> = plan.lines.iter().filter_map(|line| line.change()).collect();
        assert!(changes.is_empty(), "the plan is not empty: {changes:#?}");
        let before = self.accepted();
        self.pass(Duration::from_secs(24 * 3600));
        assert_eq!(self.accepted(), before, "a change was made although everything was in sync");
    }

    /// Demands that the function's last update has come to a good end.
    #[track_caller]
    pub(crate) fn assert_update_ended(&self, name: &str) {
        let life = self.function(name).life;
        assert!(matches!(life.as_deref(), Some(Life { update: Update::Successful, .. })), "{name}: {life:?}");
    }
}

/// A function of the demo's account and region.
pub(crate) fn key(name: &str) -> FunctionKey {
    let (account, region) = (AccountId::parse("123456789012").unwrap(), Region::parse("eu-west-1").unwrap());
    FunctionKey { scope: ScopeKey { account, region }, name: FunctionName::parse(name).unwrap() }
}

/// Somebody takes a function out of its VPC by hand.
pub(crate) fn somebody_detaches(history: &History, name: &str) {
    let nothing = VpcConfigRequest {
        subnet_ids: Some(Vec::new()),
        security_group_ids: Some(Vec::new()),
        ipv6_allowed_for_dual_stack: Some(false),
    };
    let request = UpdateFunctionConfiguration { vpc_config: Some(nothing), ..UpdateFunctionConfiguration::default() };
    history.door.with(|aws, now| {
        aws.update_function_configuration(&key(name).scope, name, &request, now).unwrap();
    });
}
