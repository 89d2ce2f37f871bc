//! Moments.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z. The only time that the pure rooms know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The moment that a system clock shows.
    pub fn from_system(time: std::time::SystemTime) -> Self {
        let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(milliseconds(since))
    }

    /// The moment of a stamp; none before 1970.
    pub fn from_stamp(stamp: jiff::Timestamp) -> Option<Self> {
        u64::try_from(stamp.as_millisecond()).ok().map(Self)
    }

    /// How long ago `earlier` was; zero if it is yet to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Seconds since 1970, as Prometheus counts.
    pub fn as_seconds(self) -> f64 {
        Duration::from_millis(self.0).as_secs_f64()
    }
}

/// A length of time in whole milliseconds; the longest that can be said if it is longer.
pub fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

impl std::ops::Add<Duration> for Time {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(by)))
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC, to the second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = i64::try_from(self.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        match stamp {
            Some(stamp) => write!(f, "{}", stamp.strftime("%Y-%m-%dT%H:%M:%SZ")),
            None => write!(f, "{} ms after 1970", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stamp: jiff::Timestamp = String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)?;
        Self::from_stamp(stamp).ok_or_else(|| serde::de::Error::custom("before 1970"))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let description = "A moment, in UTC, to the second.";
        schemars::json_schema!({ "type": "string", "format": "date-time", "description": description })
    }
}

/// What asks for the time: the runtime's clock, or a test's.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_rfc_3339() {
        assert_eq!(Time(1_795_417_200_000).to_string(), "2026-11-23T07:00:00Z");
        assert_eq!(serde_json::from_str::<Time>("\"2026-11-23T07:00:00Z\"").unwrap(), Time(1_795_417_200_000));
        assert!(serde_json::from_str::<Time>("\"1969-11-23T07:00:00Z\"").is_err());
    }
}
