//! Chromium, driven through the pipe of its DevTools protocol: no WebSocket, no driver, nothing to install beside it.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than anything here takes on a busy machine; who waits so long has found a fault.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const CONTROL: u8 = 2;

/// A browser with a profile of its own; it ends when dropped.
pub(crate) struct Chromium {
    process: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    events: VecDeque<Value>,
    last: u64,
}

/// One page in it.
#[derive(Debug, Clone)]
pub(crate) struct Tab {
    target: String,
    session: String,
}

/// The name of the program, where there is one.
pub(crate) fn program() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        let asked = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    })
}

impl Chromium {
    /// Starts it. `preferences` are what a person would set in its settings.
    pub(crate) fn start(program: &str, profile: &Path, preferences: &Value) -> Self {
        fs::create_dir_all(profile.join("Default")).unwrap();
        fs::write(profile.join("Default/Preferences"), preferences.to_string()).unwrap();
        // It reads from descriptor 3 and writes to 4, which only a shell can hand it without unsafe code.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null", program])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            // Pages that are kept for the way back still have their connections; here a page that is left is gone.
            .arg("--disable-features=BackForwardCache")
            .args(["--disable-dev-shm-usage", "--window-size=1000,800", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = mpsc::channel();
        std::thread::Builder::new()
            .name("chromium".to_owned())
            .spawn(move || {
                let mut message = Vec::new();
                while output.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                    message.pop();
                    if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                        return;
                    }
                    message.clear();
                }
            })
            .unwrap();
        Self { process, input, messages, events: VecDeque::new(), last: 0 }
    }

    fn send(&mut self, session: Option<&str>, method: &str, parameters: &Value) -> u64 {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        self.input.flush().unwrap();
        self.last
    }

    fn receive(&mut self, whatever_for: &str) -> Value {
        let message = self.messages.recv_timeout(PATIENCE);
        message.unwrap_or_else(|error| panic!("waited for {whatever_for}: {error}"))
    }

    fn call(&mut self, session: Option<&str>, method: &str, parameters: &Value) -> Value {
        let id = self.send(session, method, parameters);
        loop {
            let mut message = self.receive(method);
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method} {parameters}: {}", message["error"]);
                return message["result"].take();
            }
            self.events.push_back(message);
        }
    }

    /// Waits for an event of a page.
    fn event(&mut self, tab: &Tab, method: &str) -> Value {
        let wanted = |event: &Value| event["method"] == method && event["sessionId"] == *tab.session;
        if let Some(at) = self.events.iter().position(wanted) {
            return self.events.remove(at).unwrap();
        }
        loop {
            let message = self.receive(method);
            if wanted(&message) {
                return message;
            }
            self.events.push_back(message);
        }
    }

    /// Opens a page in a tab of its own, after running `before` in it, and waits until it has loaded.
    pub(crate) fn open(&mut self, url: &str, before: &str) -> Tab {
        let target = self.call(None, "Target.createTarget", &json!({ "url": "about:blank" }));
        let target = target["targetId"].as_str().unwrap().to_owned();
        let attach = json!({ "targetId": target, "flatten": true });
        let attached = self.call(None, "Target.attachToTarget", &attach);
        let tab = Tab { target, session: attached["sessionId"].as_str().unwrap().to_owned() };
        self.of(&tab, "Page.enable", &json!({}));
        self.of(&tab, "Runtime.enable", &json!({}));
        self.of(&tab, "Inspector.enable", &json!({}));
        self.of(&tab, "Page.addScriptToEvaluateOnNewDocument", &json!({ "source": before }));
        self.go(&tab, url);
        tab
    }

    /// Goes to another page in the same tab.
    pub(crate) fn go(&mut self, tab: &Tab, url: &str) {
        self.events.retain(|event| event["method"] != "Page.loadEventFired");
        let answer = self.of(tab, "Page.navigate", &json!({ "url": url }));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        self.event(tab, "Page.loadEventFired");
    }

    fn of(&mut self, tab: &Tab, method: &str, parameters: &Value) -> Value {
        self.call(Some(&tab.session), method, parameters)
    }

    /// What an expression gives in the page; a promise is waited for.
    pub(crate) fn evaluate(&mut self, tab: &Tab, expression: &str) -> Value {
        let question = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.of(tab, "Runtime.evaluate", &question);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true in the page.
    pub(crate) fn until(&mut self, tab: &Tab, condition: &str) {
        let patience = PATIENCE.as_millis() / 2;
        let wait = format!(
            "new Promise((resolve) => {{
                const began = Date.now();
                const look = () => {{
                    const over = Date.now() - began > {patience};
                    if (({condition}) || over) resolve(!over); else setTimeout(look, 20);
                }};
                look();
            }})"
        );
        assert_eq!(self.evaluate(tab, &wait), true, "it never was: {condition}");
    }

    fn key(&mut self, tab: &Tab, key: &str, code: u32, text: Option<&str>, modifiers: u8) {
        let mut press = json!({ "type": if text.is_some() { "keyDown" } else { "rawKeyDown" }, "key": key,
            "windowsVirtualKeyCode": code, "modifiers": modifiers });
        if let Some(text) = text {
            press["text"] = json!(text);
        }
        self.of(tab, "Input.dispatchKeyEvent", &press);
        press["type"] = json!("keyUp");
        self.of(tab, "Input.dispatchKeyEvent", &press);
    }

    /// Types, one key after the other.
    pub(crate) fn type_text(&mut self, tab: &Tab, text: &str) {
        for letter in text.chars() {
            let code = u32::from(letter.to_ascii_uppercase());
            self.key(tab, &letter.to_string(), code, Some(&letter.to_string()), 0);
        }
    }

    /// Ctrl and a letter.
    pub(crate) fn control(&mut self, tab: &Tab, letter: char) {
        self.key(tab, &letter.to_string(), u32::from(letter.to_ascii_uppercase()), None, CONTROL);
    }

    fn mouse(&mut self, tab: &Tab, what: &str, (x, y): (f64, f64)) {
        let event = json!({ "type": what, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1 });
        self.of(tab, "Input.dispatchMouseEvent", &event);
    }

    /// Clicks in the middle of an element.
    pub(crate) fn click(&mut self, tab: &Tab, selector: &str) {
        let place = self.evaluate(
            tab,
            &format!(
                "(() => {{
                    const element = document.querySelector('{selector}');
                    element.scrollIntoView({{ block: 'center' }});
                    const {{ x, y, width, height }} = element.getBoundingClientRect();
                    return [x + width / 2, y + height / 2];
                }})()"
            ),
        );
        let place = (place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
        self.mouse(tab, "mousePressed", place);
        self.mouse(tab, "mouseReleased", place);
    }

    /// Drags the mouse over so many letters of an element's text.
    pub(crate) fn select(&mut self, tab: &Tab, selector: &str, letters: usize) {
        let place = self.evaluate(
            tab,
            &format!(
                "(() => {{
                    const range = document.createRange();
                    const text = document.querySelector('{selector}').firstChild;
                    range.setStart(text, 0);
                    range.setEnd(text, {letters});
                    const {{ left, right, top, height }} = range.getBoundingClientRect();
                    return [left + 1, right, top + height / 2];
                }})()"
            ),
        );
        let at = |index: usize| place[index].as_f64().unwrap();
        self.mouse(tab, "mousePressed", (at(0), at(2)));
        self.mouse(tab, "mouseMoved", (f64::midpoint(at(0), at(1)), at(2)));
        self.mouse(tab, "mouseMoved", (at(1), at(2)));
        self.mouse(tab, "mouseReleased", (at(1), at(2)));
    }

    /// Closes the tab, as its cross does.
    pub(crate) fn close(&mut self, tab: &Tab) {
        self.call(None, "Target.closeTarget", &json!({ "targetId": tab.target }));
    }

    /// Waits until a tab is no longer there.
    pub(crate) fn until_gone(&mut self, tab: &Tab) {
        let gone = |event: &Value| {
            event["method"] == "Target.detachedFromTarget" && event["params"]["targetId"] == *tab.target
        };
        if self.events.iter().any(gone) {
            return;
        }
        loop {
            let message = self.receive("the end of a tab");
            if gone(&message) {
                return;
            }
            self.events.push_back(message);
        }
    }

    /// Kills the process of the page, which is told nothing.
    pub(crate) fn kill(&mut self, tab: &Tab) {
        self.send(Some(&tab.session), "Page.crash", &json!({}));
        self.event(tab, "Inspector.targetCrashed");
    }

    /// A picture of the page, in base64.
    #[expect(dead_code, reason = "for whoever looks why a test fails")]
    pub(crate) fn picture(&mut self, tab: &Tab) -> String {
        self.of(tab, "Page.captureScreenshot", &json!({}))["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
