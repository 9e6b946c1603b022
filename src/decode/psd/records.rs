//! Layer records: what the file says of each layer, bottom to top, before any pixels.

use super::blend::BlendMode;
use super::header::Header;
use super::mask::MaskRecord;
use super::reader::{Bytes, fault};
use crate::mesh::Result;

/// Sides of the largest canvas of the large format, px. Nothing lies further out.
const FARTHEST_PX: i32 = 300_000;
/// UTF-16 units of a name that are kept; applications write no longer ones.
const NAME_UNITS: usize = 255;
/// Blocks whose length is 8 bytes in the large format.
const WIDE_BLOCKS: [&[u8; 4]; 21] = [
    b"LMsk", b"Lr16", b"Lr32", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph", b"FMsk", b"lnk2", b"lnk3", b"lnkE",
    b"FXid", b"FEid", b"FELS", b"PxSD", b"pths", b"extd", b"extn", b"cinf", b"artd",
];

/// A rectangle on the canvas, px; it may reach beyond it on all sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Left side.
    pub x: i32,
    /// Upper side.
    pub y: i32,
    /// Width, 0 for an empty rectangle.
    pub width: u32,
    /// Height, 0 for an empty rectangle.
    pub height: u32,
}

/// What a record stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A layer that may have pixels.
    Layer,
    /// A group; stored above everything in it.
    Group,
    /// The lower end of the group that follows.
    GroupEnd,
}

/// One channel of a layer: its number and the bytes that hold it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Channel<'a> {
    /// 0, 1, 2 colours; -1 opacity; -2 mask; -3 mask joined with the vector mask.
    pub(super) id: i16,
    pub(super) data: &'a [u8],
}

/// One record.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) bounds: Bounds,
    pub(super) channels: Vec<Channel<'a>>,
    pub(super) blend: BlendMode,
    /// 0 to 1, the fill's opacity included.
    pub(super) opacity: f64,
    /// Drawn only where the next lower layer that is not clipped is.
    pub(super) is_clipped: bool,
    pub(super) is_visible: bool,
    pub(super) mask: Option<MaskRecord>,
    /// Shadows, outlines and the like, which are no pixels.
    pub(super) has_effects: bool,
    /// Changes what is below it instead of having a picture of its own.
    pub(super) is_adjustment: bool,
}

impl Bounds {
    /// From the file's order: top, left, bottom, right.
    pub(super) fn read(bytes: &mut Bytes<'_>, what: &str) -> Result<Self> {
        let mut sides = [0; 4];
        for side in &mut sides {
            *side = bytes.i32(what)?;
        }
        let [top, left, bottom, right] = sides;
        if sides.iter().any(|side| !(-FARTHEST_PX..=FARTHEST_PX).contains(side)) || bottom < top || right < left {
            let shown = format!("left {left}, top {top}, right {right}, bottom {bottom}");
            return Err(fault(format!("a layer's {what} make no sense: {shown}")));
        }
        Ok(Self { x: left, y: top, width: right.abs_diff(left), height: bottom.abs_diff(top) })
    }

    /// The column behind the last.
    pub(super) fn right(&self) -> i32 {
        self.x.saturating_add_unsigned(self.width)
    }

    /// The row behind the last.
    pub(super) fn bottom(&self) -> i32 {
        self.y.saturating_add_unsigned(self.height)
    }

    /// Its rows on the canvas.
    pub(super) fn rows(&self) -> std::ops::Range<i32> {
        self.y..self.bottom()
    }

    /// Pixels inside.
    pub(super) fn area(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// A layer's channels: 56 that Photoshop allows, opacity and two masks.
const MOST_CHANNELS: u16 = 59;

/// Layers, and the two ends of each group.
const MOST_RECORDS: u16 = 8000;

/// All records, bottom to top; empty if the file has no layers.
pub(super) fn read<'a>(section: &mut Bytes<'a>, header: &Header) -> Result<Vec<Record<'a>>> {
    if section.left() == 0 {
        return Ok(Vec::new());
    }
    let mut info = section.section(header.is_large, "layer information")?;
    if info.left() > 0 {
        return read_info(&mut info, header);
    }
    // With 16 bits a channel the layers are in a block of their own, behind the mask that is nobody's.
    if section.left() > 0 {
        section.section(false, "global mask information")?;
    }
    while let Some((key, data)) = next_block(section, header)? {
        if [*b"Lr16", *b"Layr"].contains(&key) {
            return read_info(&mut Bytes::new(data), header);
        }
    }
    Ok(Vec::new())
}

fn read_info<'a>(info: &mut Bytes<'a>, header: &Header) -> Result<Vec<Record<'a>>> {
    // Below zero, the merged picture's first extra channel is its opacity.
    let count = info.i16("number of layers")?.unsigned_abs();
    if count > MOST_RECORDS {
        return Err(fault(format!("it has {count} layers and groups, the limit is {MOST_RECORDS}")));
    }
    let mut records = Vec::new();
    let mut lengths = Vec::new();
    for _ in 0..count {
        let (record, its_lengths) = read_record(info, header)?;
        records.push(record);
        lengths.push(its_lengths);
    }
    for (record, lengths) in records.iter_mut().zip(lengths) {
        for (id, length) in lengths {
            record.channels.push(Channel { id, data: info.take(length, "channel of a layer")? });
        }
    }
    Ok(records)
}

/// A record, and number and length of each of its channels, whose bytes follow the last record.
fn read_record<'a>(info: &mut Bytes<'a>, header: &Header) -> Result<(Record<'a>, Vec<(i16, usize)>)> {
    const HIDDEN: u8 = 2;
    let bounds = Bounds::read(info, "bounds")?;
    let mut lengths = Vec::new();
    let channels = info.u16("number of channels")?;
    if channels > MOST_CHANNELS {
        return Err(fault(format!("a layer has {channels} channels, {MOST_CHANNELS} are the most there can be")));
    }
    for _ in 0..channels {
        lengths.push((info.i16("channel number")?, info.length(header.is_large, "channel length")?));
    }
    let signature = info.array::<4>("blend mode's signature")?;
    if !is_signature(signature) {
        return Err(fault(format!("a layer's blend mode begins with {}, not 8BIM", signature.escape_ascii())));
    }
    let blend = BlendMode::from_key(info.array("blend mode")?);
    let opacity = info.u8("opacity")?;
    let clipping = info.u8("clipping")?;
    let flags = info.u8("flags")?;
    info.u8("filler")?;
    let mut extra = info.section(false, "layer's extra data")?;
    let has_joined_mask = lengths.iter().any(|(id, _)| *id == -3);
    let mask = MaskRecord::read(&mut extra.section(false, "layer's mask data")?, has_joined_mask)?;
    extra.section(false, "layer's blending ranges")?;
    let mut record = Record {
        name: read_name(&mut extra)?,
        role: Role::Layer,
        bounds,
        channels: Vec::new(),
        blend,
        opacity: f64::from(opacity) / 255.0,
        is_clipped: clipping != 0,
        is_visible: flags & HIDDEN == 0,
        mask,
        has_effects: false,
        is_adjustment: false,
    };
    while let Some((key, data)) = next_block(&mut extra, header)? {
        record.take_block(key, Bytes::new(data))?;
    }
    Ok((record, lengths))
}

/// The short name, which fills up to four bytes.
fn read_name(extra: &mut Bytes<'_>) -> Result<String> {
    let length = usize::from(extra.u8("name's length")?);
    let name = extra.take(length, "name")?;
    let padding = (4 - (1 + length) % 4) % 4;
    // Short of it only where nothing follows.
    extra.take(padding.min(extra.left()), "name's padding")?;
    Ok(String::from_utf8_lossy(name).into_owned())
}

fn is_signature(bytes: [u8; 4]) -> bool {
    [*b"8BIM", *b"8B64"].contains(&bytes)
}

/// The next block of additional information; what is no block ends them.
fn next_block<'a>(bytes: &mut Bytes<'a>, header: &Header) -> Result<Option<([u8; 4], &'a [u8])>> {
    bytes.skip_padding();
    if bytes.left() < 12 || !is_signature(bytes.array("block's signature")?) {
        return Ok(None);
    }
    let key = bytes.array("block's key")?;
    let length = bytes.length(header.is_large && WIDE_BLOCKS.contains(&&key), "block's length")?;
    Ok(Some((key, bytes.take(length, "block of additional information")?)))
}

impl Record<'_> {
    /// Notes what a block says, if it says what matters here.
    fn take_block(&mut self, key: [u8; 4], mut data: Bytes<'_>) -> Result<()> {
        match &key {
            b"luni" => self.name = read_unicode(&mut data)?,
            b"lsct" | b"lsdk" => self.take_divider(&mut data)?,
            b"iOpa" => self.opacity *= f64::from(data.u8("fill opacity")?) / 255.0,
            b"lfx2" => self.has_effects = true,
            b"levl" | b"curv" | b"expA" | b"vibA" | b"hue " | b"hue2" | b"blnc" | b"blwh" | b"phfl" | b"mixr"
            | b"clrL" | b"nvrt" | b"post" | b"thrs" | b"grdm" | b"selc" | b"brit" => self.is_adjustment = true,
            _ => {}
        }
        Ok(())
    }

    /// What makes a record a group; its own blend mode may be here.
    fn take_divider(&mut self, data: &mut Bytes<'_>) -> Result<()> {
        self.role = match data.u32("kind of divider")? {
            1 | 2 => Role::Group,
            3 => Role::GroupEnd,
            _ => Role::Layer,
        };
        if data.left() >= 8 && is_signature(data.array("divider's signature")?) {
            self.blend = BlendMode::from_key(data.array("divider's blend mode")?);
        }
        Ok(())
    }
}

/// A name in UTF-16; a zero at its end is none of it.
fn read_unicode(data: &mut Bytes<'_>) -> Result<String> {
    let units = data.length(false, "name's length")?;
    let units = data.take(units.saturating_mul(2), "name")?.as_chunks::<2>().0;
    let units = units.iter().take(NAME_UNITS).map(|unit| u16::from_be_bytes(*unit)).take_while(|unit| *unit != 0);
    Ok(char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}
