//! What a density means for an image, and whether the limit allows it.

use super::MeshLimits;
use super::error::{Error, Result};
use super::observer::Observer;
use super::parameters::MeshParameters;
use super::refine::{estimate_triangles, refine};
use super::triangulation::Triangulation;

/// Refines a polygon's inside to the density asked for, if any. No triangle then exceeds
/// `max(min_triangle_area, width * height / (density * density_scaling_factor))` px2.
///
/// # Errors
/// [`Error::MeshTooLarge`] before anything is done, if that would make more triangles than allowed;
/// [`Error::Stopped`].
pub(super) fn apply(
    mesh: &mut Triangulation,
    size: [u32; 2],
    p: &MeshParameters,
    limits: &MeshLimits,
    observer: &dyn Observer,
) -> Result<()> {
    let density = p.internal_vertex_density;
    if density == 0 {
        return Ok(());
    }
    let estimate = |density: u32| estimate_triangles(&mesh.vertices, max_area_px2(density, size, p));
    if estimate(density) > limits.max_triangles {
        // Density 0 does not refine, so it always fits.
        let fitting_density = (1..density).rev().find(|&lower| estimate(lower) <= limits.max_triangles).unwrap_or(0);
        let (estimate, limit) = (estimate(density), limits.max_triangles);
        return Err(Error::MeshTooLarge { estimate, limit, density, fitting_density });
    }
    refine(mesh, max_area_px2(density, size, p), limits.max_triangles, observer)
}

fn max_area_px2(density: u32, [width, height]: [u32; 2], p: &MeshParameters) -> f64 {
    let canvas_px2 = f64::from(width) * f64::from(height);
    p.min_triangle_area.max(canvas_px2 / (f64::from(density) * p.density_scaling_factor))
}
