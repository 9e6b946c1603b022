//! Each stage, and from the file's bytes to the mesh as JSON: `cargo bench --bench stages`, with a part of a name to
//! run only those. Stages are clocked from within, by an observer, so that each sees what the one before it leaves.

#![expect(clippy::expect_used, reason = "a benchmark whose input is broken has to end")]

use std::cell::LazyCell;
use std::hint::black_box;
use std::io::Cursor;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use spinelift::decode::{Limits, alpha_plane};
use spinelift::export::{FORMATS, Source};
use spinelift::mesh::parameters::{Effort, Islands, OutlineMode};
use spinelift::mesh::score::score;
use spinelift::mesh::{AlphaPlane, Mesh, MeshLimits, MeshParameters, Observer, Stage, build};

const SIZES: [u32; 4] = [512, 1024, 2048, 4096];
const LIMITS: MeshLimits = MeshLimits { max_triangles: 4_000_000 };

/// Share of the canvas that the disc covers on which refinement is measured; its radius is 0.45 of the side.
const DISC_SHARE: f64 = 0.636;

/// Mean area of a refined triangle as a share of the largest, to ask for about as many as a name says.
const MEAN_SHARE: f64 = 0.6;

/// An input's name and how opaque it is at `[x, y]` from -0.5 to 0.5, given a chance from 0 to 1 and its side in px.
type Input = (&'static str, fn([f64; 2], f64, f64) -> f64);

const INPUTS: [Input; 3] = [
    // A soft wavy outline.
    ("photo", |[x, y], _, side| {
        let angle = y.atan2(x);
        let wave = 0.18 * (5.0 * angle).sin() + 0.08 * (13.0 * angle + 1.0).sin() + 0.03 * (41.0 * angle).sin();
        (0.36 * (1.0 + wave) - x.hypot(y)) * side / (side / 600.0 + 1.0) + 0.5
    }),
    // Round and sharp but for one pixel.
    ("flat", |[x, y], _, side| (0.4 - x.hypot(y)) * side + 0.5),
    // Frayed to single pixels: the longest contour.
    ("ragged", |[x, y], chance, _| if x.hypot(y) < 0.45 - 0.06 * chance { 1.0 } else { 0.0 }),
];

/// Weyl's sequence through a mixer (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
    }
}

fn values(input: &Input, side: u32) -> Vec<u8> {
    let mut noise = Noise(7);
    let scale = 1.0 / f64::from(side);
    let place = |index: u32| (f64::from(index) + 0.5) * scale - 0.5;
    let pixels = (0..side).flat_map(|y| (0..side).map(move |x| [place(x), place(y)]));
    pixels
        .map(|at| {
            let chance = (noise.next() >> 40) as f64 / (1u64 << 24) as f64;
            ((input.1)(at, chance, f64::from(side)).clamp(0.0, 1.0) * 255.0).round() as u8
        })
        .collect()
}

fn plane(input: &Input, side: u32) -> AlphaPlane {
    AlphaPlane::new(side, side, values(input, side)).expect("side * side values")
}

/// A PNG with colours that inflate as those of the input's kind do: a photograph's have noise, the others' are flat.
fn png(input: &Input, side: u32) -> Vec<u8> {
    let mut noise = Noise(8);
    let colour = |alpha: u8| match (input.0, alpha) {
        (_, 0) => [0, 0, 0, 0],
        ("photo", _) => {
            let [r, g, b, ..] = noise.next().to_le_bytes().map(|byte| 120 + byte % 16);
            [r, g, b, alpha]
        }
        _ => [90, 140, 60, alpha],
    };
    let pixels: Vec<u8> = values(input, side).into_iter().flat_map(colour).collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Sub);
    let mut writer = encoder.write_header().expect("the header is sound");
    writer.write_image_data(&pixels).expect("side * side pixels");
    writer.finish().expect("all pixels are written");
    file
}

/// When each stage began.
#[derive(Default)]
struct Clock(Mutex<Vec<(Stage, Instant)>>);

impl Clock {
    /// From the beginning of one stage to that of another.
    fn between(self, from: Stage, to: Stage) -> Duration {
        let began = self.0.into_inner().expect("no stage panicked");
        let at = |stage: Stage| began.iter().find(|(each, _)| *each == stage).map(|(_, at)| *at);
        at(to).expect("it was reached").duration_since(at(from).expect("it was reached"))
    }
}

impl Observer for Clock {
    fn stage(&self, stage: Stage) {
        self.0.lock().expect("no stage panicked").push((stage, Instant::now()));
    }
}

fn mesh(plane: &AlphaPlane, parameters: &MeshParameters, observer: &dyn Observer) -> Mesh {
    build(plane, parameters, &LIMITS, observer).expect("every input has a mesh")
}

/// Clocks the part of a build that lies between the beginnings of two stages.
fn bench_stage(
    group: &mut BenchmarkGroup<'_, WallTime>,
    input: &Input,
    side: u32,
    parameters: &MeshParameters,
    [from, to]: [Stage; 2],
) {
    let plane = LazyCell::new(|| plane(input, side));
    group.bench_function(format!("{}-{side}", input.0), |bencher| {
        bencher.iter_custom(|rounds| {
            let round = |_| {
                let clock = Clock::default();
                black_box(mesh(&plane, parameters, &clock));
                clock.between(from, to)
            };
            (0..rounds).map(round).sum()
        });
    });
}

fn bench_outline_stages(criterion: &mut Criterion) {
    let plain = MeshParameters::default();
    let blurred = MeshParameters { blur_kernel_size: 5, ..plain.clone() };
    let stages = [
        ("mask", &plain, [Stage::Mask, Stage::Contour]),
        ("blur-5", &blurred, [Stage::Mask, Stage::Contour]),
        ("contour", &plain, [Stage::Contour, Stage::Simplify]),
        ("simplify", &plain, [Stage::Simplify, Stage::Triangulate]),
        ("triangulate", &plain, [Stage::Triangulate, Stage::Uvs]),
    ];
    for (name, parameters, span) in stages {
        let mut group = criterion.benchmark_group(name);
        for side in SIZES {
            INPUTS.iter().for_each(|input| bench_stage(&mut group, input, side, parameters, span));
        }
    }
}

/// From the threshold to the outlines that leave out no pixel.
fn bench_cover(criterion: &mut Criterion) {
    let fast = MeshParameters {
        outline: OutlineMode::Cover,
        islands: Islands::Bridge,
        max_vertices: 32,
        min_contour_area: 0.0,
        ..MeshParameters::default()
    };
    let best = MeshParameters { effort: Effort::Best, ..fast.clone() };
    for (name, parameters) in [("cover-32", &fast), ("cover-32-best", &best)] {
        let mut group = criterion.benchmark_group(name);
        for side in SIZES {
            INPUTS.iter().for_each(|input| {
                bench_stage(&mut group, input, side, parameters, [Stage::Mask, Stage::Triangulate]);
            });
        }
    }
}

/// How well a mesh fits: in every result that covers, so it may not cost much.
fn bench_score(criterion: &mut Criterion) {
    let parameters = MeshParameters { outline: OutlineMode::Cover, max_vertices: 32, ..MeshParameters::default() };
    let mut group = criterion.benchmark_group("score");
    for side in SIZES {
        for input in &INPUTS {
            let scored = LazyCell::new(|| {
                let plane = plane(input, side);
                let mesh = mesh(&plane, &parameters, &());
                (plane, mesh)
            });
            group.bench_function(format!("{}-{side}", input.0), |bencher| {
                let (plane, mesh) = &*scored;
                bencher.iter(|| score(plane, parameters.alpha_threshold, &mesh.vertices, &mesh.triangles));
            });
        }
    }
}

/// Parameters that refine the disc into about so many triangles.
fn dense(triangles: f64) -> MeshParameters {
    let steps = triangles * MEAN_SHARE / DISC_SHARE;
    let internal_vertex_density = (steps / 10_000.0).ceil();
    MeshParameters {
        internal_vertex_density: internal_vertex_density as u32,
        density_scaling_factor: steps / internal_vertex_density,
        min_triangle_area: 0.1,
        ..MeshParameters::default()
    }
}

const DISC: Input = ("disc", |[x, y], _, side| (0.45 - x.hypot(y)) * side + 0.5);

fn bench_refinement(criterion: &mut Criterion) {
    for (name, side, triangles) in
        [("refine-8k", 1024, 8_000.0), ("refine-54k", 2048, 54_000.0), ("refine-1m", 4096, 1_000_000.0)]
    {
        let mut group = criterion.benchmark_group(name);
        bench_stage(&mut group, &DISC, side, &dense(triangles), [Stage::Triangulate, Stage::Uvs]);
    }
}

fn bench_export(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("export-json");
    for (name, side, triangles) in [("8k", 1024, 8_000.0), ("54k", 2048, 54_000.0)] {
        let mesh = LazyCell::new(|| mesh(&plane(&DISC, side), &dense(triangles), &()));
        group.bench_function(name, |bencher| bencher.iter(|| (FORMATS[0].write)(&mesh, &Source::default())));
        // The same lists through a serializer, which ours must beat to be worth its lines.
        group.bench_function(format!("{name}-serde"), |bencher| {
            bencher.iter(|| {
                let edges = [mesh.boundary_edges.as_flattened(), mesh.internal_edges.as_flattened()];
                serde_json::to_vec(&(&mesh.vertices, &mesh.triangles, mesh.uvs.as_flattened(), edges))
            });
        });
    }
}

fn bench_end_to_end(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("end-to-end");
    let parameters = MeshParameters::default();
    for side in SIZES {
        for input in &INPUTS {
            let file = LazyCell::new(|| png(input, side));
            group.bench_function(format!("{}-{side}", input.0), |bencher| {
                bencher.iter(|| {
                    let plane = alpha_plane(Cursor::new(&file[..]), &Limits::default(), &()).expect("a whole PNG");
                    (FORMATS[0].write)(&mesh(&plane, &parameters, &()), &Source::default())
                });
            });
        }
    }
}

fn main() {
    // One thread, so that figures compare with others' and do not hang on the machine's cores.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be started");
    pool.install(|| {
        // Few samples, as the machine may be shared and a 4096 px image takes its time.
        let mut criterion = Criterion::default().sample_size(10).configure_from_args();
        bench_outline_stages(&mut criterion);
        bench_cover(&mut criterion);
        bench_score(&mut criterion);
        bench_refinement(&mut criterion);
        bench_export(&mut criterion);
        bench_end_to_end(&mut criterion);
        criterion.final_summary();
    });
}
