//! The image data of a PNG as filtered rows, through a small window: the pixels of a large image never exist at once.

use std::io::{BufRead, Seek};

use fdeflate::Decompressor;

use super::chunks::Chunks;
use super::header::Pass;
use crate::mesh::Result;

/// How far back the compressed data may refer (RFC 1950).
const HISTORY_BYTES: usize = 32 << 10;
/// Bytes inflated at once. 64 to 512 KiB are equally fast; this much stays in the second-level cache beside the row
/// being read, and is little to allocate for a small sprite.
const SLAB_BYTES: usize = 128 << 10;

/// Inflates the IDAT chunks and cuts them into rows.
pub(super) struct Rows<'c, 's, 'o, R> {
    chunks: &'c mut Chunks<'s, 'o, R>,
    inflater: Box<Decompressor>,
    /// History, the rows that wait, and room: `window[begin..end]` waits.
    window: Vec<u8>,
    begin: usize,
    end: usize,
    /// The last IDAT chunk is behind.
    at_end: bool,
}

impl<'c, 's, 'o, R: BufRead + Seek> Rows<'c, 's, 'o, R> {
    /// Begins at the first IDAT chunk.
    pub(super) fn new(chunks: &'c mut Chunks<'s, 'o, R>) -> Self {
        Self { chunks, inflater: Box::new(Decompressor::new()), window: Vec::new(), begin: 0, end: 0, at_end: false }
    }

    /// Hands out every row of every pass, filter byte first, then verifies that the file ends as it should.
    pub(super) fn read(mut self, passes: &[Pass], mut row: impl FnMut(u32, &[u8])) -> Result<()> {
        let longest = 1 + passes.iter().map(|pass| pass.row_bytes).max().unwrap_or(0);
        let image_bytes: u64 = passes.iter().map(|pass| u64::from(pass.rows) * (1 + pass.row_bytes as u64)).sum();
        // One byte more than the image shows whether the data goes on.
        let slab = SLAB_BYTES.max(longest).min(usize::try_from(image_bytes + 1).unwrap_or(usize::MAX));
        self.window = vec![0; HISTORY_BYTES + longest + slab];
        for pass in passes {
            let bytes = 1 + pass.row_bytes;
            for y in 0..pass.rows {
                while self.end - self.begin < bytes {
                    self.inflate()?;
                }
                let filtered = &self.window[self.begin..self.begin + bytes];
                if filtered[0] > 4 {
                    let filter = filtered[0];
                    return Err(self
                        .chunks
                        .fault(format_args!("row {y} has the filter type {filter}, which does not exist")));
                }
                row(y, filtered);
                self.begin += bytes;
            }
        }
        self.finish()
    }

    /// Inflates some more, at least one byte.
    fn inflate(&mut self) -> Result<()> {
        self.chunks.check_stop()?;
        self.make_room();
        let before = self.end;
        while self.end == before {
            if self.inflater.is_done() {
                return Err(self.chunks.fault("its image data ends before the last row"));
            }
            self.step()?;
        }
        Ok(())
    }

    /// Moves the history and the waiting rows to the window's beginning, once the room behind them is used up.
    fn make_room(&mut self) {
        if self.end < self.window.len() {
            return;
        }
        let kept = self.begin.min(self.end.saturating_sub(HISTORY_BYTES));
        self.window.copy_within(kept..self.end, 0);
        self.begin -= kept;
        self.end -= kept;
    }

    /// Gives the inflater what is buffered of the current chunk.
    fn step(&mut self) -> Result<()> {
        if self.chunks.left() == 0 && !self.at_end {
            self.next_chunk()?;
        }
        let Self { chunks, inflater, window, end, at_end, .. } = self;
        let (read, written) = if *at_end {
            (0, inflater.read(&[], window, *end, true).map(|(_, written)| written))
        } else {
            chunks.feed(|data| match inflater.read(data, window, *end, false) {
                Ok((read, written)) => (read, (read, Ok(written))),
                Err(error) => (0, (0, Err(error))),
            })?
        };
        let written = written.map_err(|error| chunks.fault(format_args!("its image data is damaged ({error:?})")))?;
        *end += written;
        if *at_end && read == 0 && written == 0 && !inflater.is_done() {
            return Err(chunks.fault("its image data is cut short"));
        }
        Ok(())
    }

    /// Goes on to the next IDAT chunk, if there is one.
    fn next_chunk(&mut self) -> Result<()> {
        self.chunks.finish()?;
        self.at_end = self.chunks.next()? != *b"IDAT";
        Ok(())
    }

    /// Verifies the checksum behind the last row and every chunk to the file's end.
    ///
    /// Rows beyond the last, and bytes after the compressed stream, are not looked at: the reference decoder ignores
    /// them too, and the chunk checksums still prove that the file arrived whole.
    fn finish(mut self) -> Result<()> {
        self.make_room();
        while !self.inflater.is_done() && self.end == self.begin {
            self.step()?;
        }
        while !self.at_end {
            self.next_chunk()?;
        }
        let mut name = self.chunks.name();
        while name != *b"IEND" {
            self.chunks.finish()?;
            name = self.chunks.next()?;
            if name == *b"IDAT" {
                return Err(self.chunks.fault("its image data is interrupted by other chunks"));
            }
        }
        self.chunks.finish()
    }
}
