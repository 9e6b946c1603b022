//! `outline = cover` on any mask: nothing is left out, the budget holds, equal bytes every time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use spinelift::mesh::{self, AlphaPlane, Mesh, MeshLimits, MeshParameters};

/// Masks of all kinds: noise, blobs that overlap, lines.
fn mask() -> impl Strategy<Value = AlphaPlane> {
    let sized = (1..40u32, 1..40u32).prop_flat_map(|(width, height)| {
        let noise = vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], (width * height) as usize);
        let discs = vec((0..width as i32, 0..height as i32, 1..12i32, any::<bool>()), 1..6);
        prop_oneof![
            1 => noise.prop_map(move |values| (width, height, values)),
            3 => discs.prop_map(move |discs| (width, height, drawn(width, height, &discs))),
        ]
    });
    sized.prop_map(|(width, height, values)| AlphaPlane::new(width, height, values).unwrap())
}

/// Discs and rings over each other.
fn drawn(width: u32, height: u32, discs: &[(i32, i32, i32, bool)]) -> Vec<u8> {
    let at = |x: i32, y: i32| {
        let covers = |&(cx, cy, radius, solid): &(i32, i32, i32, bool)| {
            let d2 = (x - cx).pow(2) + (y - cy).pow(2);
            d2 <= radius * radius && (solid || d2 > (radius - 2).pow(2))
        };
        if discs.iter().any(covers) { 200 } else { 0 }
    };
    (0..height as i32).flat_map(|y| (0..width as i32).map(move |x| (x, y))).map(|(x, y)| at(x, y)).collect()
}

fn parameters() -> impl Strategy<Value = Value> {
    let islands = prop::sample::select(vec!["largest", "all", "bridge"]);
    let holes = prop::sample::select(vec!["fill", "cut"]);
    let symmetry = prop::sample::select(vec!["none", "none", "auto", "x"]);
    let effort = prop::sample::select(vec!["fast", "fast", "fast", "best"]);
    let padding = prop_oneof![3 => Just(0.0), 1 => 0.0..5.0];
    let budget = prop_oneof![1 => Just(0u32), 4 => 3..40u32];
    (islands, holes, symmetry, effort, padding, budget, 1..=255u8, 0..20u32, 0.001..0.05).prop_map(
        |(
            islands,
            holes,
            symmetry,
            effort,
            padding,
            max_vertices,
            alpha_threshold,
            min_contour_area,
            detail_factor,
        )| {
            json!({
                "outline": "cover", "islands": islands, "holes": holes, "symmetry": symmetry, "effort": effort,
                "padding": padding, "max_vertices": max_vertices, "alpha_threshold": alpha_threshold,
                "min_contour_area": min_contour_area, "detail_factor": detail_factor,
            })
        },
    )
}

fn build(alpha: &AlphaPlane, given: &Value) -> Result<Mesh, mesh::Error> {
    let (parameters, _) = MeshParameters::from_json(given).unwrap();
    mesh::build(alpha, &parameters, &MeshLimits::default(), &())
}

/// The mesh, or none where nothing is inside. No other error will do: one is that a mesh fails its check.
fn made(alpha: &AlphaPlane, given: &Value) -> Option<Mesh> {
    match build(alpha, given) {
        Ok(mesh) => Some(mesh),
        Err(mesh::Error::ContourExtraction { .. }) => None,
        // A noisy mask of 40 px can be refined into more triangles than are allowed, and is refused then.
        Err(mesh::Error::AreaTooSmall { .. }) => None,
        Err(error) => panic!("{error} with {given}"),
    }
}

fn flipped(alpha: &AlphaPlane) -> AlphaPlane {
    let width = alpha.width() as usize;
    let values = alpha.to_values().unwrap();
    let rows = values.chunks(width).flat_map(|row| row.iter().rev().copied());
    AlphaPlane::new(alpha.width(), alpha.height(), rows.collect()).unwrap()
}

/// The vertices of the hulls and holes.
fn rim(mesh: &Mesh) -> u32 {
    mesh.components.iter().map(|part| part.rim_length).sum()
}

/// Triangles as sorted positions, whatever their order and orientation.
fn triangles(mesh: &Mesh, place: impl Fn([f64; 2]) -> [f64; 2]) -> Vec<Vec<[i64; 2]>> {
    let rounded = |v: u32| place(mesh.vertices[v as usize]).map(|c| (c * 4096.0).round() as i64);
    let sorted = |corners: &[u32; 3]| {
        let mut places = corners.map(rounded).to_vec();
        places.sort_unstable();
        places
    };
    let mut all: Vec<Vec<[i64; 2]>> = mesh.triangles.iter().map(sorted).collect();
    all.sort_unstable();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_mesh_passes_its_check_and_comes_out_the_same(alpha in mask(), given in parameters()) {
        let Some(mesh) = made(&alpha, &given) else { return Ok(()) };
        prop_assert_eq!(mesh.check(), Ok(()));
        let again = build(&alpha, &given).unwrap();
        prop_assert_eq!(&mesh, &again);
    }

    #[test]
    fn not_a_pixel_is_lost(alpha in mask(), mut given in parameters(), bridge in any::<bool>()) {
        given["islands"] = json!(if bridge { "bridge" } else { "all" });
        given["min_contour_area"] = json!(0);
        let Some(mesh) = made(&alpha, &given) else { return Ok(()) };
        prop_assert_eq!(mesh.scores.unwrap().lost_px, 0);
        prop_assert_eq!(mesh.scores.unwrap().coverage, 1.0);
        if bridge {
            prop_assert_eq!(mesh.components.len(), 1);
        }
    }

    #[test]
    fn a_budget_holds(alpha in mask(), mut given in parameters(), budget in 4..40u32) {
        given["max_vertices"] = json!(budget);
        given["islands"] = json!("bridge");
        // Refinement adds to the edges.
        for name in ["min_angle", "max_triangle_area", "rim", "min_edge_length"] {
            given[name] = json!(0);
        }
        let Some(mesh) = made(&alpha, &given) else { return Ok(()) };
        // A box is always possible; one that is mirrored has two vertices on its axis besides.
        let needed = if given["symmetry"] == "none" { 4 } else { 6 };
        prop_assert!(rim(&mesh) <= budget.max(needed), "{} of {budget}", rim(&mesh));
    }

    #[test]
    fn a_mirrored_image_gives_the_mirrored_mesh(alpha in mask(), mut given in parameters()) {
        given["symmetry"] = json!("x");
        let Some(mesh) = made(&alpha, &given) else { return Ok(()) };
        let mirrored = build(&flipped(&alpha), &given).unwrap();
        let width = f64::from(alpha.width());
        let own = triangles(&mesh, |place| place);
        prop_assert_eq!(&own, &triangles(&mirrored, |[x, y]| [width - x, y]));
        // And it is its own mirror image.
        let (low, high) = mesh.vertices.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v[0]), h.max(v[0])));
        prop_assert_eq!(&own, &triangles(&mesh, |[x, y]| [low + high - x, y]));
    }
}
