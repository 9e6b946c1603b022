//! One channel's bytes to 8-bit samples: raw, run lengths, deflated, deflated differences.

use fdeflate::Decompressor;

use super::header::Header;
use super::reader::{Bytes, fault};
use super::records::Bounds;
use crate::mesh::observer::check_stop;
use crate::mesh::{Observer, Result, Stage};

/// Bytes inflated, or rows of this many bytes unpacked, between two questions to the observer.
const ASK_AFTER_BYTES: usize = 256 << 10;

/// The samples of a channel, `width * height` bytes, top row first. 16-bit samples are rounded to the nearest of 255.
pub(super) fn decode(data: &[u8], bounds: &Bounds, header: &Header, observer: &dyn Observer) -> Result<Vec<u8>> {
    let mut data = Bytes::new(data);
    let compression = data.u16("channel's compression")?;
    let row_bytes = bounds.width as usize * header.sample_bytes;
    let mut samples = match compression {
        0 => data.take(row_bytes * bounds.height as usize, "raw channel")?.to_vec(),
        1 => unpack(&mut data, row_bytes, bounds.height as usize, header, observer)?,
        2 | 3 => inflate(data.rest(), row_bytes * bounds.height as usize, observer)?,
        _ => return Err(fault(format!("a channel's compression is {compression}, those known are 0 to 3"))),
    };
    check_stop(observer, Stage::Decode)?;
    if compression == 3 && row_bytes > 0 {
        samples.chunks_exact_mut(row_bytes).for_each(|row| add_up(row, header.sample_bytes));
    }
    if header.sample_bytes == 2 {
        samples = samples.as_chunks::<2>().0.iter().map(|sample| narrow(u16::from_be_bytes(*sample))).collect();
    }
    Ok(samples)
}

/// 16 bits to 8: the nearest share of 255. The high byte alone is up to a level off, which shows where layers add up.
fn narrow(sample: u16) -> u8 {
    ((u32::from(sample) * 255 + 32_767) / 65_535) as u8
}

/// PackBits, row by row, behind a table of the rows' lengths.
fn unpack(
    data: &mut Bytes<'_>,
    row_bytes: usize,
    rows: usize,
    header: &Header,
    observer: &dyn Observer,
) -> Result<Vec<u8>> {
    let count_bytes = if header.is_large { 4 } else { 2 };
    let table = data.take(rows * count_bytes, "channel's table of rows")?;
    // 128 bytes are two at best: nothing is allocated that the data cannot fill.
    if data.left().saturating_mul(64) < row_bytes * rows {
        return Err(fault(format!("{} bytes cannot hold a channel of {} rows of {row_bytes}", data.left(), rows)));
    }
    let mut samples = Vec::with_capacity(row_bytes * rows);
    let mut unasked = 0;
    for (row, count) in table.chunks_exact(count_bytes).enumerate() {
        let count = count.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let packed = data.take(count, "row of a channel")?;
        unpack_row(packed, &mut samples, (row + 1) * row_bytes)
            .ok_or_else(|| fault(format!("row {row} of a channel does not unpack to {row_bytes} bytes")))?;
        unasked += row_bytes;
        if unasked >= ASK_AFTER_BYTES {
            unasked = 0;
            check_stop(observer, Stage::Decode)?;
        }
    }
    Ok(samples)
}

/// Unpacks until `samples` is `end` long; `None` if that does not come out even.
fn unpack_row(mut packed: &[u8], samples: &mut Vec<u8>, end: usize) -> Option<()> {
    while samples.len() < end {
        let (&head, rest) = packed.split_first()?;
        packed = match i8::from_be_bytes([head]) {
            i8::MIN => rest,
            literal @ 0.. => {
                let (bytes, rest) = rest.split_at_checked(usize::from(literal.unsigned_abs()) + 1)?;
                samples.extend_from_slice(bytes);
                rest
            }
            repeat => {
                let (&byte, rest) = rest.split_first()?;
                samples.resize(samples.len() + usize::from(repeat.unsigned_abs()) + 1, byte);
                rest
            }
        };
    }
    (samples.len() == end).then_some(())
}

/// zlib to exactly `length` bytes. The buffer grows with what comes out, so that a lie about the size costs nothing.
fn inflate(data: &[u8], length: usize, observer: &dyn Observer) -> Result<Vec<u8>> {
    let mut inflater = Decompressor::new();
    let mut samples = Vec::new();
    let (mut read, mut written) = (0, 0);
    while written < length || !inflater.is_done() {
        check_stop(observer, Stage::Decode)?;
        // One byte more than there should be shows whether the data goes on.
        samples.resize((written + ASK_AFTER_BYTES).min(length + 1), 0);
        let step = inflater.read(&data[read..], &mut samples, written, true);
        let (more_read, more_written) =
            step.map_err(|error| fault(format!("a channel's deflated data is damaged ({error:?})")))?;
        read += more_read;
        written += more_written;
        if written > length {
            return Err(fault(format!("a channel inflates to more than its {length} bytes")));
        }
        if inflater.is_done() && written < length {
            return Err(fault(format!("a channel inflates to {written} bytes, {length} are needed")));
        }
        if more_read == 0 && more_written == 0 && !inflater.is_done() {
            return Err(fault("a channel's deflated data is cut short"));
        }
    }
    samples.truncate(length);
    Ok(samples)
}

/// Undoes differences between neighbours in a row.
fn add_up(row: &mut [u8], sample_bytes: usize) {
    if sample_bytes == 1 {
        let mut sum = 0_u8;
        for sample in row {
            sum = sum.wrapping_add(*sample);
            *sample = sum;
        }
    } else {
        let mut sum = 0_u16;
        for sample in row.as_chunks_mut::<2>().0 {
            sum = sum.wrapping_add(u16::from_be_bytes(*sample));
            *sample = sum.to_be_bytes();
        }
    }
}
