//! Random masks from a seed, bit for bit those of `masks.py`, which says what each kind provokes.

use spinelift::mesh::AlphaPlane;

/// The alpha plane of a seed, 1 x 1 to 96 x 96.
pub(crate) fn mask(seed: u64) -> AlphaPlane {
    let mut r = SplitMix64(seed);
    let largest = if r.below(6) == 0 { 12 } else { 96 };
    let (width, height) = (1 + r.below(largest), 1 + r.below(largest));
    let paint = [noise, levels, blobs, checkers, spiral, lines, rectangles, ragged][(seed % 8) as usize];
    let mut plane = Plane { width, height, values: vec![0; (width * height) as usize] };
    paint(&mut r, &mut plane);
    AlphaPlane::new(width as u32, height as u32, plane.values).expect("width * height values")
}

/// Sizes and coordinates are `i64`, as Python's: differences and rounding need no casts.
struct Plane {
    width: i64,
    height: i64,
    values: Vec<u8>,
}

impl Plane {
    /// Sets every pixel from its `(x, y)`, row by row.
    fn fill(&mut self, mut value: impl FnMut(i64, i64) -> i64) {
        for i in 0..self.values.len() {
            let (x, y) = (i as i64 % self.width, i as i64 / self.width);
            self.values[i] = u8::try_from(value(x, y)).expect("a byte");
        }
    }

    /// Sets a rectangle, as far as it lies inside; right and bottom are excluded.
    fn rectangle(&mut self, [x0, y0, x1, y1]: [i64; 4], value: u8) {
        for y in y0.max(0)..y1.min(self.height) {
            for x in x0.max(0)..x1.min(self.width) {
                self.values[(y * self.width + x) as usize] = value;
            }
        }
    }

    fn dot(&mut self, x: i64, y: i64, size: i64) {
        self.rectangle([x, y, x + size, y + size], 255);
    }
}

struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: i64) -> i64 {
        (self.next() % n as u64) as i64
    }

    fn byte(&mut self) -> i64 {
        (self.next() >> 56) as i64
    }
}

fn on(inside: bool) -> i64 {
    if inside { 255 } else { 0 }
}

fn noise(r: &mut SplitMix64, plane: &mut Plane) {
    let density = [16, 64, 112, 128, 144, 192, 224, 250][r.below(8) as usize];
    plane.fill(|_, _| on(r.byte() < density));
}

fn levels(r: &mut SplitMix64, plane: &mut Plane) {
    plane.fill(|_, _| r.byte());
}

fn blobs(r: &mut SplitMix64, plane: &mut Plane) {
    let (radius, soft) = (1 + r.below(4), r.below(2) == 1);
    let (width, height) = (plane.width, plane.height);
    let bytes: Vec<i64> = (0..width * height).map(|_| r.byte()).collect();
    plane.fill(|x, y| {
        let rows = (y - radius).max(0)..(y + radius + 1).min(height);
        let columns = (x - radius).max(0)..(x + radius + 1).min(width);
        let count = (rows.end - rows.start) * (columns.end - columns.start);
        let row_sum = |y| bytes[(y * width + columns.start) as usize..(y * width + columns.end) as usize].iter().sum();
        let mean = rows.map(|y| -> i64 { row_sum(y) }).sum::<i64>() / count;
        if soft { ((mean - 128) * 8 + 128).clamp(0, 255) } else { on(mean > 127) }
    });
}

fn checkers(r: &mut SplitMix64, plane: &mut Plane) {
    let (cell, phase, flips) = (1 + r.below(4), r.below(2), r.below(20));
    plane.fill(|x, y| on((x / cell + y / cell + phase) % 2 == 0));
    for _ in 0..flips {
        let (x, y) = (r.below(plane.width), r.below(plane.height));
        let value = &mut plane.values[(y * plane.width + x) as usize];
        *value = 255 - *value;
    }
}

fn spiral(r: &mut SplitMix64, plane: &mut Plane) {
    let (gap, thickness) = (2 + r.below(4), 1 + r.below(2));
    let (mut x, mut y, mut dx, mut dy) = (plane.width / 2, plane.height / 2, 1, 0);
    for arm in 0..2 * plane.width.max(plane.height) / gap + 4 {
        for _ in 0..(arm / 2 + 1) * gap {
            plane.dot(x, y, thickness);
            (x, y) = (x + dx, y + dy);
        }
        (dx, dy) = (-dy, dx);
    }
}

fn lines(r: &mut SplitMix64, plane: &mut Plane) {
    let thickness = 1 + r.below(2);
    for _ in 0..1 + r.below(12) {
        let (x0, y0) = (r.below(plane.width), r.below(plane.height));
        let (x1, y1) = (r.below(plane.width), r.below(plane.height));
        let steps = (x1 - x0).abs().max((y1 - y0).abs()).max(1);
        let nearest = |numerator: i64| (2 * numerator + steps).div_euclid(2 * steps);
        for i in 0..=steps {
            plane.dot(x0 + nearest(i * (x1 - x0)), y0 + nearest(i * (y1 - y0)), thickness);
        }
    }
}

fn rectangles(r: &mut SplitMix64, plane: &mut Plane) {
    for _ in 0..1 + r.below(16) {
        let (x0, y0) = (r.below(plane.width), r.below(plane.height));
        let (x1, y1) = (x0 + 1 + r.below(plane.width), y0 + 1 + r.below(plane.height));
        let value = [255, 255, 255, 0, 0, 100, 200, 9][r.below(8) as usize];
        plane.rectangle([x0, y0, x1, y1], value);
    }
}

fn ragged(r: &mut SplitMix64, plane: &mut Plane) {
    let fray = 1 + r.below(200);
    let (width, height) = (plane.width, plane.height);
    let radius = width.min(height);
    plane.fill(|x, y| {
        let share = 256 - r.byte() * fray / 256;
        let distance = (2 * x + 1 - width).pow(2) + (2 * y + 1 - height).pow(2);
        on(distance * 256 < radius * radius * share)
    });
}
