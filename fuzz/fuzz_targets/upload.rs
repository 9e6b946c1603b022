//! Any bytes as an upload: what its header claims is what is decoded, and its mesh is made within the limits.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use spinelift::decode::{Limits, alpha_plane, dimensions};
use spinelift::mesh::{MeshLimits, MeshParameters, build};

fuzz_target!(init: {
    // As in `image`: the library contains the panics of one decoder.
    std::panic::set_hook(Box::new(|_| {}));
}, |bytes: &[u8]| {
    let limits = Limits { max_width: 256, max_height: 256, max_bytes: 1 << 20 };
    let claimed = dimensions(bytes);
    let Ok(plane) = alpha_plane(Cursor::new(bytes), &limits, &()) else { return };
    if let Some((_, width, height)) = claimed {
        // Memory is set aside for what the header claims.
        assert!(plane.width() <= width && plane.height() <= height, "larger than its header claims");
    }
    let parameters = MeshParameters { internal_vertex_density: 10, ..MeshParameters::default() };
    let limits = MeshLimits { max_triangles: 5_000 };
    if let Ok(mesh) = build(&plane, &parameters, &limits, &()) {
        assert!(mesh.triangles.len() <= 20_000, "{} triangles", mesh.triangles.len());
    }
});
