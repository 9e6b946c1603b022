//! Any bytes as a PNG: no panic, limits hold, and the fast path agrees with the general decoder.
#![no_main]

use std::io::{BufReader, Cursor};

use libfuzzer_sys::fuzz_target;
use spinelift::decode::{Limits, alpha_plane, general_alpha_plane, rgba};

/// Gives every chunk its right checksum, which the fuzzer would not find.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut file = bytes.to_vec();
    let mut at = 8;
    while let Some(length) = file.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes) {
        let end = at + 8 + length as usize;
        if end + 4 > file.len() {
            break;
        }
        let checksum = crc32fast::hash(&file[at + 4..end]);
        file[end..end + 4].copy_from_slice(&checksum.to_be_bytes());
        at = end + 4;
    }
    file
}

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_width: 512, max_height: 512, max_bytes: 1 << 20 };
    let mut file = with_checksums(bytes);
    if file.len() >= 8 {
        file[..8].copy_from_slice(b"\x89PNG\r\n\x1a\n");
    }
    let fast = alpha_plane(Cursor::new(&file), &limits, &());
    let general = general_alpha_plane(Cursor::new(&file), &limits, &());
    match (&fast, &general) {
        (Ok(fast), Ok(general)) => assert!(fast == general, "the planes differ"),
        (Err(fast), Ok(_)) => panic!("only the fast path refuses it: {fast}"),
        _ => {}
    }
    if let Ok(plane) = &fast {
        assert!(plane.width() <= 512 && plane.height() <= 512);
        let streamed = alpha_plane(BufReader::with_capacity(61, Cursor::new(&file)), &limits, &());
        assert!(streamed.as_ref() == Ok(plane), "a small buffer makes a difference");
    }
    if let Ok(picture) = rgba(Cursor::new(&file), &limits, &()) {
        let plane = fast.expect("a picture has an alpha plane");
        let alphas = picture.pixels().chunks_exact(4).map(|pixel| pixel[3]);
        match plane.to_values() {
            Some(values) => assert!(alphas.eq(values.iter().copied()), "the picture has another alpha"),
            None => assert!(alphas.fold(255, u8::min) == 255, "the picture is not opaque"),
        }
    }
});
