//! What is known of one account and region, as data. Shaped like a sweep's answer, with roles beside, which single looks read too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Published, PublishedByName, WayOut};
use crate::cloud::{CloudError, Function, Identity, Interface, RouteTable, SecurityGroup, Simulated, Subnet, Vpc};
use crate::names::{AccountId, FunctionName, Pair, PolicyArn, PolicyName, RoleArn, RoleKey, Time, VpcId};

/// A fact: seen, known to be absent, or not known. The last two are never mixed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// It is there, and so.
    Present(T),
    /// AWS answered that it is not there.
    Absent,
    /// It was not read, or the read failed.
    Unknown(Fault),
}

impl<T> Seen<T> {
    /// The same of a reference.
    pub fn as_ref(&self) -> Seen<&T> {
        match self {
            Self::Present(value) => Seen::Present(value),
            Self::Absent => Seen::Absent,
            Self::Unknown(fault) => Seen::Unknown(fault.clone()),
        }
    }
}

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody has looked yet.
    Unread,
    /// A listing that AWS gave in full does not have it, and nobody asked about it by itself.
    NotListed,
    /// The credentials for an account belong to another one; the one they belong to.
    WrongAccount(AccountId),
    /// The read failed. Of a listing, for thousands of functions at once.
    Failed(Arc<CloudError>),
}

impl From<CloudError> for Fault {
    fn from(error: CloudError) -> Self {
        Self::Failed(Arc::new(error))
    }
}

impl Fault {
    /// How long AWS asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed(error) => error.retry_after,
            Self::Unread | Self::NotListed | Self::WrongAccount(_) => None,
        }
    }
}

/// All that is known of one scope; the caller knows which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What sweeps found; none before the first.
    pub swept: Option<ScopeFacts>,
    /// The execution roles of the functions. A role that functions of two regions share is known in each by itself: they may
    /// have to know other things of it.
    pub roles: BTreeMap<RoleKey, Seen<RoleFacts>>,
    /// The roles that could not be read when that was last tried, and are known from before, and why not.
    pub old_roles: BTreeMap<RoleKey, Fault>,
    /// Who else those functions belong to that somebody sets back, in words; none where their tags do not tell, or were not
    /// read yet.
    pub owners: BTreeMap<FunctionName, Option<String>>,
    /// When a function was looked at by itself, after the last sweep.
    pub looked_at: BTreeMap<FunctionName, Time>,
}

/// What could not be read when that was last tried, and is known from before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Old {
    /// When it was last read.
    pub at: Time,
    /// Why it could not be read since.
    pub fault: Fault,
}

/// What of a scope is older than its last sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OldFacts {
    /// Whose credentials are used.
    pub identity: Option<Old>,
    /// Functions.
    pub functions: BTreeMap<FunctionName, Old>,
    /// VPCs.
    pub vpcs: BTreeMap<VpcId, Old>,
}

/// What sweeps found in one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeFacts {
    /// Whose credentials are used there.
    pub identity: Seen<Identity>,
    /// The functions that somebody asked for.
    pub functions: BTreeMap<FunctionName, Seen<Function>>,
    /// The VPCs that somebody asked for.
    pub vpcs: BTreeMap<VpcId, Seen<VpcFacts>>,
    /// How many pages of the listing have to be read there, at least; none if nobody has tried.
    pub pages: Option<usize>,
    /// Whether all functions there have been listed.
    pub listed: Seen<()>,
    /// What was published of the functions that somebody asked for; unread where nobody wants to know.
    pub published: Seen<PublishedByName>,
    /// When the sweep began.
    pub at: Time,
    /// When it read the VPCs.
    pub vpcs_at: Time,
    /// How long the last sweep took that could list the functions.
    pub took: Duration,
    /// What it could not read, and is known from before.
    pub old: OldFacts,
}

/// What is known of an execution role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleFacts {
    /// The managed policies on it, of those that were asked about.
    pub attached: BTreeSet<PolicyArn>,
    /// Which were asked about.
    pub asked: Asked,
    /// Whether a simulation lets it make network interfaces; asked only where the policy is not on it.
    pub simulation: Option<Simulation>,
    /// Whether Lambda@Edge may assume it; asked only where a function that has it could be one of Lambda@Edge's.
    pub edge: Option<EdgeTrust>,
    /// When it was read.
    pub at: Time,
}

/// Which policies a role was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All that are on it.
    All,
    /// Whether these are on it.
    Only(Arc<BTreeSet<PolicyArn>>),
}

impl RoleFacts {
    /// Whether a policy is on the role; none if that was not asked.
    pub fn has(&self, policy: &PolicyArn) -> Option<bool> {
        let known = match &self.asked {
            Asked::All => true,
            Asked::Only(policies) => policies.contains(policy),
        };
        known.then(|| self.attached.contains(policy))
    }

    /// Whether the role was asked about all of these policies.
    pub fn tells_of(&self, policies: &[PolicyName], role: &RoleArn) -> bool {
        policies.iter().all(|policy| self.has(&policy.for_role(role)).is_some())
    }

    /// Whether nothing is seen to have changed about these policies since.
    pub(super) fn agrees_on(&self, mut policies: impl Iterator<Item = PolicyArn>, before: &Self) -> bool {
        match (&self.asked, &before.asked) {
            (Asked::All, Asked::All) => self.attached == before.attached,
            _ => policies.all(|policy| self.has(&policy) == before.has(&policy)),
        }
    }
}

/// What a simulation said, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// What it said.
    pub said: Simulated,
    /// When it was asked. An answer is used again only for a while, and only with the same policies on the role.
    pub at: Time,
}

/// Whether Lambda@Edge may assume a role, and when that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeTrust {
    /// Whether it may; none where the controller may not know.
    pub trusted: Option<bool>,
    /// When it was asked. The answer is used again for a while.
    pub at: Time,
}

/// A VPC with what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VpcFacts {
    /// The VPC itself.
    pub vpc: Vpc,
    pub subnets: Vec<SubnetFacts>,
    /// The security groups that can be used in it.
    pub security_groups: Vec<SecurityGroup>,
    /// The interfaces that Lambda has made in it.
    pub interfaces: Seen<Interfaces>,
    /// The services that it reaches by endpoints; read only where a subnet of it leads nowhere.
    pub endpoints: Seen<BTreeSet<String>>,
}

/// The network interfaces that Lambda made in a VPC: how many for each pair.
///
/// One serves 65 000 connections; under more load Lambda makes another for the same pair, and each counts towards the quota.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces(BTreeMap<Pair, usize>);

impl Interfaces {
    /// Whether there is one for a pair.
    pub fn serve(&self, pair: &Pair) -> bool {
        self.0.contains_key(pair)
    }

    /// How many there are in all.
    pub fn count(&self) -> usize {
        self.0.values().sum()
    }
}

impl FromIterator<Pair> for Interfaces {
    /// By the pair of each interface.
    fn from_iter<T: IntoIterator<Item = Pair>>(pairs: T) -> Self {
        let mut interfaces = BTreeMap::new();
        pairs.into_iter().for_each(|pair| *interfaces.entry(pair).or_default() += 1);
        Self(interfaces)
    }
}

/// A subnet and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetFacts {
    /// The subnet itself.
    pub subnet: Subnet,
    /// Where packets to the internet go.
    pub way: WayOut,
}

impl VpcFacts {
    /// Puts together what EC2 answered in five lists. Without the last one a VPC is still good enough to decide on.
    pub(super) fn assemble(vpc: Vpc, lists: &Listings) -> Self {
        let Listings { subnets, tables, groups, interfaces } = lists;
        let tables: Vec<&RouteTable> = tables.iter().filter(|table| table.vpc == vpc.id).collect();
        let main = tables.iter().find(|table| table.main);
        // In a VPC that another account shares no table is seen, and what cannot be seen is not private.
        let way = |subnet: &Subnet| {
            let own = tables.iter().find(|table| table.subnets.contains(&subnet.id));
            own.or(main).map_or(WayOut::Unseen, |table| WayOut::of(&table.routes))
        };
        Self {
            subnets: subnets
                .iter()
                .filter(|subnet| subnet.vpc == vpc.id)
                .map(|subnet| SubnetFacts { way: way(subnet), subnet: subnet.clone() })
                .collect(),
            security_groups: groups.iter().filter(|group| group.vpc == vpc.id).cloned().collect(),
            interfaces: match interfaces {
                Ok(all) => Seen::Present(all.iter().filter(|it| it.vpc == vpc.id).map(|it| it.pair.clone()).collect()),
                Err(error) => Seen::Unknown(error.clone().into()),
            },
            endpoints: Seen::Unknown(Fault::Unread),
            vpc,
        }
    }
}

/// What EC2 answered about some VPCs, in lists.
pub(super) struct Listings {
    pub subnets: Vec<Subnet>,
    pub tables: Vec<RouteTable>,
    pub groups: Vec<SecurityGroup>,
    pub interfaces: Result<Vec<Interface>, CloudError>,
}

/// What was known of a function still holds as long as its revision is the same, which changes with each update, at its end
/// as well, and when a function that was created becomes active: state and last update, which a listing does not show, and
/// when it was changed by our time, whatever the wall clock has been set to since.
fn still_the_same(now: &mut Seen<Function>, before: Seen<Function>) {
    if let (Seen::Present(now), Seen::Present(before)) = (now, before)
        && now.revision.is_some()
        && now.revision == before.revision
    {
        now.modified = before.modified;
        now.life = now.life.take().or(before.life);
    }
}

fn role_of(function: &Seen<Function>) -> Option<&RoleKey> {
    match function {
        Seen::Present(function) => Some(function.role.key()),
        Seen::Absent | Seen::Unknown(_) => None,
    }
}

impl Facts {
    /// What is known of a function.
    pub fn function(&self, name: &FunctionName) -> &Seen<Function> {
        let swept = self.swept.as_ref();
        swept.and_then(|swept| swept.functions.get(name)).unwrap_or(&Seen::Unknown(Fault::Unread))
    }

    /// The execution role that a function was last seen with.
    pub fn role_of(&self, name: &FunctionName) -> Option<&RoleKey> {
        role_of(self.function(name))
    }

    /// The VPC that a function was last seen in.
    pub fn vpc_of(&self, name: &FunctionName) -> Option<&VpcId> {
        match self.function(name) {
            Seen::Present(function) => function.vpc.as_ref(),
            Seen::Absent | Seen::Unknown(_) => None,
        }
    }

    /// What is known of a VPC.
    pub fn vpc(&self, id: &VpcId) -> &Seen<VpcFacts> {
        let swept = self.swept.as_ref();
        swept.and_then(|swept| swept.vpcs.get(id)).unwrap_or(&Seen::Unknown(Fault::Unread))
    }

    /// What was published of a function; absent if nothing was.
    pub fn published(&self, name: &FunctionName) -> Seen<&Published> {
        match self.swept.as_ref().map(|swept| &swept.published) {
            Some(Seen::Present(all)) => all.get(name).map_or(Seen::Absent, |published| Seen::Present(&**published)),
            Some(Seen::Unknown(fault)) => Seen::Unknown(fault.clone()),
            Some(Seen::Absent) | None => Seen::Unknown(Fault::Unread),
        }
    }

    /// What is known of a role.
    pub fn role(&self, key: &RoleKey) -> &Seen<RoleFacts> {
        self.roles.get(key).unwrap_or(&Seen::Unknown(Fault::Unread))
    }

    /// Why a role that is known from before could not be read since, if that is so.
    pub fn old_role(&self, key: &RoleKey) -> Option<&Fault> {
        self.old_roles.get(key)
    }

    /// When a function was last read, by a sweep or by itself; none if it never was.
    pub fn read_at(&self, name: &FunctionName) -> Option<Time> {
        if let Some(at) = self.looked_at.get(name) {
            return Some(*at);
        }
        let swept = self.swept.as_ref().filter(|swept| swept.functions.contains_key(name))?;
        Some(swept.old.functions.get(name).map_or(swept.at, |old| old.at))
    }

    /// When a VPC was last read; none if it never was.
    pub fn vpc_read_at(&self, id: &VpcId) -> Option<Time> {
        let swept = self.swept.as_ref().filter(|swept| swept.vpcs.contains_key(id))?;
        Some(swept.old.vpcs.get(id).map_or(swept.vpcs_at, |old| old.at))
    }

    /// Takes over what a sweep of the scope found. What was looked at since the sweep began is newer and stays, and so do
    /// functions that it was not asked for. What it could not read stays known from before, and is older.
    pub fn surveyed(&mut self, found: super::Surveyed) {
        let super::Surveyed { scope: _, mut facts, roles } = found;
        roles.into_iter().for_each(|(role, found)| self.role_read(role, found));
        if let Some(before) = self.swept.take() {
            facts.complete(before, &self.looked_at);
        }
        self.looked_at.retain(|_, at| *at >= facts.at);
        // A role that no function has any more is nothing to know.
        let used: BTreeSet<&RoleKey> = facts.functions.values().filter_map(role_of).collect();
        self.roles.retain(|role, _| used.contains(role));
        self.old_roles.retain(|role, _| used.contains(role));
        self.swept = Some(facts);
    }

    /// A role that cannot be read stays known from before.
    fn role_read(&mut self, role: RoleKey, found: Seen<RoleFacts>) {
        match (found, self.roles.get(&role)) {
            (Seen::Unknown(fault), Some(Seen::Present(_))) => {
                self.old_roles.insert(role, fault);
            }
            (found, _) => {
                self.old_roles.remove(&role);
                self.roles.insert(role, found);
            }
        }
    }

    /// Forgets a function that nobody asks for any more.
    pub fn forget(&mut self, name: &FunctionName) {
        self.owners.remove(name);
        self.looked_at.remove(name);
        if let Some(swept) = &mut self.swept {
            swept.functions.remove(name);
            swept.old.functions.remove(name);
            if let Seen::Present(published) = &mut swept.published {
                published.remove(name);
            }
        }
    }

    /// A function was changed since it was seen, or may have been: its revision is another one.
    pub fn outdated(&mut self, name: &FunctionName) {
        let swept = self.swept.as_mut();
        if let Some(Seen::Present(function)) = swept.and_then(|swept| swept.functions.get_mut(name)) {
            function.revision = None;
        }
    }

    /// Takes over what a look at one function found. If it could not be read, it stays known from before.
    pub fn looked(&mut self, name: &FunctionName, found: super::Looked, now: Time) {
        let super::Looked { function, role } = found;
        if let Some((role, found)) = role {
            self.role_read(role, found);
        }
        let known = self.read_at(name).filter(|_| !matches!(self.function(name), Seen::Unknown(_)));
        let Some(swept) = &mut self.swept else { return };
        match (function, known) {
            (Seen::Unknown(fault), Some(at)) => {
                swept.old.functions.insert(name.clone(), Old { at, fault });
            }
            (mut function, _) => {
                self.looked_at.insert(name.clone(), now);
                swept.old.functions.remove(name);
                if let Some(before) = swept.functions.remove(name) {
                    still_the_same(&mut function, before);
                }
                swept.functions.insert(name.clone(), function);
            }
        }
    }
}

impl From<super::Surveyed> for Facts {
    /// What is known after a single sweep.
    fn from(found: super::Surveyed) -> Self {
        let mut facts = Self::default();
        facts.surveyed(found);
        facts
    }
}

impl ScopeFacts {
    /// Adds to what a sweep found what it could not read and was known before. `looked_at` tells which functions were read
    /// by themselves since the sweep before, and when.
    fn complete(&mut self, before: Self, looked_at: &BTreeMap<FunctionName, Time>) {
        if let Seen::Unknown(Fault::Failed(_)) = self.listed {
            self.took = before.took;
        }
        // What was published stays published; a sweep that could not list knows nothing better.
        if let (Seen::Unknown(Fault::Failed(_)), Seen::Present(_)) = (&self.published, &before.published) {
            self.published = before.published;
        }
        if let (Seen::Unknown(fault), Seen::Present(_)) = (&self.identity, &before.identity) {
            let at = before.old.identity.map_or(before.at, |old| old.at);
            self.old.identity = Some(Old { at, fault: fault.clone() });
            self.identity = before.identity;
        }
        let mut old = before.old.functions;
        for (name, known) in before.functions {
            let (looked, old) = (looked_at.get(&name).copied(), old.remove(&name));
            let at = looked.unwrap_or(old.map_or(before.at, |old| old.at));
            let fault = match (self.functions.get(&name), &known) {
                _ if looked.is_some_and(|looked| looked >= self.at) => None,
                (Some(Seen::Present(_) | Seen::Absent), _) | (Some(Seen::Unknown(_)), Seen::Unknown(_)) => {
                    self.functions.entry(name).and_modify(|now| still_the_same(now, known));
                    continue;
                }
                (Some(Seen::Unknown(fault)), _) => Some(fault.clone()),
                (None, _) => Some(Fault::Unread),
            };
            self.old.functions.extend(fault.map(|fault| (name.clone(), Old { at, fault })));
            self.functions.insert(name, known);
        }
        for (id, known) in before.vpcs {
            if let (Some(Seen::Unknown(fault)), Seen::Present(_) | Seen::Absent) = (self.vpcs.get(&id), &known) {
                let at = before.old.vpcs.get(&id).map_or(before.vpcs_at, |old| old.at);
                self.old.vpcs.insert(id.clone(), Old { at, fault: fault.clone() });
                self.vpcs.insert(id, known);
            }
        }
    }
}

#[cfg(test)]
mod tests;
