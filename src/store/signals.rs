//! Wake-ups within the process. They shorten waits and carry nothing: whoever is woken asks the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::JobKey;

/// Who waits for what. A job's channel exists while somebody listens to it.
#[derive(Debug, Default)]
pub struct Signals {
    jobs: Mutex<HashMap<JobKey, watch::Sender<u64>>>,
    queue: Notify,
    deliveries: Notify,
    cancels: Notify,
}

impl Signals {
    /// Something happened to a job.
    pub fn job_changed(&self, job: JobKey) {
        if let Some(sender) = self.lock().get(&job) {
            sender.send_modify(|count| *count += 1);
        }
    }

    /// A job may be claimed.
    pub fn job_queued(&self) {
        self.queue.notify_one();
    }

    /// A callback is due.
    pub fn delivery_due(&self) {
        self.deliveries.notify_one();
    }

    /// A running job is to end.
    pub fn cancel_requested(&self) {
        self.cancels.notify_one();
    }

    /// Anything may have happened: wakes all.
    pub(super) fn anything(&self) {
        self.lock().values().for_each(|sender| sender.send_modify(|count| *count += 1));
        self.job_queued();
        self.delivery_due();
        self.cancel_requested();
    }

    /// Ends once a job may be claimed; a signal that came before is not lost.
    pub async fn queued(&self) {
        self.queue.notified().await;
    }

    /// Ends once a callback is due.
    pub async fn due(&self) {
        self.deliveries.notified().await;
    }

    /// Ends once a running job is to end.
    pub async fn cancelled(&self) {
        self.cancels.notified().await;
    }

    /// Listens to a job. Subscribe before reading the job, so that no change falls between.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, job: JobKey) -> JobSubscription {
        let receiver = self.lock().entry(job).or_insert_with(|| watch::Sender::new(0)).subscribe();
        JobSubscription { signals: Arc::clone(self), job, receiver: Some(receiver) }
    }

    /// The map is whole after any panic, as no code that may panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<JobKey, watch::Sender<u64>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears of changes to one job until dropped.
#[derive(Debug)]
pub struct JobSubscription {
    signals: Arc<Signals>,
    job: JobKey,
    receiver: Option<watch::Receiver<u64>>,
}

impl JobSubscription {
    /// Ends once the job has changed since the last call, or since the subscription for the first.
    pub async fn changed(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            // The sender lives in the map for as long as this subscription does.
            let _ = receiver.changed().await;
        }
    }
}

impl Drop for JobSubscription {
    fn drop(&mut self) {
        let mut jobs = self.signals.lock();
        self.receiver = None;
        if jobs.get(&self.job).is_some_and(|sender| sender.receiver_count() == 0) {
            jobs.remove(&self.job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_after_subscribing_is_heard() {
        let signals = Arc::new(Signals::default());
        let mut subscription = signals.subscribe(JobKey(1));
        signals.job_changed(JobKey(2));
        signals.job_changed(JobKey(1));
        subscription.changed().await;
    }

    #[test]
    fn nobody_listening_leaves_nothing_behind() {
        let signals = Arc::new(Signals::default());
        let first = signals.subscribe(JobKey(1));
        drop(signals.subscribe(JobKey(1)));
        assert_eq!(signals.lock().len(), 1);
        drop(first);
        assert_eq!(signals.lock().len(), 0);
    }
}
