//! The simplified outline alone, before repair: for physics shapes, and to hold it against the reference's.

use serde::Serialize;

use super::{Format, Source};
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
    /// Pixel indices in order.
    outline: &'a [[i32; 2]],
}

fn write(mesh: &Mesh, _: &Source<'_>) -> Result<Vec<u8>> {
    let outline = &mesh.outline;
    let result =
        OutlineResult { contour_points: outline.contour_points, epsilon: outline.epsilon_px, outline: &outline.points };
    serde_json::to_vec(&result).map_err(|error| Error::Internal(error.to_string()))
}
