//! STS on the wire.

use super::form::Form;
use super::xml::{Xml, query_answer};
use super::{Session, invalid_action};
use crate::simulator::account::{AssumeRole, AwsError};

/// The namespace of STS's answers; it holds the version of the API.
pub(super) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub(super) fn handle(session: &Session<'_>, form: &Form) -> Result<String, AwsError> {
    match form.text("Action") {
        Some("GetCallerIdentity") => get_caller_identity(session),
        Some("AssumeRole") => assume_role(session, form),
        action => Err(invalid_action(action)),
    }
}

fn get_caller_identity(session: &Session<'_>) -> Result<String, AwsError> {
    let caller = session.read("GetCallerIdentity", |_, _| Ok(session.caller.clone()))?;
    Ok(answer(session, "GetCallerIdentity", |xml| {
        xml.text("Arn", caller.arn).text("UserId", caller.user_id).text("Account", caller.account);
    }))
}

fn assume_role(session: &Session<'_>, form: &Form) -> Result<String, AwsError> {
    let request = AssumeRole {
        role_arn: form.required("RoleArn")?.to_owned(),
        session_name: form.required("RoleSessionName")?.to_owned(),
        duration: form.number("DurationSeconds")?,
        external_id: form.text("ExternalId").map(str::to_owned),
        tagged: form.text("Tags.member.1.Key").is_some(),
        transitive: form.text("TransitiveTagKeys.member.1").is_some(),
    };
    let given =
        session.read_of("AssumeRole", &request.role_arn, |aws, now| aws.assume_role(&session.caller, &request, now))?;
    Ok(answer(session, "AssumeRole", |xml| {
        xml.inside("AssumedRoleUser", |xml| {
            xml.text("AssumedRoleId", given.caller.user_id).text("Arn", given.caller.arn);
        });
        xml.inside("Credentials", |xml| {
            xml.text("AccessKeyId", given.access_key_id);
            xml.text("SecretAccessKey", given.secret_access_key);
            xml.text("SessionToken", given.session_token).text("Expiration", given.expiration);
        });
    }))
}

fn answer(session: &Session<'_>, action: &str, fill: impl FnOnce(&mut Xml)) -> String {
    query_answer(NAMESPACE, action, session.request_id, Some(fill))
}
