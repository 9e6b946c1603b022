//! Turns images into 2D triangle meshes for skeletal animation.
//!
//! Three modules, each a step: [`decode`] reads how opaque every pixel of an image is, [`mesh`] makes a triangle mesh of
//! it, [`export`] writes the mesh as text or as a picture. All three are values in, values out: no file, no clock, no
//! global state, and equal input gives equal bytes on any machine.
//!
//! ```
//! use std::io::Cursor;
//!
//! use spinelift::decode::{self, Limits};
//! use spinelift::export::{Format, Source};
//! use spinelift::mesh::{self, MeshLimits, MeshParameters};
//!
//! let png = std::fs::read("testdata/corpus/limbs-octopus-512.png")?;
//! // `&()` is the observer that neither listens nor stops.
//! let alpha = decode::alpha_plane(Cursor::new(&png), &Limits::default(), &())?;
//! let parameters = MeshParameters { detail_factor: 0.05, ..MeshParameters::default() };
//! let mesh = mesh::build(&alpha, &parameters, &MeshLimits::default(), &())?;
//! mesh.check()?;
//!
//! let json = Format::named("json").ok_or("no such format")?;
//! let text = (json.write)(&mesh, &Source::default())?;
//! assert!(text.starts_with(b"{\"vertices\":[["));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A job that must be watched or ended passes an [`Observer`](mesh::Observer) in place of `&()`. Every failure is a
//! [`mesh::Error`] with a code for machines, a sentence for people, and the numbers.
//!
//! The default feature `cli` adds the crates of the command; the library does not need it
//! (`default-features = false`).

pub mod decode;
pub mod export;
pub mod mesh;

#[cfg(feature = "serve")]
pub mod job;
#[cfg(feature = "serve")]
pub mod key;
#[cfg(feature = "serve")]
pub mod retry;
#[cfg(feature = "serve")]
pub mod signature;

#[cfg(feature = "serve")]
pub mod blob;
#[cfg(feature = "serve")]
pub mod crash_point;
#[cfg(feature = "serve")]
pub mod net;
#[cfg(feature = "serve")]
pub mod store;
#[cfg(feature = "serve")]
mod tls;

#[cfg(feature = "serve")]
pub mod app;
#[cfg(feature = "serve")]
pub mod compute;
#[cfg(feature = "serve")]
pub mod config;
#[cfg(feature = "serve")]
pub mod http;
#[cfg(feature = "serve")]
pub mod keyring;
#[cfg(feature = "serve")]
pub mod metrics;
#[cfg(feature = "serve")]
pub mod presence;
#[cfg(feature = "serve")]
pub mod result_link;
#[cfg(feature = "serve")]
pub mod worker;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
