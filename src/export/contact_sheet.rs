//! A contact sheet: every part of a batch with its mesh, to look them over in one glance. As PNG, and as a page that
//! needs nothing but itself.
//!
//! Each part is drawn small as soon as its mesh is there, so that a batch is never held in memory at full size.

mod page;
mod picture;

use std::io::Cursor;

use super::draw::{View, draw};
use super::frame::Frame;
use super::{Source, encode};
use crate::decode::{self, Picture};
use crate::mesh::{Mesh, Result};

/// Most parts of a sheet that is one picture: its pixels take about 0.5 GB then. A page has no such end.
pub const MOST_IN_A_PICTURE: usize = 10_000;

/// Room around the image in a part's picture, px.
const MARGIN_PX: u32 = 8;

/// Side of the backdrop's squares, px.
const SQUARE_PX: u32 = 8;

/// What a sheet can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// One picture.
    Png,
    /// One self-contained page, light or dark as its reader has it.
    Html,
}

impl Kind {
    /// By what a file's name ends in, without the dot: `png`, `html` or `htm`, in upper or lower case.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "html" | "htm" => Some(Self::Html),
            _ => None,
        }
    }
}

/// A sheet under construction: how large its parts are shown.
#[derive(Debug, Clone, Copy)]
pub struct ContactSheet {
    /// Longest side of a part's picture, margin included, px.
    side: u32,
}

/// One part of a sheet: a name, and what became of it.
#[derive(Debug, Clone)]
pub struct Part {
    name: String,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Drawn { thumbnail: Thumbnail, facts: Vec<(String, String)> },
    Failed { error: String },
}

/// Three bytes a pixel, top row first.
#[derive(Debug, Clone)]
struct Thumbnail {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl ContactSheet {
    /// A sheet for about so many parts: the more there are, the smaller each is shown.
    #[must_use]
    pub fn for_parts(count: usize) -> Self {
        let side = match count {
            0..=24 => 320,
            25..=120 => 240,
            121..=600 => 160,
            _ => 96,
        };
        Self { side }
    }

    /// A part with its mesh drawn over the image, or alone if the source has no bytes. Numbers of vertices and triangles
    /// stand under it, then `facts`: labels and values, such as scores.
    ///
    /// # Errors
    /// Those of [`decode::rgba`].
    pub fn part(&self, mesh: &Mesh, source: &Source<'_>, facts: &[(&str, String)]) -> Result<Part> {
        let picture = source.bytes.map(|bytes| decode::rgba(Cursor::new(bytes), &source.limits, &())).transpose()?;
        Ok(self.part_of(mesh, picture.as_ref(), source.name, facts))
    }

    /// As [`part`](Self::part), of pixels that are there already, such as a layer's.
    #[must_use]
    pub fn part_of(&self, mesh: &Mesh, picture: Option<&Picture>, name: &str, facts: &[(&str, String)]) -> Part {
        let room = self.side - 2 * MARGIN_PX;
        let frame = Frame::of(mesh);
        let longest = frame.longest();
        // Tiny ones grow by a whole factor, so that their pixels stay square.
        let (zoom, shrink) = if longest > room / 3 { (room, longest) } else { (room / longest, 1) };
        let view = View::new(frame, zoom, shrink, MARGIN_PX, SQUARE_PX);
        let rgb = draw(mesh, picture, &view);
        let counts = [("vertices", mesh.vertices.len()), ("triangles", mesh.triangles.len())];
        let counts = counts.map(|(label, count)| (label.to_owned(), count.to_string()));
        let others = facts.iter().map(|(label, value)| ((*label).to_owned(), value.clone()));
        let thumbnail = Thumbnail { width: view.width, height: view.height, rgb };
        let body = Body::Drawn { thumbnail, facts: counts.into_iter().chain(others).collect() };
        Part { name: name.to_owned(), body }
    }

    /// The parts in their order as a file of that kind. `title` is a page's.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::mesh::Error::Internal) for a picture of more than [`MOST_IN_A_PICTURE`] parts.
    pub fn write(&self, kind: Kind, title: &str, parts: &[Part]) -> Result<Vec<u8>> {
        match kind {
            Kind::Png => picture::write(self.side, parts),
            Kind::Html => page::write(self.side, title, parts),
        }
    }
}

impl Part {
    /// A part that did not become a mesh, and why.
    #[must_use]
    pub fn failed(name: &str, error: &str) -> Self {
        Self { name: name.to_owned(), body: Body::Failed { error: error.to_owned() } }
    }
}

impl Thumbnail {
    fn png(&self) -> Result<Vec<u8>> {
        encode::rgb(self.width, self.height, &self.rgb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    pub(super) fn parts(sheet: ContactSheet) -> Vec<Part> {
        let source = Source { name: "<hero> & \"co\".png", ..Source::default() };
        let facts = [("coverage", "99.8 %".to_owned())];
        vec![sheet.part(&sample::mesh(), &source, &facts).unwrap(), Part::failed("b.png", "the file is <empty>")]
    }

    fn size(mesh: &Mesh, count: usize) -> (u32, u32) {
        match ContactSheet::for_parts(count).part(mesh, &Source::default(), &[]).unwrap().body {
            Body::Drawn { thumbnail, .. } => {
                assert_eq!(thumbnail.rgb.len() as u32, thumbnail.width * thumbnail.height * 3);
                (thumbnail.width, thumbnail.height)
            }
            Body::Failed { error } => panic!("{error}"),
        }
    }

    #[test]
    fn parts_fit_their_place_at_any_size() {
        assert_eq!(size(&sample::mesh(), 1), (19 * 16 + 16, 19 * 10 + 16));
        assert_eq!(size(&sample::padded(), 1), (13 * 22 + 16, 13 * 22 + 16));
        for count in [1, 100, 500, 5000] {
            let side = ContactSheet::for_parts(count).side;
            for (width, height) in [(1, 1), (4096, 4095), (65_535, 1), (1, 65_535), (305, 305)] {
                let mesh = Mesh { width, height, ..sample::mesh() };
                for mesh in [&mesh, &Mesh { vertices: sample::padded().vertices, ..mesh.clone() }] {
                    let (width, height) = size(mesh, count);
                    assert!((1..=side).contains(&width) && (1..=side).contains(&height), "{width} x {height}");
                }
            }
        }
    }

    #[test]
    fn pictures_end_somewhere() {
        let parts = vec![Part::failed("", ""); MOST_IN_A_PICTURE + 1];
        let error = ContactSheet::for_parts(parts.len()).write(Kind::Png, "", &parts).unwrap_err();
        assert!(error.to_string().contains("a picture holds 10000 parts, not 10001"), "{error}");
    }

    #[test]
    fn kinds_are_told_by_the_extension() {
        assert_eq!(Kind::of_extension("PNG"), Some(Kind::Png));
        assert_eq!(Kind::of_extension("htm"), Some(Kind::Html));
        assert_eq!(Kind::of_extension("json"), None);
    }
}
