//! Encoded bytes to an alpha plane, under limits.
//!
//! Three rules hold for every format. Limits are checked in the header, before anything is allocated for the image. A
//! file that is cut short or damaged is an error, never half an image. The observer can end the work at any time, within
//! milliseconds while bytes are read.
//!
//! What counts as alpha follows Pillow's `convert("RGBA")`: the first frame, EXIF orientation not applied, 16-bit alpha cut
//! to its high byte.

mod bmp;
mod dimensions;
mod gif;
mod jpeg;
mod kind;
mod picture;
mod png;
pub mod psd;
mod source;
mod webp;

use std::io::{BufRead, Seek};

#[cfg(doc)]
use crate::mesh::Error;
use crate::mesh::observer::enter;
use crate::mesh::{AlphaPlane, Observer, Result, Stage};

pub use dimensions::dimensions;
pub use kind::Kind;
pub use picture::Picture;
use source::Source;
pub use webp::MOST_CODES_BYTES as MOST_WEBP_CODES_BYTES;

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

/// Decodes the alpha plane of an image, reading `source` from its beginning. Announces [`Stage::Decode`].
///
/// # Errors
/// [`Error::ImageFormat`] for none of the formats in [`Kind::ALL`], [`Error::ImageTooLarge`] over a limit,
/// [`Error::ImageLoad`] for a file that is cut short or damaged, [`Error::Stopped`] if the observer asked for it.
pub fn alpha_plane<R: BufRead + Seek>(source: R, limits: &Limits, observer: &dyn Observer) -> Result<AlphaPlane> {
    enter(observer, Stage::Decode)?;
    let mut source = Source::open(source, limits, observer)?;
    match source.kind() {
        Kind::Png => png::alpha_plane(&mut source, limits),
        Kind::WebP => webp::alpha_plane(&mut source, limits),
        Kind::Jpeg => jpeg::alpha_plane(&mut source, limits),
        Kind::Gif => gif::alpha_plane(&mut source, limits),
        Kind::Bmp => bmp::alpha_plane(&mut source, limits),
    }
}

/// Decodes the colours of an image, reading `source` from its beginning. 16-bit samples are cut to their high byte.
///
/// # Errors
/// As [`alpha_plane`].
pub fn rgba<R: BufRead + Seek>(source: R, limits: &Limits, observer: &dyn Observer) -> Result<Picture> {
    let mut source = Source::open(source, limits, observer)?;
    match source.kind() {
        Kind::Png => png::rgba(&mut source, limits),
        Kind::WebP => webp::rgba(&mut source, limits),
        Kind::Jpeg => jpeg::rgba(&mut source, limits),
        Kind::Gif => gif::rgba(&mut source, limits),
        Kind::Bmp => bmp::rgba(&mut source, limits),
    }
}

/// [`alpha_plane`] through the general decoders alone: what the fast paths are held against, in tests and by the fuzzer.
///
/// # Errors
/// As [`alpha_plane`].
#[doc(hidden)]
pub fn general_alpha_plane<R: BufRead + Seek>(
    source: R,
    limits: &Limits,
    observer: &dyn Observer,
) -> Result<AlphaPlane> {
    let mut source = Source::open(source, limits, observer)?;
    match source.kind() {
        Kind::Png => png::general_alpha_plane(&mut source, limits),
        Kind::WebP => webp::general_alpha_plane(&mut source, limits),
        Kind::Jpeg => jpeg::alpha_plane(&mut source, limits),
        Kind::Gif => gif::alpha_plane(&mut source, limits),
        Kind::Bmp => bmp::alpha_plane(&mut source, limits),
    }
}
