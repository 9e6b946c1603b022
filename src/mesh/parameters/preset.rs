//! Named sets of values for an intent; whatever is given beside them wins.

use super::choices::Preset;
use super::table::{
    DENSITY_SCALING_FACTOR, HOLES, INTERNAL_VERTEX_DENSITY, ISLANDS, MAX_VERTICES, MIN_ANGLE, MIN_EDGE_LENGTH, OUTLINE,
    PADDING, Parameter,
};

/// Places of words in the table's lists.
const COVER: f64 = 1.0;
const ALL: f64 = 1.0;
const BRIDGE: f64 = 2.0;
const CUT: f64 = 1.0;

/// Few vertices: what sprite packers call a tight mesh. Everything visible in one hull.
const SPRITE: &[(Parameter, f64)] = &[(OUTLINE, COVER), (ISLANDS, BRIDGE), (MAX_VERTICES, 16.0)];

/// Little empty area drawn: each island on its own, holes left open, as Unity's tight sprites and packers of polygons do.
const TIGHT: &[(Parameter, f64)] = &[(OUTLINE, COVER), (ISLANDS, ALL), (HOLES, CUT), (MAX_VERTICES, 64.0)];

/// A mesh to bend: the outline a little away from the art, so that its triangles do not cut soft edges when they are
/// stretched, and an even inside whose first row of vertices is a ring along the outline.
const DEFORM: &[(Parameter, f64)] = &[
    (OUTLINE, COVER),
    (ISLANDS, BRIDGE),
    (MAX_VERTICES, 32.0),
    (PADDING, 2.0),
    (MIN_EDGE_LENGTH, 4.0),
    (MIN_ANGLE, 20.0),
    (INTERNAL_VERTEX_DENSITY, 1.0),
    (DENSITY_SCALING_FACTOR, 100.0),
];

/// The same for what is bent much: a third of the area for each triangle, and corners of the outline to match.
const DEFORM_LARGE: &[(Parameter, f64)] = &[
    (OUTLINE, COVER),
    (ISLANDS, BRIDGE),
    (MAX_VERTICES, 64.0),
    (PADDING, 2.0),
    (MIN_EDGE_LENGTH, 4.0),
    (MIN_ANGLE, 20.0),
    (INTERNAL_VERTEX_DENSITY, 1.0),
    (DENSITY_SCALING_FACTOR, 300.0),
];

/// The value that a preset gives a parameter, if it gives one.
pub(super) fn value(preset: Preset, row: &Parameter) -> Option<f64> {
    let values = match preset {
        Preset::None => &[],
        Preset::Sprite => SPRITE,
        Preset::Tight => TIGHT,
        Preset::Deform => DEFORM,
        Preset::DeformLarge => DEFORM_LARGE,
    };
    values.iter().find(|(of, _)| of.name == row.name).map(|&(_, value)| value)
}
