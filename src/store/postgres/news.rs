//! Wake-ups between nodes, by LISTEN and NOTIFY.
//!
//! They shorten waits and carry nothing that matters: a node that misses all of them finds everything out by asking, a
//! second later. So they are sent apart from the writes that they tell of: a transaction that notifies holds a lock of the
//! whole server while it commits, and hundreds of small ones would stand in a row for it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connect::{Connections, LONGEST_CALL, call};
use crate::store::{JobKey, Signals, StoreError};

/// Where nodes hear of each other.
const CHANNEL: &str = "spinelift";

/// The shortest time between two messages of a node. What happens in between goes with the next.
const APART: Duration = Duration::from_millis(10);

/// How long a message may be, bytes; the server's limit is 8,000.
const LONGEST: usize = 7_900;

/// How long a node rests before it listens again.
const REST: Duration = Duration::from_secs(1);

/// After so long without news the connection is asked whether it still lives: a network that has forgotten it is as silent
/// as nodes that have nothing to tell.
const SILENCE: Duration = Duration::from_secs(30);

/// What others hear after a write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Jobs that something happened to.
    pub(super) changed: BTreeSet<JobKey>,
    /// A job may be claimed.
    pub(super) queued: bool,
    /// A callback is due.
    pub(super) due: bool,
    /// A running job is to end.
    pub(super) cancel: bool,
}

impl News {
    pub(super) fn add(&mut self, other: Self) {
        self.changed.extend(other.changed);
        self.queued |= other.queued;
        self.due |= other.due;
        self.cancel |= other.cancel;
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Wakes those who wait in this process.
    pub(super) fn wake(&self, signals: &Signals) {
        self.changed.iter().for_each(|job| signals.job_changed(*job));
        if self.queued {
            signals.job_queued();
        }
        if self.due {
            signals.delivery_due();
        }
        if self.cancel {
            signals.cancel_requested();
        }
    }

    /// The sender's name, a letter for each flag, and the jobs: as many messages as it takes.
    fn messages(&self, sender: &str) -> Vec<String> {
        let flags = [(self.queued, 'q'), (self.due, 'd'), (self.cancel, 'c')];
        let flags: String = flags.into_iter().filter(|(on, _)| *on).map(|(_, letter)| letter).collect();
        let mut messages = vec![format!("{sender} {flags}")];
        for job in &self.changed {
            let number = job.0.to_string();
            match messages.last_mut() {
                Some(last) if last.len() + 1 + number.len() <= LONGEST => {
                    // Writing to a string never fails.
                    let _ = write!(last, " {number}");
                }
                _ => messages.push(format!("{sender}  {number}")),
            }
        }
        messages
    }

    /// What a message says; nothing if it is this node's own, and no more than what can be read of it.
    fn read(message: &str, own: &str) -> Self {
        let mut parts = message.split(' ');
        if parts.next() == Some(own) {
            return Self::default();
        }
        let flags = parts.next().unwrap_or_default();
        Self {
            changed: parts.filter_map(|number| number.parse().ok().map(JobKey)).collect(),
            queued: flags.contains('q'),
            due: flags.contains('d'),
            cancel: flags.contains('c'),
        }
    }
}

/// Tells the other nodes. Ends once all senders of news are gone.
pub(super) async fn send(mut news: mpsc::UnboundedReceiver<News>, connections: Connections, name: String) {
    let mut next = Instant::now();
    while let Some(mut told) = news.recv().await {
        sleep_until(next).await;
        while let Ok(more) = news.try_recv() {
            told.add(more);
        }
        next = Instant::now() + APART;
        if told.is_empty() {
            continue;
        }
        let messages = told.messages(&name);
        let sql = "SELECT pg_notify($1, message) FROM unnest($2::text[]) AS message";
        let sent = call!(connections, |db| async {
            sqlx::query(sql).bind(CHANNEL).bind(&messages).execute(db).await.map_err(StoreError::from)
        });
        if let Err(error) = sent {
            tracing::debug!(%error, "other nodes are not told; they find out by asking");
        }
    }
}

/// Hears what other nodes tell, for as long as the process lives.
pub(super) async fn listen(options: PgConnectOptions, signals: Arc<Signals>, own: String) {
    loop {
        if let Err(error) = hear(&options, &signals, &own).await {
            tracing::warn!(%error, "cannot listen to other nodes; their news come by asking until that is mended");
        }
        sleep(REST).await;
    }
}

/// Until the connection is lost.
async fn hear(options: &PgConnectOptions, signals: &Signals, own: &str) -> Result<(), sqlx::Error> {
    // A connection of its own, kept for good.
    let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = pool.connect_with(options.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    // What was told before is lost.
    signals.anything();
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(message))) => News::read(message.payload(), own).wake(signals),
            Ok(lost_or_failed) => return lost_or_failed.map(drop),
            Err(_) => expect_answer(&mut listener).await?,
        }
    }
}

/// Fails if the connection is dead. News that come meanwhile are kept for later.
async fn expect_answer(listener: &mut PgListener) -> Result<(), sqlx::Error> {
    let answered = timeout(LONGEST_CALL, sqlx::query("SELECT 1").execute(listener)).await;
    answered.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(jobs: impl IntoIterator<Item = i64>) -> News {
        News { changed: jobs.into_iter().map(JobKey).collect(), queued: true, due: false, cancel: true }
    }

    fn read_all(messages: &[String], own: &str) -> News {
        let mut heard = News::default();
        messages.iter().for_each(|message| heard.add(News::read(message, own)));
        heard
    }

    #[test]
    fn what_is_told_is_heard() {
        for told in [News::default(), news([]), news([1, 2, i64::MAX]), News { due: true, ..News::default() }] {
            assert_eq!(read_all(&told.messages("a"), "b"), told);
        }
    }

    #[test]
    fn a_node_does_not_hear_itself() {
        assert_eq!(read_all(&news([1]).messages("a"), "a"), News::default());
    }

    #[test]
    fn much_news_takes_several_messages_each_within_the_servers_limit() {
        let told = news(i64::MAX - 5_000..i64::MAX);
        let messages = told.messages(&"n".repeat(36));
        assert!(messages.len() > 10);
        assert!(messages.iter().all(|message| message.len() <= LONGEST));
        assert_eq!(read_all(&messages, "other"), told);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        for message in ["", " ", "a", "a ?? x 5 -", "\u{0}"] {
            let heard = News::read(message, "b");
            assert!(heard.changed.len() <= 1 && !heard.queued, "{message:?}");
        }
    }
}
