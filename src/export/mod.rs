//! Mesh to text or picture: one format a file, and the table of them.
//!
//! An exporter sees a finished [`Mesh`] and what is known of its [`Source`]. It reads no file, no clock and no
//! environment, so equal input gives equal bytes.

mod atlas;
pub mod contact_sheet;
mod coverage;
mod digits;
mod dragonbones;
mod draw;
mod encode;
mod frame;
mod glb;
mod godot;
mod json;
mod lettering;
mod names;
mod obj;
mod outline;
mod pack;
mod png;
mod rig;
mod rig_format;
mod spine;
mod style;
mod svg;
mod upright;

#[cfg(test)]
mod sample;

use crate::decode::Limits;
use crate::mesh::{Mesh, Result};

pub use atlas::{Atlas, Region, png_of};
pub use names::{names, page_name};
pub use rig::{Blend, Part, Rig, centred};
pub use rig_format::{RIG_FORMATS, RigFile, RigFormat};

/// The engine's version as results carry it: equal image, parameters and version give equal bytes.
pub const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is known of the image that a mesh was made from. Everything is optional: `Source::default()` will do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source<'a> {
    /// What to call the image in titles, and what files that show it refer to. Never part of `json`, so that a renamed
    /// image gives the same result.
    pub name: &'a str,
    /// What the main file is called without its extension, so that it can refer to those [beside](Format::beside) it;
    /// empty: as [`stem()`](method@Self::stem) says.
    pub stem: &'a str,
    /// The image file's bytes; [draughtsmen](Format::draws_image) put the mesh over it, the others never look.
    pub bytes: Option<&'a [u8]>,
    /// The limits under which `bytes` may be decoded.
    pub limits: Limits,
    /// SHA-256 of the image file, lower-case hexadecimal.
    pub sha256: Option<&'a str>,
    /// What the caller wants said beside the mesh's own warnings, such as unknown parameters.
    pub warnings: &'a [String],
}

/// One format that a mesh can be written in.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Format {
    /// What users call it.
    pub name: &'static str,
    /// What a file's name ends in, without the leading dot. A picture's is told apart from an input image's.
    pub extension: &'static str,
    /// The media type for HTTP.
    pub media_type: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    /// Not fit for a terminal.
    pub binary: bool,
    /// Uses [`Source::bytes`]; without them the mesh is drawn alone.
    pub draws_image: bool,
    /// Writes the whole file.
    ///
    /// # Errors
    /// Those of [`crate::decode::rgba`] where the image is drawn, and
    /// [`Error::Internal`](crate::mesh::Error::Internal).
    pub write: fn(&Mesh, &Source<'_>) -> Result<Vec<u8>>,
    /// The files that belong beside the main one, such as OBJ's materials.
    pub beside: &'static [Beside],
}

/// A file that belongs beside a format's main one, under the same stem. It is not named by itself in [`FORMATS`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Beside {
    /// What its name ends in, without the leading dot: `hero.obj` has `hero.mtl` beside it.
    pub extension: &'static str,
    /// What it holds, in a few words.
    pub about: &'static str,
    /// Writes the whole file, from the same mesh and source as the main one.
    ///
    /// # Errors
    /// As those of [`Format::write`].
    pub write: fn(&Mesh, &Source<'_>) -> Result<Vec<u8>>,
}

impl<'a> Source<'a> {
    /// What the main file is called without its extension: [`stem`](field@Self::stem) where it is known, else the
    /// image's name without its extension, else `mesh`.
    #[must_use]
    pub fn stem(&self) -> &'a str {
        let of_image = self.name.rsplit_once('.').map_or(self.name, |(stem, _)| stem);
        let known = [self.stem, of_image, self.name].into_iter().find(|stem| !stem.is_empty());
        known.unwrap_or("mesh")
    }
}

/// Every format; the first is the default.
pub const FORMATS: &[Format] = &[
    json::FORMAT,
    outline::FORMAT,
    svg::FORMAT,
    png::FORMAT,
    glb::FORMAT,
    obj::FORMAT,
    godot::FORMAT,
    spine::FORMAT,
    spine::FORMAT_38,
    dragonbones::FORMAT,
];

impl Format {
    /// The format of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FORMATS.iter().find(|format| format.name == name)
    }
}
