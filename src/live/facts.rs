//! What is known of AWS, as data. Shaped like a sweep's answer: by scope, with roles beside, since those are global.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Published, PublishedByName};
use crate::cloud::{CloudError, Function, Identity, Interface, RouteTable, SecurityGroup, Simulated, Subnet, Vpc};
use crate::names::{
    AccountId, FunctionKey, FunctionName, Pair, PolicyArn, PolicyName, RoleArn, RoleKey, Scope, Time, VpcId,
};

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

/// Why something is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody has looked yet.
    Unread,
    /// The credentials for an account belong to another one; the one they belong to.
    WrongAccount(AccountId),
    /// The read failed.
    Failed(Box<CloudError>),
}

impl From<CloudError> for Fault {
    fn from(error: CloudError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl Fault {
    /// How long AWS asks to wait before the next try.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Failed(error) => error.retry_after,
            Self::Unread | Self::WrongAccount(_) => None,
        }
    }
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// By account and region.
    pub scopes: BTreeMap<Scope, ScopeFacts>,
    /// The execution roles of the functions, by account.
    pub roles: BTreeMap<RoleKey, Seen<RoleFacts>>,
    /// When a function was looked at by itself, after the last sweep.
    pub looked_at: BTreeMap<FunctionKey, Time>,
}

/// What is known of one scope.
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

/// A VPC with what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VpcFacts {
    /// The VPC itself.
    pub vpc: Vpc,
    /// Its subnets.
    pub subnets: Vec<SubnetFacts>,
    /// Its security groups.
    pub security_groups: Vec<SecurityGroup>,
    /// The pairs that Lambda has made an interface for.
    pub interfaces: Seen<BTreeSet<Pair>>,
}

/// A subnet and whether it leads to the internet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetFacts {
    /// The subnet itself.
    pub subnet: Subnet,
    /// Whether its route table has a route to an internet gateway.
    pub public: bool,
}

impl VpcFacts {
    /// Puts together what EC2 answered in five lists. Without the last one a VPC is still good enough to decide on.
    pub fn assemble(
        vpc: Vpc,
        subnets: &[Subnet],
        tables: &[RouteTable],
        groups: &[SecurityGroup],
        interfaces: &Result<Vec<Interface>, CloudError>,
    ) -> Self {
        let tables: Vec<&RouteTable> = tables.iter().filter(|table| table.vpc == vpc.id).collect();
        let main = tables.iter().find(|table| table.main);
        let public = |subnet: &Subnet| {
            let own = tables.iter().find(|table| table.subnets.contains(&subnet.id));
            own.or(main).is_some_and(|table| table.internet_gateway)
        };
        Self {
            subnets: subnets
                .iter()
                .filter(|subnet| subnet.vpc == vpc.id)
                .map(|subnet| SubnetFacts { public: public(subnet), subnet: subnet.clone() })
                .collect(),
            security_groups: groups.iter().filter(|group| group.vpc == vpc.id).cloned().collect(),
            interfaces: match interfaces {
                Ok(all) => Seen::Present(all.iter().filter(|it| it.vpc == vpc.id).map(|it| it.pair.clone()).collect()),
                Err(error) => Seen::Unknown(error.clone().into()),
            },
            vpc,
        }
    }
}

impl Facts {
    /// What is known of a function.
    pub fn function(&self, key: &FunctionKey) -> &Seen<Function> {
        let scope = self.scopes.get(&key.scope);
        scope.and_then(|scope| scope.functions.get(&key.name)).unwrap_or(&Seen::Unknown(Fault::Unread))
    }

    /// The VPC that a function was last seen in.
    pub fn vpc_of(&self, key: &FunctionKey) -> Option<&VpcId> {
        match self.function(key) {
            Seen::Present(function) => function.vpc.as_ref(),
            Seen::Absent | Seen::Unknown(_) => None,
        }
    }

    /// What is known of a VPC.
    pub fn vpc(&self, scope: &Scope, id: &VpcId) -> &Seen<VpcFacts> {
        let scope = self.scopes.get(scope);
        scope.and_then(|scope| scope.vpcs.get(id)).unwrap_or(&Seen::Unknown(Fault::Unread))
    }

    /// What was published of a function; absent if nothing was.
    pub fn published(&self, key: &FunctionKey) -> Seen<&Published> {
        match self.scopes.get(&key.scope).map(|scope| &scope.published) {
            Some(Seen::Present(all)) => {
                all.get(&key.name).map_or(Seen::Absent, |published| Seen::Present(&**published))
            }
            Some(Seen::Unknown(fault)) => Seen::Unknown(fault.clone()),
            Some(Seen::Absent) | None => Seen::Unknown(Fault::Unread),
        }
    }

    /// What is known of a role.
    pub fn role(&self, key: &RoleKey) -> &Seen<RoleFacts> {
        self.roles.get(key).unwrap_or(&Seen::Unknown(Fault::Unread))
    }

    /// Takes over what a sweep of one scope found. What was looked at since the sweep began is newer and stays, and so
    /// do functions that it was not asked for, and the roles of other scopes.
    pub fn surveyed(&mut self, found: super::Surveyed) {
        let super::Surveyed { scope, mut facts, roles } = found;
        self.roles.extend(roles);
        if let Some(before) = self.scopes.remove(&scope) {
            // What was published stays published; a sweep that could not list knows nothing better.
            if let (Seen::Unknown(Fault::Failed(_)), Seen::Present(_)) = (&facts.published, &before.published) {
                facts.published = before.published;
            }
            for (name, function) in before.functions {
                let key = FunctionKey { scope: scope.clone(), name };
                if self.looked_at.get(&key).is_some_and(|at| *at >= facts.at) {
                    facts.functions.insert(key.name, function);
                } else {
                    facts.functions.entry(key.name).or_insert(function);
                }
            }
        }
        self.looked_at.retain(|key, at| key.scope != scope || *at >= facts.at);
        self.scopes.insert(scope, facts);
    }

    /// Forgets a function that nobody asks for any more.
    pub fn forget(&mut self, key: &FunctionKey) {
        self.looked_at.remove(key);
        if let Some(scope) = self.scopes.get_mut(&key.scope) {
            scope.functions.remove(&key.name);
            if let Seen::Present(published) = &mut scope.published {
                published.remove(&key.name);
            }
        }
    }

    /// Forgets the scopes that nobody asks for any more.
    pub fn keep_scopes(&mut self, wanted: impl Fn(&Scope) -> bool) {
        self.scopes.retain(|scope, _| wanted(scope));
    }

    /// A function was changed since it was seen, or may have been: its revision is another one.
    pub fn outdated(&mut self, key: &FunctionKey) {
        let scope = self.scopes.get_mut(&key.scope);
        if let Some(Seen::Present(function)) = scope.and_then(|scope| scope.functions.get_mut(&key.name)) {
            function.revision = None;
        }
    }

    /// Takes over what a look at one function found.
    pub fn looked(&mut self, key: &FunctionKey, found: super::Looked, now: Time) {
        self.looked_at.insert(key.clone(), now);
        if let Some(scope) = self.scopes.get_mut(&key.scope) {
            scope.functions.insert(key.name.clone(), found.function);
        }
        self.roles.extend(found.role);
    }
}
