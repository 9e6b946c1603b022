//! Images that nobody means well with, each through the service's own way to the engine: a clear outcome, in a bounded
//! time, within the memory that its header was admitted for.
//!
//! `cargo test --test hostile_images -- --nocapture` prints what each took. The files are made here, byte by byte.

#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]
#![expect(clippy::print_stdout, reason = "what each took is for people to read")]
#![expect(unsafe_code, reason = "an allocator that counts")]

#[path = "hostile_images/files.rs"]
mod files;
#[path = "hostile_images/memory.rs"]
mod memory;

use std::sync::Arc;
use std::time::{Duration, Instant};

use files::*;
use spinelift::compute::{Compute, ComputeError, Task, Watch, cost_bytes};
use spinelift::config::{Images, Jobs};
use spinelift::export::Format;
use spinelift::mesh::parameters::{Effort, Holes, Islands, OutlineMode, Symmetry};
use spinelift::mesh::{Error, MeshParameters};
use tokio::sync::Mutex;

/// What any of them may take on a busy machine, debug build. The figures are in docs/security.md.
const BUDGET: Duration = Duration::from_secs(10);

/// What a header bomb may take; the aim is 5 ms on an idle machine.
const AT_ONCE: Duration = Duration::from_millis(100);

/// One at a time, as memory is counted for the whole process.
static ALONE: Mutex<()> = Mutex::const_new(());

/// What became of an image.
struct Outcome {
    /// Vertices, or the code of the error.
    made: Result<usize, String>,
    error: Option<Error>,
    took: Duration,
    memory: u64,
}

async fn run(name: &str, file: Vec<u8>, images: Images, parameters: MeshParameters, deadline: Duration) -> Outcome {
    run_to("json", name, file, images, parameters, deadline).await
}

async fn run_to(
    format: &str,
    name: &str,
    file: Vec<u8>,
    images: Images,
    parameters: MeshParameters,
    deadline: Duration,
) -> Outcome {
    let compute = Compute::new(1, &Jobs::default(), images, Arc::default()).unwrap();
    let bytes = file.len();
    let format = Format::named(format).unwrap();
    let task = Task { image: file.into(), parameters, warnings: vec![], format };
    // The file is there before.
    let admitted = cost_bytes(&task, images.mesh_limits.max_triangles).max(1 << 20).saturating_sub(bytes as u64);
    let watch = Arc::new(Watch::until(Instant::now() + deadline));
    let beginning = memory::begin();
    let began = Instant::now();
    let made = compute.run(task, watch).await;
    let took = began.elapsed();
    let memory = memory::most_since(beginning);
    let (made, error) = match made {
        Ok(made) => (Ok(made.vertices), None),
        Err(ComputeError::Engine(error)) => (Err(error.code().to_string()), Some(error)),
        Err(other) => (Err(format!("{other:?}")), None),
    };
    let shown = error.as_ref().map(ToString::to_string).unwrap_or_default();
    println!(
        "{name}: {made:?} in {:.1} ms, {:.2} MB of {:.1} admitted, file of {bytes} bytes {shown}",
        took.as_secs_f64() * 1e3,
        memory as f64 / 1e6,
        admitted as f64 / 1e6
    );
    assert!(memory <= admitted, "{name}: {memory} bytes where {admitted} were admitted");
    Outcome { made, error, took, memory }
}

async fn outcome(name: &str, file: Vec<u8>) -> Outcome {
    let outcome = run(name, file, Images::default(), MeshParameters::default(), BUDGET * 6).await;
    assert!(outcome.took < BUDGET, "{name}: {:?}", outcome.took);
    outcome
}

async fn refused(name: &str, file: Vec<u8>, code: &str) -> Outcome {
    let outcome = outcome(name, file).await;
    assert_eq!(outcome.made.clone().unwrap_err(), code, "{name}");
    outcome
}

/// Whole and read to its end, whether or not there is enough in it for a mesh.
async fn read(name: &str, file: Vec<u8>) -> Outcome {
    let outcome = outcome(name, file).await;
    assert!(
        matches!(outcome.made.as_ref().err().map(String::as_str), None | Some("CONTOUR_EXTRACTION_FAILED")),
        "{name}: {:?}",
        outcome.made
    );
    outcome
}

async fn meshed(name: &str, file: Vec<u8>) -> Outcome {
    let outcome = outcome(name, file).await;
    assert!(outcome.made.is_ok(), "{name}: {:?}", outcome.made);
    outcome
}

#[tokio::test]
async fn header_bombs_of_every_format() {
    let _alone = ALONE.lock().await;
    let (width, height) = (16000_u16, 15000_u16);
    let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
    let vp8l = ((u32::from(width) - 1) | ((u32::from(height) - 1) << 14)).to_le_bytes();
    let bombs = [
        ("PNG", png(&[ihdr(65535, 65535, 8, 6, 0), chunk(b"IDAT", &zeros(1)), iend()])),
        ("PNG of 2^31 - 1", png(&[ihdr(i32::MAX as u32, i32::MAX as u32, 16, 6, 1), iend()])),
        ("WebP, lossy", webp(b"VP8 ", &[&[0x10, 0, 0, 0x9d, 1, 0x2a], &sides[..]].concat())),
        ("WebP, lossless", webp(b"VP8L", &[&[0x2f], &vp8l[..]].concat())),
        ("WebP, extended", riff(&[vp8x(0x10, 1 << 24, 1 << 24)])),
        ("WebP, animated", riff(&[vp8x(0x12, 1 << 24, 1 << 24)])),
        ("JPEG", jpeg_head(0xc0, u16::MAX, u16::MAX, 3, 0x11)),
        ("JPEG, progressive", jpeg_head(0xc2, u16::MAX, u16::MAX, 4, 0x44)),
        ("GIF", [gif_head(u16::MAX, u16::MAX), gif_frame(), b";".to_vec()].concat()),
        ("BMP", bmp_head(30_000, -30_000, 32, 0, 0)),
        ("BMP, run lengths", [bmp_head(60_000, 60_000, 8, 1, 256), vec![0; 1024]].concat()),
    ];
    for (name, file) in bombs {
        let outcome = refused(name, file, "IMAGE_TOO_LARGE").await;
        assert!(outcome.took < AT_ONCE, "{name}: {:?}", outcome.took);
        assert!(outcome.memory < 512 << 10, "{name}: {}", outcome.memory);
    }
}

#[tokio::test]
async fn a_million_tiny_chunks() {
    let _alone = ALONE.lock().await;
    let row = fdeflate::compress_to_vec(&[0, 0, 255]);
    let idat = chunk(b"IDAT", &row);
    let many = |chunk: &[u8]| chunk.repeat(1_000_000);
    let (text, empty) = (chunk(b"teXt", b"a"), chunk(b"IDAT", b""));
    let ends = |middle: Vec<u8>| png(&[ihdr(1, 1, 8, 4, 0), middle, iend()]);
    read("10^6 chunks of text", ends([many(&text), idat.clone()].concat())).await;
    read("10^6 chunks of text behind", ends([idat.clone(), many(&text)].concat())).await;
    read("10^6 empty chunks of data", ends([many(&empty), idat].concat())).await;
    let pieces = fdeflate::compress_to_vec(&vec![0; 1 << 20]);
    let by_byte: Vec<u8> = pieces.iter().flat_map(|byte| chunk(b"IDAT", &[*byte])).collect();
    outcome("data by the byte", png(&[ihdr(512, 512, 8, 6, 0), by_byte, iend()])).await;
    let chunks = riff_chunk(b"XXXX", b"").repeat(1_000_000);
    let vp8l = riff_chunk(b"VP8L", only_chunk(&webp_of_pixels(1, 1, &[255; 4])));
    read("10^6 chunks of a WebP", riff(&[vp8x(0x10, 1, 1), chunks, vp8l])).await;
    let blocks = b"\x21\xfe\x01a\0".repeat(1_000_000);
    read("10^6 comments of a GIF", [gif_head(1, 1), blocks, gif_frame(), b";".to_vec()].concat()).await;
    let segments = segment(0xfe, b"").repeat(1_000_000);
    let jpeg = jpeg_head(0xc0, 8, 8, 1, 0x11);
    let jpeg = [&jpeg[..2], &segments, &jpeg[2..], &scan(1..=1, [0, 63, 0], b"\x3f"), b"\xff\xd9"].concat();
    read("10^6 comments of a JPEG", jpeg).await;
}

#[tokio::test]
async fn ztxt_and_iccp_bombs() {
    let _alone = ALONE.lock().await;
    let bomb = zeros(256);
    let idat = chunk(b"IDAT", &fdeflate::compress_to_vec(&[0, 0, 255]));
    for (name, head) in [(b"zTXt", &b"a\0\0"[..]), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\x01\0\0\0")] {
        let bomb = chunk(name, &[head, &bomb].concat());
        let shown = String::from_utf8_lossy(name);
        read(&shown, png(&[ihdr(1, 1, 8, 4, 0), bomb.clone(), idat.clone(), iend()])).await;
        // Through the general decoder, which knows these chunks.
        let palette = [chunk(b"PLTE", &[0; 3]), chunk(b"tRNS", &[9])].concat();
        let data = chunk(b"IDAT", &fdeflate::compress_to_vec(&[0, 0]));
        outcome(&shown, png(&[ihdr(1, 1, 4, 3, 0), bomb, palette, data, iend()])).await;
    }
    let data = chunk(b"IDAT", &bomb);
    let outcome = read("more data than pixels", png(&[ihdr(1, 1, 8, 0, 0), data, iend()])).await;
    assert!(outcome.memory < 2 << 20);
}

#[tokio::test]
async fn codes_of_a_lossless_webp_that_take_gigabytes() {
    let _alone = ALONE.lock().await;
    let file = webp_of_codes(8_000);
    let refused_codes = async |name: &str, file: Vec<u8>| {
        let outcome = refused(name, file, "IMAGE_LOAD_FAILED").await;
        assert!(outcome.error.unwrap().to_string().contains("codes take more memory"), "{name}");
        assert!(outcome.memory < 4 << 20, "{name}: {}", outcome.memory);
    };
    refused_codes("in the picture", file.clone()).await;
    refused_codes("as many as there may be", webp_of_codes(65_536)).await;
    let alpha = [&[1], &codes_bomb(8_000, &mut Bits::default())[..]].concat();
    let vp8 = riff_chunk(b"VP8 ", b"\x10\0\0\x9d\x01\x2a\x01\0\x01\0\0\0");
    let alpha = riff_chunk(b"ALPH", &alpha);
    refused_codes("in the alpha of a lossy one", riff(&[vp8x(0x10, 1, 1), alpha.clone(), vp8.clone()])).await;
    let frame = |chunks: &[Vec<u8>]| riff_chunk(b"ANMF", &[&[0; 16][..], &chunks.concat()].concat());
    let animation = |frame: Vec<u8>| riff(&[vp8x(0x12, 1, 1), riff_chunk(b"ANIM", &[0; 6]), frame]);
    refused_codes("in a frame's alpha", animation(frame(&[alpha, vp8.clone()]))).await;
    let picture = riff_chunk(b"VP8L", only_chunk(&file));
    refused_codes("in a frame", animation(frame(std::slice::from_ref(&picture)))).await;
    // Which of two pictures counts is not the same for all decoders.
    refused("in the second of two pictures", riff(&[vp8x(0x10, 1, 1), vp8, picture]), "IMAGE_LOAD_FAILED").await;
}

#[tokio::test]
async fn bad_checksums() {
    let _alone = ALONE.lock().await;
    let good = png_of_alpha(64, 64, |_, _| 255);
    for at in [20, 45, good.len() - 20, good.len() - 2] {
        let mut file = good.clone();
        file[at] ^= 1;
        refused("a bit", file, "IMAGE_LOAD_FAILED").await;
    }
}

#[tokio::test]
async fn files_cut_anywhere() {
    let _alone = ALONE.lock().await;
    let pixels: Vec<u8> = (0..32 * 32 * 4_u32).map(|at| (at * 7 % 251) as u8).collect();
    let gif = [gif_head(1, 1), gif_frame(), b";".to_vec()].concat();
    let jpeg = [jpeg_head(0xc0, 8, 8, 1, 0x11), scan(1..=1, [0, 63, 0], b"\x3f"), b"\xff\xd9".to_vec()].concat();
    let bmp = [bmp_head(4, 4, 32, 0, 0), vec![255; 64]].concat();
    for file in [png_of_alpha(32, 32, |x, y| (x * y) as u8), webp_of_pixels(32, 32, &pixels), gif, jpeg, bmp] {
        assert!(!matches!(outcome("whole", file.clone()).await.made.err().as_deref(), Some("IMAGE_LOAD_FAILED")));
        for at in (1..file.len()).step_by(file.len().div_ceil(40)) {
            let code = if at < 12 { "IMAGE_" } else { "IMAGE_LOAD_FAILED" };
            let made = outcome("cut", file[..at].to_vec()).await.made;
            assert!(made.as_ref().is_err_and(|found| found.starts_with(code)), "{at}: {made:?}");
        }
    }
}

#[tokio::test]
async fn interlaced_to_the_limit() {
    let _alone = ALONE.lock().await;
    // Every pass of zeros alone: what a compressed file of a few KiB can ask for.
    let file = |depth, colour| png(&[ihdr(4096, 4096, depth, colour, 1), chunk(b"IDAT", &zeros(140)), iend()]);
    refused("rgba", file(8, 6), "CONTOUR_EXTRACTION_FAILED").await;
    refused("rgba, 16 bits", file(16, 6), "CONTOUR_EXTRACTION_FAILED").await;
    meshed("grey, 1 bit", file(1, 0)).await;
}

#[tokio::test]
async fn palette_indices_out_of_range() {
    let _alone = ALONE.lock().await;
    let data = |row: &[u8]| chunk(b"IDAT", &fdeflate::compress_to_vec(&row.repeat(8)));
    let palette = [chunk(b"PLTE", &[0; 3]), chunk(b"tRNS", &[0])].concat();
    let of_eight = [0, 255, 255, 255, 255, 255, 255, 255, 255];
    outcome("8 bits", png(&[ihdr(8, 8, 8, 3, 0), palette.clone(), data(&of_eight), iend()])).await;
    outcome("4 bits", png(&[ihdr(8, 8, 4, 3, 0), palette, data(&[0, 255, 255, 255, 255]), iend()])).await;
    let bmp = [bmp_head(8, 8, 8, 0, 2), vec![0; 8], vec![255; 64]].concat();
    outcome("BMP", bmp).await;
    // A frame of a palette of two colours whose codes name others.
    let frame = b",\0\0\0\0\x02\0\x02\0\0\x08\x06\0\xff\xfd\xfb\x07\x08\0;".to_vec();
    outcome("GIF", [gif_head(2, 2), frame].concat()).await;
}

#[tokio::test]
async fn sixteen_bits() {
    let _alone = ALONE.lock().await;
    // 128 MiB of samples in a few hundred KiB.
    let file = |colour, mebibytes| png(&[ihdr(4096, 4096, 16, colour, 0), chunk(b"IDAT", &zeros(mebibytes)), iend()]);
    refused("rgba", file(6, 129), "CONTOUR_EXTRACTION_FAILED").await;
    meshed("rgb", file(2, 97)).await;
    let with_trns = png(&[ihdr(4096, 4096, 16, 0, 0), chunk(b"tRNS", &[0, 0]), chunk(b"IDAT", &zeros(33)), iend()]);
    refused("grey with a transparent value", with_trns, "CONTOUR_EXTRACTION_FAILED").await;
}

#[tokio::test]
async fn animations_of_a_hundred_thousand_frames() {
    let _alone = ALONE.lock().await;
    let row = fdeflate::compress_to_vec(&[0, 0, 255]);
    let fctl = |number: u32| {
        let sides = [&number.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 1], &[0; 14]].concat();
        chunk(b"fcTL", &sides)
    };
    let actl = chunk(b"acTL", &[&100_000_u32.to_be_bytes()[..], &[0; 4]].concat());
    let mut parts = vec![ihdr(1, 1, 8, 4, 0), actl, fctl(0), chunk(b"IDAT", &row)];
    for frame in 1..100_000 {
        parts.extend([fctl(2 * frame - 1), chunk(b"fdAT", &[&(2 * frame).to_be_bytes()[..], &row].concat())]);
    }
    parts.push(iend());
    read("APNG", png(&parts)).await;
    read("GIF", [gif_head(1, 1), gif_frame().repeat(100_000), b";".to_vec()].concat()).await;
    let picture = riff_chunk(b"VP8L", only_chunk(&webp_of_pixels(1, 1, &[255; 4])));
    let frame = riff_chunk(b"ANMF", &[&[0; 16][..], &picture].concat());
    let frames = frame.repeat(100_000);
    read("WebP", riff(&[vp8x(0x12, 1, 1), riff_chunk(b"ANIM", &[0; 6]), frames])).await;
}

#[tokio::test]
async fn cmyk_and_progressive_jpegs() {
    let _alone = ALONE.lock().await;
    let blocks = |sides: u32| vec![0; (sides / 8 * sides / 8 / 8) as usize];
    // All blocks empty: a bit each for DC and for AC of every component.
    for (name, components) in [("grey", 1), ("colours", 3), ("CMYK", 4)] {
        let bits = blocks(4096).repeat(2 * usize::from(components));
        let head = jpeg_head(0xc0, 4096, 4096, components, 0x11);
        let file = [head, scan(1..=components, [0, 63, 0], &bits), b"\xff\xd9".to_vec()].concat();
        outcome(&format!("baseline, {name}"), file).await;
        for (depth, scans) in [("10 scans", 10), ("60 scans", 60), ("10,000 scans", 10_000)] {
            let mut file = jpeg_head(0xc2, 4096, 4096, components, 0x11);
            file.extend(scan(1..=components, [0, 0, 0x01], &blocks(4096).repeat(components.into())));
            for at in 1..scans {
                // Runs of 2^14 empty blocks: a scan in 30 bytes visits all of them.
                let run = 0b10_u32 << 14;
                let mut bits = Vec::new();
                (0..16).for_each(|_| bits.extend((0..16).rev().map(|bit| run >> bit & 1)));
                let bytes = bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | *bit as u8));
                let component = 1 + at as u8 % components;
                file.extend(scan(component..=component, [1, 63, 0], &bytes.collect::<Vec<u8>>()));
            }
            file.extend(b"\xff\xd9");
            outcome(&format!("progressive, {name}, {depth}"), file).await;
        }
    }
    for sides in [(1, 4096), (4096, 33), (1, 1)] {
        let mut file = jpeg_head(0xc2, sides.0, sides.1, 4, 0x44);
        file.extend(scan(1..=4, [0, 0, 0], &vec![0; 1 << 20]));
        file.extend(b"\xff\xd9");
        outcome("coarse blocks", file).await;
    }
}

/// A picture drawn over its image is the most there can be. That it fits is asserted of every image in this file.
#[tokio::test]
async fn no_drawing_takes_more_than_it_was_admitted_for() {
    let _alone = ALONE.lock().await;
    let pixels: Vec<u8> = (0..2048 * 2048_u32).flat_map(|at| [at as u8, 0, 0, 255]).collect();
    let mut jpeg = jpeg_head(0xc2, 2048, 2048, 4, 0x11);
    jpeg.extend(scan(1..=4, [0, 0, 0], &vec![0; 2048 / 8 * 2048 / 8 / 2]));
    jpeg.extend(b"\xff\xd9");
    let vp8l = riff_chunk(b"VP8L", only_chunk(&webp_of_pixels(2048, 2048, &pixels)));
    let size = [0xff, 0x07, 0, 0xff, 0x07, 0];
    let frame = riff_chunk(b"ANMF", &[&[0; 6][..], &size, &[0; 4], &vp8l].concat());
    let files = [
        ("PNG", png_of_alpha(2048, 2048, |x, y| noise(x, y) | 128)),
        ("PNG, interlaced", png(&[ihdr(2048, 2048, 16, 2, 1), chunk(b"IDAT", &zeros(26)), iend()])),
        ("WebP", webp_of_pixels(2048, 2048, &pixels)),
        ("WebP, animated", riff(&[vp8x(0x12, 2048, 2048), riff_chunk(b"ANIM", &[0; 6]), frame])),
        ("JPEG", jpeg),
        ("GIF", [gif_head(2048, 2048), gif_frame(), b";".to_vec()].concat()),
        ("BMP", [bmp_head(2048, 2048, 32, 0, 0), pixels].concat()),
    ];
    for (name, file) in files {
        for format in ["json", "png", "svg"] {
            let name = format!("{name} to {format}");
            run_to(format, &name, file.clone(), Images::default(), MeshParameters::default(), BUDGET).await;
        }
    }
}

#[tokio::test]
async fn nothing_but_transparency() {
    let _alone = ALONE.lock().await;
    refused("PNG", png_of_alpha(4096, 4096, |_, _| 0), "CONTOUR_EXTRACTION_FAILED").await;
    let clear = vec![0; 2048 * 2048 * 4];
    refused("WebP", webp_of_pixels(2048, 2048, &clear), "CONTOUR_EXTRACTION_FAILED").await;
}

#[tokio::test]
async fn one_pixel_and_a_line() {
    let _alone = ALONE.lock().await;
    read("1 x 1", png_of_alpha(1, 1, |_, _| 255)).await;
    refused("1 x 50,000", png_of_alpha(1, 50_000, |_, _| 255), "IMAGE_TOO_LARGE").await;
    let mut wide = Images::default();
    (wide.limits.max_width, wide.limits.max_height) = (65_535, 65_535);
    for sides in [(1, 50_000), (50_000, 1)] {
        let file = png_of_alpha(sides.0, sides.1, |_, _| 255);
        let outcome = run("a line within a higher limit", file, wide, MeshParameters::default(), BUDGET).await;
        assert_eq!(outcome.made.unwrap_err(), "CONTOUR_EXTRACTION_FAILED");
        assert!(outcome.took < BUDGET, "{:?}", outcome.took);
    }
}

/// A cheap number for a pixel.
fn noise(x: u32, y: u32) -> u8 {
    let mixed = (x ^ y.rotate_left(16)).wrapping_mul(0x9e37_79b1);
    ((mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b) >> 24) as u8
}

fn spiral(x: u32, y: u32) -> u8 {
    const ARMS_PX: f32 = 24.0;
    let (x, y) = (x as f32 - 2048.0, y as f32 - 2048.0);
    let turned = x.hypot(y) / ARMS_PX - y.atan2(x) / std::f32::consts::TAU;
    if turned.rem_euclid(1.0) < 0.5 { 255 } else { 0 }
}

/// 4096 x 4096 px that are all border.
fn monsters() -> [(&'static str, Vec<u8>); 4] {
    [
        ("checkerboard", png_of_alpha(4096, 4096, |x, y| if (x + y) % 2 == 0 { 255 } else { 0 })),
        ("checkerboard of 3 px", png_of_alpha(4096, 4096, |x, y| if (x / 3 + y / 3) % 2 == 0 { 255 } else { 0 })),
        ("spiral", png_of_alpha(4096, 4096, spiral)),
        ("noise", png_of_alpha(4096, 4096, noise)),
    ]
}

#[tokio::test]
async fn checkerboard_spiral_and_noise_of_4096() {
    let _alone = ALONE.lock().await;
    let fine = MeshParameters { detail_factor: 0.001, internal_vertex_density: 100, ..MeshParameters::default() };
    for (name, file) in monsters() {
        for parameters in [MeshParameters::default(), fine.clone()] {
            let outcome = run(name, file.clone(), Images::default(), parameters, BUDGET).await;
            assert!(outcome.took < BUDGET && outcome.made.is_ok(), "{name}: {:?}", outcome.made);
        }
    }
}

/// Ragged masks within and beyond the limits on runs, rings and corners: what their outlines take is admitted for.
#[tokio::test]
async fn outlines_that_cover_what_is_all_border() {
    let _alone = ALONE.lock().await;
    let cover = MeshParameters { outline: OutlineMode::Cover, min_contour_area: 0.0, ..MeshParameters::default() };
    let ways = [
        ("largest", cover.clone()),
        ("all, cut", MeshParameters { islands: Islands::All, holes: Holes::Cut, padding: 1.0, ..cover.clone() }),
        ("bridged", MeshParameters { islands: Islands::Bridge, holes: Holes::Cut, max_vertices: 32, ..cover.clone() }),
        (
            "bridged, best",
            MeshParameters {
                islands: Islands::Bridge,
                holes: Holes::Cut,
                max_vertices: 1000,
                effort: Effort::Best,
                alpha_threshold: 128,
                ..cover.clone()
            },
        ),
        ("kept apart", MeshParameters { islands: Islands::All, min_edge_length: 20.0, ..cover.clone() }),
        ("kept far apart", MeshParameters { islands: Islands::All, min_edge_length: 256.0, ..cover.clone() }),
        (
            "kept apart, few",
            MeshParameters {
                islands: Islands::All,
                holes: Holes::Cut,
                max_vertices: 3,
                min_edge_length: 50.0,
                ..cover.clone()
            },
        ),
        (
            "kept apart, best",
            MeshParameters {
                islands: Islands::All,
                holes: Holes::Cut,
                max_vertices: 1000,
                min_edge_length: 4.0,
                effort: Effort::Best,
                alpha_threshold: 240,
                ..cover.clone()
            },
        ),
        ("mirrored", MeshParameters { islands: Islands::All, symmetry: Symmetry::X, max_vertices: 1000, ..cover }),
    ];
    let checks = |side| png_of_alpha(side, side, |x, y| if (x / 2 + y / 2) % 2 == 0 { 255 } else { 0 });
    let specks = |side| png_of_alpha(side, side, |x, y| if x % 3 == 1 && y % 3 == 1 { 255 } else { 0 });
    let comb = |side| png_of_alpha(side, side, |x, y| if x % 2 == 0 || y == 0 { 255 } else { 0 });
    let mut files: Vec<(String, Vec<u8>)> = monsters().map(|(name, file)| (format!("{name} of 4096"), file)).into();
    for side in [40, 96, 135, 300, 460, 760, 1400] {
        files.push((format!("checks of {side}"), checks(side)));
        files.push((format!("specks of {side}"), specks(side)));
        files.push((format!("comb of {side}"), comb(side)));
        files.push((format!("noise of {side}"), png_of_alpha(side, side, noise)));
    }
    for (name, file) in files {
        for (way, parameters) in &ways {
            let outcome =
                run(&format!("{name}, {way}"), file.clone(), Images::default(), parameters.clone(), BUDGET * 3).await;
            assert!(outcome.took < BUDGET, "{name}, {way}: {:?}", outcome.took);
            let code = outcome.made.err();
            assert!(matches!(code.as_deref(), None | Some("MESH_TOO_LARGE")), "{name}, {way}: {code:?}");
        }
    }
}

#[tokio::test]
async fn small_images_of_as_many_triangles_as_there_may_be() {
    let _alone = ALONE.lock().await;
    for side in [32, 256, 700, 1024, 4096] {
        let file = png_of_alpha(side, side, |_, _| 255);
        for scaling in [1000.0, 2300.0] {
            let dense = MeshParameters {
                internal_vertex_density: 100,
                density_scaling_factor: scaling,
                min_triangle_area: 0.1,
                ..MeshParameters::default()
            };
            for format in ["json", "svg", "png"] {
                let name = format!("{side} px, scaling {scaling}, {format}");
                run_to(format, &name, file.clone(), Images::default(), dense.clone(), BUDGET).await;
            }
        }
    }
}

/// Rings as narrow as the limit on triangles allows, and narrower.
#[tokio::test]
async fn narrow_rings() {
    let _alone = ALONE.lock().await;
    for side in [16, 1024] {
        let file = png_of_alpha(side, side, |_, _| 255);
        let around = 4.0 * f64::from(side);
        for rim in [5.0 * around / 98_000.0, 5.0 * around / 40_000.0, 1e-300] {
            let p = MeshParameters { outline: OutlineMode::Cover, rim, ..MeshParameters::default() };
            let outcome = run(&format!("{side} px, rim {rim:e}"), file.clone(), Images::default(), p, BUDGET * 3).await;
            assert!(outcome.took < BUDGET, "{side} px, rim {rim:e}: {:?}", outcome.took);
            let code = outcome.made.err();
            assert_eq!(code.as_deref(), (rim < 1e-9).then_some("MESH_TOO_LARGE"));
        }
    }
}

/// However large the image, its end is heard of soon. What is not heard of is a transform of WebP, and the end of a
/// progressive JPEG: bounded by the largest image.
#[tokio::test]
async fn every_decoder_ends_soon_after_its_deadline() {
    let _alone = ALONE.lock().await;
    let pixels: Vec<u8> = (0..4096 * 4096).flat_map(|at| [0, 0, 0, noise(at, at >> 12)]).collect();
    let mut jpeg = jpeg_head(0xc2, 4096, 4096, 4, 0x11);
    jpeg.extend(scan(1..=4, [0, 0, 0], &vec![0; 4096 / 8 * 4096 / 8 / 2]));
    jpeg.extend(b"\xff\xd9");
    let bmp = [bmp_head(4096, 4095, 32, 0, 0), pixels[4096 * 4..].to_vec()].concat();
    let files = [("WebP", webp_of_pixels(4096, 4096, &pixels)), ("JPEG", jpeg), ("BMP", bmp)];
    drop(pixels);
    for (name, file) in files.into_iter().chain(monsters()) {
        let mut latest = Duration::ZERO;
        for ms in [1, 20, 50, 100, 200, 400, 800] {
            let deadline = Duration::from_millis(ms);
            let outcome = run(name, file.clone(), Images::default(), MeshParameters::default(), deadline).await;
            latest = latest.max(outcome.took.saturating_sub(deadline));
        }
        println!("{name}: {latest:?} behind its deadline");
        assert!(latest < Duration::from_secs(4), "{name}: {latest:?}");
    }
}
