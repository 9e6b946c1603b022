//! A PSD to the images of its layers.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use tokio::sync::OwnedSemaphorePermit;

use super::admission::units_of;
use crate::decode::psd::{self, BlendMode, Bounds, Layer, LayerLimits};
use crate::decode::{Limits, Picture};
use crate::mesh::observer::check_stop;
use crate::mesh::{Error, Observer, Result, Stage};

/// Memory for a pixel while layers are decoded and written as PNG, bytes: its colours, and the same as PNG at worst.
const BYTES_PER_PIXEL: u64 = 4 + 4;

/// A pixel in an answer of text at worst, bytes.
const BYTES_PER_PIXEL_OF_TEXT: u64 = 6;

/// A byte of a name as JSON at worst, bytes.
const BYTES_PER_LETTER: u64 = 6;

/// The rest of a layer as JSON, bytes.
const BYTES_BESIDE: u64 = 512;

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

impl PngLayer {
    /// What it takes at most as JSON with its PNG in Base64.
    pub(crate) fn text_bytes(&self) -> usize {
        let names = self.name.len() + self.groups.iter().map(String::len).sum::<usize>();
        self.png.len().div_ceil(3) * 4 + names * BYTES_PER_LETTER as usize + BYTES_BESIDE as usize
    }
}

/// Writes the answer.
pub type WriteLayers = fn(Vec<PngLayer>) -> Result<Vec<u8>>;

/// What taking a file apart takes at worst.
pub(super) struct Cost {
    /// While it goes on, bytes; the file included.
    pub(super) work_bytes: u64,
    /// The answer, bytes.
    pub(super) answer_bytes: u64,
}

/// By the file's records.
pub(super) fn cost(file: &[u8], limits: &Limits) -> Result<Cost> {
    let survey = psd::survey(file, limits, &LayerLimits::default())?;
    let at_work = survey.pixels * BYTES_PER_PIXEL + survey.largest * BYTES_PER_PIXEL_AT_WORK;
    let beside = survey.names * BYTES_PER_LETTER + u64::from(survey.layers) * BYTES_BESIDE;
    let answer_bytes = survey.pixels * BYTES_PER_PIXEL_OF_TEXT + beside + file.len() as u64;
    Ok(Cost { work_bytes: file.len() as u64 + at_work, answer_bytes })
}

/// An answer, and the memory that is kept for it.
pub(super) struct Answer {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl Answer {
    /// Most files pack well: what was kept for the worst of them is given back.
    pub(super) fn new(bytes: Vec<u8>, mut room: OwnedSemaphorePermit) -> Self {
        let taken = units_of(bytes.len() as u64, u32::MAX) as usize;
        let spare = room.num_permits().saturating_sub(taken);
        drop(room.split(spare));
        Self { bytes, _room: room }
    }
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn an_answer_keeps_its_own_memory_until_it_is_read() {
        let units = Arc::new(Semaphore::new(16));
        let room = Arc::clone(&units).try_acquire_many_owned(16).unwrap();
        let answer = Bytes::from_owner(Answer::new(vec![0; (2 << 20) + 1], room));
        assert_eq!(units.available_permits(), 13);
        let part = answer.slice(..1);
        drop(answer);
        assert_eq!(units.available_permits(), 13, "a part of it is still to be sent");
        drop(part);
        assert_eq!(units.available_permits(), 16);
    }

    #[test]
    fn a_file_is_worth_its_layers() {
        let file = std::fs::read("testdata/psd/character.psd").unwrap();
        let cost = cost(&file, &Limits::default()).unwrap();
        let layers = take_apart(&file, &Limits::default(), &()).unwrap();
        let text: usize = layers.iter().map(|layer| layer.png.len().div_ceil(3) * 4).sum();
        assert!(text as u64 <= cost.answer_bytes && cost.answer_bytes < cost.work_bytes, "{text}");
    }
}
