mod any_fleet;

use futures_util::FutureExt as _;

use super::adopt::Doubt;
use super::naming::named;
use super::text::Place;
use super::*;
use crate::cloud::{Class, CloudError, Listing, Operation};
use crate::commands::tests::{limits, looked};
use crate::desired::{Accounts, AttachPolicy, DesiredState, Pick, Want};
use crate::file::Source;
use crate::live::Seen;
use crate::names::{FunctionKey, FunctionName, NamePattern, Network, SecurityGroupId, Time, VpcId};
use crate::plan::{Plan, Reason, Verdict};
use crate::simulator::{
    DeclaredFunction, DeclaredRole, DeclaredSecurityGroup, DeclaredSubnet, DeclaredVpc, Door, Fault as Trouble,
    Misbehaviour, Overruler, StillClock, World,
};

const NOW: Time = Time(1_795_417_200_000);
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];
const VPC_ACCESS: &str = "service-role/AWSLambdaVPCAccessExecutionRole";

fn door(world: &World) -> Door {
    let built = Time(NOW.0 - 24 * 3600 * 1000);
    Door::new(world.build(built).unwrap(), StillClock::at(NOW).clock())
}

fn scope(region: &str) -> ScopeKey {
    ScopeKey { account: AccountId::parse("123456789012").unwrap(), region: Region::parse(region).unwrap() }
}

fn key(name: &str) -> FunctionKey {
    FunctionKey { scope: scope(REGIONS[0]), name: FunctionName::parse(name).unwrap() }
}

fn facts(door: &Door, regions: &[&str]) -> Regions {
    let of_region = |region: &&str| {
        let found = live::fleet(door, &scope(region), |_| true, NOW).now_or_never().unwrap();
        (scope(region), Facts::from(found.unwrap()))
    };
    regions.iter().map(of_region).collect()
}

fn adopted(facts: &Regions, outside: Outside) -> Adopted {
    adopt(facts, outside, &limits(), NOW).unwrap()
}

/// The file as it is read by whoever has nothing but the file.
fn read(text: &str) -> DesiredState {
    let source = Source::from_bytes(Path::new("functions.toml"), text.into()).unwrap();
    let state = DesiredState::check(&source, &Accounts::without_aws(BTreeMap::new(), None));
    state.unwrap_or_else(|unusable| panic!("{}\n{text}", unusable.render(false)))
}

/// What `plan` would say of the file, by the same controller.
fn plan(door: &Door, desired: DesiredState) -> Plan {
    looked(door, desired, NOW).plan(NOW).unwrap()
}

fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

fn vpc(id: &str, name: &str) -> DeclaredVpc {
    DeclaredVpc { id: id.to_owned(), name: Some(name.to_owned()), ..DeclaredVpc::default() }
}

fn subnet(id: &str, vpc: &str, name: Option<&str>) -> DeclaredSubnet {
    let (id, vpc, name) = (id.to_owned(), vpc.to_owned(), name.map(str::to_owned));
    DeclaredSubnet { id, vpc, name, ipv6: true, ..DeclaredSubnet::default() }
}

fn group(id: &str, vpc: &str, name: &str) -> DeclaredSecurityGroup {
    let name = Some(name.to_owned());
    DeclaredSecurityGroup { id: id.to_owned(), vpc: vpc.to_owned(), name, ..DeclaredSecurityGroup::default() }
}

fn role(name: &str, policies: &[&str]) -> DeclaredRole {
    DeclaredRole { name: name.to_owned(), policies: texts(policies), ..DeclaredRole::default() }
}

fn function(name: &str, role: &str, subnets: &[&str], groups: &[&str]) -> DeclaredFunction {
    DeclaredFunction {
        name: name.to_owned(),
        role: role.to_owned(),
        subnets: texts(subnets),
        security_groups: texts(groups),
        ..DeclaredFunction::default()
    }
}

/// Two networks in one VPC, one function whose role a simulation denies the right, one outside, one that cannot be managed.
fn small() -> World {
    let both = ["subnet-aaaaaaaa", "subnet-bbbbbbbb"];
    let provider = "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:p".to_owned();
    World {
        vpcs: vec![vpc("vpc-11111111", "orders")],
        subnets: vec![
            subnet("subnet-aaaaaaaa", "vpc-11111111", Some("private a")),
            subnet("subnet-bbbbbbbb", "vpc-11111111", None),
        ],
        security_groups: vec![
            group("sg-ffffffff", "vpc-11111111", "lambda"),
            group("sg-dddddddd", "vpc-11111111", "db"),
        ],
        roles: vec![role("able", &[VPC_ACCESS]), role("lacking", &[])],
        functions: vec![
            function("api", "able", &both, &["sg-ffffffff"]),
            function("worker", "lacking", &both, &["sg-ffffffff"]),
            DeclaredFunction {
                ipv6: true,
                ..function("report", "able", &["subnet-aaaaaaaa"], &["sg-ffffffff", "sg-dddddddd"])
            },
            function("outside", "able", &[], &[]),
            DeclaredFunction { capacity_provider: Some(provider), ..function("provided", "able", &[], &[]) },
        ],
        ..World::default()
    }
}

#[test]
fn the_file_has_names_beside_ids_and_tells_of_what_it_does_not_list() {
    let adopted = adopted(&facts(&door(&small()), &REGIONS[..1]), Outside::LeftOut);
    assert_eq!(
        adopted.text,
        r#"# Lambda functions and the networks that they are in, as `lambda-vpc-controller import` found them. Networks are written by
# their ids, so that a plan changes nothing. Names or tags instead of ids let an entry follow its VPC.

[defaults]
region = "eu-west-1"
account = "123456789012"

[[vpc]]
name = "orders-db+lambda"
id = "vpc-11111111"
subnets = { ids = [
    "subnet-aaaaaaaa",  # private a euw1-az1 private
] }
security_groups = { ids = [
    "sg-dddddddd",  # db
    "sg-ffffffff",  # lambda
] }
ipv6 = true

[[vpc]]
name = "orders-lambda"
id = "vpc-11111111"
subnets = { ids = [
    "subnet-aaaaaaaa",  # private a euw1-az1 private
    "subnet-bbbbbbbb",  # euw1-az2 private
] }
security_groups = { ids = [
    "sg-ffffffff",  # lambda
] }

[[function]]
name = "report"
vpc = "orders-db+lambda"

[[function]]
name = "api"
vpc = "orders-lambda"

[[function]]
name = "worker"
vpc = "orders-lambda"

# Not listed:
#   provided (123456789012/eu-west-1): it runs on a capacity provider, which has the network: arn:aws:lambda:eu-west-1:123456789012:capacity-provider:p

# 1 more function is in no VPC and not listed: vpc = "none" would keep them out of every VPC. With --detached they are.
"#
    );
}

#[test]
fn functions_outside_every_vpc_are_listed_only_when_asked_for() {
    let door = door(&small());
    let adopted = adopted(&facts(&door, &REGIONS), Outside::Listed);
    let state = read(&adopted.text);
    assert_eq!(state.get(&key("outside")).unwrap().terms.want, Want::Detached);
    assert_eq!((state.entries.len(), adopted.outside), (4, 0));
    assert_eq!(plan(&door, state).lines.iter().filter_map(|line| line.change()).count(), 0);
}

#[test]
fn what_the_plan_would_be_stuck_on_is_told_and_not_listed() {
    let role_of = |facts: &Facts, name: &str| match facts.function(&key(name).name) {
        Seen::Present(function) => function.role.key().clone(),
        other => panic!("{other:?}"),
    };
    let vpc = |facts: &mut Facts, alter: fn(&mut crate::live::VpcFacts)| {
        for seen in facts.swept.iter_mut().flat_map(|swept| swept.vpcs.values_mut()) {
            if let Seen::Present(vpc) = seen {
                alter(vpc);
            }
        }
    };
    let denied = || CloudError::local(Operation::DescribeVpcs, Class::AccessDenied, "AccessDenied", "no");
    let unread = |facts: &mut Facts| {
        for seen in facts.swept.iter_mut().flat_map(|swept| swept.vpcs.values_mut()) {
            *seen = Seen::Unknown(denied().into());
        }
    };
    let gone = |facts: &mut Facts| {
        for seen in facts.swept.iter_mut().flat_map(|swept| swept.vpcs.values_mut()) {
            *seen = Seen::Absent;
        }
    };
    type Alter<'a> = &'a dyn Fn(&mut Facts);
    // What happens, the functions that are still listed, and whether something is unread.
    let cases: &[(&str, Alter<'_>, Reason, &[&str], bool)] = &[
        (
            "a subnet is gone",
            &|facts| vpc(facts, |vpc| vpc.subnets.retain(|it| it.subnet.id.as_str() != "subnet-bbbbbbbb")),
            Reason::SubnetNotFound,
            &["report"],
            false,
        ),
        (
            "a group is gone",
            &|facts| vpc(facts, |vpc| vpc.security_groups.retain(|group| group.name != "db")),
            Reason::SecurityGroupNotFound,
            &["api", "worker"],
            false,
        ),
        (
            "the VPC is dedicated",
            &|facts| vpc(facts, |vpc| vpc.vpc.dedicated = true),
            Reason::DedicatedTenancy,
            &[],
            false,
        ),
        ("the VPC is gone", &gone, Reason::VpcNotFound, &[], false),
        ("the VPC cannot be described", &unread, Reason::AccessDenied, &[], true),
        (
            "the role is gone",
            &|facts| {
                let role = role_of(facts, "worker");
                facts.roles.insert(role, Seen::Absent);
            },
            Reason::RoleNotFound,
            &["api", "report"],
            false,
        ),
        (
            "the role cannot be read",
            &|facts| {
                let role = role_of(facts, "worker");
                facts.roles.insert(role, Seen::Unknown(denied().into()));
            },
            Reason::AccessDenied,
            &["api", "report", "worker"],
            true,
        ),
    ];
    for (what, alter, reason, listed, unread) in cases {
        let mut facts = facts(&door(&small()), &REGIONS[..1]);
        alter(facts.get_mut(&scope(REGIONS[0])).unwrap());
        let adopted = adopted(&facts, Outside::LeftOut);
        assert_eq!(texts(adopted.listed.keys().map(|key| &key.name)), *listed, "{what}");
        for (key, doubt) in adopted.doubts().filter(|(key, _)| key.name.as_str() != "provided") {
            assert!(doubt.text.contains(reason.sentence()), "{what}: {key} {doubt:?}");
        }
        let said = adopted.doubts().filter(|(_, doubt)| doubt.text.contains(reason.sentence())).count();
        assert!(said > 0 && adopted.listed.len() + adopted.left_out.len() == 4, "{what}");
        assert_eq!(adopted.doubts().any(|(_, doubt)| doubt.unread), *unread, "{what}");
        assert_eq!(adopted.text.is_empty(), listed.is_empty(), "{what}");
    }
}

#[test]
fn a_function_that_the_file_has_no_words_for_is_told_and_not_listed() {
    type Alter = fn(&mut crate::cloud::Function);
    let cases: &[(Alter, &str, bool)] = &[
        (|it| it.vpc = None, "does not say in which VPC", true),
        (|it| Arc::make_mut(&mut it.network).security_groups.clear(), "2 subnets and 0 security groups", false),
        (|it| it.vpc = VpcId::parse("vpc-123abc").ok(), "the id vpc-123abc, as an emulator gives it: 6 digits", false),
        (|it| it.name = FunctionName::parse("us-east-1.api").unwrap(), "a dot", false),
    ];
    for (alter, words, unread) in cases {
        let mut facts = facts(&door(&small()), &REGIONS[..1]);
        let swept = facts.get_mut(&scope(REGIONS[0])).unwrap().swept.as_mut();
        let functions = &mut swept.unwrap().functions;
        let Some(Seen::Present(mut function)) = functions.remove(&key("api").name) else { panic!("it is there") };
        alter(&mut function);
        let name = function.name.clone();
        functions.insert(name.clone(), Seen::Present(function));
        let adopted = adopted(&facts, Outside::LeftOut);
        let doubt = &adopted.left_out[&FunctionKey { scope: scope(REGIONS[0]), name }];
        assert!(doubt.text.contains(words) && doubt.unread == *unread, "{doubt:?}");
        assert_eq!(read(&adopted.text).entries.len(), 2);
    }
}

#[test]
fn a_network_is_named_from_its_vpc_and_by_what_tells_it_from_others() {
    let place = |region: &str, vpc: &str, groups: &[&str], subnets: &[&str], ipv6: bool| Place {
        scope: scope(region),
        vpc: VpcId::parse(vpc).unwrap(),
        network: Arc::new(Network {
            subnets: subnets.iter().map(|id| crate::names::SubnetId::parse(id).unwrap()).collect(),
            security_groups: groups.iter().map(|id| SecurityGroupId::parse(id).unwrap()).collect(),
            ipv6,
        }),
    };
    let here = |groups: &[&str], subnets: &[&str], ipv6| place(REGIONS[0], "vpc-11111111", groups, subnets, ipv6);
    let there = place(REGIONS[1], "vpc-22222222", &["sg-eeeeeeee"], &["subnet-eeeeeeee"], false);
    let plain = || here(&["sg-ffffffff"], &["subnet-aaaaaaaa"], false);
    let cases: &[(&str, Vec<Place>, &[&str])] = &[
        ("orders", vec![plain()], &["orders"]),
        ("  orders\n of  2026 ", vec![plain()], &["orders of 2026"]),
        ("vpc-orders", vec![plain()], &["orders"]),
        ("none", vec![plain()], &["network-11111111"]),
        ("vpc-", vec![plain()], &["network-11111111"]),
        ("vpc-none", vec![plain()], &["network-11111111"]),
        ("\u{202e}", vec![plain()], &["network-11111111"]),
        ("orders", vec![plain(), there.clone()], &["orders-eu-west-1", "orders-us-east-1"]),
        (
            "orders",
            vec![plain(), here(&["sg-ffffffff", "sg-dddddddd"], &["subnet-aaaaaaaa"], false)],
            &["orders-db+lambda", "orders-lambda"],
        ),
        ("orders", vec![plain(), here(&["sg-ffffffff"], &["subnet-aaaaaaaa"], true)], &["orders", "orders-ipv6"]),
        ("orders", vec![plain(), here(&["sg-ffffffff"], &["subnet-bbbbbbbb"], false)], &["orders", "orders-2"]),
    ];
    for (tag, places, expected) in cases {
        let mut world = small();
        world.vpcs = vec![
            vpc("vpc-11111111", tag),
            DeclaredVpc { region: Some(REGIONS[1].to_owned()), ..vpc("vpc-22222222", tag) },
        ];
        world.subnets.push(subnet("subnet-eeeeeeee", "vpc-22222222", None));
        world.security_groups.push(group("sg-eeeeeeee", "vpc-22222222", "lambda"));
        world.functions.push(DeclaredFunction {
            region: Some(REGIONS[1].to_owned()),
            ..function("there", "able", &["subnet-eeeeeeee"], &["sg-eeeeeeee"])
        });
        let facts = facts(&door(&world), &REGIONS);
        let names: Vec<String> = named(&facts, places).into_keys().collect();
        assert_eq!(names, *expected, "{tag:?}");
    }
}

#[test]
fn a_text_from_outside_stays_on_its_line() {
    for (given, expected) in [
        ("plain", "plain"),
        ("two\nlines\r\n", "two lines"),
        ("tab\tbell\u{7}del\u{7f}", "tab bell del"),
        ("line\u{2028}separator\u{85}", "line separator"),
        ("\u{202e}evil\u{feff}", "evil"),
        ("# \" ' \\ é 日本", "# \" ' \\ é 日本"),
        ("", ""),
    ] {
        assert_eq!(one_line(given), expected, "{given:?}");
    }
}

fn args() -> ImportArgs {
    ImportArgs { output: "-".into(), name: vec![], vpc: vec![], region: vec![], account: None, detached: false }
}

#[test]
fn a_function_is_picked_by_name_and_by_vpc_and_one_that_cannot_be_understood_by_name_alone() {
    let door = door(&small());
    let page = door.list_functions(&scope(REGIONS[0]), Listing::Latest, None).now_or_never().unwrap().unwrap();
    let error = CloudError::local(Operation::ListFunctions, Class::Malformed, "Malformed", "what?");
    let mut listed = page.items;
    listed.push(Listed { name: FunctionName::parse("odd").unwrap(), version: None, function: Err(error) });
    let vpcs = |ids: &[&str]| ids.iter().map(|id| VpcId::parse(id).unwrap()).collect::<Vec<_>>();
    let patterns = |texts: &[&str]| texts.iter().map(|text| NamePattern::parse(text).unwrap()).collect::<Vec<_>>();
    for (name, vpc, expected) in [
        (&[][..], &[][..], &["api", "outside", "provided", "report", "worker", "odd"][..]),
        (&["*r*"], &[], &["provided", "report", "worker"]),
        (&["api", "o??"], &[], &["api", "odd"]),
        (&[], &["vpc-11111111"], &["api", "report", "worker", "odd"]),
        (&["w*"], &["vpc-22222222", "vpc-11111111"], &["worker"]),
        (&[], &["vpc-22222222"], &["odd"]),
        (&["API"], &[], &[]),
    ] {
        let args = ImportArgs { name: patterns(name), vpc: vpcs(vpc), ..args() };
        let found = listed.iter().filter(|listed| picked(&args, listed)).map(|listed| &listed.name);
        assert_eq!(texts(found), expected, "{name:?} {vpc:?}");
    }
}

#[test]
fn a_file_that_is_there_or_appears_in_the_meantime_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("functions.toml");
    let target = Target::of(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    for result in [target.write("yours"), Target::of(&path).map(|_| ())] {
        assert!(result.unwrap_err().to_string().contains("nothing is overwritten"));
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    let link = folder.path().join("link.toml");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
    assert!(Target::of(&link).is_err(), "a link that leads nowhere is there too");
    let new = folder.path().join("new.toml");
    Target::of(&new).unwrap().write("text").unwrap();
    assert_eq!(std::fs::read_to_string(&new).unwrap(), "text");
}
