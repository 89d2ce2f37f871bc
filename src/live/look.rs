//! A fresh look at one function, just before something is decided about it.

use crate::cloud::{Class, CloudError, Function, Read};
use crate::names::{FunctionKey, PolicyArn, RoleArn, RoleKey, Time};

use super::{FunctionNeeds, RoleFacts, Seen};

/// The rights that Lambda tries out when a function is attached, and needs to keep it so.
const INTERFACE_ACTIONS: &[&str] =
    &["ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DeleteNetworkInterface"];

/// What a look at one function found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The function.
    pub function: Seen<Function>,
    /// Its role, if that was asked for.
    pub role: Option<(RoleKey, Seen<RoleFacts>)>,
}

/// Reads one function, and its role as well if `needs` says so.
pub async fn look(cloud: &dyn Read, key: &FunctionKey, needs: Option<&FunctionNeeds>, now: Time) -> Looked {
    let function = seen(cloud.get_function(key).await);
    let role = match (&function, needs) {
        (Seen::Present(function), Some(needs)) => {
            Some((function.role.key().clone(), read_role(cloud, &function.role, needs, now).await))
        }
        _ => None,
    };
    Looked { function, role }
}

/// A read's answer as a fact: only AWS's own "not found" is an absence.
pub(super) fn seen<T>(answer: Result<T, CloudError>) -> Seen<T> {
    match answer {
        Ok(value) => Seen::Present(value),
        Err(error) if error.class == Class::NotFound => Seen::Absent,
        Err(error) => Seen::Unknown(error.into()),
    }
}

/// Reads the policies of a role and, where a wanted one is missing, asks whether the role has the right all the same.
pub(super) async fn read_role(cloud: &dyn Read, role: &RoleArn, needs: &FunctionNeeds, now: Time) -> Seen<RoleFacts> {
    let attached = match attached_policies(cloud, role).await {
        Ok(attached) => attached,
        Err(error) => return seen(Err(error)),
    };
    let missing = needs.policies.iter().any(|policy| !attached.contains(&policy.for_role(role)));
    let may_make_interfaces = match missing && needs.simulate {
        true => seen(cloud.simulate(role, INTERFACE_ACTIONS).await.map(|simulated| simulated.allowed)),
        false => Seen::Unknown(super::Fault::Unread),
    };
    Seen::Present(RoleFacts { attached, may_make_interfaces, at: now })
}

async fn attached_policies(
    cloud: &dyn Read,
    role: &RoleArn,
) -> Result<std::collections::BTreeSet<PolicyArn>, CloudError> {
    let mut attached = std::collections::BTreeSet::new();
    let mut from = None;
    loop {
        let page = cloud.list_attached_policies(role, from).await?;
        attached.extend(page.items);
        from = page.next;
        if from.is_none() {
            return Ok(attached);
        }
    }
}
