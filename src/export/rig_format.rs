//! The formats that hold a whole rig: their table, the files of a rig, and one image as a rig of one part.

use super::names::page_name;
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
    /// Says of a rig what runtimes of the format cannot hold, a sentence each with the number, the limit and what to do.
    pub beyond_runtimes: fn(&Rig<'_>) -> Vec<String>,
}

/// What makes a mesh smaller.
pub(super) const HOW_TO_SIMPLIFY: &str =
    "lower internal_vertex_density or detail_factor, raise max_triangle_area, or set max_vertices with outline=cover";

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

    /// Says what is odd about one image as a skeleton: what runtimes cannot hold of its mesh, and a name that an atlas
    /// cannot.
    #[must_use]
    pub fn notes(&self, mesh: &Mesh, source: &Source<'_>) -> Vec<String> {
        let mut notes = with_image(mesh, source, |rig, _| (self.beyond_runtimes)(rig));
        let page = page_of(source);
        if !source.name.is_empty() && page != source.name {
            notes.push(format!(
                "an atlas cannot hold the name {:?} and says {page:?}; rename the image to that",
                source.name
            ));
        }
        notes
    }
}

/// One image as a rig of one part, its file as the only page.
pub(super) fn with_image<T>(mesh: &Mesh, source: &Source<'_>, write: impl FnOnce(&Rig<'_>, &Atlas) -> T) -> T {
    let file = page_of(source);
    let name = file.rsplit_once('.').map_or(&*file, |(stem, _)| stem);
    let part = Part { name, mesh, offset: [0.0; 2], opacity: 1.0, blend: Blend::Normal };
    let rig = Rig { name: source.stem(), canvas: [mesh.width, mesh.height], parts: &[part], images: "./" };
    write(&rig, &Atlas::of_image(mesh))
}

/// The image's file as an atlas names it.
pub(super) fn page_of(source: &Source<'_>) -> String {
    page_name(if source.name.is_empty() { "image.png" } else { source.name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{Format, sample};

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

    #[test]
    fn a_name_that_no_atlas_holds_is_said() {
        let notes = |name| spine::RIG.notes(&sample::mesh(), &Source { name, ..Source::default() });
        assert_eq!(notes("hero, left.png"), Vec::<String>::new());
        assert_eq!(notes(""), Vec::<String>::new());
        let said = r#"an atlas cannot hold the name "a:b.png" and says "a_b.png"; rename the image to that"#;
        assert_eq!(notes("a:b.png"), [said]);
    }
}
