//! What is shown on a terminal while AWS is read; where stderr is no terminal, nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cloud::{CallObserver, Called, Family};
use crate::manager::Observer;
use crate::reconcile::Notice;

/// A line that says how far it is.
pub(super) struct Reading {
    bar: ProgressBar,
    scopes: AtomicU64,
    swept: AtomicU64,
    calls: AtomicU64,
}

impl Reading {
    pub(super) fn begin() -> Self {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(100));
        let (scopes, swept, calls) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { bar, scopes, swept, calls }
    }

    /// Something else is written meanwhile, beside the line.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// The line goes away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn tell(&self) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (swept, scopes, calls) = (of(&self.swept), of(&self.scopes), of(&self.calls));
        self.bar.set_message(in_words(swept, scopes, calls));
    }
}

fn in_words(swept: u64, scopes: u64, calls: u64) -> String {
    let calls = if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") };
    match scopes {
        0 => format!("reading AWS: {calls}"),
        _ => format!("reading AWS: {swept} of {scopes} accounts and regions, {calls}"),
    }
}

impl CallObserver for Reading {
    fn called(&self, _: &Called<'_>) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }

    fn waits(&self, _: Family, _: Duration) {}
}

impl Observer for Reading {
    fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Sweeping(_) => self.scopes.fetch_add(1, Ordering::Relaxed),
            Notice::Swept { .. } => self.swept.fetch_add(1, Ordering::Relaxed),
            _ => return,
        };
        self.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_far_it_is() {
        assert_eq!(in_words(0, 0, 1), "reading AWS: 1 call");
        assert_eq!(in_words(3, 20, 217), "reading AWS: 3 of 20 accounts and regions, 217 calls");
    }
}
