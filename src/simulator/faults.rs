//! What goes wrong on purpose: a script as data.
//!
//! Each fault says which calls it meets and what they get instead of a true answer. The first fault that meets a call
//! is the only one that it gets. Time is passed in, and chance comes from a seed, so that a script runs the same way
//! twice.

use std::time::Duration;

use super::account::{AwsError, function_arn};
use crate::cloud::{Failure, Service};
use crate::names::{AccountId, Region, Scope};

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
    /// The service.
    pub service: Option<Service>,
    /// The operation, by AWS's name.
    pub operation: Option<String>,
    /// The name of the function or role that the call is about.
    pub subject: Option<String>,
    /// The account.
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
                function_arn(&Scope { account: self.account.clone(), region: region.clone() }, name)
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
            pattern.as_ref().is_none_or(|pattern| text.is_some_and(|text| super::account::fits(pattern, text)))
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
