//! GIF: the first frame on its logical screen.
//!
//! Where the frame does not reach, the screen is transparent if the frame has a transparent colour, and of colour 0
//! otherwise; a frame that reaches beyond the screen enlarges it. Both are the reference decoder's ways. All blocks of all
//! frames are walked to the trailer first, so a file that is cut short anywhere is an error.

use std::io::{BufRead, Seek};

use gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::source::{Source, check_limit};
use super::{Limits, Picture};
use crate::mesh::{AlphaPlane, Error, Result};

/// The first frame, as indices into its palette.
struct Frame {
    /// Width and height of the screen, px.
    screen: (u32, u32),
    /// The frame's rectangle on it, px.
    left: usize,
    top: usize,
    width: usize,
    /// `width` a row.
    indices: Vec<u8>,
    /// Red, green, blue for each index.
    palette: Vec<u8>,
    transparent: Option<u8>,
}

/// The alpha plane; opaque if the first frame has no transparent colour.
pub(super) fn alpha_plane<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<AlphaPlane> {
    let frame = Frame::read(source, limits)?;
    let (width, height) = frame.screen;
    let plane = match frame.transparent {
        None => AlphaPlane::opaque(width, height),
        Some(transparent) => {
            let mut plane = vec![0; width as usize * height as usize];
            frame.place(&mut plane, 1, |index, value| value[0] = if index == transparent { 0 } else { u8::MAX });
            AlphaPlane::new(width, height, plane)
        }
    };
    plane.ok_or_else(|| source.fault("it has no pixels"))
}

/// The colours.
pub(super) fn rgba<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<Picture> {
    let frame = Frame::read(source, limits)?;
    let (width, height) = frame.screen;
    let mut colours = [[0, 0, 0, u8::MAX]; 256];
    for (colour, entry) in colours.iter_mut().zip(frame.palette.as_chunks::<3>().0) {
        colour[..3].copy_from_slice(entry);
    }
    if let Some(transparent) = frame.transparent {
        colours[usize::from(transparent)][3] = 0;
    }
    let background = colours[usize::from(frame.transparent.unwrap_or(0))];
    let mut pixels = background.repeat(width as usize * height as usize);
    frame.place(&mut pixels, 4, |index, pixel| pixel.copy_from_slice(&colours[usize::from(index)]));
    Picture::new(width, height, pixels).ok_or_else(|| Error::Internal("a GIF does not fit its picture".into()))
}

impl Frame {
    fn read<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<Self> {
        let (width, height) = walk(source, limits)?;
        source.go_to(0)?;
        match Self::decode(source, width.into(), height.into()) {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(source.fault("it has no image")),
            Err(error) => Err(source.fault(error)),
        }
    }

    fn decode<R: BufRead + Seek>(
        source: &mut Source<'_, R>,
        width: u32,
        height: u32,
    ) -> std::result::Result<Option<Self>, gif::DecodingError> {
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::Indexed);
        if let Some(bytes) = std::num::NonZeroU64::new(u64::from(width) * u64::from(height)) {
            options.set_memory_limit(MemoryLimit::Bytes(bytes));
        }
        let mut decoder = options.read_info(source)?;
        let Some(frame) = decoder.next_frame_info()? else { return Ok(None) };
        let (left, top) = (usize::from(frame.left), usize::from(frame.top));
        let (frame_width, transparent) = (usize::from(frame.width), frame.transparent);
        let mut indices = vec![0; frame_width * usize::from(frame.height)];
        decoder.read_into_buffer(&mut indices)?;
        let palette = decoder.palette()?.to_vec();
        Ok(Some(Self { screen: (width, height), left, top, width: frame_width, indices, palette, transparent }))
    }

    /// Writes every pixel of the frame to its place in a screen of `bytes` bytes a pixel.
    fn place(&self, screen: &mut [u8], bytes: usize, mut write: impl FnMut(u8, &mut [u8])) {
        if self.width == 0 {
            return;
        }
        let rows = screen.chunks_exact_mut(self.screen.0 as usize * bytes).skip(self.top);
        for (row, indices) in rows.zip(self.indices.chunks_exact(self.width)) {
            for (pixel, &index) in row[self.left * bytes..].chunks_exact_mut(bytes).zip(indices) {
                write(index, pixel);
            }
        }
    }
}

/// Walks every block to the trailer. Width and height of the screen, enlarged to hold the first frame, px.
fn walk<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<(u16, u16)> {
    const TRAILER: u8 = 0x3b;
    const EXTENSION: u8 = 0x21;
    const IMAGE: u8 = 0x2c;
    let [_, _, _, _, _, _, w0, w1, h0, h1, flags, _, _] = source.read_array::<13>()?;
    let mut screen = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
    check_screen(screen, limits)?;
    skip(source, palette_bytes(flags))?;
    let mut is_first = true;
    loop {
        match source.read_array::<1>()? {
            [TRAILER] => return Ok(screen),
            [EXTENSION] => skip(source, 1)?,
            [IMAGE] => {
                let [x0, x1, y0, y1, w0, w1, h0, h1, flags] = source.read_array::<9>()?;
                if is_first {
                    let end = |from: [u8; 2], size| u16::from_le_bytes(from).saturating_add(u16::from_le_bytes(size));
                    screen = (screen.0.max(end([x0, x1], [w0, w1])), screen.1.max(end([y0, y1], [h0, h1])));
                    check_screen(screen, limits)?;
                    is_first = false;
                }
                skip(source, palette_bytes(flags) + 1)?;
            }
            [other] => return Err(source.fault(format_args!("a block of the unknown kind {other:#04x}"))),
        }
        loop {
            match source.read_array::<1>()? {
                [0] => break,
                [length] => skip(source, length.into())?,
            }
        }
    }
}

fn check_screen(screen: (u16, u16), limits: &Limits) -> Result<()> {
    check_limit("width", screen.0.into(), limits.max_width.into())?;
    check_limit("height", screen.1.into(), limits.max_height.into())
}

/// Length of a colour table from the flags of the screen or of a frame.
fn palette_bytes(flags: u8) -> i64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Passes over bytes. Beyond the end of the file, the next read finds that.
fn skip<R: BufRead + Seek>(source: &mut Source<'_, R>, bytes: i64) -> Result<()> {
    source.seek_relative(bytes).map_err(|e| source.read_fault(&e))
}
