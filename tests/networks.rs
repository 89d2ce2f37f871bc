//! Networks that are not like the demo's: shared with the account, with groups of other VPCs, and without a way out.

use std::time::Duration;

use lambda_vpc_controller::names::SecurityGroupId;
use lambda_vpc_controller::plan::{Limits, Reason, State};
use lambda_vpc_controller::simulator::{Aws, World};

use crate::support::history::{History, settings};
use crate::support::permitted::{permit, widest};

const MINUTE: Duration = Duration::from_secs(60);

/// A function `f` outside any VPC; `more` is what the VPC `vpc-00000001` and its groups have beside two subnets.
fn world(more: &str) -> World {
    let text = format!(
        "{more}\n[[subnet]]\nid = 'subnet-00000001'\nvpc = 'vpc-00000001'\n[[subnet]]\nid = 'subnet-00000002'\nvpc = 'vpc-00000001'\n\
         [[role]]\nname = 'r'\npolicies = ['service-role/AWSLambdaVPCAccessExecutionRole']\n\
         [[function]]\nname = 'f'\nrole = 'r'\n"
    );
    World::parse(&text, "networks").unwrap()
}

/// A VPC of one's own that leads out, and another with two groups, of which one is associated with the first.
fn associated() -> World {
    world(
        "[[vpc]]\nid = 'vpc-00000001'\ndefault_route = 'nat'\n[[vpc]]\nid = 'vpc-00000002'\n\
         [[security_group]]\nid = 'sg-00000001'\nvpc = 'vpc-00000001'\nname = 'own'\ntags = { app = 'orders' }\n\
         [[security_group]]\nid = 'sg-00000002'\nvpc = 'vpc-00000002'\nname = 'guest'\ntags = { app = 'orders' }\n\
         associated = ['vpc-00000001']\n\
         [[security_group]]\nid = 'sg-00000003'\nvpc = 'vpc-00000002'\nname = 'other'\ntags = { app = 'orders' }\n",
    )
}

/// A VPC that another account shares, with a group of that one's, a group that it shares, and one of the account's own.
fn shared() -> World {
    world(
        "[[vpc]]\nid = 'vpc-00000001'\nowner = '210987654321'\ndefault_security_group = 'sg-0000000d'\n\
         [[security_group]]\nid = 'sg-00000004'\nvpc = 'vpc-00000001'\nshared = true\n\
         [[security_group]]\nid = 'sg-00000001'\nvpc = 'vpc-00000001'\n",
    )
}

/// What a file with these words of the VPC's entry leads to in an hour, under the rights that the program asks for.
fn after(world: World, words: &str, done: impl FnOnce(&mut Aws)) -> History {
    let mut history = History::of(world, Limits { guard: None, ..Limits::of(&settings()) });
    permit(&history.door, &widest());
    history.door.with(|aws, _| done(aws));
    history.load(&format!(
        "[[vpc]]\nname = 'net'\nid = 'vpc-00000001'\nregion = 'eu-west-1'\naccount = '123456789012'\n{words}\n[[function]]\nname = 'f'\nvpc = 'net'\n"
    ));
    history.pass(60 * MINUTE);
    history
}

fn groups(history: &History) -> Vec<String> {
    history.network("f").security_groups.iter().map(SecurityGroupId::to_string).collect()
}

fn asked(history: &History, operation: &str) -> u64 {
    history.door.counts().get(operation).copied().unwrap_or_default()
}

#[test]
fn a_group_of_another_vpc_is_found_by_id_name_and_tag_where_it_is_associated() {
    for (words, expected) in [
        ("ids = ['sg-00000002']", &["sg-00000002"][..]),
        ("names = ['guest', 'own']", &["sg-00000001", "sg-00000002"]),
        ("tags = { app = 'orders' }", &["sg-00000001", "sg-00000002"]),
    ] {
        let history = after(associated(), &format!("security_groups = {{ {words} }}"), |_| {});
        assert_eq!(groups(&history), expected, "{words}");
        assert_eq!(history.outcome("f").state(), State::InSync);
        assert!(asked(&history, "GetSecurityGroupsForVpc") > 0, "{words}");
    }
    let history = after(associated(), "security_groups = { ids = ['sg-00000003'] }", |_| {});
    assert_eq!((history.reason("f"), groups(&history)), (Reason::SecurityGroupNotFound, Vec::new()));
}

#[test]
fn only_where_a_vpc_s_own_groups_do_not_answer_the_others_are_asked_for() {
    for words in ["", "security_groups = { ids = ['sg-00000001'] }", "security_groups = { names = ['own'] }"] {
        let history = after(associated(), words, |_| {});
        assert_eq!(history.outcome("f").state(), State::InSync);
        assert_eq!(asked(&history, "GetSecurityGroupsForVpc"), 0, "{words}");
    }
}

#[test]
fn where_the_other_groups_cannot_be_read_nothing_is_decided_by_the_own_ones_alone() {
    let words = "security_groups = { tags = { app = 'orders' } }";
    let history = after(associated(), words, |aws| {
        aws.denied.insert("GetSecurityGroupsForVpc".to_owned());
    });
    assert_eq!(history.reason("f"), Reason::AccessDenied);
    assert!(history.detail("f").contains("ec2:GetSecurityGroupsForVpc"), "{}", history.detail("f"));
    assert_eq!(history.calls(), Vec::<String>::new());
}

#[test]
fn in_a_shared_vpc_the_owner_s_groups_are_used_only_where_they_are_shared_as_well() {
    for (id, works) in [("sg-00000001", true), ("sg-00000004", true), ("sg-0000000d", false)] {
        let history = after(shared(), &format!("security_groups = {{ ids = ['{id}'] }}"), |_| {});
        if works {
            assert_eq!((history.outcome("f").state(), groups(&history)), (State::InSync, vec![id.to_owned()]));
        } else {
            assert_eq!(history.reason("f"), Reason::SecurityGroupNotFound, "{id}");
            assert!(history.detail("f").contains("shared by account 210987654321"), "{}", history.detail("f"));
            assert_eq!(history.calls(), Vec::<String>::new());
        }
    }
    let history = after(shared(), "", |_| {});
    assert_eq!(history.reason("f"), Reason::SecurityGroupNotFound);
    assert!(history.detail("f").contains("whose default group cannot be used"), "{}", history.detail("f"));
}

#[test]
fn what_cannot_be_seen_of_a_shared_vpc_is_doubtful_unless_subnets_are_named() {
    let own = "security_groups = { ids = ['sg-00000001'] }";
    let history = after(shared(), own, |_| {});
    assert_eq!(history.network("f").subnets.len(), 2);
    assert!(
        history.doubts("f").contains("subnet-00000001, subnet-00000002 lead where nobody can see"),
        "{}",
        history.doubts("f")
    );
    let named =
        after(shared(), &format!("{own}\nsubnets = {{ ids = ['subnet-00000001', 'subnet-00000002'] }}"), |_| {});
    assert_eq!((named.network("f").subnets.len(), named.doubts("f").as_str()), (2, ""));
    let required = after(shared(), &format!("{own}\negress = 'required'"), |_| {});
    assert_eq!((required.reason("f"), required.network("f").is_attached()), (Reason::NoWayOut, false));
}

#[test]
fn of_a_network_without_a_way_out_it_is_told_which_services_functions_reach() {
    let sealed = |endpoint: &str| world(&format!("[[vpc]]\nid = 'vpc-00000001'\n{endpoint}"));
    let two = "[[endpoint]]\nvpc = 'vpc-00000001'\nservice = 's3'\n[[endpoint]]\nvpc = 'vpc-00000001'\nservice = 'secretsmanager'\n";
    for (endpoints, denied, told) in [
        (two, false, "its VPC endpoints let them reach s3, secretsmanager"),
        ("", false, "it has no VPC endpoints either"),
        (two, true, "which VPC endpoints it has cannot be read"),
    ] {
        let history = after(sealed(endpoints), "", |aws| {
            if denied {
                aws.denied.insert("DescribeVpcEndpoints".to_owned());
            }
        });
        assert_eq!((history.outcome("f").state(), history.network("f").is_attached()), (State::InSync, true));
        assert!(history.doubts("f").contains(told), "{}", history.doubts("f"));
    }
    let wanted = after(sealed(two), "egress = 'none'", |_| {});
    assert_eq!((wanted.network("f").is_attached(), wanted.doubts("f").as_str()), (true, ""));
    let blocked = after(sealed(two), "egress = 'required'", |_| {});
    assert_eq!((blocked.reason("f"), blocked.calls()), (Reason::NoWayOut, Vec::new()));
}

#[test]
fn endpoints_are_asked_for_only_where_a_subnet_leads_nowhere() {
    let history = after(world("[[vpc]]\nid = 'vpc-00000001'\ndefault_route = 'nat'"), "", |_| {});
    assert_eq!((asked(&history, "DescribeVpcEndpoints"), history.doubts("f").as_str()), (0, ""));
}

#[test]
fn subnets_that_lambda_does_not_take_are_left_out_and_refused_by_name() {
    let kinds = [
        ("zone_id = 'euw1-dub1-az1'", "Local and Wavelength Zones", Reason::ZoneRefused),
        ("ipv6_native = true", "IPv6-only", Reason::SubnetUnfit),
        (
            "outpost = 'arn:aws:outposts:eu-west-1:123456789012:outpost/op-0a1b2c3d4e5f60718'",
            "Outpost",
            Reason::SubnetUnfit,
        ),
    ];
    for (kind, told, reason) in kinds {
        let more = format!(
            "[[vpc]]\nid = 'vpc-00000001'\ndefault_route = 'nat'\n\
             [[subnet]]\nid = 'subnet-00000003'\nvpc = 'vpc-00000001'\n{kind}\n"
        );
        let history = after(world(&more), "", |_| {});
        assert_eq!((history.outcome("f").state(), history.network("f").subnets.len()), (State::InSync, 2), "{kind}");
        assert!(history.doubts("f").contains(told), "{kind}: {}", history.doubts("f"));
        let named = after(world(&more), "subnets = { ids = ['subnet-00000003'] }", |_| {});
        assert_eq!((named.reason("f"), named.calls()), (reason, Vec::new()), "{kind}");
    }
}

#[test]
fn what_an_organisation_sets_over_a_vpc_is_told_and_keeps_nobody_out() {
    let of = |vpc: &str, subnet: &str| {
        let more = format!("[[vpc]]\nid = 'vpc-00000001'\ndefault_route = 'nat'\n{vpc}");
        let mut world = world(&more);
        world.subnets.iter_mut().for_each(|it| it.no_internet = !subnet.is_empty());
        after(world, "", |_| {})
    };
    for (history, told) in
        [(of("", "closed"), "Block Public Access"), (of("encrypted_only = true", ""), "ncryption"), (of("", ""), "")]
    {
        assert_eq!(history.outcome("f").state(), State::InSync);
        let doubts = history.doubts("f");
        assert!(doubts.contains(told) && doubts.is_empty() == told.is_empty(), "{told}: {doubts}");
    }
}
