//! The simplified outline alone, before repair: for physics shapes, and to hold it against the reference's.

use serde::Serialize;

use super::{Format, Source};
use crate::mesh::parameters::OutlineMode;
use crate::mesh::{Error, Mesh, Result};

pub(super) const FORMAT: Format = Format {
    name: "outline",
    extension: "outline.json",
    media_type: "application/json",
    about: "the simplified outline in pixel indices: for physics shapes",
    binary: false,
    draws_image: false,
    write,
    beside: &[],
};

#[derive(Serialize)]
struct OutlineResult<'a> {
    /// Points of the contour before simplification.
    contour_points: usize,
    /// Tolerance of the simplification, px.
    epsilon: f64,
    /// In order: pixel indices of a traced outline, px of one that covers, whose first hull this is.
    outline: Points<'a>,
    /// Of an outline that covers, every hull and after it its holes, px.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rings: Vec<&'a [[f64; 2]]>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Points<'a> {
    Indices(&'a [[i32; 2]]),
    Px(&'a [[f64; 2]]),
}

fn write(mesh: &Mesh, _: &Source<'_>) -> Result<Vec<u8>> {
    let rings = if mesh.parameters.outline == OutlineMode::Cover { rings(mesh) } else { Vec::new() };
    let result = OutlineResult {
        contour_points: mesh.outline.contour_points,
        epsilon: mesh.outline.epsilon_px,
        outline: rings.first().map_or(Points::Indices(&mesh.outline.points), |hull| Points::Px(hull)),
        rings,
    };
    serde_json::to_vec(&result).map_err(|error| Error::Internal(error.to_string()))
}

/// The loops of the boundary. A hole's vertices follow each other, and the edge that closes it leads back.
fn rings(mesh: &Mesh) -> Vec<&[[f64; 2]]> {
    let mut rings = Vec::new();
    let mut closing: Vec<[u32; 2]> = mesh.boundary_edges.iter().copied().filter(|[a, b]| b - a > 1).collect();
    closing.sort_unstable();
    for [first, last] in closing {
        rings.extend(mesh.vertices.get(first as usize..=last as usize));
    }
    rings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    #[test]
    fn a_covering_outline_is_given_ring_by_ring() {
        let mut mesh = sample::frame();
        mesh.parameters.outline = OutlineMode::Cover;
        let text = String::from_utf8(write(&mesh, &Source::default()).unwrap()).unwrap();
        let hull = "[[4.0,1.0],[4.0,9.0],[12.0,9.0],[12.0,1.0]]";
        let hole = "[[6.0,3.0],[6.0,7.0],[10.0,7.0],[10.0,3.0]]";
        assert!(text.ends_with(&format!("\"outline\":{hull},\"rings\":[{hull},{hole}]}}")), "{text}");
    }
}
