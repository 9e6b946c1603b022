//! What the tasks of one worker share, and how far its stop has come.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Pace;
use super::held::{Ending, HeldJob, HeldJobs};
use crate::app::App;
use crate::result_link::ResultLinks;
use crate::signature::Secret;

/// How far a stop has come. Each task waits for its own phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Not at all.
    #[default]
    Working,
    /// No further job is taken.
    Draining,
    /// Jobs under way are given back.
    Releasing,
    /// Everything ends.
    Closing,
}

/// One worker from start to stop.
pub(super) struct Shift {
    pub(super) app: App,
    pub(super) pace: Pace,
    /// New with every boot.
    pub(super) name: String,
    pub(super) links: ResultLinks,
    pub(super) secrets: Vec<Secret>,
    pub(super) held: Arc<HeldJobs>,
    /// Whether what an earlier process held has been taken back: to do so again would take this one's own.
    recovered: watch::Sender<bool>,
    phase: watch::Sender<Phase>,
    idle: watch::Sender<bool>,
}

impl Shift {
    pub(super) fn new(app: App, pace: Pace) -> Self {
        let secrets = app.config.access.callback_secrets.iter();
        Self {
            links: ResultLinks::new(&app.config, Arc::clone(&app.keys), app.blobs.clone()),
            // They were checked when the settings were read.
            secrets: secrets.filter_map(|text| Secret::parse(text).ok()).collect(),
            name: uuid::Uuid::now_v7().to_string(),
            held: Arc::default(),
            recovered: watch::Sender::default(),
            phase: watch::Sender::default(),
            idle: watch::Sender::default(),
            app,
            pace,
        }
    }

    /// How long after the last heartbeat a job may still be written to. Beats are a third of a lease apart, so this is
    /// over after two that failed; the last quarter of the lease is for clocks that run apart and writes that take long.
    pub(super) fn lease_good_for(&self) -> Duration {
        self.pace.lease * 3 / 4
    }

    /// What an earlier process held has been taken back.
    pub(super) fn set_recovered(&self) {
        self.recovered.send_replace(true);
    }

    /// Whether that was done before.
    pub(super) fn is_recovered(&self) -> bool {
        *self.recovered.borrow()
    }

    /// Waits for that, unless the stop comes that far first; whether it did not. What is taken back before would count
    /// as another death, and what is sent before be sent twice.
    pub(super) async fn has_recovered(&self, phase: Phase) -> bool {
        let mut recovered = self.recovered.subscribe();
        tokio::select! {
            () = self.until(phase) => false,
            // The sender lives in `self`, so waiting never fails.
            _ = recovered.wait_for(|recovered| *recovered) => true,
        }
    }

    pub(super) fn has_come_to(&self, phase: Phase) -> bool {
        *self.phase.borrow() >= phase
    }

    pub(super) fn come_to(&self, phase: Phase) {
        self.phase.send_modify(|now| *now = phase.max(*now));
        if phase >= Phase::Releasing {
            self.held.all().iter().for_each(|job| job.end(Ending::Released));
        }
    }

    /// Ends once the stop has come that far.
    pub(super) async fn until(&self, phase: Phase) {
        // The sender lives in `self`, so waiting never fails.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// No job is left, and none will be taken.
    pub(super) fn gone_idle(&self) {
        self.idle.send_replace(true);
    }

    /// Ends once no job is left.
    pub(super) async fn idle(&self) {
        // The sender lives in `self`, so waiting never fails.
        let _ = self.idle.subscribe().wait_for(|idle| *idle).await;
    }

    /// Sleeps, unless the stop comes that far first; whether it did not.
    pub(super) async fn slept(&self, for_how_long: Duration, phase: Phase) -> bool {
        tokio::select! {
            () = self.until(phase) => false,
            () = tokio::time::sleep(for_how_long) => true,
        }
    }

    /// A job that came while the others were given back goes the same way.
    pub(super) fn welcome(&self, job: &HeldJob) {
        if self.has_come_to(Phase::Releasing) {
            job.end(Ending::Released);
        }
    }
}
