//! One keep-alive connection for what is asked beside the load: setting up, probing, looking.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::failure::{Doing as _, Failure, Result};

/// After how long without a request the connection is made again: servers close what is silent.
const SILENT: Duration = Duration::from_secs(30);

/// One connection to a server.
pub(crate) struct Client {
    stream: TcpStream,
    used: Instant,
    address: String,
    key: String,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(address: &str, key: &str) -> Result<Self> {
        let stream = open(address).await?;
        let (address, key) = (address.to_owned(), key.to_owned());
        Ok(Self { stream, used: Instant::now(), address, key, buffer: Vec::new() })
    }

    /// A request as text.
    pub(crate) fn text(address: &str, key: &str, method: &str, path: &str, body: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Sends a request; the body of a 2xx answer as it came.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: &str) -> Result<String> {
        if self.used.elapsed() > SILENT {
            self.stream = open(&self.address).await?;
        }
        self.used = Instant::now();
        let request = Self::text(&self.address, &self.key, method, path, body);
        self.stream.write_all(request.as_bytes()).await.doing("sending")?;
        self.buffer.clear();
        let (head, length) = loop {
            self.receive().await?;
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
                let length =
                    head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                break (end + 4, length.unwrap_or(0_usize));
            }
        };
        while self.buffer.len() < head + length {
            self.receive().await?;
        }
        let body = String::from_utf8_lossy(&self.buffer[head..head + length]).into_owned();
        if self.buffer.get(9) == Some(&b'2') {
            Ok(body)
        } else {
            let first = String::from_utf8_lossy(&self.buffer[..head]);
            Err(Failure::new(format!("{method} {path}: {} {body}", first.lines().next().unwrap_or_default())))
        }
    }

    async fn receive(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.buffer).await.doing("receiving")? {
            0 => Err(Failure::new("the server closed the connection")),
            _ => Ok(()),
        }
    }

    /// Posts JSON, gets JSON.
    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.call("POST", path, &body.to_string()).await?;
        serde_json::from_str(&answer).doing("reading an answer")
    }

    /// A gauge of `/metrics`.
    pub(crate) async fn gauge<T: std::str::FromStr>(&mut self, name: &str) -> Result<T> {
        let text = self.call("GET", "/metrics", "").await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.ok_or_else(|| Failure::new(format!("/metrics has no {name}")))
    }
}

async fn open(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.doing("connecting to the server")?;
    stream.set_nodelay(true).doing("TCP_NODELAY")?;
    Ok(stream)
}
