//! The write path: one queue, one writer, group commit.
//!
//! The writer never lets anybody wait so that it can gather: it takes what is queued when the previous commit ends. Only what
//! nobody waits for, decisions, is gathered for a moment. It is a thread with a connection of its own, the only writing one on
//! SQLite; the logic is the same on both engines.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use upswing_domain::ConsentRule;

use crate::collect::{Draft, Item, Meanwhile, Remembered, Rules, write_batch};
use crate::engine::{Connection, Postgres, Sqlite};
use crate::recent::{Lately, Recent};
use crate::{Ack, AuditSeal, ContentHash, Listener, News, QueueStatus, StoreError};

/// The most events in one commit.
const BATCH: usize = 1000;
/// How long events that nobody waits for are gathered, so that more of them share the price of a commit; no longer than until
/// somebody waits.
const UNHURRIED: Duration = Duration::from_millis(5);
/// How long what could not be written because the database was away is kept before its callers are told.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a database may have been away before administrative writes are told at once: leases and checkpoints, which are
/// tried again anyway, must not each hold up the events behind them.
const JOB_PATIENCE: Duration = Duration::from_secs(1);

/// Where the database is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Place {
    pub(crate) async fn connect(&self, write: bool) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(path) if write => Sqlite::open_writer(path).map(Connection::sqlite),
            Self::Sqlite(path) => Sqlite::open_reader(path).map(Connection::sqlite),
            Self::Postgres(url) if write => Postgres::connect_writer(url).await.map(Connection::postgres),
            Self::Postgres(url) => Postgres::connect(url).await.map(Connection::postgres),
        }
    }
}

/// An administrative write: performs its own transaction and answers its caller.
pub(crate) trait Job: Send {
    /// The flag says whether the connection can still be used.
    fn perform<'a>(self: Box<Self>, connection: &'a mut Connection) -> BoxFuture<'a, bool>;
    fn refuse(self: Box<Self>, error: StoreError);
}

enum Command {
    Events {
        items: Vec<Item>,
        reply: Option<oneshot::Sender<Result<Vec<Ack>, StoreError>>>,
        permit: OwnedSemaphorePermit,
    },
    Job(Box<dyn Job>),
}

/// The queue's near end.
pub(crate) struct Writer {
    queue: mpsc::UnboundedSender<Command>,
    room: Arc<Semaphore>,
    capacity: usize,
    shared: Arc<Shared>,
    /// The writer's, to be woken while it gathers.
    thread: std::thread::Thread,
}

#[derive(Default)]
struct Shared {
    listeners: OnceLock<Listener>,
    commits: AtomicU64,
    batches: AtomicU64,
    by_heart: AtomicU64,
    busy_nanoseconds: AtomicU64,
    written: AtomicU64,
    refused: AtomicU64,
    connected: AtomicBool,
    closing: AtomicBool,
    done: Mutex<Option<oneshot::Receiver<()>>>,
    durability: Mutex<Vec<(String, String)>>,
}

impl Shared {
    fn announce(&self, news: &[News]) {
        if let (false, Some(listener)) = (news.is_empty(), self.listeners.get()) {
            listener(news);
        }
    }
}

impl Writer {
    pub(crate) fn start(
        place: &Place,
        mut connection: Connection,
        capacity: usize,
        content_hash: Arc<ContentHash>,
        audit_seal: Arc<AuditSeal>,
        consent: ConsentRule,
        recent: Arc<Recent>,
    ) -> Result<Self, StoreError> {
        let (queue, commands) = mpsc::unbounded_channel();
        let (finished, done) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        shared.connected.store(true, Relaxed);
        *lock(&shared.done) = Some(done);
        connection.seal_audit_with(&audit_seal);
        let far = FarEnd {
            place: place.clone(),
            connection: Some(connection),
            commands,
            waiting: VecDeque::new(),
            next: None,
            remembered: Remembered::default(),
            rules: Rules { content_hash, consent },
            audit_seal,
            recent,
            unpublished: Unpublished::default(),
            shared: shared.clone(),
            away: None,
        };
        let thread = match place {
            Place::Sqlite(_) => {
                let run = move || {
                    // Nothing in here waits: the queue is received blocking, and SQLite's calls answer at once.
                    let mut far = far;
                    while let Some(command) = far.next_blocking() {
                        let worked = far.work(command).now_or_never();
                        debug_assert!(worked.is_some(), "SQLite does not suspend");
                    }
                    drop(far);
                    let _ = finished.send(());
                };
                thread(run)?
            }
            Place::Postgres(_) => {
                // A thread, not a task: between its round trips the writer would stand in line behind every request
                // that waits for it.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(cannot_start)?;
                let run = move || {
                    // What drives a connection lives where the connection was made.
                    let mut far = FarEnd { connection: None, ..far };
                    runtime.block_on(async {
                        while let Some(command) = far.next().await {
                            far.work(command).await;
                            // Begun while that was written.
                            while let Some(batch) = far.next.take() {
                                far.gather(batch).await;
                            }
                        }
                    });
                    drop(far);
                    let _ = finished.send(());
                };
                thread(run)?
            }
        };
        Ok(Self { queue, room: Arc::new(Semaphore::new(capacity)), capacity, shared, thread })
    }

    /// Queues events and waits until they are on disk.
    pub(crate) async fn write(&self, items: Vec<Item>) -> Result<Vec<Ack>, StoreError> {
        let permit = self.room(items.len(), Duration::ZERO).await?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Events { items, reply: Some(reply), permit })?;
        answer.await.map_err(|_| StoreError::Closing)?
    }

    /// Queues events without waiting for the disk.
    pub(crate) async fn record(&self, items: Vec<Item>, patience: Duration) -> Result<(), StoreError> {
        let permit = self.room(items.len(), patience).await?;
        self.send(Command::Events { items, reply: None, permit })
    }

    /// Room in the queue for a write with a transaction of its own; it is free again when this is dropped.
    ///
    /// # Errors
    /// `QueueFull` at once when there is none.
    pub(crate) async fn reserve(&self, items: usize) -> Result<OwnedSemaphorePermit, StoreError> {
        self.room(items, Duration::ZERO).await
    }

    pub(crate) fn run(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.send(Command::Job(job))
    }

    async fn room(&self, items: usize, patience: Duration) -> Result<OwnedSemaphorePermit, StoreError> {
        let full = || StoreError::QueueFull { capacity: self.capacity };
        let count = u32::try_from(items.clamp(1, self.capacity)).map_err(|_| full())?;
        match self.room.clone().try_acquire_many_owned(count) {
            Ok(permit) => Ok(permit),
            Err(tokio::sync::TryAcquireError::Closed) => Err(StoreError::Closing),
            Err(tokio::sync::TryAcquireError::NoPermits) if patience.is_zero() => Err(full()),
            Err(tokio::sync::TryAcquireError::NoPermits) => {
                let acquired =
                    tokio::time::timeout(patience, self.room.clone().acquire_many_owned(count)).await;
                acquired.map_err(|_| full())?.map_err(|_| StoreError::Closing)
            }
        }
    }

    fn send(&self, command: Command) -> Result<(), StoreError> {
        if self.shared.closing.load(Relaxed) {
            return Err(StoreError::Closing);
        }
        let awaited = !matches!(command, Command::Events { reply: None, .. });
        self.queue.send(command).map_err(|_| StoreError::Closing)?;
        if awaited {
            self.thread.unpark();
        }
        Ok(())
    }

    pub(crate) fn listen(&self, listener: Listener) -> Result<(), StoreError> {
        let twice = || StoreError::Configuration("the store already has a listener".to_owned());
        self.shared.listeners.set(listener).map_err(|_| twice())
    }

    pub(crate) fn status(&self) -> QueueStatus {
        QueueStatus {
            queued: self.capacity - self.room.available_permits().min(self.capacity),
            capacity: self.capacity,
            commits: self.shared.commits.load(Relaxed),
            batches: self.shared.batches.load(Relaxed),
            by_heart: self.shared.by_heart.load(Relaxed),
            busy: Duration::from_nanos(self.shared.busy_nanoseconds.load(Relaxed)),
            written: self.shared.written.load(Relaxed),
            refused: self.shared.refused.load(Relaxed),
            connected: self.shared.connected.load(Relaxed),
        }
    }

    /// What the live writing connection says about durability; asked anew at each connection.
    pub(crate) fn durability(&self) -> Vec<(String, String)> {
        lock(&self.shared.durability).clone()
    }

    /// Refuses what comes, writes what is queued, and returns when the writer has ended.
    pub(crate) async fn close(&self) {
        struct Last(oneshot::Sender<()>);
        impl Job for Last {
            fn perform<'a>(self: Box<Self>, _: &'a mut Connection) -> BoxFuture<'a, bool> {
                let _ = self.0.send(());
                async { true }.boxed()
            }
            fn refuse(self: Box<Self>, _: StoreError) {
                let _ = self.0.send(());
            }
        }
        if self.shared.closing.swap(true, Relaxed) {
            return;
        }
        let (last, drained) = oneshot::channel();
        if self.queue.send(Command::Job(Box::new(Last(last)))).is_ok() {
            self.thread.unpark();
            let _ = drained.await;
        }
        self.room.close();
        let done = lock(&self.shared.done).take();
        if let Some(done) = done {
            let _ = done.await;
        }
    }
}

fn thread(run: impl FnOnce() + Send + 'static) -> Result<std::thread::Thread, StoreError> {
    let thread = std::thread::Builder::new().name("upswing-writer".to_owned()).spawn(run);
    thread.map(|handle| handle.thread().clone()).map_err(cannot_start)
}

fn cannot_start(error: std::io::Error) -> StoreError {
    StoreError::Configuration(format!("cannot start the writer: {error}"))
}

/// The queue's far end: what the writing thread owns.
struct FarEnd {
    place: Place,
    connection: Option<Connection>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// Taken from the queue, not yet worked on.
    waiting: VecDeque<Command>,
    /// The next batch, as far as it has come while the one before was being written.
    next: Option<Batch>,
    remembered: Remembered,
    rules: Rules,
    audit_seal: Arc<AuditSeal>,
    recent: Arc<Recent>,
    /// What was committed, of which followers have not heard: those who wait for their acknowledgements come first.
    unpublished: Unpublished,
    shared: Arc<Shared>,
    /// Since when the database has been away.
    away: Option<Instant>,
}

/// What was committed, and told to nobody but those who wrote it.
#[derive(Default)]
struct Unpublished {
    lately: Vec<Lately>,
    news: Vec<News>,
}

impl Unpublished {
    /// Tells followers, and is empty then.
    fn publish(&mut self, recent: &Recent, shared: &Shared) {
        std::mem::take(&mut self.lately).into_iter().for_each(|lately| recent.append(lately));
        shared.announce(&std::mem::take(&mut self.news));
    }
}

/// Whom to answer.
type Reply = Option<oneshot::Sender<Result<Vec<Ack>, StoreError>>>;

/// What goes to the disk together.
struct Batch {
    items: Vec<Item>,
    draft: Draft,
    /// Who waits for how many of the items, in their order.
    waiting: Vec<(usize, Reply, OwnedSemaphorePermit)>,
}

impl Batch {
    fn new(remembered: &Remembered) -> Self {
        Self { items: Vec::new(), draft: Draft::new(remembered), waiting: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.items.len() >= BATCH
    }

    /// Whether somebody waits until it is written.
    fn is_awaited(&self) -> bool {
        self.waiting.iter().any(|(_, reply, _)| reply.is_some())
    }

    fn add(
        &mut self,
        (items, reply, permit): (Vec<Item>, Reply, OwnedSemaphorePermit),
        remembered: &Remembered,
        rules: &Rules,
    ) {
        items.iter().for_each(|item| self.draft.add(item, remembered, rules));
        self.waiting.push((items.len(), reply, permit));
        self.items.extend(items);
    }
}

/// Tells followers of the last batch, and begins the next one, while one is being written.
struct Ahead<'a> {
    unpublished: &'a mut Unpublished,
    recent: &'a Recent,
    shared: &'a Shared,
    commands: &'a mut mpsc::UnboundedReceiver<Command>,
    waiting: &'a mut VecDeque<Command>,
    next: &'a mut Option<Batch>,
    rules: &'a Rules,
}

impl Meanwhile for Ahead<'_> {
    fn work<'a>(&'a mut self, remembered: &'a Remembered) -> BoxFuture<'a, ()> {
        async move {
            self.unpublished.publish(self.recent, self.shared);
            while self.waiting.is_empty() && !self.next.as_ref().is_some_and(Batch::is_full) {
                match self.commands.recv().await {
                    Some(Command::Events { items, reply, permit }) => {
                        let next = self.next.get_or_insert_with(|| Batch::new(remembered));
                        next.add((items, reply, permit), remembered, self.rules);
                    }
                    Some(job) => self.waiting.push_back(job),
                    None => return,
                }
            }
        }
        .boxed()
    }
}

impl FarEnd {
    fn next_blocking(&mut self) -> Option<Command> {
        if self.waiting.is_empty() && self.shared.closing.load(Relaxed) && self.commands.is_empty() {
            return None;
        }
        self.waiting.pop_front().or_else(|| self.commands.blocking_recv())
    }

    async fn next(&mut self) -> Option<Command> {
        if self.waiting.is_empty() && self.shared.closing.load(Relaxed) && self.commands.is_empty() {
            return None;
        }
        match self.waiting.pop_front() {
            Some(command) => Some(command),
            None => self.commands.recv().await,
        }
    }

    async fn work(&mut self, command: Command) {
        match command {
            Command::Job(job) => self.perform(job).await,
            Command::Events { items, reply, permit } => {
                let mut batch = Batch::new(&self.remembered);
                batch.add((items, reply, permit), &self.remembered, &self.rules);
                self.gather(batch).await;
            }
        }
    }

    /// Adds what is queued, for a moment also what comes while nobody waits, and writes.
    async fn gather(&mut self, mut batch: Batch) {
        let until = Instant::now() + UNHURRIED;
        while !batch.is_full() {
            match self.waiting.pop_front().map_or_else(|| self.commands.try_recv(), Ok) {
                Ok(Command::Events { items, reply, permit }) => {
                    batch.add((items, reply, permit), &self.remembered, &self.rules);
                }
                Ok(job) => {
                    self.waiting.push_back(job);
                    break;
                }
                Err(_) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() || batch.is_awaited() || self.shared.closing.load(Relaxed) {
                        break;
                    }
                    // Followers do not wait for what is gathered.
                    self.unpublished.publish(&self.recent, &self.shared);
                    // Whoever waits for what they send wakes it. Nothing is under way on this thread meanwhile.
                    std::thread::park_timeout(left);
                }
            }
        }
        self.write(batch).await;
    }

    async fn perform(&mut self, job: Box<dyn Job>) {
        let until = match &self.connection {
            Some(connection) if !connection.is_broken() => Instant::now() + PATIENCE,
            _ => *self.away.get_or_insert_with(Instant::now) + JOB_PATIENCE,
        };
        match self.connected(until).await {
            Err(error) => job.refuse(error),
            Ok(connection) => {
                let usable = job.perform(connection).await;
                let news = connection.take_news();
                self.shared.commits.fetch_add(1, Relaxed);
                self.shared.announce(&news);
                if !usable {
                    self.lose();
                }
            }
        }
    }

    async fn write(&mut self, batch: Batch) {
        let Batch { items, draft, waiting } = batch;
        let began = Instant::now();
        let outcome = self.write_with_patience(&items, draft).await;
        let busy = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.shared.busy_nanoseconds.fetch_add(busy, Relaxed);
        self.shared.batches.fetch_add(1, Relaxed);
        let mut acks = match outcome {
            Ok(acks) => acks.into_iter(),
            Err(error) => {
                for (_, reply, _permit) in waiting {
                    if let Some(reply) = reply {
                        let _ = reply.send(Err(error.clone()));
                    }
                }
                self.publish();
                return;
            }
        };
        for (length, reply, _permit) in waiting {
            let mine: Vec<_> = acks.by_ref().take(length).collect();
            let refused = mine.iter().filter(|a| matches!(a, Ack::Refused(_))).count() as u64;
            let written = mine.iter().filter(|a| matches!(a, Ack::Stored { .. })).count() as u64;
            self.shared.refused.fetch_add(refused, Relaxed);
            self.shared.written.fetch_add(written, Relaxed);
            match reply {
                Some(reply) => drop(reply.send(Ok(mine))),
                None if refused > 0 => tracing::warn!(refused, "the database refused decisions"),
                None => {}
            }
        }
        // What is planned already comes first: followers are told while that is written. What has to ask may take longer.
        if self.next.as_ref().is_none_or(|next| !next.draft.is_by_heart()) {
            self.publish();
        }
    }

    /// Tells followers of what was committed.
    fn publish(&mut self) {
        self.unpublished.publish(&self.recent, &self.shared);
        if let Some(connection) = &mut self.connection {
            connection.do_rest();
        }
    }

    /// Writes, and again when the connection was lost: events are known by their ids, so nothing is written twice.
    async fn write_with_patience(&mut self, items: &[Item], draft: Draft) -> Result<Vec<Ack>, StoreError> {
        let until = Instant::now() + PATIENCE;
        let mut draft = Some(draft);
        loop {
            self.connected(until).await?;
            match self.write_or_bisect(items, draft.take()).await {
                Err(error @ StoreError::Unavailable(_)) if Instant::now() >= until => return Err(error),
                Err(StoreError::Unavailable(reason)) => {
                    tracing::warn!(reason, "the database is away; the batch is kept and tried again");
                    self.publish();
                    self.roll_back_or_lose().await;
                }
                Err(StoreError::Closing) => return Err(StoreError::Closing),
                other => return other,
            }
        }
    }

    /// A bad row fails alone: a batch that is refused is halved until the row is found.
    fn write_or_bisect<'a>(
        &'a mut self,
        items: &'a [Item],
        draft: Option<Draft>,
    ) -> BoxFuture<'a, Result<Vec<Ack>, StoreError>> {
        async move {
            let Self { commands, waiting, next, rules, connection, remembered, .. } = self;
            let Self { unpublished, recent, shared, .. } = self;
            let connection = connection.as_mut().ok_or(StoreError::Closing)?;
            let rules = &*rules;
            let mut ahead = Ahead { unpublished, recent, shared, commands, waiting, next, rules };
            match write_batch(connection, remembered, rules, (items, draft), &mut ahead).await {
                Ok(written) => {
                    self.unpublished.news.extend(connection.take_news());
                    self.unpublished.lately.extend(written.lately);
                    self.shared.commits.fetch_add(1, Relaxed);
                    self.shared.by_heart.fetch_add(u64::from(written.by_heart), Relaxed);
                    Ok(written.acks)
                }
                Err(error @ (StoreError::Unavailable(_) | StoreError::Closing)) => Err(error),
                Err(error) => {
                    if connection.roll_back().await.is_err() {
                        self.lose();
                        return Err(StoreError::Unavailable(error.to_string()));
                    }
                    if let [_] = items {
                        tracing::warn!(%error, "the database refused an event");
                        return Ok(vec![Ack::Refused(error.to_string())]);
                    }
                    let (left, right) = items.split_at(items.len() / 2);
                    let mut acks = self.write_or_bisect(left, None).await?;
                    acks.extend(self.write_or_bisect(right, None).await?);
                    Ok(acks)
                }
            }
        }
        .boxed()
    }

    async fn roll_back_or_lose(&mut self) {
        let lost = match self.connection.as_mut() {
            Some(connection) => connection.is_broken() || connection.roll_back().await.is_err(),
            None => true,
        };
        if lost {
            self.lose();
        }
        if let Place::Sqlite(_) = self.place {
            // A full disk or a lock: not helped by asking at once. The thread is the writer's own.
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    fn lose(&mut self) {
        // Who knows what answers next.
        self.remembered.forget_all();
        if !matches!(self.place, Place::Sqlite(_)) {
            self.connection = None;
            self.shared.connected.store(false, Relaxed);
        }
    }

    /// The connection, made again if it was lost.
    async fn connected(&mut self, until: Instant) -> Result<&mut Connection, StoreError> {
        let mut pause = Duration::from_millis(20);
        while self.connection.as_ref().is_none_or(Connection::is_broken) {
            self.lose();
            self.away.get_or_insert_with(Instant::now);
            match self.place.connect(true).await {
                Ok(mut connection) => {
                    connection.seal_audit_with(&self.audit_seal);
                    self.connection = Some(connection);
                }
                Err(error) if Instant::now() >= until => return Err(unavailable(error)),
                Err(_) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
        self.away = None;
        let connection = self.connection.as_mut().ok_or(StoreError::Closing)?;
        if lock(&self.shared.durability).is_empty() || !self.shared.connected.load(Relaxed) {
            let settings = connection.durability().await?;
            if let Some((name, value)) = settings.iter().find(|(name, value)| !is_durable(name, value)) {
                let message = format!("{name} is {value}: what is acknowledged would not survive a crash");
                return Err(StoreError::Unavailable(message));
            }
            *lock(&self.shared.durability) = settings;
            self.shared.connected.store(true, Relaxed);
        }
        Ok(connection)
    }
}

/// Whether a setting keeps the promise that what was acknowledged is on disk.
pub(crate) fn is_durable(name: &str, value: &str) -> bool {
    match name {
        "journal_mode" => value == "wal",
        // FULL flushes the log with every commit; EXTRA more than that.
        "synchronous" => value == "2" || value == "3",
        "synchronous_commit" => value != "off",
        "fsync" | "full_page_writes" => value == "on",
        _ => true,
    }
}

/// A connection that cannot be made, for whatever reason, is a database that is away.
pub(crate) fn unavailable(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(_) => error,
        other => StoreError::Unavailable(other.to_string()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
