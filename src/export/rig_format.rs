//! The formats that hold a whole rig: their table, the files of a rig, and one image as a rig of one part.

use super::rig::{Blend, Part, Rig};
use super::{Atlas, Source, dragonbones, spine};
use crate::mesh::{Mesh, Result};

/// A format that holds several images in one skeleton. It is in [`FORMATS`](super::FORMATS) too, under the same name.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RigFormat {
    /// The name of the [`Format`](super::Format).
    pub name: &'static str,
    /// What the skeleton's file ends in, without the leading dot.
    pub extension: &'static str,
    /// Writes the skeleton. Without an atlas it names loose images, one per part under [`names`](super::names).
    ///
    /// # Errors
    /// [`Error::Internal`](crate::mesh::Error::Internal).
    pub skeleton: fn(&Rig<'_>, Option<&Atlas>) -> Result<Vec<u8>>,
    /// Writes what tells where on which page each part lies; the last are the pages' file names, one per page.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::mesh::Error::Internal).
    pub atlas: fn(&Rig<'_>, &Atlas, &[String]) -> Result<Vec<RigFile>>,
}

/// A file beside a rig's skeleton.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RigFile {
    /// What its name ends in, without the leading dot.
    pub extension: String,
    /// The whole file.
    pub bytes: Vec<u8>,
}

/// Every format that holds a rig.
pub const RIG_FORMATS: &[RigFormat] = &[spine::RIG, spine::RIG_38, dragonbones::RIG];

impl RigFormat {
    /// The format of that name, if it holds rigs.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        RIG_FORMATS.iter().find(|format| format.name == name)
    }

    /// What the image of a page ends in, without the leading dot: told apart from the images that are read.
    #[must_use]
    pub fn page_extension(&self, page: usize) -> String {
        if page == 0 { format!("{}.atlas.png", self.name) } else { format!("{}.atlas-{}.png", self.name, page + 1) }
    }
}

/// One image as a rig of one part, its file as the only page.
pub(super) fn with_image<T>(
    mesh: &Mesh,
    source: &Source<'_>,
    write: impl FnOnce(&Rig<'_>, &Atlas) -> Result<T>,
) -> Result<T> {
    let file = page_of(source);
    let name = file.rsplit_once('.').map_or(&*file, |(stem, _)| stem);
    let part = Part { name, mesh, offset: [0.0; 2], opacity: 1.0, blend: Blend::Normal };
    let rig = Rig { name: source.stem(), canvas: [mesh.width, mesh.height], parts: &[part], images: "./" };
    write(&rig, &Atlas::of_image(mesh))
}

/// The image's file as an atlas names it: on one line.
pub(super) fn page_of(source: &Source<'_>) -> String {
    let name = if source.name.is_empty() { "image.png" } else { source.name };
    name.chars().map(|c| if c.is_control() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Format;

    #[test]
    fn every_format_of_rigs_is_a_format() {
        for rig in RIG_FORMATS {
            assert_eq!(Format::named(rig.name).map(|format| format.extension), Some(rig.extension));
        }
    }

    #[test]
    fn pages_are_counted_from_the_second_on() {
        assert_eq!(spine::RIG.page_extension(0), "spine.atlas.png");
        assert_eq!(spine::RIG.page_extension(1), "spine.atlas-2.png");
    }
}
