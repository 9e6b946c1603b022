//! The one connection that writes. Commands queue up while a commit is on its way to the disk, and share the next one.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::lock::InstanceLock;
use crate::store::{JobKey, Result, Signals, StoreError, Timing};

/// Commands in one transaction at most. A commit to disk costs as much as some ten commands, so beyond this little is
/// gained, while the first of the group waits for the last.
const MOST_GROUPED: usize = 64;

/// Commands that wait for the writer before their senders do.
const MOST_WAITING: usize = 1024;

/// One write. It may run twice, if another command of its group fails: nothing that it did the first time is then kept.
#[async_trait]
pub(super) trait Command: Send + Sync + 'static {
    /// What its sender is told once it is committed.
    type Answer: Send + 'static;

    /// Reads and writes within a transaction.
    async fn run(&self, work: &mut Work) -> Result<Self::Answer>;

    /// What undoes it if its sender has gone away meanwhile.
    fn unheard(&self, _answer: Self::Answer) -> Option<Box<dyn Pending>> {
        None
    }
}

/// What a command works with.
pub(super) struct Work {
    /// Within a transaction.
    pub(super) db: SqliteConnection,
    /// Jobs that may be queued.
    pub(super) queue_limit: u64,
    /// The protocol's waits.
    pub(super) timing: Timing,
    /// What follows from the transaction once it is committed.
    pub(super) effects: Effects,
    /// Jobs queued before the transaction. Counted along, as counting rows at every submission would be slow.
    queued: i64,
    /// Whose job was claimed last in the order of turns, before the transaction; empty before the first.
    served: String,
}

/// What others hear after a commit.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Jobs with news.
    pub(super) changed: Vec<JobKey>,
    /// A job may be claimed.
    pub(super) queued: bool,
    /// A callback is due.
    pub(super) due: bool,
    /// A running job is to end.
    pub(super) cancel: bool,
    /// How many more jobs are queued than before.
    pub(super) queue_growth: i64,
    /// Whose job was claimed last in the order of turns.
    pub(super) served: Option<String>,
}

impl Work {
    /// For commands beside a service, which have no limit of the queue to keep to: its own writer counts.
    pub(super) fn beside(db: SqliteConnection) -> Self {
        let (queue_limit, timing, effects) = (u64::MAX, Timing::default(), Effects::default());
        Self { db, queue_limit, timing, effects, queued: 0, served: String::new() }
    }

    /// Whether as many jobs are queued as may be.
    pub(super) fn queue_is_full(&self) -> bool {
        u64::try_from(self.queued + self.effects.queue_growth).is_ok_and(|queued| queued >= self.queue_limit)
    }

    /// The owner after whom turns go on.
    pub(super) fn last_served(&self) -> &str {
        self.effects.served.as_deref().unwrap_or(&self.served)
    }

    /// Counts the queue anew.
    pub(super) async fn count_queue(&mut self) -> Result<()> {
        let count = "SELECT count(*) FROM jobs WHERE state = 'queued'";
        let counted: i64 = sqlx::query_scalar(count).fetch_one(&mut self.db).await?;
        // What this transaction has queued is among them, and is counted when it is committed.
        self.queued = counted - self.effects.queue_growth;
        Ok(())
    }
}

/// A command with somebody waiting for its answer, of whatever type.
#[async_trait]
pub(super) trait Pending: Send {
    /// Runs it and keeps the answer.
    async fn run(&mut self, work: &mut Work) -> Result<()>;

    /// Tells its sender; what is to be done if that one has gone away.
    fn tell(self: Box<Self>, outcome: Result<()>) -> Option<Box<dyn Pending>>;
}

struct Waiting<C: Command> {
    command: C,
    answer: Option<C::Answer>,
    reply: Option<oneshot::Sender<Result<C::Answer>>>,
}

#[async_trait]
impl<C: Command> Pending for Waiting<C> {
    async fn run(&mut self, work: &mut Work) -> Result<()> {
        self.answer = Some(self.command.run(work).await?);
        Ok(())
    }

    fn tell(self: Box<Self>, outcome: Result<()>) -> Option<Box<dyn Pending>> {
        let Self { command, answer, reply } = *self;
        let answer = outcome.and_then(|()| answer.ok_or(StoreError::Closed));
        match reply?.send(answer) {
            Err(Ok(answer)) => command.unheard(answer),
            _ => None,
        }
    }
}

/// A command that nobody waits for.
pub(super) fn unattended<C: Command>(command: C) -> Box<dyn Pending> {
    Box::new(Waiting { command, answer: None, reply: None })
}

enum Message {
    Write(Box<dyn Pending>),
    Close(oneshot::Sender<()>),
}

/// Where commands are sent.
#[derive(Clone)]
pub(super) struct Sender(mpsc::Sender<Message>);

impl Sender {
    /// Sends a command and waits until it is committed. Once sent it is carried out, whether or not anybody still waits.
    pub(super) async fn write<C: Command>(&self, command: C) -> Result<C::Answer> {
        let (reply, answer) = oneshot::channel();
        let pending = Box::new(Waiting { command, answer: None, reply: Some(reply) });
        self.0.send(Message::Write(pending)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Ends when all that was sent before is written and the file is let go of.
    pub(super) async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.0.send(Message::Close(reply)).await.is_ok() {
            let _ = done.await;
        }
    }
}

/// Owns the connection for writing, and the lock.
pub(super) struct Writer {
    options: SqliteConnectOptions,
    signals: Arc<Signals>,
    work: Work,
    broken: bool,
    lock: InstanceLock,
}

impl Writer {
    /// Starts to write with a connection that was just opened.
    pub(super) async fn start(
        options: SqliteConnectOptions,
        db: SqliteConnection,
        lock: InstanceLock,
        signals: Arc<Signals>,
        (queue_limit, timing): (u64, Timing),
    ) -> Result<Sender> {
        let mut work = Work { db, queue_limit, timing, effects: Effects::default(), queued: 0, served: String::new() };
        work.count_queue().await?;
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let writing = tokio::spawn(Self { options, signals, work, broken: false, lock }.run(receiver));
        tokio::spawn(async move {
            if writing.await.is_err_and(|error| error.is_panic()) {
                // Without a writer nothing can be accepted or finished; the next start takes everything back.
                tracing::error!("the database's writer panicked; the process ends");
                std::process::abort();
            }
        });
        Ok(Sender(sender))
    }

    /// Until all senders are gone or one says so.
    async fn run(mut self, mut receiver: mpsc::Receiver<Message>) {
        let (mut messages, mut closing) = (Vec::new(), Vec::new());
        // What queued up while the last commit was on its way makes the next group, so nobody waits for company.
        while receiver.recv_many(&mut messages, MOST_GROUPED).await > 0 {
            let mut group = Vec::with_capacity(messages.len());
            for message in messages.drain(..) {
                match message {
                    Message::Write(pending) => group.push(pending),
                    Message::Close(reply) => {
                        receiver.close();
                        closing.push(reply);
                    }
                }
            }
            while !group.is_empty() {
                group = self.commit(group).await;
            }
        }
        self.let_go().await;
        for reply in closing {
            // Whoever asked may have gone away.
            let _ = reply.send(());
        }
    }

    /// Runs a group, tells all, and returns what follows from those who have gone away.
    async fn commit(&mut self, mut group: Vec<Box<dyn Pending>>) -> Vec<Box<dyn Pending>> {
        let mut follow_ups = Vec::new();
        match self.attempt(&mut group).await {
            // One of them failed, and nothing is written. Each by itself, the others do not suffer for it.
            Err(Fault::Command(_)) if group.len() > 1 => {
                for mut pending in group {
                    let outcome = self.attempt(std::slice::from_mut(&mut pending)).await;
                    follow_ups.extend(pending.tell(outcome.map_err(Fault::into_error)));
                }
            }
            Err(Fault::Commit(text)) => {
                tracing::error!(error = text, commands = group.len(), "a transaction failed");
                let tell = |pending: Box<dyn Pending>| pending.tell(Err(StoreError::Commit(text.clone())));
                follow_ups.extend(group.into_iter().filter_map(tell));
            }
            Err(Fault::Command(error)) => {
                // The group is of one here.
                follow_ups.extend(group.pop().and_then(|pending| pending.tell(Err(error))));
            }
            Ok(()) => follow_ups.extend(group.into_iter().filter_map(|pending| pending.tell(Ok(())))),
        }
        follow_ups
    }

    /// One transaction with all of these, or with nothing.
    async fn attempt(&mut self, group: &mut [Box<dyn Pending>]) -> std::result::Result<(), Fault> {
        self.work.effects = Effects::default();
        if self.broken {
            self.reopen().await?;
        }
        if let Err(error) = sqlx::query("BEGIN IMMEDIATE").execute(&mut self.work.db).await {
            return Err(self.failed(&error));
        }
        for pending in group {
            if let Err(error) = pending.run(&mut self.work).await {
                // A full disk makes SQLite roll back by itself, and then there is nothing left to roll back.
                self.broken = sqlx::query("ROLLBACK").execute(&mut self.work.db).await.is_err();
                return Err(Fault::Command(error));
            }
        }
        if let Err(error) = sqlx::query("COMMIT").execute(&mut self.work.db).await {
            return Err(self.failed(&error));
        }
        self.announce();
        Ok(())
    }

    fn failed(&mut self, error: &sqlx::Error) -> Fault {
        self.broken = true;
        Fault::Commit(error.to_string())
    }

    /// A connection that failed to begin, commit or roll back may be in any state; a new one is in a known state.
    async fn reopen(&mut self) -> std::result::Result<(), Fault> {
        let db = self.options.connect().await.map_err(|error| Fault::Commit(error.to_string()))?;
        // Dropped, the old one rolls back what it may still hold.
        let old = std::mem::replace(&mut self.work.db, db);
        drop(old.close().await);
        self.work.count_queue().await.map_err(|error| Fault::Commit(error.to_string()))?;
        self.broken = false;
        Ok(())
    }

    fn announce(&mut self) {
        let effects = std::mem::take(&mut self.work.effects);
        self.work.queued += effects.queue_growth;
        if let Some(owner) = effects.served {
            self.work.served = owner;
        }
        effects.changed.into_iter().for_each(|job| self.signals.job_changed(job));
        if effects.queued {
            self.signals.job_queued();
        }
        if effects.due {
            self.signals.delivery_due();
        }
        if effects.cancel {
            self.signals.cancel_requested();
        }
    }

    /// Leaves one file behind, without a log to replay. If that fails, the next start replays the log.
    async fn let_go(self) {
        let Self { work, lock, .. } = self;
        let mut db = work.db;
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut db).await {
            tracing::warn!(%error, "the database's log is left to the next start");
        }
        if let Err(error) = db.close().await {
            tracing::warn!(%error, "the database could not be closed");
        }
        drop(lock);
    }
}

/// Why a transaction came to nothing.
enum Fault {
    /// One command failed, and the transaction was rolled back.
    Command(StoreError),
    /// The transaction as such failed.
    Commit(String),
}

impl Fault {
    fn into_error(self) -> StoreError {
        match self {
            Self::Command(error) => error,
            Self::Commit(text) => StoreError::Commit(text),
        }
    }
}
