//! Clocks for a simulated world: one that stands still until it is told to go on, so that hours can pass in a test
//! without anybody waiting, and one that runs fast, so that a person sees minutes of AWS in seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::names::{Clock, Time, milliseconds};

/// A clock that somebody sets. Copies show the same time.
#[derive(Clone, Debug, Default)]
pub struct StillClock {
    millis: Arc<AtomicU64>,
}

impl StillClock {
    /// A clock that shows this time.
    pub fn at(time: Time) -> Self {
        Self { millis: Arc::new(AtomicU64::new(time.0)) }
    }

    /// The time that it shows.
    pub fn now(&self) -> Time {
        Time(self.millis.load(Ordering::SeqCst))
    }

    /// Lets this much time pass.
    pub fn pass(&self, by: Duration) {
        self.millis.fetch_add(milliseconds(by), Ordering::SeqCst);
    }

    /// The same clock, for those who only read it.
    pub fn clock(&self) -> Clock {
        let clock = self.clone();
        Clock::new(move || clock.now())
    }
}
