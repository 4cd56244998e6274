//! `upswing demo`: a server, and a simulated application that teaches it while somebody watches.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use upswing_domain::{OrganisationId, Role};
use uuid::Uuid;

use super::print_text;
use crate::admin::{Admin, NewKey};
use crate::client::Client;
use crate::config::Settings;
use crate::demo::application;
use crate::demo::tracker::Tracker;
use crate::failure::Failure;
use crate::random::SplitMix64;
use crate::{master_key, server, signals};

const ORGANISATION: &str = "Demonstration";
/// Where the demonstration keeps its keys, so that a second start finds its link still good.
const KEYS_FILE: &str = "demonstration-keys.json";
/// How many questions a second: at first, so that something is to be seen, and then so that the machine stays free.
const RATES: (u32, u32) = (200, 20);
/// How long it is "at first".
const FAST_FOR: Duration = Duration::from_secs(120);
/// How many questions are handled at the same time.
const AT_ONCE: usize = 8;
/// How often the line is renewed: on a terminal, and elsewhere.
const LINE_EVERY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the demonstration's database
    #[arg(long, value_name = "FOLDER", default_value = "upswing-demo")]
    data: PathBuf,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// Handle so many questions as fast as they go, then end with a summary
    #[arg(long = "for", value_name = "QUESTIONS", conflicts_with = "no_simulation")]
    questions: Option<u64>,
    /// Only the server
    #[arg(long)]
    no_simulation: bool,
}

#[derive(Serialize, Deserialize)]
struct Keys {
    organisation: OrganisationId,
    admin: StoredKey,
    member: StoredKey,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    id: Uuid,
    secret: String,
}

/// Serves and simulates until SIGINT or SIGTERM.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let stop = signals::stop()?;
    let settings = Settings::embedded(args.data.clone(), args.listen);
    let keys = prepare_keys(&settings).await?;
    let server = server::start(&settings).await?;
    let url = server.url();
    let done = tokio::select! {
        done = watch(&args, &url, &keys) => done,
        () = stop => Ok(()),
    };
    print_text("\n");
    server.shutdown().await;
    done
}

async fn watch(args: &Args, url: &str, keys: &Keys) -> Result<(), Failure> {
    let agent = application::prepare(&Client::new(url, &keys.admin.secret)?).await?;
    let member = &keys.member.secret;
    print_text(&format!(
        "Upswing, demonstration\n  look here   {url}/#key={member}\n  the API     {url}/docs\n  a key       {member}\n\n"
    ));
    if args.no_simulation {
        return std::future::pending().await;
    }
    print_text("A SIMULATED support desk asks which way of answering to use. Ctrl-C ends it.\n\n");
    let tracker = simulate(&Client::new(url, member)?, agent, args.questions).await?;
    print_text(&format!("\n{}\n", tracker.line()));
    Ok(())
}

/// Question after question: at the rate of the moment, or a number of them as fast as they go.
async fn simulate(client: &Client, agent: Uuid, questions: Option<u64>) -> Result<Tracker, Failure> {
    let begun = Instant::now();
    let mut seeds = SplitMix64::new(Uuid::new_v4().as_u64_pair().0);
    let limit = usize::try_from(questions.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let paced = questions.is_none();
    let arrivals = stream::unfold(tokio::time::Instant::now(), |due| async move {
        if !paced {
            return Some(((), due));
        }
        tokio::time::sleep_until(due).await;
        let rate = if begun.elapsed() < FAST_FOR { RATES.0 } else { RATES.1 };
        // What could not be kept up with is not made up for.
        let next = (due + Duration::from_secs(1) / rate).max(tokio::time::Instant::now());
        Some(((), next))
    });
    let mut handled = std::pin::pin!(
        arrivals
            .take(limit)
            .map(|()| application::handle(client, agent, seeds.next()))
            .buffer_unordered(AT_ONCE)
    );
    let mut tracker = Tracker::default();
    let mut line = LiveLine::new();
    while let Some(one) = handled.try_next().await? {
        tracker.add(one.best, one.reward);
        line.show(&tracker);
    }
    Ok(tracker)
}

/// One line that is written over on a terminal, and lines now and then elsewhere.
struct LiveLine {
    terminal: bool,
    last: Instant,
}

impl LiveLine {
    fn new() -> Self {
        Self { terminal: std::io::stdout().is_terminal(), last: Instant::now() }
    }

    fn show(&mut self, tracker: &Tracker) {
        let every = if self.terminal { LINE_EVERY.0 } else { LINE_EVERY.1 };
        if self.last.elapsed() < every || tracker.decisions() == 0 {
            return;
        }
        self.last = Instant::now();
        if self.terminal {
            // Back to the beginning; no wrapping, or a narrow terminal would fill with lines.
            print_text(&format!("\r\x1b[?7l{}\x1b[K\x1b[?7h", tracker.line()));
        } else {
            print_text(&format!("{}\n", tracker.line()));
        }
    }
}

/// The organisation's two keys, made once.
async fn prepare_keys(settings: &Settings) -> Result<Keys, Failure> {
    let admin = Admin::open(settings, server::now()).await?;
    let keys = find_or_make_keys(&admin, &settings.data.join(KEYS_FILE)).await;
    admin.close().await;
    keys
}

async fn find_or_make_keys(admin: &Admin, path: &Path) -> Result<Keys, Failure> {
    let there = admin.organisations().await?.into_iter().find(|o| o.name == ORGANISATION);
    let organisation = match there {
        Some(organisation) => organisation,
        None => admin.create_organisation(ORGANISATION).await?,
    };
    let stored = std::fs::read_to_string(path).ok().and_then(|text| serde_json::from_str::<Keys>(&text).ok());
    if let Some(keys) = stored.filter(|keys| keys.organisation == organisation.id) {
        let valid = admin.keys(organisation.id).await?;
        let works = |key: &StoredKey| valid.iter().any(|k| k.id.0 == key.id && k.revoked_at.is_none());
        if works(&keys.admin) && works(&keys.member) {
            return Ok(keys);
        }
    }
    let make = async |role: Role| {
        let name = format!("demonstration {}", role.name());
        let new = NewKey { name, role, origins: Vec::new(), expires_at: None };
        let (key, secret) = admin.create_key(organisation.id, new).await?;
        Ok::<_, Failure>(StoredKey { id: key.id.0, secret: secret.expose().to_owned() })
    };
    let keys = Keys {
        organisation: organisation.id,
        admin: make(Role::Admin).await?,
        member: make(Role::Member).await?,
    };
    let text = serde_json::to_string(&keys).map_err(|error| Failure::new(error.to_string()))?;
    master_key::write_secret(path, &text)?;
    Ok(keys)
}
