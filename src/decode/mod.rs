//! Encoded bytes to an alpha plane, under limits.
use crate::mesh::{AlphaPlane, Error, Observer, Result};
use std::io::{BufRead, Seek};

/// Limits on what is read, checked before anything is allocated for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Widest image, px.
    pub max_width: u32,
    /// Tallest image, px.
    pub max_height: u32,
    /// Largest file, bytes.
    pub max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_width: 4096, max_height: 4096, max_bytes: 64 << 20 }
    }
}

/// Decodes the alpha plane of an image.
pub fn alpha_plane<R: BufRead + Seek>(source: R, limits: &Limits, observer: &dyn Observer) -> Result<AlphaPlane> {
    let _ = (source, limits, observer);
    Err(Error::Internal("not built yet".into()))
}
