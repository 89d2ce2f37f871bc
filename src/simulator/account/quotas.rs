//! What AWS limits: how much there may be, how much fits in one answer, and how often one may ask.
//!
//! Requests are counted in token buckets, as AWS does. They are off unless a world or a test asks for them, since most
//! tests are about something else.

use std::collections::BTreeMap;

use crate::cloud::Service;
use crate::names::{AccountId, Region, Time};

/// How often something may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, for as long as one likes. Zero refuses everything once the burst is over.
    pub per_second: u32,
    /// Requests at once, after a rest.
    pub burst: u32,
}

impl Rate {
    /// So many a second, and no more than a second's worth at once.
    pub const fn per_second(per_second: u32) -> Self {
        Self { per_second, burst: per_second }
    }
}

/// The limits that AWS sets. Only those that this model enforces are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Functions in one page of a listing, whatever `MaxItems` says (Lambda: 50).
    pub functions_per_page: usize,
    /// Managed policies on one role (IAM: 10, can be raised).
    pub policies_per_role: usize,
    /// Subnets in a VPC configuration (Lambda: 16).
    pub subnets: usize,
    /// Security groups in a VPC configuration (Lambda: 5).
    pub security_groups: usize,
    /// Lambda's network interfaces in one VPC (500, can be raised).
    pub interfaces_per_vpc: usize,
    /// Roles in one page of `ListEntitiesForPolicy`, if fewer than asked for; IAM may always return fewer.
    pub entities_per_page: Option<usize>,
    /// Items in one page of EC2's listings, if fewer than asked for.
    pub ec2_page: Option<usize>,
    /// Requests to Lambda but `GetFunction`, in one account and region.
    pub lambda_requests: Option<Rate>,
    /// `GetFunction` in one account and region, which has a bucket of its own.
    pub get_function_requests: Option<Rate>,
    /// Requests to IAM, in one account.
    pub iam_requests: Option<Rate>,
    /// Each of EC2's read operations, in one account and region.
    pub ec2_requests: Option<Rate>,
    /// What Lambda itself asks of EC2 to make interfaces, in one account and region: one request for each.
    pub interface_requests: Option<Rate>,
}

impl Default for Quotas {
    /// What a new account has, without counting its requests.
    fn default() -> Self {
        Self {
            functions_per_page: 50,
            policies_per_role: 10,
            subnets: 16,
            security_groups: 5,
            interfaces_per_vpc: 500,
            entities_per_page: None,
            ec2_page: None,
            lambda_requests: None,
            get_function_requests: None,
            iam_requests: None,
            ec2_requests: None,
            interface_requests: None,
        }
    }
}

impl Quotas {
    /// What a new account has, its requests counted as AWS counts them. IAM's rate is not published; 20 is our guess.
    pub fn real() -> Self {
        Self {
            lambda_requests: Some(Rate::per_second(15)),
            get_function_requests: Some(Rate::per_second(100)),
            iam_requests: Some(Rate::per_second(20)),
            ec2_requests: Some(Rate { per_second: 20, burst: 100 }),
            interface_requests: Some(Rate { per_second: 5, burst: 100 }),
            ..Self::default()
        }
    }

    /// Grants so many times as many requests.
    pub(super) fn hasten(&mut self, times: u32) {
        let Self { lambda_requests, get_function_requests, iam_requests, ec2_requests, interface_requests, .. } = self;
        let rates = [lambda_requests, get_function_requests, iam_requests, ec2_requests, interface_requests];
        for rate in rates.into_iter().flatten() {
            rate.per_second = rate.per_second.saturating_mul(times);
            rate.burst = rate.burst.saturating_mul(times);
        }
    }

    /// The rate that holds for an operation, if its requests are counted.
    fn rate(&self, service: Service, operation: &str) -> Option<Rate> {
        match service {
            Service::Lambda if operation == GET_FUNCTION => self.get_function_requests,
            Service::Lambda => self.lambda_requests,
            Service::Iam => self.iam_requests,
            Service::Ec2 if operation == CREATE_INTERFACE => self.interface_requests,
            Service::Ec2 => self.ec2_requests,
            Service::Sts => None,
        }
    }
}

/// The operation that Lambda counts apart.
const GET_FUNCTION: &str = "GetFunction";
/// The operation of EC2 that Lambda makes interfaces with, which nobody else calls here.
pub(super) const CREATE_INTERFACE: &str = "CreateNetworkInterface";

/// What is counted together: a service, or one operation of it, in an account and perhaps a region.
type Counted = (Service, &'static str, AccountId, Option<Region>);

/// The buckets of a world. Each is full until it is used.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets(BTreeMap<Counted, Level>);

/// What a bucket holds, and since when. A thousandth of a token comes each millisecond for each request a second.
#[derive(Clone, Copy, Debug)]
struct Level {
    thousandths: u64,
    at: Time,
}

impl Buckets {
    /// Takes a token for this request; says whether there was one.
    pub(super) fn take(
        &mut self,
        quotas: &Quotas,
        (service, operation): (Service, &'static str),
        (account, region): (&AccountId, Option<&Region>),
        now: Time,
    ) -> Taken {
        let Some(rate) = quotas.rate(service, operation) else { return Taken::Granted };
        let name = if service == Service::Ec2 || operation == GET_FUNCTION { operation } else { "" };
        let region = region.filter(|_| service != Service::Iam).cloned();
        let full = u64::from(rate.burst) * 1000;
        let fresh = Level { thousandths: full, at: now };
        let level = self.0.entry((service, name, account.clone(), region)).or_insert(fresh);
        let passed = now.0.saturating_sub(level.at.0);
        level.thousandths =
            level.thousandths.saturating_add(passed.saturating_mul(u64::from(rate.per_second))).min(full);
        level.at = level.at.max(now);
        match level.thousandths.checked_sub(1000) {
            Some(rest) => {
                level.thousandths = rest;
                Taken::Granted
            }
            None => Taken::Refused,
        }
    }
}

/// Whether a request is within its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is.
    Granted,
    /// It is one too many, and costs nothing.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(text: &str) -> AccountId {
        AccountId::parse(text).unwrap()
    }

    /// How many of `asked` requests are granted at this moment.
    fn granted(buckets: &mut Buckets, what: (Service, &'static str), asked: usize, now: Time) -> usize {
        let (of, region) = (account("123456789012"), Region::parse("eu-west-1").unwrap());
        let mut take = || buckets.take(&Quotas::real(), what, (&of, Some(&region)), now);
        (0..asked).filter(|_| take() == Taken::Granted).count()
    }

    #[test]
    fn each_service_grants_its_burst_and_then_its_rate() {
        for (service, operation, burst, rate) in [
            (Service::Lambda, "UpdateFunctionConfiguration", 15, 15),
            (Service::Lambda, "GetFunction", 100, 100),
            (Service::Iam, "AttachRolePolicy", 20, 20),
            (Service::Ec2, "DescribeSubnets", 100, 20),
            (Service::Ec2, "CreateNetworkInterface", 100, 5),
            (Service::Sts, "GetCallerIdentity", 200, 200),
        ] {
            let mut buckets = Buckets::default();
            let what = (service, operation);
            assert_eq!(granted(&mut buckets, what, 200, Time(0)), burst, "{operation}");
            assert_eq!(granted(&mut buckets, what, 200, Time(1000)), rate, "{operation}");
            assert_eq!(granted(&mut buckets, what, 200, Time(3_600_000)), burst, "{operation}");
        }
    }

    #[test]
    fn lambdas_operations_share_a_bucket_but_for_one_and_ec2s_do_not() {
        let mut buckets = Buckets::default();
        assert_eq!(granted(&mut buckets, (Service::Lambda, "ListFunctions"), 15, Time(0)), 15);
        assert_eq!(granted(&mut buckets, (Service::Lambda, "UpdateFunctionConfiguration"), 1, Time(0)), 0);
        assert_eq!(granted(&mut buckets, (Service::Lambda, "GetFunction"), 1, Time(0)), 1);
        assert_eq!(granted(&mut buckets, (Service::Ec2, "DescribeVpcs"), 100, Time(0)), 100);
        assert_eq!(granted(&mut buckets, (Service::Ec2, "DescribeSubnets"), 1, Time(0)), 1);
    }

    #[test]
    fn iam_counts_by_account_and_lambda_by_account_and_region() {
        for (service, shared) in [(Service::Iam, Taken::Refused), (Service::Lambda, Taken::Granted)] {
            let mut buckets = Buckets::default();
            let quotas = Quotas { lambda_requests: Some(Rate::per_second(20)), ..Quotas::real() };
            let (of, other) = (account("123456789012"), account("222222222222"));
            let regions = [Region::parse("eu-west-1").unwrap(), Region::parse("us-east-1").unwrap()];
            for _ in 0..20 {
                assert_eq!(buckets.take(&quotas, (service, "x"), (&of, Some(&regions[0])), Time(0)), Taken::Granted);
            }
            assert_eq!(buckets.take(&quotas, (service, "x"), (&of, Some(&regions[0])), Time(0)), Taken::Refused);
            assert_eq!(buckets.take(&quotas, (service, "x"), (&of, Some(&regions[1])), Time(0)), shared);
            assert_eq!(buckets.take(&quotas, (service, "x"), (&other, Some(&regions[0])), Time(0)), Taken::Granted);
        }
    }

    #[test]
    fn a_clock_that_goes_back_fills_nothing() {
        let mut buckets = Buckets::default();
        let what = (Service::Lambda, "ListFunctions");
        assert_eq!(granted(&mut buckets, what, 15, Time(5000)), 15);
        assert_eq!(granted(&mut buckets, what, 1, Time(1000)), 0);
        assert_eq!(granted(&mut buckets, what, 1, Time(5000)), 0);
    }

    #[test]
    fn nothing_is_counted_unless_asked_for() {
        let mut buckets = Buckets::default();
        let of = account("123456789012");
        let mut take = || buckets.take(&Quotas::default(), (Service::Lambda, "ListFunctions"), (&of, None), Time(0));
        assert!((0..1000).all(|_| take() == Taken::Granted));
    }
}
