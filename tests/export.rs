//! Every format against a golden file in `testdata/export`. `BLESS=1 cargo test --test export` writes them anew and
//! fails, so that nobody passes while doing it; look at the difference before committing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::io::Cursor;
use std::path::Path;

use spinelift::decode::{Limits, alpha_plane};
use spinelift::export::{ENGINE_VERSION, FORMATS, Format, Source};
use spinelift::mesh::{Mesh, MeshLimits, MeshParameters, build};

/// A sprite of 12 by 12 px with a soft edge, and its mesh.
fn star() -> (Mesh, Vec<u8>) {
    let image = fs::read(root().join("corpus/tiny-star-12.png")).unwrap();
    let plane = alpha_plane(Cursor::new(&image), &Limits::default(), &()).unwrap();
    let parameters = MeshParameters { detail_factor: 0.05, ..MeshParameters::default() };
    (build(&plane, &parameters, &MeshLimits::default(), &()).unwrap(), image)
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata"))
}

fn rgb(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

fn hold_against_golden(format: &Format, written: &[u8]) {
    let path = root().join("export/star_with_its_mesh").with_extension(format.extension);
    // A release changes the version in every result, and nothing else.
    let mut written = written.to_vec();
    if !format.binary {
        let text = String::from_utf8(written).unwrap();
        written = text.replace(&format!("\"engine_version\":\"{ENGINE_VERSION}\""), "\"engine_version\":\"X\"").into();
    }
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &written).unwrap();
        return;
    }
    let golden = fs::read(&path).unwrap();
    // The same pixels may be packed in other bytes by another release of the encoder.
    let same = if format.binary { rgb(&written) == rgb(&golden) } else { written == golden };
    if !same {
        let actual = Path::new(env!("CARGO_TARGET_TMPDIR")).join(path.file_name().unwrap());
        fs::write(&actual, &written).unwrap();
        panic!("{} differs; what was written is in {}", path.display(), actual.display());
    }
}

#[test]
fn every_format_writes_its_golden_file() {
    let (mesh, image) = star();
    let warnings = ["a \"quoted\" warning".to_owned()];
    let source = Source {
        name: "star.png",
        bytes: Some(&image),
        sha256: Some("00ff"),
        warnings: &warnings,
        ..Source::default()
    };
    for format in FORMATS {
        hold_against_golden(format, &(format.write)(&mesh, &source).unwrap());
    }
    assert!(std::env::var_os("BLESS").is_none(), "golden files written; look at them, then run without BLESS");
}

#[test]
fn every_format_can_do_without_the_image() {
    let (mesh, _) = star();
    for format in FORMATS {
        let once = (format.write)(&mesh, &Source::default()).unwrap();
        assert_eq!(once, (format.write)(&mesh, &Source::default()).unwrap(), "{} is not repeatable", format.name);
    }
}

#[test]
fn formats_have_names_of_their_own() {
    for (index, format) in FORMATS.iter().enumerate() {
        assert_eq!(Format::named(format.name).map(|found| found.extension), Some(format.extension));
        assert!(FORMATS[..index].iter().all(|other| other.extension != format.extension));
    }
    assert!(Format::named("gif").is_none());
}
