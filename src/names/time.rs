//! Moments.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
///
/// Two clocks show it. A process counts time by itself: from what the wall clock showed at its start, with a clock that
/// nobody sets and that goes on while the machine is suspended. All schedules, ages and budgets are in that time, and so is
/// nearly every `Time` in this program. The wall clock, which may be set forward and back, is what AWS's stamps and the
/// moments in a file are in, and what people read; [`WallClock`] leads from one to the other, at the edges.
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

/// A moment as RFC 3339 in UTC, with milliseconds: for serde's `with`, where programs read what was written.
pub mod moment {
    use serde::de::{Deserializer, Error as _};
    use serde::ser::{Error as _, Serializer};

    use super::{Deserialize as _, Time};

    /// Writes it.
    pub fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        let milliseconds = i64::try_from(time.0).map_err(S::Error::custom)?;
        let stamp = jiff::Timestamp::from_millisecond(milliseconds).map_err(S::Error::custom)?;
        serializer.collect_str(&stamp.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let stamp: jiff::Timestamp = String::deserialize(deserializer)?.parse().map_err(D::Error::custom)?;
        Time::from_stamp(stamp).ok_or_else(|| D::Error::custom("before 1970"))
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

/// What asks for the time: the machine's clocks, or a test's.
#[derive(Clone)]
pub struct Clock {
    time: Arc<dyn Fn() -> Time + Send + Sync>,
    wall: Arc<dyn Fn() -> Time + Send + Sync>,
}

impl Clock {
    /// One clock for both: a wall clock that nobody ever sets.
    pub fn new(time: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        let time: Arc<dyn Fn() -> Time + Send + Sync> = Arc::new(time);
        Self { wall: Arc::clone(&time), time }
    }

    /// The time of the process, and that of the wall clock.
    pub fn with_wall(
        time: impl Fn() -> Time + Send + Sync + 'static,
        wall: impl Fn() -> Time + Send + Sync + 'static,
    ) -> Self {
        Self { time: Arc::new(time), wall: Arc::new(wall) }
    }

    /// The time of the process.
    pub fn now(&self) -> Time {
        (self.time)()
    }

    /// What the wall clock shows.
    pub fn wall(&self) -> Time {
        (self.wall)()
    }

    /// How far the two are apart now.
    pub fn wall_clock(&self) -> WallClock {
        WallClock::of(self.now(), self.wall())
    }
}

/// How far the wall clock is ahead of the time of the process, in milliseconds; negative where it is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock(i64);

impl WallClock {
    /// The wall clock shows that, while it is `now` in the process.
    pub fn of(now: Time, wall: Time) -> Self {
        let milliseconds = |time: Time| i64::try_from(time.0).unwrap_or(i64::MAX);
        Self(milliseconds(wall).saturating_sub(milliseconds(now)))
    }

    /// What the wall clock shows, or would have shown, at a moment of the process.
    pub fn shows(self, at: Time) -> Time {
        Time(at.0.saturating_add_signed(self.0))
    }

    /// How far somebody has set the clock between this and another look at it.
    pub fn apart(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }

    /// The moment of the process at which the wall clock shows this, or would have shown it.
    pub fn reaches(self, shown: Time) -> Time {
        Time(shown.0.saturating_add_signed(self.0.saturating_neg()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_leads_there_and_back_wherever_it_was_set() {
        for (now, wall) in [(1000, 1000), (1000, 4_600_000), (5_000_000, 1_400_000)] {
            let clock = WallClock::of(Time(now), Time(wall));
            assert_eq!((clock.shows(Time(now)), clock.reaches(Time(wall))), (Time(wall), Time(now)));
            assert_eq!(clock.shows(Time(now + 7)), Time(wall + 7));
        }
    }

    #[test]
    fn times_print_as_rfc_3339() {
        assert_eq!(Time(1_795_417_200_000).to_string(), "2026-11-23T07:00:00Z");
        assert_eq!(serde_json::from_str::<Time>("\"2026-11-23T07:00:00Z\"").unwrap(), Time(1_795_417_200_000));
        assert!(serde_json::from_str::<Time>("\"1969-11-23T07:00:00Z\"").is_err());
    }
}
