//! Finds accounts that act in concert, and sees to it that what they say stops teaching. One server at a time, by a lease:
//! it follows what people with an account say about each agent, fits their reputations, and decides who is believed.
//!
//! The learner counts whole observations, so believing is yes or no: who weighs less than [`DISTRUST_BELOW`] is not
//! believed, and is believed again from [`BELIEVE_FROM`] on. The gap keeps accounts on the edge from going to and fro with
//! each fit, and with them the rewards of all they have said.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use upswing_domain::{Context, Position, Pseudonym};
use upswing_store::{AuthorTrust, Checkpoint, Statement, StoreError};
use upswing_trust::{Direction, Item, REPUTATION_VERSION, Refit, Reputation, Weight};

use crate::app::Shared;
use crate::jobs::news::AgentKey;
use crate::registry::AgentEntry;
use crate::runtime::tasks;

/// Below it an account is more likely part of a script than not.
const DISTRUST_BELOW: f64 = 0.5;
/// From it on an account is believed again.
const BELIEVE_FROM: f64 = 0.6;

/// The follower's name, under which checkpoints and the lease stand.
const REPUTATION: &str = "reputation";
const LEASE_SECONDS: i64 = 5;
const RENEW_EVERY: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(50);
/// How often the database is asked for what other servers wrote.
const POLL: Duration = Duration::from_millis(500);
/// A position that moved without a fit is saved at most so often.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// How many statements are read at once.
const PAGE: u64 = 500;
/// How many pages of one agent are read before the others have their turn.
const PAGES: usize = 8;
/// Accounts that are told apart for one agent: some 2 MB of state, and 0.3 s a fit.
const ACCOUNTS: usize = 20_000;
/// Agents whose accounts are kept in memory; those of others are read from their checkpoints.
const REMEMBERED: usize = 256;
/// Decisions about accounts in one transaction.
const CHANGES: usize = 1_000;
/// Fits take at most one part in so many of the time.
const REST: u32 = 5;
/// Values of the agent's first segment that are told apart. With few of them each has enough reports to find a script in.
const SEGMENTS: usize = 7;
/// Statements that wait for their execution; the oldest are given up.
const WAITING: usize = 500;
/// How often it is looked whether what they wait for has come.
const WAIT: Duration = Duration::from_secs(1);

/// Changes when the layout of [`Saved`], or what is counted, changes.
const FORMAT: u16 = 1;

/// What is known of an agent's accounts, beside the accounts themselves.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Everything up to here was looked at.
    #[serde(skip)]
    pub(crate) position: Position,
    /// Accounts that are told apart.
    pub(crate) accounts: u64,
    /// Statements that were counted.
    pub(crate) reports: u64,
    /// The last fit.
    pub(crate) fit: Option<Fit>,
}

/// What a fit found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fit {
    /// Everything up to here was in it.
    pub(crate) position: Position,
    /// A script, where it is likelier than not that there is one.
    pub(crate) script: Option<Script>,
}

/// What accounts in concert do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Script {
    pub(crate) probability: f64,
    pub(crate) share: f64,
    pub(crate) consistency: f64,
    pub(crate) says: Vec<(Item, Direction)>,
}

/// What was found by this server.
pub(crate) type Board = Mutex<HashMap<AgentKey, Summary>>;

/// What a checkpoint holds.
#[derive(Serialize, Deserialize)]
struct Saved {
    format: u16,
    /// Statements were read as rewards under this definition; under another one they are read again.
    definition_version: i64,
    summary: Summary,
    next_fit: u64,
    segments: Vec<String>,
    waiting: Vec<Position>,
    reputation: Vec<u8>,
}

/// One agent's accounts, up to a position.
struct Folded {
    reputation: Reputation,
    summary: Summary,
    definition_version: i64,
    /// After how many reports there is a fit.
    next_fit: u64,
    /// Values of the agent's first segment, in the order in which they came.
    segments: Vec<String>,
    /// Statements about what has not been reported yet.
    waiting: Vec<Position>,
    waited: Instant,
    /// Whether it reads what was said long ago: what a fit half way says holds for nobody now.
    replays: bool,
    rests_until: Instant,
    saved: Instant,
    saved_position: Position,
}

impl Folded {
    fn new(definition_version: i64) -> Self {
        let now = Instant::now();
        Self {
            reputation: Reputation::new(ACCOUNTS),
            summary: Summary::default(),
            definition_version,
            next_fit: 50,
            segments: Vec::new(),
            waiting: Vec::new(),
            waited: now,
            replays: true,
            rests_until: now,
            saved: now,
            saved_position: Position(0),
        }
    }

    /// What a checkpoint holds; `None` where it is another code's, or was read under another definition.
    fn from_checkpoint(checkpoint: &Checkpoint, definition_version: i64) -> Option<Self> {
        let saved: Saved = postcard::from_bytes(&checkpoint.state).ok()?;
        if saved.format != FORMAT || saved.definition_version != definition_version {
            return None;
        }
        Some(Self {
            reputation: Reputation::from_bytes(&saved.reputation).ok()?,
            summary: Summary { position: checkpoint.position, ..saved.summary },
            next_fit: saved.next_fit,
            segments: saved.segments,
            waiting: saved.waiting,
            saved_position: checkpoint.position,
            replays: false,
            ..Self::new(definition_version)
        })
    }

    fn to_checkpoint(&self) -> Checkpoint {
        let saved = Saved {
            format: FORMAT,
            definition_version: self.definition_version,
            summary: self.summary.clone(),
            next_fit: self.next_fit,
            segments: self.segments.clone(),
            waiting: self.waiting.clone(),
            reputation: self.reputation.to_bytes(),
        };
        let made_with = serde_json::json!({
            "code": env!("CARGO_PKG_VERSION"),
            "format": FORMAT,
            "reputation": REPUTATION_VERSION,
            "definition_version": self.definition_version,
        });
        Checkpoint {
            position: self.summary.position,
            revision: self.summary.fit.as_ref().map_or(0, |fit| fit.position.0),
            // Writing plain values to memory does not fail; were it to, the checkpoint would read as damaged.
            state: postcard::to_stdvec(&saved).unwrap_or_default(),
            made_with: made_with.to_string(),
        }
    }

    /// The number of the segment that a context lies in: 0 without one, and one number for all that came late.
    fn segment(&mut self, key: Option<&str>, context: Option<&Context>) -> u16 {
        let value = key.zip(context).and_then(|(key, context)| context.get(key));
        let Some(label) = value.map(|value| value.label()) else { return 0 };
        let known = self.segments.iter().position(|known| *known == label);
        if known.is_none() && self.segments.len() < SEGMENTS {
            self.segments.push(label);
            return u16::try_from(self.segments.len()).unwrap_or(0);
        }
        u16::try_from(known.unwrap_or(SEGMENTS) + 1).unwrap_or(0)
    }

    /// Counts what was said. Also what does not teach is counted: an account that is not believed shows by what it says
    /// whether it deserves it.
    fn observe(&mut self, key: Option<&str>, statement: &Statement) {
        let Some(version) = statement.version else {
            if self.waiting.len() >= WAITING {
                self.waiting.remove(0);
            }
            self.waiting.push(statement.position);
            return;
        };
        if statement.old == statement.new {
            return;
        }
        let segment = self.segment(key, statement.context.as_ref());
        self.reputation.observe(statement.author, Item { version, segment }, statement.old, statement.new);
        self.summary.reports += 1;
        self.summary.accounts = self.reputation.accounts() as u64;
    }

    /// Makes room when there are more items than can be told apart: what serves no longer is forgotten first.
    fn make_room(&mut self, agent: &AgentEntry) {
        let serving = agent.serving();
        let versions = &serving.state.versions;
        if versions.len() * (self.segments.len() + 1) > Reputation::MAX_ITEMS {
            for version in versions.iter().filter(|version| !version.eligible) {
                self.reputation.forget(version.id);
            }
        }
    }

    /// Notes what a fit found.
    fn fitted(&mut self, found: &Refit) {
        let script = found.suspicion.as_ref().map(|suspicion| Script {
            probability: suspicion.certainty,
            share: suspicion.share,
            consistency: suspicion.consistency,
            says: suspicion.script.clone(),
        });
        self.summary.fit = Some(Fit { position: self.summary.position, script });
        self.next_fit = self.summary.reports + (self.summary.reports / 4).clamp(50, 500);
    }
}

/// Who is to be believed otherwise than it is now. Of whom the fit does not know it says nothing.
fn changes(
    reputation: &Reputation,
    found: &Refit,
    decided: &BTreeMap<Pseudonym, AuthorTrust>,
    now: upswing_domain::Timestamp,
) -> Vec<AuthorTrust> {
    let judged = |author: Pseudonym, weight: Weight, limit: f64| AuthorTrust {
        author,
        weight: weight.millionths().into(),
        distrusted: weight.get() < limit,
        decided_at: now,
    };
    let before = decided.values().filter(|known| reputation.knows(known.author)).map(|known| {
        let limit = if known.distrusted { BELIEVE_FROM } else { DISTRUST_BELOW };
        (judged(known.author, reputation.weight(known.author), limit), Some(known))
    });
    let fresh = found.changed.iter().filter(|change| !decided.contains_key(&change.account));
    let fresh = fresh.map(|change| (judged(change.account, change.new, DISTRUST_BELOW), None));
    let differs = |(new, known): &(AuthorTrust, Option<&AuthorTrust>)| match known {
        Some(known) => (new.weight, new.distrusted) != (known.weight, known.distrusted),
        // Who was always believed needs no row.
        None => new.distrusted,
    };
    before.chain(fresh).filter(differs).map(|(new, _)| new).collect()
}

/// What was found about an agent: by this server, or as the one that looks has last saved it.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn summary(app: &Shared, key: AgentKey) -> Result<Summary, StoreError> {
    let here = app.reputations.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    if let Some(summary) = here {
        return Ok(summary);
    }
    let checkpoint = app.store.checkpoint(key.0, key.1, REPUTATION).await?;
    let saved = checkpoint.and_then(|checkpoint| {
        let saved: Saved = postcard::from_bytes(&checkpoint.state).ok()?;
        (saved.format == FORMAT).then_some(Summary { position: checkpoint.position, ..saved.summary })
    });
    Ok(saved.unwrap_or_default())
}

struct Reputations {
    app: Shared,
    fence: Option<i64>,
    renewed: Option<Instant>,
    polled: Instant,
    agents: HashMap<AgentKey, Folded>,
    /// Agents with decisions that their feedback may not have followed yet.
    unsettled: HashSet<AgentKey>,
}

pub(crate) async fn run(app: Shared) {
    let mut stop = app.tasks.stop_signal();
    let mut job = Reputations {
        app,
        fence: None,
        renewed: None,
        polled: Instant::now(),
        agents: HashMap::new(),
        unsettled: HashSet::new(),
    };
    loop {
        match job.turn().await {
            Ok(()) => {}
            Err(StoreError::LeaseLost) => job.lose_lease(),
            Err(error) => tracing::warn!(%error, "reputations wait"),
        }
        tokio::select! {
            () = stop.requested() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    if job.fence.is_some()
        && let Err(error) = job.app.store.release_lease(REPUTATION, &job.app.instance).await
    {
        tracing::debug!(%error, "the lease runs out by itself");
    }
}

impl Reputations {
    async fn turn(&mut self) -> Result<(), StoreError> {
        // While the database is away each write holds up those behind it, which are somebody's requests.
        if !self.app.store.queue().connected {
            return Ok(());
        }
        if self.renewed.is_none_or(|at| at.elapsed() >= RENEW_EVERY) {
            let app = &self.app;
            let held = app.store.lease(REPUTATION, &app.instance, app.now(), LEASE_SECONDS).await?;
            self.renewed = Some(Instant::now());
            match held {
                None => self.lose_lease(),
                Some(_) if held == self.fence => {}
                Some(_) => {
                    self.lose_lease();
                    self.fence = held;
                    if let Err(error) = self.take_over().await {
                        // Taken over again with the next renewal.
                        self.fence = None;
                        return Err(error);
                    }
                }
            }
        }
        if self.fence.is_none() || !self.app.reputation {
            drop(self.app.news.reputation.take());
        } else {
            self.look().await?;
        }
        if self.fence.is_some() {
            self.settle().await?;
        }
        Ok(())
    }

    /// Begins with whatever came in, and was left half done, while nobody looked.
    async fn take_over(&mut self) -> Result<(), StoreError> {
        for organisation in self.app.registry.organisations() {
            let left = self.app.store.unsettled_trust(organisation).await?;
            self.unsettled.extend(left.into_iter().map(|agent| (organisation, agent)));
        }
        let all = self.app.registry.all_agents();
        let all = all.iter().map(|agent| (agent.organisation, agent.id));
        if self.app.reputation {
            self.app.news.reputation.add(all.map(|key| (key, Position(0))));
            return Ok(());
        }
        self.give_back(all.collect()).await
    }

    fn lose_lease(&mut self) {
        self.fence = None;
        self.agents.clear();
        self.app.reputations.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn lease(&self) -> Result<(String, String, i64), StoreError> {
        let fence = self.fence.ok_or(StoreError::LeaseLost)?;
        Ok((REPUTATION.to_owned(), self.app.instance.clone(), fence))
    }

    /// Reads what is new of each agent.
    async fn look(&mut self) -> Result<(), StoreError> {
        if self.app.shared_database && self.polled.elapsed() >= POLL {
            self.polled = Instant::now();
            let news = self.app.store.news(self.app.registry.organisations()).await?;
            let entries = news.iter().map(|n| ((n.organisation, n.agent), n.position));
            let ahead = |(key, position): &(AgentKey, Position)| {
                self.agents.get(key).is_none_or(|folded| folded.summary.position < *position)
            };
            let entries: Vec<_> = entries.filter(ahead).collect();
            self.app.news.reputation.add(entries);
        }
        let mut work = self.app.news.reputation.take();
        while let Some(key) = work.keys().next().copied() {
            if self.app.stopping.load(Relaxed) {
                return Ok(());
            }
            let target = work.remove(&key).unwrap_or_default();
            match self.advance(key, target).await {
                Ok(true) => {}
                Ok(false) => self.app.news.reputation.add([(key, target)]),
                Err(error) => {
                    // What the database did not take is folded again from the checkpoint.
                    self.agents.remove(&key);
                    work.insert(key, target);
                    self.app.news.reputation.add(work);
                    return Err(error);
                }
            }
            if self.agents.len() > REMEMBERED {
                self.put_away().await?;
            }
        }
        Ok(())
    }

    /// Makes room for other agents' accounts: what is in no checkpoint is saved. Who reads what was said long ago has none
    /// yet, and stays.
    async fn put_away(&mut self) -> Result<(), StoreError> {
        for (key, mut folded) in std::mem::take(&mut self.agents) {
            if folded.replays {
                self.agents.insert(key, folded);
            } else if folded.summary.position > folded.saved_position {
                self.save(key, &mut folded, Vec::new()).await?;
            }
        }
        Ok(())
    }

    /// Reads on until there is nothing more, or others should have their turn; whether there is nothing more.
    async fn advance(&mut self, key: AgentKey, target: Position) -> Result<bool, StoreError> {
        // Made by another server a moment ago: its next statement brings it up again.
        let Some(agent) = self.app.registry.agent(key.0, key.1) else { return Ok(true) };
        let (definition_version, segment) = {
            let serving = agent.serving();
            let known = &serving.state.agent;
            (known.definition_version, known.segments.first().cloned())
        };
        let mut folded = match self.agents.remove(&key) {
            Some(folded) if folded.definition_version == definition_version => folded,
            _ => {
                let checkpoint = self.app.store.checkpoint(key.0, key.1, REPUTATION).await?;
                let restored = checkpoint.and_then(|c| Folded::from_checkpoint(&c, definition_version));
                restored.unwrap_or_else(|| Folded::new(definition_version))
            }
        };
        let store = self.app.store.clone();
        let segment = segment.as_deref();
        let checks = folded.waited.elapsed() >= WAIT;
        if checks && !folded.waiting.is_empty() {
            let waiting = std::mem::take(&mut folded.waiting);
            for statement in store.statements_at(key.0, key.1, waiting).await? {
                folded.observe(segment, &statement);
            }
            folded.waited = Instant::now();
        }
        let mut complete = false;
        for _ in 0..PAGES {
            // No further than to the next fit, so that after a restart fits fall behind the same reports.
            let due = folded.next_fit.saturating_sub(folded.summary.reports);
            let rests = Instant::now() < folded.rests_until;
            let limit = if rests || due == 0 { PAGE } else { due.min(PAGE) } as usize;
            let statements = store.statements(key.0, key.1, (folded.summary.position, target), limit).await?;
            for statement in &statements {
                folded.observe(segment, statement);
            }
            complete = statements.len() < limit;
            if let Some(last) = statements.last() {
                folded.summary.position = last.position;
            }
            if complete {
                // What brought the news was said by nobody with an account.
                folded.summary.position = folded.summary.position.max(target);
                folded.replays = false;
            }
            if folded.summary.reports >= folded.next_fit && !rests && !folded.replays {
                folded = self.fit(key, &agent, folded).await?;
            }
            if complete {
                break;
            }
        }
        let moved = folded.summary.position > folded.saved_position;
        if moved && !folded.replays && folded.saved.elapsed() >= SAVE_EVERY {
            self.save(key, &mut folded, Vec::new()).await?;
        }
        // A fit that was put off, and what waits, are looked at again without news.
        let again = folded.summary.reports >= folded.next_fit || !(folded.waiting.is_empty() || checks);
        let board = &self.app.reputations;
        board.lock().unwrap_or_else(PoisonError::into_inner).insert(key, folded.summary.clone());
        self.agents.insert(key, folded);
        Ok(complete && !again)
    }

    /// Fits, decides, and saves both together.
    async fn fit(
        &mut self,
        key: AgentKey,
        agent: &AgentEntry,
        mut folded: Folded,
    ) -> Result<Folded, StoreError> {
        folded.make_room(agent);
        let began = Instant::now();
        let (mut folded, found) = tasks::compute(move || {
            let found = folded.reputation.refit();
            (folded, found)
        })
        .await
        .map_err(|e| StoreError::Corrupt(format!("fitting reputations: {e}")))?;
        folded.rests_until = Instant::now() + began.elapsed() * (REST - 1);
        folded.fitted(&found);
        let decided = self.decided(key).await?;
        let changes = changes(&folded.reputation, &found, &decided, self.app.now());
        self.save(key, &mut folded, changes.clone()).await?;
        let was = |change: &AuthorTrust| decided.get(&change.author).is_some_and(|known| known.distrusted);
        let turned = |to: bool| {
            changes.iter().filter(|change| change.distrusted == to && was(change) != to).count() as u64
        };
        let (lost, restored) = (turned(true), turned(false));
        let counts = &self.app.counts;
        counts.reputation_fits.fetch_add(1, Relaxed);
        counts.accounts_distrusted.fetch_add(lost, Relaxed);
        counts.accounts_restored.fetch_add(restored, Relaxed);
        if lost + restored > 0 {
            tracing::info!(agent = %key.1, lost, restored, "accounts in concert");
        }
        Ok(folded)
    }

    /// Everybody who was decided about.
    async fn decided(&self, key: AgentKey) -> Result<BTreeMap<Pseudonym, AuthorTrust>, StoreError> {
        let mut decided = BTreeMap::new();
        loop {
            let after = decided.keys().next_back().copied();
            let page = self.app.store.author_trust(key.0, key.1, after, false, CHANGES).await?;
            let complete = page.len() < CHANGES;
            decided.extend(page.into_iter().map(|trust| (trust.author, trust)));
            if complete {
                return Ok(decided);
            }
        }
    }

    /// Writes decisions, the last of them together with the state that led to them. A crash before that leads to the same
    /// decisions again, which then are nothing new.
    async fn save(
        &mut self,
        key: AgentKey,
        folded: &mut Folded,
        mut changes: Vec<AuthorTrust>,
    ) -> Result<(), StoreError> {
        if !changes.is_empty() {
            self.unsettled.insert(key);
        }
        while changes.len() > CHANGES {
            let piece = changes.split_off(changes.len() - CHANGES);
            self.set(key, piece, None).await?;
        }
        self.set(key, changes, Some(folded.to_checkpoint())).await?;
        folded.saved = Instant::now();
        folded.saved_position = folded.summary.position;
        Ok(())
    }

    async fn set(
        &self,
        key: AgentKey,
        changes: Vec<AuthorTrust>,
        state: Option<Checkpoint>,
    ) -> Result<(), StoreError> {
        self.app.store.set_trust(key.0, key.1, self.lease()?, self.app.now(), changes, state).await
    }

    /// Nobody looks for accounts in concert any more: what was taken is given back.
    async fn give_back(&mut self, all: Vec<AgentKey>) -> Result<(), StoreError> {
        for key in all {
            let now = self.app.now();
            let taken = self.decided(key).await?.into_values().filter(|trust| trust.distrusted);
            let weight = Weight::ONE.millionths().into();
            let changes: Vec<_> = taken
                .map(|trust| AuthorTrust { weight, distrusted: false, decided_at: now, ..trust })
                .collect();
            for piece in changes.chunks(CHANGES) {
                self.set(key, piece.to_vec(), None).await?;
                self.unsettled.insert(key);
            }
        }
        Ok(())
    }

    /// Lets the feedback follow what was decided.
    async fn settle(&mut self) -> Result<(), StoreError> {
        for key in self.unsettled.clone() {
            if self.app.stopping.load(Relaxed) {
                return Ok(());
            }
            let mut pieces = PAGES;
            while pieces > 0 && !self.app.store.settle_trust(key.0, key.1, self.app.now()).await? {
                pieces -= 1;
            }
            if pieces > 0 {
                self.unsettled.remove(&key);
            }
        }
        Ok(())
    }
}
