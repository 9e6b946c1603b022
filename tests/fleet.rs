//! Several nodes on one PostgreSQL database: no accepted job is ever lost, and it does not matter which node is asked. The
//! real binary, killed, stopped and cut off, with a database of its own for each test.
//!
//! The random part is short by default: `tests/fleet.sh` runs the long forms. docs/reliability.md has the figures of a run.

#![cfg(all(unix, feature = "serve"))]
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking, and reports")]
#![expect(dead_code, reason = "the servers of other tests can do more")]

#[path = "fleet/anywhere.rs"]
mod anywhere;
#[path = "fleet/audit.rs"]
mod audit;
#[path = "survival/caller.rs"]
mod caller;
#[path = "fleet/cluster.rs"]
mod cluster;
#[path = "fleet/kills.rs"]
mod kills;
#[path = "survival/ledger.rs"]
mod ledger;
#[path = "fleet/load.rs"]
mod load;
#[path = "fleet/nodes.rs"]
mod nodes;
#[path = "fleet/outages.rs"]
mod outages;
#[path = "store/postgres_database.rs"]
mod postgres_database;
#[path = "fleet/proxy.rs"]
mod proxy;
#[path = "survival/server.rs"]
mod server;
#[path = "fleet/sources.rs"]
mod sources;
#[path = "fleet/stale.rs"]
mod stale;
#[path = "fleet/upgrade.rs"]
mod upgrade;
#[path = "survival/world.rs"]
mod world;

use caller::client;
