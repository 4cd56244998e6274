//! A server, a site of another origin, the road between them, and a browser.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::chromium::{self, Chromium, Tab};
use super::common::{Served, skip};
use super::site::{Exchange, Road, Site};

/// The answer that pages show; each of its words is looked for in what is sent.
pub(crate) const ANSWER: &str = "Quincequark borrows lemonade from zanzibar";
/// What else is written in the tests.
const SECRETS: [&str; 7] = ["Quince", "borrows", "lemonade", "zanzibar", "marzipan", "?private=", "hushhush"];

pub(crate) struct World {
    pub(crate) server: Option<Served>,
    /// Where pages are.
    pub(crate) site: Site,
    /// Where pages find the server.
    pub(crate) road: Site,
    pub(crate) browser: Chromium,
    pub(crate) agent: String,
    pub(crate) key: String,
    folder: TempDir,
}

/// An answer's execution, and the token that its page shows.
pub(crate) struct Given {
    pub(crate) execution: String,
    pub(crate) token: String,
}

impl World {
    /// With everything there is; `None` without a browser.
    pub(crate) async fn start(test: &str) -> Option<Self> {
        Self::with(test, &json!({})).await
    }

    pub(crate) async fn with(test: &str, preferences: &Value) -> Option<Self> {
        let Some(program) = chromium::program() else {
            skip(&format!("behaviour::{test}"), "no Chromium: install the package chromium");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let server = Served::start(folder.path());
        let (site, road) = (Site::start(), Site::start());
        road.lead_to(Some(&server.url));
        let agent = server.post("/api/learning/agents", json!({ "name": "answers" })).await;
        let agent = agent["id"].as_str().unwrap().to_owned();
        let version = json!({ "label": "only", "config": { "prompt": "Answer." } });
        server.post(&format!("/api/learning/agents/{agent}/versions"), version).await;
        let key = publishable(&server, &site.url).await;
        let browser = Chromium::start(program, &folder.path().join("profile"), preferences);
        Some(Self { server: Some(server), site, road, browser, agent, key, folder })
    }

    pub(crate) fn server(&self) -> &Served {
        self.server.as_ref().unwrap()
    }

    /// Stops the server.
    pub(crate) fn stop(&mut self) -> String {
        let server = self.server.take().unwrap();
        self.road.lead_to(None);
        let key = server.key.clone();
        server.stop();
        key
    }

    /// Starts it again on the same data.
    pub(crate) fn start_again(&mut self, key: String) {
        let server = Served::again(self.folder.path(), key);
        self.road.lead_to(Some(&server.url));
        self.server = Some(server);
    }

    /// An answer was given.
    pub(crate) async fn give(&self) -> Given {
        let decide = json!({ "agent_id": self.agent, "unit": "ada", "feedback_token": true });
        let decision = self.server().post("/api/learning/decide", decide).await;
        let execution = json!({ "id": decision["decision_id"], "agent_id": self.agent,
            "decision_id": decision["decision_id"], "token": decision["token"] });
        self.server().post("/api/learning/executions", execution).await;
        let text = |name: &str| decision[name].as_str().unwrap().to_owned();
        Given { execution: text("decision_id"), token: text("feedback_token") }
    }

    /// Puts a page on the site; `attributes` go to the script, `body` around it. Its address.
    pub(crate) fn page(&self, attributes: &str, body: &str) -> String {
        let path = "/page?private=hushhush";
        let script = format!(
            "<script src=\"{}/assets/behaviour.js\" data-key=\"{}\" {attributes}></script>",
            self.road.url, self.key
        );
        // The letters are wide enough for a mouse, and an empty page has no icon to be asked for.
        let head = "<!doctype html><meta charset=utf-8><title>A page</title><link rel=icon href=data:,>\
                    <style>body { font: 20px monospace }</style>";
        self.site.page(path, format!("{head}{script}{body}"));
        format!("{}{path}", self.site.url)
    }

    /// Opens a page with these answers, where the person has agreed.
    pub(crate) fn open(&mut self, body: &str) -> Tab {
        let url = self.page("data-consent=granted", body);
        self.browser.open(&url, "")
    }

    /// What the page has in its outbox, and everything else of ours.
    pub(crate) fn stored(&mut self, tab: &Tab) -> Vec<String> {
        let names = "Object.keys(localStorage).filter((name) => name.startsWith('upswing'))";
        let names = self.browser.evaluate(tab, names);
        names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// Waits until nothing is left to be sent.
    pub(crate) fn until_sent(&mut self, tab: &Tab) {
        let left = "Object.keys(localStorage).some((name) => name.includes(' signal:'))";
        self.browser.until(tab, &format!("!{left}"));
    }

    /// Waits until a page would be said to have been read if it were closed now.
    pub(crate) fn until_read(&mut self, tab: &Tab) {
        let draft = "Object.entries(localStorage).some(([name, value]) => name.includes(' draft:') && \
                     value.includes('content_reading'))";
        self.browser.until(tab, draft);
    }

    /// Waits until this page has noticed its answers.
    pub(crate) fn until_seen(&mut self, tab: &Tab) {
        self.browser.until(tab, "Object.keys(localStorage).some((name) => name.includes(' draft:'))");
    }

    /// Waits until so many signals have been sent and answered for.
    pub(crate) fn until_arrived(&self, count: usize) {
        self.road.until(&format!("{count} signals"), |exchanges| accepted(exchanges) >= count);
    }

    /// What has been stored, by the public API: kind and details, in the order of their arrival; no text, nothing twice.
    pub(crate) async fn arrived(&self) -> Vec<(String, Value)> {
        let mut said = String::new();
        for exchange in self.road.exchanges() {
            writeln!(said, "{} {}", exchange.path, exchange.body).unwrap();
        }
        let path = format!("/api/learning/export/feedback?agent_id={}", self.agent);
        let export = self.server().call(reqwest::Method::GET, &path, None).await;
        for secret in SECRETS {
            assert!(!said.contains(secret), "{secret} left the page: {said}");
            assert!(!export.contains(secret), "{secret} was stored: {export}");
        }
        let mut stored: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        stored.sort_by_key(|feedback| feedback["position"].as_i64());
        stored
            .into_iter()
            .map(|feedback| {
                assert_eq!(feedback["feedback_type"], "implicit", "{feedback}");
                let kind = feedback["details_type"].as_str().unwrap().to_owned();
                let mut details = feedback["details"].clone();
                details["execution"] = feedback["execution_id"].clone();
                details["value"] = feedback["metrics"][format!("implicit.{kind}")].clone();
                details["author"] = feedback["author"].clone();
                (kind, details)
            })
            .collect()
    }

    /// What has been sent, whatever was answered.
    pub(crate) fn sent(&self) -> Vec<Exchange> {
        self.road.exchanges().into_iter().filter(signals).collect()
    }

    /// How the road is from now on.
    pub(crate) fn let_road(&self, road: Road) {
        self.road.road(road);
    }
}

/// A key for pages of an origin.
pub(crate) async fn publishable(server: &Served, origin: &str) -> String {
    let body = json!({ "name": "page", "role": "publishable", "origins": [origin] });
    server.post("/api/learning/keys", body).await["secret"].as_str().unwrap().to_owned()
}

fn signals(exchange: &Exchange) -> bool {
    exchange.method == "POST" && exchange.path == "/api/learning/signals"
}

/// How many signals were in requests that succeeded.
fn accepted(exchanges: &[Exchange]) -> usize {
    let taken = exchanges.iter().filter(|e| signals(e) && e.status == Some(200));
    taken.map(|e| serde_json::from_str::<Value>(&e.body).unwrap().as_array().unwrap().len()).sum()
}
