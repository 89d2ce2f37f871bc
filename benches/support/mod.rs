//! The fleets that are measured: one role for twenty functions, one VPC for five hundred.

#![allow(dead_code, reason = "each benchmark uses its part of it")]

use std::fmt::Write as _;

use lambda_vpc_controller::simulator::World;

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "eu-west-1";
const FUNCTIONS_PER_VPC: usize = 500;
pub(crate) const POLICY: &str = "service-role/AWSLambdaVPCAccessExecutionRole";

/// A world of so many functions, none of them in a VPC.
pub(crate) fn fleet(functions: usize) -> World {
    World::fleet(functions)
}

/// The same, with everything as [`file`] wants it.
pub(crate) fn fleet_in_sync(functions: usize) -> World {
    let mut world = fleet(functions);
    for role in &mut world.roles {
        role.policies.push(POLICY.to_owned());
    }
    for (number, function) in world.functions.iter_mut().enumerate() {
        let vpc = &world.vpcs[number / FUNCTIONS_PER_VPC].id;
        let of_vpc = world.subnets.iter().skip(3 * (number / FUNCTIONS_PER_VPC)).take(3);
        function.subnets = of_vpc.filter(|subnet| subnet.vpc == *vpc).map(|subnet| subnet.id.clone()).collect();
        let group = &world.security_groups[number / FUNCTIONS_PER_VPC];
        function.security_groups = vec![group.id.clone()];
    }
    world
}

/// So many accounts with so many functions each, everything as [`file_of_accounts`] wants it.
pub(crate) fn accounts_in_sync(accounts: usize, functions: usize) -> World {
    let mut all = World::default();
    for number in 0..accounts {
        let id = Some(account(number));
        let one = fleet_in_sync(functions);
        // Ids are unique in all of AWS.
        let own = |text: &str| text.replace("0f1ee7", &format!("0f1e{number:02}"));
        all.vpcs.extend(one.vpcs.into_iter().map(|mut it| {
            (it.id, it.account) = (own(&it.id), id.clone());
            it
        }));
        all.subnets.extend(one.subnets.into_iter().map(|mut it| {
            (it.id, it.vpc) = (own(&it.id), own(&it.vpc));
            it
        }));
        all.security_groups.extend(one.security_groups.into_iter().map(|mut it| {
            (it.id, it.vpc) = (own(&it.id), own(&it.vpc));
            it
        }));
        all.roles.extend(one.roles.into_iter().map(|mut it| {
            it.account.clone_from(&id);
            it
        }));
        all.functions.extend(one.functions.into_iter().map(|mut it| {
            it.account.clone_from(&id);
            it.subnets = it.subnets.iter().map(|id| own(id)).collect();
            it.security_groups = it.security_groups.iter().map(|id| own(id)).collect();
            it
        }));
    }
    all
}

fn account(number: usize) -> String {
    format!("{:012}", 100_000_000_000_u64 + number as u64)
}

/// The file that wants the functions of [`fleet`] in their VPCs.
pub(crate) fn file(functions: usize) -> String {
    let mut text = format!("[defaults]\nregion = '{REGION}'\naccount = '{ACCOUNT}'\n");
    entries(&mut text, &World::fleet(functions), |id| id.to_owned(), "");
    text
}

/// The file for the functions of [`accounts_in_sync`].
pub(crate) fn file_of_accounts(accounts: usize, functions: usize) -> String {
    let mut text = format!("[defaults]\nregion = '{REGION}'\n");
    for number in 0..accounts {
        let more = format!("account = '{}'\n", account(number));
        entries(&mut text, &World::fleet(functions), |id| id.replace("0f1ee7", &format!("0f1e{number:02}")), &more);
    }
    text
}

fn entries(text: &mut String, world: &World, own: impl Fn(&str) -> String, more: &str) {
    for (number, function) in world.functions.iter().enumerate() {
        let vpc = own(&world.vpcs[number / FUNCTIONS_PER_VPC].id);
        let _ = write!(
            text,
            "[[function]]\nname = '{}'\nvpc = '{vpc}'\nsecurity_groups = {{ names = ['lambda'] }}\n{more}",
            function.name
        );
    }
}
