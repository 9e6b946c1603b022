//! Texture coordinates.

/// `[x / width, y / height]`, one per vertex: v = 0 at the top row.
pub(super) fn coordinates(vertices: &[[f64; 2]], width: u32, height: u32) -> Vec<[f64; 2]> {
    let (width, height) = (f64::from(width), f64::from(height));
    vertices.iter().map(|[x, y]| [x / width, y / height]).collect()
}
