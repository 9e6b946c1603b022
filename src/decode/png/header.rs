//! What a PNG file says about its pixels before they begin: size, layout, transparency.

use std::io::{BufRead, Seek};

use super::chunks::Chunks;
use crate::decode::Limits;
use crate::decode::source::check_limit;
use crate::mesh::Result;

/// How the samples of a pixel are meant (PNG specification, table 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Grey,
    Rgb,
    Palette,
    GreyAlpha,
    Rgba,
}

/// IHDR and what the chunks before the image data add.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    /// Width in px, at least 1.
    pub(super) width: u32,
    /// Height in px, at least 1.
    pub(super) height: u32,
    /// Bits a sample.
    pub(super) depth: u8,
    pub(super) colour: Colour,
    /// Adam7, in seven passes.
    pub(super) interlaced: bool,
    /// A tRNS chunk: some palette entries, or one colour, are transparent.
    pub(super) has_transparency_chunk: bool,
    /// What that chunk says, as alpha for every value of an 8-bit sample; `None` for other samples, and for a chunk that
    /// is not as it should be.
    pub(super) alpha_of_sample: Option<[u8; 256]>,
}

/// A run of rows of equal length: the whole image, or one pass of an interlaced one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) rows: u32,
    /// Pixels a row.
    pub(super) pixels: u32,
    /// Bytes a row, without the filter byte.
    pub(super) row_bytes: usize,
    /// First column and row in the image, and the distances to the next.
    pub(super) grid: [u32; 4],
}

impl Header {
    /// Reads to the beginning of the image data: [`Chunks`] stands in the first IDAT chunk then.
    pub(super) fn read<R: BufRead + Seek>(chunks: &mut Chunks<'_, '_, R>, limits: &Limits) -> Result<Self> {
        if chunks.next()? != *b"IHDR" {
            return Err(chunks.fault("its first chunk is not IHDR"));
        }
        let ihdr = chunks.read_array::<13>()?;
        chunks.finish()?;
        let [w0, w1, w2, w3, h0, h1, h2, h3, depth, colour, compression, filter, interlace] = ihdr;
        let width = u32::from_be_bytes([w0, w1, w2, w3]);
        let height = u32::from_be_bytes([h0, h1, h2, h3]);
        check_limit("width", width.into(), limits.max_width.into())?;
        check_limit("height", height.into(), limits.max_height.into())?;
        if width == 0 || height == 0 {
            return Err(chunks.fault("its header says that it has no pixels"));
        }
        let Some(colour) = Colour::of(colour, depth).filter(|_| compression == 0 && filter == 0 && interlace <= 1)
        else {
            return Err(chunks.fault("its header asks for a colour type, bit depth or method that does not exist"));
        };
        let interlaced = interlace == 1;
        let header =
            Self { width, height, depth, colour, interlaced, has_transparency_chunk: false, alpha_of_sample: None };
        header.read_to_image_data(chunks)
    }

    fn read_to_image_data<R: BufRead + Seek>(mut self, chunks: &mut Chunks<'_, '_, R>) -> Result<Self> {
        let mut palette_entries = 0;
        loop {
            match &chunks.next()? {
                b"IDAT" => break,
                b"PLTE" if chunks.left().is_multiple_of(3) && (3..=768).contains(&chunks.left()) => {
                    palette_entries = chunks.left() as usize / 3;
                }
                b"PLTE" => return Err(chunks.fault("its palette's length is no multiple of 3 from 3 to 768")),
                b"tRNS" if !self.colour.has_alpha_channel() => self.read_transparency(chunks, palette_entries)?,
                b"fcTL" => self.check_first_frame(chunks)?,
                b"IHDR" => return Err(chunks.fault("it has two headers")),
                b"IEND" => return Err(chunks.fault("it has no image data")),
                name if is_critical(*name) => {
                    return Err(chunks.fault(format_args!("it needs the unknown chunk {}", name.escape_ascii())));
                }
                _ => {}
            }
            chunks.finish()?;
        }
        if self.colour == Colour::Palette && palette_entries == 0 {
            return Err(chunks.fault("its palette is missing"));
        }
        Ok(self)
    }

    fn read_transparency<R: BufRead + Seek>(
        &mut self,
        chunks: &mut Chunks<'_, '_, R>,
        palette_entries: usize,
    ) -> Result<()> {
        let is_first = !self.has_transparency_chunk;
        self.has_transparency_chunk = true;
        self.alpha_of_sample = None;
        let mut alphas = [u8::MAX; 256];
        let bytes = chunks.left() as usize;
        match (self.colour, self.depth, bytes) {
            (Colour::Palette, 8, 1..) if is_first && bytes <= palette_entries => {
                chunks.read_whole(&mut alphas[..bytes])?
            }
            (Colour::Grey, 8, 2) if is_first => alphas[usize::from(chunks.read_array::<2>()?[1])] = 0,
            _ => return Ok(()),
        }
        self.alpha_of_sample = Some(alphas);
        Ok(())
    }

    /// The first frame of an animation is the default image and must be as large.
    fn check_first_frame<R: BufRead + Seek>(&self, chunks: &mut Chunks<'_, '_, R>) -> Result<()> {
        let [_, _, _, _, w0, w1, w2, w3, h0, h1, h2, h3, offsets @ ..] = chunks.read_array::<26>()?;
        let width = u32::from_be_bytes([w0, w1, w2, w3]);
        let height = u32::from_be_bytes([h0, h1, h2, h3]);
        if (width, height) != (self.width, self.height) || offsets[..8] != [0; 8] {
            return Err(chunks.fault("the first frame of its animation does not fill the image"));
        }
        Ok(())
    }

    /// Looks samples up in the table that makes alpha of them, if there is one.
    pub(super) fn samples_to_alpha(&self, samples: &mut [u8]) {
        if let Some(alphas) = &self.alpha_of_sample {
            samples.iter_mut().for_each(|sample| *sample = alphas[usize::from(*sample)]);
        }
    }

    /// Whether a pixel can be less than opaque.
    pub(super) fn has_alpha(&self) -> bool {
        self.colour.has_alpha_channel() || self.has_transparency_chunk
    }

    /// The rows in the order of the file.
    pub(super) fn passes(&self) -> Vec<Pass> {
        if !self.interlaced {
            let row_bytes = self.row_bytes(self.width);
            return vec![Pass { rows: self.height, pixels: self.width, row_bytes, grid: [0, 0, 1, 1] }];
        }
        // PNG specification, section 8.2.
        const ADAM7: [[u32; 4]; 7] =
            [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
        let passes = ADAM7.iter().map(|&grid| {
            let [column, row, columns, rows] = grid;
            let pixels = self.width.saturating_sub(column).div_ceil(columns);
            let rows = self.height.saturating_sub(row).div_ceil(rows);
            Pass { rows, pixels, row_bytes: self.row_bytes(pixels), grid }
        });
        passes.filter(|pass| pass.row_bytes > 0 && pass.rows > 0).collect()
    }

    fn row_bytes(&self, pixels: u32) -> usize {
        let bits = u64::from(pixels) * u64::from(self.depth) * self.colour.samples() as u64;
        bits.div_ceil(8) as usize
    }
}

impl Colour {
    fn of(code: u8, depth: u8) -> Option<Self> {
        match (code, depth) {
            (0, 1 | 2 | 4 | 8 | 16) => Some(Self::Grey),
            (2, 8 | 16) => Some(Self::Rgb),
            (3, 1 | 2 | 4 | 8) => Some(Self::Palette),
            (4, 8 | 16) => Some(Self::GreyAlpha),
            (6, 8 | 16) => Some(Self::Rgba),
            _ => None,
        }
    }

    /// Samples a pixel; alpha is the last.
    pub(super) fn samples(self) -> usize {
        match self {
            Self::Grey | Self::Palette => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    pub(super) fn has_alpha_channel(self) -> bool {
        matches!(self, Self::GreyAlpha | Self::Rgba)
    }
}

/// An unknown chunk whose first letter is a capital cannot be skipped.
fn is_critical(name: super::chunks::Name) -> bool {
    name[0] & 0x20 == 0
}
