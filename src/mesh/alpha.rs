//! What a decoder hands to the stages: how opaque each pixel is.

/// Pixels of a row that are kept together: as many as a mask's word has bits.
pub(crate) const BLOCK: usize = 64;

/// Varied blocks allocated at once, 32 KiB: a plane never moves while it grows, and small pieces come from memory that is
/// already there, where large ones are fetched anew each time.
const PAGE_BLOCKS: usize = 512;

/// The alpha channel of an image, 8 bits a pixel.
///
/// Sprites are clear or opaque nearly everywhere, so 64 pixels of one value are kept as that value: a flat one of
/// 4096 x 4096 px is 1 MB and its outline instead of 16 MB. What is not touched need not be fetched: fresh memory costs a page fault
/// for every 4 KiB. An image without transparency keeps no pixels at all: its plane is 255 everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlphaPlane {
    width: u32,
    height: u32,
    /// `None` for an opaque image.
    rows: Option<AlphaRows>,
}

impl AlphaPlane {
    /// A plane from its bytes, top row first. `None` unless there are `width * height` of them and both are at least 1.
    #[must_use]
    pub fn new(width: u32, height: u32, values: Vec<u8>) -> Option<Self> {
        if width == 0 || values.len() as u64 != u64::from(width) * u64::from(height) {
            return None;
        }
        let mut rows = AlphaRows::new(width);
        rows.reserve_rows(height);
        values.chunks_exact(width as usize).for_each(|row| rows.push(row));
        Self::from_rows(width, height, rows)
    }

    /// A plane from its rows. `None` unless there are `height` of them, and both sides are at least 1.
    pub(crate) fn from_rows(width: u32, height: u32, rows: AlphaRows) -> Option<Self> {
        let blocks = u64::from(width.div_ceil(BLOCK as u32)) * u64::from(height);
        (width > 0 && height > 0 && rows.blocks.len() as u64 == blocks).then_some(Self {
            width,
            height,
            rows: Some(rows),
        })
    }

    /// The plane of an image without transparency. `None` if it has no pixels.
    #[must_use]
    pub fn opaque(width: u32, height: u32) -> Option<Self> {
        (width > 0 && height > 0).then_some(Self { width, height, rows: None })
    }

    /// Width in px, at least 1.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in px, at least 1.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// `width * height` bytes, top row first; `None` for an opaque image, which is 255 everywhere. A copy: for tests and
    /// for uses outside of the stages.
    #[must_use]
    pub fn to_values(&self) -> Option<Vec<u8>> {
        let rows = self.rows()?;
        let width = self.width as usize;
        let mut values = vec![0; width * self.height as usize];
        values.chunks_exact_mut(width).enumerate().for_each(|(y, row)| rows.copy(y, row));
        Some(values)
    }

    /// Whether all pixels are fully opaque, with an alpha channel or without.
    pub(crate) fn is_opaque(&self) -> bool {
        self.rows().is_none_or(|rows| rows.blocks.iter().all(|&block| block == u32::from(u8::MAX)))
    }

    /// The rows; `None` for an opaque image.
    pub(crate) fn rows(&self) -> Option<&AlphaRows> {
        self.rows.as_ref()
    }
}

/// Rows of alpha values in blocks of [`BLOCK`] pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AlphaRows {
    blocks_per_row: usize,
    /// The value of a block that has only one; for others [`VARIED`] plus its number in `pages`.
    blocks: Vec<u32>,
    pages: Vec<Vec<[u8; BLOCK]>>,
}

/// Numbers of varied blocks begin behind the values of uniform ones.
const VARIED: u32 = 256;

/// The pixels of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AlphaBlock<'a> {
    /// All have this value.
    Uniform(u8),
    /// One each; beyond the row's end whatever fills it up.
    Varied(&'a [u8; BLOCK]),
}

impl AlphaRows {
    pub(crate) fn new(width: u32) -> Self {
        Self { blocks_per_row: (width as usize).div_ceil(BLOCK), blocks: Vec::new(), pages: Vec::new() }
    }

    /// Makes room for the blocks of so many rows.
    pub(crate) fn reserve_rows(&mut self, rows: u32) {
        self.blocks.reserve_exact(self.blocks_per_row * rows as usize);
    }

    /// Adds a row of the plane's width below the others.
    pub(crate) fn push(&mut self, row: &[u8]) {
        let (blocks, rest) = row.as_chunks::<BLOCK>();
        blocks.iter().for_each(|block| self.push_block(block));
        if let Some(last) = rest.last() {
            // Filled up with its last value, so that a uniform end stays uniform.
            let mut block = [*last; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            self.push_block(&block);
        }
    }

    fn push_block(&mut self, block: &[u8; BLOCK]) {
        let first = block[0];
        // Eight values at a time: the compiler makes wide registers of words, but not of a fold over bytes.
        let pattern = u64::from_le_bytes([first; 8]);
        let differing = |joined, eight: &[u8; 8]| joined | (u64::from_le_bytes(*eight) ^ pattern);
        if block.as_chunks::<8>().0.iter().fold(0, differing) == 0 {
            return self.blocks.push(u32::from(first));
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE_BLOCKS) {
            self.pages.push(Vec::with_capacity(PAGE_BLOCKS));
        }
        let full_pages = self.pages.len().saturating_sub(1) * PAGE_BLOCKS;
        if let Some(page) = self.pages.last_mut() {
            self.blocks.push(VARIED + (full_pages + page.len()) as u32);
            page.push(*block);
        }
    }

    /// The blocks of a row, left to right.
    pub(crate) fn row(&self, y: usize) -> impl Iterator<Item = AlphaBlock<'_>> {
        let start = y * self.blocks_per_row;
        self.blocks[start..start + self.blocks_per_row].iter().map(|&block| match u8::try_from(block) {
            Ok(value) => AlphaBlock::Uniform(value),
            Err(_) => {
                let number = (block - VARIED) as usize;
                AlphaBlock::Varied(&self.pages[number / PAGE_BLOCKS][number % PAGE_BLOCKS])
            }
        })
    }

    /// Copies a row into a slice of the plane's width.
    pub(crate) fn copy(&self, y: usize, values: &mut [u8]) {
        for (part, block) in values.chunks_mut(BLOCK).zip(self.row(y)) {
            match block {
                AlphaBlock::Uniform(value) => part.fill(value),
                AlphaBlock::Varied(varied) => part.copy_from_slice(&varied[..part.len()]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went_in_for_any_width() {
        for width in [1, 63, 64, 65, 130, 200] {
            let values: Vec<u8> = (0..width * 5).map(|i| if i % 97 < 70 { 255 } else { (i * 7 % 251) as u8 }).collect();
            let plane = AlphaPlane::new(width, 5, values.clone()).unwrap();
            assert_eq!(plane.to_values().unwrap(), values, "width {width}");
        }
    }

    #[test]
    fn varied_blocks_go_on_in_the_next_page_when_one_is_full() {
        let width = 64 * 70;
        let values: Vec<u8> = (0..width * 70).map(|i| (i % 255) as u8).collect();
        let plane = AlphaPlane::new(width, 70, values.clone()).unwrap();
        assert_eq!(plane.rows().unwrap().pages.len(), 10);
        assert_eq!(plane.to_values().unwrap(), values);
    }

    #[test]
    fn a_plane_is_refused_when_its_bytes_do_not_fill_it() {
        assert_eq!(AlphaPlane::new(2, 2, vec![0; 3]), None);
        assert_eq!(AlphaPlane::new(0, 2, vec![]), None);
        assert_eq!(AlphaPlane::new(2, 0, vec![]), None);
        assert_eq!(AlphaPlane::from_rows(2, 2, AlphaRows::new(2)), None);
    }
}
