//! The mesh drawn over its sprite as PNG: for eyes, where SVG is not shown.

use std::io::Cursor;

use super::coverage::Coverage;
use super::style::{self, MARGIN_PX, SHOWN_PX, SQUARE_PX, SQUARES};
use super::{Format, Source};
use crate::decode::{self, Picture};
use crate::mesh::{Error, Mesh, Result};

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

/// Larger images are drawn smaller, by a whole factor: a 4096 px drawing shows no more and is several times the bytes.
const LARGEST_PX: u32 = 2048;

/// How image pixels become pixels of the drawing.
struct View {
    width: u32,
    height: u32,
    /// Drawn pixels per image pixel, where the drawing is larger.
    zoom: u32,
    /// Image pixels per drawn pixel, where it is smaller.
    shrink: u32,
}

impl View {
    fn new(mesh: &Mesh) -> Self {
        let (width, height) = (mesh.width.max(1), mesh.height.max(1));
        let longest = width.max(height);
        let zoom = (SHOWN_PX / longest).max(1);
        let shrink = longest.div_ceil(LARGEST_PX);
        // One of the two factors is 1.
        let shown = |length: u32| (length * zoom).div_ceil(shrink) + 2 * MARGIN_PX;
        Self { width: shown(width), height: shown(height), zoom, shrink }
    }

    fn scale(&self) -> f64 {
        f64::from(self.zoom) / f64::from(self.shrink)
    }

    fn place(&self, point: [f64; 2]) -> [f64; 2] {
        point.map(|c| c * self.scale() + f64::from(MARGIN_PX))
    }
}

fn write(mesh: &Mesh, source: &Source<'_>) -> Result<Vec<u8>> {
    let view = View::new(mesh);
    let picture = source.bytes.map(|bytes| decode::rgba(Cursor::new(bytes), &source.limits, &())).transpose()?;
    let mut rgb = backdrop(&view, picture.as_ref());
    drop(picture);
    let (width, height) = (view.width as usize, view.height as usize);
    for stroke in style::strokes(style::mean_edge(mesh) * view.scale()).iter().filter(|stroke| stroke.opacity > 0.0) {
        let mut coverage = Coverage::new(width, height);
        for line in style::lines(mesh, stroke.part) {
            coverage.line(line.map(|point| view.place(point)), stroke.width_px);
        }
        coverage.paint(&mut rgb, stroke.colour, stroke.opacity);
    }
    encode(&view, &rgb).map_err(|error| Error::Internal(error.to_string()))
}

/// The sprite on a checkerboard, three bytes a pixel.
fn backdrop(view: &View, picture: Option<&Picture>) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(view.width as usize * view.height as usize * 3);
    for y in 0..view.height {
        for x in 0..view.width {
            let ground = SQUARES[((x / SQUARE_PX + y / SQUARE_PX) % 2) as usize];
            let [red, green, blue, alpha] = picture.map_or([0; 4], |picture| sample(view, picture, x, y));
            // The colours come weighted by alpha already.
            rgb.extend([red, green, blue].map(|ink| (ink + u32::from(ground) * (255 - alpha) / 255) as u8));
        }
    }
    rgb
}

/// The mean of the image's pixels under a drawn one, colours weighted by alpha, each 0 to 255; 0 in the margin.
fn sample(view: &View, picture: &Picture, x: u32, y: u32) -> [u32; 4] {
    let (Some(x), Some(y)) = (x.checked_sub(MARGIN_PX), y.checked_sub(MARGIN_PX)) else { return [0; 4] };
    let first = [x * view.shrink / view.zoom, y * view.shrink / view.zoom];
    let end = [(first[0] + view.shrink).min(picture.width()), (first[1] + view.shrink).min(picture.height())];
    let mut sums = [0; 4];
    let mut count = 0;
    for row in first[1]..end[1] {
        for column in first[0]..end[0] {
            let at = (row as usize * picture.width() as usize + column as usize) * 4;
            let Some(&[red, green, blue, alpha]) =
                picture.pixels().get(at..at + 4).and_then(|pixel| pixel.first_chunk())
            else {
                continue;
            };
            let weight = u32::from(alpha);
            let weighted = [red, green, blue].map(|channel| u32::from(channel) * weight / 255);
            for (sum, value) in sums.iter_mut().zip([weighted[0], weighted[1], weighted[2], weight]) {
                *sum += value;
            }
            count += 1;
        }
    }
    sums.map(|sum: u32| sum / count.max(1))
}

fn encode(view: &View, rgb: &[u8]) -> std::result::Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, view.width, view.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    encoder.set_filter(png::Filter::Up);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample as samples;

    fn pixels(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        (info.width, info.height, rgb)
    }

    fn sized(width: u32, height: u32) -> View {
        View::new(&Mesh { width, height, ..samples::mesh() })
    }

    #[test]
    fn drawings_have_a_size_for_eyes() {
        let size = |view: View| (view.width, view.height, view.zoom, view.shrink);
        assert_eq!(size(sized(64, 32)), (1056, 544, 16, 1));
        assert_eq!(size(sized(700, 1)), (732, 33, 1, 1));
        assert_eq!(size(sized(2048, 2048)), (2080, 2080, 1, 1));
        assert_eq!(size(sized(4096, 4095)), (2080, 2080, 1, 2));
        assert_eq!(size(sized(1, 1)), (1056, 1056, 1024, 1));
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
    fn transparent_colours_do_not_bleed_when_shrunk() {
        let mesh = Mesh { width: 4096, height: 2, ..samples::mesh() };
        let mut colours = [255, 0, 0, 0].repeat(4096 * 2);
        colours[..4].copy_from_slice(&[0, 0, 255, 255]);
        let picture = Picture::new(4096, 2, colours).unwrap();
        assert_eq!(sample(&View::new(&mesh), &picture, MARGIN_PX, MARGIN_PX), [0, 0, 63, 63]);
    }
}
