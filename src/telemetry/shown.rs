//! The picture of the board that the loop leaves behind for whoever asks: whole, and never waited for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::board::Fleet;
use crate::engine::Controller;
use crate::names::Time;

/// A new picture is taken at most this often. One costs a pointer for each function; in a rush of passes, with hundreds
/// of turns a second, that would add up.
const EVERY: Duration = Duration::from_millis(250);

/// What was to be seen at one moment.
#[derive(Debug, Default)]
pub struct Shown {
    /// Whether a desired state is in force, and every scope has answered or been refused once.
    pub ready: bool,
    /// How everything stood. Its revision is the picture's number: whatever makes ready, or not ready any more, is a
    /// change of the board as well.
    pub fleet: Fleet,
}

/// Takes the pictures.
#[derive(Debug, Default)]
pub(super) struct Window(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    picture: Arc<Shown>,
    taken: Option<Time>,
    /// Whether something has changed since.
    stale: bool,
}

impl Window {
    /// The loop has turned. If something has changed, a new picture is taken, now or within [`EVERY`].
    pub(super) fn turned(&self, controller: &Controller, now: Time) {
        let board = controller.board();
        let mut latest = self.lock();
        latest.stale = latest.picture.fleet.revision != board.revision();
        let due = latest.taken.is_none_or(|at| now.since(at) >= EVERY);
        if !latest.stale || !due {
            return;
        }
        // Nobody waits for a picture to be made, or for the one before to be thrown away.
        drop(latest);
        let picture = Arc::new(Shown { ready: controller.ready(), fleet: board.fleet(controller.wall_clock()) });
        let before = std::mem::replace(&mut *self.lock(), Latest { picture, taken: Some(now), stale: false });
        drop(before);
    }

    /// When the loop is to turn again, if something has changed that no picture shows.
    pub(super) fn turn_within(&self) -> Option<Duration> {
        self.lock().stale.then_some(EVERY)
    }

    /// The latest picture.
    pub(super) fn latest(&self) -> Arc<Shown> {
        Arc::clone(&self.lock().picture)
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::desired::{Accounts, DesiredState};
    use crate::engine::{Cadence, Event};
    use crate::file::Source;
    use crate::names::AccountId;
    use crate::plan::Limits;
    use crate::settings::{Overrides, Settings};

    /// A file with so many functions is in force from now on.
    fn load(controller: &mut Controller, functions: usize, at: u64) {
        let entries: String =
            (0..functions).map(|number| format!("{{ name = 'f{number}', vpc = 'vpc-11111111' }},")).collect();
        let text = format!("defaults = {{ region = 'eu-west-1', account = '123456789012' }}\nfunction = [{entries}]\n");
        let source = Source::from_bytes(Path::new("functions.toml"), text.into()).unwrap();
        let own = AccountId::parse("123456789012").unwrap();
        let desired =
            DesiredState::check(&source, &Accounts { own, ..Accounts::without_aws(BTreeMap::new(), None) }).unwrap();
        controller.handle(Event::Loaded(Ok(Some(desired))), Time(at));
    }

    #[test]
    fn a_picture_is_taken_of_what_changed_and_a_change_that_comes_too_soon_is_shown_a_little_later() {
        let settings = Settings::new(&Overrides::default());
        let mut controller = Controller::new(Limits::of(&settings), Cadence::of(&settings));
        let window = Window::default();
        let shown = || (window.latest().fleet.lines.len(), window.turn_within());
        window.turned(&controller, Time(0));
        assert_eq!(shown(), (0, None), "there is nothing to show");
        load(&mut controller, 1, 1_000);
        window.turned(&controller, Time(1_000));
        assert_eq!(shown(), (1, None));
        let before = window.latest();
        window.turned(&controller, Time(9_000));
        assert_eq!(shown(), (1, None));
        assert!(Arc::ptr_eq(&window.latest(), &before), "a picture was taken though nothing has changed");
        load(&mut controller, 2, 9_100);
        window.turned(&controller, Time(9_100));
        load(&mut controller, 3, 9_200);
        window.turned(&controller, Time(9_200));
        assert_eq!(shown(), (2, Some(EVERY)), "the loop is to turn again for it");
        window.turned(&controller, Time(9_350));
        assert_eq!(shown(), (3, None));
    }
}
