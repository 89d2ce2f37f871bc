//! STS: who calls, and how to become somebody in another account.

use super::iam::Trust;
use super::{Aws, AwsError, partition, within};
use crate::cloud::Service;
use crate::names::{AccountId, Region, RoleArn, Time};
use std::time::Duration;

/// Who makes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account that the credentials belong to.
    pub account: AccountId,
    /// The ARN of the user or role session.
    pub arn: String,
    /// The unique id of the user or role session.
    pub user_id: String,
    /// Whether the session has tags that go on to the sessions that it opens.
    pub tagged: bool,
}

/// A request for the credentials of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssumeRole {
    pub role_arn: String,
    /// The name of the session, part of its ARN.
    pub session_name: String,
    /// How long the credentials are valid, in seconds; an hour if left out.
    pub duration: Option<u64>,
    /// What the caller knows of the role.
    pub external_id: Option<String>,
    /// Whether the session is to have tags.
    pub tagged: bool,
    /// Whether these go on to the sessions that it opens, as those of a pod's credentials do.
    pub transitive: bool,
}

/// The credentials of a role session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumedRole {
    /// The key that requests are signed with.
    pub access_key_id: String,
    /// Its secret; nobody checks signatures here.
    pub secret_access_key: String,
    /// The token that goes with them.
    pub session_token: String,
    /// When they stop being valid.
    pub expiration: Time,
    /// Who they make the caller.
    pub caller: Caller,
}

/// Credentials that were handed out.
#[derive(Clone, Debug)]
pub(super) struct Session {
    caller: Caller,
    until: Time,
}

impl Aws {
    /// Whose access key this is: one that was handed out here, an account's id, or anything else for the home account.
    ///
    /// No partition knows the credentials of another one.
    pub fn caller(&self, access_key: &str, region: &Region, service: Service, now: Time) -> Result<Caller, AwsError> {
        let caller = self.known_caller(access_key, service, now)?;
        let home = self.accounts.get(&caller.account).map(|account| account.partition);
        match home.is_none_or(|home| home == partition(region)) {
            true => Ok(caller),
            false => Err(AwsError::invalid_token(service)),
        }
    }

    fn known_caller(&self, access_key: &str, service: Service, now: Time) -> Result<Caller, AwsError> {
        if let Some(session) = self.sessions.get(access_key) {
            if now >= session.until {
                return Err(AwsError::expired_token(service));
            }
            return Ok(session.caller.clone());
        }
        let account = AccountId::parse(access_key).unwrap_or_else(|_| self.home.clone());
        self.user_of(&account).ok_or_else(|| AwsError::invalid_token(service))
    }

    /// The one user of an account, whose credentials are long-lived.
    pub fn user_of(&self, account: &AccountId) -> Option<Caller> {
        let partition = self.accounts.get(account)?.partition;
        let arn = format!("arn:{partition}:iam::{account}:user/simulated");
        Some(Caller { account: account.clone(), arn, user_id: format!("AIDASIMULATED{account}"), tagged: false })
    }

    /// Hands out credentials of a role's account, to whom the role trusts.
    pub fn assume_role(&mut self, caller: &Caller, request: &AssumeRole, now: Time) -> Result<AssumedRole, AwsError> {
        let seconds = request.duration.unwrap_or(3600);
        within(seconds, "durationSeconds", 900..=43_200, "ValidationError")?;
        check_session_name(&request.session_name)?;
        let role = RoleArn::parse(&request.role_arn)
            .map_err(|_| AwsError::new(400, "ValidationError", format!("{} is invalid", request.role_arn)))?;
        let Some(found) =
            self.role(role.key()).filter(|found| self.role_arn(&role.key().account, found) == request.role_arn)
        else {
            return Err(not_authorized(caller, "sts:AssumeRole", request));
        };
        let tagged = request.tagged || caller.tagged;
        if let Some(trust) = &found.trust {
            if !trust.holds(caller, request.external_id.as_deref()) {
                return Err(not_authorized(caller, "sts:AssumeRole", request));
            }
            if tagged && !trust.tags {
                return Err(not_authorized(caller, "sts:TagSession", request));
            }
        }
        let session = Caller {
            account: role.key().account.clone(),
            arn: format!(
                "arn:{}:sts::{}:assumed-role/{}/{}",
                role.partition(),
                role.key().account,
                role.key().name,
                request.session_name
            ),
            user_id: format!("{}:{}", found.id, request.session_name),
            tagged: request.transitive || caller.tagged,
        };
        Ok(self.open_session(session, now + Duration::from_secs(seconds)))
    }

    fn open_session(&mut self, caller: Caller, until: Time) -> AssumedRole {
        let digits = self.fresh_digits();
        let access_key_id = format!("ASIA{}", digits.get(..16).unwrap_or_default().to_ascii_uppercase());
        self.sessions.insert(access_key_id.clone(), Session { caller: caller.clone(), until });
        AssumedRole {
            access_key_id,
            secret_access_key: digits.get(16..56).unwrap_or_default().to_owned(),
            session_token: format!("simulated-{digits}"),
            expiration: until,
            caller,
        }
    }
}

/// STS says the same whether there is no such role, or it does not trust the caller, or the external id is wrong.
fn not_authorized(caller: &Caller, action: &str, request: &AssumeRole) -> AwsError {
    let text = format!("User: {} is not authorized to perform: {action} on resource: {}", caller.arn, request.role_arn);
    AwsError::new(403, "AccessDenied", text)
}

impl Trust {
    fn holds(&self, caller: &Caller, external_id: Option<&str>) -> bool {
        // A role session stands for its role: `arn:aws:sts::1:assumed-role/hub/session` for `arn:aws:iam::1:role/hub`.
        let role = caller.arn.replacen(":sts:", ":iam:", 1).replacen(":assumed-role/", ":role/", 1);
        let role = role.rsplit_once('/').map_or(role.as_str(), |(role, _)| role);
        let fits = |principal: &String| {
            let is = |text: &str| crate::names::fits(principal, text);
            is(caller.account.as_str()) || is(&caller.arn) || (caller.arn.contains(":assumed-role/") && is(role))
        };
        self.principals.iter().any(fits) && self.external_id.as_deref().is_none_or(|id| external_id == Some(id))
    }
}

/// STS's own pattern: 2 to 64 of `[\w+=,.@-]`.
fn check_session_name(name: &str) -> Result<(), AwsError> {
    let valid = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if (2..=64).contains(&name.len()) && name.bytes().all(valid) {
        return Ok(());
    }
    Err(AwsError::new(
        400,
        "ValidationError",
        format!(
            "1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [\\w+=,.@-]*"
        ),
    ))
}
