//! The HTTP face.

pub mod body;
pub mod server;
mod socket;
