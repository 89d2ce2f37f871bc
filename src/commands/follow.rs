//! The two files that the daemon follows: the desired state, whose reading it is told of by signals, and the settings,
//! which are read again in here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};

use super::connect::desired_at;
use crate::desired::{At, Files, Reading, Traces, Watch};
use crate::file::{Allowed, Unusable};
use crate::manager::Signal;
use crate::names::Digest;
use crate::plan::Limits;
use crate::reconcile::Cadence;
use crate::settings::{self, Mode, Overrides, Settings};

/// The settings of a daemon, and where they come from.
pub(super) struct SettingsFile {
    at: At,
    overrides: Overrides,
    /// Whether there was a file at any time. Before that, none means the defaults; afterwards it is a mistake.
    found: bool,
    /// What the daemon was started with.
    started: Settings,
    /// What is in force, as far as it could be taken over.
    in_force: Settings,
    /// The digest of the file that says so; none where there is no file.
    digest: Option<Digest>,
    /// What was wrong when the file was last read.
    refused: Option<Unusable>,
    reading: Reading,
    /// Watches the file since before it was first read.
    watch: Watch,
    /// Somebody asks to read it now.
    asked: Arc<Notify>,
}

impl SettingsFile {
    /// Reads the settings for the first time.
    pub(super) async fn read(path: Option<&Path>, overrides: Overrides) -> Result<Self, Unusable> {
        let at = At { path: path.unwrap_or(Path::new(settings::DEFAULT_PATH)).to_owned(), allowed: Allowed::default() };
        let traces = Arc::<Traces>::default();
        let watch = Watch::new(&at.path, Arc::clone(&traces)).await;
        let reading = Reading::new(traces);
        let defaults = Settings::new(&overrides);
        let (found, in_force, asked) = (path.is_some(), defaults.clone(), Arc::default());
        let (digest, refused) = (None, None);
        let mut file =
            Self { at, overrides, found, started: defaults, in_force, digest, refused, reading, watch, asked };
        if let Some(settings) = file.next().await? {
            (file.started, file.in_force) = (settings.clone(), settings);
        }
        Ok(file)
    }

    /// What is in force.
    pub(super) fn settings(&self) -> &Settings {
        &self.in_force
    }

    /// By which somebody asks to read the file again now.
    pub(super) fn asked(&self) -> Arc<Notify> {
        Arc::clone(&self.asked)
    }

    /// Reads the file again. Returns what is new about it, to be told to the controller; what is wrong with the file, and
    /// what needs a restart, is logged once.
    async fn read_again(&mut self) -> Vec<Signal> {
        let mut signals = Vec::new();
        match self.next().await {
            Err(unusable) => {
                if self.refused.as_ref() != Some(&unusable) {
                    tracing::error!("the settings cannot be used, the last good ones stay in force: {unusable}");
                    signals.push(Signal::SettingsRead(Some(unusable.to_string().into())));
                }
                self.refused = Some(unusable);
            }
            Ok(settings) => {
                if self.refused.take().is_some() {
                    tracing::info!("the settings are valid again");
                    signals.push(Signal::SettingsRead(None));
                }
                let Some(settings) = settings.filter(|settings| *settings != self.in_force) else { return signals };
                let restart = self.started.needs_restart(&settings);
                if !restart.is_empty() {
                    let keys = restart.join(", ");
                    tracing::warn!(keys, "these settings take effect when the daemon is started again: {keys}");
                }
                tracing::info!("new settings are in force");
                signals.push(Signal::Settle(Box::new(Limits::of(&settings)), Cadence::of(&settings)));
                self.in_force = settings;
            }
        }
        signals
    }

    /// What the file says now; none if that is in force, or if there is no file and never was one.
    ///
    /// It is read like the desired state. But with `mode = "observe"` it is in force at once: whoever stops everything must not wait, and
    /// nothing is changed by it.
    async fn next(&mut self) -> Result<Option<Settings>, Unusable> {
        self.found |= self.reading.is_there(&self.at).await?;
        if !self.found {
            return Ok(None);
        }
        let overrides = self.overrides.clone();
        let judge = move |files: &Files| match files.sources().first() {
            Some(source) => Ok((Settings::check(source, &overrides)?, source.digest().clone())),
            None => Err(Unusable(files.unread().to_vec())),
        };
        let is_in_force = |files: &Files| self.digest.as_ref().is_some_and(|digest| files.have(digest));
        let stops = |(settings, _): &(Settings, Digest)| settings.mode == Mode::Observe;
        let read = |at: &At| Files::settings(&at.path);
        let Some((settings, digest)) = self.reading.next(&self.at, read, is_in_force, judge, stops).await? else {
            return Ok(None);
        };
        self.digest = Some(digest);
        Ok(Some(settings))
    }
}

/// Reads the settings again when their file changes, when somebody asks for it, and at each poll. They go to the controller
/// as a signal, and the place of the desired state to whoever follows that.
pub(super) async fn settings(mut file: SettingsFile, desired: watch::Sender<At>, send: mpsc::Sender<Signal>) {
    let asked = file.asked();
    loop {
        tokio::select! { _ = file.watch.changed_or_due() => {}, () = asked.notified() => {} }
        let signals = file.read_again().await;
        let now = desired_at(file.settings());
        desired.send_if_modified(|at| std::mem::replace(at, now.clone()) != now);
        for signal in signals {
            if send.send(signal).await.is_err() {
                return;
            }
        }
    }
}

/// Turns events of the desired state's file into signals; the controller polls by itself. Each place is watched before it is
/// read, `watch` being that of the first: what arrives just after a reading is known to have arrived.
pub(super) async fn desired(
    mut watch: Watch,
    mut at: watch::Receiver<At>,
    traces: Arc<Traces>,
    send: mpsc::Sender<Signal>,
) {
    loop {
        loop {
            tokio::select! {
                () = watch.changed() => {
                    if send.send(Signal::Look).await.is_err() {
                        return;
                    }
                }
                moved = at.changed() => match moved {
                    Ok(()) => break,
                    // Whoever could say so has ended, and so has the daemon.
                    Err(_) => return,
                },
            }
        }
        let now: PathBuf = at.borrow_and_update().path.clone();
        watch = Watch::new(&now, Arc::clone(&traces)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_it_has_the_settings_read_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("controller.toml");
        std::fs::write(&path, "settle = '1s'").unwrap();
        let file = SettingsFile::read(Some(&path), Overrides::default()).await.unwrap();
        // Before anybody watches, so that no event tells of it.
        std::fs::write(&path, "mode = 'observe'\nsettle = '2s'\n").unwrap();
        let (asked, begun) = (file.asked(), Instant::now());
        let (desired, _) = watch::channel(desired_at(file.settings()));
        let (send, mut signals) = mpsc::channel(1);
        let following = tokio::spawn(settings(file, desired, send));
        asked.notify_one();
        let Some(Signal::Settle(limits, _)) = signals.recv().await else { panic!("no settings came") };
        assert_eq!(limits.settle, Duration::from_secs(2));
        assert_eq!(begun.elapsed(), Duration::ZERO, "neither an event nor the poll has told of it");
        following.abort();
    }

    #[tokio::test]
    async fn what_is_renamed_to_its_place_just_after_the_first_reading_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (path, next) = (folder.path().join("controller.toml"), folder.path().join("next"));
        std::fs::write(&path, "settle = '1s'").unwrap();
        let file = SettingsFile::read(Some(&path), Overrides::default()).await.unwrap();
        std::fs::write(&next, "settle = '2s'\n").unwrap();
        // By its stamp alone it may have been written in its place.
        let later = std::time::SystemTime::now() + Duration::from_secs(3600);
        std::fs::File::options().write(true).open(&next).unwrap().set_modified(later).unwrap();
        std::fs::rename(&next, &path).unwrap();
        let begun = Instant::now();
        let (desired, _) = watch::channel(desired_at(file.settings()));
        let (send, mut signals) = mpsc::channel(1);
        let following = tokio::spawn(settings(file, desired, send));
        let Some(Signal::Settle(limits, _)) = signals.recv().await else { panic!("no settings came") };
        assert_eq!(limits.settle, Duration::from_secs(2));
        assert!(begun.elapsed() < Duration::from_secs(8), "an event told that it is whole");
        following.abort();
    }
}
