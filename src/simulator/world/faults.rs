//! Faults as a person writes them, in a world file or in a request to a world that is being served.

use std::time::Duration;

use serde::Deserialize;

use super::{Problem, seconds};
use crate::cloud::{Failure, Service};
use crate::names::{AccountId, Region};
use crate::simulator::faults::{Fault, Match, Misbehaviour};

/// A fault: which calls it meets, and what they get. What is left out of the first part holds for all calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredFault {
    pub service: Option<DeclaredService>,
    /// The operation, by AWS's name; `*` stands for any text.
    pub operation: Option<String>,
    /// The function or role; `*` stands for any text.
    pub subject: Option<String>,
    /// The account's id.
    pub account: Option<String>,
    pub region: Option<String>,
    /// From when on, in seconds since the world began.
    pub from: Option<f64>,
    /// Until when, in seconds since the world began.
    pub until: Option<f64>,
    /// How many calls it meets.
    pub times: Option<u32>,
    /// How many of a hundred matching calls it meets.
    pub percent: Option<f64>,
    /// What they get.
    pub answer: DeclaredAnswer,
    /// `throttled`: how many seconds AWS asks to wait.
    pub retry_after: Option<u32>,
    /// `slow`: after how many real seconds the answer comes.
    pub seconds: Option<f64>,
    /// `error`: the HTTP status.
    pub status: Option<u16>,
    /// `error`: AWS's code. `update_fails`: the reason code, from AWS's list or not.
    pub code: Option<String>,
    /// `error` and `update_fails`: the text.
    pub message: Option<String>,
}

/// A service, by its name in IAM actions.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredService {
    Lambda,
    Ec2,
    Iam,
    Sts,
}

/// A misbehaviour by name; see [`Misbehaviour`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredAnswer {
    Throttled,
    Ec2Throttled,
    ServerError,
    Unavailable,
    Expired,
    Denied,
    Error,
    Reset,
    Lost,
    Slow,
    Truncated,
    Malformed,
    UpdateFails,
}

/// Faults alone, as a world that is being served takes them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredFaults {
    /// The faults, in the order in which they are tried.
    pub fault: Vec<DeclaredFault>,
}

impl DeclaredFaults {
    /// Parses `[[fault]]` tables. The error is a sentence.
    pub fn from_toml(text: &str) -> Result<Vec<Fault>, String> {
        toml::from_str::<Self>(text).map_err(|error| error.to_string()).and_then(|faults| faults.check())
    }

    /// Parses `{"fault": […]}`. The error is a sentence.
    pub fn from_json(text: &str) -> Result<Vec<Fault>, String> {
        serde_json::from_str::<Self>(text).map_err(|error| error.to_string()).and_then(|faults| faults.check())
    }

    fn check(self) -> Result<Vec<Fault>, String> {
        let numbered = self.fault.iter().enumerate();
        let checked =
            numbered.map(|(n, it)| it.check().map_err(|Problem(problem)| format!("fault {}: {problem}", n + 1)));
        checked.collect()
    }
}

impl DeclaredFault {
    pub(super) fn check(&self) -> Result<Fault, Problem> {
        self.check_companions()?;
        if self.percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
            return Err(Problem("percent must be from 0 to 100".to_owned()));
        }
        let when = Match {
            service: self.service.map(DeclaredService::service),
            operation: self.operation.clone(),
            subject: self.subject.clone(),
            account: self.account.as_deref().map(AccountId::parse).transpose()?,
            region: self.region.as_deref().map(Region::parse).transpose()?,
            from: self.from.map(seconds).transpose()?.unwrap_or_default(),
            until: self.until.map(seconds).transpose()?,
        };
        Ok(Fault { when, times: self.times, percent: self.percent, answer: self.misbehaviour()? })
    }

    /// A key that belongs to another answer is a mistake, not an ornament.
    fn check_companions(&self) -> Result<(), Problem> {
        use DeclaredAnswer::{Error, Slow, Throttled, UpdateFails};
        let companions: [(&str, bool, &[DeclaredAnswer]); 5] = [
            ("retry_after", self.retry_after.is_some(), &[Throttled]),
            ("seconds", self.seconds.is_some(), &[Slow]),
            ("status", self.status.is_some(), &[Error]),
            ("code", self.code.is_some(), &[Error, UpdateFails]),
            ("message", self.message.is_some(), &[Error, UpdateFails]),
        ];
        let stray = companions.iter().find(|(_, given, of)| *given && !of.contains(&self.answer));
        match stray {
            None => Ok(()),
            Some((key, _, _)) => Err(Problem(format!("`{key}` does not go with this answer"))),
        }
    }

    fn misbehaviour(&self) -> Result<Misbehaviour, Problem> {
        let needs = |key: &str| Problem(format!("this answer needs `{key}`"));
        let code = || self.code.clone().ok_or_else(|| needs("code"));
        let message = self.message.clone().unwrap_or_default();
        Ok(match self.answer {
            DeclaredAnswer::Throttled => {
                Misbehaviour::Throttled(self.retry_after.map(|wait| Duration::from_secs(wait.into())))
            }
            DeclaredAnswer::Ec2Throttled => Misbehaviour::Ec2Throttled,
            DeclaredAnswer::ServerError => Misbehaviour::ServerError,
            DeclaredAnswer::Unavailable => Misbehaviour::Unavailable,
            DeclaredAnswer::Expired => Misbehaviour::Expired,
            DeclaredAnswer::Denied => Misbehaviour::Denied,
            DeclaredAnswer::Error => {
                let status = self.status.ok_or_else(|| needs("status"))?;
                if !(400..=599).contains(&status) {
                    return Err(Problem(format!("{status} is not the status of an error: 400 to 599")));
                }
                Misbehaviour::Error { status, code: code()?, message }
            }
            DeclaredAnswer::Reset => Misbehaviour::Reset,
            DeclaredAnswer::Lost => Misbehaviour::Lost,
            DeclaredAnswer::Slow => Misbehaviour::Slow(seconds(self.seconds.ok_or_else(|| needs("seconds"))?)?),
            DeclaredAnswer::Truncated => Misbehaviour::Truncated,
            DeclaredAnswer::Malformed => Misbehaviour::Malformed,
            DeclaredAnswer::UpdateFails => Misbehaviour::UpdateFails(Failure { code: code()?, text: message }),
        })
    }
}

impl DeclaredService {
    fn service(self) -> Service {
        match self {
            Self::Lambda => Service::Lambda,
            Self::Ec2 => Service::Ec2,
            Self::Iam => Service::Iam,
            Self::Sts => Service::Sts,
        }
    }
}
