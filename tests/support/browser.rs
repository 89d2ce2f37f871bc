//! A real browser without a window, driven by the WebDriver protocol: Debian's chromium and its driver.

use std::process::Command;

use serde_json::{Value, json};

use super::installed::installed;
use super::process::{Process, eventually_or};

/// A browser; it ends with the test.
pub(crate) struct Browser {
    /// What its session is asked at.
    session: String,
    _profile: tempfile::TempDir,
    _driver: Process,
}

impl Browser {
    /// A browser with a window of this size. None where there is no chromium, unless one is demanded.
    #[track_caller]
    pub(crate) fn open(width: u32, height: u32) -> Option<Self> {
        let (chromium, driver) = (installed("chromium", "chromium")?, installed("chromedriver", "chromium-driver")?);
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(driver);
        let driver = Process::start(command.arg("--port=0").env("NO_PROXY", "127.0.0.1"));
        let port = driver.told("started successfully on port ", '.');
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-proxy-server",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            &format!("--user-data-dir={}", profile.path().display()),
            &format!("--window-size={width},{height}"),
        ];
        let options = json!({ "binary": chromium, "args": arguments });
        let wanted =
            json!({ "alwaysMatch": { "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } } });
        let driver_url = format!("http://127.0.0.1:{port}");
        let made = ask(&format!("{driver_url}/session"), &json!({ "capabilities": wanted }));
        let session = format!("{driver_url}/session/{}", made["sessionId"].as_str().unwrap());
        Some(Self { session, _profile: profile, _driver: driver })
    }

    pub(crate) fn go(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// What a JavaScript expression is.
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.post("execute/sync", &json!({ "script": format!("return {expression}"), "args": [] }))
    }

    /// Waits until a JavaScript expression is this.
    #[track_caller]
    pub(crate) fn until(&self, expression: &str, expected: impl Into<Value>) {
        let expected = expected.into();
        let said = || {
            let text = self.value("document.body.innerText");
            format!("{expression} never was {expected}, it is {}:\n{text}", self.value(expression))
        };
        eventually_or(said, || (self.value(expression) == expected).then_some(()));
    }

    /// Presses keys, where the focus is. Special keys are characters of their own, see [`keys`].
    pub(crate) fn press(&self, keys: &str) {
        let strokes = keys.chars().flat_map(|key| {
            [
                json!({ "type": "keyDown", "value": key.to_string() }),
                json!({ "type": "keyUp", "value": key.to_string() }),
            ]
        });
        let actions = json!([{ "type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>() }]);
        self.post("actions", &json!({ "actions": actions }));
    }

    /// Clicks on the first element that a selector finds.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        let found = self.post("element", &json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        let id = id.unwrap_or_else(|| panic!("there is no {selector}: {found}"));
        self.post(&format!("element/{id}/click"), &json!({}));
    }

    /// A command of the browser's own protocol.
    pub(crate) fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Demands that the browser had nothing to complain of: no error in a script, nothing that the policy forbids.
    #[track_caller]
    pub(crate) fn assert_no_complaint(&self) {
        let entries = self.post("se/log", &json!({ "type": "browser" }));
        let severe: Vec<&Value> = entries.as_array().unwrap().iter().filter(|it| it["level"] == "SEVERE").collect();
        assert!(severe.is_empty(), "{severe:#?}");
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        ask(&format!("{}/{command}", self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver, which ends right afterwards, ends the browser in any case.
        let _ = ureq::delete(&self.session).call();
    }
}

fn ask(url: &str, body: &Value) -> Value {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let answer = agent.post(url).header("content-type", "application/json").send(body.to_string());
    let text = answer.unwrap().body_mut().with_config().limit(50_000_000).read_to_string().unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert!(answer["value"]["error"].is_null(), "{url}: {}", answer["value"]);
    answer["value"].clone()
}

/// Special keys, as the protocol names them.
pub(crate) mod keys {
    pub(crate) const ENTER: &str = "\u{e007}";
    pub(crate) const ESCAPE: &str = "\u{e00c}";
    pub(crate) const DOWN: &str = "\u{e015}";
    pub(crate) const BACKSPACE: &str = "\u{e003}";
}
