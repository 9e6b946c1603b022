//! What the parameters ask of the triangles inside, and whether the limit allows it.

use super::error::{Error, Result};
use super::geometry::{Point, orient};
use super::observer::Observer;
use super::parameters::{MeshParameters, OutlineMode};
use super::refine::{self, Goal, MIN_ANGLE_DEGREES, estimate_triangles, refine};
use super::rim;
use super::rings::Rings;
use super::triangulation::Triangulation;
use super::{Mesh, MeshLimits};

/// Refuses what would make more triangles than allowed, of all polygons together: their boundary's rings, `times` over.
///
/// # Errors
/// [`Error::MeshTooLarge`], [`Error::AreaTooSmall`], [`Error::RimTooNarrow`].
pub(super) fn allow(
    rings: &[&[Point]],
    times: u64,
    size: [u32; 2],
    p: &MeshParameters,
    limits: &MeshLimits,
) -> Result<()> {
    let (density, limit) = (p.internal_vertex_density, limits.max_triangles);
    let rim = times.saturating_mul(rim::estimate_triangles(rings, rim_px(p)));
    let limit_of_rim = limit.min(rim::MOST_TRIANGLES);
    if rim > limit_of_rim {
        return Err(Error::RimTooNarrow { estimate: rim, limit: limit_of_rim, rim: p.rim });
    }
    let estimate = |density: u32| rim + times * estimate_triangles(rings, max_area_px2(density, size, p));
    if estimate(density) <= limit {
        return Ok(());
    }
    if estimate(0) > limit {
        return Err(Error::AreaTooSmall { estimate: estimate(0), limit, max_triangle_area: p.max_triangle_area });
    }
    // Density 0 does not refine by itself, so it fits now.
    let fitting_density = (1..density).rev().find(|&lower| estimate(lower) <= limit).unwrap_or(0);
    Err(Error::MeshTooLarge { estimate: estimate(density), limit, density, fitting_density })
}

/// Refines a polygon's inside as far as it is asked for. No triangle then exceeds
/// `max(min_triangle_area, width * height / (density * density_scaling_factor))` px2, nor, with `outline = cover`,
/// `max_triangle_area`; `min_angle` is aimed at there. `min_edge_length` wins over all of them. A half is to be mirrored about
/// the column 0.
///
/// # Errors
/// [`Error::Stopped`].
pub(super) fn apply(
    mesh: &mut Triangulation,
    rings: &Rings,
    is_half: bool,
    size: [u32; 2],
    p: &MeshParameters,
    limits: &MeshLimits,
    observer: &dyn Observer,
) -> Result<()> {
    let covers = p.outline == OutlineMode::Cover;
    let by_angle = covers && p.min_angle > 0.0;
    let rim_px = rim_px(p);
    let max_area_px2 = max_area_px2(p.internal_vertex_density, size, p);
    if !max_area_px2.is_finite() && !by_angle && rim_px == 0.0 {
        return Ok(());
    }
    let goal = Goal {
        max_area_px2,
        min_angle_degrees: if by_angle { p.min_angle } else { MIN_ANGLE_DEGREES },
        rim_px,
        is_half,
        max_triangles: limits.max_triangles,
        // A rim that was asked for stays where it is.
        even: covers && rim_px == 0.0,
    };
    refine(mesh, rings, goal, observer)
}

/// The distance of a ring from the outline, px; 0 without one.
fn rim_px(p: &MeshParameters) -> f64 {
    if p.outline == OutlineMode::Cover { p.rim } else { 0.0 }
}

/// How much larger than asked for rounding may make a triangle, as a share.
const AREA_TOLERANCE: f64 = 1e-9;

/// Says so where a triangle of a covering mesh is larger than `max_triangle_area`.
pub(super) fn warn_of_largest(mesh: &Mesh, p: &MeshParameters) -> Option<String> {
    let areas = mesh.triangles.iter().filter_map(|triangle| {
        let [a, b, c] = triangle.map(|corner| mesh.vertices.get(corner as usize).copied());
        Some(orient(a?, b?, c?).abs() / 2.0)
    });
    let largest_px2 = areas.fold(0.0, f64::max);
    let (limit_px2, least_px) = (p.max_triangle_area, p.min_edge_length);
    if limit_px2 == 0.0 || largest_px2 <= limit_px2 * (1.0 + AREA_TOLERANCE) {
        return None;
    }
    let what_to_do = if least_px > 0.0 {
        format!("as no two vertices may be nearer than min_edge_length {least_px}; lower min_edge_length")
    } else {
        "as there is no room for more vertices; raise max_triangle_area".to_owned()
    };
    Some(format!(
        "the largest triangle has {largest_px2:.2} px2, although max_triangle_area is {limit_px2}, {what_to_do}"
    ))
}

/// Distance between inner vertices that `internal_vertex_density` asks for, px; infinite if it asks for none.
pub(super) fn spacing_px(size: [u32; 2], p: &MeshParameters) -> f64 {
    let by_density = MeshParameters { max_triangle_area: 0.0, ..p.clone() };
    refine::spacing_px(max_area_px2(p.internal_vertex_density, size, &by_density))
}

fn max_area_px2(density: u32, [width, height]: [u32; 2], p: &MeshParameters) -> f64 {
    let canvas_px2 = f64::from(width) * f64::from(height);
    let by_density = if density == 0 {
        f64::INFINITY
    } else {
        p.min_triangle_area.max(canvas_px2 / (f64::from(density) * p.density_scaling_factor))
    };
    let covers = p.outline == OutlineMode::Cover && p.max_triangle_area > 0.0;
    if covers { by_density.min(p.max_triangle_area) } else { by_density }
}
