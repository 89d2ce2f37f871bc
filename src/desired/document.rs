//! The desired file as it is written. These types are the format: its keys, its JSON schema, its documentation.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::file::Field;

/// Functions and the VPCs they belong to.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "a table")]
pub(super) struct Document {
    /// What holds for every entry that does not say otherwise.
    pub defaults: Option<Field<Defaults>>,
    /// A VPC, by a name that functions use.
    pub vpc: Option<Field<Vec<Field<Vpc>>>>,
    /// A function, and where it belongs.
    pub function: Option<Field<Vec<Field<Function>>>>,
}

/// `[defaults]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "a table: `[defaults]`")]
pub(super) struct Defaults {
    /// The region, such as "eu-west-1".
    pub region: Option<Field<String>>,
    /// The account: its id, or a name from the settings.
    pub account: Option<Field<String>>,
    /// "enforce" (default) or "observe".
    #[schemars(extend("enum" = ["enforce", "observe"]))]
    pub mode: Option<Field<String>>,
    /// The policies that let a role make network interfaces, instead of AWSLambdaVPCAccessExecutionRole.
    #[schemars(length(min = 1, max = 25))]
    pub policies: Option<Field<Vec<Field<String>>>>,
    /// "when-needed" (default), "always" or "never".
    #[schemars(extend("enum" = ["when-needed", "always", "never"]))]
    pub attach_policy: Option<Field<String>>,
}

/// `[[vpc]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "a table: `[[vpc]]`")]
pub(super) struct Vpc {
    /// The name by which functions refer to it.
    #[schemars(length(min = 1, max = 256))]
    pub name: Option<Field<String>>,
    /// Its id.
    #[schemars(regex(pattern = r"^vpc-([0-9a-f]{8}|[0-9a-f]{17})$"))]
    pub id: Option<Field<String>>,
    /// Which subnets. Left out: the private ones.
    pub subnets: Option<Field<Selector>>,
    /// Which security groups. Left out: the default group.
    pub security_groups: Option<Field<Selector>>,
    /// The account it is used in: an id, or a name from the settings.
    pub account: Option<Field<String>>,
    /// Its region.
    pub region: Option<Field<String>>,
    /// Whether outbound IPv6 is allowed; all its subnets must then be dual-stack. Left out: as it is on each function, but not
    /// allowed where the subnets are left out as well.
    pub ipv6: Option<Field<bool>>,
    /// Whether its functions need a way to the internet: "any" (default; a missing one is a warning), "required" (it blocks)
    /// or "none" (it is wanted so).
    #[schemars(extend("enum" = ["any", "required", "none"]))]
    pub egress: Option<Field<String>>,
}

/// `[[function]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "a table: `[[function]]`")]
pub(super) struct Function {
    /// The function's name; or a pattern with `*` for any text and `?` for one character, which means all functions of the
    /// account and region that it fits and that no entry names.
    pub name: Option<Field<String>>,
    /// With a pattern: names of functions that it does not mean, or patterns of such names.
    pub except: Option<Field<Vec<Field<String>>>>,
    /// The function's ARN, instead of name, account and region.
    pub arn: Option<Field<String>>,
    /// A VPC's name, a bare VPC id, or "none" for a function that must not be in a VPC.
    pub vpc: Option<Field<String>>,
    /// The account: its id, or a name from the settings.
    pub account: Option<Field<String>>,
    /// The region.
    pub region: Option<Field<String>>,
    /// Which subnets, instead of those of the VPC's entry.
    pub subnets: Option<Field<Selector>>,
    /// Which security groups, instead of those of the VPC's entry.
    pub security_groups: Option<Field<Selector>>,
    /// "enforce" (default) or "observe".
    #[schemars(extend("enum" = ["enforce", "observe"]))]
    pub mode: Option<Field<String>>,
    /// With "observe": when it ends, such as 2027-01-31T00:00:00Z.
    pub until: Option<Field<Moment>>,
    /// With "observe": why, for the people who read it later; at most 500 characters.
    #[schemars(length(max = 500))]
    pub reason: Option<Field<String>>,
    /// The policies that let its role make network interfaces, instead of AWSLambdaVPCAccessExecutionRole.
    #[schemars(length(min = 1, max = 25))]
    pub policies: Option<Field<Vec<Field<String>>>>,
    /// "when-needed" (default), "always" or "never".
    #[schemars(extend("enum" = ["when-needed", "always", "never"]))]
    pub attach_policy: Option<Field<String>>,
}

/// Picks subnets or security groups of a VPC, in one of three ways.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(expecting = "a table like { ids = [\"...\"] }")]
pub(super) struct Selector {
    /// By id.
    #[schemars(length(min = 1, max = 16), inner(regex(pattern = r"^(subnet|sg)-([0-9a-f]{8}|[0-9a-f]{17})$")))]
    pub ids: Option<Field<Vec<Field<String>>>>,
    /// By name: a group's name, a subnet's Name tag.
    #[schemars(length(min = 1, max = 16), inner(length(max = 256)))]
    pub names: Option<Field<Vec<Field<String>>>>,
    /// By tags: all of them must be there with these values.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 50, "propertyNames" = { "maxLength": 128 }))]
    pub tags: Option<Field<BTreeMap<String, Field<String>>>>,
}

/// A TOML date and time.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Moment(pub toml::value::Datetime);

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}
