//! The words by which metrics, logs and people know things.

use super::*;
use crate::cloud::Failure;

#[test]
fn names_are_those_of_the_metric_labels() {
    assert_eq!(Cause::ALL.map(Cause::name), ["file", "live", "network"]);
    let states = ["in_sync", "progressing", "out_of_sync", "awaiting_approval", "blocked", "unknown", "excluded"];
    assert_eq!(State::ALL.map(State::name), states);
    let outcomes = [
        (Outcome::InSync, "in_sync"),
        (Outcome::waiting(Reason::Settling, ""), "waiting"),
        (Outcome::Retry { why: Why::new(Reason::Timeout, ""), after: None }, "retry"),
        (Outcome::unknown(&Fault::Unread), "unread"),
        (Outcome::blocked(Reason::Refused, ""), "blocked"),
    ];
    for (outcome, name) in outcomes {
        assert_eq!(outcome.name(), name);
    }
}

#[test]
fn a_reason_is_told_with_its_particulars_behind_its_sentence() {
    let sentence = Reason::RoleNotFound.sentence();
    assert_eq!(Why::new(Reason::RoleNotFound, "").to_string(), sentence);
    assert_eq!(Why::new(Reason::RoleNotFound, "arn:x").to_string(), format!("{sentence} [arn:x]"));
}

#[test]
fn what_a_whole_scope_suffers_from_are_credentials_and_connection() {
    let of_scope: Vec<&Reason> = Reason::ALL.iter().filter(|reason| reason.of_scope()).collect();
    assert_eq!(of_scope, [&Reason::WrongAccount, &Reason::Credentials, &Reason::NotAssumed, &Reason::Unreachable]);
}

#[test]
fn a_failed_update_has_the_reason_of_its_code() {
    for (code, reason) in [
        ("SubnetOutOfIPAddresses", Reason::NoFreeAddress),
        ("EniLimitExceeded", Reason::InterfaceQuota),
        ("InsufficientRolePermissions", Reason::RoleDenied),
        ("InvalidRuntime", Reason::RuntimeRetired),
        ("InternalError", Reason::ServerError),
        ("EC2RequestLimitExceeded", Reason::Ec2Throttled),
        ("InvalidSubnet", Reason::NetworkRefused),
        ("KMSKeyAccessDenied", Reason::KmsGrant),
        ("KMSKeyNotFound", Reason::KmsKeyUnusable),
        ("EFSMountConnectivityError", Reason::FileSystemFailed),
        ("InvalidImage", Reason::ImageUnusable),
        ("FunctionError.PermissionDenied", Reason::StartFailed),
        ("ServiceQuotaExceededException", Reason::ServiceQuota),
        ("DependencyError", Reason::ServerError),
        ("IncompatibleAcceleratorInstanceTypes", Reason::UpdateFailed),
        ("a code that nobody knows", Reason::UpdateFailed),
    ] {
        let why = Why::failed(&Failure { code: code.to_owned(), text: "text".to_owned() });
        assert_eq!((why.reason, why.detail), (reason, format!("{code}: text")));
    }
}

#[test]
fn a_refusal_is_evidence_for_an_hour() {
    let mut scene = scene(ORDERS);
    scene.answer(&set_step(), failed(Class::RoleDenied));
    scene.wait(3599);
    assert!(scene.memory.shown_to_lack_right(&key("api"), scene.now));
    scene.wait(1);
    assert!(!scene.memory.shown_to_lack_right(&key("api"), scene.now));
}
