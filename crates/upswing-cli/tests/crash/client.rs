//! The API as a client sees it, who never knows whether a request that broke off was heard.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

#[derive(Debug)]
pub(crate) enum Answer {
    Given {
        status: u16,
        body: Value,
        retry_after: bool,
    },
    /// The connection ended before the answer.
    Lost,
}

impl Client {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().timeout(Duration::from_secs(40)).build().unwrap();
        Self { http, url: url.to_owned(), key: key.to_owned() }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse::<reqwest::Method>().unwrap();
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key)
    }

    async fn send(request: reqwest::RequestBuilder) -> Answer {
        let Ok(response) = request.send().await else { return Answer::Lost };
        let status = response.status().as_u16();
        let retry_after = response.headers().contains_key("retry-after");
        let Ok(text) = response.text().await else { return Answer::Lost };
        Answer::Given {
            status,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
            retry_after,
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.request("POST", path).json(body)).await
    }

    /// The items of a JSON array, one a line.
    pub(crate) async fn post_lines(&self, path: &str, items: &Value) -> Answer {
        let text: String = items.as_array().unwrap().iter().map(|item| format!("{item}\n")).collect();
        let request = self.request("POST", path).header("content-type", "application/x-ndjson");
        Self::send(request.body(text)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Self::send(self.request("GET", path)).await
    }

    /// What must be answered with success.
    pub(crate) async fn expect(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        match Self::send(request).await {
            Answer::Given { status: 200..=299, body, .. } => body,
            answer => panic!("{method} {path}: {answer:?}"),
        }
    }

    /// Whether the server says that it is ready; `None` when it does not answer.
    pub(crate) async fn ready(&self) -> Option<bool> {
        match self.get("/readyz").await {
            Answer::Given { status: 200, .. } => Some(true),
            Answer::Given { status: 503, .. } => Some(false),
            Answer::Given { status, body, .. } => panic!("/readyz: {status} {body}"),
            Answer::Lost => None,
        }
    }

    /// Everything of one kind after an id.
    pub(crate) async fn export(&self, kind: &str, after: Uuid) -> Vec<Value> {
        let path = format!("/api/learning/export/{kind}?cursor={after}");
        let response = self.request("GET", &path).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        let text = response.text().await.unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
