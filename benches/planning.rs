//! Planning alone: what comparing the whole file with all facts costs, without any IO.
//!
//! `cargo bench --bench planning`

#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up is to say so")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use divan::{Bencher, black_box};
use futures_util::FutureExt as _;
use lambda_vpc_controller::cloud::Listing;
use lambda_vpc_controller::desired::{Accounts, DesiredState};
use lambda_vpc_controller::file::Source;
use lambda_vpc_controller::live;
use lambda_vpc_controller::manager::{Controller, Effect, Event};
use lambda_vpc_controller::names::Time;
use lambda_vpc_controller::plan::Limits;
use lambda_vpc_controller::reconcile::{self, Action, Cadence};
use lambda_vpc_controller::settings::{Overrides, Settings};
use lambda_vpc_controller::simulator::{Door, StillClock};

mod support;

const NOW: Time = Time(1_795_417_200_000);

fn main() {
    divan::main();
}

fn desired(functions: usize) -> DesiredState {
    let source = Source::from_bytes(Path::new("functions.toml"), support::file(functions).into()).expect("UTF-8");
    DesiredState::check(&source, &Accounts::without_aws(BTreeMap::new(), None)).expect("the file is valid")
}

/// A controller that has swept a fleet of this many functions, all of which are to be changed.
fn swept(functions: usize) -> Controller {
    let clock = StillClock::at(NOW);
    let door = Door::new(support::fleet(functions).build(NOW).expect("the world is valid"), clock.clock());
    clock.pass(Duration::from_secs(24 * 3600));
    let limits = Limits::of(&Settings::new(&Overrides::default()));
    let mut controller =
        Controller::new(limits, Cadence { resync: None, poll: None, workers: 1, listing: Listing::Latest, seed: 1 });
    for effect in controller.handle(Event::Loaded(Ok(Some(desired(functions)))), clock.now()) {
        let Effect::Of(scope, Action::Survey(needs)) = effect else { continue };
        let found =
            live::survey(&door, &scope, &needs, &clock.clock()).now_or_never().expect("the door answers at once");
        controller.handle(Event::of(scope, reconcile::Event::Surveyed(found)), clock.now());
    }
    controller
}

#[divan::bench(args = [100, 1_000, 10_000, 100_000], sample_count = 20, sample_size = 1)]
fn plan(bencher: Bencher<'_, '_>, functions: usize) {
    let controller = swept(functions);
    let plan = controller.plan(NOW).expect("a file is in force");
    assert_eq!(plan.lines.iter().filter(|line| line.change().is_some()).count(), functions);
    bencher.bench_local(|| black_box(&controller).plan(NOW));
}

#[divan::bench(args = [100, 1_000, 10_000, 100_000], sample_count = 20, sample_size = 1)]
fn read_the_file(bencher: Bencher<'_, '_>, functions: usize) {
    let text = support::file(functions);
    bencher.bench_local(|| {
        let source = Source::from_bytes(Path::new("functions.toml"), black_box(&text).clone().into()).expect("UTF-8");
        DesiredState::check(&source, &Accounts::without_aws(BTreeMap::new(), None)).map(|state| state.entries.len())
    });
}
