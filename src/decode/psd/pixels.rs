//! A layer's channels to straight RGBA, its mask applied.

use super::channel;
use super::header::Header;
use super::mask::{Mask, MaskRecord, multiply};
use super::reader::fault;
use super::records::Record;
use crate::mesh::{Observer, Result};

/// The channel of a layer's opacity; a background has none.
const OPACITY: i16 = -1;

/// Red, green, blue and alpha for each pixel of the record's bounds; `None` if the file holds no colours for it.
pub(super) fn rgba(record: &Record<'_>, header: &Header, observer: &dyn Observer) -> Result<Option<Vec<u8>>> {
    let wanted = 0..i16::from(header.colours);
    let present = wanted.clone().filter(|id| record.channels.iter().any(|channel| channel.id == *id)).count();
    if present == 0 {
        return Ok(None);
    }
    if present < wanted.len() {
        return Err(fault(format!("the layer {:?} lacks a colour channel", record.name)));
    }
    let mut pixels = vec![u8::MAX; record.bounds.area() as usize * 4];
    for (index, channel) in record.channels.iter().enumerate() {
        if record.channels[..index].iter().any(|other| other.id == channel.id) {
            continue;
        }
        let places = match channel.id {
            OPACITY => 3..4,
            0 if header.colours == 1 => 0..3,
            id if wanted.contains(&id) => id as usize..id as usize + 1,
            _ => continue,
        };
        let samples = channel::decode(channel.data, &record.bounds, header, observer)?;
        for (pixel, sample) in pixels.as_chunks_mut::<4>().0.iter_mut().zip(samples) {
            pixel[places.clone()].fill(sample);
        }
    }
    if let Some(mask) = mask(record, header, observer)? {
        apply(&mask, record, &mut pixels);
    }
    Ok(Some(pixels))
}

/// The record's mask that counts, if there is any: a mask without a channel is of its default throughout.
pub(super) fn active_mask(record: &Record<'_>) -> Option<MaskRecord> {
    record.mask.filter(|mask| !mask.is_disabled && record.channels.iter().any(|channel| channel.id == mask.channel))
}

/// The mask with its picture.
pub(super) fn mask(record: &Record<'_>, header: &Header, observer: &dyn Observer) -> Result<Option<Mask>> {
    let Some(mask) = active_mask(record) else { return Ok(None) };
    let Some(channel) = record.channels.iter().find(|channel| channel.id == mask.channel) else { return Ok(None) };
    let plane =
        if mask.bounds.area() == 0 { vec![] } else { channel::decode(channel.data, &mask.bounds, header, observer)? };
    Ok(Some(Mask::new(mask, plane)))
}

fn apply(mask: &Mask, record: &Record<'_>, pixels: &mut [u8]) {
    let width = record.bounds.width as usize;
    for (y, row) in (record.bounds.y..).zip(pixels.chunks_exact_mut(width * 4)) {
        for (pixel, shown) in row.as_chunks_mut::<4>().0.iter_mut().zip(mask.row(record.bounds.x, y, width)) {
            pixel[3] = multiply(pixel[3], shown);
        }
    }
}
