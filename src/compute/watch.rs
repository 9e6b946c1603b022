//! Who may end a piece of work, and when: a deadline, a caller that calls it off, and news of its stages.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

use crate::mesh::{Observer, Stage};
use crate::metrics::Metrics;

/// Called from the pipeline's own thread, so it must not wait for anything.
type News = Box<dyn Fn(Stage) + Send + Sync>;

/// One piece of work as seen from outside: it ends at a deadline, or once somebody calls it off.
pub struct Watch {
    deadline: Instant,
    called_off: AtomicBool,
    ended: Notify,
    news: Option<News>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("deadline", &self.deadline).field("called_off", &self.called_off).finish()
    }
}

impl Watch {
    /// Ends the work at a deadline.
    #[must_use]
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, called_off: AtomicBool::new(false), ended: Notify::new(), news: None }
    }

    /// Ends the work at a deadline, and tells of each stage as it begins.
    #[must_use]
    pub fn with_news(deadline: Instant, news: News) -> Self {
        Self { news: Some(news), ..Self::until(deadline) }
    }

    /// Calls the work off. It ends within milliseconds as a rule.
    pub fn stop(&self) {
        self.called_off.store(true, Ordering::Relaxed);
        // A permit is kept for one that waits later; the others have ended by themselves.
        self.ended.notify_one();
    }

    /// Whether the work was called off, as opposed to being out of time.
    #[must_use]
    pub fn is_called_off(&self) -> bool {
        self.called_off.load(Ordering::Relaxed)
    }

    /// Whether the work is to end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_called_off() || Instant::now() >= self.deadline
    }

    /// Ends when the work is to end. For one waiter at a time.
    pub async fn over(&self) {
        if self.is_called_off() {
            return;
        }
        tokio::select! {
            () = self.ended.notified() => {}
            () = tokio::time::sleep_until(self.deadline.into()) => {}
        }
    }
}

/// What the engine sees: the watch, and a clock for its stages.
pub(super) struct StageClock<'a> {
    watch: &'a Watch,
    metrics: &'a Metrics,
    /// The stage under way and its beginning. Locked by the pipeline's thread alone, so it never waits.
    current: Mutex<Option<(Stage, Instant)>>,
}

impl<'a> StageClock<'a> {
    pub(super) fn new(watch: &'a Watch, metrics: &'a Metrics) -> Self {
        Self { watch, metrics, current: Mutex::new(None) }
    }
}

impl Observer for StageClock<'_> {
    fn stage(&self, stage: Stage) {
        let now = Instant::now();
        let next = (stage != Stage::Complete).then_some((stage, now));
        let ended = std::mem::replace(&mut *self.current.lock().unwrap_or_else(PoisonError::into_inner), next);
        if let Some((stage, began)) = ended {
            self.metrics.stage(stage, now - began);
        }
        if let Some(news) = &self.watch.news {
            news(stage);
        }
    }

    fn should_stop(&self) -> bool {
        self.watch.is_over()
    }
}
