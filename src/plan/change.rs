//! What differs between the file and AWS for one function.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reason::{Outcome, Reason, Why};
use super::rollout::new_pairs;
use super::{Behind, Bound, Limits, World, behind, egress, preflight};
use crate::cloud::{Class, Exclusion, Function, Simulated, State, Update};
use crate::desired::{AttachPolicy, Entry, Intent, Want};
use crate::live::{Fault, RoleFacts, Seen};
use crate::names::{FunctionKey, Network, Pair, PolicyArn, RoleArn, SecurityGroupId, SubnetId};

/// What differs for one function: printed, counted, agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The function.
    #[serde(flatten)]
    pub key: FunctionKey,
    /// Why it differs.
    pub cause: Cause,
    /// The policies that its role has to get.
    pub attach: Vec<Attach>,
    /// The policies that its role gets if Lambda refuses without them.
    pub attach_if_refused: Vec<Attach>,
    /// The network that it has to get.
    pub network: Option<NetworkChange>,
}

/// A policy for a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attach {
    /// The role.
    #[serde(serialize_with = "arn")]
    pub role: RoleArn,
    /// The policy.
    pub policy: PolicyArn,
    /// What shows that it is needed.
    pub evidence: Evidence,
}

fn arn<S: serde::Serializer>(role: &RoleArn, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(role.as_str())
}

/// What shows that a policy is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The file says `attach_policy = "always"`, and the policy is not on the role.
    Demanded,
    /// The policy is not on the role, and a simulation says that the right is missing.
    Simulated,
    /// The policy is not on the role, and Lambda refused.
    Refused,
    /// None: the policy is not on the role, and nobody could say whether the right is missing.
    Unknown,
    /// None: the policy is not on the role, but a simulation says that the right is there.
    Doubted,
}

/// A function's network before and after.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NetworkChange {
    /// What it has.
    pub from: Arc<Network>,
    /// What it gets.
    pub to: Arc<Network>,
}

/// Why live differs from desired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The entry is new or was edited. Also where this process has not seen the function in sync yet.
    File,
    /// Somebody changed the function or its role.
    Live,
    /// Somebody changed the VPC, so that the entry now means other subnets or groups.
    Network,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::File, Self::Live, Self::Network];

    /// The name, as in metric labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Live => "live",
            Self::Network => "network",
        }
    }
}

/// What comparing gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The result.
    pub verdict: Verdict,
    /// What is doubtful about this function, in sentences.
    pub warnings: Vec<String>,
    /// What is doubtful about the network that its entry means, and so about that of all functions of the entry.
    pub network_warnings: Arc<[String]>,
    /// The pairs of the network to come for which no interface is known to be there.
    pub new_pairs: Arc<[Pair]>,
    /// The published versions that no change reaches; none if it is not known which there are, or where they should run.
    pub behind: Option<Behind>,
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No difference.
    InSync,
    /// A difference.
    Differs(Change),
    /// It cannot be compared, or must not be changed.
    Stuck(Outcome),
}

impl Verdict {
    /// Whether nobody can tell what differs, since something could not be read.
    pub fn is_unread(&self) -> bool {
        matches!(self, Self::Stuck(Outcome::Unread { .. }))
    }
}

impl Comparison {
    fn stuck(outcome: Outcome) -> Self {
        Self {
            verdict: Verdict::Stuck(outcome),
            warnings: Vec::new(),
            network_warnings: Arc::default(),
            new_pairs: Arc::default(),
            behind: None,
        }
    }

    /// All that is doubtful.
    pub fn all_warnings(&self) -> impl Iterator<Item = &String> {
        self.network_warnings.iter().chain(&self.warnings)
    }
}

/// Compares what the file says of a function with what AWS said.
pub fn compare(w: &World<'_>, entry: &Entry) -> Comparison {
    let (function, bound) = match wanted(w, entry) {
        Ok(wanted) => wanted,
        Err(outcome) => return Comparison::stuck(outcome),
    };
    let behind = behind::behind(w, &entry.key.name, &bound);
    let to = bound.for_one_with(&function.network);
    let mut warnings = w.aged(entry, function);
    warnings.extend(bound.loses_ipv6(&function.network));
    warnings.extend(doubts(function, &to));
    let network_warnings = bound.warnings;
    match differing(w, entry, function, to, &mut warnings) {
        Ok((verdict, new_pairs)) => {
            warnings.extend(behind.iter().filter_map(Behind::warning));
            Comparison { verdict, warnings, network_warnings, new_pairs, behind }
        }
        Err(outcome) => Comparison { behind, ..Comparison::stuck(outcome) },
    }
}

/// The function as it is, and what the entry means now.
fn wanted<'a>(w: &World<'a>, entry: &Entry) -> Result<(&'a Function, Bound), Outcome> {
    if let Want::Disputed(patterns) = &entry.terms.want {
        let all: Vec<String> = patterns.iter().map(|pattern| format!("`{pattern}`")).collect();
        return Err(Outcome::blocked(Reason::AmbiguousPattern, all.join(" and ")));
    }
    right_account(w, entry)?;
    let function = match w.function(&entry.key.name) {
        Seen::Unknown(fault) => return Err(Outcome::unknown(&fault)),
        seen => known(seen, || Why::new(Reason::FunctionNotFound, entry.key.to_string()))?,
    };
    manageable(entry, function)?;
    Ok((function, target(w, entry)?))
}

/// What is worth knowing of a function before it is moved, or though it is where it should be.
fn doubts(function: &Function, to: &Network) -> impl Iterator<Item = String> {
    let idle = matches!(function.life.as_deref(), Some(life) if life.state == State::Inactive);
    let idle = idle.then(|| {
        "Lambda has set it to Inactive, since nobody has called it for weeks: its network interfaces are gone, and the next call \
         fails while they come back"
            .to_owned()
    });
    let moves = *function.network != *to && !function.mounts.is_empty();
    let mounts = moves.then(|| {
        let all = function.mounts.join(" and ");
        format!("it mounts {all}: the file system needs a mount target there, and the groups have to let it through (port 2049)")
    });
    idle.into_iter().chain(mounts)
}

/// What differs, and the pairs that need new interfaces.
fn differing(
    w: &World<'_>,
    entry: &Entry,
    function: &Function,
    to: Arc<Network>,
    warnings: &mut Vec<String>,
) -> Result<(Verdict, Arc<[Pair]>), Outcome> {
    let attaching = function.network != to;
    leavable(function, &to)?;
    if attaching && to.is_attached() && !function.network.is_attached() {
        not_of_edge(w, function, warnings)?;
    }
    let (attach, attach_if_refused) = match to.is_attached() {
        true => {
            let place = if attaching { Place::Elsewhere } else { Place::of(function) };
            policies(w, entry, function, place, warnings).map_err(|outcome| without_policies(outcome, function, &to))?
        }
        false => (Vec::new(), Vec::new()),
    };
    if !attaching && attach.is_empty() {
        return Ok((Verdict::InSync, Arc::default()));
    }
    allowed(w, entry, &attach)?;
    let new_pairs = if attaching { new_pairs(w, entry, &to) } else { Arc::default() };
    if let (Want::Attached(intent), false) = (&entry.terms.want, new_pairs.is_empty())
        && let Seen::Present(vpc) = w.facts.vpc(&intent.vpc)
    {
        let doubts = preflight::check(vpc, &new_pairs).map_err(|why| Outcome::Blocked { why, until: None })?;
        warnings.extend(doubts);
    }
    if attaching {
        warnings.extend(egress::loss(w, entry, function, &to));
    }
    let attach_if_refused = attach_if_refused.into_iter().filter(|attach| not_allowed(w, attach).is_none()).collect();
    let cause = w.memory.cause(&w.desired.digest, entry, &function.network, &to);
    let network = attaching.then(|| NetworkChange { from: function.network.clone(), to });
    let change = Change { key: entry.key.clone(), cause, attach, attach_if_refused, network };
    Ok((Verdict::Differs(change), new_pairs))
}

/// Where IAM alone does not answer, what is known of the network is told all the same.
fn without_policies(outcome: Outcome, function: &Function, to: &Network) -> Outcome {
    let Outcome::Unread { why, after, seen } = outcome else { return outcome };
    if why.reason == Reason::Unread {
        return Outcome::Unread { why, after, seen };
    }
    let network = match *function.network == *to {
        true => "its network is as it should be".to_owned(),
        false => {
            let ids: Vec<&str> = to.subnets.iter().map(SubnetId::as_str).collect();
            let groups: Vec<&str> = to.security_groups.iter().map(SecurityGroupId::as_str).collect();
            format!("its network is to become {} with {}", ids.join(", "), groups.join(", "))
        }
    };
    let role = &function.role.key().name;
    let detail = format!("{}; IAM does not tell the policies of role {role}; {network}", why.detail);
    Outcome::Unread { why: Why::new(why.reason, detail), after, seen }
}

/// Nothing is believed, and so nothing decided, where the credentials have not been seen to be of the entry's account.
fn right_account(w: &World<'_>, entry: &Entry) -> Result<(), Outcome> {
    let fault = match w.identity() {
        Seen::Present(identity) if identity.account == entry.key.scope.account => return Ok(()),
        Seen::Present(identity) => Fault::WrongAccount(identity.account.clone()),
        Seen::Unknown(fault) => fault,
        Seen::Absent => Fault::Unread,
    };
    Err(Outcome::unknown(&fault))
}

/// The fact itself; an absence is blocked for the given reason. What is not known is so of a function that is known.
fn known<T>(seen: Seen<&T>, absent: impl FnOnce() -> Why) -> Result<&T, Outcome> {
    match seen {
        Seen::Present(value) => Ok(value),
        Seen::Absent => Err(Outcome::Blocked { why: absent(), until: None }),
        Seen::Unknown(fault) => Err(incomplete(&fault)),
    }
}

/// A function that is known, but not what it should be like.
pub(super) fn incomplete(fault: &Fault) -> Outcome {
    Outcome::Unread { why: Why::unread(fault), after: fault.retry_after(), seen: true }
}

fn manageable(entry: &Entry, function: &Function) -> Result<(), Outcome> {
    match function.excluded.as_deref() {
        Some(Exclusion::CapacityProvider(arn)) => return Err(Outcome::blocked(Reason::CapacityProvider, arn)),
        Some(Exclusion::EdgeReplica(arn)) => return Err(Outcome::blocked(Reason::EdgeReplica, arn)),
        None => {}
    }
    if let Some(State::Failed(failure)) = function.life.as_ref().map(|life| &life.state) {
        return Err(Outcome::blocked(Reason::CreationFailed, format!("{}: {}", failure.code, failure.text)));
    }
    if function.role.key().account != entry.key.scope.account {
        return Err(Outcome::blocked(Reason::RoleElsewhere, function.role.as_str()));
    }
    Ok(())
}

/// Lambda lets no function out of its VPC that mounts a file system.
fn leavable(function: &Function, to: &Network) -> Result<(), Outcome> {
    match function.mounts.is_empty() || to.is_attached() || !function.network.is_attached() {
        true => Ok(()),
        false => Err(Outcome::blocked(Reason::FileSystemMounted, function.mounts.join(" and "))),
    }
}

/// No function of Lambda@Edge can be in a VPC: CloudFront would refuse its next version.
fn not_of_edge(w: &World<'_>, function: &Function, warnings: &mut Vec<String>) -> Result<(), Outcome> {
    let Seen::Present(RoleFacts { edge: Some(edge), .. }) = w.role(function.role.key()) else {
        return Ok(());
    };
    let name = &function.role.key().name;
    match edge.trusted {
        Some(true) => Err(Outcome::blocked(Reason::EdgeMaster, format!("role {name} trusts edgelambda.amazonaws.com"))),
        Some(false) => Ok(()),
        None => {
            warnings.push(format!(
                "whether role {name} is one of Lambda@Edge cannot be read (iam:GetRole); if it is, CloudFront takes no version \
                 of this function any more"
            ));
            Ok(())
        }
    }
}

/// The network that the entry means now.
fn target(w: &World<'_>, entry: &Entry) -> Result<Bound, Outcome> {
    let Want::Attached(intent) = &entry.terms.want else { return Ok(Bound::none()) };
    let vpc =
        known(w.vpc(&intent.vpc), || Why::new(Reason::VpcNotFound, format!("{} in {}", intent.vpc, entry.key.scope)))?;
    w.bound.bind(intent, vpc, &entry.key.scope.account).map_err(|why| Outcome::Blocked { why, until: None })
}

/// What each VPC entry means now; none where that cannot be told.
pub fn targets(w: &World<'_>) -> BTreeMap<Arc<Intent>, Option<Arc<Network>>> {
    let mut targets = BTreeMap::new();
    for entry in &w.desired.entries {
        if let Want::Attached(intent) = &entry.terms.want
            && !targets.contains_key(intent)
        {
            targets.insert(Arc::clone(intent), target(w, entry).ok().map(|bound| bound.network));
        }
    }
    targets
}

type Attaches = (Vec<Attach>, Vec<Attach>);

/// What a function that is to be in a VPC shows of its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is not there yet: its role has to make interfaces.
    Elsewhere,
    /// It is there, and works: its role suffices, whatever a simulation says of it.
    There,
    /// It is there, but Lambda gave its last update up for its role's sake.
    Refused,
}

impl Place {
    /// Of a function that is where it shall be.
    fn of(function: &Function) -> Self {
        match function.life.as_ref().map(|life| &life.update) {
            Some(Update::Failed(failure)) if failure.class() == Class::RoleDenied => Self::Refused,
            _ => Self::There,
        }
    }
}

/// The policies that the role has to get, and those that it gets if Lambda refuses without them.
fn policies(
    w: &World<'_>,
    entry: &Entry,
    function: &Function,
    place: Place,
    warnings: &mut Vec<String>,
) -> Result<Attaches, Outcome> {
    let role = w.role(function.role.key());
    if entry.terms.attach_policy == AttachPolicy::Never && matches!(role, Seen::Unknown(_)) {
        warnings.push(format!("the policies of role {} cannot be read", function.role.key().name));
        return Ok(Attaches::default());
    }
    let role = known(role, || Why::new(Reason::RoleNotFound, function.role.as_str()))?;
    // An entry that was edited may ask for policies that the role was not asked about.
    if !role.tells_of(&entry.terms.policies, &function.role) {
        return Err(incomplete(&Fault::Unread));
    }
    let missing = missing(w, entry, function, role);
    if missing.is_empty() {
        return Ok(Attaches::default());
    }
    let attach = |evidence| {
        let one = |policy: &PolicyArn| Attach { role: function.role.clone(), policy: policy.clone(), evidence };
        missing.iter().map(one).collect::<Vec<_>>()
    };
    let said = role.simulation.map(|simulation| simulation.said);
    let refused = w.memory.shown_to_lack_right(&entry.key, w.now);
    Ok(match (entry.terms.attach_policy, said) {
        (AttachPolicy::Always, _) => (attach(Evidence::Demanded), Vec::new()),
        _ if place == Place::There => Attaches::default(),
        (AttachPolicy::WhenNeeded, _) if refused => (attach(Evidence::Refused), Vec::new()),
        (AttachPolicy::WhenNeeded, Some(Simulated::Missing)) => (attach(Evidence::Simulated), Vec::new()),
        (AttachPolicy::WhenNeeded, Some(Simulated::Allowed)) => (Vec::new(), attach(Evidence::Doubted)),
        (AttachPolicy::WhenNeeded, _) => (Vec::new(), attach(Evidence::Unknown)),
        (AttachPolicy::Never, Some(Simulated::Missing)) => {
            let text = format!("role {} may not make network interfaces", function.role.key().name);
            warnings.push(format!("{text}, and attach_policy = \"never\""));
            Attaches::default()
        }
        (AttachPolicy::Never, _) => Attaches::default(),
    })
}

/// The wanted policies that are not on the role, each once, even if the entry has it by ARN and by name. One that this
/// process attached counts as there: IAM's reads lag.
pub(super) fn missing(w: &World<'_>, entry: &Entry, function: &Function, role: &RoleFacts) -> Vec<PolicyArn> {
    let wanted = entry.terms.policies.iter().map(|policy| policy.for_role(&function.role));
    let there = |policy: &PolicyArn| {
        role.attached.contains(policy) || w.memory.just_attached(function.role.key(), policy, role.at)
    };
    let mut missing: Vec<PolicyArn> = Vec::new();
    for policy in wanted.filter(|policy| !there(policy)) {
        if !missing.contains(&policy) {
            missing.push(policy);
        }
    }
    missing
}

/// Why the operator's settings refuse what is wanted, no matter what is found in AWS; none if they do not.
pub fn refused(limits: &Limits, want: &Want) -> Option<Why> {
    match want {
        Want::Disputed(_) => None,
        Want::Detached => (!limits.allow_detach).then(|| Why::new(Reason::DetachNotAllowed, "")),
        Want::Attached(intent) => {
            let allowed = limits.allowed_vpcs.as_ref().is_none_or(|vpcs| vpcs.contains(&intent.vpc));
            (!allowed).then(|| Why::new(Reason::VpcNotAllowed, intent.vpc.to_string()))
        }
    }
}

/// What the operator's settings refuse, no matter what the file says.
fn allowed(w: &World<'_>, entry: &Entry, attach: &[Attach]) -> Result<(), Outcome> {
    if let Some(why) = refused(w.limits, &entry.terms.want) {
        return Err(Outcome::Blocked { why, until: None });
    }
    match attach.iter().find_map(|attach| not_allowed(w, attach)) {
        Some(why) => Err(Outcome::Blocked { why, until: None }),
        None => Ok(()),
    }
}

/// Why a policy may not be attached to a role, no matter what the file says; none if it may.
fn not_allowed(w: &World<'_>, Attach { role, policy, .. }: &Attach) -> Option<Why> {
    let Limits { allowed_policies, allowed_roles, own_roles, .. } = w.limits;
    let session = match w.identity() {
        Seen::Present(identity) => identity.role(),
        Seen::Absent | Seen::Unknown(_) => None,
    };
    if own_roles.iter().chain(&session).any(|own| own.is(role.key())) {
        return Some(Why::new(Reason::OwnRole, role.as_str()));
    }
    if allowed_roles.as_ref().is_some_and(|roles| !roles.iter().any(|allowed| allowed.fits(role))) {
        return Some(Why::new(Reason::RoleNotAllowed, role.as_str()));
    }
    let allowed = allowed_policies.iter().any(|allowed| allowed.for_role(role) == *policy);
    (!allowed).then(|| Why::new(Reason::PolicyNotAllowed, policy.to_string()))
}

impl Change {
    /// Whether agreeing to this agrees to `now` as well: the same network from the same before, no further policy.
    pub fn covers(&self, now: &Self) -> bool {
        let agreed = |wanted: &Attach| {
            let same = |attach: &Attach| (&attach.role, &attach.policy) == (&wanted.role, &wanted.policy);
            self.attach.iter().chain(&self.attach_if_refused).any(same)
        };
        let network = now.network.is_none() || self.network == now.network;
        network && now.attach.iter().chain(&now.attach_if_refused).all(agreed)
    }
}
