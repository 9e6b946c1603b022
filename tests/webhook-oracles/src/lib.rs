//! The service's signer by itself, for `tests/oracles.rs` to hold against other implementations.

#[path = "../../../src/signature.rs"]
pub mod signature;
