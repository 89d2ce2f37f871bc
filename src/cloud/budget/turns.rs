//! Waiting for a token: the thin part of it that needs a runtime.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::bucket::Bucket;
use super::line::{Line, Place};
use super::{Family, Kind, Rates};
use crate::cloud::CallObserver;
use crate::names::{ScopeKey, Time, milliseconds};

/// The turns of all calls, by what AWS counts together. They go by a clock of their own, which nobody sets.
pub struct Turns {
    rates: Rates,
    begun: Instant,
    counters: Mutex<HashMap<(Family, ScopeKey), Arc<Counter>>>,
    observer: Arc<dyn CallObserver>,
}

/// One place where tokens are handed out, and the line before it.
struct Counter {
    state: Mutex<State>,
    /// Somebody has gone: another one may be the first.
    moved: Notify,
}

struct State {
    bucket: Bucket,
    line: Line,
}

/// One who waits; whoever gives up, or is dropped, leaves the line.
struct Waiting<'a> {
    counter: &'a Counter,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.counter.lock().line.leave(self.place);
        self.counter.moved.notify_waiters();
    }
}

impl Counter {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, unless its turn will come later than this; the error is how long it would take.
    fn join(&self, kind: Kind, patience: Duration, now: Time) -> Result<Waiting<'_>, Duration> {
        let State { bucket, line } = &mut *self.lock();
        let wait = bucket.wait_for(line.ahead_of(kind) + 1, now);
        match wait > patience {
            true => Err(wait),
            false => Ok(Waiting { counter: self, place: line.join(kind) }),
        }
    }
}

impl Waiting<'_> {
    /// Takes a token if it is this one's turn and there is one. Otherwise how long it will take until there is one; none
    /// if somebody else is to go first.
    fn take(&self, now: Time) -> Result<(), Option<Duration>> {
        let State { bucket, line } = &mut *self.counter.lock();
        if line.first() != Some(self.place) {
            return Err(None);
        }
        bucket.take(now).map_err(Some)?;
        line.served();
        Ok(())
    }
}

impl Turns {
    /// Full buckets, wherever they will be needed.
    pub fn new(rates: Rates, observer: Arc<dyn CallObserver>) -> Self {
        Self { rates, begun: Instant::now(), counters: Mutex::default(), observer }
    }

    fn now(&self) -> Time {
        Time(milliseconds(self.begun.elapsed()))
    }

    /// IAM is counted by account: its scope is the region that its requests are signed for, which is one for all regions of
    /// a partition.
    fn counter(&self, family: Family, at: &ScopeKey) -> Arc<Counter> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || {
            let bucket = Bucket::new(self.rates.of(family), self.now());
            Arc::new(Counter { state: Mutex::new(State { bucket, line: Line::default() }), moved: Notify::new() })
        };
        Arc::clone(counters.entry((family, at.clone())).or_insert_with(fresh))
    }

    /// Waits until it is a call's turn. If that would take longer than this, it is not waited for and nothing is taken: the
    /// error is how long it would take.
    pub async fn take(&self, family: Family, at: &ScopeKey, kind: Kind, patience: Duration) -> Result<(), Duration> {
        let (counter, begun) = (self.counter(family, at), Instant::now());
        let waiting = counter.join(kind, patience, self.now())?;
        let taken = loop {
            let moved = counter.moved.notified();
            tokio::pin!(moved);
            // From here on nothing is missed.
            moved.as_mut().enable();
            let wait = match waiting.take(self.now()) {
                Ok(()) => break Ok(()),
                Err(wait) => wait.unwrap_or(Duration::MAX),
            };
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                // AWS has throttled since this one came, or others were to go first.
                drop(waiting);
                let State { bucket, line } = &mut *counter.lock();
                break Err(bucket.wait_for(line.ahead_of(kind) + 1, self.now()));
            }
            tokio::select! {
                () = tokio::time::sleep(wait.min(left)) => {}
                () = moved => {}
            }
        };
        let waited = begun.elapsed();
        if !waited.is_zero() {
            self.observer.waits(family, waited);
        }
        taken
    }

    /// AWS has throttled a call that was made in its turn, and perhaps asked to wait.
    pub fn throttled(&self, family: Family, at: &ScopeKey, asked: Option<Duration>) {
        self.counter(family, at).lock().bucket.throttled(self.now(), asked);
    }

    /// How many requests a second AWS leaves at this moment, of those that we allow ourselves.
    pub fn rate(&self, family: Family, at: &ScopeKey) -> f64 {
        self.counter(family, at).lock().bucket.rate(self.now())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::cloud::Unobserved;
    use crate::names::{AccountId, Region};

    fn at(account: &str) -> ScopeKey {
        ScopeKey { account: AccountId::parse(account).unwrap(), region: Region::parse("eu-west-1").unwrap() }
    }

    fn turns(lambda: f64) -> Arc<Turns> {
        Arc::new(Turns::new(Rates { lambda, ..Rates::default() }, Arc::new(Unobserved)))
    }

    const ONE: &str = "111111111111";
    const EVER: Duration = Duration::MAX;

    /// Lets all of these wait, and says who went when, in milliseconds.
    async fn play(turns: &Arc<Turns>, kinds: &[Kind]) -> Vec<(usize, u64)> {
        let went = Arc::<Mutex<Vec<(usize, u64)>>>::default();
        let tasks = kinds.iter().enumerate().map(|(number, kind)| {
            let (turns, went, kind) = (Arc::clone(turns), Arc::clone(&went), *kind);
            async move {
                turns.take(Family::Lambda, &at(ONE), kind, EVER).await.unwrap();
                went.lock().unwrap().push((number, turns.now().0));
            }
        });
        futures_util::future::join_all(tasks).await;
        std::mem::take(&mut *went.lock().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn calls_go_in_their_turn_and_at_the_rate() {
        let turns = turns(1.0);
        // A read that nobody is before takes the token that was saved up.
        use Kind::{Read, Write};
        let went = play(&turns, &[Read, Read, Read, Write, Write, Write, Write]).await;
        let order: Vec<usize> = went.iter().map(|(number, _)| *number).collect();
        assert_eq!(order, [0, 3, 4, 5, 1, 6, 2]);
        let times: Vec<u64> = went.iter().map(|(_, at)| *at).collect();
        assert!(
            times.iter().zip([0, 1000, 2000, 3000, 4000, 5000, 6000]).all(|(at, due)| at.abs_diff(due) <= 20),
            "{times:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_wait_too_long_does_not_wait_and_takes_nothing() {
        let (turns, one) = (turns(1.0), at(ONE));
        let take = |patience| turns.take(Family::Lambda, &one, Kind::Write, Duration::from_secs(patience));
        assert_eq!(take(0).await, Ok(()));
        let begun = Instant::now();
        assert_eq!(take(0).await, Err(Duration::from_secs(1)));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(take(1).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_longer_than_was_to_be_foreseen_gives_up() {
        let (turns, one) = (turns(1.0), at(ONE));
        turns.take(Family::Lambda, &one, Kind::Write, EVER).await.unwrap();
        let mut waiting = Box::pin(turns.take(Family::Lambda, &one, Kind::Write, Duration::from_secs(3)));
        assert_eq!((&mut waiting).now_or_never(), None);
        for _ in 0..3 {
            turns.throttled(Family::Lambda, &one, None);
            tokio::time::sleep(Duration::from_millis(1500)).await;
            if let Some(ended) = (&mut waiting).now_or_never() {
                assert!(ended.is_err_and(|wait| !wait.is_zero()));
                return;
            }
        }
        panic!("it waits on");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_dropped_while_waiting_holds_up_nobody() {
        let (turns, one) = (turns(1.0), at(ONE));
        let take = || Box::pin(turns.take(Family::Lambda, &one, Kind::Write, EVER));
        take().await.unwrap();
        let mut dropped: Vec<_> = (0..50).map(|_| take()).collect();
        for waiting in &mut dropped {
            assert_eq!(waiting.now_or_never(), None);
        }
        let mut last = take();
        assert_eq!((&mut last).now_or_never(), None);
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(dropped);
        last.await.unwrap();
        assert!(begun.elapsed() < Duration::from_millis(1100), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_throttled_in_one_account_slows_no_other_and_no_other_family() {
        let (turns, one, other) = (turns(8.0), at(ONE), at("222222222222"));
        turns.throttled(Family::Lambda, &one, None);
        assert_eq!(turns.rate(Family::Lambda, &one), 4.0);
        assert_eq!(turns.rate(Family::Lambda, &other), 8.0);
        assert_eq!(turns.rate(Family::Ec2, &one), 5.0);
    }
}
