//! A PNG file as a sequence of chunks (PNG specification, third edition, section 5), checksums verified.
//!
//! Chunk data is handed out where the reader buffered it: a file in memory is never copied.

use std::io::{BufRead, Seek};

use crc32fast::Hasher;

use crate::decode::source::Source;
use crate::mesh::{Error, Result};

/// A chunk's four letters.
pub(super) type Name = [u8; 4];

/// The specification's limit on a chunk's length.
const MAX_CHUNK_BYTES: u32 = i32::MAX as u32;

/// Reads one chunk after the other. The checksum of every chunk is verified, also of those that are skipped: it is
/// what tells a damaged file from a whole one.
pub(super) struct Chunks<'s, 'o, R> {
    source: &'s mut Source<'o, R>,
    name: Name,
    left: u32,
    checksum: Hasher,
}

impl<'s, 'o, R: BufRead + Seek> Chunks<'s, 'o, R> {
    /// Goes to the file's beginning and passes the signature.
    pub(super) fn open(source: &'s mut Source<'o, R>) -> Result<Self> {
        const SIGNATURE_BYTES: u64 = 8;
        source.go_to(SIGNATURE_BYTES)?;
        Ok(Self { source, name: *b"    ", left: 0, checksum: Hasher::new() })
    }

    /// Begins the next chunk: its name. [`finish`](Self::finish) comes before.
    pub(super) fn next(&mut self) -> Result<Name> {
        let [l0, l1, l2, l3, name @ ..] = self.source.read_array::<8>()?;
        self.left = u32::from_be_bytes([l0, l1, l2, l3]);
        self.name = name;
        if self.left > MAX_CHUNK_BYTES {
            return Err(self.fault(format_args!("the {} chunk's length is out of range", self.shown_name())));
        }
        self.checksum = Hasher::new();
        self.checksum.update(&name);
        Ok(name)
    }

    /// The current chunk's name.
    pub(super) fn name(&self) -> Name {
        self.name
    }

    /// Bytes of the chunk's data that are still to come.
    pub(super) fn left(&self) -> u32 {
        self.left
    }

    /// Hands out what the reader has buffered of the chunk's data, at least one byte unless the data has ended; the
    /// closure says how many bytes it used, and what it made of them.
    pub(super) fn feed<T>(&mut self, using: impl FnOnce(&[u8]) -> (usize, T)) -> Result<T> {
        if self.left == 0 {
            return Ok(using(&[]).1);
        }
        let buffered = match self.source.fill_buf() {
            Ok([]) => return Err(self.source.read_fault(&std::io::ErrorKind::UnexpectedEof.into())),
            Ok(buffered) => buffered,
            Err(error) => return Err(self.source.read_fault(&error)),
        };
        let data = &buffered[..buffered.len().min(self.left as usize)];
        let (used, made) = using(data);
        self.checksum.update(&data[..used]);
        self.left -= used as u32;
        self.source.consume(used);
        Ok(made)
    }

    /// The whole data of a short chunk.
    pub(super) fn read_array<const N: usize>(&mut self) -> Result<[u8; N]> {
        if self.left as usize != N {
            return Err(self.fault(format_args!(
                "the {} chunk has {} bytes instead of {N}",
                self.shown_name(),
                self.left
            )));
        }
        let mut bytes = [0; N];
        self.read_whole(&mut bytes)?;
        Ok(bytes)
    }

    /// As many bytes of the chunk's data as fill the buffer; there must be so many.
    pub(super) fn read_whole(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.source.read_whole(bytes)?;
        self.checksum.update(bytes);
        self.left -= bytes.len() as u32;
        Ok(())
    }

    /// Skips what is left of the chunk's data and verifies its checksum.
    pub(super) fn finish(&mut self) -> Result<()> {
        while self.left > 0 {
            self.feed(|data| (data.len(), ()))?;
        }
        let stored = u32::from_be_bytes(self.source.read_array::<4>()?);
        let computed = std::mem::take(&mut self.checksum).finalize();
        if stored != computed {
            return Err(self.fault(format_args!("the checksum of the {} chunk is wrong", self.shown_name())));
        }
        Ok(())
    }

    /// Asks the observer, for loops that compute more than they read.
    pub(super) fn check_stop(&mut self) -> Result<()> {
        self.source.check_stop()
    }

    /// An error of this file.
    pub(super) fn fault(&self, reason: impl std::fmt::Display) -> Error {
        self.source.fault(reason)
    }

    fn shown_name(&self) -> String {
        self.name.escape_ascii().to_string()
    }
}
