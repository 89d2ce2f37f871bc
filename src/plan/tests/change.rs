//! What differs for one function.

use super::*;
use crate::cloud::Simulated;
use crate::cloud::{Failure, Life, State as FunctionState, Update};
use crate::live::Simulation;

pub(super) const NONE_TO_HOME: &str = "set none -> subnet-a,subnet-b/sg-default";

/// Compares `api`, whose entry has these lines, after something was done to the world.
#[track_caller]
pub(super) fn check(entry: &str, done: impl FnOnce(&mut Scene), expected: &str) {
    let mut scene = scene(entry);
    done(&mut scene);
    assert_eq!(compared(&scene.compare().verdict, scene.now), expected, "{entry}");
}

fn as_is(_: &mut Scene) {}

pub(super) fn yes() -> Option<Simulated> {
    Some(Simulated::Allowed)
}

pub(super) fn no() -> Option<Simulated> {
    Some(Simulated::Missing)
}

pub(super) fn unsaid() -> Option<Simulated> {
    None
}

/// `api` is at home, and its role has no policy; this is what a simulation says of it.
fn home_without(may: Option<Simulated>) -> impl FnOnce(&mut Scene) {
    move |scene| {
        scene.at_home();
        scene.without_policy(may);
    }
}

fn without(may: Option<Simulated>) -> impl FnOnce(&mut Scene) {
    move |scene| scene.without_policy(may)
}

#[test]
fn as_desired_with_the_right_is_in_sync() {
    check(ORDERS, Scene::at_home, "in sync");
    check(ORDERS, home_without(yes()), "in sync");
    // Nobody knows whether it has the right, but it is where it shall be: Lambda has made its interfaces.
    check(ORDERS, home_without(unsaid()), "in sync");
}

#[test]
fn as_desired_shows_that_the_role_suffices_whatever_a_simulation_says() {
    check(ORDERS, home_without(no()), "in sync");
    let refused_elsewhere = |scene: &mut Scene| {
        home_without(no())(scene);
        scene.answer(&set_step(), failed(Class::RoleDenied));
    };
    check(ORDERS, refused_elsewhere, "in sync");
    let idle = |scene: &mut Scene| {
        home_without(no())(scene);
        scene.api().life = Some(Box::new(Life { state: FunctionState::Inactive, update: Update::Successful }));
    };
    check(ORDERS, idle, "in sync");
}

#[test]
fn as_desired_but_given_up_for_the_roles_sake_gets_the_policy_alone() {
    let given_up = |code: &str, may: Option<Simulated>| {
        let failure = Failure { code: code.to_owned(), text: "text".to_owned() };
        move |scene: &mut Scene| {
            home_without(may)(scene);
            scene.api().life = Some(Box::new(Life { state: FunctionState::Active, update: Update::Failed(failure) }));
        }
    };
    check(ORDERS, given_up("InsufficientRolePermissions", no()), "attach VPCAccess (Simulated)");
    check(ORDERS, given_up("InsufficientRolePermissions", yes()), "in sync");
    check(ORDERS, given_up("SubnetOutOfIPAddresses", no()), "in sync");
}

#[test]
fn elsewhere_with_the_right_gets_the_network_alone() {
    check(ORDERS, as_is, NONE_TO_HOME);
    // Should Lambda refuse all the same, then what a person agreed to covers the policy.
    check(ORDERS, without(yes()), &format!("perhaps VPCAccess (Doubted); {NONE_TO_HOME}"));
    let elsewhere = |scene: &mut Scene| scene.api().network = network(&["subnet-x"], &["sg-lambda"]);
    check(ORDERS, elsewhere, "set subnet-x/sg-lambda -> subnet-a,subnet-b/sg-default");
}

#[test]
fn elsewhere_without_the_right_gets_the_policy_and_the_network() {
    check(ORDERS, without(no()), &format!("attach VPCAccess (Simulated); {NONE_TO_HOME}"));
}

#[test]
fn elsewhere_and_not_known_to_have_the_right_gets_the_policy_only_if_refused() {
    let expected = format!("perhaps VPCAccess (Unknown); {NONE_TO_HOME}");
    check(ORDERS, without(unsaid()), &expected);
    check(ORDERS, without(Some(Simulated::Unclear)), &expected);
}

#[test]
fn a_refusal_shows_that_the_right_is_missing_whatever_a_simulation_says() {
    for may in [yes(), no(), unsaid()] {
        let refused = |scene: &mut Scene| {
            scene.without_policy(may);
            scene.answer(&set_step(), failed(Class::RoleDenied));
        };
        check(ORDERS, refused, &format!("attach VPCAccess (Refused); {NONE_TO_HOME}"));
    }
    let otherwise = |scene: &mut Scene| {
        scene.without_policy(yes());
        scene.answer(&set_step(), failed(Class::RoleNotAssumable));
    };
    check(ORDERS, otherwise, &format!("perhaps VPCAccess (Doubted); {NONE_TO_HOME}"));
}

#[test]
fn what_shall_be_outside_every_vpc_is_in_sync_there_and_needs_no_right() {
    let no_policy_no_role = |scene: &mut Scene| scene.set_role(Seen::Absent);
    check("vpc = 'none'", as_is, "in sync");
    check("vpc = 'none'", no_policy_no_role, "in sync");
    check("vpc = 'none'", without(no()), "in sync");
    check("vpc = 'none'\nattach_policy = 'always'", without(no()), "in sync");
}

#[test]
fn what_shall_be_outside_every_vpc_loses_its_network_and_keeps_its_policy() {
    check("vpc = 'none'", Scene::at_home, "set subnet-a,subnet-b/sg-default -> none");
    check("vpc = 'none'", home_without(no()), "set subnet-a,subnet-b/sg-default -> none");
    let dual = |scene: &mut Scene| scene.api().network = Arc::new(Network { ipv6: true, ..(*home()).clone() });
    check("vpc = 'none'", dual, "set subnet-a,subnet-b/sg-default+ipv6 -> none");
}

#[test]
fn leaving_a_vpc_needs_the_settings() {
    let forbidden = |scene: &mut Scene| {
        scene.limits.allow_detach = false;
        scene.at_home();
    };
    check("vpc = 'none'", forbidden, "blocked DetachNotAllowed");
    check("vpc = 'none'", |scene| scene.limits.allow_detach = false, "in sync");
    // To move from one VPC to another is not to leave it.
    let moving = |scene: &mut Scene| {
        scene.limits.allow_detach = false;
        scene.api().network = network(&["subnet-x"], &["sg-x"]);
    };
    check(ORDERS, moving, "set subnet-x/sg-x -> subnet-a,subnet-b/sg-default");
}

#[test]
fn lists_are_compared_as_sets() {
    let shuffled = |scene: &mut Scene| {
        scene.api().network = network(&["subnet-b", "subnet-a", "subnet-b"], &["sg-default", "sg-default"]);
        scene.vpc().subnets.reverse();
    };
    check(ORDERS, shuffled, "in sync");
    let fewer = |scene: &mut Scene| scene.api().network = network(&["subnet-a"], &["sg-default"]);
    check(ORDERS, fewer, "set subnet-a/sg-default -> subnet-a,subnet-b/sg-default");
    let more = |scene: &mut Scene| scene.api().network = network(&["subnet-a", "subnet-b"], &["sg-default", "sg-x"]);
    check(ORDERS, more, "set subnet-a,subnet-b/sg-default,sg-x -> subnet-a,subnet-b/sg-default");
}

#[test]
fn the_ipv6_flag_alone_is_a_difference() {
    let dual = |scene: &mut Scene| scene.api().network = Arc::new(Network { ipv6: true, ..(*home()).clone() });
    check(ORDERS, dual, "set subnet-a,subnet-b/sg-default+ipv6 -> subnet-a,subnet-b/sg-default");
    let text = format!(
        "defaults = {{ region = 'eu-west-1', account = '{ACCOUNT}' }}\n\
         vpc = [{{ name = 'six', id = 'vpc-1', ipv6 = true }}]\nfunction = [{{ name = 'api', vpc = 'six' }}]\n"
    );
    let six = |scene: &mut Scene| {
        scene.desired = reading(&text);
        scene.at_home();
        scene.vpc().subnets.iter_mut().for_each(|subnet| subnet.subnet.ipv6 = true);
    };
    check(ORDERS, six, "set subnet-a,subnet-b/sg-default -> subnet-a,subnet-b/sg-default+ipv6");
}

/// A person chose the subnets, and said nothing of IPv6. What the controller chooses has none.
#[test]
fn outbound_ipv6_that_is_not_spoken_of_is_as_it_is_unless_the_subnets_are_our_choice() {
    let v6 = |network: Arc<Network>| Arc::new(Network { ipv6: true, ..(*network).clone() });
    let with = |has: Arc<Network>, dual: &'static [&'static str]| {
        move |scene: &mut Scene| {
            scene.api().network = has;
            for subnet in &mut scene.vpc().subnets {
                subnet.subnet.ipv6 = dual.contains(&subnet.subnet.id.as_str());
            }
        }
    };
    let both = &["subnet-a", "subnet-b"][..];
    let own = "vpc = 'orders'\nsubnets = { ids = ['subnet-a', 'subnet-b'] }";
    let elsewhere = || v6(network(&["subnet-x"], &["sg-x"]));
    check(own, with(v6(home()), both), "in sync");
    check(own, with(home(), both), "in sync");
    check(own, with(network(&[], &[]), both), NONE_TO_HOME);
    let moved = "set subnet-x/sg-x+ipv6 -> subnet-a,subnet-b/sg-default";
    check(own, with(elsewhere(), both), &format!("{moved}+ipv6"));
    // Lambda allows it only where each subnet has a range. A range that was taken off changes no function.
    check(own, with(elsewhere(), &["subnet-a"]), moved);
    check(own, with(v6(home()), &["subnet-a"]), "in sync");
    check(ORDERS, with(v6(home()), both), "set subnet-a,subnet-b/sg-default+ipv6 -> subnet-a,subnet-b/sg-default");
    for (dual, warned) in [(&["subnet-a"][..], 1), (both, 0)] {
        let mut scene = scene(own);
        with(elsewhere(), dual)(&mut scene);
        let warnings = scene.compare().warnings;
        let of_loss = warnings.iter().filter(|it| it.contains("outbound IPv6 is allowed now and will not be"));
        assert_eq!(of_loss.count(), warned, "{warnings:?}");
    }
}

#[test]
fn an_entry_picks_its_own_subnets_and_groups_out_of_its_vpc() {
    let own = "vpc = 'orders'\nsubnets = { ids = ['subnet-a'] }\nsecurity_groups = { names = ['lambda'] }";
    check(own, as_is, "set none -> subnet-a/sg-lambda");
    check("vpc = 'vpc-1'", as_is, NONE_TO_HOME);
    check("vpc = 'orders'\nsubnets = { ids = ['subnet-x'] }", as_is, "blocked SubnetNotFound");
}

#[test]
fn what_is_absent_blocks_and_what_is_not_known_is_read_again() {
    check(ORDERS, |scene| scene.set_api(Seen::Absent), "blocked FunctionNotFound");
    check(ORDERS, |scene| scene.set_vpc(Seen::Absent), "blocked VpcNotFound");
    check(ORDERS, |scene| scene.set_role(Seen::Absent), "blocked RoleNotFound");
    check(ORDERS, |scene| scene.set_api(Seen::Unknown(Fault::Unread)), "unknown Unread");
    check(ORDERS, |scene| scene.set_vpc(Seen::Unknown(Fault::Unread)), "unread Unread");
    check(ORDERS, |scene| scene.set_role(Seen::Unknown(Fault::Unread)), "unread Unread");
    check(ORDERS, |scene| scene.facts.swept = None, "unknown Unread");
    check(ORDERS, |scene| scene.facts.roles.clear(), "unread Unread");
    let other = AccountId::parse("210987654321").unwrap();
    check(ORDERS, |scene| scene.set_api(Seen::Unknown(Fault::WrongAccount(other))), "unknown WrongAccount");
}

#[test]
fn a_role_that_cannot_be_read_is_told_even_where_the_network_is_as_desired() {
    let home_unread = |scene: &mut Scene| {
        scene.at_home();
        scene.set_role(Seen::Unknown(error(Class::AccessDenied).into()));
    };
    check(ORDERS, home_unread, "unread AccessDenied");
}

#[test]
fn where_iam_alone_does_not_answer_the_network_is_told_all_the_same() {
    let told = |done: fn(&mut Scene)| {
        let mut scene = scene(ORDERS);
        done(&mut scene);
        scene.set_role(Seen::Unknown(error(Class::Unreachable).into()));
        match scene.compare().verdict {
            Verdict::Stuck(outcome) => outcome.why().unwrap().detail.clone(),
            other => panic!("{other:?}"),
        }
    };
    let new = told(|_| ());
    assert!(new.contains("IAM does not tell the policies of role"), "{new}");
    assert!(new.contains("its network is to become subnet-a, subnet-b with sg-default"), "{new}");
    assert!(told(Scene::at_home).ends_with("its network is as it should be"));
}

#[test]
fn a_failed_read_says_what_failed_and_how_long_aws_asks_to_wait() {
    let slow = CloudError { retry_after: Some(seconds(7)), ..error(Class::Throttled) };
    check(ORDERS, |scene| scene.set_vpc(Seen::Unknown(slow.into())), "unread Throttled after 7s");
    for (class, reason) in [
        (Class::AccessDenied, "AccessDenied"),
        (Class::Credentials, "Credentials"),
        (Class::Unreachable, "Unreachable"),
        (Class::Timeout, "Timeout"),
        (Class::Server, "ServerError"),
        (Class::Malformed, "Malformed"),
    ] {
        let failing = |scene: &mut Scene| scene.set_api(Seen::Unknown(error(class).into()));
        check(ORDERS, failing, &format!("unknown {reason}"));
        let mut failing = scene(ORDERS);
        failing.set_api(Seen::Unknown(error(class).into()));
        let Verdict::Stuck(outcome) = failing.compare().verdict else { panic!("not stuck") };
        assert_eq!(outcome.state(), State::Unknown, "{class:?}");
    }
}

#[test]
fn a_function_that_is_known_is_not_unknown_for_what_it_should_be_like() {
    for (class, state) in [
        (Class::Throttled, State::Progressing),
        (Class::Timeout, State::Progressing),
        (Class::Unreachable, State::Progressing),
        (Class::AccessDenied, State::Blocked),
        (Class::Credentials, State::Blocked),
        (Class::Invalid, State::Blocked),
    ] {
        let failing: [fn(&mut Scene, CloudError); 2] = [
            |scene, error| scene.set_vpc(Seen::Unknown(error.into())),
            |scene, error| scene.set_role(Seen::Unknown(error.into())),
        ];
        for fails in failing {
            let mut scene = scene(ORDERS);
            fails(&mut scene, error(class));
            let verdict = scene.compare().verdict;
            assert!(verdict.is_unread(), "a plan cannot say what differs: {verdict:?}");
            let Verdict::Stuck(outcome) = verdict else { panic!("not stuck") };
            assert_eq!(outcome.state(), state, "{class:?}");
        }
    }
}

#[test]
fn nothing_is_decided_with_credentials_that_were_not_seen_to_be_of_the_entrys_account() {
    let other = AccountId::parse("210987654321").unwrap();
    let elsewhere = Identity { account: other.clone(), arn: "arn:x".to_owned() };
    for (identity, expected) in [
        (Seen::Present(elsewhere), "unknown WrongAccount"),
        (Seen::Unknown(Fault::WrongAccount(other)), "unknown WrongAccount"),
        (Seen::Unknown(error(Class::Credentials).into()), "unknown Credentials"),
        (Seen::Unknown(Fault::Unread), "unknown Unread"),
        (Seen::Absent, "unknown Unread"),
    ] {
        check(ORDERS, |scene| scene.swept().identity = identity.clone(), expected);
        check("vpc = 'none'", |scene| scene.swept().identity = identity.clone(), expected);
        let absent = |scene: &mut Scene| {
            scene.swept().identity = identity.clone();
            scene.set_api(Seen::Absent);
        };
        check(ORDERS, absent, expected);
    }
}

#[test]
fn a_function_whose_creation_failed_is_not_touched() {
    let broken = |scene: &mut Scene| {
        let failure = Failure { code: "InvalidImage".to_owned(), text: "gone".to_owned() };
        scene.api().life = Some(Box::new(Life { state: Lambda::Failed(failure), update: Update::Successful }));
    };
    check(ORDERS, broken, "blocked CreationFailed");
}

#[test]
fn a_role_of_another_account_is_not_touched() {
    let elsewhere = |scene: &mut Scene| {
        scene.api().role = RoleArn::parse("arn:aws:iam::210987654321:role/api").unwrap();
    };
    check(ORDERS, elsewhere, "blocked RoleElsewhere");
}

#[test]
fn a_role_with_a_path_in_another_partition_gets_that_partitions_policy() {
    let mut scene = scene(ORDERS);
    let role = RoleArn::parse(&format!("arn:aws-cn:iam::{ACCOUNT}:role/team/x/api")).unwrap();
    scene.api().role = role.clone();
    // The policy of another partition does not count.
    scene.role().simulation = no().map(|said| Simulation { said, at: NOW });
    let china = policy("arn:aws-cn:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole");
    let expected = Attach { role, policy: china.clone(), evidence: Evidence::Simulated };
    assert_eq!(scene.change().attach, vec![expected]);
    scene.role().attached.insert(china);
    assert_eq!(scene.change().attach, vec![]);
}

#[test]
fn always_demands_the_policy_itself() {
    let always = "vpc = 'orders'\nattach_policy = 'always'";
    check(always, home_without(yes()), "attach VPCAccess (Demanded)");
    check(always, home_without(unsaid()), "attach VPCAccess (Demanded)");
    check(always, without(yes()), &format!("attach VPCAccess (Demanded); {NONE_TO_HOME}"));
    check(always, Scene::at_home, "in sync");
}

#[test]
fn never_attaches_nothing_and_warns() {
    let never = "vpc = 'orders'\nattach_policy = 'never'";
    check(never, without(no()), NONE_TO_HOME);
    check(never, without(unsaid()), NONE_TO_HOME);
    check(never, home_without(no()), "in sync");
    let refused = |scene: &mut Scene| {
        scene.without_policy(unsaid());
        scene.answer(&set_step(), failed(Class::RoleDenied));
    };
    check(never, refused, NONE_TO_HOME);
    let warnings = |may: Option<Simulated>| {
        let mut scene = scene(never);
        scene.without_policy(may);
        scene.compare().warnings
    };
    assert_eq!(warnings(no()), ["role api may not make network interfaces, and attach_policy = \"never\""]);
    assert_eq!(warnings(yes()), [""; 0]);
    assert_eq!(warnings(unsaid()), [""; 0]);
    let mut there = scene(never);
    home_without(no())(&mut there);
    assert_eq!(there.compare().warnings, [""; 0], "it works");
}

#[test]
fn the_entry_names_the_policies() {
    let own = format!("{ORDERS}\nattach_policy = 'always'\npolicies = ['arn:aws:iam::{ACCOUNT}:policy/x/own']");
    let allow = |scene: &mut Scene| {
        scene.limits.allowed_policies =
            vec![PolicyName::parse(&format!("arn:aws:iam::{ACCOUNT}:policy/x/own")).unwrap()];
    };
    check(&own, allow, &format!("attach own (Demanded); {NONE_TO_HOME}"));
    let there = |scene: &mut Scene| {
        scene.at_home();
        scene.role().attached = BTreeSet::from([policy(&format!("arn:aws:iam::{ACCOUNT}:policy/x/own"))]);
    };
    check(&own, there, "in sync");
}

#[test]
fn a_policy_that_is_named_twice_is_attached_once() {
    let twice = format!("{ORDERS}\npolicies = ['service-role/AWSLambdaVPCAccessExecutionRole', '{POLICY}']");
    check(&twice, without(no()), &format!("attach VPCAccess (Simulated); {NONE_TO_HOME}"));
    check(&twice, without(unsaid()), &format!("perhaps VPCAccess (Unknown); {NONE_TO_HOME}"));
}

#[test]
fn a_policy_that_this_process_attached_counts_although_the_read_does_not_show_it_yet() {
    /// The policy was attached at `NOW`; the role was read so many seconds later, and shows nothing.
    fn read_after(time: u64) -> impl FnOnce(&mut Scene) {
        move |scene| {
            scene.without_policy(no());
            scene.answer(&attach_step(), Answer::Done);
            scene.role().at = NOW + seconds(time);
        }
    }
    let attach = format!("attach VPCAccess (Simulated); {NONE_TO_HOME}");
    check(ORDERS, read_after(0), NONE_TO_HOME);
    check(ORDERS, read_after(60), NONE_TO_HOME);
    // By then IAM shows what is there: somebody has detached it.
    check(ORDERS, read_after(61), &attach);
    let refused = |scene: &mut Scene| {
        scene.without_policy(no());
        scene.answer(&attach_step(), failed(Class::Throttled));
    };
    check(ORDERS, refused, &attach);
}

#[test]
fn the_cause_is_the_file_until_the_function_was_seen_in_sync() {
    assert_eq!(scene(ORDERS).change().cause, Cause::File);
    let mut edited = scene(ORDERS);
    edited.agreed();
    edited.desired = desired("vpc = 'none'");
    edited.at_home();
    assert_eq!(edited.change().cause, Cause::File);
}

#[test]
fn the_cause_is_live_where_entry_and_vpc_are_as_they_were() {
    let mut scene = scene(ORDERS);
    scene.agreed();
    assert_eq!(scene.change().cause, Cause::Live);
    // The same entry a few lines further down is no edit.
    scene.desired = desired("# a comment\n\nvpc = 'orders'");
    assert_eq!(scene.change().cause, Cause::Live);
    // Somebody took the policy off, and the entry wants the policy itself.
    let mut scene = super::scene("vpc = 'orders'\nattach_policy = 'always'");
    scene.agreed();
    scene.at_home();
    scene.without_policy(no());
    assert_eq!(scene.change().cause, Cause::Live);
}

#[test]
fn the_cause_is_the_network_where_the_entry_means_something_else_now() {
    let mut scene = scene(ORDERS);
    scene.at_home();
    scene.agreed();
    scene.vpc().subnets.push(subnet("c", false));
    let change = scene.change();
    assert_eq!(change.cause, Cause::Network);
    assert_eq!(in_words(&change.network.unwrap().to), "subnet-a,subnet-b,subnet-c/sg-default");
}

#[test]
fn a_change_covers_what_is_the_same_or_less() {
    let mut both = scene(ORDERS);
    both.without_policy(no());
    let agreed = both.change();
    assert!(agreed.covers(&agreed));
    let network_only = Change { attach: Vec::new(), ..agreed.clone() };
    let policy_only = Change { network: None, ..agreed.clone() };
    assert!(agreed.covers(&network_only) && agreed.covers(&policy_only));
    assert!(!network_only.covers(&agreed) && !policy_only.covers(&agreed));
    let on_refusal = Change { attach: Vec::new(), attach_if_refused: agreed.attach.clone(), ..agreed.clone() };
    assert!(on_refusal.covers(&agreed), "who agreed to it on refusal agreed to it");
    assert!(agreed.covers(&on_refusal) && !network_only.covers(&on_refusal));
    let elsewhere = NetworkChange { from: Arc::default(), to: network(&["subnet-a"], &["sg-default"]) };
    assert!(!agreed.covers(&Change { network: Some(elsewhere), ..agreed.clone() }));
    let other_before = NetworkChange { from: network(&["subnet-a"], &["sg-default"]), to: home() };
    assert!(!agreed.covers(&Change { network: Some(other_before), ..agreed.clone() }));
    let mut other_role = agreed.clone();
    other_role.attach[0].role = role_arn("other");
    assert!(!agreed.covers(&other_role));
}
