//! A PSD to the images of its layers.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::decode::psd::{self, BlendMode, Bounds, Layer, LayerLimits};
use crate::decode::{Limits, Picture};
use crate::mesh::observer::check_stop;
use crate::mesh::{Error, Observer, Result, Stage};

/// Memory for a pixel, bytes: its colours, and as PNG at worst, in an answer of text.
const BYTES_PER_PIXEL: u64 = 4 + 4 + 6;

/// Memory for a pixel of the one layer that is being decoded: its channel with 16 bits, and cut to 8.
const BYTES_PER_PIXEL_AT_WORK: u64 = 4;

/// A visible layer as a file of its own.
#[derive(Debug)]
pub struct PngLayer {
    /// Its name.
    pub name: String,
    /// Names of the groups that it is in, outermost first.
    pub groups: Vec<String>,
    /// Where it lies on the canvas.
    pub bounds: Bounds,
    /// 0 to 1, its groups' included.
    pub opacity: f64,
    /// How it meets what is below it.
    pub blend: BlendMode,
    /// It has a mask, which is applied.
    pub has_mask: bool,
    /// The PNG file.
    pub png: Vec<u8>,
}

/// What taking a file apart will take at worst, bytes, the file included, by its records.
pub(super) fn cost_bytes(file: &[u8], limits: &Limits) -> Result<u64> {
    let survey = psd::survey(file, limits, &LayerLimits::default())?;
    Ok(file.len() as u64 + survey.pixels * BYTES_PER_PIXEL + survey.largest * BYTES_PER_PIXEL_AT_WORK)
}

/// Decodes the layers, bottom to top, and encodes each; its pixels are let go once that is done.
pub(super) fn take_apart(file: &[u8], limits: &Limits, observer: &dyn Observer) -> Result<Vec<PngLayer>> {
    observer.stage(Stage::Decode);
    let document = psd::layers(file, limits, &LayerLimits::default(), observer)?;
    let mut layers = Vec::new();
    for layer in document.layers {
        check_stop(observer, Stage::Decode)?;
        let Layer { name, groups, bounds, opacity, blend, has_mask, picture, .. } = layer;
        layers.push(PngLayer { name, groups, bounds, opacity, blend, has_mask, png: encode(&picture)? });
    }
    Ok(layers)
}

fn encode(picture: &Picture) -> Result<Vec<u8>> {
    let mut png = Vec::new();
    let encoder = PngEncoder::new(&mut png);
    let written = encoder.write_image(picture.pixels(), picture.width(), picture.height(), ExtendedColorType::Rgba8);
    written.map_err(|error| Error::Internal(format!("a layer cannot be written as PNG: {error}")))?;
    Ok(png)
}
