//! The direct door: the simulated account as the controller's own [`Read`] and [`Write`].
//!
//! It asks for what the SDK's door would ask for, page by page, and its errors pass the same table.

use std::sync::Arc;
use std::time::Duration;

use super::{Change, Door, Incoming, Target};
use crate::cloud::{
    Alias, Class, CloudError, Function, Identity, Interface, Listed, Listing, Marker, Operation, Overruler, Page, Read,
    Receipt, Reply, RouteTable, SecurityGroup, Simulated, Subnet, Tags, Vpc, VpcEndpoint, Write,
};
use crate::names::{
    AccountId, FunctionKey, Network, Pair, PolicyArn, Region, RevisionId, RoleArn, RoleName, ScopeKey, Time, VpcId,
};
use crate::simulator::account::{self, Aws, AwsError, Describe, Goal, UpdateFunctionConfiguration, VpcConfigRequest};
use crate::simulator::faults::Delivery;

/// The page size that is asked for, where it is allowed.
const PAGE: u64 = 1000;

/// The same for functions and aliases, of which Lambda never gives more.
const PAGE_OF_FUNCTIONS: u64 = 50;

/// The same for route tables, of which EC2 gives fewer than of the rest.
const PAGE_OF_ROUTE_TABLES: u64 = 100;

impl Door {
    /// A call that only reads.
    fn direct<'a, T>(
        &self,
        operation: Operation,
        of: impl Into<Target<'a>>,
        carry_out: impl FnOnce(&mut Aws, Time) -> Result<T, AwsError>,
    ) -> Result<T, CloudError> {
        self.asked(operation, of, None, carry_out).map(|(answer, _)| answer)
    }

    /// A call that changes something.
    fn change<'a>(
        &self,
        operation: Operation,
        of: impl Into<Target<'a>>,
        change: Change<'a>,
        carry_out: impl FnOnce(&mut Aws, Time) -> Result<(), AwsError>,
    ) -> Result<Receipt, CloudError> {
        let ((), id) = self.asked(operation, of, Some(change), carry_out)?;
        Ok(Receipt { request_id: Some(id) })
    }

    /// The answer to a call, and the id of the request.
    fn asked<'a, T>(
        &self,
        operation: Operation,
        of: impl Into<Target<'a>>,
        change: Option<Change<'a>>,
        carry_out: impl FnOnce(&mut Aws, Time) -> Result<T, AwsError>,
    ) -> Result<(T, String), CloudError> {
        let request_id = self.fresh_request_id();
        let service = operation.service();
        let incoming = Incoming { service, operation: operation.name(), of: of.into(), change };
        let (answer, delivery) = self.call(incoming, carry_out);
        if let Some(error) = not_delivered(operation, delivery) {
            return Err(error);
        }
        match answer {
            Ok(answer) => Ok((answer, request_id)),
            Err(AwsError { status, code, message, retry_after }) => Err(CloudError {
                request_id: Some(request_id),
                retry_after,
                ..CloudError::answered(operation, status, &code, &message)
            }),
        }
    }

    /// A listing of what is in some VPCs.
    fn of_vpcs<R, T>(
        &self,
        (operation, list): (Operation, List<R>),
        at: &ScopeKey,
        (vpcs, from, most): (&[VpcId], Option<Marker>, u64),
        reduce: impl Fn(R) -> T,
    ) -> Result<Page<T>, CloudError> {
        let mut request = Describe::by("vpc-id", vpcs.iter().map(VpcId::as_str));
        request.max_results = Some(most);
        request.next_token = from.map(|marker| marker.0);
        let page = self.direct(operation, at, |aws, now| list(aws, at, &request, now))?;
        Ok(Page { items: page.items.into_iter().map(reduce).collect(), next: page.next })
    }
}

/// How long the SDK waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The error of an answer that does not arrive as one, in the classes of the SDK's door.
fn not_delivered(operation: Operation, delivery: Delivery) -> Option<CloudError> {
    let local = |class, code, text| Some(CloudError::local(operation, class, code, text));
    match delivery {
        Delivery::None => local(Class::Unreachable, "Unreachable", "connection closed before message completed"),
        Delivery::Late(by) if by > PATIENCE => local(Class::Timeout, "Timeout", "no answer within 30 seconds"),
        Delivery::Half => local(Class::Malformed, "MalformedAnswer", "the answer ends in its middle"),
        // Nobody reads the body of an answer that has no result.
        Delivery::Garbage if operation != Operation::AttachRolePolicy => {
            local(Class::Malformed, "MalformedAnswer", "the answer's body cannot be read")
        }
        Delivery::Whole | Delivery::Late(_) | Delivery::Page | Delivery::Garbage => None,
    }
}

type List<R> = fn(&mut Aws, &ScopeKey, &Describe, Time) -> Result<Page<R>, AwsError>;

impl Read for Door {
    fn caller_identity<'a>(&'a self, account: Option<&'a AccountId>, _: &'a Region) -> Reply<'a, Identity> {
        Box::pin(async move {
            let operation = Operation::GetCallerIdentity;
            let account = account.cloned().unwrap_or_else(|| self.with(|aws, _| aws.home().clone()));
            self.direct(operation, &account, |aws, _| {
                let caller = aws.user_of(&account).ok_or_else(|| AwsError::invalid_token(operation.service()))?;
                Ok(Identity { account: caller.account, arn: caller.arn })
            })
        })
    }

    fn list_functions<'a>(&'a self, at: &'a ScopeKey, which: Listing, from: Option<Marker>) -> Reply<'a, Page<Listed>> {
        Box::pin(async move {
            let from = from.as_ref().map(|marker| marker.0.as_str());
            let page = self.direct(Operation::ListFunctions, at, |aws, now| {
                aws.list_functions(at, which, Some(PAGE_OF_FUNCTIONS), from, now)
            })?;
            let listed = |it: account::Function| {
                let version = it.version;
                let function = Function { life: None, ..function(it) };
                Listed { name: function.name.clone(), version, function: Ok(function) }
            };
            let items = page.items.into_iter().map(listed).collect();
            Ok(Page { items, next: page.next })
        })
    }

    fn get_function<'a>(&'a self, key: &'a FunctionKey) -> Reply<'a, Function> {
        Box::pin(async move {
            self.direct(Operation::GetFunctionConfiguration, key, |aws, now| {
                aws.get_function(&key.scope, key.name.as_str(), now)
            })
            .map(function)
        })
    }

    fn list_aliases<'a>(&'a self, key: &'a FunctionKey, from: Option<Marker>) -> Reply<'a, Page<Alias>> {
        Box::pin(async move {
            let from = from.as_ref().map(|marker| marker.0.as_str());
            self.direct(Operation::ListAliases, key, |aws, now| {
                aws.list_aliases(&key.scope, key.name.as_str(), Some(PAGE_OF_FUNCTIONS), from, now)
            })
        })
    }

    fn list_tags<'a>(&'a self, key: &'a FunctionKey, _partition: &'a str) -> Reply<'a, Tags> {
        Box::pin(async move {
            let name = key.name.as_str();
            self.direct(Operation::ListTags, key, |aws, now| aws.get_function(&key.scope, name, now)).map(|it| it.tags)
        })
    }

    fn list_roles_with_policy<'a>(
        &'a self,
        account: &'a AccountId,
        policy: &'a PolicyArn,
        from: Option<Marker>,
    ) -> Reply<'a, Page<RoleName>> {
        Box::pin(async move {
            let from = from.as_ref().map(|marker| marker.0.as_str());
            let page = self.direct(Operation::ListEntitiesForPolicy, account, |aws, now| {
                aws.list_roles_for_policy(account, policy.as_str(), Some(PAGE), from, now)
            })?;
            Ok(Page { items: page.items.into_iter().map(|it| it.role).collect(), next: page.next })
        })
    }

    fn list_attached_policies<'a>(&'a self, role: &'a RoleArn, from: Option<Marker>) -> Reply<'a, Page<PolicyArn>> {
        Box::pin(async move {
            let from = from.as_ref().map(|marker| marker.0.as_str());
            let (account, name) = (&role.key().account, role.key().name.as_str());
            self.direct(Operation::ListAttachedRolePolicies, role, |aws, now| {
                aws.list_attached_role_policies(account, name, Some(PAGE), from, now)
            })
        })
    }

    fn trusts_edge<'a>(&'a self, role: &'a RoleArn) -> Reply<'a, bool> {
        Box::pin(async move {
            let (account, name) = (&role.key().account, role.key().name.as_str());
            self.direct(Operation::GetRole, role, |aws, _| aws.get_role(account, name)).map(|role| role.edge)
        })
    }

    fn simulate<'a>(&'a self, role: &'a RoleArn, region: &'a Region, actions: &'a [&'a str]) -> Reply<'a, Simulated> {
        Box::pin(async move {
            let actions: Vec<String> = actions.iter().map(ToString::to_string).collect();
            let account = &role.key().account;
            let interfaces = [format!("arn:{}:ec2:{region}:{account}:network-interface/*", role.partition())];
            let answers = self.direct(Operation::SimulatePrincipalPolicy, role, |aws, now| {
                aws.simulate_principal_policy(role.as_str(), (&actions, &interfaces), account, now)
            })?;
            let overruled = answers.iter().find_map(|answer| answer.overruled_by);
            Ok(match overruled {
                Some(account::Overruler::Boundary) => Simulated::Overruled(Overruler::Boundary),
                Some(_) => Simulated::Overruled(Overruler::Organisation),
                None if answers.iter().all(|answer| answer.allowed) => Simulated::Allowed,
                None => Simulated::Missing,
            })
        })
    }

    fn describe_vpcs<'a>(&'a self, at: &'a ScopeKey, vpcs: &'a [VpcId], from: Option<Marker>) -> Reply<'a, Page<Vpc>> {
        Box::pin(async move {
            self.of_vpcs((Operation::DescribeVpcs, Aws::describe_vpcs), at, (vpcs, from, PAGE), |it| Vpc {
                id: it.id,
                owner: Some(it.owner),
                tags: it.tags,
                dedicated: it.dedicated,
                encrypted_only: it.encrypted_only,
            })
        })
    }

    fn describe_subnets<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<Subnet>> {
        Box::pin(async move {
            self.of_vpcs((Operation::DescribeSubnets, Aws::describe_subnets), at, (vpcs, from, PAGE), |it| Subnet {
                id: it.id,
                vpc: it.vpc,
                tags: it.tags,
                zone: it.zone_id,
                available: it.state == "available",
                free_addresses: it.free_addresses,
                ipv4: !it.ipv6_native,
                ipv6: it.ipv6,
                outpost: it.outpost.is_some(),
                no_internet: it.no_internet,
            })
        })
    }

    fn describe_route_tables<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<RouteTable>> {
        Box::pin(async move {
            let list: (_, List<account::RouteTable>) = (Operation::DescribeRouteTables, Aws::describe_route_tables);
            self.of_vpcs(list, at, (vpcs, from, PAGE_OF_ROUTE_TABLES), |it| RouteTable {
                vpc: it.vpc,
                subnets: it.subnets,
                main: it.main,
                routes: it.routes,
            })
        })
    }

    fn describe_security_groups<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<SecurityGroup>> {
        Box::pin(async move {
            let list: (_, List<account::SecurityGroup>) =
                (Operation::DescribeSecurityGroups, Aws::describe_security_groups);
            self.of_vpcs(list, at, (vpcs, from, PAGE), |it| {
                let lets_out = Some(it.lets_out);
                SecurityGroup { lets_out, ..group(it) }
            })
        })
    }

    fn groups_for_vpc<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpc: &'a VpcId,
        from: Option<Marker>,
    ) -> Reply<'a, Page<SecurityGroup>> {
        Box::pin(async move {
            let next_token = from.map(|marker| marker.0);
            let request = Describe { max_results: Some(PAGE), next_token, ..Describe::default() };
            let page = self.direct(Operation::GetSecurityGroupsForVpc, at, |aws, now| {
                aws.get_security_groups_for_vpc(at, vpc.as_str(), &request, now)
            })?;
            Ok(Page { items: page.items.into_iter().map(group).collect(), next: page.next })
        })
    }

    fn describe_endpoints<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<VpcEndpoint>> {
        Box::pin(async move {
            let list: (_, List<account::Endpoint>) = (Operation::DescribeVpcEndpoints, Aws::describe_vpc_endpoints);
            self.of_vpcs(list, at, (vpcs, from, PAGE), |it| VpcEndpoint { vpc: it.vpc, service: it.service })
        })
    }

    fn describe_interfaces<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<Interface>> {
        Box::pin(async move {
            let list: (_, List<account::Interface>) =
                (Operation::DescribeNetworkInterfaces, Aws::describe_network_interfaces);
            self.of_vpcs(list, at, (vpcs, from, PAGE), |it| Interface {
                vpc: it.vpc,
                pair: Pair { subnet: it.subnet, security_groups: it.groups },
            })
        })
    }
}

impl Write for Door {
    fn attach_policy<'a>(&'a self, role: &'a RoleArn, policy: &'a PolicyArn) -> Reply<'a, Receipt> {
        Box::pin(async move {
            let (account, name) = (&role.key().account, role.key().name.as_str());
            let goal = Goal::Policy(policy.as_str());
            let change = Change { subject: name, detail: policy.to_string(), goal };
            self.change(Operation::AttachRolePolicy, role, change, |aws, now| {
                aws.attach_role_policy(account, name, policy.as_str(), now)
            })
        })
    }

    fn set_vpc<'a>(&'a self, key: &'a FunctionKey, to: &'a Network, at: Option<&'a RevisionId>) -> Reply<'a, Receipt> {
        Box::pin(async move {
            let request = UpdateFunctionConfiguration {
                revision_id: at.map(ToString::to_string),
                vpc_config: Some(VpcConfigRequest {
                    subnet_ids: Some(to.subnets.iter().map(ToString::to_string).collect()),
                    security_group_ids: Some(to.security_groups.iter().map(ToString::to_string).collect()),
                    ipv6_allowed_for_dual_stack: Some(to.ipv6),
                }),
                ..UpdateFunctionConfiguration::default()
            };
            let name = key.name.as_str();
            let goal = Goal::Settings(&request);
            let change = Change { subject: name, detail: request.in_one_line(), goal };
            self.change(Operation::UpdateFunctionConfiguration, key, change, |aws, now| {
                aws.update_function_configuration(&key.scope, name, &request, now).map(|_| ())
            })
        })
    }
}

/// A security group without its rules.
fn group(it: account::SecurityGroup) -> SecurityGroup {
    SecurityGroup { id: it.id, vpc: it.vpc, owner: Some(it.owner), name: it.name, tags: it.tags, lets_out: None }
}

/// A function, reduced to what the controller looks at.
fn function(it: account::Function) -> Function {
    let config = it.configuration.vpc_config.unwrap_or_default();
    Function {
        name: it.name,
        role: it.configuration.role,
        network: Arc::new(config.network()),
        vpc: config.vpc,
        revision: RevisionId::parse(&it.revision).ok(),
        modified: Some(it.modified),
        life: Some(Box::new(it.life)),
        excluded: it.excluded.map(Box::new),
        mounts: it.configuration.file_systems.into_iter().map(|it| it.arn).collect(),
    }
}
