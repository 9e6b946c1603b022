//! What the parameters ask of the triangles inside, and whether the limit allows it.

use super::MeshLimits;
use super::error::{Error, Result};
use super::geometry::Point;
use super::observer::Observer;
use super::parameters::{MeshParameters, OutlineMode};
use super::refine::{Goal, MIN_ANGLE_DEGREES, estimate_triangles, refine};
use super::rings::Rings;
use super::triangulation::Triangulation;

/// Refuses what would make more triangles than allowed, of all polygons together: their boundary's rings, `times` over.
///
/// # Errors
/// [`Error::MeshTooLarge`], [`Error::AreaTooSmall`].
pub(super) fn allow(
    rings: &[&[Point]],
    times: u64,
    size: [u32; 2],
    p: &MeshParameters,
    limits: &MeshLimits,
) -> Result<()> {
    let (density, limit) = (p.internal_vertex_density, limits.max_triangles);
    let estimate = |density: u32| times * estimate_triangles(rings, max_area_px2(density, size, p));
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
/// `max_triangle_area`; `min_angle` is aimed at there.
///
/// # Errors
/// [`Error::Stopped`].
pub(super) fn apply(
    mesh: &mut Triangulation,
    rings: &Rings,
    size: [u32; 2],
    p: &MeshParameters,
    limits: &MeshLimits,
    observer: &dyn Observer,
) -> Result<()> {
    let covers = p.outline == OutlineMode::Cover;
    let by_angle = covers && p.min_angle > 0.0;
    let rim_px = if covers { p.rim } else { 0.0 };
    let max_area_px2 = max_area_px2(p.internal_vertex_density, size, p);
    if !max_area_px2.is_finite() && !by_angle && rim_px == 0.0 {
        return Ok(());
    }
    let goal = Goal {
        max_area_px2,
        min_angle_degrees: if by_angle { p.min_angle } else { MIN_ANGLE_DEGREES },
        rim_px,
        max_triangles: limits.max_triangles,
    };
    mesh.least_distance2 = if covers { p.min_edge_length * p.min_edge_length } else { 0.0 };
    refine(mesh, rings, goal, observer)
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
