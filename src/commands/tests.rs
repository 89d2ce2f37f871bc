//! What the tests of several commands share.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;

use crate::desired::DesiredState;
use crate::live;
use crate::manager::{Controller, Effect, Event};
use crate::names::Time;
use crate::plan::{Admitted, Limits};
use crate::reconcile::{self, Action, Cadence};
use crate::settings::{Overrides, Settings};
use crate::simulator::{Door, StillClock};

/// The limits of a person's session that has agreed to nothing.
pub(super) fn limits() -> Limits {
    let settings = Settings::new(&Overrides::default());
    Limits { admitted: Admitted::Only(BTreeMap::new()), ..Limits::attended(&settings) }
}

/// The controller of `plan`, when it has looked at all of a simulated account.
pub(super) fn looked(door: &Door, desired: DesiredState, now: Time) -> Controller {
    let mut controller = Controller::new(limits(), Cadence::once(&Settings::new(&Overrides::default())));
    let mut events = vec![Event::Loaded(Ok(Some(desired)))];
    while let Some(event) = events.pop() {
        for effect in controller.handle(event, now) {
            let Effect::Of(scope, action) = effect else { continue };
            let event = match action {
                Action::Survey(needs) => {
                    let clock = StillClock::at(now).clock();
                    let found = live::survey(door, &scope, &needs, &clock).now_or_never().unwrap();
                    reconcile::Event::Surveyed(found)
                }
                Action::Look(key, needs) => {
                    let found = live::look(door, &key, needs.as_ref(), now).now_or_never().unwrap();
                    reconcile::Event::Looked(key, found)
                }
                Action::AskOwner(key, _) => panic!("no function was reverted, and the controller asks who owns {key}"),
                Action::Do(order) => panic!("nothing is to be done: {order:?}"),
                _ => continue,
            };
            events.push(Event::of(scope, event));
        }
    }
    controller.admit(&Admitted::All);
    controller
}
