//! Whether functions get to the internet from the subnets that an entry means.

use super::bind::check;
use super::*;

const ALL: &str = "subnet-a,subnet-b,subnet-public/sg-default";

/// The ways of the subnets `a`, `b` and `public`, in this order.
fn ways(ways: [WayOut; 3]) -> impl Fn(&mut VpcFacts) {
    move |vpc| vpc.subnets.iter_mut().zip(ways).for_each(|(subnet, way)| subnet.way = way)
}

#[test]
fn with_nothing_said_the_private_subnets_with_a_way_out_are_meant() {
    use WayOut::{Appliance, Endpoint, InternetGateway, Nat, Nowhere, Peering, TransitGateway, Unseen, VirtualGateway};
    let zone = "one availability zone";
    for (there, expected, warnings) in [
        ([Nat, Nat, InternetGateway], HOME, &[][..]),
        ([TransitGateway, TransitGateway, InternetGateway], HOME, &[]),
        ([Endpoint, Endpoint, Endpoint], ALL, &[]),
        (
            [Nat, Nat, Nowhere],
            HOME,
            &["left out because their subnets do not lead to the internet: subnet-public leads"],
        ),
        ([Nat, Nowhere, Nowhere], "subnet-a/sg-default", &["subnet-b, subnet-public lead nowhere", zone]),
        ([Nat, Peering, InternetGateway], "subnet-a/sg-default", &["subnet-b leads to a peered VPC", zone]),
        ([Appliance, VirtualGateway, InternetGateway], HOME, &["by different ways: subnet-b leads to a virtual"]),
        ([Nowhere, Nowhere, InternetGateway], HOME, &["no way to the internet: subnet-a, subnet-b lead nowhere"]),
        ([InternetGateway; 3], ALL, &["no private subnet", "no way to the internet"]),
        ([Unseen; 3], ALL, &["is not known: subnet-a, subnet-b, subnet-public lead where nobody can see"]),
        ([Unseen, Nowhere, Unseen], "subnet-b/sg-default", &["no way to the internet", zone]),
    ] {
        check("", ways(there), expected, warnings);
    }
}

#[test]
fn subnets_without_a_way_out_in_zones_that_have_others_are_left_out_without_a_word() {
    let tiers = |vpc: &mut VpcFacts| {
        ways([WayOut::Nat, WayOut::Nat, WayOut::Nowhere])(vpc);
        vpc.subnets[2].subnet.zone = vpc.subnets[0].subnet.zone.clone();
    };
    check("", tiers, HOME, &[]);
}

#[test]
fn a_gateway_that_is_gone_for_now_moves_nothing() {
    use WayOut::{Blackhole, InternetGateway, Nat, Nowhere};
    let some = &["from some subnets only: subnet-b leads to a NAT gateway; subnet-a leads into a blackhole"];
    check("", ways([Blackhole, Nat, InternetGateway]), HOME, some);
    let none = &["no way to the internet: subnet-a, subnet-b lead into"];
    check("", ways([Blackhole, Blackhole, InternetGateway]), HOME, none);
    check("subnets = { ids = ['subnet-a', 'subnet-b'] }", ways([Blackhole, Nat, Nowhere]), HOME, some);
}

#[test]
fn picked_subnets_of_which_only_some_lead_out_are_doubtful() {
    use WayOut::{InternetGateway, Nat, Nowhere, Strange, Unseen};
    for pick in ["subnets = { names = ['a', 'b'] }", "subnets = { tags = { tier = 'private' } }"] {
        check(
            pick,
            ways([Nat, Nowhere, Nat]),
            HOME,
            &["from some subnets only: subnet-a leads to a NAT gateway; subnet-b"],
        );
        check(pick, ways([Nat, InternetGateway, Nat]), HOME, &["subnet-b leads to an internet gateway, as public"]);
        check(pick, ways([Nat, Strange, Nat]), HOME, &["is not known"]);
        check(pick, ways([Nat, Nat, Nowhere]), HOME, &[]);
    }
    let ids = "subnets = { ids = ['subnet-a', 'subnet-b'] }";
    check(ids, ways([Unseen; 3]), HOME, &[]);
    check(ids, ways([Unseen, Nowhere, Unseen]), HOME, &["from some subnets only"]);
}

#[test]
fn a_way_out_that_is_required_blocks_where_it_is_missing_or_cannot_be_seen() {
    use WayOut::{Blackhole, InternetGateway, Nat, Nowhere, Unseen};
    for (there, expected) in [
        ([Nat, Nat, InternetGateway], HOME),
        ([Nowhere, Nowhere, InternetGateway], "NoWayOut"),
        ([Nat, Blackhole, InternetGateway], "NoWayOut"),
        ([InternetGateway; 3], "NoWayOut"),
        ([Unseen; 3], "NoWayOut"),
    ] {
        check("egress = 'required'", ways(there), expected, &[]);
    }
    let ids = "subnets = { ids = ['subnet-a', 'subnet-b'] }\negress = 'required'";
    check(ids, ways([Unseen; 3]), HOME, &[]);
    check(ids, ways([Unseen, Nowhere, Unseen]), "NoWayOut", &[]);
}

#[test]
fn where_no_way_out_is_wanted_subnets_without_one_are_meant_and_nothing_is_doubtful() {
    use WayOut::{Blackhole, InternetGateway, Nat, Nowhere, Unseen};
    for (there, expected, warnings) in [
        (
            [Nat, Nowhere, Nowhere],
            "subnet-b,subnet-public/sg-default",
            &["because their subnets lead to the internet"][..],
        ),
        ([Nowhere, Nowhere, InternetGateway], HOME, &[]),
        ([Blackhole, Nowhere, InternetGateway], HOME, &[]),
        (
            [Nat, Nat, InternetGateway],
            HOME,
            &["not all subnets are without a way out: subnet-a, subnet-b lead to a NAT"],
        ),
        ([Unseen; 3], ALL, &["not all subnets are without a way out"]),
    ] {
        check("egress = 'none'", ways(there), expected, warnings);
    }
    let ids = "subnets = { ids = ['subnet-a', 'subnet-b'] }\negress = 'none'";
    check(ids, ways([Unseen; 3]), HOME, &[]);
    check(ids, ways([Nat, Nowhere, Nowhere]), HOME, &["subnet-a leads to a NAT gateway; subnet-b leads nowhere"]);
}

#[test]
fn out_by_ipv6_alone_counts_only_where_ipv6_is_allowed() {
    let way = |vpc: &mut VpcFacts| {
        ways([WayOut::Ipv6Only; 3])(vpc);
        vpc.subnets.iter_mut().for_each(|subnet| subnet.subnet.ipv6 = true);
    };
    check("ipv6 = true", way, "subnet-a,subnet-b,subnet-public/sg-default+ipv6", &[]);
    check("", way, ALL, &["lead out by IPv6 alone"]);
}

#[test]
fn a_plan_says_on_its_line_that_a_function_loses_its_way_to_the_internet() {
    let lost = "and loses that with this change";
    let some = "from some of its subnets only";
    for (entry, to, vpc, expected) in [
        ("vpc = 'orders'", [WayOut::Nowhere; 2], None, Some(lost)),
        ("vpc = 'orders'", [WayOut::Nat; 2], None, None),
        ("vpc = 'orders'", [WayOut::Unseen; 2], None, None),
        ("vpc = 'picked'", [WayOut::Nat, WayOut::Nowhere], None, Some(some)),
        ("vpc = 'sealed'", [WayOut::Nowhere; 2], None, None),
        ("vpc = 'orders'", [WayOut::Nowhere; 2], Some(&["subnet-c"][..]), Some(lost)),
        ("vpc = 'orders'", [WayOut::Nowhere; 2], Some(&["subnet-public"]), None),
        ("vpc = 'orders'", [WayOut::Nowhere; 2], Some(&["subnet-gone"]), None),
    ] {
        let text = format!(
            "[defaults]\nregion = 'eu-west-1'\n[[vpc]]\nname = 'orders'\nid = 'vpc-1'\n[[vpc]]\nname = 'sealed'\nid = 'vpc-1'\negress = 'none'\n\
             [[vpc]]\nname = 'picked'\nid = 'vpc-1'\nsubnets = {{ ids = ['subnet-a', 'subnet-b'] }}\n\
             [[function]]\nname = 'api'\n{entry}\n"
        );
        let mut scene = scene(ORDERS);
        scene.desired = reading(&text);
        for (subnet, way) in scene.vpc().subnets.iter_mut().zip(to) {
            subnet.way = way;
        }
        if let Some(subnets) = vpc {
            let mut other = subnet("c", false);
            other.subnet.available = false;
            scene.vpc().subnets.push(other);
            let api = scene.api();
            (api.vpc, api.network) = (Some(vpc_id("vpc-1")), network(subnets, &["sg-default"]));
        }
        let told = scene.compare().warnings;
        assert_eq!(told.len(), usize::from(expected.is_some()), "{entry} {to:?}: {told:?}");
        assert!(expected.is_none_or(|part| told[0].contains(part)), "{entry} {to:?}: {told:?}");
    }
}
