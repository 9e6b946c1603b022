//! The mesh drawn over its sprite, as pixels.

use super::coverage::Coverage;
use super::frame::Frame;
use super::style::{self, SQUARES};
use crate::decode::Picture;
use crate::mesh::Mesh;

/// How image pixels become pixels of the drawing: `zoom` drawn ones for `shrink` of the image.
pub(super) struct View {
    pub(super) width: u32,
    pub(super) height: u32,
    frame: Frame,
    zoom: u32,
    shrink: u32,
    /// Room around the frame, px of the drawing.
    margin: u32,
    /// Side of the backdrop's squares, px of the drawing.
    square: u32,
}

impl View {
    /// Neither factor may be 0.
    pub(super) fn new(frame: Frame, zoom: u32, shrink: u32, margin: u32, square: u32) -> Self {
        let shown = |length: u32| {
            let drawn = (u64::from(length) * u64::from(zoom)).div_ceil(u64::from(shrink));
            u32::try_from(drawn).unwrap_or(u32::MAX).saturating_add(2 * margin)
        };
        Self { width: shown(frame.width), height: shown(frame.height), frame, zoom, shrink, margin, square }
    }

    fn scale(&self) -> f64 {
        f64::from(self.zoom) / f64::from(self.shrink)
    }

    fn place(&self, point: [f64; 2]) -> [f64; 2] {
        let [x, y] = point;
        let [x, y] = [x + f64::from(self.frame.left), y + f64::from(self.frame.top)];
        [x, y].map(|c| c * self.scale() + f64::from(self.margin))
    }

    /// The image's pixels under a drawn one, along one axis on which the frame shows so many `before` the first; none
    /// beside the image.
    fn under(&self, drawn: u32, before: u32, end: u32) -> std::ops::Range<u32> {
        let at = |drawn: u32| (u64::from(drawn) * u64::from(self.shrink) / u64::from(self.zoom)) as u32;
        let of_frame = at(drawn)..at(drawn + 1).max(at(drawn) + 1);
        of_frame.start.saturating_sub(before)..of_frame.end.saturating_sub(before).min(end)
    }
}

/// Three bytes a pixel, top row first; without a picture the mesh alone.
pub(super) fn draw(mesh: &Mesh, picture: Option<&Picture>, view: &View) -> Vec<u8> {
    let mut rgb = backdrop(view, picture);
    let (width, height) = (view.width as usize, view.height as usize);
    for stroke in style::strokes(style::mean_edge(mesh) * view.scale()).iter().filter(|stroke| stroke.opacity > 0.0) {
        let mut coverage = Coverage::new(width, height);
        for line in style::lines(mesh, stroke.part) {
            coverage.line(line.map(|point| view.place(point)), stroke.width_px);
        }
        coverage.paint(&mut rgb, stroke.colour, stroke.opacity);
    }
    rgb
}

/// The sprite on a checkerboard, three bytes a pixel.
fn backdrop(view: &View, picture: Option<&Picture>) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(view.width as usize * view.height as usize * 3);
    for y in 0..view.height {
        for x in 0..view.width {
            let ground = SQUARES[((x / view.square + y / view.square) % 2) as usize];
            let [red, green, blue, alpha] = picture.map_or([0; 4], |picture| sample(view, picture, x, y));
            // The colours come weighted by alpha already.
            rgb.extend([red, green, blue].map(|ink| (ink + u32::from(ground) * (255 - alpha) / 255) as u8));
        }
    }
    rgb
}

/// The mean of the image's pixels under a drawn one, colours weighted by alpha, each 0 to 255; 0 beside the image.
fn sample(view: &View, picture: &Picture, x: u32, y: u32) -> [u32; 4] {
    let (Some(x), Some(y)) = (x.checked_sub(view.margin), y.checked_sub(view.margin)) else { return [0; 4] };
    let mut sums = [0; 4];
    let mut count = 0;
    for row in view.under(y, view.frame.top, picture.height()) {
        for column in view.under(x, view.frame.left, picture.width()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample as samples;

    #[test]
    fn drawn_pixels_show_those_under_them() {
        let under = |zoom, shrink| {
            let view = View::new(Frame::of(&samples::mesh()), zoom, shrink, 0, 1);
            (0..4).map(|drawn| view.under(drawn, 0, 16)).collect::<Vec<_>>()
        };
        assert_eq!(under(2, 1), [0..1, 0..1, 1..2, 1..2]);
        assert_eq!(under(1, 2), [0..2, 2..4, 4..6, 6..8]);
        assert_eq!(under(2, 3), [0..1, 1..3, 3..4, 4..6]);
    }

    #[test]
    fn the_sprite_is_drawn_at_its_place_in_a_frame_that_has_grown() {
        let mesh = samples::padded();
        let mut pixels = [0, 0, 0, 0].repeat(16 * 10);
        pixels[..4].copy_from_slice(&[0, 0, 255, 255]);
        pixels[16 * 10 * 4 - 4..].copy_from_slice(&[255, 0, 0, 255]);
        let picture = Picture::new(16, 10, pixels).unwrap();
        for (zoom, shrink) in [(1, 1), (3, 1), (5, 2)] {
            let view = View::new(Frame::of(&mesh), zoom, shrink, 4, 1);
            let is_seen = |x: f64, y: f64| {
                let [x, y] = view.place([x, y]).map(|c| c as u32);
                sample(&view, &picture, x, y)[3] == 255
            };
            assert!(is_seen(0.5, 0.5) && is_seen(15.5, 9.5), "{zoom} / {shrink}");
            for (x, y) in [(-0.7, 0.5), (0.5, -0.7), (1.7, 0.5), (16.7, 9.5), (15.5, 10.7), (14.3, 9.5), (-2.9, 15.9)] {
                assert!(!is_seen(x, y), "{zoom} / {shrink}: {x}, {y}");
            }
        }
    }

    #[test]
    fn transparent_colours_do_not_bleed_when_shrunk() {
        let mesh = Mesh { width: 4096, height: 2, ..samples::mesh() };
        let mut colours = [255, 0, 0, 0].repeat(4096 * 2);
        colours[..4].copy_from_slice(&[0, 0, 255, 255]);
        let picture = Picture::new(4096, 2, colours).unwrap();
        assert_eq!(sample(&View::new(Frame::of(&mesh), 1, 2, 16, 16), &picture, 16, 16), [0, 0, 63, 63]);
    }
}
