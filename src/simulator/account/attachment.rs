//! What Lambda checks before it puts a function into a VPC, and the network interfaces that it then makes.
//!
//! Lambda looks at the network with the caller's rights and then tries the execution role, all before it answers. One
//! interface is made for each pair of subnet and set of security groups, however many functions share it; that is why
//! the first function of a pair waits and the next ones do not.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::function::{out_of_addresses, out_of_interfaces};
use super::quotas::{CREATE_INTERFACE, Taken};
use super::{Aws, AwsError, Configuration, Due, Interface, Quotas, Regional, VpcConfig};
use crate::cloud::{Failure, Service};
use crate::names::{AccountId, FunctionKey, Pair, RoleArn, ScopeKey, SecurityGroupId, SubnetId, Time};

/// The `VpcConfig` of a request. An omitted member keeps its value, an empty list clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct VpcConfigRequest {
    pub subnet_ids: Option<Vec<String>>,
    pub security_group_ids: Option<Vec<String>>,
    /// Whether outbound IPv6 is allowed.
    pub ipv6_allowed_for_dual_stack: Option<bool>,
}

impl VpcConfigRequest {
    /// No network at all.
    pub fn none() -> Self {
        let (subnet_ids, security_group_ids) = (Some(Vec::new()), Some(Vec::new()));
        Self { subnet_ids, security_group_ids, ipv6_allowed_for_dual_stack: Some(false) }
    }

    /// Whether a function that has this network would have it still after the request.
    pub(super) fn is_met_by(&self, has: &VpcConfig) -> bool {
        fn same<T: ToString>(wanted: &Option<Vec<String>>, has: &[T]) -> bool {
            let sorted = |ids: &mut dyn Iterator<Item = String>| ids.collect::<BTreeSet<_>>();
            wanted.as_ref().is_none_or(|wanted| {
                sorted(&mut wanted.iter().cloned()) == sorted(&mut has.iter().map(ToString::to_string))
            })
        }
        same(&self.subnet_ids, &has.subnets)
            && same(&self.security_group_ids, &has.security_groups)
            && self.ipv6_allowed_for_dual_stack.is_none_or(|ipv6| ipv6 == has.ipv6)
    }
}

/// What Lambda asks EC2 with the rights of whoever attaches a function: AWS's own list for that.
const ASKED_FOR_THE_CALLER: [&str; 4] =
    ["DescribeVpcs", "DescribeSubnets", "DescribeSecurityGroups", "GetSecurityGroupsForVpc"];

/// What Lambda calls as the execution role, in the order in which a missing right is reported. CreateNetworkInterface
/// is what everybody meets; that the other two are tried as well is not confirmed by AWS's documentation.
const NEEDED: [&str; 3] = ["CreateNetworkInterface", "DescribeNetworkInterfaces", "DeleteNetworkInterface"];

impl VpcConfigRequest {
    /// The checks of the service model, which come before everything else and know no other resource.
    pub(super) fn check_shape(&self, quotas: &Quotas) -> Result<(), AwsError> {
        let subnets = self.subnet_ids.as_deref().unwrap_or_default();
        let groups = self.security_group_ids.as_deref().unwrap_or_default();
        let digits = |rest: &str| rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let letters = |rest: &str| rest.bytes().all(|b| b.is_ascii_alphanumeric());
        let wrong: Vec<String> = [
            too_many("subnetIds", subnets, quotas.subnets),
            misshapen("subnetIds", subnets, "subnet-", "subnet-[0-9a-z]*", digits),
            too_many("securityGroupIds", groups, quotas.security_groups),
            misshapen("securityGroupIds", groups, "sg-", "sg-[0-9a-zA-Z]*", letters),
        ]
        .into_iter()
        .flatten()
        .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let plural = if wrong.len() == 1 { "" } else { "s" };
        let text = format!("{} validation error{plural} detected: {}", wrong.len(), wrong.join("; "));
        Err(AwsError::new(400, "ValidationException", text))
    }
}

fn too_many(member: &str, ids: &[String], most: usize) -> Option<String> {
    (ids.len() > most).then(|| {
        format!(
            "Value '[{}]' at 'vpcConfig.{member}' failed to satisfy constraint: \
             Member must have length less than or equal to {most}",
            ids.join(", ")
        )
    })
}

fn misshapen(member: &str, ids: &[String], prefix: &str, pattern: &str, valid: fn(&str) -> bool) -> Option<String> {
    let fits = |id: &String| id.len() <= 1024 && id.strip_prefix(prefix).is_some_and(valid);
    (!ids.iter().all(fits)).then(|| {
        format!(
            "Value '[{}]' at 'vpcConfig.{member}' failed to satisfy constraint: Member must satisfy constraint: \
             [Member must have length less than or equal to 1024, Member must have length greater than or equal to 0, \
             Member must satisfy regular expression pattern: {pattern}, Member must not be null]",
            ids.join(", ")
        )
    })
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "InvalidParameterValueException", message)
}

impl Regional {
    /// The network that a request means for a function that has `current`, checked against what is there.
    fn resolve(
        &self,
        request: &VpcConfigRequest,
        current: &VpcConfig,
        account: &AccountId,
    ) -> Result<VpcConfig, AwsError> {
        let given = |ids: &Option<Vec<String>>, kept: Vec<String>| once(ids.clone().unwrap_or(kept));
        let subnets = given(&request.subnet_ids, current.subnets.iter().map(ToString::to_string).collect());
        let groups =
            given(&request.security_group_ids, current.security_groups.iter().map(ToString::to_string).collect());
        let ipv6 = request.ipv6_allowed_for_dual_stack.unwrap_or(current.ipv6);
        if subnets.is_empty() != groups.is_empty() {
            return Err(invalid("SubnetIds and SecurityIds must coexist or be both empty list."));
        }
        if subnets.is_empty() && ipv6 {
            return Err(invalid(
                "Ipv6AllowedForDualStack cannot be true without subnet or security groups. \
                 Please remove Ipv6AllowedForDualStack value from your request and try again.",
            ));
        }
        let mut config = VpcConfig { ipv6, ..VpcConfig::default() };
        for id in &subnets {
            self.add_subnet(&mut config, id)?;
        }
        for id in &groups {
            self.add_group(&mut config, id, account)?;
        }
        Ok(config)
    }

    fn add_subnet(&self, config: &mut VpcConfig, id: &str) -> Result<(), AwsError> {
        let Some(subnet) = SubnetId::parse(id).ok().and_then(|id| self.subnets.get(&id)) else {
            return Err(invalid(format!(
                "Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. \
                 EC2 Error Message: The subnet ID '{id}' does not exist"
            )));
        };
        if config.vpc.as_ref().is_some_and(|vpc| *vpc != subnet.vpc) {
            // That this is refused is certain, the text is not known from a public source.
            return Err(invalid("Subnets are required to be in the same VPC"));
        }
        if config.ipv6 && !subnet.ipv6 {
            // The same holds here: AWS documents that all subnets must be dual-stack, not what it says otherwise.
            return Err(invalid(format!(
                "Ipv6AllowedForDualStack cannot be true: the subnet {id} has no IPv6 CIDR block"
            )));
        }
        config.vpc = Some(subnet.vpc.clone());
        config.subnets.push(subnet.id.clone());
        Ok(())
    }

    fn add_group(&self, config: &mut VpcConfig, id: &str, account: &AccountId) -> Result<(), AwsError> {
        let Some(group) = SecurityGroupId::parse(id).ok().and_then(|id| self.security_groups.get(&id)) else {
            return Err(invalid(format!(
                "Error occurred while DescribeSecurityGroups. EC2 Error Code: InvalidGroup.NotFound. \
                 EC2 Error Message: The security group '{id}' does not exist"
            )));
        };
        if config.vpc.as_ref().is_none_or(|vpc| !group.is_usable(account, vpc)) {
            return Err(invalid("Security Groups are required to be in the same VPC"));
        }
        config.security_groups.push(group.id.clone());
        Ok(())
    }

    /// Whether a function has this pair, or a published version, or an update that may fail and go back to it.
    fn is_needed(&self, pair: &Pair) -> bool {
        let has = |config: &Configuration| pairs(config.vpc_config.as_ref()).any(|it| it == *pair);
        let mut all = self.functions.values().chain(self.published.values());
        all.any(|it| has(&it.configuration) || it.before.as_deref().is_some_and(has))
    }

    /// How many interfaces have to be made for this network.
    pub(super) fn missing_interfaces(&self, config: Option<&VpcConfig>) -> usize {
        pairs(config).filter(|pair| !self.interfaces.contains_key(pair)).count()
    }

    /// Whether the interfaces that this network still lacks can be made where a VPC has at most so many.
    fn has_room(&self, config: &VpcConfig, most: usize) -> bool {
        let lacking = pairs(Some(config)).filter(|pair| !self.interfaces.contains_key(pair)).count();
        let there = self.interfaces.values().filter(|interface| Some(&interface.vpc) == config.vpc.as_ref()).count();
        lacking == 0 || there + lacking <= most
    }
}

/// Whether what a network needs is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interfaces {
    /// All of it.
    There,
    /// Not yet, which takes its time.
    ToBeMade,
}

/// The ids without repetition, in their order.
fn once(ids: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    ids.into_iter().filter(|id| seen.insert(id.clone())).collect()
}

fn pairs(config: Option<&VpcConfig>) -> impl Iterator<Item = Pair> {
    let network = config.map(VpcConfig::network).unwrap_or_default();
    network.pairs().collect::<Vec<_>>().into_iter()
}

impl Aws {
    /// The network that a request asks for, if Lambda would accept it: it exists, it fits together, the role suffices.
    pub(super) fn checked_network(
        &mut self,
        key: &FunctionKey,
        request: &VpcConfigRequest,
        current: Option<&VpcConfig>,
        role: &RoleArn,
        now: Time,
    ) -> Result<VpcConfig, AwsError> {
        let config = self.existing_network(key, request, current, now)?;
        if config.vpc.is_some() {
            self.check_caller()?;
            self.check_zones(key, &config)?;
            self.check_role(&key.scope, role, now)?;
            self.check_room(key, &config)?;
        }
        Ok(config)
    }

    /// Lambda looks at the network with the rights of who asks for the update.
    fn check_caller(&self) -> Result<(), AwsError> {
        for action in ASKED_FOR_THE_CALLER {
            if self.denied.contains(action) || !self.caller_may(&format!("ec2:{action}")) {
                let text = format!(
                    "Your access has been denied by EC2, please make sure your request credentials have permission to \
                     {action}. EC2 Error Code: UnauthorizedOperation. EC2 Error Message: You are not authorized to perform \
                     this operation."
                );
                return Err(AwsError::new(403, "AccessDeniedException", text));
            }
        }
        Ok(())
    }

    fn check_zones(&mut self, key: &FunctionKey, config: &VpcConfig) -> Result<(), AwsError> {
        let refused = self.refused_zones.clone();
        let Some(regional) = self.stored_region(&key.scope) else { return Ok(()) };
        let zones = config.subnets.iter().filter_map(|id| regional.subnets.get(id)).map(|subnet| &subnet.zone_id);
        match zones.into_iter().any(|zone| refused.contains(zone)) {
            false => Ok(()),
            true => Err(invalid(
                "The provided subnets contain availability zone Lambda doesn't support. \
                 Please use a different set of subnets.",
            )),
        }
    }

    /// Whether the interfaces that this network still lacks are within the quota of its VPC.
    fn check_room(&mut self, key: &FunctionKey, config: &VpcConfig) -> Result<(), AwsError> {
        let most = self.quotas.interfaces_per_vpc;
        match self.stored_region(&key.scope).is_none_or(|regional| regional.has_room(config, most)) {
            true => Ok(()),
            false => Err(invalid(out_of_interfaces().text)),
        }
    }

    /// The network that a request asks for, if it exists and fits together.
    pub(super) fn existing_network(
        &mut self,
        key: &FunctionKey,
        request: &VpcConfigRequest,
        current: Option<&VpcConfig>,
        now: Time,
    ) -> Result<VpcConfig, AwsError> {
        let current = current.cloned().unwrap_or_default();
        self.regional(&key.scope, Service::Lambda, now)?.resolve(request, &current, &key.scope.account)
    }

    /// Lambda tries the role by calling EC2 with it, so that any policy which allows it will do.
    fn check_role(&self, at: &ScopeKey, role: &RoleArn, now: Time) -> Result<(), AwsError> {
        let (account, region) = (&role.key().account, &at.region);
        let interface =
            format!("arn:{}:ec2:{region}:{account}:network-interface/eni-0a1b2c3d4e5f60718", role.partition());
        for action in NEEDED {
            if !self.role_may(role.key(), &format!("ec2:{action}"), &interface, now) {
                return Err(invalid(format!(
                    "The provided execution role does not have permissions to call {action} on EC2"
                )));
            }
        }
        Ok(())
    }

    /// Lambda asks EC2 for the interfaces that this network still lacks; says whether there are any.
    pub(super) fn ask_for_interfaces(
        &mut self,
        at: &ScopeKey,
        config: Option<&VpcConfig>,
        now: Time,
    ) -> Result<Interfaces, AwsError> {
        let missing = self.regional(at, Service::Lambda, now)?.missing_interfaces(config);
        for _ in 0..missing {
            let asked = (Service::Ec2, CREATE_INTERFACE);
            if self.buckets.take(&self.quotas, asked, (&at.account, Some(&at.region)), now) == Taken::Refused {
                return Err(AwsError::throttled_by_ec2());
            }
        }
        Ok(if missing == 0 { Interfaces::There } else { Interfaces::ToBeMade })
    }

    /// Makes the interfaces that this network still lacks: all of them, or none if a subnet has no address left or the
    /// quota is used up by now.
    pub(super) fn make_interfaces(
        &mut self,
        key: &FunctionKey,
        config: Option<&VpcConfig>,
        at: Time,
    ) -> Result<(), Failure> {
        let most = self.quotas.interfaces_per_vpc;
        let Some(regional) = self.stored_region(&key.scope) else { return Ok(()) };
        if config.is_some_and(|config| !regional.has_room(config, most)) {
            return Err(out_of_interfaces());
        }
        let missing: Vec<Pair> = pairs(config).filter(|pair| !regional.interfaces.contains_key(pair)).collect();
        let exhausted = |pair: &&Pair| regional.subnets.get(&pair.subnet).is_none_or(|it| it.free_addresses == 0);
        if let Some(pair) = missing.iter().find(exhausted) {
            return Err(out_of_addresses(&pair.subnet));
        }
        for pair in missing {
            let digits = self.fresh_digits();
            let Some(regional) = self.stored_region(&key.scope) else { continue };
            let Some(subnet) = regional.subnets.get_mut(&pair.subnet) else { continue };
            subnet.free_addresses -= 1;
            let interface = Interface::of_lambda(&digits, key, subnet, pair.security_groups.clone(), at);
            regional.interfaces.insert(pair, interface);
        }
        Ok(())
    }

    /// A function has left this network. Where that was the last one, Lambda keeps the interfaces for some time.
    pub(super) fn leave(&mut self, at: &ScopeKey, config: Option<&VpcConfig>, now: Time) {
        let Some(regional) = self.stored_region(at) else { return };
        let left: Vec<Pair> = pairs(config).filter(|pair| regional.interfaces.contains_key(pair)).collect();
        let first: Vec<Pair> =
            left.into_iter().filter(|pair| regional.left.insert(pair.clone(), now).is_none()).collect();
        let at_the_end = now + self.timings.release;
        self.due.extend(first.into_iter().map(|pair| (at_the_end, Due::Release(at.clone(), pair))));
    }

    /// Gives the interface of a pair back, and its address, unless a function needs it or has left it only lately.
    pub(super) fn release(&mut self, at: &ScopeKey, pair: Pair, now: Time) {
        let kept = self.timings.release;
        let Some(regional) = self.stored_region(at) else { return };
        match regional.left.get(&pair).map(|left| *left + kept) {
            Some(later) if later > now => {
                self.due.insert((later, Due::Release(at.clone(), pair)));
                return;
            }
            _ => regional.left.remove(&pair),
        };
        if !regional.is_needed(&pair)
            && regional.interfaces.remove(&pair).is_some()
            && let Some(subnet) = regional.subnets.get_mut(&pair.subnet)
        {
            subnet.free_addresses += 1;
        }
    }

    fn stored_region(&mut self, at: &ScopeKey) -> Option<&mut Regional> {
        self.accounts.get_mut(&at.account)?.regions.get_mut(&at.region)
    }
}
