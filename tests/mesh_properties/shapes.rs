//! Masks that provoke: noise, and shapes whose outlines touch themselves, run back along themselves or have no area.

use proptest::prelude::*;
use proptest::strategy::Union;
use spinelift::mesh::AlphaPlane;

/// Longest side of most masks, px: small enough that a failing one can be read as text.
const LONGEST_SIDE: usize = 56;

/// A mask that prints as text when a property fails.
#[derive(Clone)]
pub(crate) struct Mask {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<u8>,
}

impl Mask {
    fn empty(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0; width * height] }
    }

    fn filled(width: usize, height: usize, inside: impl Fn(usize, usize) -> bool) -> Self {
        let values = (0..width * height).map(|i| if inside(i % width, i / width) { 255 } else { 0 }).collect();
        Self { width, height, values }
    }

    fn set(&mut self, x: i64, y: i64, value: u8) {
        if (0..self.width as i64).contains(&x) && (0..self.height as i64).contains(&y) {
            self.values[y as usize * self.width + x as usize] = value;
        }
    }

    fn line(&mut self, from: (i64, i64), to: (i64, i64), thickness: i64) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).max(1);
        for step in 0..=steps {
            let at = |a: i64, b: i64| a + (2 * step * (b - a) + steps).div_euclid(2 * steps);
            let (x, y) = (at(from.0, to.0), at(from.1, to.1));
            (0..thickness).for_each(|dx| (0..thickness).for_each(|dy| self.set(x + dx, y + dy, 255)));
        }
    }

    pub(crate) fn plane(&self) -> AlphaPlane {
        AlphaPlane::new(self.width as u32, self.height as u32, self.values.clone()).expect("width * height values")
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} x {} px", self.width, self.height)?;
        if self.values.iter().all(|value| [0, 255].contains(value)) {
            for row in self.values.chunks(self.width) {
                writeln!(f, "{}", row.iter().map(|&v| if v == 0 { '.' } else { '#' }).collect::<String>())?;
            }
            return Ok(());
        }
        write!(f, "{:?}", self.values)
    }
}

/// Any mask, of any kind.
pub(crate) fn mask() -> impl Strategy<Value = Mask> {
    Union::new_weighted(vec![
        (4, noise().boxed()),
        (2, grey().boxed()),
        (2, tiny().boxed()),
        (1, long().boxed()),
        (4, strokes().boxed()),
        (1, spiral().boxed()),
        (2, checkers().boxed()),
        (1, comb().boxed()),
        (1, rings().boxed()),
        (4, blobs().boxed()),
        (2, frayed().boxed()),
    ])
}

fn size() -> impl Strategy<Value = (usize, usize)> {
    (1..=LONGEST_SIDE, 1..=LONGEST_SIDE)
}

/// Single pixels at several densities; around one half, outlines are longest and touch themselves most.
fn noise() -> impl Strategy<Value = Mask> {
    let density = prop_oneof![Just(0.06), Just(0.3), Just(0.45), Just(0.55), Just(0.7), Just(0.94)];
    (size(), density).prop_flat_map(|((width, height), density)| {
        prop::collection::vec(prop::bool::weighted(density), width * height)
            .prop_map(move |bits| Mask::filled(width, height, |x, y| bits[y * width + x]))
    })
}

/// Any alpha in any pixel.
fn grey() -> impl Strategy<Value = Mask> {
    size().prop_flat_map(|(width, height)| {
        prop::collection::vec(any::<u8>(), width * height).prop_map(move |values| Mask { width, height, values })
    })
}

fn tiny() -> impl Strategy<Value = Mask> {
    (1..=5usize, 1..=5usize, any::<u32>())
        .prop_map(|(width, height, bits)| Mask::filled(width, height, |x, y| bits >> (y * width + x) & 1 == 1))
}

/// One or two pixels wide, with gaps.
fn long() -> impl Strategy<Value = Mask> {
    (1..=400usize, 1..=2usize, any::<bool>(), prop::collection::vec(0..400usize, 0..4)).prop_map(
        |(length, breadth, upright, gaps)| {
            let (width, height) = if upright { (breadth, length) } else { (length, breadth) };
            Mask::filled(width, height, |x, y| !gaps.contains(&if upright { y } else { x }))
        },
    )
}

/// Lines of 1 to 3 px from point to point: spikes, crossings, loops, figures of eight.
fn strokes() -> impl Strategy<Value = Mask> {
    let point = (0..LONGEST_SIDE as i64, 0..LONGEST_SIDE as i64);
    (size(), prop::collection::vec(point, 2..12), 1..=3i64).prop_map(|((width, height), points, thickness)| {
        let mut mask = Mask::empty(width, height);
        let within = |(x, y): (i64, i64)| (x % width as i64, y % height as i64);
        points.windows(2).for_each(|pair| mask.line(within(pair[0]), within(pair[1]), thickness));
        mask
    })
}

/// A square spiral: the outline runs along both sides of one long line.
fn spiral() -> impl Strategy<Value = Mask> {
    (size(), 2..=5i64, 1..=2i64, 1..=40i64).prop_map(|((width, height), gap, thickness, arms)| {
        let mut mask = Mask::empty(width, height);
        let (mut at, mut way) = ((width as i64 / 2, height as i64 / 2), (1, 0));
        for arm in 0..arms {
            let length = (arm / 2 + 1) * gap;
            let to = (at.0 + way.0 * length, at.1 + way.1 * length);
            mask.line(at, to, thickness);
            (at, way) = (to, (-way.1, way.0));
        }
        mask
    })
}

/// Cells that meet at their corners only, with some pixels turned over.
fn checkers() -> impl Strategy<Value = Mask> {
    (size(), 1..=5usize, prop::collection::vec(any::<prop::sample::Index>(), 0..12)).prop_map(
        |((width, height), cell, flips)| {
            let mut mask = Mask::filled(width, height, |x, y| (x / cell + y / cell).is_multiple_of(2));
            flips.iter().map(|flip| flip.index(width * height)).for_each(|i| mask.values[i] = 255 - mask.values[i]);
            mask
        },
    )
}

/// Teeth on a back, which may be one pixel thick.
fn comb() -> impl Strategy<Value = Mask> {
    (size(), 1..=3usize, 1..=4usize, 1..=4usize).prop_map(|((width, height), back, tooth, gap)| {
        Mask::filled(width, height, |x, y| y < back || x % (tooth + gap) < tooth)
    })
}

/// Rings in rings, joined by a bar so that they are one shape, or not.
fn rings() -> impl Strategy<Value = Mask> {
    (4..=LONGEST_SIDE, 1..=4usize, 1..=4usize, any::<bool>()).prop_map(|(side, thickness, gap, bar)| {
        Mask::filled(side, side, |x, y| {
            let off = |c: usize| (2 * c + 1).abs_diff(side) as f64 / 2.0;
            let radius = off(x).hypot(off(y)) as usize;
            radius <= side / 2 && radius % (thickness + gap) < thickness || bar && x == side / 2
        })
    })
}

/// Discs that overlap, touch or lie apart, with soft edges or hard ones: the likes of real sprites.
fn blobs() -> impl Strategy<Value = Mask> {
    let disc = (0..LONGEST_SIDE, 0..LONGEST_SIDE, 1..=20usize, any::<bool>());
    (size(), prop::collection::vec(disc, 1..10), any::<bool>()).prop_map(|((width, height), discs, soft)| {
        let mut mask = Mask::empty(width, height);
        for (x, y, radius, solid) in discs {
            for i in 0..mask.values.len() {
                let off = (i % width).abs_diff(x % width) as f64;
                let reach = radius as f64 - off.hypot((i / width).abs_diff(y % height) as f64);
                let value =
                    if soft { (reach * 90.0 + 128.0).clamp(0.0, 255.0) as u8 } else { u8::from(reach >= 0.0) * 255 };
                mask.values[i] = if solid { mask.values[i].max(value) } else { mask.values[i].min(255 - value) };
            }
        }
        mask
    })
}

/// A disc frayed to single pixels: the longest outlines around something solid.
fn frayed() -> impl Strategy<Value = Mask> {
    (4..=LONGEST_SIDE, 0.05..0.9f64).prop_flat_map(|(side, fray)| {
        prop::collection::vec(0.0..1.0f64, side * side).prop_map(move |chances| {
            Mask::filled(side, side, |x, y| {
                let off = |c: usize| (2 * c + 1).abs_diff(side) as f64 / side as f64;
                off(x).hypot(off(y)) < 0.95 - fray * chances[y * side + x]
            })
        })
    })
}
