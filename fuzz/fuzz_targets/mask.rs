//! Any alpha plane with any parameters: a mesh that passes its check and its export, or an error that fits; no panic.
#![no_main]

use libfuzzer_sys::{
    arbitrary::{Result, Unstructured},
    fuzz_target,
};
use spinelift::export::{FORMATS, Source};
use spinelift::mesh::parameters::{Effort, Holes, Islands, OutlineMode, Symmetry};
use spinelift::mesh::{AlphaPlane, Error, MeshLimits, MeshParameters, build};

/// Largest side of a plane, px: the fuzzer explores many small shapes rather than few large ones.
const LONGEST_SIDE: u32 = 64;

/// Keeps refinement to a fraction of a millisecond a run, and makes its limit a frequent case.
const LIMITS: MeshLimits = MeshLimits { max_triangles: 2_000 };

/// A share of `0..=1` in 255 steps, so that both ends are met often.
fn share(u: &mut Unstructured<'_>) -> Result<f64> {
    Ok(f64::from(u.arbitrary::<u8>()?) / 255.0)
}

fn parameters(u: &mut Unstructured<'_>) -> Result<MeshParameters> {
    Ok(MeshParameters {
        detail_factor: 0.001 + 0.049 * share(u)?,
        alpha_threshold: u.arbitrary()?,
        concave_factor: 100.0 * share(u)?,
        internal_vertex_density: u.int_in_range(0..=100)?,
        blur_kernel_size: u.int_in_range(1..=21)?,
        binary_threshold: u.arbitrary()?,
        min_contour_area: 1.0 + 999.0 * share(u)?.powi(3),
        density_scaling_factor: 100.0 + 9900.0 * share(u)?.powi(2),
        min_triangle_area: 0.1 + 99.9 * share(u)?.powi(3),
        outline: *u.choose(&[OutlineMode::Trace, OutlineMode::Cover])?,
        padding: *u.choose(&[0.0, 0.0, 1.0, 2.5, 64.0])?,
        max_vertices: u.int_in_range(0..=60)?,
        effort: *u.choose(&[Effort::Fast, Effort::Fast, Effort::Fast, Effort::Best])?,
        islands: *u.choose(&[Islands::Largest, Islands::All, Islands::Bridge])?,
        holes: *u.choose(&[Holes::Fill, Holes::Cut])?,
        min_angle: *u.choose(&[0.0, 0.0, 20.0, 30.0])?,
        min_edge_length: *u.choose(&[0.0, 0.0, 1.5, 6.0])?,
        max_triangle_area: *u.choose(&[0.0, 0.0, 2.0, 100.0])?,
        rim: *u.choose(&[0.0, 0.0, 2.0, 9.5])?,
        symmetry: *u.choose(&[Symmetry::None, Symmetry::Auto, Symmetry::X])?,
    })
}

/// A plane from a byte a pixel, or from a bit, which gives fuller shapes for fewer bytes.
fn plane(mut u: Unstructured<'_>) -> Result<AlphaPlane> {
    let (width, height) = (u.int_in_range(1..=LONGEST_SIDE)?, u.int_in_range(1..=LONGEST_SIDE)?);
    let count = (width * height) as usize;
    let bits: bool = u.arbitrary()?;
    let bytes = u.take_rest();
    let byte = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let value = |pixel: usize| if bits { (byte(pixel / 8) >> (pixel % 8) & 1) * 255 } else { byte(pixel) };
    Ok(AlphaPlane::new(width, height, (0..count).map(value).collect()).expect("width * height values"))
}

fuzz_target!(|bytes: &[u8]| {
    let mut u = Unstructured::new(bytes);
    let Ok(parameters) = parameters(&mut u) else { return };
    let Ok(plane) = plane(u) else { return };
    parameters.check().expect("made within range");
    let max_triangle_area = parameters.max_triangle_area;
    let mesh = match build(&plane, &parameters, &LIMITS, &()) {
        Ok(mesh) => mesh,
        Err(Error::MeshTooLarge { fitting_density, density, .. }) => {
            assert!(fitting_density < density, "the density named is no smaller");
            let parameters = MeshParameters { internal_vertex_density: fitting_density, ..parameters };
            build(&plane, &parameters, &LIMITS, &()).expect("the density named fits")
        }
        Err(Error::AreaTooSmall { estimate, limit, .. }) => {
            assert!(estimate > limit && max_triangle_area > 0.0, "nothing asked for so many");
            return;
        }
        Err(Error::ContourExtraction { .. } | Error::Triangulation { .. }) => return,
        Err(error) => panic!("{error}"),
    };
    mesh.check().unwrap_or_else(|fault| panic!("{fault}"));
    let json = (FORMATS[0].write)(&mesh, &Source::default()).expect("a mesh can be written");
    serde_json::from_slice::<serde_json::Value>(&json).expect("what is written is JSON");
});
