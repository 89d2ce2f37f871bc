//! What goes wrong on purpose: a script as data.
//!
//! Each fault says which calls it meets and what they get instead of a true answer. The first fault that meets a call
//! is the only one that it gets. Time is passed in, and chance comes from a seed, so that a script runs the same way
//! twice.

use std::time::Duration;

use super::account::{AwsError, function_arn};
use crate::cloud::{Failure, Service};
use crate::names::{AccountId, Region, ScopeKey};

/// The operation that some misbehaviours are about.
const UPDATE: &str = "UpdateFunctionConfiguration";

/// One line of the script.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The calls that it meets.
    pub when: Match,
    /// How many calls it meets before it is over; without end if left out.
    pub times: Option<u32>,
    /// How many of a hundred matching calls it meets; all if left out.
    pub percent: Option<f64>,
    /// What these calls get.
    pub answer: Misbehaviour,
}

/// Which calls are meant. What is left out holds for all; in texts, `*` and `?` stand for any text and any character.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    pub service: Option<Service>,
    /// The operation, by AWS's name.
    pub operation: Option<String>,
    /// The name of the function or role that the call is about.
    pub subject: Option<String>,
    pub account: Option<AccountId>,
    /// The region; a call to IAM is in none.
    pub region: Option<Region>,
    /// From this time on, since the world began.
    pub from: Duration,
    /// Until this time, since the world began.
    pub until: Option<Duration>,
}

/// What a call gets instead of a true answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Misbehaviour {
    /// The service's own answer to too many calls, perhaps with a `Retry-After`.
    Throttled(Option<Duration>),
    /// An update is refused because Lambda's calls to EC2 are too many.
    Ec2Throttled,
    /// A failure inside the service: 500.
    ServerError,
    /// A proxy says that the service is unavailable: 503 with a page for people.
    Unavailable,
    /// The credentials have expired.
    Expired,
    /// The caller has no right to this.
    Denied,
    /// Any error.
    Error {
        /// The HTTP status.
        status: u16,
        /// AWS's code.
        code: String,
        /// AWS's text.
        message: String,
    },
    /// The connection is closed without an answer, and nothing was done.
    Reset,
    /// What was asked for is done, and then the connection is closed without an answer.
    Lost,
    /// The answer comes late, in real time, whatever the world's clock does.
    Slow(Duration),
    /// The answer is cut off in its middle.
    Truncated,
    /// A success whose body nobody can read.
    Malformed,
    /// An update is accepted, and fails at its end for this reason. Only accepted updates count.
    UpdateFails(Failure),
}

/// A call, as far as faults look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) service: Service,
    pub(super) operation: &'static str,
    pub(super) account: &'a AccountId,
    pub(super) region: Option<&'a Region>,
    pub(super) subject: Option<&'a str>,
}

impl Asked<'_> {
    /// What the call is about, as a refusal for want of rights names it.
    pub(super) fn resource(&self) -> String {
        match (self.service, self.subject, self.region) {
            (Service::Lambda, Some(name), Some(region)) => {
                function_arn(&ScopeKey { account: self.account.clone(), region: region.clone() }, name)
            }
            (Service::Iam, Some(name), _) => format!("role {name}"),
            _ => "*".to_owned(),
        }
    }
}

impl Fault {
    /// Every call misbehaves so.
    pub fn always(answer: Misbehaviour) -> Self {
        Self { when: Match::default(), times: None, percent: None, answer }
    }

    /// Only calls of this operation, by AWS's name; `*` stands for any text.
    #[must_use]
    pub fn on(mut self, operation: &str) -> Self {
        self.when.operation = Some(operation.to_owned());
        self
    }

    /// Only calls about this function or role; `*` stands for any text.
    #[must_use]
    pub fn about(mut self, subject: &str) -> Self {
        self.when.subject = Some(subject.to_owned());
        self
    }

    /// Only so many calls.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only so many of a hundred calls.
    #[must_use]
    pub fn percent(mut self, percent: f64) -> Self {
        self.percent = Some(percent);
        self
    }

    fn meets(&self, asked: &Asked<'_>, since: Duration) -> bool {
        let Match { service, operation, subject, account, region, from, until } = &self.when;
        let fits = |pattern: &Option<String>, text: Option<&str>| {
            pattern.as_ref().is_none_or(|pattern| text.is_some_and(|text| crate::names::fits(pattern, text)))
        };
        let of_updates = matches!(self.answer, Misbehaviour::Ec2Throttled | Misbehaviour::UpdateFails(_));
        self.times != Some(0)
            && (!of_updates || asked.operation == UPDATE)
            && service.is_none_or(|service| service == asked.service)
            && fits(operation, Some(asked.operation))
            && fits(subject, asked.subject)
            && account.as_ref().is_none_or(|account| account == asked.account)
            && region.as_ref().is_none_or(|region| Some(region) == asked.region)
            && *from <= since
            && until.is_none_or(|until| since < until)
    }
}

impl Misbehaviour {
    /// The error that stands in place of the answer; `None` if the call is carried out.
    pub(super) fn error(&self, asked: &Asked<'_>) -> Option<AwsError> {
        let Asked { service, operation, account, .. } = *asked;
        Some(match self {
            Self::Throttled(retry_after) => AwsError::throttled(service, *retry_after),
            Self::Ec2Throttled => AwsError::throttled_by_ec2(),
            Self::ServerError => AwsError::server(service),
            Self::Unavailable => AwsError::new(503, "HTTP 503", "Service Temporarily Unavailable"),
            Self::Expired => AwsError::expired_token(service),
            Self::Denied => AwsError::denied(service, operation, account, &asked.resource()),
            Self::Error { status, code, message } => AwsError::new(*status, code.clone(), message.clone()),
            // Nobody gets to read this; the list of calls shows it.
            Self::Reset => AwsError::new(503, "ConnectionReset", "The connection was closed before anything was done"),
            Self::Lost | Self::Slow(_) | Self::Truncated | Self::Malformed | Self::UpdateFails(_) => return None,
        })
    }

    /// How the answer gets to the caller.
    pub(super) fn delivery(&self) -> Delivery {
        match self {
            Self::Reset | Self::Lost => Delivery::None,
            Self::Slow(by) => Delivery::Late(*by),
            Self::Truncated => Delivery::Half,
            Self::Malformed => Delivery::Garbage,
            Self::Unavailable => Delivery::Page,
            _ => Delivery::Whole,
        }
    }
}

/// How an answer gets to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Delivery {
    /// As it should.
    #[default]
    Whole,
    /// After so much real time.
    Late(Duration),
    /// The connection is closed instead.
    None,
    /// Cut off.
    Half,
    /// As a success with a body that means nothing.
    Garbage,
    /// As a page for people.
    Page,
}

/// A script of faults, and how far it has come.
#[derive(Clone, Debug)]
pub struct Faults {
    script: Vec<Fault>,
    random: fastrand::Rng,
}

impl Default for Faults {
    /// No faults, and a seed of 1 for those to come.
    fn default() -> Self {
        Self::seeded(1)
    }
}

impl Faults {
    /// No faults; those with a percentage will draw from this seed.
    pub fn seeded(seed: u64) -> Self {
        Self { script: Vec::new(), random: fastrand::Rng::with_seed(seed) }
    }

    /// Adds a fault behind the others.
    pub fn add(&mut self, fault: Fault) {
        self.script.push(fault);
    }

    /// Ends all faults.
    pub fn clear(&mut self) {
        self.script.clear();
    }

    /// Lets the faults begin and end so many times as early.
    pub(super) fn hasten(&mut self, times: u32) {
        for Match { from, until, .. } in self.script.iter_mut().map(|fault| &mut fault.when) {
            *from /= times;
            *until = until.map(|until| until / times);
        }
    }

    /// The faults that can still meet a call, each with the times that are left.
    pub fn left(&self) -> impl Iterator<Item = &Fault> {
        self.script.iter().filter(|fault| fault.times != Some(0))
    }

    /// What a call gets that comes this long after the world began; `None` for a true answer.
    pub(super) fn meet(&mut self, asked: &Asked<'_>, since: Duration) -> Option<Met> {
        let Self { script, random } = self;
        let met = script.iter_mut().enumerate().find(|(_, fault)| {
            fault.meets(asked, since) && fault.percent.is_none_or(|percent| random.f64() * 100.0 < percent)
        });
        met.map(|(line, fault)| {
            fault.times = fault.times.map(|times| times - 1);
            Met { line, answer: fault.answer.clone() }
        })
    }

    /// The call was one that the fault was not about after all.
    pub(super) fn give_back(&mut self, met: &Met) {
        if let Some(times) = self.script.get_mut(met.line).and_then(|fault| fault.times.as_mut()) {
            *times += 1;
        }
    }
}

/// A fault that met a call.
#[derive(Clone, Debug)]
pub(super) struct Met {
    line: usize,
    pub(super) answer: Misbehaviour,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(text: &str) -> AccountId {
        AccountId::parse(text).unwrap()
    }

    fn of(operation: &'static str) -> Service {
        match operation {
            _ if operation.starts_with("Describe") => Service::Ec2,
            "AttachRolePolicy" => Service::Iam,
            "AssumeRole" => Service::Sts,
            _ => Service::Lambda,
        }
    }

    /// What a call of this operation, about this subject, gets at this second.
    fn meet(faults: &mut Faults, operation: &'static str, subject: &str, second: u64) -> Option<Misbehaviour> {
        let (account, region) = (account("123456789012"), Region::parse("eu-west-1").unwrap());
        let service = of(operation);
        let region = matches!(service, Service::Lambda | Service::Ec2).then_some(&region);
        let asked = Asked { service, operation, account: &account, region, subject: Some(subject) };
        faults.meet(&asked, Duration::from_secs(second)).map(|met| met.answer)
    }

    fn script(lines: impl IntoIterator<Item = Fault>) -> Faults {
        let mut faults = Faults::default();
        lines.into_iter().for_each(|line| faults.add(line));
        faults
    }

    #[test]
    fn a_fault_meets_the_calls_that_all_its_conditions_fit() {
        let when = Match::default;
        for (when, update, attach, describe) in [
            (when(), true, true, true),
            (Match { service: Some(Service::Lambda), ..when() }, true, false, false),
            (Match { service: Some(Service::Sts), ..when() }, false, false, false),
            (Match { operation: Some("UpdateFunctionConfiguration".into()), ..when() }, true, false, false),
            (Match { operation: Some("*Role*".into()), ..when() }, false, true, false),
            (Match { operation: Some("Update".into()), ..when() }, false, false, false),
            (Match { subject: Some("orders-*".into()), ..when() }, true, true, false),
            (Match { subject: Some("orders-api".into()), ..when() }, true, false, false),
            (Match { account: Some(account("123456789012")), ..when() }, true, true, true),
            (Match { account: Some(account("222222222222")), ..when() }, false, false, false),
            (Match { region: Some(Region::parse("eu-west-1").unwrap()), ..when() }, true, false, true),
            (Match { region: Some(Region::parse("us-east-1").unwrap()), ..when() }, false, false, false),
            (Match { from: Duration::from_secs(11), ..when() }, false, false, false),
            (Match { from: Duration::from_secs(10), ..when() }, true, true, true),
            (Match { until: Some(Duration::from_secs(10)), ..when() }, false, false, false),
            (Match { until: Some(Duration::from_secs(11)), ..when() }, true, true, true),
        ] {
            let shown = format!("{when:?}");
            let mut faults = script([Fault { when, ..Fault::always(Misbehaviour::Reset) }]);
            let met = [
                meet(&mut faults, UPDATE, "orders-api", 10),
                meet(&mut faults, "AttachRolePolicy", "orders-role", 10),
                meet(&mut faults, "DescribeSubnets", "", 10),
            ];
            assert_eq!(met.map(|answer| answer.is_some()), [update, attach, describe], "{shown}");
        }
    }

    #[test]
    fn a_fault_is_over_after_its_times_and_the_next_one_follows() {
        let mut faults = script([
            Fault::always(Misbehaviour::ServerError).on(UPDATE).times(2),
            Fault::always(Misbehaviour::Reset).times(1),
        ]);
        assert_eq!(faults.left().count(), 2);
        let met: Vec<_> = (0..4).map(|_| meet(&mut faults, UPDATE, "f", 0)).collect();
        let expected = [Misbehaviour::ServerError, Misbehaviour::ServerError, Misbehaviour::Reset];
        assert_eq!(met[..3], expected.map(Some));
        assert_eq!((met[3].clone(), faults.left().count()), (None, 0));
    }

    #[test]
    fn a_percentage_is_kept_on_the_whole_and_the_same_seed_draws_the_same() {
        let draws = |seed, percent| {
            let mut faults = Faults::seeded(seed);
            faults.add(Fault::always(Misbehaviour::Reset).percent(percent));
            (0..10_000).map(|_| meet(&mut faults, "ListFunctions", "", 0).is_some()).collect::<Vec<_>>()
        };
        let met = |draws: &[bool]| draws.iter().filter(|met| **met).count();
        assert!((400..600).contains(&met(&draws(1, 5.0))), "{}", met(&draws(1, 5.0)));
        assert_eq!((met(&draws(1, 0.0)), met(&draws(1, 100.0))), (0, 10_000));
        assert_eq!(draws(1, 5.0), draws(1, 5.0));
        assert_ne!(draws(1, 5.0), draws(2, 5.0));
    }

    #[test]
    fn faults_of_updates_meet_nothing_else() {
        let failure = Failure { code: "InvalidSubnet".to_owned(), text: String::new() };
        for answer in [Misbehaviour::Ec2Throttled, Misbehaviour::UpdateFails(failure)] {
            let mut faults = script([Fault::always(answer.clone())]);
            assert_eq!(meet(&mut faults, "GetFunctionConfiguration", "f", 0), None);
            assert_eq!(meet(&mut faults, "DescribeSubnets", "", 0), None);
            assert_eq!(meet(&mut faults, UPDATE, "f", 0), Some(answer));
        }
    }

    #[test]
    fn each_service_misbehaves_in_its_own_words() {
        use Misbehaviour::{Denied, Ec2Throttled, Expired, ServerError, Throttled};
        let (attach, describe) = ("AttachRolePolicy", "DescribeSubnets");
        for (operation, answer, status, code, text) in [
            (UPDATE, Throttled(None), 429, "TooManyRequestsException", "Rate exceeded"),
            (attach, Throttled(None), 400, "Throttling", "Rate exceeded"),
            ("AssumeRole", Throttled(None), 400, "Throttling", "Rate exceeded"),
            (describe, Throttled(None), 503, "RequestLimitExceeded", "Request limit exceeded."),
            (UPDATE, Ec2Throttled, 400, "InvalidParameterValueException", "Your request has been throttled by EC2"),
            (UPDATE, ServerError, 500, "ServiceException", "internal error"),
            (attach, ServerError, 500, "ServiceFailure", "internal error"),
            (describe, ServerError, 500, "InternalError", "internal error"),
            (UPDATE, Expired, 403, "ExpiredTokenException", "is expired"),
            (attach, Expired, 403, "ExpiredToken", "is expired"),
            (describe, Expired, 400, "RequestExpired", "Request has expired."),
            (
                UPDATE,
                Denied,
                403,
                "AccessDeniedException",
                "is not authorized to perform: lambda:UpdateFunctionConfiguration on resource: \
                 arn:aws:lambda:eu-west-1:123456789012:function:x because no identity-based policy allows the \
                 lambda:UpdateFunctionConfiguration action",
            ),
            (attach, Denied, 403, "AccessDenied", "perform: iam:AttachRolePolicy on resource: role x because"),
            (describe, Denied, 403, "UnauthorizedOperation", "perform: ec2:DescribeSubnets because"),
        ] {
            let (account, region) = (account("123456789012"), Region::parse("eu-west-1").unwrap());
            let asked = Asked {
                service: of(operation),
                operation,
                account: &account,
                region: Some(&region),
                subject: Some("x"),
            };
            let error = answer.error(&asked).unwrap();
            assert_eq!((error.status, error.code.as_ref()), (status, code), "{operation} {answer:?}");
            assert!(error.message.contains(text), "`{}` does not contain `{text}`", error.message);
        }
    }
}
