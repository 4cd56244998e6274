//! The load generator: a process of its own with one thread, keep-alive HTTP/1.1 over raw sockets.
//!
//! What to send is prepared text; the ids in it are replaced in place. Of an answer the status and the length are read,
//! nothing else. Each connection sends its next request when the answer to the last one is there.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use uuid::Uuid;

use crate::failure::{Doing as _, Failure, Result};
use crate::histogram::Histogram;

/// Where a request has this, it sends a fresh id.
pub(crate) const FRESH: &str = "iiiiiiii-iiii-iiii-iiii-iiiiiiiiiiii";
/// Where a request has this, it sends the next id of the file.
pub(crate) const TAKEN: &str = "tttttttt-tttt-tttt-tttt-tttttttttttt";

/// What to send, where to, how long.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Host and port.
    pub(crate) address: String,
    /// How many connections, each with one request under way.
    pub(crate) connections: usize,
    /// For how long requests count.
    pub(crate) seconds: f64,
    /// For how long before that they do not.
    pub(crate) warm_up: f64,
    /// After how many requests to stop, if sooner.
    pub(crate) requests: Option<u64>,
    /// How many requests a second at most, all connections together.
    pub(crate) rate: Option<f64>,
    /// The requests, taken in turn: whole HTTP messages with [`FRESH`] and [`TAKEN`].
    pub(crate) texts: Vec<String>,
    /// A file of ids, 16 bytes each.
    pub(crate) ids: Option<PathBuf>,
    /// Where to put the `decision_id` of each answer, 16 bytes each.
    pub(crate) collect: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Answers of 2xx, those of the warm-up included.
    pub(crate) accepted: u64,
    /// Other answers by status, and broken connections as 0.
    pub(crate) others: BTreeMap<u16, u64>,
    /// Answers of 2xx that count.
    pub(crate) counted: u64,
    /// For how long was counted.
    pub(crate) seconds: f64,
    /// Ids taken from the file.
    pub(crate) taken: u64,
    /// Median latency, milliseconds.
    pub(crate) p50: Option<f64>,
    /// 99th percentile, milliseconds.
    pub(crate) p99: Option<f64>,
}

impl Outcome {
    /// Answers of 2xx a second.
    pub(crate) fn rate(&self) -> f64 {
        self.counted as f64 / self.seconds
    }
}

/// Reads a load from standard input and writes its outcome to standard output.
pub(crate) fn run() -> Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).doing("reading the load")?;
    let load: Load = serde_json::from_str(&text).doing("reading the load")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().doing("starting")?;
    let outcome = runtime.block_on(LocalSet::new().run_until(generate(load)))?;
    println!("{}", serde_json::to_string(&outcome).doing("writing the outcome")?);
    Ok(())
}

struct Shared {
    load: Load,
    prepared: Vec<Prepared>,
    ids: Vec<u8>,
    next: Cell<usize>,
    sent: Cell<u64>,
    fresh: Cell<u128>,
    counting_from: Instant,
    until: Instant,
    tally: RefCell<Tally>,
}

#[derive(Default)]
struct Tally {
    accepted: u64,
    others: BTreeMap<u16, u64>,
    latencies: Histogram,
    last: Option<Instant>,
    collected: Vec<u8>,
}

/// A request, and where its ids are.
#[derive(Clone)]
struct Prepared {
    bytes: Vec<u8>,
    fresh: Vec<usize>,
    taken: Vec<usize>,
}

impl Prepared {
    fn new(text: &str) -> Self {
        let places = |pattern: &str| text.match_indices(pattern).map(|(at, _)| at).collect();
        Self { bytes: text.as_bytes().to_vec(), fresh: places(FRESH), taken: places(TAKEN) }
    }
}

async fn generate(load: Load) -> Result<Outcome> {
    let ids = match &load.ids {
        Some(path) => std::fs::read(path).doing("reading the ids")?,
        None => Vec::new(),
    };
    let start = Instant::now();
    let counting_from = start + Duration::from_secs_f64(load.warm_up);
    let shared = Rc::new(Shared {
        prepared: load.texts.iter().map(|text| Prepared::new(text)).collect(),
        ids,
        next: Cell::new(0),
        sent: Cell::new(0),
        fresh: Cell::new(Uuid::now_v7().as_u128()),
        counting_from,
        until: counting_from + Duration::from_secs_f64(load.seconds),
        tally: RefCell::default(),
        load,
    });
    let mut connections = JoinSet::new();
    for number in 0..shared.load.connections {
        let shared = Rc::clone(&shared);
        connections.spawn_local(async move { shared.keep_connected(number).await });
    }
    while let Some(ended) = connections.join_next().await {
        ended.doing("a connection")?;
    }
    let tally = shared.tally.borrow();
    if let Some(path) = &shared.load.collect {
        std::fs::write(path, &tally.collected).doing("writing the collected ids")?;
    }
    let end = tally.last.unwrap_or(shared.until);
    Ok(Outcome {
        accepted: tally.accepted,
        others: tally.others.clone(),
        counted: tally.latencies.total(),
        seconds: end.saturating_duration_since(shared.counting_from).as_secs_f64().max(1e-9),
        taken: (shared.next.get().min(shared.ids.len()) / 16) as u64,
        p50: tally.latencies.quantile(0.5),
        p99: tally.latencies.quantile(0.99),
    })
}

impl Shared {
    /// One connection, made anew when it breaks.
    async fn keep_connected(&self, number: usize) {
        for _ in 0..10 {
            match self.connection(number).await {
                Ok(()) => return,
                Err(_) => *self.tally.borrow_mut().others.entry(0).or_default() += 1,
            }
        }
    }

    async fn connection(&self, number: usize) -> Result<()> {
        let mut stream = TcpStream::connect(&self.load.address).await.doing("connecting")?;
        stream.set_nodelay(true).doing("TCP_NODELAY")?;
        let mut prepared = self.prepared.clone();
        let mut answer = Vec::with_capacity(64 * 1024);
        let interval =
            self.load.rate.map(|rate| Duration::from_secs_f64(self.load.connections as f64 / rate));
        // Connections begin spread over the interval.
        let share = number as f64 / self.load.connections as f64;
        let mut due = Instant::now() + interval.unwrap_or_default().mul_f64(share);
        let mut turn = number;
        loop {
            if let Some(interval) = interval {
                tokio::time::sleep_until(due.into()).await;
                due = (due + interval).max(Instant::now());
            }
            if Instant::now() >= self.until || self.load.requests.is_some_and(|most| self.sent.get() >= most)
            {
                return Ok(());
            }
            turn = (turn + 1) % prepared.len();
            let Some(request) = prepared.get_mut(turn) else { return Ok(()) };
            if !self.fill(request) {
                return Ok(());
            }
            self.sent.set(self.sent.get() + 1);
            let started = Instant::now();
            stream.write_all(&request.bytes).await.doing("sending")?;
            let status = read_answer(&mut stream, &mut answer).await?;
            self.answered(started, status, &answer);
        }
    }

    /// Puts the next ids into a request; `false` when there are no more to take.
    fn fill(&self, request: &mut Prepared) -> bool {
        for at in &request.fresh {
            // Ids in order of time, as UUIDs of version 7 are; the last bits count.
            let id = self.fresh.get() + 1;
            self.fresh.set(id);
            write_id(&mut request.bytes[*at..*at + 36], Uuid::from_u128(id));
        }
        for at in &request.taken {
            let next = self.next.get();
            let Some(id) = self.ids.get(next..next + 16).and_then(|bytes| Uuid::from_slice(bytes).ok())
            else {
                return false;
            };
            self.next.set(next + 16);
            write_id(&mut request.bytes[*at..*at + 36], id);
        }
        true
    }

    fn answered(&self, started: Instant, status: u16, answer: &[u8]) {
        let now = Instant::now();
        let mut tally = self.tally.borrow_mut();
        if !(200..300).contains(&status) {
            *tally.others.entry(status).or_default() += 1;
            return;
        }
        tally.accepted += 1;
        // What ends after the time is up is not counted, as what began before it was.
        if now >= self.counting_from && now < self.until {
            tally.latencies.record(now - started);
            tally.last = self.load.requests.map(|_| now);
        }
        if self.load.collect.is_some()
            && let Some(id) = decision_id(answer)
        {
            tally.collected.extend_from_slice(id.as_bytes());
        }
    }
}

fn write_id(place: &mut [u8], id: Uuid) {
    id.hyphenated().encode_lower(place);
}

fn decision_id(answer: &[u8]) -> Option<Uuid> {
    const FIELD: &[u8] = b"\"decision_id\":\"";
    let at = memchr::memmem::find(answer, FIELD)? + FIELD.len();
    Uuid::try_parse_ascii(answer.get(at..at + 36)?).ok()
}

/// Reads one answer; its status.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<u16> {
    answer.clear();
    let (head, length) = loop {
        if stream.read_buf(answer).await.doing("receiving")? == 0 {
            return Err(Failure::new("the connection ended"));
        }
        if let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") {
            break (end + 4, content_length(&answer[..end]));
        }
    };
    let length = length.ok_or_else(|| Failure::new("an answer without a length"))?;
    while answer.len() < head + length {
        if stream.read_buf(answer).await.doing("receiving")? == 0 {
            return Err(Failure::new("the connection ended"));
        }
    }
    let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| Failure::new("an answer without a status"))
}

fn content_length(head: &[u8]) -> Option<usize> {
    const FIELD: &[u8] = b"\r\ncontent-length: ";
    let at = memchr::memmem::find(head, FIELD)? + FIELD.len();
    let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_far_as_it_matters() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: x\r\ncontent-length: 117\r\ndate: x";
        assert_eq!(content_length(head), Some(117));
        assert_eq!(content_length(b"HTTP/1.1 200 OK\r\ndate: x"), None);
        let id = Uuid::from_u128(7);
        assert_eq!(decision_id(format!("{{\"decision_id\":\"{id}\",").as_bytes()), Some(id));
        assert_eq!(decision_id(b"{\"decision_id\":\"7"), None);
    }

    #[test]
    fn ids_have_the_length_of_their_places() {
        let mut prepared = Prepared::new(&format!("a {FRESH} {TAKEN} {FRESH}"));
        assert_eq!((prepared.fresh.as_slice(), prepared.taken.as_slice()), (&[2, 76][..], &[39][..]));
        write_id(&mut prepared.bytes[2..38], Uuid::nil());
        assert!(prepared.bytes.starts_with(b"a 00000000-0000-0000-0000-000000000000 tttt"));
    }
}
