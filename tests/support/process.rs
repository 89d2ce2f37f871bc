//! Processes that are ended with their test, and how to wait for what they do.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long is waited for anything: machines that build something else meanwhile are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that is ended with the test, also by a panic.
pub(crate) struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        for stream in [Box::new(out) as Box<dyn Read + Send>, Box::new(err)] {
            let lines = Arc::clone(&lines);
            std::thread::spawn(move || {
                BufReader::new(stream).lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line));
            });
        }
        Self { child, lines }
    }

    /// What follows these words in the first line that has them.
    #[track_caller]
    pub(crate) fn told(&self, before: &str, until: char) -> String {
        eventually(before, || {
            let lines = self.lines.lock().unwrap();
            let rest = lines.iter().find_map(|line| line.split_once(before).map(|(_, rest)| rest.to_owned()))?;
            Some(rest.split(until).next().unwrap_or_default().to_owned())
        })
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it at once (SIGKILL): nothing that it does is finished.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        eventually("the process to end", || self.child.try_wait().unwrap())
    }

    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has written these words.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        let said = || format!("it never said `{words}` but:\n{}", self.output());
        eventually_or(said, || self.output().contains(words).then_some(()));
    }

    /// What it has written so far, to stdout and stderr.
    pub(crate) fn output(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    eventually_or(|| format!("waited in vain for: {what}"), ask)
}

/// The same, with what to say where there never is an answer.
#[track_caller]
pub(crate) fn eventually_or<T>(else_say: impl FnOnce() -> String, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, else_say, ask)
}

/// The same, for so long at most.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, else_say: impl FnOnce() -> String, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        if begun.elapsed() > limit {
            panic!("{}", else_say());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
