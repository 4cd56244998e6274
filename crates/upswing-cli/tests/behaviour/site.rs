//! What stands around the server: a site with pages of another origin, and the road between, where everything that is
//! sent can be read and can get lost.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use super::chromium::PATIENCE;

/// What came by.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
    /// What was answered; `None` where the road was broken, or the answer got lost.
    pub(crate) status: Option<u16>,
}

/// How the road is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Road {
    Open,
    /// What is sent next arrives, its answer does not.
    LosesAnswer,
    /// Questions beforehand (preflight) wait until the road is open.
    HoldsQuestions,
    /// The server would say so itself when its queue is full.
    Busy,
}

struct State {
    server: Option<String>,
    road: Road,
    exchanges: Vec<Exchange>,
    pages: HashMap<String, String>,
}

/// Listens, and answers with pages or with what the server says.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) url: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Site {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State { server: None, road: Road::Open, exchanges: Vec::new(), pages: HashMap::new() };
        let site = Self { url, state: Arc::new((Mutex::new(state), Condvar::new())) };
        let listening = site.clone();
        let name = || std::thread::Builder::new().name("site".to_owned());
        name()
            .spawn(move || {
                for stream in listening_streams(&listener) {
                    let site = listening.clone();
                    // A browser opens connections in advance; each may take its time.
                    name().spawn(move || site.serve(stream)).unwrap();
                }
            })
            .unwrap();
        site
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.0.lock().unwrap());
        self.state.1.notify_all();
    }

    /// Hands everything on to this server; to nobody when there is none.
    pub(crate) fn lead_to(&self, server: Option<&str>) {
        self.change(|state| state.server = server.map(|url| url.trim_start_matches("http://").to_owned()));
    }

    pub(crate) fn road(&self, road: Road) {
        self.change(|state| state.road = road);
    }

    pub(crate) fn page(&self, path: &str, html: String) {
        self.change(|state| drop(state.pages.insert(path.to_owned(), html)));
    }

    /// Waits until what came by is as described, and gives it.
    pub(crate) fn until(&self, what: &str, enough: impl Fn(&[Exchange]) -> bool) -> Vec<Exchange> {
        let state = self.state.0.lock().unwrap();
        let (state, wait) =
            self.state.1.wait_timeout_while(state, PATIENCE, |state| !enough(&state.exchanges)).unwrap();
        assert!(!wait.timed_out(), "waited for {what}; what came by: {:#?}", state.exchanges);
        state.exchanges.clone()
    }

    /// All that came by.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.state.0.lock().unwrap().exchanges.clone()
    }

    fn serve(&self, stream: TcpStream) {
        let Some((head, body)) = read(&stream) else { return };
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let asked = method == "POST";
        let (page, server, road) = {
            let state = self.state.0.lock().unwrap();
            let held = |state: &mut State| method == "OPTIONS" && state.road == Road::HoldsQuestions;
            let mut state = self.state.1.wait_while(state, held).unwrap();
            let road = state.road;
            if asked && road == Road::LosesAnswer {
                state.road = Road::Open;
            }
            (state.pages.get(&path).cloned(), state.server.clone(), road)
        };
        let mut stream = stream;
        if let Some(html) = page {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close";
            let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{html}", html.len());
            return;
        }
        let answer = if asked && road == Road::Busy {
            Some(busy(&head))
        } else {
            server.and_then(|server| ask(&server, &head, &body))
        };
        let answer = answer.filter(|_| !(asked && road == Road::LosesAnswer));
        let status =
            answer.as_ref().and_then(|answer| String::from_utf8_lossy(answer.get(9..12)?).parse().ok());
        if let Some(answer) = answer {
            let _ = stream.write_all(&answer);
        }
        self.change(|state| state.exchanges.push(Exchange { method, path, body, status }));
    }
}

fn listening_streams(listener: &TcpListener) -> impl Iterator<Item = TcpStream> + '_ {
    listener.incoming().filter_map(Result::ok)
}

/// The head of a request without its empty line, and the body.
fn read(stream: &TcpStream) -> Option<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_lowercase();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        // One question a connection keeps this readable.
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}

/// What the server answers when its queue is full.
fn busy(head: &str) -> Vec<u8> {
    let origin = head.lines().find_map(|line| line.to_lowercase().strip_prefix("origin:").map(str::to_owned));
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\
         Access-Control-Allow-Origin:{}\r\nAccess-Control-Expose-Headers: Retry-After\r\n\r\n",
        origin.unwrap_or_default().trim_end()
    )
    .into_bytes()
}

/// What the server answers; `None` where there is none.
fn ask(server: &str, head: &str, body: &str) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(server).ok()?;
    write!(stream, "{head}Connection: close\r\n\r\n{body}").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}
