//! Any bytes as any format: no panic, limits hold, and the picture's alpha is the plane.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use spinelift::decode::{Limits, alpha_plane, rgba};

fuzz_target!(init: {
    // The library contains the panics of one decoder it uses. By default the fuzzer ends at any panic, with this at
    // those that escape.
    std::panic::set_hook(Box::new(|_| {}));
}, |bytes: &[u8]| {
    let limits = Limits { max_width: 512, max_height: 512, max_bytes: 1 << 20 };
    let plane = alpha_plane(Cursor::new(bytes), &limits, &());
    let picture = rgba(Cursor::new(bytes), &limits, &());
    let Ok(picture) = picture else { return };
    assert!(picture.width() <= 512 && picture.height() <= 512);
    let plane = plane.expect("a picture has an alpha plane");
    let alphas = picture.pixels().chunks_exact(4).map(|pixel| pixel[3]);
    match plane.to_values() {
        Some(values) => assert!(alphas.eq(values.iter().copied()), "the picture has another alpha"),
        None => assert!(alphas.fold(255, u8::min) == 255, "the picture is not opaque"),
    }
});
