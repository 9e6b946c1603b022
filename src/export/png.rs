//! The mesh drawn over its sprite as PNG: for eyes, where SVG is not shown.

use std::io::Cursor;

use super::draw::{View, draw};
use super::frame::Frame;
use super::style::{self, LARGEST_PX, MARGIN_PX, SQUARE_PX};
use super::{Format, Source, encode};
use crate::decode;
use crate::mesh::{Mesh, Result};

pub(super) const FORMAT: Format = Format {
    name: "png",
    // Apart from an input image's, so that `hero.png` is never replaced by its own drawing.
    extension: "mesh.png",
    media_type: "image/png",
    about: "the mesh drawn over the sprite, about 1024 to 2048 px wide or high",
    binary: true,
    draws_image: true,
    write,
    beside: &[],
};

fn write(mesh: &Mesh, source: &Source<'_>) -> Result<Vec<u8>> {
    let view = view(mesh);
    let picture = source.bytes.map(|bytes| decode::rgba(Cursor::new(bytes), &source.limits, &())).transpose()?;
    encode::rgb(view.width, view.height, &draw(mesh, picture.as_ref(), &view))
}

/// By a whole factor, up or down.
fn view(mesh: &Mesh) -> View {
    let frame = Frame::of(mesh);
    View::new(frame, style::zoom(mesh, &frame), frame.longest().div_ceil(LARGEST_PX), MARGIN_PX, SQUARE_PX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample as samples;
    use crate::export::style::SQUARES;

    fn pixels(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        (info.width, info.height, rgb)
    }

    fn sized(width: u32, height: u32) -> View {
        view(&Mesh { width, height, vertices: Vec::new(), ..samples::mesh() })
    }

    #[test]
    fn drawings_have_a_size_for_eyes() {
        let size = |view: View| (view.width, view.height);
        assert_eq!(size(sized(64, 32)), (1056, 544));
        assert_eq!(size(sized(700, 1)), (732, 33));
        assert_eq!(size(sized(2048, 2048)), (2080, 2080));
        assert_eq!(size(sized(4096, 4095)), (2080, 2080));
        assert_eq!(size(sized(1, 1)), (1056, 1056));
        let padded = |width, height| size(view(&Mesh { width, height, ..samples::padded() }));
        assert_eq!(padded(16, 10), (22 * 64 + 32, 22 * 64 + 32), "larger, with the sprite as it was");
        assert_eq!(padded(1, 1), (22 * 93 + 32, 22 * 93 + 32), "but no larger than others");
        assert_eq!(padded(4096, 4096), (1399, 1400), "by a whole factor");
    }

    #[test]
    fn hull_wire_and_vertices_are_seen_without_the_image() {
        let (width, height, rgb) = pixels(&write(&samples::mesh(), &Source::default()).unwrap());
        assert_eq!((width, height), (1056, 672));
        let at = |x: f64, y: f64| {
            let at = ((y * 64.0 + 16.0) as usize * 1056 + (x * 64.0 + 16.0) as usize) * 3;
            [rgb[at], rgb[at + 1], rgb[at + 2]]
        };
        assert_eq!(at(4.0, 5.0), [0xff, 0xd2, 0x3f], "the hull's left side");
        assert_eq!(at(8.25, 5.1), [0xff; 3], "the vertex in the middle");
        assert!(SQUARES.contains(&at(1.0, 1.0)[0]), "nothing outside");
    }

    #[test]
    fn what_lies_outside_the_image_is_drawn() {
        let (width, height, rgb) = pixels(&write(&samples::padded(), &Source::default()).unwrap());
        assert_eq!((width, height), (22 * 64 + 32, 22 * 64 + 32));
        let at = |x: f64, y: f64| {
            let [x, y] = [(x + 3.0) * 64.0 + 16.0, (y + 6.0) * 64.0 + 16.0].map(|c| c as usize);
            let at = (y * width as usize + x) * 3;
            [rgb[at], rgb[at + 1], rgb[at + 2]]
        };
        let sides = [at(-3.0, 5.0), at(8.0, 16.0), at(19.0, 5.0), at(8.0, -6.0)];
        assert_eq!(sides, [[0xff, 0xd2, 0x3f]; 4], "all sides of the hull");
        assert_eq!(at(19.0, 16.0), [0xff; 3], "a vertex at the far corner");
    }

    #[test]
    fn several_parts_and_holes_are_drawn() {
        let hull = [0xff, 0xd2, 0x3f];
        let (width, _, rgb) = pixels(&write(&samples::two_parts(), &Source::default()).unwrap());
        let at = |x: f64, y: f64| {
            let at = ((y * 32.0 + 16.0) as usize * width as usize + (x * 32.0 + 16.0) as usize) * 3;
            [rgb[at], rgb[at + 1], rgb[at + 2]]
        };
        assert_eq!((at(4.0, 5.0), at(20.0, 5.0), at(28.0, 5.0)), (hull, hull, hull));
        assert!(SQUARES.contains(&at(16.0, 5.0)[0]), "nothing joins the parts");
        let (width, _, rgb) = pixels(&write(&samples::frame(), &Source::default()).unwrap());
        let at = |x: f64, y: f64| {
            let at = ((y * 64.0 + 16.0) as usize * width as usize + (x * 64.0 + 16.0) as usize) * 3;
            [rgb[at], rgb[at + 1], rgb[at + 2]]
        };
        assert_eq!((at(4.0, 5.0), at(6.0, 5.0)), (hull, hull), "the hole has an outline too");
        assert!(SQUARES.contains(&at(8.0, 5.0)[0]), "nothing in the hole");
    }
}
