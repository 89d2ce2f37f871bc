//! The rights that `iam-policy` says are enough are all that the controller has in the tests: a call that its policy does
//! not allow is refused by the simulated account, in every history and to every daemon.

use lambda_vpc_controller::cloud::Listing;
use lambda_vpc_controller::plan::Limits;
use lambda_vpc_controller::rights;
use lambda_vpc_controller::settings::{Guard, Settings};
use lambda_vpc_controller::simulator::{Door, IdentityPolicy};

use super::history::settings;

/// From now on the callers of this world may do what a controller with these settings may do, and nothing else.
pub(crate) fn permit(door: &Door, settings: &Settings) {
    let policy = serde_json::to_string(&rights::of_controller(settings, "aws")).unwrap();
    let policy = IdentityPolicy::parse(&policy).unwrap();
    door.with(|aws, _| aws.permissions = Some(policy));
}

/// The settings from which these limits come, as far as they say what may be done.
pub(crate) fn settings_of(limits: &Limits, listing: Listing) -> Settings {
    let defaults = settings();
    Settings {
        mode: limits.mode,
        versions: listing == Listing::All,
        guard: Guard {
            allow_detach: limits.allow_detach,
            allowed_policies: limits.allowed_policies.clone(),
            allowed_roles: limits.allowed_roles.clone(),
            allowed_vpcs: limits.allowed_vpcs.clone().map(|vpcs| vpcs.into_iter().collect()),
            ..defaults.guard
        },
        ..defaults
    }
}

/// The settings under which most may be done.
pub(crate) fn widest() -> Settings {
    let mut settings = Settings { versions: true, ..settings() };
    settings.guard.allow_detach = true;
    settings
}
