//! Any bytes as a PSD: no panic, limits hold, and every layer fits its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spinelift::decode::Limits;
use spinelift::decode::psd::{LayerLimits, layers, survey};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_width: 512, max_height: 512, max_bytes: 1 << 20 };
    let layer_limits = LayerLimits { max_layers: 20, max_pixels: 1 << 20 };
    let mut file = bytes.to_vec();
    if let Some(magic) = file.first_chunk_mut() {
        *magic = *b"8BPS";
    }
    let surveyed = survey(&file, &limits, &layer_limits);
    let Ok(document) = layers(&file, &limits, &layer_limits, &()) else { return };
    let survey = surveyed.expect("what can be decoded can be surveyed");
    assert!(document.width <= 512 && document.height <= 512);
    assert!(document.layers.len() as u32 <= survey.layers && survey.layers <= 20);
    let mut pixels = 0;
    for layer in &document.layers {
        assert_eq!((layer.picture.width(), layer.picture.height()), (layer.bounds.width, layer.bounds.height));
        assert!(layer.opacity > 0.0 && layer.opacity <= 1.0, "{}", layer.opacity);
        pixels += layer.picture.pixels().len() as u64 / 4;
    }
    assert!(pixels <= survey.pixels && survey.pixels <= 1 << 20);
});
