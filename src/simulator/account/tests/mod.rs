//! The model's behaviour, one sentence a test. All of it runs on the demo's world, by a clock that stands still.

mod ec2;
mod example;
mod iam;
mod lambda;
mod limits;
mod meddler;
mod network;
mod world;

use std::time::Duration;

use super::*;
use crate::cloud::{Life, Listing, State, Update};
use crate::simulator::World;

pub(super) const SUBNET_A: &str = "subnet-0a1a1a1a1a1a1a1a1";
pub(super) const SUBNET_B: &str = "subnet-0b2b2b2b2b2b2b2b2";
pub(super) const SUBNET_C: &str = "subnet-0c3c3c3c3c3c3c3c3";
pub(super) const LAMBDA_GROUP: &str = "sg-0e5e5e5e5e5e5e5e5";
pub(super) const DEFAULT_GROUP: &str = "sg-0d0d0d0d0d0d0d0d1";
pub(super) const VPC_ACCESS: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole";

/// A world and the moment in it.
pub(super) struct Stage {
    pub(super) aws: Aws,
    pub(super) at: ScopeKey,
    pub(super) now: Time,
}

impl Stage {
    pub(super) fn demo() -> Self {
        Self::of(&World::demo().unwrap())
    }

    pub(super) fn of(world: &World) -> Self {
        let now = Time(1_795_417_200_000);
        let account = AccountId::parse("123456789012").unwrap();
        let at = ScopeKey { account, region: Region::parse("eu-west-1").unwrap() };
        Self { aws: world.build(now).unwrap(), at, now }
    }

    pub(super) fn pass(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now + Duration::from_secs(seconds);
        self
    }

    pub(super) fn get(&mut self, name: &str) -> Function {
        self.aws.get_function(&self.at, name, self.now).unwrap()
    }

    pub(super) fn update(&mut self, name: &str, request: &UpdateFunctionConfiguration) -> Result<Function, AwsError> {
        self.aws.update_function_configuration(&self.at, name, request, self.now)
    }

    pub(super) fn set_vpc(&mut self, name: &str, subnets: &[&str], groups: &[&str]) -> Result<Function, AwsError> {
        self.update(name, &vpc(subnets, groups))
    }

    pub(super) fn attach(&mut self, role: &str, policy: &str) -> Result<(), AwsError> {
        self.aws.attach_role_policy(&self.at.account, role, policy, self.now)
    }

    /// Gives a role the right long enough ago that Lambda knows.
    pub(super) fn permit(&mut self, role: &str) -> &mut Self {
        self.attach(role, VPC_ACCESS).unwrap();
        self.pass(60)
    }

    pub(super) fn interfaces(&mut self) -> Vec<Interface> {
        self.aws.describe_network_interfaces(&self.at, &Describe::default(), self.now).unwrap().items
    }
}

pub(super) fn vpc(subnets: &[&str], groups: &[&str]) -> UpdateFunctionConfiguration {
    let list = |ids: &[&str]| Some(ids.iter().map(ToString::to_string).collect());
    UpdateFunctionConfiguration {
        vpc_config: Some(VpcConfigRequest {
            subnet_ids: list(subnets),
            security_group_ids: list(groups),
            ipv6_allowed_for_dual_stack: Some(false),
        }),
        ..UpdateFunctionConfiguration::default()
    }
}

#[track_caller]
pub(super) fn refused<T: std::fmt::Debug>(answer: Result<T, AwsError>, status: u16, code: &str, part: &str) {
    let error = answer.unwrap_err();
    assert_eq!((error.status, error.code.as_ref()), (status, code), "{error:?}");
    assert!(error.message.contains(part), "`{}` does not contain `{part}`", error.message);
}

pub(super) fn settled() -> Life {
    Life { state: State::Active, update: Update::Successful }
}
