//! The service's parts, put together from its settings in one function.

use std::sync::Arc;

use crate::blob::Blobs;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::store::Store;

/// What every face and worker shares.
#[derive(Clone)]
pub struct App {
    /// The settings.
    pub config: Arc<Config>,
    /// Jobs, events, callbacks.
    pub store: Arc<dyn Store>,
    /// Images and results.
    pub blobs: Blobs,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}
