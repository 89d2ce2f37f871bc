//! `iam-policy`: what IAM must allow, for whoever sets up the controller's roles.

use std::process::ExitCode;

use super::print::out_json;
use super::{Failure, IamPolicyArgs, exit};
use crate::rights::{self, Policy};
use crate::settings::{Account, Settings};

pub(super) fn run(settings: &Settings, args: &IamPolicyArgs) -> Result<ExitCode, Failure> {
    let policy = limited(settings, args)?;
    out_json(&policy)?;
    let size = policy.size();
    if size > rights::INLINE {
        tracing::warn!(
            "this policy has {size} characters; IAM takes {} inline: split it over several policies",
            rights::INLINE
        );
    } else if size > rights::MANAGED {
        tracing::warn!(
            "this policy has {size} characters; IAM takes {} in a managed policy: make it an inline one",
            rights::MANAGED
        );
    }
    Ok(exit::FINE)
}

/// The policy that is asked for, with what the flags forbid beyond the settings.
fn limited(settings: &Settings, args: &IamPolicyArgs) -> Result<Policy, Failure> {
    let policy = asked_for(settings, args)?;
    let policy = if args.refuse_layers { policy.refusing_layers() } else { policy };
    Ok(match &args.own_role {
        Some(role) => policy.attaching_nothing_to(role),
        None => policy,
    })
}

fn asked_for(settings: &Settings, args: &IamPolicyArgs) -> Result<Policy, Failure> {
    let partition = args.partition.as_str();
    Ok(match (&args.account, &args.trust) {
        (None, _) => {
            let policy = rights::of_controller(settings, partition);
            match rights::own_account(settings).filter(|_| args.kms) {
                Some(account) => policy.with_keys(account, partition),
                None => policy,
            }
        }
        (Some(name), None) => {
            let account = account(settings, name)?;
            let policy = rights::of_account(settings, account, partition);
            if args.kms { policy.with_keys(Some(&account.id), partition) } else { policy }
        }
        (Some(name), Some(controller)) => {
            let account = account(settings, name)?;
            if account.external_id.is_none() {
                let name = &account.name;
                tracing::warn!(
                    "account {name} has no external_id: whoever can use the controller's role can become this one"
                );
            }
            rights::trust(account, controller)
        }
    })
}

/// An account of the settings with a role, by its name or id.
fn account<'a>(settings: &'a Settings, name: &str) -> Result<&'a Account, Failure> {
    let found = settings.accounts.iter().find(|account| account.name == name || account.id.as_str() == name);
    let account = found.ok_or_else(|| {
        let known: Vec<&str> = settings.accounts.iter().map(|account| account.name.as_str()).collect();
        let known = match known.is_empty() {
            true => "they have no [[account]]; pass the settings with --config".to_owned(),
            false => format!("they have {}", known.join(", ")),
        };
        Failure::Other(format!("the settings have no account `{name}`: {known}"))
    })?;
    match account.role {
        Some(_) => Ok(account),
        None => Err(Failure::Other(format!(
            "account `{name}` has no role_arn, so the controller's own role is used there: leave --account out"
        ))),
    }
}
