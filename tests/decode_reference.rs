//! What is decoded, against what Pillow reads from the same files (`testdata/decode/generate.py`).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use spinelift::decode::{Limits, alpha_plane, general_alpha_plane, rgba};
use spinelift::mesh::AlphaPlane;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn images(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with("damaged_"))
        .filter(|path| path.extension().is_some_and(|e| ["png", "webp", "jpg", "gif", "bmp"].iter().any(|f| e == *f)))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn checksum_of_alpha(plane: &AlphaPlane) -> u32 {
    let opaque = || vec![255; plane.width() as usize * plane.height() as usize];
    crc32fast::hash(&plane.to_values().unwrap_or_else(opaque))
}

#[test]
fn alpha_and_colours_are_those_of_pillow() {
    let expected = fs::read_to_string(folder("decode").join("expected.txt")).unwrap();
    let limits = Limits::default();
    for line in expected.lines() {
        let [name, width, height, alpha, colours] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let file = fs::read(folder("decode").join(name)).unwrap();
        let plane = alpha_plane(Cursor::new(&file), &limits, &()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(plane.width().to_string(), width, "{name}");
        assert_eq!(plane.height().to_string(), height, "{name}");
        assert_eq!(format!("{:08x}", checksum_of_alpha(&plane)), alpha, "{name}: alpha");

        let picture = rgba(Cursor::new(&file), &limits, &()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((picture.width(), picture.height()), (plane.width(), plane.height()), "{name}");
        let its_alpha: Vec<u8> = picture.pixels().chunks_exact(4).map(|pixel| pixel[3]).collect();
        assert_eq!(format!("{:08x}", crc32fast::hash(&its_alpha)), alpha, "{name}: alpha of the colours");
        if colours != "-" {
            assert_eq!(format!("{:08x}", crc32fast::hash(picture.pixels())), colours, "{name}: colours");
        }
    }
}

#[test]
fn every_test_image_has_an_expectation() {
    let expected = fs::read_to_string(folder("decode").join("expected.txt")).unwrap();
    for (name, _) in images("decode") {
        assert!(expected.lines().any(|line| line.split(' ').next() == Some(&name)), "{name} is not in expected.txt");
    }
}

#[test]
fn fast_paths_give_the_general_plane_on_every_image() {
    let limits = Limits::default();
    let mut files = images("corpus");
    assert!(files.len() > 40, "the corpus is missing");
    files.extend(images("decode"));
    for (name, file) in files {
        let fast = alpha_plane(Cursor::new(&file), &limits, &()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let general = general_alpha_plane(Cursor::new(&file), &limits, &()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(fast == general, "{name}: fast and general path differ");
    }
}

#[test]
fn opaque_images_keep_no_pixels() {
    for (name, file) in images("decode") {
        let is_opaque = name.contains("opaque") || name.starts_with("jpeg") || name.starts_with("png_rgb_8bit.");
        if is_opaque {
            let plane = alpha_plane(Cursor::new(&file), &Limits::default(), &()).unwrap();
            assert_eq!(plane.to_values(), None, "{name}");
        }
    }
}

#[test]
fn a_buffered_file_gives_the_plane_of_one_in_memory() {
    for (name, file) in images("decode") {
        let in_memory = alpha_plane(Cursor::new(&file), &Limits::default(), &()).unwrap();
        for buffer_bytes in [1, 7, 4096] {
            let reader = std::io::BufReader::with_capacity(buffer_bytes, Cursor::new(&file));
            let buffered = alpha_plane(reader, &Limits::default(), &()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(buffered == in_memory, "{name} through a buffer of {buffer_bytes}");
        }
    }
}
