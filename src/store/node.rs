//! The processes of the service, as they tell of themselves. For people to look at: no lease depends on it.

use std::time::Duration;

/// How long ago a process was seen that is still shown. Older ones are dropped by whoever writes next.
pub const SHOWN: Duration = Duration::from_secs(24 * 3600);

/// A process of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// New with every boot; the worker's, if it does jobs.
    pub name: String,
    /// `all`, `api` or `worker`.
    pub role: String,
    /// The program's.
    pub version: String,
    /// The machine's name; empty where the system does not tell.
    pub host: String,
    /// The process's number on that machine.
    pub pid: u32,
    /// Jobs that it does at a time.
    pub slots: u32,
    /// Whether it was asked to stop.
    pub draining: bool,
}

/// A process as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenNode {
    /// What it told.
    pub node: Node,
    /// Jobs that it holds, by the jobs' rows.
    pub running: u64,
    /// When it first told of itself, ms since 1970-01-01 UTC.
    pub started_at_ms: i64,
    /// When it last did, ms since 1970-01-01 UTC.
    pub seen_at_ms: i64,
    /// How long ago that was, by the database's clock.
    pub unseen_for: Duration,
}
