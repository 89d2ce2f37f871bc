//! Worlds to begin with: a small one to try things in, and one as large as wanted.

use super::{
    DeclaredFunction, DeclaredRole, DeclaredSecurityGroup, DeclaredSubnet, DeclaredVpc, DefaultRoute, World, WorldError,
};

/// The demo's declarations, which are an example of the format too.
const DEMO: &str = include_str!("demo.toml");

/// How many functions of a fleet share a role.
const FUNCTIONS_PER_ROLE: usize = 20;

/// How many functions of a fleet belong into one VPC.
const FUNCTIONS_PER_VPC: usize = 500;

impl World {
    /// A VPC named `orders` with private and public subnets, and four functions in various states of attachment.
    pub fn demo() -> Result<Self, WorldError> {
        Self::parse(DEMO, "the demo's world")
    }

    /// A world of this many functions, none attached: `function-00000` and so on, twenty to a role (`role-0000`) and
    /// five hundred to a VPC (named `fleet-000`, with three private subnets and a group `lambda`).
    pub fn fleet(functions: usize) -> Self {
        let roles = functions.div_ceil(FUNCTIONS_PER_ROLE);
        let vpcs = functions.div_ceil(FUNCTIONS_PER_VPC).max(1);
        Self {
            origin: format!("a fleet of {functions}"),
            vpcs: (0..vpcs).map(fleet_vpc).collect(),
            subnets: (0..vpcs).flat_map(|vpc| (0..3).map(move |number| fleet_subnet(vpc, number))).collect(),
            security_groups: (0..vpcs).map(fleet_group).collect(),
            roles: (0..roles)
                .map(|role| DeclaredRole {
                    name: role_name(role),
                    policies: vec!["service-role/AWSLambdaBasicExecutionRole".to_owned()],
                    ..DeclaredRole::default()
                })
                .collect(),
            functions: (0..functions)
                .map(|number| DeclaredFunction {
                    name: format!("function-{number:05}"),
                    role: role_name(number / FUNCTIONS_PER_ROLE),
                    ..DeclaredFunction::default()
                })
                .collect(),
            ..Self::default()
        }
    }
}

fn role_name(role: usize) -> String {
    format!("role-{role:04}")
}

fn vpc_id(vpc: usize) -> String {
    format!("vpc-0f1ee7{vpc:011x}")
}

fn fleet_vpc(vpc: usize) -> DeclaredVpc {
    let name = Some(format!("fleet-{vpc:03}"));
    DeclaredVpc { id: vpc_id(vpc), name, default_route: Some(DefaultRoute::Nat), ..DeclaredVpc::default() }
}

fn fleet_subnet(vpc: usize, number: usize) -> DeclaredSubnet {
    DeclaredSubnet {
        id: format!("subnet-0f1ee7{vpc:09x}{number:02x}"),
        vpc: vpc_id(vpc),
        tags: [("tier".to_owned(), "private".to_owned())].into(),
        ..DeclaredSubnet::default()
    }
}

fn fleet_group(vpc: usize) -> DeclaredSecurityGroup {
    DeclaredSecurityGroup {
        id: format!("sg-0f1ee7{vpc:011x}"),
        vpc: vpc_id(vpc),
        name: Some("lambda".to_owned()),
        ..DeclaredSecurityGroup::default()
    }
}
