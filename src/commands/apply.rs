//! `apply`: plan, ask, carry out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use super::plan::Session;
use super::print::{self, Summary};
use super::run::told_to_stop;
use super::{ApplyArgs, Failure, audit, exit};
use crate::manager::{self, Controller, Event, Observer, Signal, Until};
use crate::names::{Digest, FunctionKey, ScopeKey};
use crate::plan::{Admitted, Answer, Change, GuardLimits, Line, Outcome, Plan, State};
use crate::reconcile::{Notice, QueueStats, Scope};
use crate::settings::Settings;

pub(super) async fn run(settings: Settings, args: &ApplyArgs) -> Result<ExitCode, Failure> {
    let session = Session::begin(&settings, audit::of_apply(&settings)?).await?;
    let (mut controller, plan) = session.look(&settings).await?;
    print::out(&print::plan(&plan, &controller, &GuardLimits::of(&settings.guard)))?;
    let summary = Summary::of(&plan);
    let mut to_do: BTreeMap<FunctionKey, Change> = plan
        .lines
        .iter()
        .filter(|line| line.outcome().is_none())
        .filter_map(Line::change)
        .map(|change| (change.key.clone(), change.clone()))
        .collect();
    let going_on = plan.lines.iter().any(|line| line.state() == Some(State::Progressing));
    if to_do.is_empty() && !going_on {
        let fine = summary == Summary { in_sync: summary.in_sync, ..Summary::default() };
        return Ok(if fine { exit::FINE } else { exit::ERROR });
    }
    if let Some(id) = &args.approve {
        let scopes = approved(&plan, id)?;
        to_do.retain(|key, _| scopes.contains(&key.scope));
    }
    let asked = !args.yes && args.approve.is_none();
    if !to_do.is_empty() && asked && !agreed(to_do.len())? {
        print::tell("nothing was changed");
        return Ok(exit::ERROR);
    }
    let progress = Arc::new(Progress::new(to_do.keys().cloned().collect()));
    controller.admit(&Admitted::Only(to_do));
    let ports = session.ports(&settings, Arc::<Progress>::clone(&progress));
    let signals = signals(args.timeout)?;
    let controller = manager::run(controller, &ports, vec![Event::Tick], signals, Until::AtRest).await;
    progress.bar.finish_and_clear();
    report(&controller, session.clock().now())
}

/// The scopes whose changes this id approves: one of them, or all.
fn approved(plan: &Plan, id: &str) -> Result<BTreeSet<ScopeKey>, Failure> {
    let means = |of: &Digest| of.as_str().starts_with(id);
    let scopes = plan.ids.iter().filter(|(_, of)| means(&plan.id) || means(of)).map(|(scope, _)| scope.clone());
    let scopes: BTreeSet<ScopeKey> = scopes.collect();
    if scopes.is_empty() && !means(&plan.id) {
        let now: BTreeSet<&str> = plan.ids.values().chain([&plan.id]).map(Digest::short).collect();
        return Err(Failure::Other(format!(
            "the plan is {} now, not {id}: something has changed since it was looked at; look at it again, and approve that",
            now.into_iter().collect::<Vec<_>>().join(" or ")
        )));
    }
    Ok(scopes)
}

/// Says how each function stands that is not in sync, and what that makes of the whole.
fn report(controller: &Controller, now: crate::names::Time) -> Result<ExitCode, Failure> {
    let mut fine = true;
    for line in controller.lines().filter(|line| line.outcome != Outcome::InSync) {
        let key = &line.entry.key;
        fine = false;
        if let Some(why) = line.outcome.why() {
            print::out(&format!("! {key}  {}  {}: {why}\n", line.outcome.state().words(), why.reason.name()))?;
        }
    }
    let all = controller.lines().count();
    if fine {
        print::out(&format!("all {all} functions are in sync\n"))?;
        return Ok(exit::FINE);
    }
    let rest = controller.plan(now).map(|plan| Summary::of(&plan)).unwrap_or_default();
    let in_sync = controller.lines().filter(|line| line.outcome == Outcome::InSync).count();
    print::out(&format!("{in_sync} of {all} functions are in sync\n"))?;
    if rest.pending > 0 {
        print::out("run the same command again to go on; what was begun in AWS goes on there\n")?;
    }
    Ok(exit::ERROR)
}

/// Asks on the terminal. Without one nobody can agree.
fn agreed(changes: usize) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        let text = "there is no terminal to ask on: look at the plan and pass --approve with its id, or --yes";
        return Err(Failure::Other(text.to_owned()));
    }
    let what = if changes == 1 { "this change".to_owned() } else { format!("these {changes} changes") };
    anstream::eprint!("Make {what}? [y/N] ");
    let told = std::io::stderr().flush();
    let mut answer = String::new();
    told.and_then(|()| std::io::stdin().lock().read_line(&mut answer))
        .map_err(|error| Failure::Other(format!("the answer could not be read: {error}")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Ctrl-C, SIGTERM and the timeout all finish the call in hand and stop.
fn signals(timeout: Duration) -> Result<mpsc::Receiver<Signal>, Failure> {
    let (send, receive) = mpsc::channel(1);
    let stop = told_to_stop()?;
    tokio::spawn(async move {
        tokio::select! {
            () = stop => {}
            () = tokio::time::sleep(timeout) => {
                print::tell(&format!("giving up after {timeout:?}"));
            }
        }
        // The work may be done already.
        let _ = send.send(Signal::Stop).await;
        std::future::pending::<()>().await;
    });
    Ok(receive)
}

/// A progress bar on stderr; none where that is no terminal.
struct Progress {
    bar: ProgressBar,
    to_do: Vec<FunctionKey>,
    /// How many of them rest, in each scope.
    done: Mutex<BTreeMap<ScopeKey, usize>>,
}

impl Progress {
    fn new(to_do: Vec<FunctionKey>) -> Self {
        let bar = ProgressBar::new(u64::try_from(to_do.len()).unwrap_or(u64::MAX));
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, to_do, done: Mutex::default() }
    }
}

impl Observer for Progress {
    fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Concluded { key, outcome, .. } => {
                let text = outcome.why().map_or("in sync", |why| why.reason.name());
                self.bar.set_message(format!("{}: {text}", key.name));
            }
            Notice::Stepped { order, answer: Answer::Done, .. } => {
                let text = format!("{}: {}", order.step.key().name, order.step.name());
                self.bar.println(text);
            }
            _ => {}
        }
    }

    fn turned(&self, scope: &Scope, _: QueueStats) -> Option<Duration> {
        let rests = |key: &&FunctionKey| {
            let line = scope.board().get(&key.name);
            line.is_some_and(|line| matches!(line.outcome, Outcome::InSync | Outcome::Blocked { .. }))
        };
        let done = self.to_do.iter().filter(|key| key.scope == *scope.key()).filter(rests).count();
        let mut all = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(scope.key().clone(), done);
        self.bar.set_position(u64::try_from(all.values().sum::<usize>()).unwrap_or(u64::MAX));
        None
    }
}
