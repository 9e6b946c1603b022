//! From an outline to a triangulated simple polygon, whatever the outline is like.

use super::Outline;
use super::error::{Error, Result};
use super::geometry::{Point, polygon_area};
use super::observer::Observer;
use super::repair::repair;
use super::simplify::simplify;
use super::triangulate;
use super::triangulation::Triangulation;

/// Below this tolerance simplification keeps every point of the contour, px.
const LEAST_EPSILON_PX: f64 = 1e-3;

/// A polygon's inside, and how it came about.
pub(super) struct Shape {
    pub(super) triangulation: Triangulation,
    /// Of the polygon, px2; negative if it runs against the triangles' orientation.
    pub(super) signed_area_px2: f64,
    /// With the tolerance that gave a polygon.
    pub(super) outline: Outline,
    pub(super) warnings: Vec<String>,
}

/// Triangulates the outline. One that touches or crosses itself is repaired; of one without an area the tolerance is
/// halved until there is a polygon.
///
/// # Errors
/// [`Error::Triangulation`] if the contour itself has no area, [`Error::Stopped`].
pub(super) fn triangulate(
    contour: &[[i32; 2]],
    mut outline: Outline,
    size: [u32; 2],
    observer: &dyn Observer,
) -> Result<Shape> {
    let asked_px = outline.epsilon_px;
    loop {
        let ring: Vec<Point> = outline.points.iter().map(|point| point.map(f64::from)).collect();
        if let Some((triangulation, mut warnings)) = simple_or_repaired(&ring, size, observer)? {
            if outline.epsilon_px < asked_px {
                warnings.push(format!(
                    "nothing was left of the outline at a tolerance of {asked_px:.2} px, so {:.2} px was used; \
                     raise detail_factor or lower concave_factor",
                    outline.epsilon_px
                ));
            }
            let signed_area_px2 = polygon_area(&triangulation.vertices);
            return Ok(Shape { triangulation, signed_area_px2, outline, warnings });
        }
        if outline.epsilon_px < LEAST_EPSILON_PX {
            let reason = "it has no area at any tolerance; lower binary_threshold or alpha_threshold".to_owned();
            return Err(Error::Triangulation { vertices: outline.points.len(), reason });
        }
        outline.epsilon_px /= 2.0;
        outline.points = simplify(contour, outline.epsilon_px, observer)?;
    }
}

fn simple_or_repaired(
    ring: &[Point],
    size: [u32; 2],
    observer: &dyn Observer,
) -> Result<Option<(Triangulation, Vec<String>)>> {
    if ring.len() < 3 {
        return Ok(None);
    }
    if let Some(triangulation) = triangulate::triangulate(ring) {
        return Ok(Some((triangulation, Vec::new())));
    }
    // Triangulation refuses all but simple polygons, by exact signs: what it accepts needs no other proof.
    let Some(repaired) = repair(ring, size.map(f64::from), observer)? else { return Ok(None) };
    let Some(triangulation) = triangulate::triangulate(&repaired.ring) else { return Ok(None) };
    let lost = if repaired.lost_px2 > 0.0 {
        format!("; {:.1} px2 beside its largest part were left out", repaired.lost_px2)
    } else {
        String::new()
    };
    let warning = format!(
        "the simplified outline touched or crossed itself and was repaired{lost}; a higher detail_factor follows the \
         image more closely"
    );
    Ok(Some((triangulation, vec![warning])))
}
