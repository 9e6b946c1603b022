//! The mesh drawn over its sprite as SVG: for eyes, at any zoom.

use std::fmt::{self, Write};

use super::frame::Frame;
use super::style::{self, MARGIN_PX, Part, SQUARE_PX, SQUARES};
use super::{Format, Source};
use crate::mesh::{Error, Mesh, Result};

pub(super) const FORMAT: Format = Format {
    name: "svg",
    extension: "svg",
    media_type: "image/svg+xml",
    about: "the mesh drawn over the sprite, which is embedded",
    binary: false,
    draws_image: true,
    write,
    beside: &[],
};

/// Up to this size pixels are shown as squares; over it, smoothing looks better.
const PIXEL_ART_PX: u32 = 256;

fn write(mesh: &Mesh, source: &Source<'_>) -> Result<Vec<u8>> {
    let mut text =
        String::with_capacity(4096 + source.bytes.map_or(0, <[u8]>::len) * 4 / 3 + mesh.triangles.len() * 64);
    draw(&mut text, mesh, source).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(text.into_bytes())
}

fn draw(out: &mut String, mesh: &Mesh, source: &Source<'_>) -> fmt::Result {
    let frame = Frame::of(mesh);
    let zoom = f64::from(style::zoom(mesh, &frame));
    let margin = f64::from(MARGIN_PX) / zoom;
    let corner = [frame.left, frame.top].map(|length| -margin - f64::from(length));
    let size = [frame.width, frame.height].map(|length| f64::from(length) + 2.0 * margin);
    let view = [corner[0], corner[1], size[0], size[1]];
    let [left, top, seen_width, seen_height] = view;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         viewBox=\"{left} {top} {seen_width} {seen_height}\">",
        seen_width * zoom,
        seen_height * zoom
    )?;
    let (vertices, triangles) = (mesh.vertices.len(), mesh.triangles.len());
    let name = if source.name.is_empty() { String::new() } else { format!("{}: ", Escaped(source.name)) };
    writeln!(out, "<title>{name}{vertices} vertices, {triangles} triangles</title>")?;
    backdrop(out, f64::from(SQUARE_PX) / zoom, view)?;
    if let Some((bytes, media_type)) = source.bytes.and_then(|bytes| Some((bytes, media_type(bytes)?))) {
        embed(out, mesh, bytes, media_type)?;
    }
    draw_mesh(out, mesh, zoom)?;
    writeln!(out, "</svg>")
}

fn embed(out: &mut String, mesh: &Mesh, bytes: &[u8], media_type: &str) -> fmt::Result {
    let (width, height) = (mesh.width, mesh.height);
    let smoothing = if width.max(height) <= PIXEL_ART_PX { "pixelated" } else { "auto" };
    // The mesh lies over pixels as they are stored; a viewer would turn a JPEG as its EXIF says.
    write!(
        out,
        "<image width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
         style=\"image-rendering:{smoothing};image-orientation:none\" href=\"data:{media_type};base64,"
    )?;
    base64(out, bytes);
    writeln!(out, "\"/>")
}

fn backdrop(out: &mut String, square: f64, [left, top, width, height]: [f64; 4]) -> fmt::Result {
    let period = square * 2.0;
    let [even, odd] = SQUARES.map(|grey| format!("#{grey:02x}{grey:02x}{grey:02x}"));
    writeln!(
        out,
        "<pattern id=\"checks\" width=\"{period}\" height=\"{period}\" patternUnits=\"userSpaceOnUse\">\
         <path fill=\"{even}\" d=\"M0 0h{period}v{period}h-{period}z\"/>\
         <path fill=\"{odd}\" d=\"M{square} 0h{square}v{square}h-{period}v{square}h{square}z\"/></pattern>\n\
         <rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"url(#checks)\"/>"
    )
}

/// Widths are px of the screen at every zoom.
fn draw_mesh(out: &mut String, mesh: &Mesh, zoom: f64) -> fmt::Result {
    writeln!(
        out,
        "<style>path.l{{fill:none;vector-effect:non-scaling-stroke;stroke-linejoin:round;stroke-linecap:round}}</style>\n<defs>"
    )?;
    for part in [Part::Wire, Part::Hull, Part::Dots] {
        write!(out, "<path id=\"{}\" class=\"l\" d=\"", id(part))?;
        for [[ax, ay], [bx, by]] in style::lines(mesh, part) {
            // A line of no length with round ends is a dot whose size does not scale.
            if part == Part::Dots { write!(out, "M{ax} {ay}h0")? } else { write!(out, "M{ax} {ay}L{bx} {by}")? }
        }
        writeln!(out, "\"/>")?;
    }
    writeln!(out, "</defs>")?;
    for stroke in style::strokes(style::mean_edge(mesh) * zoom) {
        let [red, green, blue] = stroke.colour;
        writeln!(
            out,
            "<use href=\"#{}\" stroke=\"#{red:02x}{green:02x}{blue:02x}\" stroke-opacity=\"{}\" stroke-width=\"{:.2}\"/>",
            id(stroke.part),
            stroke.opacity,
            stroke.width_px
        )?;
    }
    Ok(())
}

fn id(part: Part) -> &'static str {
    match part {
        Part::Wire => "wire",
        Part::Hull => "hull",
        Part::Dots => "dots",
    }
}

/// Only what browsers draw may be embedded, whatever the bytes claim to be.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', ..] => Some("image/webp"),
        [b'B', b'M', ..] => Some("image/bmp"),
        _ => None,
    }
}

/// RFC 4648, section 4.
pub(super) fn base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
}

/// Text fit for the content and the quoted attributes of XML and HTML.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                // XML 1.0 has no way to write control characters.
                c if c.is_control() => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    #[test]
    fn base64_pads_as_the_rfc_says() {
        let encode = |text: &str| {
            let mut out = String::new();
            base64(&mut out, text.as_bytes());
            out
        };
        let vectors = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(encode);
        assert_eq!(vectors, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }

    #[test]
    fn names_are_escaped_in_the_title() {
        let source = Source { name: "<a>&\u{1b}b", ..Source::default() };
        let text = String::from_utf8(write(&sample::mesh(), &source).unwrap()).unwrap();
        assert!(text.contains("<title>&lt;a&gt;&amp;\u{fffd}b: 5 vertices, 4 triangles</title>"), "{text}");
    }

    #[test]
    fn only_images_are_embedded() {
        let page = Source { bytes: Some(b"<html>"), ..Source::default() };
        let image = Source { bytes: Some(b"GIF89a"), ..Source::default() };
        let draw = |source| String::from_utf8(write(&sample::mesh(), &source).unwrap()).unwrap();
        assert!(!draw(page).contains("<image"));
        assert!(draw(image).contains("href=\"data:image/gif;base64,R0lGODlh\""));
    }

    #[test]
    fn every_part_and_every_hole_has_its_outline() {
        for (mesh, ends) in [(sample::two_parts(), "M20 1L20 9"), (sample::frame(), "M6 3L6 7")] {
            let text = String::from_utf8(write(&mesh, &Source::default()).unwrap()).unwrap();
            let hull = text.lines().find(|line| line.contains("id=\"hull\"")).unwrap();
            assert!(hull.matches('L').count() == 8 && hull.contains(ends), "{hull}");
        }
    }

    #[test]
    fn every_edge_and_vertex_is_drawn() {
        let text = String::from_utf8(write(&sample::mesh(), &Source::default()).unwrap()).unwrap();
        assert_eq!(text.matches('L').count(), 8);
        assert_eq!(text.matches("h0M").count() + text.matches("h0\"").count(), 5);
        assert!(text.contains("viewBox=\"-0.25 -0.25 16.5 10.5\"") && text.contains("width=\"1056\""));
    }

    #[test]
    fn what_lies_outside_the_image_is_in_view() {
        let source = Source { bytes: Some(b"GIF89a"), ..Source::default() };
        let text = String::from_utf8(write(&sample::padded(), &source).unwrap()).unwrap();
        let margin = 16.0 / 64.0;
        let (left, top, size) = (-3.0 - margin, -6.0 - margin, 22.0 + 2.0 * margin);
        assert!(text.contains(&format!("viewBox=\"{left} {top} {size} {size}\"")), "{text}");
        assert!(text.contains(&format!("<rect x=\"{left}\" y=\"{top}\" width=\"{size}\" height=\"{size}\"")), "{text}");
        assert!(text.contains("<image width=\"16\" height=\"10\""), "the sprite stays where it is");
    }
}
