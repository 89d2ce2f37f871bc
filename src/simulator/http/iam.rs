//! IAM on the wire.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::form::Form;
use super::xml::{Xml, query_answer};
use super::{Session, invalid_action};
use crate::cloud::Marker;
use crate::simulator::account::{AwsError, Goal, Overruler, Role, Summary};
use crate::simulator::door::Change;

/// The namespace of IAM's answers; it holds the version of the API.
pub(super) const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// Whom a simulated role trusts, encoded as IAM returns it.
fn trust_policy(role: &Role) -> String {
    let services: &[&str] =
        if role.edge { &["lambda.amazonaws.com", "edgelambda.amazonaws.com"] } else { &["lambda.amazonaws.com"] };
    let statement = json!({ "Effect": "Allow", "Principal": { "Service": services }, "Action": "sts:AssumeRole" });
    let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
    utf8_percent_encode(&policy, AS_IAM).to_string()
}

/// What IAM leaves as it is in a policy document.
const AS_IAM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');

pub(super) fn handle(session: &Session<'_>, form: &Form) -> Result<String, AwsError> {
    match form.text("Action") {
        Some("ListAttachedRolePolicies") => list_attached_role_policies(session, form),
        Some("ListEntitiesForPolicy") => list_entities_for_policy(session, form),
        Some("AttachRolePolicy") => attach_role_policy(session, form),
        Some("DetachRolePolicy") => detach_role_policy(session, form),
        Some("GetRole") => get_role(session, form),
        Some("CreateRole") => create_role(session, form),
        Some("GetAccountSummary") => get_account_summary(session),
        Some("SimulatePrincipalPolicy") => simulate_principal_policy(session, form),
        action => Err(invalid_action(action)),
    }
}

fn list_attached_role_policies(session: &Session<'_>, form: &Form) -> Result<String, AwsError> {
    let (role, most, from) = (form.required("RoleName")?, form.number("MaxItems")?, form.text("Marker"));
    let account = &session.at.account;
    let page = session.read_of("ListAttachedRolePolicies", role, |aws, now| {
        aws.list_attached_role_policies(account, role, most, from, now)
    })?;
    Ok(answer(session, "ListAttachedRolePolicies", |xml| {
        xml.list("AttachedPolicies", "member", page.items, |xml, policy| {
            xml.text("PolicyName", policy.short()).text("PolicyArn", policy);
        });
        truncation(xml, page.next);
    }))
}

fn list_entities_for_policy(session: &Session<'_>, form: &Form) -> Result<String, AwsError> {
    let (policy, most, from) = (form.required("PolicyArn")?, form.number("MaxItems")?, form.text("Marker"));
    let account = &session.at.account;
    let mut page = session
        .read("ListEntitiesForPolicy", |aws, now| aws.list_roles_for_policy(account, policy, most, from, now))?;
    // There are no users and no groups here, and no policy is used as a boundary.
    let of_roles = matches!(form.text("EntityFilter"), None | Some("Role"));
    let as_permissions = matches!(form.text("PolicyUsageFilter"), None | Some("PermissionsPolicy"));
    if !of_roles || !as_permissions {
        page.items.clear();
        page.next = None;
    }
    Ok(answer(session, "ListEntitiesForPolicy", |xml| {
        xml.text("PolicyGroups", "").text("PolicyUsers", "");
        xml.list("PolicyRoles", "member", page.items, |xml, holder| {
            xml.text("RoleName", holder.role).text("RoleId", holder.id);
        });
        truncation(xml, page.next);
    }))
}

fn truncation(xml: &mut Xml, next: Option<Marker>) {
    xml.text("IsTruncated", next.is_some()).maybe("Marker", next.map(|marker| marker.0));
}

fn attach_role_policy(session: &Session<'_>, form: &Form) -> Result<String, AwsError> {
    let (role, policy) = (form.required("RoleName")?, form.required("PolicyArn")?);
    let change = Change { subject: role, detail: policy.to_owned(), goal: Goal::Policy(policy) };
    session.change("AttachRolePolicy", change, |aws, now| {
        aws.attach_role_policy(&session.at.account, role, policy, now)
    })?;
    Ok(done(session, "AttachRolePolicy"))
}

fn detach_role_policy(session: &Session<'_>, form: &Form) -> Result<String, AwsError> {
    let (role, policy) = (form.required("RoleName")?, form.required("PolicyArn")?);
    let change = Change { subject: role, detail: policy.to_owned(), goal: Goal::Policy(policy) };
    session.change("DetachRolePolicy", change, |aws, _| aws.detach_role_policy(&session.at.account, role, policy))?;
    Ok(done(session, "DetachRolePolicy"))
}

fn get_role(session: &Session<'_>, form: &Form) -> Result<String, AwsError> {
    let name = form.required("RoleName")?;
    let account = &session.at.account;
    let (role, arn) = session.read_of("GetRole", name, |aws, _| {
        let role = aws.get_role(account, name)?;
        let arn = aws.role_arn(account, &role);
        Ok((role, arn))
    })?;
    Ok(answer(session, "GetRole", |xml| write_role(xml, &role, &arn)))
}

fn create_role(session: &Session<'_>, form: &Form) -> Result<String, AwsError> {
    let (name, path) = (form.required("RoleName")?, form.text("Path").unwrap_or("/"));
    let account = &session.at.account;
    let change = Change { subject: name, detail: path.to_owned(), goal: Goal::Nothing };
    let (role, arn) = session.change("CreateRole", change, |aws, now| {
        let role = aws.create_role(account, name, path, now)?;
        let arn = aws.role_arn(account, &role);
        Ok((role, arn))
    })?;
    Ok(answer(session, "CreateRole", |xml| write_role(xml, &role, &arn)))
}

fn write_role(xml: &mut Xml, role: &Role, arn: &str) {
    xml.inside("Role", |xml| {
        xml.text("Path", &role.path).text("RoleName", &role.name).text("RoleId", &role.id).text("Arn", arn);
        xml.text("CreateDate", role.created).text("AssumeRolePolicyDocument", trust_policy(role));
        xml.text("MaxSessionDuration", 3600);
    });
}

fn get_account_summary(session: &Session<'_>) -> Result<String, AwsError> {
    let summary = session.read("GetAccountSummary", |aws, _| aws.account_summary(&session.at.account))?;
    let Summary { roles, policies, attached_policies_per_role } = summary;
    let entries =
        [("Roles", roles), ("Policies", policies), ("AttachedPoliciesPerRoleQuota", attached_policies_per_role)];
    Ok(answer(session, "GetAccountSummary", |xml| {
        xml.list("SummaryMap", "entry", entries, |xml, (key, value)| {
            xml.text("key", key).text("value", value);
        });
    }))
}

fn simulate_principal_policy(session: &Session<'_>, form: &Form) -> Result<String, AwsError> {
    let role = form.required("PolicySourceArn")?;
    let (actions, resources) = (form.list("ActionNames.member"), form.list("ResourceArns.member"));
    let answers = session.read_of("SimulatePrincipalPolicy", role, |aws, now| {
        aws.simulate_principal_policy(role, (&actions, &resources), &session.at.account, now)
    })?;
    Ok(answer(session, "SimulatePrincipalPolicy", |xml| {
        xml.list("EvaluationResults", "member", answers, |xml, answer| {
            let decision = if answer.allowed { "allowed" } else { "implicitDeny" };
            xml.text("EvalActionName", answer.action).text("EvalResourceName", answer.resource);
            xml.text("EvalDecision", decision);
            xml.text("MatchedStatements", "").text("MissingContextValues", "");
            let detail = match answer.overruled_by {
                Some(Overruler::Boundary) => ("PermissionsBoundaryDecisionDetail", "AllowedByPermissionsBoundary"),
                Some(Overruler::Organisation) => ("OrganizationsDecisionDetail", "AllowedByOrganizations"),
                Some(Overruler::Scoped) | None => return,
            };
            xml.inside(detail.0, |xml| {
                xml.text(detail.1, false);
            });
        });
        xml.text("IsTruncated", false);
    }))
}

fn answer(session: &Session<'_>, action: &str, fill: impl FnOnce(&mut Xml)) -> String {
    query_answer(NAMESPACE, action, session.request_id, Some(fill))
}

/// The answer to an action that has no result.
fn done(session: &Session<'_>, action: &str) -> String {
    query_answer(NAMESPACE, action, session.request_id, None::<fn(&mut Xml)>)
}
