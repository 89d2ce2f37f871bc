//! AWS itself, through its SDK, which is named here and nowhere else.
//!
//! The SDK makes one attempt a call: trying again is the business of [`super::Retrying`], for reads, and of the queue.
//! Every call has a deadline.

mod answers;
mod bounded;
mod connection;
mod errors;
mod trust;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::types::Filter;
use aws_sdk_iam::types::{EntityType, PolicyUsageType};
use aws_sdk_lambda::operation::RequestId;
use aws_sdk_lambda::types::{FunctionVersion, VpcConfig};

use self::connection::Connection;
pub use self::connection::{Access, Deadlines, Endpoint};
use self::errors::{SdkFailure, convert, malformed};
pub use self::trust::TrustError;
use super::budget::{Family, Kind, Rates, Turns};
use super::{
    Alias, CallObserver, Called, Changed, Class, CloudError, Function, Identity, Interface, Listed, Listing, Marker,
    Operation, Page, Read, Receipt, Reply, RouteTable, SecurityGroup, Simulated, Subnet, Tags, Turn, Vpc, VpcEndpoint,
    Write, iam_region,
};
use crate::names::{
    AccountId, Clock, FunctionKey, Network, PolicyArn, Region, RevisionId, RoleArn, RoleName, ScopeKey, VpcId,
};

/// A change waits for its turn no longer than this, or the decision could be out of date.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The most items that Lambda gives in one page.
const LAMBDA_PAGE: i32 = 50;
/// The most that EC2 gives; route tables come in smaller pages.
const EC2_PAGE: i32 = 1000;
const ROUTE_TABLE_PAGE: i32 = 100;
/// Lambda@Edge, as trust policies name it.
const EDGE: &str = "edgelambda.amazonaws.com";
/// The most that IAM gives.
const IAM_PAGE: i32 = 1000;

/// AWS, through its SDK.
pub struct Aws {
    connection: Connection,
    turns: Turns,
    /// Whether functions are read by GetFunction.
    get_function: bool,
    observer: Arc<dyn CallObserver>,
    clock: Clock,
}

impl Aws {
    /// Connects: to AWS as the standard environment says, or to an emulator. An error where `AWS_CA_BUNDLE` names no file of
    /// certificates.
    pub async fn connect(
        endpoint: &Endpoint,
        access: HashMap<AccountId, Access>,
        deadlines: Deadlines,
        rates: Rates,
        observer: Arc<dyn CallObserver>,
        clock: Clock,
    ) -> Result<Self, TrustError> {
        let connection = Connection::open(endpoint, access, deadlines).await?;
        let turns = Turns::new(rates, Arc::clone(&observer));
        Ok(Self { connection, turns, get_function: rates.get_function.is_some(), observer, clock })
    }

    /// The region of the environment, for entries that state none.
    pub fn region(&self) -> Option<Region> {
        self.connection.region()
    }

    async fn lambda(&self, at: &ScopeKey) -> aws_sdk_lambda::Client {
        self.connection.clients(Some(&at.account), &at.region).await.lambda
    }

    async fn ec2(&self, at: &ScopeKey) -> aws_sdk_ec2::Client {
        self.connection.clients(Some(&at.account), &at.region).await.ec2
    }

    async fn iam(&self, at: &ScopeKey) -> aws_sdk_iam::Client {
        self.connection.clients(Some(&at.account), &at.region).await.iam
    }

    /// Makes a call that reads, when its turn has come.
    async fn call<T, E: SdkFailure>(
        &self,
        operation: Operation,
        at: &ScopeKey,
        call: impl Future<Output = Result<T, errors::Sdk<E>>>,
    ) -> Result<T, CloudError> {
        if let Some(family) = Family::of(operation) {
            // There is no wait that would be too long.
            let _ = self.turns.take(family, at, Kind::Read, Duration::MAX).await;
        }
        self.make(operation, Some(at), call).await
    }

    /// Makes a call whose turn it is, tells the observer, and puts an error through the table.
    async fn make<T, E: SdkFailure>(
        &self,
        operation: Operation,
        at: Option<&ScopeKey>,
        call: impl Future<Output = Result<T, errors::Sdk<E>>>,
    ) -> Result<T, CloudError> {
        let begun = self.clock.now();
        let answer = call.await.map_err(|error| convert(operation, error));
        let now = self.clock.now();
        let error = answer.as_ref().err();
        let throttled = error.filter(|error| error.class == Class::Throttled);
        if let (Some(family), Some(at), Some(error)) = (Family::of(operation), at, throttled) {
            self.turns.throttled(family, at, error.retry_after);
        }
        self.observer.called(&Called { operation, at, error, took: now.since(begun) });
        answer
    }
}

/// IAM is global: its requests are signed for the home region of the partition.
fn home(operation: Operation, account: &AccountId, partition: &str) -> Result<ScopeKey, CloudError> {
    let region = iam_region(partition).ok_or_else(|| malformed(operation, "the partition"))?;
    Ok(ScopeKey { account: account.clone(), region })
}

/// Where IAM is asked about a role.
fn home_of(operation: Operation, role: &RoleArn) -> Result<ScopeKey, CloudError> {
    home(operation, &role.key().account, role.partition())
}

/// The filter that keeps to these VPCs.
fn in_vpcs(vpcs: &[VpcId]) -> Filter {
    Filter::builder().name("vpc-id").set_values(Some(vpcs.iter().map(ToString::to_string).collect())).build()
}

fn token(from: Option<Marker>) -> Option<String> {
    from.map(|Marker(text)| text)
}

fn receipt(answer: &impl RequestId) -> Receipt {
    Receipt { request_id: answer.request_id().map(str::to_owned) }
}

/// AWS marks the end by leaving the marker out, or by an empty one.
fn marker(text: Option<&str>) -> Option<Marker> {
    text.filter(|text| !text.is_empty()).map(|text| Marker(text.to_owned()))
}

impl Read for Aws {
    fn caller_identity<'a>(&'a self, account: Option<&'a AccountId>, region: &'a Region) -> Reply<'a, Identity> {
        Box::pin(async move {
            let operation = Operation::GetCallerIdentity;
            let client = self.connection.clients(account, region).await.sts;
            let at = account.map(|account| ScopeKey { account: account.clone(), region: region.clone() });
            let answer = self.make(operation, at.as_ref(), client.get_caller_identity().send()).await?;
            let account = answer.account().and_then(|id| AccountId::parse(id).ok());
            let account = account.ok_or_else(|| malformed(operation, "no account id"))?;
            Ok(Identity { account, arn: answer.arn().unwrap_or_default().to_owned() })
        })
    }

    fn list_functions<'a>(&'a self, at: &'a ScopeKey, which: Listing, from: Option<Marker>) -> Reply<'a, Page<Listed>> {
        Box::pin(async move {
            let operation = Operation::ListFunctions;
            let request = self.lambda(at).await.list_functions().max_items(LAMBDA_PAGE).set_marker(token(from));
            let request = match which {
                Listing::Latest => request,
                Listing::All => request.function_version(FunctionVersion::All),
            };
            let answer = self.call(operation, at, request.send()).await?;
            let items = answer.functions().iter().filter_map(|item| answers::listed(operation, item)).collect();
            Ok(Page { items, next: marker(answer.next_marker()) })
        })
    }

    fn get_function<'a>(&'a self, key: &'a FunctionKey) -> Reply<'a, Function> {
        Box::pin(async move {
            let (lambda, at) = (self.lambda(&key.scope).await, &key.scope);
            if self.get_function {
                let operation = Operation::GetFunction;
                let request = lambda.get_function().function_name(key.name.as_str());
                let answer = self.call(operation, at, request.send()).await?;
                let configuration = answer.configuration().ok_or_else(|| malformed(operation, "no configuration"))?;
                return answers::function(operation, configuration);
            }
            let operation = Operation::GetFunctionConfiguration;
            let request = lambda.get_function_configuration().function_name(key.name.as_str());
            answers::configuration(operation, &self.call(operation, at, request.send()).await?)
        })
    }

    fn list_aliases<'a>(&'a self, key: &'a FunctionKey, from: Option<Marker>) -> Reply<'a, Page<Alias>> {
        Box::pin(async move {
            let operation = Operation::ListAliases;
            let request = self.lambda(&key.scope).await.list_aliases().function_name(key.name.as_str());
            let request = request.max_items(LAMBDA_PAGE).set_marker(token(from));
            let answer = self.call(operation, &key.scope, request.send()).await?;
            let items = answer.aliases().iter().map(|item| answers::alias(operation, item));
            Ok(Page { items: items.collect::<Result<_, _>>()?, next: marker(answer.next_marker()) })
        })
    }

    fn list_tags<'a>(&'a self, key: &'a FunctionKey, partition: &'a str) -> Reply<'a, Tags> {
        Box::pin(async move {
            let FunctionKey { scope: at @ ScopeKey { account, region }, name } = key;
            let arn = format!("arn:{partition}:lambda:{region}:{account}:function:{name}");
            let request = self.lambda(at).await.list_tags().resource(arn);
            let answer = self.call(Operation::ListTags, at, request.send()).await?;
            Ok(answer.tags.unwrap_or_default().into_iter().collect())
        })
    }

    fn list_roles_with_policy<'a>(
        &'a self,
        account: &'a AccountId,
        policy: &'a PolicyArn,
        from: Option<Marker>,
    ) -> Reply<'a, Page<RoleName>> {
        Box::pin(async move {
            let operation = Operation::ListEntitiesForPolicy;
            let at = home(operation, account, policy.partition())?;
            let request = self.iam(&at).await.list_entities_for_policy().policy_arn(policy.as_str());
            // Otherwise those are listed as well that have it as a permissions boundary.
            let request = request.policy_usage_filter(PolicyUsageType::PermissionsPolicy);
            let request = request.entity_filter(EntityType::Role).max_items(IAM_PAGE).set_marker(token(from));
            let answer = self.call(operation, &at, request.send()).await?;
            let names = answer.policy_roles().iter().filter_map(|role| role.role_name());
            let items =
                names.map(|name| RoleName::parse(name).map_err(|error| malformed(operation, &error.to_string())));
            let next = if answer.is_truncated() { marker(answer.marker()) } else { None };
            Ok(Page { items: items.collect::<Result<_, _>>()?, next })
        })
    }

    fn list_attached_policies<'a>(&'a self, role: &'a RoleArn, from: Option<Marker>) -> Reply<'a, Page<PolicyArn>> {
        Box::pin(async move {
            let operation = Operation::ListAttachedRolePolicies;
            let at = home_of(operation, role)?;
            let request = self.iam(&at).await.list_attached_role_policies();
            let request = request.role_name(role.key().name.as_str()).max_items(IAM_PAGE).set_marker(token(from));
            let answer = self.call(operation, &at, request.send()).await?;
            let arns = answer.attached_policies().iter().filter_map(|policy| policy.policy_arn());
            let items = arns.map(|arn| PolicyArn::parse(arn).map_err(|error| malformed(operation, &error.to_string())));
            let next = if answer.is_truncated() { marker(answer.marker()) } else { None };
            Ok(Page { items: items.collect::<Result<_, _>>()?, next })
        })
    }

    fn trusts_edge<'a>(&'a self, role: &'a RoleArn) -> Reply<'a, bool> {
        Box::pin(async move {
            let operation = Operation::GetRole;
            let at = home_of(operation, role)?;
            let request = self.iam(&at).await.get_role().role_name(role.key().name.as_str());
            let answer = self.call(operation, &at, request.send()).await?;
            let trusted = answer.role().and_then(|role| role.assume_role_policy_document());
            // The document comes percent-encoded, which changes nothing about this name.
            Ok(trusted.is_some_and(|document| document.contains(EDGE)))
        })
    }

    fn simulate<'a>(&'a self, role: &'a RoleArn, region: &'a Region, actions: &'a [&'a str]) -> Reply<'a, Simulated> {
        Box::pin(async move {
            let operation = Operation::SimulatePrincipalPolicy;
            let names: Vec<String> = actions.iter().map(|action| (*action).to_owned()).collect();
            // Without a resource all of them are meant, and a statement about those of one region does not allow that.
            let (partition, account) = (role.partition(), &role.key().account);
            let interfaces = format!("arn:{partition}:ec2:{region}:{account}:network-interface/*");
            let at = home_of(operation, role)?;
            let iam = self.iam(&at).await;
            let mut results = Vec::new();
            let mut from = None;
            // A page has at least one result, and there are as many as actions.
            for _ in actions {
                let request = iam.simulate_principal_policy().policy_source_arn(role.as_str());
                let request = request.set_action_names(Some(names.clone())).resource_arns(&interfaces);
                let answer = self.call(operation, &at, request.set_marker(from).send()).await?;
                results.extend_from_slice(answer.evaluation_results());
                from = answer.marker().filter(|_| answer.is_truncated()).map(str::to_owned);
                if from.is_none() {
                    break;
                }
            }
            match results.len() < actions.len() {
                true => Err(malformed(operation, "a result is missing")),
                false => Ok(answers::simulated(&results)),
            }
        })
    }

    fn describe_vpcs<'a>(&'a self, at: &'a ScopeKey, vpcs: &'a [VpcId], from: Option<Marker>) -> Reply<'a, Page<Vpc>> {
        Box::pin(async move {
            let operation = Operation::DescribeVpcs;
            let request = self.ec2(at).await.describe_vpcs().filters(in_vpcs(vpcs));
            let request = request.max_results(EC2_PAGE).set_next_token(token(from));
            let answer = self.call(operation, at, request.send()).await?;
            let items = answer.vpcs().iter().map(|vpc| answers::vpc(operation, vpc));
            Ok(Page { items: items.collect::<Result<_, _>>()?, next: marker(answer.next_token()) })
        })
    }

    fn describe_subnets<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<Subnet>> {
        Box::pin(async move {
            let operation = Operation::DescribeSubnets;
            let request = self.ec2(at).await.describe_subnets().filters(in_vpcs(vpcs));
            let request = request.max_results(EC2_PAGE).set_next_token(token(from));
            let answer = self.call(operation, at, request.send()).await?;
            let items = answer.subnets().iter().map(|subnet| answers::subnet(operation, subnet));
            Ok(Page { items: items.collect::<Result<_, _>>()?, next: marker(answer.next_token()) })
        })
    }

    fn describe_route_tables<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<RouteTable>> {
        Box::pin(async move {
            let operation = Operation::DescribeRouteTables;
            let request = self.ec2(at).await.describe_route_tables().filters(in_vpcs(vpcs));
            let request = request.max_results(ROUTE_TABLE_PAGE).set_next_token(token(from));
            let answer = self.call(operation, at, request.send()).await?;
            let items = answer.route_tables().iter().map(|table| answers::route_table(operation, table));
            Ok(Page { items: items.collect::<Result<_, _>>()?, next: marker(answer.next_token()) })
        })
    }

    fn describe_security_groups<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<SecurityGroup>> {
        Box::pin(async move {
            let operation = Operation::DescribeSecurityGroups;
            let request = self.ec2(at).await.describe_security_groups().filters(in_vpcs(vpcs));
            let request = request.max_results(EC2_PAGE).set_next_token(token(from));
            let answer = self.call(operation, at, request.send()).await?;
            let items = answer.security_groups().iter().map(|group| answers::security_group(operation, group));
            Ok(Page { items: items.collect::<Result<_, _>>()?, next: marker(answer.next_token()) })
        })
    }

    fn groups_for_vpc<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpc: &'a VpcId,
        from: Option<Marker>,
    ) -> Reply<'a, Page<SecurityGroup>> {
        Box::pin(async move {
            let operation = Operation::GetSecurityGroupsForVpc;
            let request = self.ec2(at).await.get_security_groups_for_vpc().vpc_id(vpc.as_str());
            let request = request.max_results(EC2_PAGE).set_next_token(token(from));
            let answer = self.call(operation, at, request.send()).await?;
            let items = answer.security_group_for_vpcs().iter().map(|group| answers::group_for_vpc(operation, group));
            Ok(Page { items: items.collect::<Result<_, _>>()?, next: marker(answer.next_token()) })
        })
    }

    fn describe_endpoints<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<VpcEndpoint>> {
        Box::pin(async move {
            let operation = Operation::DescribeVpcEndpoints;
            let in_use = Filter::builder().name("vpc-endpoint-state").values("available").build();
            let request = self.ec2(at).await.describe_vpc_endpoints().filters(in_vpcs(vpcs)).filters(in_use);
            let request = request.max_results(EC2_PAGE).set_next_token(token(from));
            let answer = self.call(operation, at, request.send()).await?;
            let items = answer.vpc_endpoints().iter().map(|it| answers::endpoint(operation, it));
            Ok(Page { items: items.collect::<Result<_, _>>()?, next: marker(answer.next_token()) })
        })
    }

    fn describe_interfaces<'a>(
        &'a self,
        at: &'a ScopeKey,
        vpcs: &'a [VpcId],
        from: Option<Marker>,
    ) -> Reply<'a, Page<Interface>> {
        Box::pin(async move {
            let operation = Operation::DescribeNetworkInterfaces;
            let of_lambda = Filter::builder().name("interface-type").values("lambda").build();
            let request = self.ec2(at).await.describe_network_interfaces().filters(in_vpcs(vpcs)).filters(of_lambda);
            let request = request.max_results(EC2_PAGE).set_next_token(token(from));
            let answer = self.call(operation, at, request.send()).await?;
            let items = answer.network_interfaces().iter().map(|it| answers::interface(operation, it));
            Ok(Page { items: items.collect::<Result<_, _>>()?, next: marker(answer.next_token()) })
        })
    }
}

impl Write for Aws {
    fn turn<'a>(&'a self, of: Changed<'a>) -> Turn<'a> {
        Box::pin(async move {
            let (operation, at) = match of {
                Changed::Role(role) => (Operation::AttachRolePolicy, home_of(Operation::AttachRolePolicy, role).ok()),
                Changed::Function(key) => (Operation::UpdateFunctionConfiguration, Some(key.scope.clone())),
            };
            match (Family::of(operation), at) {
                (Some(family), Some(at)) => self.turns.take(family, &at, Kind::Write, LONGEST_WAIT).await,
                // The call itself will say what is wrong.
                (None, _) | (_, None) => Ok(()),
            }
        })
    }

    fn rate(&self, at: &ScopeKey) -> Option<f64> {
        Some(self.turns.rate(Family::Lambda, at))
    }

    fn attach_policy<'a>(&'a self, role: &'a RoleArn, policy: &'a PolicyArn) -> Reply<'a, Receipt> {
        Box::pin(async move {
            let operation = Operation::AttachRolePolicy;
            let at = home_of(operation, role)?;
            let request = self.iam(&at).await.attach_role_policy();
            let request = request.role_name(role.key().name.as_str()).policy_arn(policy.as_str());
            self.make(operation, Some(&at), request.send()).await.map(|answer| receipt(&answer))
        })
    }

    fn set_vpc<'a>(&'a self, key: &'a FunctionKey, to: &'a Network, at: Option<&'a RevisionId>) -> Reply<'a, Receipt> {
        Box::pin(async move {
            let operation = Operation::UpdateFunctionConfiguration;
            let network = VpcConfig::builder()
                .set_subnet_ids(Some(to.subnets.iter().map(ToString::to_string).collect()))
                .set_security_group_ids(Some(to.security_groups.iter().map(ToString::to_string).collect()))
                .ipv6_allowed_for_dual_stack(to.ipv6)
                .build();
            let request = self.lambda(&key.scope).await.update_function_configuration().vpc_config(network);
            let request = request.function_name(key.name.as_str()).set_revision_id(at.map(ToString::to_string));
            self.make(operation, Some(&key.scope), request.send()).await.map(|answer| receipt(&answer))
        })
    }
}
