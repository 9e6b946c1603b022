//! `outline = cover` on any mask: nothing is left out, the budget holds, equal bytes every time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use spinelift::decode::{self, Limits};
use spinelift::mesh::check::Fault;
use spinelift::mesh::{self, AlphaPlane, Mesh, MeshLimits, MeshParameters};

/// Masks of all kinds: noise, blobs that overlap, lines, a ring with islands in it.
fn mask() -> impl Strategy<Value = AlphaPlane> {
    let sized = (1..40u32, 1..40u32).prop_flat_map(|(width, height)| {
        let noise = vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], (width * height) as usize);
        let discs = vec((0..width as i32, 0..height as i32, 1..12i32, any::<bool>()), 1..6);
        let specks = vec((0..width as i32, 0..height as i32, 0..3i32, Just(true)), 1..8);
        let ring = (10..20i32).prop_map(move |radius| (width as i32 / 2, height as i32 / 2, radius, false));
        prop_oneof![
            1 => noise.prop_map(move |values| (width, height, values)),
            3 => discs.prop_map(move |discs| (width, height, drawn(width, height, &discs))),
            1 => (ring, specks).prop_map(move |(ring, mut discs)| {
                discs.push(ring);
                (width, height, drawn(width, height, &discs))
            }),
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

/// What adds vertices inside and on the outline's edges, over other parameters.
fn refined() -> impl Strategy<Value = Value> {
    // Halves of widths that parts have: points from both sides of a part then meet in its middle.
    let rim = prop_oneof![1 => Just(0.0), 1 => prop::sample::select(vec![0.5, 1.0, 1.5, 2.0]), 1 => 0.5..8.0];
    let (angle, length) = (prop::sample::select(vec![0, 0, 15, 30]), prop::sample::select(vec![0, 0, 1, 3]));
    prop_oneof![
        1 => Just(json!({ "preset": "deform" })),
        1 => Just(json!({ "preset": "deform-large" })),
        1 => (1..4u32, 100..400u32).prop_map(|(density, scaling)| {
            json!({ "internal_vertex_density": density, "density_scaling_factor": scaling })
        }),
        4 => (prop::sample::select(vec![0, 0, 8, 40, 300]), rim, angle, length).prop_map(|(area, rim, angle, length)| {
            json!({ "max_triangle_area": area, "rim": rim, "min_angle": angle, "min_edge_length": length })
        }),
    ]
}

/// Parameters, some of them replaced by others; all if these are a preset.
fn with(given: &Value, others: &Value) -> Value {
    let mut all = if others["preset"].is_null() { given.clone() } else { json!({ "symmetry": given["symmetry"] }) };
    let others = others.as_object().unwrap();
    all.as_object_mut().unwrap().extend(others.iter().map(|(name, value)| (name.clone(), value.clone())));
    all
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

/// Distance of the two nearest vertices, px.
fn least_distance_px(mesh: &Mesh) -> f64 {
    let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
    let pairs = mesh.vertices.iter().enumerate().flat_map(|(i, &a)| mesh.vertices[..i].iter().map(move |&b| (a, b)));
    pairs.map(|(a, b)| distance(a, b)).fold(f64::INFINITY, f64::min)
}

/// Whether a mesh says that some of its vertices could not be kept apart.
fn is_warned_of_distances(mesh: &Mesh) -> bool {
    mesh.warnings.iter().any(|warning| warning.contains("px apart"))
}

/// Every image of the corpus.
fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension != "md"));
    paths.sort();
    paths
}

fn alpha_of(path: &Path) -> AlphaPlane {
    decode::alpha_plane(BufReader::new(File::open(path).unwrap()), &Limits::default(), &()).unwrap()
}

/// The vertices of the hulls and holes.
fn rim(mesh: &Mesh) -> u32 {
    mesh.components.iter().map(|part| part.rim_length).sum()
}

/// Lengths that no edge of a mirrored half can have: it gets shorter ones, and no more of them.
#[test]
fn a_budget_holds_where_edges_cannot_be_so_long() {
    for path in corpus() {
        let alpha = alpha_of(&path);
        if alpha.width().max(alpha.height()) > 256 {
            continue;
        }
        for (length, padding) in [(180, 0), (256, 20)] {
            let given = json!({
                "outline": "cover", "symmetry": "x", "max_vertices": 16, "min_edge_length": length, "padding": padding,
            });
            let mesh = made(&alpha, &given).unwrap();
            assert!(rim(&mesh) <= 16, "{}: {} with {given}", path.display(), rim(&mesh));
        }
    }
}

/// Triangles as sorted positions, whatever their order and orientation.
fn triangles(mesh: &Mesh, place: impl Fn([f64; 2]) -> [f64; 2]) -> Vec<Vec<[u64; 2]>> {
    // Without the sign of a zero.
    let bits = |v: u32| place(mesh.vertices[v as usize]).map(|c| (c + 0.0).to_bits());
    let sorted = |corners: &[u32; 3]| {
        let mut places = corners.map(bits).to_vec();
        places.sort_unstable();
        places
    };
    let mut all: Vec<Vec<[u64; 2]>> = mesh.triangles.iter().map(sorted).collect();
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
    fn no_two_vertices_are_nearer_than_asked_for(
        alpha in mask(),
        mut given in parameters(),
        least in 1..20u32,
        min_angle in prop::sample::select(vec![0, 0, 20, 30]),
        max_triangle_area in prop::sample::select(vec![0, 0, 30, 200]),
        rim in prop::sample::select(vec![0, 0, 2, 6]),
    ) {
        given["min_edge_length"] = json!(least);
        given["min_angle"] = json!(min_angle);
        given["max_triangle_area"] = json!(max_triangle_area);
        given["rim"] = json!(rim);
        let Some(mesh) = made(&alpha, &given) else { return Ok(()) };
        prop_assert_eq!(mesh.check(), Ok(()));
        let found = least_distance_px(&mesh);
        prop_assert!(found > f64::from(least) - 1e-9 || is_warned_of_distances(&mesh), "{found} px");
        // A box has room for its corners; half a mirrored one may not, nor one among others.
        let sides = [alpha.width(), alpha.height()].map(|side| f64::from(side) + 2.0 * given["padding"].as_f64().unwrap().ceil());
        let has_room = given["symmetry"] == "none" && given["islands"] != "all" && sides.iter().all(|&side| side >= 2.0 * f64::from(least));
        prop_assert!(!(has_room && is_warned_of_distances(&mesh)), "{:?} with {given}", mesh.warnings);
    }

    #[test]
    fn a_mirrored_image_gives_the_mirrored_mesh(alpha in mask(), mut given in parameters()) {
        given["symmetry"] = json!("x");
        assert_mirrored(&alpha, &given);
    }

    #[test]
    fn a_mirrored_image_gives_the_mirrored_mesh_with_vertices_inside(
        alpha in mask(), mut given in parameters(), others in refined(),
    ) {
        given["symmetry"] = json!("x");
        assert_mirrored(&alpha, &with(&given, &others));
    }

    #[test]
    fn refinement_puts_no_vertex_upon_another(alpha in mask(), mut given in parameters(), others in refined()) {
        given["min_edge_length"] = json!(0);
        let Some(mesh) = made(&alpha, &with(&given, &others)) else { return Ok(()) };
        let found = least_distance_px(&mesh);
        prop_assert!(found > 1e-3, "{found} px");
    }
}

/// The mirrored image gives the same triangles, mirrored, and they are their own mirror image.
fn assert_mirrored(alpha: &AlphaPlane, given: &Value) {
    let Some(mesh) = made(alpha, given) else { return };
    let mirrored = build(&flipped(alpha), given).unwrap();
    let width = f64::from(alpha.width());
    let own = triangles(&mesh, |place| place);
    assert_eq!(own, triangles(&mirrored, |[x, y]| [width - x, y]), "with {given}");
    let (low, high) = mesh.vertices.iter().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v[0]), h.max(v[0])));
    assert_eq!(own, triangles(&mesh, |[x, y]| [low + high - x, y]), "with {given}");
}

#[test]
fn mirrored_sprites_give_mirrored_meshes_with_vertices_inside() {
    for name in ["limb-hand-512.png", "png16bit-fish-512.png"] {
        let alpha = alpha_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(name));
        for others in [
            json!({ "preset": "deform" }),
            json!({ "preset": "deform-large" }),
            json!({ "max_triangle_area": 1000 }),
            json!({ "rim": 16 }),
            json!({ "rim": 16, "max_triangle_area": 3000 }),
            json!({ "min_angle": 25 }),
            json!({ "internal_vertex_density": 1, "min_edge_length": 4 }),
        ] {
            let given = json!({ "outline": "cover", "symmetry": "x", "max_vertices": 32 });
            assert_mirrored(&alpha, &with(&given, &others));
        }
    }
}

/// Two discs that touch the canvas: there is no room for corners that coarsening finds beyond it.
#[test]
fn a_budget_holds_at_the_canvas() {
    let is_in =
        |x: i32, y: i32| [31, 99].iter().any(|middle| (2 * (x - middle) - 1).pow(2) + (2 * y - 63).pow(2) < 64 * 64);
    let values = (0..64).flat_map(|y| (0..132).map(move |x| 255 * u8::from(is_in(x, y)))).collect();
    let alpha = AlphaPlane::new(132, 64, values).unwrap();
    for budget in [8, 12, 16, 24] {
        let given = json!({ "outline": "cover", "islands": "all", "max_vertices": budget });
        let mesh = made(&alpha, &given).unwrap();
        assert!(mesh.components.len() == 2 && mesh.vertices.len() <= budget, "{} with {given}", mesh.vertices.len());
    }
}

/// As narrow as its number allows it would have more points than memory holds.
#[test]
fn a_ring_that_is_too_narrow_is_refused() {
    let alpha = AlphaPlane::new(64, 64, vec![255; 64 * 64]).unwrap();
    for rim in [1e-300, 1e-9, 0.001] {
        let error = build(&alpha, &json!({ "outline": "cover", "rim": rim })).unwrap_err();
        assert_eq!(error.code(), "MESH_TOO_LARGE");
        assert!(error.to_string().ends_with("triangles, the limit is 100000; raise rim, or set it to 0"), "{error}");
    }
    // Not of every one that is narrow.
    let mesh = build(&alpha, &json!({ "outline": "cover", "rim": 0.05 })).unwrap();
    assert!((10_000..40_000).contains(&mesh.triangles.len()), "{}", mesh.triangles.len());
}

/// One outline comes in the way of the next, which then takes more vertices: with fewer for the first, all have room.
#[test]
fn a_budget_holds_where_outlines_are_in_each_others_way() {
    let alpha = alpha_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus/islands-sweat-128.png"));
    for effort in ["fast", "best"] {
        for budget in [12, 16, 24] {
            let given = json!({ "outline": "cover", "islands": "all", "max_vertices": budget, "effort": effort });
            let mesh = made(&alpha, &given).unwrap();
            assert!(mesh.vertices.len() <= budget, "{} with {given}", mesh.vertices.len());
        }
    }
}

/// Both sides of a bar of two pixels ask for a ring's points in its middle.
#[test]
fn a_ring_in_a_narrow_bar_is_one_row() {
    for symmetry in ["none", "x"] {
        let alpha = AlphaPlane::new(2, 13, vec![255; 26]).unwrap();
        let given = json!({ "outline": "cover", "rim": 1, "symmetry": symmetry });
        let mesh = made(&alpha, &given).unwrap();
        assert!(mesh.vertices.len() < 50, "{} with {given}", mesh.vertices.len());
        assert!(least_distance_px(&mesh) > 0.4, "{} px with {given}", least_distance_px(&mesh));
    }
}

/// The warnings of a mesh of this image that have these words.
fn warnings_of(alpha: &AlphaPlane, given: &Value, words: &str) -> Vec<String> {
    let mesh = build(alpha, given).unwrap();
    mesh.warnings.into_iter().filter(|warning| warning.contains(words)).collect()
}

#[test]
fn a_triangle_that_stays_too_large_is_said_to_be() {
    let alpha = alpha_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus/limbs-octopus-512.png"));
    let mut given = json!({
        "outline": "cover", "padding": 64, "max_vertices": 3, "holes": "cut", "min_angle": 5, "min_edge_length": 256,
        "max_triangle_area": 20,
    });
    let mesh = build(&alpha, &given).unwrap();
    let area = |[a, b, c]: [[f64; 2]; 3]| (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
    let areas = mesh.triangles.iter().map(|t| area(t.map(|v| mesh.vertices[v as usize])).abs() / 2.0);
    let largest = areas.fold(0.0, f64::max);
    let expected = format!(
        "the largest triangle has {largest:.2} px2, although max_triangle_area is 20, as no two vertices may be nearer than \
         min_edge_length 256; lower min_edge_length"
    );
    assert_eq!(warnings_of(&alpha, &given, "max_triangle_area"), [expected]);
    for least in [0, 4] {
        given["min_edge_length"] = json!(least);
        given["max_triangle_area"] = json!(200);
        assert!(warnings_of(&alpha, &given, "max_triangle_area").is_empty(), "{least}");
    }
}

#[test]
fn advice_is_of_what_is_not_done_yet() {
    let dot = AlphaPlane::new(3, 3, vec![0, 0, 0, 0, 255, 0, 0, 0, 0]).unwrap();
    let near = |islands: &str, padding: u32| {
        let given = json!({
            "outline": "cover", "islands": islands, "min_contour_area": 0, "min_edge_length": 200, "padding": padding,
        });
        let warnings = warnings_of(&dot, &given, "px apart");
        warnings[0].split("; ").last().unwrap().to_owned()
    };
    for islands in ["largest", "all", "bridge"] {
        assert_eq!(near(islands, 0), "lower it or raise padding");
        assert_eq!(near(islands, 64), "lower it");
    }
    let few = |islands: &str, max_vertices: u32, dots: usize| {
        let at = |x: usize, y: usize| x % 4 == 1 && y == 1 && x < dots * 4;
        let values = (0..3).flat_map(|y| (0..dots * 4).map(move |x| if at(x, y) { 255 } else { 0 })).collect();
        let given = json!({
            "outline": "cover", "islands": islands, "min_contour_area": 0, "max_vertices": max_vertices,
        });
        let warnings = warnings_of(&AlphaPlane::new(dots as u32 * 4, 3, values).unwrap(), &given, "too few");
        warnings.first().and_then(|warning| Some(warning.split_once("; ")?.1.to_owned()))
    };
    assert_eq!(few("all", 3, 2).as_deref(), Some("raise it or set islands to bridge"));
    assert_eq!(few("all", 1000, 400).as_deref(), Some("set it to 0 or set islands to bridge"));
}

/// Images too small for vertices so far apart: 12 and 16 px wide.
const TOO_SMALL: &[(&str, u32)] = &[("tiny-star-12.png", 16)];

/// A ring with squares in its hole.
fn ring_with_squares(squares: &[[i32; 2]], side: i32) -> AlphaPlane {
    let at = |x: i32, y: i32| {
        let d2 = (x - 40).pow(2) + (y - 40).pow(2);
        let is_in = |&[left, top]: &[i32; 2]| (left..left + side).contains(&x) && (top..top + side).contains(&y);
        if (30 * 30..36 * 36).contains(&d2) || squares.iter().any(is_in) { 255 } else { 0 }
    };
    let values = (0..80).flat_map(|y| (0..80).map(move |x| (x, y))).map(|(x, y)| at(x, y));
    AlphaPlane::new(80, 80, values.collect()).unwrap()
}

#[test]
fn islands_in_a_hole_are_covered_with_it_where_the_budget_asks_for_that() {
    let (one, four) = ([[38, 38]], [[25, 25], [50, 25], [25, 50], [50, 50]]);
    for (squares, side, budget, components) in [
        (&one[..], 4, 8, 1),
        (&one, 4, 12, 2),
        (&one, 4, 40, 2),
        (&four, 3, 12, 1),
        (&four, 3, 40, 5),
        (&four, 3, 0, 5),
    ] {
        let given = json!({
            "outline": "cover", "islands": "all", "holes": "cut", "min_contour_area": 0, "max_vertices": budget,
        });
        let mesh = made(&ring_with_squares(squares, side), &given).unwrap();
        let outlines = mesh.vertices.len();
        assert_eq!(mesh.components.len(), components, "{budget}: {outlines} vertices");
        assert!(budget == 0 || outlines <= budget, "{budget}: {outlines} vertices");
    }
}

#[test]
fn a_component_on_another_is_found() {
    let given = json!({"outline": "cover", "islands": "all", "holes": "cut", "max_vertices": 60});
    let mut mesh = made(&ring_with_squares(&[[38, 38]], 4), &given).unwrap();
    let ring = mesh.components[0];
    assert_eq!(mesh.check(), Ok(()));
    // Into the ring's material, and small enough to lie within it.
    for vertex in &mut mesh.vertices[ring.vertex_count as usize..] {
        *vertex = [73.0 + (vertex[0] - 40.0) / 10.0, 40.0 + (vertex[1] - 40.0) / 10.0];
    }
    mesh.uvs = mesh.vertices.iter().map(|[x, y]| [x / 80.0, y / 80.0]).collect();
    assert_eq!(mesh.check(), Err(Fault::Overlap { component: 1 }));
}

#[test]
fn an_island_counts_its_own_pixels() {
    // A diagonal of 20 px beside a square of 25 px: the pixels that join the diagonal are not its own.
    let at =
        |x: i32, y: i32| if (x == y && x < 20) || ((30..35).contains(&x) && (2..7).contains(&y)) { 255 } else { 0 };
    let values = (0..24).flat_map(|y| (0..40).map(move |x| (x, y))).map(|(x, y)| at(x, y));
    let alpha = AlphaPlane::new(40, 24, values.collect()).unwrap();
    for padding in [0.0, 1.5] {
        let mesh = made(&alpha, &json!({"outline": "cover", "padding": padding})).unwrap();
        assert!(mesh.vertices.iter().all(|vertex| vertex[0] > 25.0), "{padding}: {:?}", mesh.vertices);
        let both = json!({"outline": "cover", "islands": "all", "padding": padding, "min_contour_area": 21});
        let mesh = made(&alpha, &both).unwrap();
        assert_eq!(mesh.components.len(), 1, "{padding}");
    }
}

#[test]
fn vertices_on_real_sprites_keep_their_distance() {
    for path in corpus() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let alpha = alpha_of(&path);
        for least in [4, 8, 16] {
            for (islands, holes, max_vertices) in [("bridge", "fill", 32), ("all", "cut", 64), ("largest", "cut", 0)] {
                let given = json!({
                    "outline": "cover", "islands": islands, "holes": holes, "max_vertices": max_vertices,
                    "detail_factor": 0.05, "min_edge_length": least, "min_angle": 15,
                });
                let mesh = build(&alpha, &given).unwrap();
                let is_too_small = TOO_SMALL.contains(&(name, least));
                assert_eq!(is_warned_of_distances(&mesh), is_too_small, "{name}: {:?} with {given}", mesh.warnings);
                let found = least_distance_px(&mesh);
                assert!(is_too_small || found > f64::from(least) - 1e-9, "{name}: {found} px with {given}");
            }
        }
    }
}

#[test]
fn vertices_kept_apart_still_fit() {
    for (name, islands, holes, least_iou) in [
        ("holes-link-512.png", "bridge", "fill", 0.95),
        ("islands-paws-256.png", "all", "cut", 0.8),
        ("noto-thin-paperclip-136.png", "all", "cut", 0.64),
        ("webp-soft-dash-256.webp", "bridge", "fill", 0.91),
    ] {
        let alpha = alpha_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(name));
        let given = json!({
            "outline": "cover", "islands": islands, "holes": holes, "max_vertices": 64, "min_edge_length": 16,
        });
        let mesh = build(&alpha, &given).unwrap();
        let iou = mesh.scores.unwrap().iou;
        assert!(iou >= least_iou, "{name}: {iou:.3} with {given}");
        assert!(least_distance_px(&mesh) > 16.0 - 1e-9 && mesh.vertices.len() <= 64, "{name}");
    }
}
