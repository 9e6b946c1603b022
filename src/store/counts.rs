//! The queue and batches in numbers.

use std::time::Duration;

/// How many jobs of a batch are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// Jobs in all.
    pub total: u64,
    /// Waiting.
    pub queued: u64,
    /// Being done.
    pub running: u64,
    /// With a result.
    pub completed: u64,
    /// Without one.
    pub failed: u64,
    /// Called off.
    pub cancelled: u64,
}

/// The queue at a glance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queue {
    /// Jobs waiting, those that wait for another attempt included.
    pub queued: u64,
    /// Jobs being done.
    pub running: u64,
    /// How long the oldest job that could start has been waiting.
    pub oldest: Duration,
    /// Callbacks not yet delivered.
    pub deliveries: u64,
}
