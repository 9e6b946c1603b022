//! The RIFF container of a WebP file: which chunks there are, and whether they are whole.
//!
//! Everything a file declares must be there: the RIFF size within the file, each chunk within its parent. That finds every
//! truncated file, wherever it was cut. Bytes after the RIFF end are ignored.

use std::io::{BufRead, Seek};
use std::ops::Range;

use crate::decode::Limits;
use crate::decode::source::{Source, check_limit};
use crate::mesh::Result;

/// What a file holds of its (first) picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    /// Canvas width, px, at least 1.
    pub(super) width: u32,
    /// Canvas height, px, at least 1.
    pub(super) height: u32,
    /// The file says that its pixels may be transparent.
    pub(super) has_alpha: bool,
    pub(super) is_animated: bool,
    pub(super) picture: Picture,
    /// Width and height of the picture, px: less than the canvas's where it is a frame of an animation.
    pub(super) picture_size: (u32, u32),
    /// The picture's data, without its chunk header.
    pub(super) data: Range<u64>,
    /// The data of the ALPH chunk: the alpha of a lossy picture.
    pub(super) alpha: Option<Range<u64>>,
}

/// How the first picture is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Picture {
    Lossy,
    Lossless,
}

type Name = [u8; 4];
type Size = (u32, u32);

/// The pictures and alpha among some sibling chunks.
#[derive(Default)]
struct Found {
    picture: Option<(Picture, Size, Range<u64>)>,
    alpha: Option<Range<u64>>,
    has_lossless_alpha: bool,
}

impl Container {
    /// Walks the chunks of the file.
    pub(super) fn read<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<Self> {
        const RIFF_HEADER_BYTES: u64 = 12;
        let [_, _, _, _, s0, s1, s2, s3, _, _, _, _] = source.read_array::<12>()?;
        let end = 8 + u64::from(u32::from_le_bytes([s0, s1, s2, s3]));
        if end > source.length() {
            return Err(source.read_fault(&std::io::ErrorKind::UnexpectedEof.into()));
        }
        let (name, data) = next_chunk(source, &(RIFF_HEADER_BYTES..end))?;
        if name == *b"VP8X" {
            return Self::read_extended(source, limits, data, end);
        }
        let mut found = Found::default();
        found.look_at(source, name, &data, limits)?;
        let Some((picture, (width, height), data)) = found.picture else {
            return Err(source.fault("its first chunk is no picture"));
        };
        let has_alpha = found.has_lossless_alpha;
        Ok(Self {
            width,
            height,
            has_alpha,
            is_animated: false,
            picture,
            picture_size: (width, height),
            data,
            alpha: None,
        })
    }

    fn read_extended<R: BufRead + Seek>(
        source: &mut Source<'_, R>,
        limits: &Limits,
        header: Range<u64>,
        end: u64,
    ) -> Result<Self> {
        source.go_to(header.start)?;
        let [flags, _, _, _, w0, w1, w2, h0, h1, h2] = source.read_array::<10>()?;
        let canvas = (1 + u32::from_le_bytes([w0, w1, w2, 0]), 1 + u32::from_le_bytes([h0, h1, h2, 0]));
        check_size(canvas, limits)?;
        let (has_alpha, is_animated) = (flags & 0x10 != 0, flags & 0x02 != 0);
        let (mut still, mut first_frame) = (Found::default(), None);
        let mut siblings = after(&header)..end;
        while !siblings.is_empty() {
            let (name, data) = next_chunk(source, &siblings)?;
            siblings.start = after(&data);
            if name == *b"ANMF" {
                let frame = read_frame(source, &data, limits)?;
                first_frame.get_or_insert(frame);
            } else {
                still.look_at(source, name, &data, limits)?;
            }
        }
        let (found, size) = if is_animated { first_frame.unwrap_or_default() } else { (still, canvas) };
        let Some((picture, picture_size, data)) = found.picture else {
            return Err(source.fault("it has no picture"));
        };
        if picture_size != size {
            return Err(source.fault("its picture has another size than its frame"));
        }
        let (width, height) = canvas;
        Ok(Self { width, height, has_alpha, is_animated, picture, picture_size, data, alpha: found.alpha })
    }
}

/// What a frame of an animation holds, and the size it should have.
fn read_frame<R: BufRead + Seek>(
    source: &mut Source<'_, R>,
    data: &Range<u64>,
    limits: &Limits,
) -> Result<(Found, Size)> {
    source.go_to(data.start)?;
    let [_, _, _, _, _, _, w0, w1, w2, h0, h1, h2, _, _, _, _] = source.read_array::<16>()?;
    let size = (1 + u32::from_le_bytes([w0, w1, w2, 0]), 1 + u32::from_le_bytes([h0, h1, h2, 0]));
    let mut siblings = data.start + 16..data.end;
    let mut found = Found::default();
    while !siblings.is_empty() {
        let (name, data) = next_chunk(source, &siblings)?;
        siblings.start = after(&data);
        found.look_at(source, name, &data, limits)?;
    }
    Ok((found, size))
}

impl Found {
    /// Keeps the first picture and the first alpha.
    fn look_at<R: BufRead + Seek>(
        &mut self,
        source: &mut Source<'_, R>,
        name: Name,
        data: &Range<u64>,
        limits: &Limits,
    ) -> Result<()> {
        match &name {
            // Which of them counts is not the same for all decoders.
            b"VP8 " | b"VP8L" if self.picture.is_some() => return Err(source.fault("it has two pictures in one")),
            b"VP8 " => {
                self.picture = Some((Picture::Lossy, read_lossy_size(source, data)?, data.clone()));
            }
            b"VP8L" => {
                source.go_to(data.start)?;
                let [signature, bits @ ..] = source.read_array::<5>()?;
                if signature != 0x2f {
                    return Err(source.fault("its lossless picture has no signature"));
                }
                let bits = u32::from_le_bytes(bits);
                let size = (1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff));
                self.picture = Some((Picture::Lossless, size, data.clone()));
                self.has_lossless_alpha = bits >> 28 & 1 == 1;
            }
            b"ALPH" => {
                self.alpha.get_or_insert(data.clone());
            }
            _ => {}
        }
        self.picture.as_ref().map_or(Ok(()), |(_, size, _)| check_size(*size, limits))
    }
}

/// Width and height of a VP8 key frame (RFC 6386, section 9.1), whose first partition must lie in its chunk.
fn read_lossy_size<R: BufRead + Seek>(source: &mut Source<'_, R>, data: &Range<u64>) -> Result<Size> {
    source.go_to(data.start)?;
    let [t0, t1, t2, start_code @ .., w0, w1, h0, h1] = source.read_array::<10>()?;
    let tag = u32::from_le_bytes([t0, t1, t2, 0]);
    let size = (u32::from(u16::from_le_bytes([w0, w1]) & 0x3fff), u32::from(u16::from_le_bytes([h0, h1]) & 0x3fff));
    let is_key_frame = tag & 1 == 0 && start_code == [0x9d, 0x01, 0x2a];
    if !is_key_frame || size.0 == 0 || size.1 == 0 {
        return Err(source.fault("its lossy picture has no valid header"));
    }
    if u64::from(tag >> 5) + 10 > data.end - data.start {
        return Err(source.fault("its lossy picture is cut short"));
    }
    Ok(size)
}

/// Name and data of the chunk at the beginning of a range, whose end it must not pass.
fn next_chunk<R: BufRead + Seek>(source: &mut Source<'_, R>, within: &Range<u64>) -> Result<(Name, Range<u64>)> {
    source.go_to(within.start)?;
    let [n0, n1, n2, n3, s0, s1, s2, s3] = source.read_array::<8>()?;
    let begin = within.start + 8;
    let end = begin + u64::from(u32::from_le_bytes([s0, s1, s2, s3]));
    if end > within.end {
        return Err(source.fault("a chunk is longer than what holds it: the file is cut short or damaged"));
    }
    Ok(([n0, n1, n2, n3], begin..end))
}

/// Where the next chunk begins: chunks have an even length, with a padding byte where theirs is odd.
fn after(data: &Range<u64>) -> u64 {
    data.end + ((data.end - data.start) & 1)
}

fn check_size(size: Size, limits: &Limits) -> Result<()> {
    check_limit("width", size.0.into(), limits.max_width.into())?;
    check_limit("height", size.1.into(), limits.max_height.into())
}
