//! Limits stand before the work, and the observer can end it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use spinelift::decode::{Limits, alpha_plane, rgba};
use spinelift::mesh::{Error, Observer};

/// A PNG of 65535 x 65535 px in 78 bytes.
fn huge_png() -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8; 4], data: &[u8]| {
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(name);
        file.extend(data);
        file.extend(crc32fast::hash(&[name, data].concat()).to_be_bytes());
    };
    chunk(b"IHDR", &[0, 0, 255, 255, 0, 0, 255, 255, 8, 6, 0, 0, 0]);
    chunk(b"IDAT", &fdeflate::compress_to_vec(&[0; 64])[..21]);
    chunk(b"IEND", &[]);
    file
}

/// Headers that claim 16000 x 15000 px or more, of each format, and nothing else.
fn huge_headers() -> Vec<Vec<u8>> {
    let riff = |name: &[u8; 4], data: &[u8]| {
        let length = data.len() as u32;
        [b"RIFF", &(12 + length).to_le_bytes()[..], b"WEBP", name, &length.to_le_bytes(), data].concat()
    };
    let (width, height) = (16000_u16, 15000_u16);
    let vp8 = [&[0x10, 0, 0, 0x9d, 1, 0x2a], &width.to_le_bytes()[..], &height.to_le_bytes()].concat();
    let vp8l = ((u32::from(width) - 1) | ((u32::from(height) - 1) << 14)).to_le_bytes();
    let vp8x =
        [&[0x10, 0, 0, 0], &(u32::from(width)).to_le_bytes()[..3], &u32::from(height).to_le_bytes()[..3]].concat();
    let sof = [&[0xff, 0xd8, 0xff, 0xc0, 0, 11, 8], &height.to_be_bytes()[..], &width.to_be_bytes(), &[1, 1, 0x11, 0]]
        .concat();
    let gif = [b"GIF89a", &width.to_le_bytes()[..], &height.to_le_bytes(), &[0, 0, 0]].concat();
    let bmp = [
        &b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"[..],
        &u32::from(width).to_le_bytes(),
        &u32::from(height).to_le_bytes(),
        &[1, 0, 24, 0],
        &[0; 24],
    ]
    .concat();
    vec![
        huge_png(),
        riff(b"VP8 ", &vp8),
        riff(b"VP8L", &[&[0x2f][..], &vp8l].concat()),
        riff(b"VP8X", &vp8x),
        sof,
        gif,
        bmp,
    ]
}

fn corpus(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(name)).unwrap()
}

#[test]
fn huge_images_are_refused_by_their_header() {
    for file in huge_headers() {
        let begin = Instant::now();
        let refusals = [
            alpha_plane(Cursor::new(&file), &Limits::default(), &()).unwrap_err(),
            rgba(Cursor::new(&file), &Limits::default(), &()).unwrap_err(),
        ];
        for refusal in refusals {
            let Error::ImageTooLarge { what: "width", value, limit: 4096 } = refusal else { panic!("{refusal:?}") };
            assert!(value > 15000);
        }
        assert!(begin.elapsed() < Duration::from_millis(5), "took {:?}", begin.elapsed());
    }
}

#[test]
fn each_limit_names_itself_and_holds_to_the_pixel() {
    let file = corpus("noto-dragon-136.png");
    let plane = alpha_plane(Cursor::new(&file), &Limits::default(), &()).unwrap();
    let (width, height, bytes) = (plane.width(), plane.height(), file.len() as u64);
    let fitting = Limits { max_width: width, max_height: height, max_bytes: bytes };
    assert!(alpha_plane(Cursor::new(&file), &fitting, &()).is_ok());
    let refusals = [
        (Limits { max_width: width - 1, ..fitting }, "width", u64::from(width)),
        (Limits { max_height: height - 1, ..fitting }, "height", u64::from(height)),
        (Limits { max_bytes: bytes - 1, ..fitting }, "file size", bytes),
    ];
    for (limits, what, value) in refusals {
        let refusal = alpha_plane(Cursor::new(&file), &limits, &()).unwrap_err();
        assert_eq!(refusal, Error::ImageTooLarge { what, value, limit: value - 1 });
    }
}

#[test]
fn gif_frame_beyond_its_screen_counts_for_the_limit() {
    let file =
        [&b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff"[..], &b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x44\x01\0;"[..]]
            .concat();
    let refusal = alpha_plane(Cursor::new(&file), &Limits::default(), &()).unwrap_err();
    assert_eq!(refusal, Error::ImageTooLarge { what: "width", value: 65535, limit: 4096 });
}

/// Stops when it has been asked a number of times.
struct StopAfter(AtomicUsize);

impl Observer for StopAfter {
    fn should_stop(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
    }
}

#[test]
fn decoding_ends_when_the_observer_stops_it() {
    let names = [
        "large-trex-4096.png",
        "interlaced-bird-512.png",
        "hole-key-palette-256.png",
        "webp-fire-256.webp",
        "opaque-photo-jpeg-city.jpg",
    ];
    for name in names {
        let file = corpus(name);
        for questions in [0, 1, 2] {
            let observer = StopAfter(AtomicUsize::new(questions));
            match alpha_plane(Cursor::new(&file), &Limits::default(), &observer) {
                Err(error) => assert_eq!(error, Error::Stopped { stage: "loading the image" }, "{name}"),
                Ok(_) => assert!(questions > 0, "{name} was never asked"),
            }
        }
    }
}

#[test]
fn a_large_image_asks_often() {
    struct Asked(AtomicUsize);
    impl Observer for Asked {
        fn should_stop(&self) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            false
        }
    }
    let asked = Asked(AtomicUsize::new(0));
    alpha_plane(Cursor::new(&corpus("large-trex-4096.png")), &Limits::default(), &asked).unwrap();
    assert!(asked.0.load(Ordering::Relaxed) > 200);
}
