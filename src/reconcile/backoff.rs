//! How long to wait before looking at a function or a scope again: by pace, exponential, with full jitter.

use std::time::Duration;

use crate::plan::Pace;

/// The first ceiling and the last one of a pace.
fn range(pace: Pace) -> (Duration, Duration) {
    let seconds = Duration::from_secs;
    match pace {
        // A known pair takes seconds, a new one minutes.
        Pace::Poll => (seconds(2), seconds(15)),
        // An update takes seconds to minutes; a function that drains before it is deleted takes days.
        Pace::Conflict => (seconds(2), seconds(600)),
        // IAM needs seconds, at most minutes.
        Pace::Propagation => (seconds(3), seconds(30)),
        Pace::Throttled => (seconds(2), seconds(60)),
        Pace::Server => (seconds(2), seconds(120)),
        // Addresses and interfaces come free within minutes.
        Pace::Quota => (seconds(60), seconds(900)),
        // Rights are mended by people.
        Pace::Denied => (seconds(30), seconds(600)),
        Pace::Invalid | Pace::Turn => (seconds(300), seconds(3600)),
    }
}

/// The wait after the `attempt`-th time in a row, from 0: at random up to a ceiling that doubles, and never under a
/// quarter of the first ceiling, so that a retry storm cannot arise from a run of small numbers.
pub(super) fn delay(pace: Pace, attempt: u32, rng: &mut fastrand::Rng) -> Duration {
    let (first, last) = range(pace);
    let ceiling = first.saturating_mul(2_u32.saturating_pow(attempt.min(16))).min(last);
    let floor = first / 4;
    floor + (ceiling - floor).mul_f64(rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_are_never_zero() {
        let mut rng = fastrand::Rng::with_seed(7);
        for pace in [
            Pace::Poll,
            Pace::Conflict,
            Pace::Propagation,
            Pace::Throttled,
            Pace::Server,
            Pace::Quota,
            Pace::Denied,
            Pace::Invalid,
        ] {
            let (first, last) = range(pace);
            for attempt in 0..40 {
                let wait = delay(pace, attempt, &mut rng);
                assert!(wait >= first / 4 && wait <= last, "{pace:?} {attempt}: {wait:?}");
            }
            let early: Duration = (0..200).map(|_| delay(pace, 0, &mut rng)).sum();
            let late: Duration = (0..200).map(|_| delay(pace, 10, &mut rng)).sum();
            assert!(late > early, "{pace:?} does not grow");
        }
    }
}
