//! The planner as tables: a small world made by hand, what is different in it, and what must come of it.
//!
//! What comes out is compared as a short text, so that a case is one line that can be read aloud.

mod ages;
mod allowed;
mod approvals;
mod behind;
mod bind;
mod change;
mod conclude;
mod decide;
mod egress;
mod guard;
mod kinds;
mod looks;
mod others;
mod patterns;
mod plans;
mod preflight;
mod properties;
mod recalled;
mod refusals;
mod rollout;
mod words;

use crate::cloud::Simulated;
use crate::live::{Interfaces, Simulation};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::cloud::{
    Class, CloudError, Function, Identity, Life, Operation, SecurityGroup, State as Lambda, Subnet, Tags, Update, Vpc,
};
use crate::desired::Accounts;
use crate::file::Source;
use crate::live::{Asked, Fault, OldFacts, RoleFacts, ScopeFacts, Seen, SubnetFacts, VpcFacts, WayOut};
use crate::names::{AccountId, FunctionName, Region, ScopeKey, SecurityGroupId, SubnetId};

const ACCOUNT: &str = "123456789012";
const POLICY: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole";
const NOW: Time = Time(1_800_000_000_000);

/// An entry of the VPC `orders`, as most cases have it.
const ORDERS: &str = "vpc = 'orders'";
/// What `orders` means in a world where nobody changed the VPC.
const HOME: &str = "subnet-a,subnet-b/sg-default";

/// A world that belongs to the test.
struct Scene {
    desired: DesiredState,
    facts: Facts,
    memory: Memory,
    limits: Limits,
    now: Time,
}

/// The function `api`, with these lines in its entry, and whatever entries follow them. It is not in a VPC, and its
/// role, `api` as well, has the policy.
fn scene(entry: &str) -> Scene {
    let mut scene = Scene {
        desired: desired(entry),
        facts: Facts::default(),
        memory: Memory::default(),
        limits: Limits {
            mode: Mode::Enforce,
            settle: seconds(60),
            confirm: Duration::ZERO,
            max_age: seconds(15 * 60),
            writable: Writable::Stated,
            allow_detach: true,
            allowed_policies: vec![PolicyName::vpc_access()],
            allowed_roles: None,
            own_roles: BTreeSet::new(),
            allowed_vpcs: None,
            guard: None,
            admitted: Admitted::All,
        },
        now: NOW,
    };
    let identity = Identity { account: account(), arn: "arn:aws:iam::123456789012:user/x".to_owned() };
    let vpcs = BTreeMap::from([(vpc_id("vpc-1"), Seen::Present(vpc()))]);
    let at = NOW;
    let functions = BTreeMap::new();
    scene.facts.swept = Some(ScopeFacts {
        identity: Seen::Present(identity),
        functions,
        vpcs,
        pages: None,
        listed: Seen::Present(()),
        published: Seen::Unknown(Fault::Unread),
        at,
        vpcs_at: at,
        took: seconds(0),
        old: OldFacts::default(),
    });
    let names: Vec<String> = scene.desired.entries.iter().map(|entry| entry.key.name.to_string()).collect();
    for name in names {
        scene.add(&name, &name);
    }
    scene
}

/// What a file says that has the VPC `orders`, states the account, and has these lines in the entry of `api`.
fn desired(entry: &str) -> DesiredState {
    reading(&format!(
        "defaults = {{ region = 'eu-west-1', account = '{ACCOUNT}' }}\n\
         vpc = [{{ name = 'orders', id = 'vpc-1' }}]\n\
         [[function]]\nname = 'api'\n{entry}\n"
    ))
}

fn reading(text: &str) -> DesiredState {
    let accounts = Accounts { own: account(), ..Accounts::without_aws(BTreeMap::new(), None) };
    let source = Source::from_bytes(Path::new("functions.toml"), text.into()).unwrap();
    DesiredState::of_short_ids(&source, &accounts).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)))
}

impl Scene {
    fn world(&self) -> World<'_> {
        let Self { desired, facts, memory, limits, now } = self;
        World {
            desired,
            facts,
            memory,
            limits,
            leads: true,
            now: *now,
            wall: WallClock::default(),
            bound: Bindings::default(),
        }
    }

    /// Puts a function into AWS, with a role that has the policy.
    fn add(&mut self, name: &str, role: &str) {
        let role = role_arn(role);
        self.facts.roles.entry(role.key().clone()).or_insert_with(|| Seen::Present(role_facts()));
        let function = Seen::Present(function(name, role));
        self.swept().functions.insert(FunctionName::parse(name).unwrap(), function);
    }

    fn swept(&mut self) -> &mut ScopeFacts {
        self.facts.swept.as_mut().unwrap()
    }

    fn function(&mut self, name: &str) -> &mut Function {
        present(self.swept().functions.get_mut(&FunctionName::parse(name).unwrap()).unwrap())
    }

    /// The function `api`.
    fn api(&mut self) -> &mut Function {
        self.function("api")
    }

    fn set_api(&mut self, seen: Seen<Function>) {
        self.swept().functions.insert(FunctionName::parse("api").unwrap(), seen);
    }

    fn vpc(&mut self) -> &mut VpcFacts {
        present(self.swept().vpcs.get_mut(&vpc_id("vpc-1")).unwrap())
    }

    fn set_vpc(&mut self, seen: Seen<VpcFacts>) {
        self.swept().vpcs.insert(vpc_id("vpc-1"), seen);
    }

    /// The role `api`.
    fn role(&mut self) -> &mut RoleFacts {
        present(self.facts.roles.get_mut(&role_arn("api").key().clone()).unwrap())
    }

    fn set_role(&mut self, seen: Seen<RoleFacts>) {
        self.facts.roles.insert(role_arn("api").key().clone(), seen);
    }

    /// `api` is where its entry wants it.
    fn at_home(&mut self) {
        self.api().network = home();
    }

    /// The role of `api` has no policy, and a simulation says this of its right.
    fn without_policy(&mut self, said: Option<Simulated>) {
        let simulation = said.map(|said| Simulation { said, at: NOW });
        *self.role() = RoleFacts { attached: BTreeSet::new(), simulation, ..role_facts() };
    }

    /// `api` was found in sync, here and with the entry as it is.
    fn agreed(&mut self) {
        let entry = Arc::clone(self.desired.get(&key("api")).unwrap());
        self.memory.agreed(&entry, &home());
    }

    /// AWS answers to a step; what that means.
    fn answer(&mut self, step: &Step, answer: Answer) -> Outcome {
        self.begin(step);
        let role = self.facts.role_of(&step.key().name).cloned();
        self.memory.answered(step, role.as_ref(), &answer, self.now);
        conclude(&self.world(), step, &answer)
    }

    /// A step is being made.
    fn begin(&mut self, step: &Step) {
        let role = self.facts.role_of(&step.key().name).cloned();
        self.memory.begin(step, role.as_ref(), self.now);
    }

    /// Some seconds pass. A network that was just read is read again.
    fn wait(&mut self, time: u64) {
        let (before, now) = (self.now, self.now + seconds(time));
        self.facts.swept.iter_mut().filter(|swept| swept.vpcs_at == before).for_each(|swept| swept.vpcs_at = now);
        self.now = now;
    }

    fn compare(&self) -> Comparison {
        compare(&self.world(), self.desired.get(&key("api")).unwrap())
    }

    fn change(&self) -> Change {
        match self.compare().verdict {
            Verdict::Differs(change) => change,
            other => panic!("{other:?} is no change"),
        }
    }

    fn decide(&self) -> Option<Decision> {
        decide(&self.world(), &key("api"))
    }
}

/// What is decided about a function; `None` if the file does not list it.
fn decide(w: &World<'_>, key: &FunctionKey) -> Option<Decision> {
    let entry = w.desired.get(key)?;
    Some(super::decide(w, entry, &compare(w, entry).verdict))
}

fn present<T>(seen: &mut Seen<T>) -> &mut T {
    match seen {
        Seen::Present(value) => value,
        _ => panic!("it is not there"),
    }
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn ago(number: u64) -> Time {
    Time(NOW.0 - number * 1000)
}

fn account() -> AccountId {
    AccountId::parse(ACCOUNT).unwrap()
}

fn scope() -> ScopeKey {
    ScopeKey { account: account(), region: Region::parse("eu-west-1").unwrap() }
}

fn key(name: &str) -> FunctionKey {
    FunctionKey { scope: scope(), name: FunctionName::parse(name).unwrap() }
}

fn role_arn(name: &str) -> RoleArn {
    RoleArn::parse(&format!("arn:aws:iam::{ACCOUNT}:role/{name}")).unwrap()
}

fn policy(arn: &str) -> PolicyArn {
    PolicyArn::parse(arn).unwrap()
}

fn vpc_id(id: &str) -> VpcId {
    VpcId::parse(id).unwrap()
}

fn network(subnets: &[&str], groups: &[&str]) -> Arc<Network> {
    Arc::new(Network {
        subnets: subnets.iter().map(|id| SubnetId::parse(id).unwrap()).collect(),
        security_groups: groups.iter().map(|id| SecurityGroupId::parse(id).unwrap()).collect(),
        ipv6: false,
    })
}

fn home() -> Arc<Network> {
    network(&["subnet-a", "subnet-b"], &["sg-default"])
}

fn function(name: &str, role: RoleArn) -> Function {
    Function {
        name: FunctionName::parse(name).unwrap(),
        role,
        network: Arc::default(),
        vpc: None,
        revision: Some(RevisionId::parse("r1").unwrap()),
        modified: Some(ago(24 * 60 * 60)),
        life: Some(Box::new(Life { state: Lambda::Active, update: Update::Successful })),
        excluded: None,
        mounts: Box::default(),
    }
}

fn role_facts() -> RoleFacts {
    let attached = BTreeSet::from([policy(POLICY)]);
    RoleFacts { attached, asked: Asked::All, simulation: None, edge: None, at: NOW }
}

/// Two private subnets and a public one, each in its own zone; the default group, and one named `lambda`.
fn vpc() -> VpcFacts {
    VpcFacts {
        vpc: Vpc {
            id: vpc_id("vpc-1"),
            owner: Some(account()),
            tags: Tags::new(),
            dedicated: false,
            encrypted_only: false,
        },
        subnets: vec![subnet("a", false), subnet("b", false), subnet("public", true)],
        security_groups: vec![group("default"), group("lambda")],
        interfaces: Seen::Present(home().pairs().collect()),
        endpoints: Seen::Unknown(Fault::Unread),
    }
}

/// `subnet-NAME` in a zone of its own, with the tags Name and tier.
fn subnet(name: &str, public: bool) -> SubnetFacts {
    let tier = if public { "public" } else { "private" };
    let subnet = Subnet {
        id: SubnetId::parse(&format!("subnet-{name}")).unwrap(),
        vpc: vpc_id("vpc-1"),
        tags: tags(&[("Name", name), ("tier", tier)]),
        zone: format!("zone-of-{name}"),
        available: true,
        free_addresses: 200,
        ipv4: true,
        ipv6: false,
        outpost: false,
        no_internet: false,
    };
    SubnetFacts { subnet, way: if public { WayOut::InternetGateway } else { WayOut::Nat } }
}

/// `sg-NAME`, named NAME, with the tag `for`.
fn group(name: &str) -> SecurityGroup {
    SecurityGroup {
        id: SecurityGroupId::parse(&format!("sg-{name}")).unwrap(),
        vpc: vpc_id("vpc-1"),
        name: name.to_owned(),
        tags: tags(&[("for", name)]),
        lets_out: Some(true),
        owner: None,
    }
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn error(class: Class) -> CloudError {
    CloudError::local(Operation::UpdateFunctionConfiguration, class, "Code", "text")
}

fn failed(class: Class) -> Answer {
    Answer::Failed(error(class))
}

fn attach_step() -> Step {
    Step::AttachPolicy { key: key("api"), role: role_arn("api"), policy: policy(POLICY) }
}

fn set_step() -> Step {
    Step::SetVpc { key: key("api"), from: Arc::default(), to: home(), revision: RevisionId::parse("r1").ok() }
}

/// `none`, or subnets and groups: `subnet-a,subnet-b/sg-default`, with `+ipv6` where that is allowed.
fn in_words(network: &Network) -> String {
    let Network { subnets, security_groups, ipv6 } = network;
    let subnets: Vec<&str> = subnets.iter().map(SubnetId::as_str).collect();
    let groups: Vec<&str> = security_groups.iter().map(SecurityGroupId::as_str).collect();
    let lists = match network.is_attached() {
        true => format!("{}/{}", subnets.join(","), groups.join(",")),
        false => "none".to_owned(),
    };
    format!("{lists}{}", if *ipv6 { "+ipv6" } else { "" })
}

/// A policy's name, without what all of AWS's own names have around it: `VPCAccess`.
fn short(policy: &PolicyArn) -> &str {
    policy.short().trim_start_matches("AWSLambda").trim_end_matches("ExecutionRole")
}

/// `waiting Settling for 40s`, `retry Throttled after 7s`, `unread Timeout`, `blocked PolicyMissing`, `in sync`.
fn told(outcome: &Outcome, now: Time) -> String {
    let until = |until: &Option<Time>| until.map(|until| format!(" for {}s", until.since(now).as_secs()));
    match outcome {
        Outcome::InSync => "in sync".to_owned(),
        Outcome::Waiting { why, until: end } => {
            format!("waiting {:?}{}", why.reason, until(end).unwrap_or_default())
        }
        Outcome::Retry { why, after } => {
            let after = after.map(|after| format!(" after {}s", after.as_secs()));
            format!("retry {:?}{}", why.reason, after.unwrap_or_default())
        }
        Outcome::Unread { why, after, seen } => {
            let after = after.map(|after| format!(" after {}s", after.as_secs()));
            format!("{} {:?}{}", if *seen { "unread" } else { "unknown" }, why.reason, after.unwrap_or_default())
        }
        Outcome::Blocked { why, until: end } => {
            format!("blocked {:?}{}", why.reason, until(end).unwrap_or_default())
        }
    }
}

/// `attach VPCAccess (Simulated); set none -> subnet-a,subnet-b/sg-default`, or what is told of the outcome.
fn compared(verdict: &Verdict, now: Time) -> String {
    let change = match verdict {
        Verdict::InSync => return "in sync".to_owned(),
        Verdict::Stuck(outcome) => return told(outcome, now),
        Verdict::Differs(change) => change,
    };
    let Change { key: _, cause: _, attach, attach_if_refused, network } = change;
    let attach = attach.iter().map(|one| format!("attach {} ({:?})", short(&one.policy), one.evidence));
    let perhaps = attach_if_refused.iter().map(|one| format!("perhaps {} ({:?})", short(&one.policy), one.evidence));
    let network = network.iter().map(|change| format!("set {} -> {}", in_words(&change.from), in_words(&change.to)));
    attach.chain(perhaps).chain(network).collect::<Vec<_>>().join("; ")
}

/// `attach VPCAccess to api`, `set none -> subnet-a,subnet-b/sg-default`, what is told of the outcome, or `nothing`.
fn decided(decision: Option<&Decision>, now: Time) -> String {
    match decision {
        None => "nothing".to_owned(),
        Some(Decision::Rest(outcome)) => told(outcome, now),
        Some(Decision::Do(Step::AttachPolicy { key: _, role, policy })) => {
            format!("attach {} to {}", short(policy), role.key().name)
        }
        Some(Decision::Do(Step::SetVpc { key: _, from, to, revision: _ })) => {
            format!("set {} -> {}", in_words(from), in_words(to))
        }
    }
}
