//! What holds for any mask and any parameters. `PROPTEST_CASES=20000 cargo test --release --test mesh_properties` looks
//! harder; a mask that is found gets a name in `testdata/regressions`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "mesh_properties/angles.rs"]
mod angles;
mod drawn;
#[path = "mesh_properties/outline.rs"]
mod outline;
#[path = "mesh_properties/shapes.rs"]
mod shapes;

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use shapes::{Mask, mask};
use spinelift::mesh::{Error, Mesh, MeshLimits, MeshParameters, Observer, build};

/// Cases of each property unless `PROPTEST_CASES` says otherwise: the file stays under 20 s in the dev profile.
const CASES: u32 = 2000;

/// Rounding of an area, as a share of it.
const AREA_TOLERANCE: f64 = 1e-9;

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    // Masks that were found are kept by name, not by seed.
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

/// Parameters within their ranges, each at its default half of the time, so that no one of them hides the others.
fn parameters() -> impl Strategy<Value = MeshParameters> {
    let or = |default: f64, range: std::ops::RangeInclusive<f64>| prop_oneof![Just(default), range];
    let ends = prop_oneof![Just(0u8), Just(128), Just(254), any::<u8>()];
    (
        prop_oneof![Just(0.01), Just(0.001), Just(0.05), 0.001..=0.05],
        prop_oneof![Just(10u8), any::<u8>()],
        prop_oneof![3 => Just(0.0), 1 => 0.0..=100.0],
        prop_oneof![3 => Just(1u32), 1 => 1..=21u32],
        prop_oneof![2 => Just(128u8), 1 => ends],
        prop_oneof![Just(1.0), Just(10.0), 1.0..=40.0],
        or(1000.0, 100.0..=10000.0),
        or(1.0, 0.1..=100.0),
    )
        .prop_map(|(detail, alpha, concave, blur, binary, contour, scaling, area)| MeshParameters {
            detail_factor: detail,
            alpha_threshold: alpha,
            concave_factor: concave,
            internal_vertex_density: 0,
            blur_kernel_size: blur,
            binary_threshold: binary,
            min_contour_area: contour,
            density_scaling_factor: scaling,
            min_triangle_area: area,
            ..MeshParameters::default()
        })
}

fn dense_parameters() -> impl Strategy<Value = MeshParameters> {
    (parameters(), prop_oneof![1..=3u32, 1..=100u32])
        .prop_map(|(parameters, internal_vertex_density)| MeshParameters { internal_vertex_density, ..parameters })
}

/// The mesh; `None` where an error says truly why there is none.
fn mesh_of(mask: &Mask, parameters: &MeshParameters) -> Result<Option<Mesh>, TestCaseError> {
    let inside_possible = mask.values.iter().any(|&value| value > parameters.binary_threshold);
    match build(&mask.plane(), parameters, &MeshLimits::default(), &()) {
        Ok(mesh) => {
            mesh.check().map_err(|fault| TestCaseError::fail(fault.to_string()))?;
            Ok(Some(mesh))
        }
        Err(Error::ContourExtraction { largest_area, min_contour_area, .. }) => {
            prop_assert!(largest_area < min_contour_area);
            // A pixel's contour has no area: the largest possible one runs through the middles of the rim's pixels.
            let most = mask.width.saturating_sub(1) * mask.height.saturating_sub(1);
            prop_assert!(largest_area <= most as f64);
            prop_assert!(inside_possible || largest_area == 0.0);
            Ok(None)
        }
        Err(error) => Err(TestCaseError::fail(format!("{}: {error}", error.code()))),
    }
}

fn triangle_areas(mesh: &Mesh) -> impl Iterator<Item = f64> {
    mesh.triangles.iter().map(|triangle| {
        let [a, b, c] = triangle.map(|vertex| mesh.vertices[vertex as usize]);
        ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])) / 2.0
    })
}

fn hull(mesh: &Mesh) -> &[[f64; 2]] {
    &mesh.vertices[..mesh.components[0].hull_length as usize]
}

/// Largest triangle that the parameters allow, px2.
fn max_area_px2(mesh: &Mesh) -> f64 {
    let p = &mesh.parameters;
    let canvas_px2 = f64::from(mesh.width) * f64::from(mesh.height);
    p.min_triangle_area.max(canvas_px2 / (f64::from(p.internal_vertex_density) * p.density_scaling_factor))
}

/// Stops at the n-th question, and counts them all.
struct StopAfter {
    questions: AtomicUsize,
    stop_at: usize,
}

impl Observer for StopAfter {
    fn should_stop(&self) -> bool {
        self.questions.fetch_add(1, Ordering::Relaxed) >= self.stop_at
    }
}

fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn mesh_is_valid_when_mask_and_parameters_are_any(mask in mask(), parameters in parameters()) {
        let Some(mesh) = mesh_of(&mask, &parameters)? else { return Ok(()) };
        let hull_length = mesh.components[0].hull_length;
        prop_assert_eq!(hull_length as usize, mesh.vertices.len(), "without density every vertex is on the hull");
        prop_assert!(mesh.boundary_indices.iter().copied().eq(0..hull_length));
        let outline: Vec<[f64; 2]> = mesh.outline.points.iter().map(|point| point.map(f64::from)).collect();
        prop_assert!(outline::was_repaired(&mesh) || hull(&mesh) == outline, "a simple outline is the hull, point for point");
    }

    #[test]
    fn refined_mesh_fills_the_same_polygon_within_the_largest_area(mask in mask(), parameters in dense_parameters()) {
        let Some(mesh) = mesh_of(&mask, &parameters)? else { return Ok(()) };
        let plain = MeshParameters { internal_vertex_density: 0, ..parameters };
        let plain = mesh_of(&mask, &plain)?.expect("a mesh also without density");
        let limit = max_area_px2(&mesh) * (1.0 + AREA_TOLERANCE);
        let largest = triangle_areas(&mesh).fold(0.0, f64::max);
        prop_assert!(largest <= limit, "a triangle has {largest} px2, allowed are {limit}");
        let [refined, expected] = [&mesh, &plain].map(|mesh| triangle_areas(mesh).sum::<f64>());
        prop_assert!((refined - expected).abs() <= AREA_TOLERANCE * expected.max(1.0), "{refined} is not {expected}");
        // The plain hull's corners are the refined one's, in the same order, with others between them.
        let mut between = hull(&mesh).iter();
        prop_assert!(hull(&plain).iter().all(|corner| between.any(|vertex| vertex == corner)), "a corner is missing");
        prop_assert!(mesh.boundary_indices.iter().copied().eq(0..mesh.components[0].hull_length));
    }

    #[test]
    fn triangles_are_flat_only_where_the_outline_forces_them(mask in mask(), parameters in dense_parameters()) {
        let Some(mesh) = mesh_of(&mask, &parameters)? else { return Ok(()) };
        let plain = MeshParameters { internal_vertex_density: 0, ..parameters };
        let plain = mesh_of(&mask, &plain)?.expect("a mesh also without density");
        let flat = angles::needlessly_flat(&mesh, hull(&plain));
        prop_assert!(flat.is_empty(), "{flat:#?}");
    }

    #[test]
    fn mesh_is_the_same_when_threads_are_one_or_four(mask in mask(), parameters in dense_parameters()) {
        let plane = mask.plane();
        let build = || build(&plane, &parameters, &MeshLimits::default(), &());
        let [one, four] = [1, 4].map(|threads| with_threads(threads, build));
        prop_assert_eq!(one, four);
    }

    #[test]
    fn build_ends_at_once_when_it_is_asked_to_stop(
        mask in mask(), parameters in dense_parameters(), share in 0.0..1.0f64,
    ) {
        let ask = |stop_at| {
            let observer = StopAfter { questions: AtomicUsize::new(0), stop_at };
            let result = with_threads(1, || build(&mask.plane(), &parameters, &MeshLimits::default(), &observer));
            (result, observer.questions.into_inner())
        };
        let (whole, questions) = ask(usize::MAX);
        let stop_at = (questions as f64 * share) as usize;
        let (stopped, asked) = ask(stop_at);
        prop_assert!(matches!(stopped, Err(Error::Stopped { .. })), "{:?} instead of stopping", stopped.err());
        prop_assert_eq!(asked, stop_at + 1, "it went on after the answer");
        prop_assert_eq!(ask(questions).0, whole, "a stop that was never asked for changes the result");
    }

    #[test]
    fn density_that_is_named_fits_when_the_mesh_would_be_too_large(
        mask in mask(), parameters in dense_parameters(), max_triangles in 1..200u64,
    ) {
        let limits = MeshLimits { max_triangles };
        let parameters = MeshParameters { min_triangle_area: 0.1, ..parameters };
        let result = build(&mask.plane(), &parameters, &limits, &());
        let Err(Error::MeshTooLarge { density, fitting_density, estimate, limit }) = result else { return Ok(()) };
        prop_assert_eq!((density, limit), (parameters.internal_vertex_density, max_triangles));
        prop_assert!(fitting_density < density && estimate > limit);
        let fitting = MeshParameters { internal_vertex_density: fitting_density, ..parameters.clone() };
        let mesh = build(&mask.plane(), &fitting, &limits, &());
        prop_assert!(mesh.is_ok(), "{fitting_density} does not fit: {}", mesh.unwrap_err());
        let next = MeshParameters { internal_vertex_density: fitting_density + 1, ..parameters };
        let next = build(&mask.plane(), &next, &limits, &());
        prop_assert!(matches!(next, Err(Error::MeshTooLarge { .. })), "{} would fit too", fitting_density + 1);
    }

    #[test]
    fn repaired_polygon_is_what_the_outline_encloses(mask in mask(), parameters in parameters()) {
        let Some(mesh) = mesh_of(&mask, &parameters)? else { return Ok(()) };
        let lost_px2 = outline::lost_px2(&mesh);
        prop_assert!(lost_px2 == 0.0, "{lost_px2} px2 of {:?} are lost", mesh.outline.points);
        outline::verify(&mesh, hull(&mesh)).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn masks_that_once_failed_give_valid_meshes() {
    for found in drawn::all("regressions") {
        let mask = Mask { width: found.width as usize, height: found.height as usize, values: found.values };
        let verified = mesh_of(&mask, &found.parameters).and_then(|mesh| {
            let Some(mesh) = mesh else { return Ok(()) };
            prop_assert!(outline::lost_px2(&mesh) == 0.0, "{:?}", mesh.warnings);
            if mesh.parameters.internal_vertex_density == 0 {
                return outline::verify(&mesh, hull(&mesh)).map_err(TestCaseError::fail);
            }
            let limit = max_area_px2(&mesh) * (1.0 + AREA_TOLERANCE);
            prop_assert!(triangle_areas(&mesh).all(|area| area <= limit), "a triangle is too large");
            Ok(())
        });
        verified.unwrap_or_else(|error| panic!("{}: {error}", found.name));
    }
}
