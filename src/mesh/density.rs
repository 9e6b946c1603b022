//! What the parameters ask of the triangles inside, and whether the limit allows it.

use super::MeshLimits;
use super::error::{Error, Result};
use super::observer::Observer;
use super::parameters::{MeshParameters, OutlineMode};
use super::refine::{Goal, MIN_ANGLE_DEGREES, estimate_triangles, refine};
use super::rings::Rings;
use super::triangulation::Triangulation;

/// Refines a polygon's inside to the density asked for, if any. No triangle then exceeds
/// `max(min_triangle_area, width * height / (density * density_scaling_factor))` px2, nor, with `outline = cover`,
/// `max_triangle_area`; `min_angle` is aimed at there.
///
/// # Errors
/// [`Error::MeshTooLarge`] before anything is done, if that would make more triangles than allowed;
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
    let by_area = covers && p.max_triangle_area > 0.0;
    let by_angle = covers && p.min_angle > 0.0;
    let density = p.internal_vertex_density;
    let rim_px = if covers { p.rim } else { 0.0 };
    if density == 0 && !by_area && !by_angle && rim_px == 0.0 {
        return Ok(());
    }
    let corners = rings.corners(&mesh.vertices);
    let estimate = |density: u32| estimate_triangles(&corners, max_area_px2(density, size, p));
    if estimate(density) > limits.max_triangles {
        // Density 0 does not refine, so it always fits, unless a largest area is asked for besides.
        let fitting_density = (1..density).rev().find(|&lower| estimate(lower) <= limits.max_triangles).unwrap_or(0);
        let (estimate, limit) = (estimate(density), limits.max_triangles);
        return Err(if by_area && estimate_triangles(&corners, p.max_triangle_area) > limit {
            Error::AreaTooSmall { estimate, limit, max_triangle_area: p.max_triangle_area }
        } else {
            Error::MeshTooLarge { estimate, limit, density, fitting_density }
        });
    }
    let goal = Goal {
        max_area_px2: max_area_px2(density, size, p),
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
