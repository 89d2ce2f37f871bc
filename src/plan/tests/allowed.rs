//! What the operator's settings allow, whatever the file says.

use super::change::{NONE_TO_HOME, check, no, unsaid, yes};
use super::*;

#[test]
fn only_allowed_policies_are_attached() {
    let none = |may: Option<Simulated>| {
        move |scene: &mut Scene| {
            scene.without_policy(may);
            scene.limits.allowed_policies.clear();
        }
    };
    check(ORDERS, none(no()), "blocked PolicyNotAllowed");
    // Where nothing shows that it is needed, the network is tried without it.
    check(ORDERS, none(unsaid()), NONE_TO_HOME);
    // Where nothing is to be attached, nothing needs to be allowed.
    check(ORDERS, none(yes()), NONE_TO_HOME);
    check(ORDERS, |scene| scene.limits.allowed_policies.clear(), NONE_TO_HOME);
}

#[test]
fn only_allowed_roles_get_a_policy() {
    let only = |pattern: &str, may: Option<Simulated>| {
        let allowed = Some(vec![RolePattern::parse(pattern).unwrap()]);
        move |scene: &mut Scene| {
            scene.without_policy(may);
            scene.limits.allowed_roles = allowed;
        }
    };
    check(ORDERS, only("api", no()), &format!("attach VPCAccess (Simulated); {NONE_TO_HOME}"));
    check(ORDERS, only("a*", no()), &format!("attach VPCAccess (Simulated); {NONE_TO_HOME}"));
    check(ORDERS, only("other", no()), "blocked RoleNotAllowed");
    check(ORDERS, only("team/", no()), "blocked RoleNotAllowed");
    // Where nothing shows that it is needed, the network is tried without it, and Lambda's refusal ends that.
    check(ORDERS, only("other", unsaid()), NONE_TO_HOME);
    let refused = |scene: &mut Scene| {
        only("other", unsaid())(scene);
        scene.answer(&set_step(), failed(Class::RoleDenied));
    };
    check(ORDERS, refused, "blocked RoleNotAllowed");
    // Where nothing is to be attached, no role needs to be allowed.
    check(ORDERS, |scene| scene.limits.allowed_roles = Some(Vec::new()), NONE_TO_HOME);
}

#[test]
fn a_role_of_the_controllers_own_never_gets_a_policy() {
    let session = |scene: &mut Scene, name: &str| {
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/lambda-vpc-controller");
        scene.swept().identity = Seen::Present(Identity { account: account(), arn });
    };
    let of_session = |scene: &mut Scene| {
        scene.without_policy(no());
        session(scene, "api");
    };
    let always = "vpc = 'orders'\nattach_policy = 'always'";
    check(ORDERS, of_session, "blocked OwnRole");
    let in_other_letters = |scene: &mut Scene| {
        scene.without_policy(no());
        session(scene, "API");
    };
    check(ORDERS, in_other_letters, "blocked OwnRole");
    check(always, of_session, "blocked OwnRole");
    let allowed_and_assumed = |scene: &mut Scene| {
        scene.without_policy(no());
        scene.limits.allowed_roles = Some(vec![RolePattern::parse("api").unwrap()]);
        scene.limits.own_roles = BTreeSet::from([role_arn("api").key().clone()]);
    };
    check(ORDERS, allowed_and_assumed, "blocked OwnRole");
    let only_if_refused = |scene: &mut Scene| {
        of_session(scene);
        scene.without_policy(unsaid());
    };
    check(ORDERS, only_if_refused, NONE_TO_HOME);
    // A role whose name begins alike is another one.
    let another = |scene: &mut Scene| {
        scene.without_policy(no());
        session(scene, "api-2");
    };
    check(ORDERS, another, &format!("attach VPCAccess (Simulated); {NONE_TO_HOME}"));
}

#[test]
fn only_allowed_vpcs_are_attached_to() {
    let only = |id: &str| {
        let allowed = Some(BTreeSet::from([vpc_id(id)]));
        |scene: &mut Scene| scene.limits.allowed_vpcs = allowed
    };
    check(ORDERS, only("vpc-2"), "blocked VpcNotAllowed");
    check(ORDERS, |scene| scene.limits.allowed_vpcs = Some(BTreeSet::new()), "blocked VpcNotAllowed");
    check(ORDERS, only("vpc-1"), NONE_TO_HOME);
    // Leaving a VPC is a matter of allow_detach alone.
    let leaving = |scene: &mut Scene| {
        scene.at_home();
        scene.limits.allowed_vpcs = Some(BTreeSet::new());
    };
    check("vpc = 'none'", leaving, "set subnet-a,subnet-b/sg-default -> none");
}
