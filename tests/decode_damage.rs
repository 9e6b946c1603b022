//! A file that is cut short or damaged is an error, never half an image.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::io::Cursor;
use std::path::Path;

use proptest::prelude::*;
use spinelift::decode::{Limits, alpha_plane, general_alpha_plane, rgba};
use spinelift::mesh::{AlphaPlane, Error, Result};

fn image(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/decode").join(name)).unwrap()
}

fn decode(file: &[u8]) -> Result<AlphaPlane> {
    alpha_plane(Cursor::new(file), &Limits::default(), &())
}

fn all_images() -> Vec<(String, Vec<u8>)> {
    let expected = String::from_utf8(image("expected.txt")).unwrap();
    expected
        .lines()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .map(|name| (name.clone(), image(&name)))
        .collect()
}

/// The reason of an [`Error::ImageLoad`].
fn reason(result: Result<AlphaPlane>, context: &str) -> String {
    match result {
        Err(Error::ImageLoad { reason, .. }) => reason,
        other => panic!("{context}: {:?}", other.map(|plane| (plane.width(), plane.height()))),
    }
}

/// A PNG from its chunks.
fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in chunks {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(*name);
        checksum.update(data);
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(*name);
        file.extend(*data);
        file.extend(checksum.finalize().to_be_bytes());
    }
    file
}

/// IHDR of an image of 2 x 2 px, 8-bit grey and alpha.
const IHDR: &[u8] = &[0, 0, 0, 2, 0, 0, 0, 2, 8, 4, 0, 0, 0];
const ROWS: &[u8] = &[0, 1, 2, 3, 4, 0, 5, 6, 7, 8];

fn zlib(data: &[u8]) -> Vec<u8> {
    fdeflate::compress_to_vec(data)
}

#[test]
fn every_image_is_refused_when_cut_anywhere() {
    for (name, file) in all_images() {
        // Every position of a small file, and of a larger one the beginning, the end, and every 13th between.
        let positions =
            (1..file.len()).filter(|at| file.len() < 1000 || *at < 100 || at + 100 > file.len() || at % 13 == 0);
        for at in positions {
            let context = format!("{name} cut to {at} of {} bytes", file.len());
            match decode(&file[..at]) {
                Err(Error::ImageLoad { .. }) => {}
                Err(Error::ImageFormat { .. }) if at < 12 => {}
                other => panic!("{context}: {:?}", other.map(|plane| (plane.width(), plane.height()))),
            }
            assert!(rgba(Cursor::new(&file[..at]), &Limits::default(), &()).is_err(), "{context}: colours");
        }
    }
}

#[test]
fn png_is_refused_when_a_byte_of_it_is_wrong() {
    for name in ["png_rgba_8bit.png", "png_palette_4bit_trns.png", "png_rgb_8bit.png", "png_rgba_8bit_interlaced.png"] {
        let file = image(name);
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged).is_err(), "{name} with byte {at} wrong");
        }
    }
}

#[test]
fn png_is_refused_when_its_image_data_has_a_wrong_checksum() {
    let mut data = zlib(ROWS);
    *data.last_mut().unwrap() ^= 1;
    let file = png(&[(b"IHDR", IHDR), (b"IDAT", &data), (b"IEND", &[])]);
    assert!(reason(decode(&file), "bad Adler").contains("damaged"));
    // The general path as well, whose decoder does not look.
    assert!(general_alpha_plane(Cursor::new(&file), &Limits::default(), &()).is_err());
}

#[test]
fn png_is_refused_when_its_image_data_ends_early() {
    let short = png(&[(b"IHDR", IHDR), (b"IDAT", &zlib(&ROWS[..9])), (b"IEND", &[])]);
    assert_eq!(reason(decode(&short), "short"), "its image data ends before the last row");
    let data = zlib(ROWS);
    let cut = png(&[(b"IHDR", IHDR), (b"IDAT", &data[..data.len() - 1]), (b"IEND", &[])]);
    assert!(reason(decode(&cut), "without its checksum").contains("damaged"));
    let empty = png(&[(b"IHDR", IHDR), (b"IDAT", &[]), (b"IEND", &[])]);
    assert!(reason(decode(&empty), "empty").contains("damaged"));
}

#[test]
fn png_is_read_when_data_follows_its_last_row() {
    let more_rows = png(&[(b"IHDR", IHDR), (b"IDAT", &zlib(&[ROWS, ROWS].concat())), (b"IEND", &[])]);
    let more_bytes = png(&[(b"IHDR", IHDR), (b"IDAT", &[&zlib(ROWS)[..], &[1, 2, 3]].concat()), (b"IEND", &[])]);
    let more_chunks = png(&[(b"IHDR", IHDR), (b"IDAT", &zlib(ROWS)), (b"IDAT", &[9; 40]), (b"IEND", &[])]);
    let after_end = [png(&[(b"IHDR", IHDR), (b"IDAT", &zlib(ROWS)), (b"IEND", &[])]), b"more".to_vec()].concat();
    for file in [more_rows, more_bytes, more_chunks, after_end] {
        let plane = decode(&file).unwrap();
        assert_eq!(plane.to_values(), Some(vec![2, 4, 6, 8]));
        assert_eq!(plane, general_alpha_plane(Cursor::new(&file), &Limits::default(), &()).unwrap());
    }
}

#[test]
fn png_is_refused_when_its_structure_is_wrong() {
    let data = zlib(ROWS);
    let palette_ihdr = &[0, 0, 0, 1, 0, 0, 0, 1, 8, 3, 0, 0, 0];
    let no_pixels = &[0, 0, 0, 0, 0, 0, 0, 2, 8, 4, 0, 0, 0];
    let bad_depth = &[0, 0, 0, 2, 0, 0, 0, 2, 4, 4, 0, 0, 0];
    let bad_filter = zlib(&[5, 1, 2, 3, 4, 0, 5, 6, 7, 8]);
    let small_frame = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let cases: [(&str, Vec<u8>); 9] = [
        ("its first chunk is not IHDR", png(&[(b"IDAT", &data), (b"IEND", &[])])),
        ("it has two headers", png(&[(b"IHDR", IHDR), (b"IHDR", IHDR), (b"IDAT", &data), (b"IEND", &[])])),
        ("it has no image data", png(&[(b"IHDR", IHDR), (b"IEND", &[])])),
        ("it has no pixels", png(&[(b"IHDR", no_pixels), (b"IDAT", &data), (b"IEND", &[])])),
        ("does not exist", png(&[(b"IHDR", bad_depth), (b"IDAT", &data), (b"IEND", &[])])),
        ("row 0 has the filter type 5", png(&[(b"IHDR", IHDR), (b"IDAT", &bad_filter), (b"IEND", &[])])),
        ("its palette is missing", png(&[(b"IHDR", palette_ihdr), (b"IDAT", &zlib(&[0, 0])), (b"IEND", &[])])),
        ("the unknown chunk ABCD", png(&[(b"IHDR", IHDR), (b"ABCD", &[]), (b"IDAT", &data), (b"IEND", &[])])),
        ("does not fill the image", png(&[(b"IHDR", IHDR), (b"fcTL", &small_frame), (b"IDAT", &data), (b"IEND", &[])])),
    ];
    for (expected, file) in cases {
        let reason = reason(decode(&file), expected);
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn gif_is_refused_when_its_pixels_end_early() {
    let file = image("gif_opaque.gif");
    // The first data block of the frame, emptied: the blocks still reach the trailer.
    let frame = file.windows(5).position(|bytes| bytes == [b',', 0, 0, 0, 0]).unwrap();
    let blocks = frame + 11;
    let length = usize::from(file[blocks]);
    for kept in [0, 1, length / 2] {
        let mut damaged = file[..blocks].to_vec();
        if kept > 0 {
            damaged.push(kept as u8);
            damaged.extend(&file[blocks + 1..blocks + 1 + kept]);
        }
        damaged.extend(b"\0;");
        reason(decode(&damaged), &format!("{kept} bytes of pixels"));
    }
}

#[test]
fn jpeg_is_refused_when_its_scan_is_damaged() {
    let file = image("jpeg_baseline.jpg");
    let scan = file.windows(2).position(|bytes| bytes == [0xff, 0xda]).unwrap();
    let mut damaged = file.clone();
    // A marker that has no place inside a scan.
    damaged[scan + 40..scan + 42].copy_from_slice(&[0xff, 0xc0]);
    reason(decode(&damaged), "a frame inside a scan");
}

/// Files on which a decoder once panicked, found by the fuzzer, have names that begin with `damaged_`.
#[test]
fn finds_of_the_fuzzer_are_refused() {
    let mut finds = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/decode")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if name.starts_with("damaged_") {
            reason(decode(&image(&name)), &name);
            assert!(rgba(Cursor::new(image(&name)), &Limits::default(), &()).is_err(), "{name}: colours");
            finds += 1;
        }
    }
    assert!(finds > 0);
}

#[test]
fn webp_is_refused_when_a_chunk_is_longer_than_the_file() {
    for name in ["webp_lossless.webp", "webp_lossy_alpha.webp", "webp_animated_lossy.webp"] {
        let mut damaged = image(name);
        damaged[18] = 0x7f;
        assert!(decode(&damaged).is_err(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn nothing_panics_when_bytes_of_an_image_are_wrong(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let images = all_images();
        let (_, mut file) = which.get(&images).clone();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let limits = Limits { max_width: 512, max_height: 512, ..Limits::default() };
        let _ = alpha_plane(Cursor::new(&file), &limits, &());
        let _ = rgba(Cursor::new(&file), &limits, &());
    }
}
