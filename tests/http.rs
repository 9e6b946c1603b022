//! The HTTP face from outside: a whole service on a port, asked as callers ask, every answer held against its own
//! OpenAPI document.

#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "http/access.rs"]
mod access;
#[path = "http/arbitrary.rs"]
mod arbitrary;
#[path = "http/batch.rs"]
mod batch;
#[path = "http/callbacks.rs"]
mod callbacks;
#[path = "http/contract.rs"]
mod contract;
#[path = "http/cors.rs"]
mod cors;
#[path = "http/document.rs"]
mod document;
#[path = "http/events.rs"]
mod events;
#[expect(dead_code, reason = "most of it is for another test")]
#[path = "hostile_images/files.rs"]
mod files;
#[path = "http/generate.rs"]
mod generate;
#[path = "http/hostile.rs"]
mod hostile;
#[path = "http/images.rs"]
mod images;
#[path = "http/jobs.rs"]
mod jobs;
#[path = "http/keys.rs"]
mod keys;
#[path = "http/legacy.rs"]
mod legacy;
#[path = "http/preview.rs"]
mod preview;
#[path = "http/rate.rs"]
mod rate;
#[path = "http/refusals.rs"]
mod refusals;
#[path = "http/result.rs"]
mod result;
#[path = "http/secrets.rs"]
mod secrets;
#[path = "http/service.rs"]
mod service;
#[path = "http/status.rs"]
mod status;
#[path = "http/surroundings.rs"]
mod surroundings;
#[path = "http/wire.rs"]
mod wire;
