//! The two files that the daemon follows: the desired state, whose reading it is told of by signals, and the settings,
//! which are read again in here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};

use crate::desired::Watch;
use crate::engine::{Cadence, Signal};
use crate::file::Unusable;
use crate::plan::Limits;
use crate::settings::{self, Overrides, Settings};

/// The settings of a daemon, and where they come from.
pub(super) struct SettingsFile {
    path: PathBuf,
    overrides: Overrides,
    /// Whether there was a file at any time. Before that, none means the defaults; afterwards it is a mistake.
    found: bool,
    /// What the daemon was started with.
    started: Settings,
    /// What is in force, as far as it could be taken over.
    in_force: Settings,
    /// What was wrong when the file was last read.
    refused: Option<Unusable>,
    /// Somebody asks to read it now.
    asked: Arc<Notify>,
}

impl SettingsFile {
    /// Reads the settings for the first time.
    pub(super) fn read(path: Option<&Path>, overrides: Overrides) -> Result<Self, Unusable> {
        let started = Settings::load(path, &overrides)?;
        let path = path.unwrap_or(Path::new(settings::DEFAULT_PATH)).to_owned();
        let found = settings::is_there(&path);
        let asked = Arc::default();
        Ok(Self { path, overrides, found, in_force: started.clone(), started, refused: None, asked })
    }

    /// What is in force.
    pub(super) fn settings(&self) -> &Settings {
        &self.in_force
    }

    /// By which somebody asks to read the file again now.
    pub(super) fn asked(&self) -> Arc<Notify> {
        Arc::clone(&self.asked)
    }

    /// Reads the file again. Returns the settings if they are others now; what is wrong with the file, and what needs a
    /// restart, is told once.
    fn read_again(&mut self) -> Option<&Settings> {
        self.found |= settings::is_there(&self.path);
        if !self.found {
            return None;
        }
        match Settings::load(Some(&self.path), &self.overrides) {
            Err(unusable) => {
                if self.refused.as_ref() != Some(&unusable) {
                    tracing::error!("the settings cannot be used, the last good ones stay in force: {unusable}");
                }
                self.refused = Some(unusable);
                None
            }
            Ok(settings) => {
                if self.refused.take().is_some() {
                    tracing::info!("the settings are valid again");
                }
                if settings == self.in_force {
                    return None;
                }
                let restart = self.started.needs_restart(&settings);
                if !restart.is_empty() {
                    let keys = restart.join(", ");
                    tracing::warn!(keys, "these settings take effect when the daemon is started again: {keys}");
                }
                tracing::info!("new settings are in force");
                self.in_force = settings;
                Some(&self.in_force)
            }
        }
    }
}

/// Reads the settings again when their file changes, when somebody asks for it, and at each poll. They go to the controller as a signal, and the
/// place of the desired state to whoever follows that.
pub(super) async fn settings(mut file: SettingsFile, desired: watch::Sender<PathBuf>, send: mpsc::Sender<Signal>) {
    let mut watch = Watch::new(&file.path);
    let asked = file.asked();
    loop {
        tokio::select! { _ = watch.changed_or_due() => {}, () = asked.notified() => {} }
        let Some(settings) = file.read_again() else { continue };
        desired.send_if_modified(|path| std::mem::replace(path, settings.desired.clone()) != settings.desired);
        let signal = Signal::Settle(Box::new(Limits::of(settings)), Cadence::of(settings));
        if send.send(signal).await.is_err() {
            return;
        }
    }
}

/// Turns events of the desired state's file into signals; the controller polls by itself.
pub(super) async fn desired(mut path: watch::Receiver<PathBuf>, send: mpsc::Sender<Signal>) {
    loop {
        let now = path.borrow_and_update().clone();
        let mut watch = Watch::new(&now);
        loop {
            tokio::select! {
                () = watch.changed() => {
                    if send.send(Signal::Look).await.is_err() {
                        return;
                    }
                }
                moved = path.changed() => match moved {
                    Ok(()) => break,
                    // Whoever could say so has ended, and so has the daemon.
                    Err(_) => return,
                },
            }
        }
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
        let file = SettingsFile::read(Some(&path), Overrides::default()).unwrap();
        // Before anybody watches, so that no event tells of it.
        std::fs::write(&path, "settle = '2s'").unwrap();
        let (asked, begun) = (file.asked(), Instant::now());
        let (desired, _) = watch::channel(file.settings().desired.clone());
        let (send, mut signals) = mpsc::channel(1);
        let following = tokio::spawn(settings(file, desired, send));
        asked.notify_one();
        let Some(Signal::Settle(limits, _)) = signals.recv().await else { panic!("no settings came") };
        assert_eq!(limits.settle, Duration::from_secs(2));
        assert_eq!(begun.elapsed(), Duration::ZERO, "neither an event nor the poll has told of it");
        following.abort();
    }
}
