//! How long the protocol waits, and how often it tries.

use std::time::Duration;

/// How long a claim or heartbeat is good for.
pub const LEASE: Duration = Duration::from_secs(30);

/// How long a job waits after the first death of a worker; twice as long after the second. With a lease of 30 s, a reaper
/// every 2 s and a look at the queue every second, it can run again 34 s after its worker's last heartbeat. Two more seconds,
/// to the 36 that are promised, are for other jobs of that worker: they are done one by one.
pub const DEATH_BACKOFF: Duration = Duration::from_secs(1);

/// Worker deaths after which a job is given up as `WORKER_CRASHED`.
pub const MOST_DEATHS: u32 = 3;

/// Waits that belong to the protocol. Tests shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a claim or heartbeat is good for.
    pub lease: Duration,
    /// How long a job waits after the first death of a worker.
    pub death_backoff: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { lease: LEASE, death_backoff: DEATH_BACKOFF }
    }
}
