//! The space of 3D tools: y up, seen from the front. The one place where the exporters to it turn the picture over.

use crate::mesh::Mesh;

/// From image space to px with the origin at the image's bottom-left corner and y up. All images of one size lie over
/// each other as they did.
pub(super) fn point(mesh: &Mesh, [x, y]: [f64; 2]) -> [f64; 2] {
    [x, f64::from(mesh.height) - y]
}

/// The triangles, each counter-clockwise for who sees y up: that is the front to 3D tools. Those that name a vertex
/// that is not there are left out.
pub(super) fn triangles(mesh: &Mesh) -> impl Iterator<Item = [u32; 3]> {
    mesh.triangles.iter().filter_map(|&[a, b, c]| {
        let at = |index: u32| mesh.vertices.get(index as usize);
        let (p, q, r) = (at(a)?, at(b)?, at(c)?);
        // In image space, where y is down: counter-clockwise there is clockwise here.
        let twice_area_px2 = (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]);
        Some(if twice_area_px2 > 0.0 { [a, c, b] } else { [a, b, c] })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    #[test]
    fn the_bottom_left_corner_is_the_origin() {
        let mesh = sample::mesh();
        assert_eq!(point(&mesh, [0.0, 10.0]), [0.0, 0.0]);
        assert_eq!(point(&mesh, [16.0, 0.0]), [16.0, 10.0]);
    }

    #[test]
    fn every_triangle_shows_its_front() {
        let mut mesh = sample::mesh();
        mesh.triangles[2].reverse();
        mesh.triangles.push([0, 1, 99]);
        let fronts: Vec<[u32; 3]> = triangles(&mesh).collect();
        assert_eq!(fronts.len(), 4, "a triangle without its vertex is left out");
        for triangle in fronts {
            let [a, b, c] = triangle.map(|index| point(&mesh, mesh.vertices[index as usize]));
            assert!((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0.0, "{triangle:?}");
        }
    }
}
