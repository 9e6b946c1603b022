//! Anti-aliased lines and dots. Own code: imageproc would bring 23 crates for a line that is always one pixel wide.

/// How much of each pixel a pen has covered, 0 to 255. Overlaps do not add up, so that translucent lines have no knots
/// where they meet.
pub(super) struct Coverage {
    width: usize,
    height: usize,
    cells: Vec<u8>,
}

impl Coverage {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, cells: vec![0; width * height] }
    }

    /// A line with round ends, from `a` to `b` in px; a dot where they are the same.
    pub(super) fn line(&mut self, [a, b]: [[f64; 2]; 2], width_px: f64) {
        // A pixel is covered by how far its middle lies within the pen's edge, softened over one pixel.
        let reach = width_px / 2.0 + 0.5;
        let direction = [b[0] - a[0], b[1] - a[1]];
        for row in within(a[1].min(b[1]) - reach, a[1].max(b[1]) + reach, self.height) {
            let y = row as f64 + 0.5;
            let (low, high) = span(a, direction, y, reach);
            for column in within(low, high, self.width) {
                let distance = distance_to_segment([column as f64 + 0.5, y], a, direction);
                let cell = &mut self.cells[row * self.width + column];
                *cell = (*cell).max(((reach - distance).clamp(0.0, 1.0) * 255.0) as u8);
            }
        }
    }

    /// Lays a colour over `rgb`, three bytes a pixel, where the pen was.
    pub(super) fn paint(&self, rgb: &mut [u8], colour: [u8; 3], opacity: f64) {
        // In 1/65536, so that the loop has integers only.
        let opacity = (opacity * 257.0) as i32;
        for (pixel, &cell) in rgb.chunks_exact_mut(3).zip(&self.cells).filter(|(_, cell)| **cell > 0) {
            let share = i32::from(cell) * opacity;
            for (channel, ink) in pixel.iter_mut().zip(colour) {
                let below = i32::from(*channel);
                *channel = (below + (((i32::from(ink) - below) * share + (1 << 15)) >> 16)).clamp(0, 255) as u8;
            }
        }
    }
}

/// The whole numbers of pixels that touch `low..high`, inside `0..end`.
fn within(low: f64, high: f64, end: usize) -> std::ops::Range<usize> {
    // Casts saturate, NaN becomes 0: what lies outside is cut off.
    (low.floor() as usize).min(end)..(high.ceil() as usize).min(end)
}

/// From where to where the pen may touch the row at `y`; without it a long diagonal would visit its whole bounding box.
fn span(a: [f64; 2], direction: [f64; 2], y: f64, reach: f64) -> (f64, f64) {
    let x_at = |y: f64| {
        let share = if direction[1] == 0.0 { f64::NAN } else { ((y - a[1]) / direction[1]).clamp(0.0, 1.0) };
        a[0] + share * direction[0]
    };
    let (mut low, mut high) = (x_at(y - reach), x_at(y + reach));
    if low.is_nan() {
        (low, high) = (a[0], a[0] + direction[0]);
    }
    (low.min(high) - reach, low.max(high) + reach)
}

fn distance_to_segment(point: [f64; 2], a: [f64; 2], direction: [f64; 2]) -> f64 {
    let to_point = [point[0] - a[0], point[1] - a[1]];
    let length2 = direction[0] * direction[0] + direction[1] * direction[1];
    let along = to_point[0] * direction[0] + to_point[1] * direction[1];
    let share = if length2 > 0.0 { (along / length2).clamp(0.0, 1.0) } else { 0.0 };
    let off = [to_point[0] - share * direction[0], to_point[1] - share * direction[1]];
    // Not `hypot`: its last bit differs between systems, a square root's does not.
    (off[0] * off[0] + off[1] * off[1]).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(line: [[f64; 2]; 2], width_px: f64) -> Coverage {
        let mut coverage = Coverage::new(20, 12);
        coverage.line(line, width_px);
        coverage
    }

    #[test]
    fn a_line_covers_its_area() {
        for line in [[[3.0, 6.0], [17.0, 6.0]], [[3.0, 3.0], [15.0, 9.0]], [[8.0, 2.0], [9.0, 10.0]]] {
            let area: f64 = drawn(line, 2.0).cells.iter().map(|cell| f64::from(*cell) / 255.0).sum();
            let [[ax, ay], [bx, by]] = line;
            let ideal = 2.0 * f64::hypot(bx - ax, by - ay) + std::f64::consts::PI;
            assert!((area - ideal).abs() < 0.06 * ideal, "{line:?}: {area} is not {ideal}");
        }
    }

    #[test]
    fn the_rows_span_misses_no_pixel() {
        for line in [[[2.0, 1.0], [18.0, 11.0]], [[18.0, 2.0], [1.0, 2.5]], [[5.0, 11.0], [5.0, 1.0]]] {
            let fast = drawn(line, 3.0);
            for (index, cell) in fast.cells.iter().enumerate() {
                let middle = [(index % 20) as f64 + 0.5, (index / 20) as f64 + 0.5];
                let [a, b] = line;
                let distance = distance_to_segment(middle, a, [b[0] - a[0], b[1] - a[1]]);
                assert_eq!(*cell, ((2.0 - distance).clamp(0.0, 1.0) * 255.0) as u8, "{line:?} at {middle:?}");
            }
        }
    }

    #[test]
    fn lines_are_cut_at_the_border() {
        drawn([[-50.0, -3.0], [90.0, 40.0]], 4.0);
        assert!(drawn([[-9.0, -9.0], [-9.0, -9.0]], 4.0).cells.iter().all(|cell| *cell == 0));
    }

    #[test]
    fn paint_covers_fully_where_opaque() {
        let mut rgb = vec![10; 20 * 12 * 3];
        drawn([[10.0, 6.0], [10.0, 6.0]], 6.0).paint(&mut rgb, [255, 0, 128], 1.0);
        let at = (6 * 20 + 10) * 3;
        assert_eq!(rgb[at..at + 3], [255, 0, 128]);
        assert_eq!(rgb[..3], [10; 3]);
    }
}
