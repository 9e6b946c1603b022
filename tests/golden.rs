//! One fact a file: `testdata/golden/NAME.txt` draws a mask, `NAME.json` is the mesh it must give, `NAME.png` shows it.
//!
//! Where a mesh differs, `testdata/differences` gets what was expected, what came and where they differ: red was
//! expected, green came. `BLESS=1 cargo test --test golden` writes the expectations anew and fails, so that nobody
//! passes while doing it; look at the pictures before committing them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod drawn;

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use drawn::{Drawn, all, folder};
use image::{ImageFormat, Rgb, RgbImage, RgbaImage};
use spinelift::export::{Format, Source};
use spinelift::mesh::{AlphaPlane, Error, Mesh, MeshLimits, build};

/// Of the sprite that stands in for the mask.
const SPRITE_COLOUR: [u8; 3] = [0x2f, 0x5d, 0x8a];

/// What is the same on both drawings fades to this share.
const FADED: u8 = 4;

#[test]
fn every_mesh_is_as_it_was_drawn() {
    let bless = std::env::var_os("BLESS").is_some();
    let differing: Vec<String> = all("golden").iter().filter_map(|fact| hold(fact, bless)).collect();
    assert!(!bless, "golden files written; look at the pictures, then run without BLESS");
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn every_golden_file_has_its_mask() {
    let names: Vec<String> = all("golden").into_iter().map(|fact| fact.name).collect();
    for file in fs::read_dir(folder("golden")).unwrap() {
        let stem = file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
        assert!(names.contains(&stem), "no mask is called {stem}");
    }
}

/// Says where to look if a mesh is not as expected.
fn hold(fact: &Drawn, bless: bool) -> Option<String> {
    let plane = AlphaPlane::new(fact.width, fact.height, fact.values.clone()).expect("rows of equal length");
    let result = build(&plane, &fact.parameters, &MeshLimits::default(), &());
    if let Ok(mesh) = &result {
        mesh.check().unwrap_or_else(|fault| panic!("{}: {fault}", fact.name));
    }
    let actual = text(&result);
    let golden = |ending: &str| folder("golden").join(&fact.name).with_extension(ending);
    if bless {
        fs::write(golden("json"), actual).unwrap();
        if let Ok(mesh) = &result {
            fs::write(golden("png"), drawing(fact, mesh)).unwrap();
        }
        return None;
    }
    let expected = fs::read_to_string(golden("json")).unwrap_or_default();
    if actual == expected {
        return None;
    }
    let difference = |what: &str| -> PathBuf {
        fs::create_dir_all(folder("differences")).unwrap();
        folder("differences").join(format!("{}.{what}", fact.name))
    };
    fs::write(difference("actual.json"), actual).unwrap();
    let expected = fs::read(golden("png")).ok();
    let actual = result.as_ref().ok().map(|mesh| drawing(fact, mesh));
    if let Some(expected) = &expected {
        fs::write(difference("expected.png"), expected).unwrap();
    }
    if let Some(actual) = &actual {
        fs::write(difference("actual.png"), actual).unwrap();
    }
    if let (Some(expected), Some(actual)) = (expected, actual) {
        compared(&expected, &actual).save(difference("difference.png")).unwrap();
    }
    let error = result.err().map_or(String::new(), |error| format!(" ({error})"));
    Some(format!("{} does not hold{error}; see {}*", fact.name, difference("").display()))
}

/// A mesh, or why there is none, as a text whose lines can be compared by eye.
fn text(result: &Result<Mesh, Error>) -> String {
    let mesh = match result {
        Ok(mesh) => mesh,
        Err(error) => return format!("{{ \"error\": \"{}\" }}\n", error.code()),
    };
    // A hundredth of a pixel: nobody sees less, and other processors may round the last bits otherwise.
    let vertices = mesh.vertices.iter().map(|[x, y]| format!("[{:.2}, {:.2}]", x + 0.0, y + 0.0));
    let triangles = mesh.triangles.iter().map(|triangle| format!("{triangle:?}"));
    let warnings = mesh.warnings.iter().map(|warning| format!("{warning:?}"));
    let mut text = format!("{{\n  \"hull_length\": {},\n", mesh.components[0].hull_length);
    list(&mut text, "vertices", vertices.collect(), ",\n");
    list(&mut text, "triangles", triangles.collect(), ",\n");
    list(&mut text, "warnings", warnings.collect(), "\n}\n");
    text
}

fn list(text: &mut String, name: &str, entries: Vec<String>, end: &str) {
    let entries = entries.join(",\n    ");
    write!(text, "  \"{name}\": [\n    {entries}\n  ]{end}").unwrap();
}

/// The mesh over its mask.
fn drawing(fact: &Drawn, mesh: &Mesh) -> Vec<u8> {
    let [r, g, b] = SPRITE_COLOUR;
    let pixels = fact.values.iter().flat_map(|&alpha| [r, g, b, alpha]).collect();
    let mut sprite = Vec::new();
    let image = RgbaImage::from_raw(fact.width, fact.height, pixels).unwrap();
    image.write_to(&mut Cursor::new(&mut sprite), ImageFormat::Png).unwrap();
    let source = Source { bytes: Some(&sprite), ..Source::default() };
    (Format::named("png").unwrap().write)(mesh, &source).unwrap()
}

/// Both drawings in one: faded where they are the same, red and green where not.
fn compared(expected: &[u8], actual: &[u8]) -> RgbImage {
    let [expected, actual] = [expected, actual].map(|bytes| image::load_from_memory(bytes).unwrap().into_rgb8());
    let at = |image: &RgbImage, x, y| image.get_pixel_checked(x, y).copied().unwrap_or(Rgb([0; 3]));
    let (width, height) = (expected.width().max(actual.width()), expected.height().max(actual.height()));
    RgbImage::from_fn(width, height, |x, y| {
        let [e, a] = [&expected, &actual].map(|image| at(image, x, y));
        match brightness(e).cmp(&brightness(a)) {
            Ordering::Equal => e.0.map(|value| value / FADED).into(),
            // Strokes are brighter than what they lie on.
            Ordering::Greater => Rgb([255, 0, 0]),
            Ordering::Less => Rgb([0, 255, 0]),
        }
    })
}

fn brightness(Rgb(colour): Rgb<u8>) -> u32 {
    colour.iter().map(|&value| u32::from(value)).sum()
}
