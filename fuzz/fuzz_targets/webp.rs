//! Any bytes as a WebP: no panic, limits hold, and the alpha chunk alone agrees with the general decoder.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use spinelift::decode::{Limits, alpha_plane, general_alpha_plane};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_width: 512, max_height: 512, max_bytes: 1 << 20 };
    let mut file = bytes.to_vec();
    if file.len() >= 12 {
        let size = file.len() as u32 - 8;
        file[..4].copy_from_slice(b"RIFF");
        file[4..8].copy_from_slice(&size.to_le_bytes());
        file[8..12].copy_from_slice(b"WEBP");
    }
    let fast = alpha_plane(Cursor::new(&file), &limits, &());
    let general = general_alpha_plane(Cursor::new(&file), &limits, &());
    match (&fast, &general) {
        // The general decoder leaves an opaque image's alpha out, or fills it with 255.
        (Ok(fast), Ok(general)) => assert!(fast == general, "the planes differ"),
        (Err(fast), Ok(_)) => panic!("only the fast path refuses it: {fast}"),
        _ => {}
    }
    if let Ok(plane) = fast {
        assert!(plane.width() <= 512 && plane.height() <= 512);
    }
});
