//! The 26 bytes that a PSD begins with, and the sections before its layers.

use super::super::Limits;
use super::super::kind::{MAGIC_BYTES, recognise};
use super::super::source::check_limit;
use super::reader::{Bytes, fault};
use crate::mesh::{Error, Result};

/// The first four bytes of a PSD and of a PSB.
pub(super) const MAGIC: [u8; 4] = *b"8BPS";

/// What the file says about itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// Size of the canvas, px.
    pub(super) width: u32,
    pub(super) height: u32,
    /// The large format, whose lengths are wider.
    pub(super) is_large: bool,
    /// Channels of the merged picture at the file's end.
    pub(super) channels: u16,
    /// 1 or 2.
    pub(super) sample_bytes: usize,
    /// 1 for grey, 3 for red, green and blue.
    pub(super) colours: u8,
}

impl Header {
    /// Reads the header and passes over colour table and resources, to the length of the layer section.
    pub(super) fn read(bytes: &mut Bytes<'_>, limits: &Limits) -> Result<Self> {
        check_limit("file size", bytes.left() as u64, limits.max_bytes)?;
        let first = &bytes.rest()[..bytes.left().min(MAGIC_BYTES)];
        if !first.starts_with(&MAGIC) {
            let kind = recognise(first)?;
            return Err(Error::ImageFormat { found: format!("it is a {}, not a PSD", kind.name()) });
        }
        bytes.take(MAGIC.len(), "magic")?;
        let version = bytes.u16("version")?;
        bytes.take(6, "reserved bytes")?;
        let channels = bytes.u16("number of channels")?;
        let height = bytes.u32("height")?;
        let width = bytes.u32("width")?;
        let depth = bytes.u16("depth")?;
        let mode = bytes.u16("colour mode")?;
        if !(1..=2).contains(&version) {
            return Err(fault(format!("its version is {version}, those known are 1 (PSD) and 2 (PSB)")));
        }
        if width == 0 || height == 0 {
            return Err(fault(format!("it has no pixels: its canvas is {width} x {height}")));
        }
        check_limit("width", width.into(), limits.max_width.into())?;
        check_limit("height", height.into(), limits.max_height.into())?;
        let header = Self {
            width,
            height,
            is_large: version == 2,
            channels,
            sample_bytes: sample_bytes(depth)?,
            colours: colours(mode)?,
        };
        bytes.section(false, "colour table")?;
        bytes.section(false, "image resources")?;
        Ok(header)
    }
}

fn sample_bytes(depth: u16) -> Result<usize> {
    match depth {
        8 => Ok(1),
        16 => Ok(2),
        _ => Err(fault(format!("it has {depth} bits a channel, 8 and 16 are read; convert it to 8"))),
    }
}

fn colours(mode: u16) -> Result<u8> {
    let name = match mode {
        1 => return Ok(1),
        3 => return Ok(3),
        0 => "bitmap",
        2 => "indexed colour",
        4 => "CMYK",
        7 => "multichannel",
        8 => "duotone",
        9 => "Lab",
        _ => "unknown",
    };
    Err(fault(format!("its colour mode is {name} ({mode}), RGB and greyscale are read; convert it to RGB")))
}

/// That the merged picture behind the layers is there: it is not read, but a file without it is cut short. Deflated, as
/// hardly any writer stores it, it does not say how long it is.
pub(super) fn check_merged(bytes: &mut Bytes<'_>, header: &Header) -> Result<()> {
    const RAW: u16 = 0;
    const RUN_LENGTHS: u16 = 1;
    let rows = u64::from(header.channels) * u64::from(header.height);
    let needed = match bytes.u16("merged picture")? {
        RAW => rows * u64::from(header.width) * header.sample_bytes as u64,
        RUN_LENGTHS => {
            let count_bytes = if header.is_large { 4 } else { 2 };
            let table = usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(count_bytes);
            let counts = bytes.take(table, "merged picture's table of rows")?;
            counts
                .chunks_exact(count_bytes)
                .map(|count| count.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
                .sum()
        }
        _ => 0,
    };
    bytes.take(usize::try_from(needed).unwrap_or(usize::MAX), "merged picture").map(drop)
}
