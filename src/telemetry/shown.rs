//! The pictures that scopes and the manager leave behind for whoever asks: whole, and never waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::board::{FileLine, Fleet, Picture};
use crate::manager::Manager;
use crate::names::{ScopeKey, Time, WallClock};
use crate::reconcile::Scope;

/// A new picture of a scope is taken at most this often. One costs a pointer for each function; in a rush of passes, with
/// hundreds of turns a second, that would add up.
const EVERY: Duration = Duration::from_millis(250);
/// A scope, or the manager, that has not turned for this long, or has not done for this long what was due, is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// What was to be seen at one moment.
#[derive(Debug, Default)]
pub struct Shown {
    /// Whether a desired state is in force, and every scope has answered or been refused once.
    pub ready: bool,
    /// How everything stood. Its revision is the picture's number.
    pub fleet: Fleet,
}

/// Collects the pictures.
#[derive(Debug, Default)]
pub(super) struct Window(Mutex<Parts>);

#[derive(Debug, Default)]
struct Parts {
    scopes: BTreeMap<ScopeKey, Part>,
    /// The scopes that the file speaks of.
    wanted: BTreeSet<ScopeKey>,
    file: FileLine,
    settings: Option<Arc<str>>,
    wall: WallClock,
    /// What the manager's own part was last.
    managed: u64,
    pulse: Option<Pulse>,
    /// Grows with each change of any part.
    revision: u64,
    /// What was last put together, and for which revision.
    whole: Arc<Shown>,
}

/// What one scope has left behind.
#[derive(Debug)]
struct Part {
    picture: Picture,
    ready: bool,
    taken: Time,
    pulse: Option<Pulse>,
    /// When the work in hand began, of each function, and how many are due and wait.
    in_hand: (Vec<Time>, usize),
}

/// Somebody has turned, and has this to do next.
#[derive(Clone, Copy, Debug)]
struct Pulse {
    turned: Time,
    due: Option<Time>,
}

impl Pulse {
    fn is_live(self, now: Time) -> bool {
        now.since(self.turned) < STUCK && self.due.is_none_or(|due| now.since(due) < STUCK)
    }
}

impl Window {
    /// A scope has turned. If something has changed, a new picture is taken, now or within the time that is returned.
    pub(super) fn turned(&self, scope: &Scope, in_hand: (Vec<Time>, usize), now: Time) -> Option<Duration> {
        let (board, ready) = (scope.board(), scope.ready());
        let pulse = Some(Pulse { turned: now, due: scope.next_wake() });
        let mut parts = self.lock();
        if let Some(part) = parts.scopes.get_mut(scope.key()) {
            (part.pulse, part.in_hand) = (pulse, in_hand.clone());
            if (part.picture.revision, part.ready) == (board.revision(), ready) {
                return None;
            }
            if now.since(part.taken) < EVERY {
                return Some(EVERY);
            }
        }
        // Nobody waits for a picture to be made, or for the one before to be thrown away.
        drop(parts);
        let part = Part { picture: board.picture(), ready, taken: now, pulse, in_hand };
        let mut parts = self.lock();
        parts.revision += 1;
        let before = parts.scopes.insert(scope.key().clone(), part);
        drop(parts);
        drop(before);
        None
    }

    /// A scope has failed, and begins anew: what it left behind is shown until then.
    pub(super) fn restarts(&self, scope: &ScopeKey) {
        if let Some(part) = self.lock().scopes.get_mut(scope) {
            (part.picture.revision, part.pulse, part.in_hand) = (u64::MAX, None, (Vec::new(), 0));
        }
    }

    /// The manager has turned.
    pub(super) fn managed(&self, manager: &Manager, now: Time) {
        let mut parts = self.lock();
        parts.pulse = Some(Pulse { turned: now, due: manager.next_wake() });
        let before = parts.scopes.len();
        parts.scopes.retain(|scope, _| manager.knows(scope));
        let left = parts.scopes.len() < before;
        if parts.managed != manager.revision() {
            parts.wanted = manager.wanted().cloned().collect();
        }
        if left || parts.managed != manager.revision() || parts.wall != manager.wall_clock() {
            (parts.file, parts.settings) = (manager.file().clone(), manager.settings().cloned());
            (parts.managed, parts.wall) = (manager.revision(), manager.wall_clock());
            parts.revision += 1;
        }
    }

    /// Whether the manager and every scope turn, and do what is due.
    pub(super) fn is_live(&self, now: Time) -> bool {
        let parts = self.lock();
        let scopes = parts.scopes.values().filter_map(|part| part.pulse);
        scopes.chain(parts.pulse).all(|pulse| pulse.is_live(now))
    }

    /// How many functions are due and wait for a worker, and when the work in hand began, of each.
    pub(super) fn in_hand(&self) -> (usize, Vec<Time>) {
        let parts = self.lock();
        let depth = parts.scopes.values().map(|part| part.in_hand.1).sum();
        (depth, parts.scopes.values().flat_map(|part| part.in_hand.0.iter().copied()).collect())
    }

    /// Everything, as it was left behind last.
    pub(super) fn latest(&self) -> Arc<Shown> {
        let mut parts = self.lock();
        if parts.whole.fleet.revision != parts.revision {
            let ready = |scope: &ScopeKey| parts.scopes.get(scope).is_some_and(|part| part.ready);
            parts.whole = Arc::new(Shown {
                ready: parts.file.digest.is_some() && parts.wanted.iter().all(ready),
                fleet: Fleet {
                    revision: parts.revision,
                    file: parts.file.clone(),
                    settings: parts.settings.clone(),
                    wall: parts.wall,
                    ..Fleet::of(parts.scopes.iter().map(|(scope, part)| (scope, &part.picture)))
                },
            });
        }
        Arc::clone(&parts.whole)
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::desired::{Accounts, DesiredState};
    use crate::file::Source;
    use crate::names::AccountId;
    use crate::plan::{Limits, Roles};
    use crate::reconcile::{Cadence, Event, Start};
    use crate::settings::{Overrides, Settings};

    /// A file with so many functions.
    fn file(functions: usize) -> DesiredState {
        let entries: String =
            (0..functions).map(|number| format!("{{ name = 'f{number}', vpc = 'vpc-11111111' }},")).collect();
        let text = format!("defaults = {{ region = 'eu-west-1', account = '123456789012' }}\nfunction = [{entries}]\n");
        let source = Source::from_bytes(Path::new("functions.toml"), text.into()).unwrap();
        let own = AccountId::parse("123456789012").unwrap();
        DesiredState::check(&source, &Accounts { own, ..Accounts::without_aws(BTreeMap::new(), None) }).unwrap()
    }

    #[test]
    fn a_picture_is_taken_of_what_changed_and_a_change_that_comes_too_soon_is_shown_a_little_later() {
        let settings = Settings::new(&Overrides::default());
        let (key, desired) = file(1).by_scope().pop_first().unwrap();
        let start = Start {
            limits: Limits::of(&settings),
            cadence: Cadence::of(&settings),
            since: Time(0),
            roles: Roles::default(),
            kept: false,
        };
        let mut scope = Scope::new(key, desired.of_nothing(), start, Time(0));
        let window = Window::default();
        let mut turn = |functions: Option<usize>, at| {
            if let Some(functions) = functions {
                scope.handle(Event::Desired(Arc::new(file(functions))), Time(at));
            }
            let within = window.turned(&scope, (Vec::new(), 0), Time(at));
            (window.latest().fleet.lines.len(), within)
        };
        assert_eq!(turn(Some(1), 1_000), (1, None));
        let before = window.latest();
        assert_eq!(turn(None, 9_000), (1, None));
        assert!(Arc::ptr_eq(&window.latest(), &before), "a picture was taken though nothing has changed");
        assert_eq!(turn(Some(2), 9_100), (2, None));
        assert_eq!(turn(Some(3), 9_200), (2, Some(EVERY)), "the scope is to turn again for it");
        assert_eq!(turn(None, 9_350), (3, None));
    }
}
