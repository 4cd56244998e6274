//! A client of the public HTTP API.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// How often a request is tried when the server is busy or cannot be reached.
const ATTEMPTS: u32 = 6;
/// How long one request may take; `decide` itself waits up to two seconds for a learner.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, with the key to use there. Cheap to clone: clones share their connections.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// What a server says when it refuses.
#[derive(Debug, serde::Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    title: String,
    detail: Option<String>,
}

impl Client {
    /// A client of the server at this address.
    pub(crate) fn new(base: &str, key: &str) -> Result<Self, Failure> {
        let base = base.trim_end_matches('/').to_owned();
        if !(base.starts_with("http://") || base.starts_with("https://")) {
            return Err(Failure::new(format!("'{base}' is not the address of a server"))
                .hint("begin it with http:// or https://, as in http://127.0.0.1:8787"));
        }
        // Another part of the program may have chosen already; either choice serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .tcp_nodelay(true)
            .user_agent(concat!("upswing/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::new(format!("cannot make an HTTP client: {error}")))?;
        Ok(Self { http, base, key: key.to_owned() })
    }

    /// Asks for something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path, None::<&()>).await
    }

    /// Sends something. A body with an id of its own may be sent again: the server recognises it.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let mut attempt = 1;
        loop {
            let mut request =
                self.http.request(method.clone(), format!("{}{path}", self.base)).bearer_auth(&self.key);
            if let Some(body) = body {
                request = request.json(body);
            }
            let pause = Duration::from_millis(50 << attempt);
            match request.send().await {
                Ok(response) if attempt < ATTEMPTS && is_busy(response.status()) => {
                    tokio::time::sleep(retry_after(&response).unwrap_or(pause)).await;
                }
                Ok(response) => return self.understand(path, response).await,
                Err(error) if attempt < ATTEMPTS && !error.is_builder() && !error.is_timeout() => {
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(self.unreachable(&error)),
            }
            attempt += 1;
        }
    }

    async fn understand<T: DeserializeOwned>(
        &self,
        path: &str,
        response: reqwest::Response,
    ) -> Result<T, Failure> {
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                Failure::new(format!("the answer of {}{path} is not understood: {error}", self.base))
                    .hint("check that the server is an Upswing of the same version")
            });
        }
        let (refusal, code) = match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => {
                let refusal = format!("{} ({})", problem.detail.unwrap_or(problem.title), problem.code);
                (refusal, Some(problem.code))
            }
            Err(_) => (status.to_string(), None),
        };
        let failure = Failure::new(format!("{}{path} answered {}: {refusal}", self.base, status.as_u16()));
        Err(match status {
            StatusCode::UNAUTHORIZED => failure.hint("--key with a key of this server: upswing keys create"),
            StatusCode::FORBIDDEN => failure
                .hint("a key that may do this: upswing keys create --role admin, where the server's data is"),
            _ => match self.what_to_do(code.as_deref()).await {
                Some(advice) => failure.hint(advice),
                None => failure,
            },
        })
    }

    /// What the server advises against a code.
    async fn what_to_do(&self, code: Option<&str>) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Explained {
            what_to_do: String,
        }
        let code = code.filter(|code| code.chars().all(|c| c.is_ascii_lowercase() || c == '_'))?;
        let answer = self.http.get(format!("{}/problems/{code}", self.base)).send().await.ok()?;
        let explained: Explained = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        Some(explained.what_to_do)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Failure::new(format!("no answer from {}: {cause}", self.base)).hint("start it with: upswing serve")
    }
}

fn is_busy(status: StatusCode) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(u64::min(seconds, 5)))
}
