//! The SDK's types, reduced to ours. Nothing of a function but its network, role and life cycle gets past this file.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_ec2::types as ec2;
use aws_sdk_iam::types as iam;
use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::types as lambda;

use super::malformed;
use crate::cloud::{
    Alias, CloudError, Exclusion, Failure, Function, Interface, Life, Listed, Operation, Overruler, Route, RouteTable,
    SecurityGroup, Simulated, State, Subnet, Tags, Update, Vpc, VpcEndpoint,
};
use crate::names::{
    AccountId, AliasName, FunctionName, NameError, Network, Pair, RevisionId, RoleArn, SecurityGroupId, SubnetId, Time,
    Version, VpcId,
};

/// A part of an answer that cannot be understood makes the whole answer so: nothing is left out silently.
fn wrong(operation: Operation) -> impl Fn(NameError) -> CloudError {
    move |error| malformed(operation, &error.to_string())
}

/// Both shapes of a function's configuration have the same fields under different types.
macro_rules! function {
    ($operation:expr, $from:expr, $life:expr) => {{
        let (operation, from) = ($operation, $from);
        Ok(Function {
            name: FunctionName::parse(from.function_name().unwrap_or_default()).map_err(wrong(operation))?,
            role: RoleArn::parse(from.role().unwrap_or_default()).map_err(wrong(operation))?,
            network: Arc::new(network(operation, from.vpc_config())?),
            vpc: from.vpc_config().and_then(|config| VpcId::parse(config.vpc_id()?).ok()),
            revision: from.revision_id().and_then(|id| RevisionId::parse(id).ok()),
            modified: from.last_modified().and_then(moment),
            life: $life,
            excluded: exclusion(from.capacity_provider_config(), from.master_arn()).map(Box::new),
            mounts: from.file_system_configs().iter().map(|config| config.arn().to_owned()).collect(),
        })
    }};
}

/// The same for state and last update, which a listing does not have.
macro_rules! life {
    ($from:expr) => {{
        let from = $from;
        Box::new(Life {
            state: state(from.state(), from.state_reason_code(), from.state_reason()),
            update: update(
                from.last_update_status(),
                from.last_update_status_reason_code(),
                from.last_update_status_reason(),
            ),
        })
    }};
}

/// An item of a listing; none if its name is one that no file could list, or if it is neither `$LATEST` nor a version with
/// a number, which some emulator or a later AWS may show. State and last update are left out even where
/// an emulator shows them: AWS does not.
pub(super) fn listed(operation: Operation, from: &lambda::FunctionConfiguration) -> Option<Listed> {
    let name = FunctionName::parse(from.function_name()?).ok()?;
    let version = match from.version() {
        None | Some(Version::LATEST) => None,
        Some(number) => Some(Version::parse(number).ok()?),
    };
    Some(Listed { name, version, function: unlisted_state(operation, from) })
}

/// An alias with all that it leads to: what has no number is no published version.
pub(super) fn alias(operation: Operation, from: &lambda::AliasConfiguration) -> Result<Alias, CloudError> {
    let shared = from.routing_config().and_then(|routing| routing.additional_version_weights());
    let shared = shared.into_iter().flatten().filter(|(_, weight)| **weight > 0.0).map(|(version, _)| version.as_str());
    Ok(Alias {
        name: AliasName::parse(from.name().unwrap_or_default()).map_err(wrong(operation))?,
        versions: from.function_version().into_iter().chain(shared).filter_map(|it| Version::parse(it).ok()).collect(),
    })
}

fn unlisted_state(operation: Operation, from: &lambda::FunctionConfiguration) -> Result<Function, CloudError> {
    function!(operation, from, None)
}

/// What the results say together: the worst of them.
pub(super) fn simulated(results: &[iam::EvaluationResult]) -> Simulated {
    let said: Vec<Simulated> = results.iter().map(one_simulated).collect();
    let overruled = said.iter().find(|one| matches!(one, Simulated::Overruled(_)));
    let unclear = said.iter().find(|one| **one == Simulated::Unclear);
    let missing = said.iter().find(|one| **one == Simulated::Missing);
    overruled.or(unclear).or(missing).copied().unwrap_or(Simulated::Allowed)
}

/// A denial that is explicit, or that a boundary or the organisation makes, cannot be mended by attaching a policy; and a
/// right with conditions is not denied just because the simulation lacks their values.
fn one_simulated(result: &iam::EvaluationResult) -> Simulated {
    let bounded = result.permissions_boundary_decision_detail().is_some_and(|d| !d.allowed_by_permissions_boundary());
    let organised = result.organizations_decision_detail().is_some_and(|d| !d.allowed_by_organizations());
    match result.eval_decision().as_str() {
        "allowed" => Simulated::Allowed,
        _ if organised => Simulated::Overruled(Overruler::Organisation),
        _ if bounded => Simulated::Overruled(Overruler::Boundary),
        "explicitDeny" => Simulated::Overruled(Overruler::Denial),
        "implicitDeny" if result.missing_context_values().is_empty() => Simulated::Missing,
        _ => Simulated::Unclear,
    }
}

/// The answer of GetFunctionConfiguration.
pub(super) fn configuration(
    operation: Operation,
    from: &GetFunctionConfigurationOutput,
) -> Result<Function, CloudError> {
    function!(operation, from, Some(life!(from)))
}

/// The configuration in the answer of GetFunction.
pub(super) fn function(operation: Operation, from: &lambda::FunctionConfiguration) -> Result<Function, CloudError> {
    function!(operation, from, Some(life!(from)))
}

fn state(state: Option<&lambda::State>, code: Option<&lambda::StateReasonCode>, text: Option<&str>) -> State {
    match state.map(lambda::State::as_str) {
        Some("Pending") => State::Pending,
        Some("Active") => State::Active,
        Some("Inactive") => State::Inactive,
        Some("Deleting") => State::Deleting,
        Some("Deactivating") => State::Deactivating,
        Some("Deactivated") => State::Deactivated,
        Some("ActiveNonInvocable") => State::ActiveNonInvocable,
        Some("Failed") => State::Failed(failure(code.map(lambda::StateReasonCode::as_str), text)),
        other => State::Other(other.unwrap_or_default().to_owned()),
    }
}

fn update(
    status: Option<&lambda::LastUpdateStatus>,
    code: Option<&lambda::LastUpdateStatusReasonCode>,
    text: Option<&str>,
) -> Update {
    match status.map(lambda::LastUpdateStatus::as_str) {
        Some("Successful") => Update::Successful,
        Some("InProgress") => Update::InProgress,
        Some("Failed") => Update::Failed(failure(code.map(lambda::LastUpdateStatusReasonCode::as_str), text)),
        _ => Update::Unsaid,
    }
}

fn failure(code: Option<&str>, text: Option<&str>) -> Failure {
    Failure { code: code.unwrap_or_default().to_owned(), text: text.unwrap_or_default().to_owned() }
}

fn network(operation: Operation, from: Option<&lambda::VpcConfigResponse>) -> Result<Network, CloudError> {
    let Some(from) = from else { return Ok(Network::none()) };
    let subnets = from.subnet_ids().iter().map(|id| SubnetId::parse(id));
    let security_groups = from.security_group_ids().iter().map(|id| SecurityGroupId::parse(id));
    Ok(Network {
        subnets: subnets.collect::<Result<_, _>>().map_err(wrong(operation))?,
        security_groups: security_groups.collect::<Result<_, _>>().map_err(wrong(operation))?,
        ipv6: from.ipv6_allowed_for_dual_stack().unwrap_or_default(),
    })
}

/// Lambda writes `2026-11-23T07:00:00.000+0000`.
fn moment(text: &str) -> Option<Time> {
    let stamp = jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).ok()?.to_timestamp().ok()?;
    Time::from_stamp(stamp)
}

fn exclusion(provider: Option<&lambda::CapacityProviderConfig>, master: Option<&str>) -> Option<Exclusion> {
    if let Some(config) = provider.and_then(|config| config.lambda_managed_instances_capacity_provider_config()) {
        return Some(Exclusion::CapacityProvider(config.capacity_provider_arn().to_owned()));
    }
    master.map(|arn| Exclusion::EdgeReplica(arn.to_owned()))
}

fn tags(from: &[ec2::Tag]) -> Tags {
    let pair = |tag: &ec2::Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    from.iter().filter_map(pair).collect()
}

fn vpc_id(operation: Operation, text: Option<&str>) -> Result<VpcId, CloudError> {
    VpcId::parse(text.unwrap_or_default()).map_err(wrong(operation))
}

pub(super) fn vpc(operation: Operation, from: &ec2::Vpc) -> Result<Vpc, CloudError> {
    Ok(Vpc {
        id: vpc_id(operation, from.vpc_id())?,
        owner: owner(from.owner_id()),
        tags: tags(from.tags()),
        dedicated: from.instance_tenancy().is_some_and(|tenancy| tenancy.as_str() == "dedicated"),
        encrypted_only: from.encryption_control().is_some_and(is_enforced_on_lambda),
    })
}

/// A control that failed to be enforced, or is deleted, is shown with its mode.
fn is_enforced_on_lambda(control: &ec2::VpcEncryptionControl) -> bool {
    use ec2::VpcEncryptionControlExclusionState as Exclusion;
    use ec2::VpcEncryptionControlState as State;
    let void = matches!(control.state(), Some(State::Deleted | State::Deleting | State::EnforceFailed));
    let excluded = control.resource_exclusions().and_then(|all| all.lambda()).and_then(|lambda| lambda.state());
    control.mode() == Some(&ec2::VpcEncryptionControlMode::Enforce)
        && !void
        && !matches!(excluded, Some(Exclusion::Enabled | Exclusion::Enabling))
}

pub(super) fn subnet(operation: Operation, from: &ec2::Subnet) -> Result<Subnet, CloudError> {
    Ok(Subnet {
        id: SubnetId::parse(from.subnet_id().unwrap_or_default()).map_err(wrong(operation))?,
        vpc: vpc_id(operation, from.vpc_id())?,
        tags: tags(from.tags()),
        zone: from.availability_zone_id().or(from.availability_zone()).unwrap_or_default().to_owned(),
        available: from.state().is_some_and(|state| state.as_str() == "available"),
        free_addresses: from.available_ip_address_count().and_then(|count| count.try_into().ok()).unwrap_or_default(),
        ipv4: !from.ipv6_native().unwrap_or_default(),
        ipv6: from.ipv6_cidr_block_association_set().iter().any(is_associated),
        outpost: from.outpost_arn().is_some_and(|arn| !arn.is_empty()),
        no_internet: from.block_public_access_states().and_then(|states| states.internet_gateway_block_mode())
            == Some(&ec2::BlockPublicAccessMode::BlockBidirectional),
    })
}

/// EC2 goes on to show a range that was taken off, for a while.
fn is_associated(range: &ec2::SubnetIpv6CidrBlockAssociation) -> bool {
    use ec2::SubnetCidrBlockStateCode as Code;
    let state = range.ipv6_cidr_block_state().and_then(|state| state.state());
    !matches!(state, Some(Code::Disassociated | Code::Disassociating | Code::Failed))
}

pub(super) fn route_table(operation: Operation, from: &ec2::RouteTable) -> Result<RouteTable, CloudError> {
    let named = from.associations().iter().filter_map(|association| association.subnet_id());
    let subnets: Result<BTreeSet<SubnetId>, NameError> = named.map(SubnetId::parse).collect();
    Ok(RouteTable {
        vpc: vpc_id(operation, from.vpc_id())?,
        subnets: subnets.map_err(wrong(operation))?,
        main: from.associations().iter().any(|association| association.main().unwrap_or_default()),
        routes: from.routes().iter().map(route).collect(),
    })
}

/// EC2 has a member for each kind of target and of destination, of which a route has one; a route to an instance names its
/// interface as well.
fn route(from: &ec2::Route) -> Route {
    let destinations =
        [from.destination_cidr_block(), from.destination_ipv6_cidr_block(), from.destination_prefix_list_id()];
    let targets = [
        from.gateway_id(),
        from.nat_gateway_id(),
        from.transit_gateway_id(),
        from.vpc_peering_connection_id(),
        from.network_interface_id(),
        from.instance_id(),
        from.egress_only_internet_gateway_id(),
        from.core_network_arn(),
        from.carrier_gateway_id(),
        from.local_gateway_id(),
    ];
    let first =
        |of: &[Option<&str>]| of.iter().flatten().find(|id| !id.is_empty()).copied().unwrap_or_default().to_owned();
    Route {
        destination: first(&destinations),
        target: first(&targets),
        blackhole: from.state() == Some(&ec2::RouteState::Blackhole),
    }
}

pub(super) fn interface(operation: Operation, from: &ec2::NetworkInterface) -> Result<Interface, CloudError> {
    let groups = from.groups().iter().filter_map(|group| group.group_id()).map(SecurityGroupId::parse);
    let pair = Pair {
        subnet: SubnetId::parse(from.subnet_id().unwrap_or_default()).map_err(wrong(operation))?,
        security_groups: groups.collect::<Result<_, _>>().map_err(wrong(operation))?,
    };
    Ok(Interface { vpc: vpc_id(operation, from.vpc_id())?, pair })
}

pub(super) fn security_group(operation: Operation, from: &ec2::SecurityGroup) -> Result<SecurityGroup, CloudError> {
    Ok(SecurityGroup {
        id: SecurityGroupId::parse(from.group_id().unwrap_or_default()).map_err(wrong(operation))?,
        vpc: vpc_id(operation, from.vpc_id())?,
        owner: owner(from.owner_id()),
        name: from.group_name().unwrap_or_default().to_owned(),
        tags: tags(from.tags()),
        lets_out: Some(!from.ip_permissions_egress().is_empty()),
    })
}

pub(super) fn group_for_vpc(
    operation: Operation,
    from: &ec2::SecurityGroupForVpc,
) -> Result<SecurityGroup, CloudError> {
    Ok(SecurityGroup {
        id: SecurityGroupId::parse(from.group_id().unwrap_or_default()).map_err(wrong(operation))?,
        vpc: vpc_id(operation, from.primary_vpc_id())?,
        owner: owner(from.owner_id()),
        name: from.group_name().unwrap_or_default().to_owned(),
        tags: tags(from.tags()),
        lets_out: None,
    })
}

fn owner(id: Option<&str>) -> Option<AccountId> {
    id.and_then(|id| AccountId::parse(id).ok())
}

pub(super) fn endpoint(operation: Operation, from: &ec2::VpcEndpoint) -> Result<VpcEndpoint, CloudError> {
    let service = from.service_name().unwrap_or_default().to_owned();
    Ok(VpcEndpoint { vpc: vpc_id(operation, from.vpc_id())?, service })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambda_s_way_of_writing_a_moment_is_understood() {
        assert_eq!(moment("2026-11-23T07:00:00.000+0000"), Some(Time(1_795_417_200_000)));
        assert_eq!(moment("2026-11-23T07:00:00.123+0000"), Some(Time(1_795_417_200_123)));
        assert_eq!(moment("yesterday"), None);
    }

    #[test]
    fn a_listing_tells_published_versions_from_the_one_that_updates_change() {
        for (version, expected) in [
            (None, Some(None)),
            (Some("$LATEST"), Some(None)),
            (Some("7"), Some(Some(Version(7)))),
            (Some("$LATEST.PUBLISHED"), None),
        ] {
            let item =
                lambda::FunctionConfiguration::builder().function_name("f").set_version(version.map(str::to_owned));
            let listed = listed(Operation::ListFunctions, &item.build());
            assert_eq!(listed.map(|listed| listed.version), expected, "{version:?}");
        }
    }

    #[test]
    fn an_alias_leads_to_all_versions_that_get_calls() {
        let routing = |weights: &[(&str, f64)]| {
            let weights = weights.iter().map(|(version, weight)| ((*version).to_owned(), *weight)).collect();
            lambda::AliasRoutingConfiguration::builder().set_additional_version_weights(Some(weights)).build()
        };
        for (version, weights, expected) in
            [("3", &[][..], &[3][..]), ("3", &[("2", 0.1)], &[2, 3]), ("3", &[("2", 0.0)], &[3]), ("$LATEST", &[], &[])]
        {
            let from = lambda::AliasConfiguration::builder().name("live").function_version(version);
            let from = from.routing_config(routing(weights)).build();
            let versions = alias(Operation::ListAliases, &from).unwrap().versions;
            assert_eq!(versions, expected.iter().copied().map(Version).collect(), "{version} {weights:?}");
        }
        let nameless = lambda::AliasConfiguration::builder().name("3").function_version("3").build();
        assert!(alias(Operation::ListAliases, &nameless).is_err());
    }

    #[test]
    fn only_a_right_that_no_policy_gives_counts_as_missing() {
        let result =
            |decision: &str| iam::EvaluationResult::builder().eval_action_name("a").eval_decision(decision.into());
        let boundary = iam::PermissionsBoundaryDecisionDetail::builder().allowed_by_permissions_boundary(false).build();
        let (yes, no) = (result("allowed").build().unwrap(), result("implicitDeny").build().unwrap());
        let conditional = result("implicitDeny").missing_context_values("ec2:Vpc").build().unwrap();
        let bounded = result("implicitDeny").permissions_boundary_decision_detail(boundary).build().unwrap();
        let organisation = iam::OrganizationsDecisionDetail::builder().allowed_by_organizations(false).build();
        let organised = result("explicitDeny").organizations_decision_detail(organisation).build().unwrap();
        for (results, expected) in [
            (vec![yes.clone(), yes.clone()], Simulated::Allowed),
            (vec![yes.clone(), no.clone()], Simulated::Missing),
            (vec![no.clone(), conditional], Simulated::Unclear),
            (vec![no.clone(), bounded], Simulated::Overruled(Overruler::Boundary)),
            (vec![yes.clone(), organised], Simulated::Overruled(Overruler::Organisation)),
            (vec![result("explicitDeny").build().unwrap()], Simulated::Overruled(Overruler::Denial)),
            (vec![result("somethingNew").build().unwrap()], Simulated::Unclear),
        ] {
            assert_eq!(simulated(&results), expected, "{results:?}");
        }
    }

    #[test]
    fn absent_empty_and_null_networks_are_the_same() {
        let operation = Operation::GetFunctionConfiguration;
        let empty = lambda::VpcConfigResponse::builder().vpc_id("").ipv6_allowed_for_dual_stack(false).build();
        assert_eq!(network(operation, None).unwrap(), Network::none());
        assert_eq!(network(operation, Some(&empty)).unwrap(), Network::none());
    }

    #[test]
    fn of_a_subnet_it_is_known_what_keeps_lambda_out() {
        use ec2::SubnetCidrBlockStateCode as Code;
        let range = |code: Code| {
            let state = ec2::SubnetCidrBlockState::builder().state(code).build();
            ec2::SubnetIpv6CidrBlockAssociation::builder().ipv6_cidr_block_state(state).build()
        };
        let plain = || ec2::Subnet::builder().subnet_id("subnet-1").vpc_id("vpc-1");
        let taken_off = || plain().ipv6_cidr_block_association_set(range(Code::Disassociated));
        let outpost = "arn:aws:outposts:eu-west-1:123456789012:outpost/op-1";
        for (from, expected) in [
            (plain(), (true, false, false)),
            (taken_off(), (true, false, false)),
            (taken_off().ipv6_cidr_block_association_set(range(Code::Associated)), (true, true, false)),
            (plain().ipv6_native(true).ipv6_cidr_block_association_set(range(Code::Associated)), (false, true, false)),
            (plain().outpost_arn(outpost), (true, false, true)),
        ] {
            let subnet = subnet(Operation::DescribeSubnets, &from.build()).unwrap();
            assert_eq!((subnet.ipv4, subnet.ipv6, subnet.outpost), expected);
        }
    }

    #[test]
    fn of_block_public_access_what_stops_both_ways_is_known_and_what_is_not_said_is_not() {
        use ec2::BlockPublicAccessMode as Mode;
        let closed = |mode: Option<Mode>| {
            let states = ec2::BlockPublicAccessStates::builder().set_internet_gateway_block_mode(mode).build();
            let from = ec2::Subnet::builder().subnet_id("subnet-1").vpc_id("vpc-1").block_public_access_states(states);
            subnet(Operation::DescribeSubnets, &from.build()).unwrap().no_internet
        };
        assert!(closed(Some(Mode::BlockBidirectional)));
        // A function is reached by nobody from outside, so that what is kept from coming in makes no difference.
        for mode in [Some(Mode::BlockIngress), Some(Mode::Off), Some(Mode::from("block-egress")), None] {
            assert!(!closed(mode.clone()), "{mode:?}");
        }
        let unsaid = ec2::Subnet::builder().subnet_id("subnet-1").vpc_id("vpc-1").build();
        assert!(!subnet(Operation::DescribeSubnets, &unsaid).unwrap().no_internet);
    }

    #[test]
    fn encryption_is_demanded_of_lambda_where_it_is_enforced_and_lambda_is_not_excluded() {
        let demanded = |mode: &str, state: &str, lambda: Option<&str>| {
            let excluded =
                lambda.map(|state| ec2::VpcEncryptionControlExclusion::builder().state(state.into()).build());
            let all = ec2::VpcEncryptionControlExclusions::builder().set_lambda(excluded).build();
            let control = ec2::VpcEncryptionControl::builder().mode(mode.into()).state(state.into());
            let from = ec2::Vpc::builder().vpc_id("vpc-1").encryption_control(control.resource_exclusions(all).build());
            vpc(Operation::DescribeVpcs, &from.build()).unwrap().encrypted_only
        };
        for (mode, state, lambda, expected) in [
            ("enforce", "available", None, true),
            ("enforce", "available", Some("disabled"), true),
            ("enforce", "enforce-in-progress", Some("disabling"), true),
            ("enforce", "a-state-to-come", None, true),
            ("enforce", "available", Some("enabled"), false),
            ("enforce", "available", Some("enabling"), false),
            ("enforce", "enforce-failed", None, false),
            ("enforce", "deleting", None, false),
            ("monitor", "available", None, false),
            ("a-mode-to-come", "available", None, false),
        ] {
            assert_eq!(demanded(mode, state, lambda), expected, "{mode} {state} {lambda:?}");
        }
        let unsaid = ec2::Vpc::builder().vpc_id("vpc-1").build();
        assert!(!vpc(Operation::DescribeVpcs, &unsaid).unwrap().encrypted_only);
    }

    #[test]
    fn values_outside_the_enums_do_not_break_parsing() {
        let answer = GetFunctionConfigurationOutput::builder()
            .function_name("f")
            .role("arn:aws:iam::123456789012:role/r")
            .state("SomethingNew".into())
            .last_update_status(lambda::LastUpdateStatus::InProgress)
            .last_update_status_reason_code("Creating".into())
            .build();
        let function = configuration(Operation::GetFunctionConfiguration, &answer).unwrap();
        let life = function.life.unwrap();
        assert_eq!(*life, Life { state: State::Other("SomethingNew".to_owned()), update: Update::InProgress });
    }
}
