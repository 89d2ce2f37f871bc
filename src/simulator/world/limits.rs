//! How long things take and how much is allowed, as a person writes it.

use std::time::Duration;

use serde::Deserialize;

use super::{Problem, seconds};
use crate::simulator::account::{Quotas, Rate, Timings};

/// How long things take, in seconds; see [`Timings`]. What is left out has the convenient default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredTimings {
    /// An update that needs no new interface.
    pub update: Option<f64>,
    /// An update that does.
    pub new_interface: Option<f64>,
    /// Until a policy counts.
    pub propagation: Option<f64>,
    /// Until a new function is active.
    pub pending: Option<f64>,
    /// Until IAM's own answers show an attachment.
    pub iam_reads: Option<f64>,
    /// Until single reads say how an update goes.
    pub unsaid: Option<f64>,
    /// Until listings show an update.
    pub lists: Option<f64>,
    /// Until the interface of a pair that no function needs any more is given back.
    pub release: Option<f64>,
}

impl DeclaredTimings {
    pub(super) fn check(&self) -> Result<Timings, Problem> {
        let usual = Timings::default();
        let or = |given: Option<f64>, otherwise: Duration| given.map_or(Ok(otherwise), seconds);
        Ok(Timings {
            update: or(self.update, usual.update)?,
            new_interface: or(self.new_interface, usual.new_interface)?,
            propagation: or(self.propagation, usual.propagation)?,
            pending: or(self.pending, usual.pending)?,
            iam_reads: or(self.iam_reads, usual.iam_reads)?,
            unsaid: or(self.unsaid, usual.unsaid)?,
            lists: or(self.lists, usual.lists)?,
            release: or(self.release, usual.release)?,
        })
    }
}

/// How much is allowed; see [`Quotas`]. What is left out is as in a new account, and requests are not counted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredQuotas {
    /// Counts requests as AWS does, where no rate is given below.
    pub real_rates: bool,
    /// Requests to Lambda but `GetFunction`.
    pub lambda_requests: Option<DeclaredRate>,
    /// `GetFunction`.
    pub get_function_requests: Option<DeclaredRate>,
    /// Requests to IAM.
    pub iam_requests: Option<DeclaredRate>,
    /// Each of EC2's read operations.
    pub ec2_requests: Option<DeclaredRate>,
    /// What Lambda itself asks of EC2: one request for each new interface.
    pub interface_requests: Option<DeclaredRate>,
    /// Managed policies on one role.
    pub policies_per_role: Option<usize>,
    /// Lambda's network interfaces in one VPC.
    pub interfaces_per_vpc: Option<usize>,
    /// Functions in one page.
    pub functions_per_page: Option<usize>,
    /// Roles in one page of `ListEntitiesForPolicy`.
    pub entities_per_page: Option<usize>,
    /// Items in one page of EC2's listings.
    pub ec2_page: Option<usize>,
}

/// How often something may be asked.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredRate {
    /// Requests a second.
    pub per_second: u32,
    /// Requests at once; a second's worth if left out.
    pub burst: Option<u32>,
}

impl DeclaredQuotas {
    pub(super) fn check(&self) -> Result<Quotas, Problem> {
        let usual = if self.real_rates { Quotas::real() } else { Quotas::default() };
        let rate = |given: Option<DeclaredRate>| {
            given.map(|DeclaredRate { per_second, burst }| Rate { per_second, burst: burst.unwrap_or(per_second) })
        };
        let pages = [self.functions_per_page, self.entities_per_page, self.ec2_page];
        if pages.contains(&Some(0)) {
            return Err(Problem("a page of no items would never end: give at least 1".to_owned()));
        }
        Ok(Quotas {
            functions_per_page: self.functions_per_page.unwrap_or(usual.functions_per_page),
            policies_per_role: self.policies_per_role.unwrap_or(usual.policies_per_role),
            subnets: usual.subnets,
            security_groups: usual.security_groups,
            interfaces_per_vpc: self.interfaces_per_vpc.unwrap_or(usual.interfaces_per_vpc),
            entities_per_page: self.entities_per_page.or(usual.entities_per_page),
            ec2_page: self.ec2_page.or(usual.ec2_page),
            lambda_requests: rate(self.lambda_requests).or(usual.lambda_requests),
            get_function_requests: rate(self.get_function_requests).or(usual.get_function_requests),
            iam_requests: rate(self.iam_requests).or(usual.iam_requests),
            ec2_requests: rate(self.ec2_requests).or(usual.ec2_requests),
            interface_requests: rate(self.interface_requests).or(usual.interface_requests),
        })
    }
}
