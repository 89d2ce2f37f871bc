//! From the words of the file to subnets and groups.

use super::*;
use crate::desired::Want;

/// Binds an entry with these selectors against the VPC after something was done to it. Each warning must have its part,
/// and there must be no other.
#[track_caller]
pub(super) fn check(selectors: &str, done: impl FnOnce(&mut VpcFacts), expected: &str, warnings: &[&str]) {
    let mut vpc = vpc();
    done(&mut vpc);
    let (found, warned) = match super::bind(&intent(selectors), &vpc, &account()) {
        Ok(Bound { network, ipv6: _, warnings }) => (in_words(&network), warnings),
        Err(why) => (format!("{:?}", why.reason), Arc::default()),
    };
    assert_eq!(found, expected, "{selectors}");
    assert_eq!(warned.len(), warnings.len(), "{warned:?}");
    for (warning, part) in warned.iter().zip(warnings) {
        assert!(warning.contains(part), "`{warning}` does not say `{part}`");
    }
}

/// What an entry of the file asks for.
fn intent(selectors: &str) -> Arc<crate::desired::Intent> {
    let text = format!(
        "[[vpc]]\nname = 'orders'\nid = 'vpc-1'\nregion = 'eu-west-1'\n{selectors}\n\
         [[function]]\nname = 'api'\nvpc = 'orders'\n"
    );
    match &reading(&text).entries[0].terms.want {
        Want::Attached(intent) => Arc::clone(intent),
        Want::Detached | Want::Disputed(_) => panic!("not in a VPC"),
    }
}

/// Nothing is done to the VPC.
fn as_is(_: &mut VpcFacts) {}

fn only_public(vpc: &mut VpcFacts) {
    vpc.subnets.iter_mut().for_each(|subnet| subnet.way = WayOut::InternetGateway);
}

fn unavailable_a(vpc: &mut VpcFacts) {
    vpc.subnets[0].subnet.available = false;
}

fn private_subnets(vpc: &mut VpcFacts, number: usize) {
    vpc.subnets = (0..number).map(|i| subnet(&format!("{i:02}"), false)).collect();
}

#[test]
fn with_nothing_said_the_private_subnets_and_the_default_group_are_meant() {
    check("", as_is, HOME, &[]);
    check("", unavailable_a, "subnet-b/sg-default", &["one availability zone"]);
    check("", |vpc| vpc.subnets.reverse(), HOME, &[]);
}

#[test]
fn a_vpc_without_private_subnets_gives_all_it_has_with_a_warning() {
    let all = "subnet-a,subnet-b,subnet-public/sg-default";
    check("", only_public, all, &["no private subnet", "no way to the internet"]);
    let two = |vpc: &mut VpcFacts| {
        only_public(vpc);
        unavailable_a(vpc);
    };
    check("", two, "subnet-b,subnet-public/sg-default", &["no private subnet", "no way to the internet"]);
    // A private subnet that cannot be used now is still one: but there is no other way to go on than the public ones.
    let private_gone =
        |vpc: &mut VpcFacts| vpc.subnets.iter_mut().for_each(|s| s.subnet.available = s.way == WayOut::InternetGateway);
    check(
        "",
        private_gone,
        "subnet-public/sg-default",
        &["no private subnet", "no way to the internet", "one availability zone"],
    );
}

#[test]
fn a_vpc_without_any_usable_subnet_is_refused() {
    check("", |vpc| vpc.subnets.clear(), "NoUsableSubnet", &[]);
    check("", |vpc| vpc.subnets.iter_mut().for_each(|s| s.subnet.available = false), "NoUsableSubnet", &[]);
}

#[test]
fn subnets_are_picked_by_ids() {
    check("subnets = { ids = ['subnet-b', 'subnet-a'] }", as_is, HOME, &[]);
    check("subnets = { ids = ['subnet-b', 'subnet-x'] }", as_is, "SubnetNotFound", &[]);
    check("subnets = { ids = ['subnet-a'] }", as_is, "subnet-a/sg-default", &["one availability zone"]);
}

#[test]
fn subnets_are_picked_by_their_name_tags() {
    check("subnets = { names = ['b', 'a'] }", as_is, HOME, &[]);
    check("subnets = { names = ['a', 'x'] }", as_is, "SubnetNotFound", &[]);
    // The id is no name.
    check("subnets = { names = ['subnet-a'] }", as_is, "SubnetNotFound", &[]);
}

#[test]
fn of_two_subnets_with_one_name_the_same_is_picked_in_whichever_order_they_are_told() {
    let twins = |vpc: &mut VpcFacts| vpc.subnets[1].subnet.tags = tags(&[("Name", "a")]);
    let reversed = |vpc: &mut VpcFacts| {
        twins(vpc);
        vpc.subnets.reverse();
    };
    let warnings = &["subnet-a, subnet-b", "one availability zone"];
    check("subnets = { names = ['a'] }", twins, "subnet-a/sg-default", warnings);
    check("subnets = { names = ['a'] }", reversed, "subnet-a/sg-default", warnings);
}

#[test]
fn subnets_are_picked_by_tags_that_all_must_fit() {
    check("subnets = { tags = { tier = 'private' } }", as_is, HOME, &[]);
    let one = "subnets = { tags = { tier = 'private', Name = 'b' } }";
    check(one, as_is, "subnet-b/sg-default", &["one availability zone"]);
    check("subnets = { tags = { tier = 'Private' } }", as_is, "NoUsableSubnet", &[]);
    check("subnets = { tags = { Tier = 'private' } }", as_is, "NoUsableSubnet", &[]);
}

#[test]
fn an_unavailable_subnet_is_refused_by_id_and_name_and_passed_over_by_tag() {
    check("subnets = { ids = ['subnet-a', 'subnet-b'] }", unavailable_a, "SubnetNotFound", &[]);
    check("subnets = { names = ['a', 'b'] }", unavailable_a, "SubnetNotFound", &[]);
    let rest = &["one availability zone"];
    check("subnets = { tags = { tier = 'private' } }", unavailable_a, "subnet-b/sg-default", rest);
}

#[test]
fn a_public_subnet_that_is_named_gives_a_warning() {
    let both = "subnet-a,subnet-public/sg-default";
    check(
        "subnets = { ids = ['subnet-a', 'subnet-public'] }",
        as_is,
        both,
        &["subnet-public leads to an internet gateway, as public subnets do"],
    );
    check(
        "subnets = { names = ['a', 'public'] }",
        as_is,
        both,
        &["subnet-public leads to an internet gateway, as public subnets do"],
    );
    let warnings = &["subnet-public leads to an internet gateway, as public subnets do", "one availability zone"];
    check("subnets = { tags = { tier = 'public' } }", as_is, "subnet-public/sg-default", warnings);
}

#[test]
fn subnets_in_one_zone_give_a_warning() {
    let same_zone = |vpc: &mut VpcFacts| vpc.subnets.iter_mut().for_each(|s| s.subnet.zone = "z".to_owned());
    check("", same_zone, HOME, &["one availability zone"]);
}

#[test]
fn at_most_sixteen_subnets_are_taken() {
    let sixteen: Vec<String> = (0..16).map(|i| format!("subnet-{i:02}")).collect();
    check("", |vpc| private_subnets(vpc, 16), &format!("{}/sg-default", sixteen.join(",")), &[]);
    check("", |vpc| private_subnets(vpc, 17), "TooManySubnets", &[]);
    check("subnets = { tags = { tier = 'private' } }", |vpc| private_subnets(vpc, 17), "TooManySubnets", &[]);
}

#[test]
fn security_groups_are_picked_by_ids_names_and_tags() {
    let (lambda, both) = ("subnet-a,subnet-b/sg-lambda", "subnet-a,subnet-b/sg-default,sg-lambda");
    check("security_groups = { ids = ['sg-lambda'] }", as_is, lambda, &[]);
    check("security_groups = { ids = ['sg-lambda', 'sg-default'] }", as_is, both, &[]);
    check("security_groups = { ids = ['sg-lambda', 'sg-x'] }", as_is, "SecurityGroupNotFound", &[]);
    check("security_groups = { names = ['lambda'] }", as_is, lambda, &[]);
    check("security_groups = { names = ['lambda', 'default'] }", as_is, both, &[]);
    check("security_groups = { names = ['Lambda'] }", as_is, "SecurityGroupNotFound", &[]);
    check("security_groups = { tags = { for = 'lambda' } }", as_is, lambda, &[]);
    check("security_groups = { tags = { for = 'x' } }", as_is, "SecurityGroupNotFound", &[]);
    check("security_groups = { tags = { for = 'lambda', of = 'x' } }", as_is, "SecurityGroupNotFound", &[]);
}

#[test]
fn the_default_group_must_be_there_if_no_other_is_named() {
    let gone = |vpc: &mut VpcFacts| vpc.security_groups.retain(|group| group.name != "default");
    check("", gone, "SecurityGroupNotFound", &[]);
    check("security_groups = { names = ['lambda'] }", gone, "subnet-a,subnet-b/sg-lambda", &[]);
}

#[test]
fn groups_that_let_nothing_out_give_a_warning_unless_one_of_them_does() {
    let closed = |vpc: &mut VpcFacts| vpc.security_groups[0].lets_out = Some(false);
    check("", closed, HOME, &["no group lets anything out (default)"]);
    let both = "security_groups = { names = ['default', 'lambda'] }";
    check(both, closed, "subnet-a,subnet-b/sg-default,sg-lambda", &[]);
}

#[test]
fn at_most_five_security_groups_are_taken() {
    let groups = |number: usize| {
        move |vpc: &mut VpcFacts| {
            vpc.security_groups = (0..number)
                .map(|i| SecurityGroup { tags: tags(&[("for", "all")]), ..group(&format!("{i}")) })
                .collect();
        }
    };
    let by_tag = "security_groups = { tags = { for = 'all' } }";
    check(by_tag, groups(5), "subnet-a,subnet-b/sg-0,sg-1,sg-2,sg-3,sg-4", &[]);
    check(by_tag, groups(6), "TooManySecurityGroups", &[]);
}

#[test]
fn a_vpc_with_dedicated_tenancy_is_refused() {
    check("", |vpc| vpc.vpc.dedicated = true, "DedicatedTenancy", &[]);
}

#[test]
fn subnets_in_a_zone_that_lambda_refuses_are_left_out_unless_they_were_named() {
    let old = |vpc: &mut VpcFacts| vpc.subnets[0].subnet.zone = "use1-az3".to_owned();
    let rest = "subnet-b/sg-default";
    let left_out = &["subnet-a is left out", "one availability zone"];
    check("", old, rest, left_out);
    check("subnets = { tags = { tier = 'private' } }", old, rest, left_out);
    check("subnets = { tags = { Name = 'a' } }", old, "NoUsableSubnet", &[]);
    check("subnets = { ids = ['subnet-a', 'subnet-b'] }", old, "ZoneRefused", &[]);
    check("subnets = { names = ['a'] }", old, "ZoneRefused", &[]);
    check("subnets = { ids = ['subnet-b'] }", old, rest, &["one availability zone"]);
    // A public one would not have been taken anyway.
    check("", |vpc| vpc.subnets[2].subnet.zone = "use1-az3".to_owned(), HOME, &[]);
}

#[test]
fn subnets_that_lambda_does_not_take_are_left_out_unless_they_were_named() {
    type Change = fn(&mut Subnet);
    let kinds: [(Change, &str, &str); 4] = [
        (|subnet| subnet.zone = "euw1-dub1-az1".to_owned(), "ZoneRefused", "euw1-dub1-az1"),
        (|subnet| subnet.zone = "euw1-wl1-dub-wlz1".to_owned(), "ZoneRefused", "Wavelength"),
        (|subnet| subnet.outpost = true, "SubnetUnfit", "on an Outpost"),
        (|subnet| (subnet.ipv4, subnet.ipv6, subnet.free_addresses) = (false, true, 0), "SubnetUnfit", "IPv6-only"),
    ];
    for (change, reason, words) in kinds {
        let with = |vpc: &mut VpcFacts| change(&mut vpc.subnets[0].subnet);
        let warnings = &[words, "one availability zone"];
        check("", with, "subnet-b/sg-default", warnings);
        check("subnets = { tags = { tier = 'private' } }", with, "subnet-b/sg-default", warnings);
        check("subnets = { ids = ['subnet-a', 'subnet-b'] }", with, reason, &[]);
        check("subnets = { names = ['a'] }", with, reason, &[]);
        check("subnets = { tags = { Name = 'a' } }", with, "NoUsableSubnet", &[]);
    }
    for fine in ["euw1-az1", "use1-az12", "eu-west-1a", "us-gov-west-1b", "eu-west-1", ""] {
        check("", |vpc| vpc.subnets[0].subnet.zone = fine.to_owned(), HOME, &[]);
    }
}

#[test]
fn in_a_vpc_that_another_account_shares_what_is_not_found_by_name_has_a_hint() {
    let mut shared = vpc();
    shared.vpc.owner = AccountId::parse("210987654321").ok();
    for selectors in
        ["subnets = { names = ['x'] }", "subnets = { tags = { x = 'y' } }", "security_groups = { names = ['x'] }"]
    {
        for (vpc, hinted) in [(&shared, true), (&vpc(), false)] {
            let why = super::bind(&intent(selectors), vpc, &account()).unwrap_err();
            assert_eq!(why.detail.contains("is shared by account 210987654321"), hinted, "{}", why.detail);
        }
    }
    assert!(
        super::bind(
            &intent("subnets = { ids = ['subnet-a'] }\nsecurity_groups = { ids = ['sg-lambda'] }"),
            &shared,
            &account()
        )
        .is_ok()
    );
}

/// Neither keeps Lambda from making an interface for certain, so neither blocks.
#[test]
fn block_public_access_and_encryption_control_are_told() {
    let closed = |vpc: &mut VpcFacts| vpc.subnets.iter_mut().for_each(|it| it.subnet.no_internet = true);
    let told = "stops all traffic with the internet, through NAT gateways too, in subnet-a, subnet-b";
    check("", closed, HOME, &[told]);
    let elsewhere = |vpc: &mut VpcFacts| vpc.subnets[2].subnet.no_internet = true;
    check("", elsewhere, HOME, &[]);
    let enforced = |vpc: &mut VpcFacts| vpc.vpc.encrypted_only = true;
    check("", enforced, HOME, &["Encryption Control of vpc-1 is in mode enforce without an exclusion for Lambda"]);
}

#[test]
fn ipv6_needs_a_range_in_every_subnet_that_is_used() {
    let dual = |vpc: &mut VpcFacts| vpc.subnets.iter_mut().for_each(|s| s.subnet.ipv6 = s.way == WayOut::Nat);
    let half = |vpc: &mut VpcFacts| vpc.subnets[0].subnet.ipv6 = true;
    check("ipv6 = true", dual, "subnet-a,subnet-b/sg-default+ipv6", &[]);
    check("ipv6 = true", half, "NotDualStack", &[]);
    check("ipv6 = true", as_is, "NotDualStack", &[]);
    check("ipv6 = false", dual, HOME, &[]);
}

#[test]
fn what_cannot_be_bound_says_which_thing_is_meant() {
    let cases = [
        ("subnets = { ids = ['subnet-x'] }", "vpc-1 has no subnet subnet-x"),
        ("subnets = { names = ['x'] }", "vpc-1 has no subnet named x"),
        ("subnets = { tags = { tier = 'x' } }", "nothing has the tags tier = x"),
        ("security_groups = { ids = ['sg-x'] }", "vpc-1 has no group sg-x"),
        ("security_groups = { names = ['x'] }", "vpc-1 has no group named x"),
        ("ipv6 = true", "subnet-a has no IPv6 range"),
    ];
    for (selectors, part) in cases {
        let why = super::bind(&intent(selectors), &vpc(), &account()).unwrap_err();
        assert!(why.detail.contains(part), "`{}` does not say `{part}`", why.detail);
    }
}

/// A console shows it first, and for a subnet it is what a file says; the group is not taken by it.
#[test]
fn the_name_tag_of_a_group_in_place_of_its_name_is_pointed_out() {
    let mut vpc = vpc();
    for (group, tag) in vpc.security_groups.iter_mut().zip(["default", "Orders"]) {
        group.tags.insert("Name".to_owned(), tag.to_owned());
    }
    let said =
        |name: &str| super::bind(&intent(&format!("security_groups = {{ names = ['{name}'] }}")), &vpc, &account());
    let why = said("Orders").unwrap_err();
    assert_eq!(why.reason, Reason::SecurityGroupNotFound);
    assert_eq!(
        why.detail,
        "vpc-1 has no group named Orders; that is the Name tag of sg-lambda, whose group name is lambda"
    );
    assert!(said("lambda").is_ok() && said("default").is_ok());
    assert_eq!(said("orders").unwrap_err().detail, "vpc-1 has no group named orders");
}
