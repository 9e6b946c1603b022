//! Pixels to the bytes of a PNG file.

use png::{ColorType, Compression, Encoder, EncodingError, Filter};

use crate::mesh::{Error, Result};

/// Three bytes a pixel, top row first. For drawings, whose flat areas compress well with the row above.
pub(super) fn rgb(width: u32, height: u32, pixels: &[u8]) -> Result<Vec<u8>> {
    encode(width, height, ColorType::Rgb, Filter::Up, pixels).map_err(|error| Error::Internal(error.to_string()))
}

/// Four bytes a pixel, not premultiplied, top row first. For art, each row by the filter that suits it.
pub(super) fn rgba(width: u32, height: u32, pixels: &[u8]) -> Result<Vec<u8>> {
    encode(width, height, ColorType::Rgba, Filter::Adaptive, pixels).map_err(|error| Error::Internal(error.to_string()))
}

fn encode(
    width: u32,
    height: u32,
    colour: ColorType,
    filter: Filter,
    pixels: &[u8],
) -> std::result::Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    encoder.set_filter(filter);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}
