//! The bytes of one image, with a count and a way to stop.

use std::fmt::Display;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

use super::{Kind, Limits};
use crate::mesh::{Error, Observer, Result, Stage};

/// Bytes read between two questions to the observer. Even a decoder that needs 100 ns a byte, ten times what the
/// slowest here needs, is asked every 2 ms.
const ASK_AFTER_BYTES: usize = 16 << 10;
/// What one read counts at least. A short read may stand for many pixels: a flat image is a few bytes a row.
const READ_COUNTS: usize = 512;

/// An image file, from its beginning. Reads fail once the observer wants to stop, which ends any decoder that reads.
pub(super) struct Source<'o, R> {
    inner: R,
    observer: &'o dyn Observer,
    kind: Kind,
    length: u64,
    unasked: usize,
    stopped: bool,
}

impl<'o, R: BufRead + Seek> Source<'o, R> {
    /// Finds out the file's length and format, and goes back to its beginning.
    pub(super) fn open(mut inner: R, limits: &Limits, observer: &'o dyn Observer) -> Result<Self> {
        let unreadable = |e: io::Error| Error::ImageLoad { format: "source", reason: format!("reading failed ({e})") };
        let length = inner.seek(SeekFrom::End(0)).map_err(unreadable)?;
        check_limit("file size", length, limits.max_bytes)?;
        inner.rewind().map_err(unreadable)?;
        let mut first_bytes = Vec::with_capacity(super::kind::MAGIC_BYTES);
        inner.by_ref().take(super::kind::MAGIC_BYTES as u64).read_to_end(&mut first_bytes).map_err(unreadable)?;
        inner.rewind().map_err(unreadable)?;
        let kind = super::kind::recognise(&first_bytes)?;
        Ok(Self { inner, observer, kind, length, unasked: 0, stopped: false })
    }

    /// The format found by the first bytes.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Bytes in the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// [`Error::Stopped`] if the observer wants to stop; for loops that compute without reading.
    pub(super) fn check_stop(&mut self) -> Result<()> {
        self.unasked = 0;
        self.stopped |= self.observer.should_stop();
        if self.stopped { Err(self.stop_error()) } else { Ok(()) }
    }

    /// Why decoding ended early: the observer if it asked for that, otherwise the file.
    pub(super) fn fault(&self, reason: impl Display) -> Error {
        if self.stopped {
            return self.stop_error();
        }
        Error::ImageLoad { format: self.kind.name(), reason: reason.to_string() }
    }

    /// Fills the buffer from the file.
    pub(super) fn read_whole(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.read_exact(buffer).map_err(|e| self.read_fault(&e))
    }

    /// The next `N` bytes.
    pub(super) fn read_array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_whole(&mut bytes)?;
        Ok(bytes)
    }

    /// Why reading ended early; the end of the file is the common reason.
    pub(super) fn read_fault(&self, error: &io::Error) -> Error {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            self.fault(format_args!("the file is cut short after {} bytes", self.length))
        } else {
            self.fault(format_args!("reading failed ({error})"))
        }
    }

    /// Moves to a byte, counted from the beginning of the file.
    pub(super) fn go_to(&mut self, position: u64) -> Result<()> {
        self.seek(SeekFrom::Start(position)).map(drop).map_err(|e| self.read_fault(&e))
    }

    fn stop_error(&self) -> Error {
        Error::Stopped { stage: Stage::Decode.activity() }
    }

    fn ask(&mut self, bytes: usize) -> io::Result<()> {
        self.unasked += bytes.max(READ_COUNTS);
        if self.unasked >= ASK_AFTER_BYTES {
            self.unasked = 0;
            self.stopped |= self.observer.should_stop();
        }
        if self.stopped { Err(io::Error::other("stopped")) } else { Ok(()) }
    }
}

/// [`Error::ImageTooLarge`] if the value is over the limit.
pub(super) fn check_limit(what: &'static str, value: u64, limit: u64) -> Result<()> {
    if value > limit { Err(Error::ImageTooLarge { what, value, limit }) } else { Ok(()) }
}

impl<R: BufRead + Seek> Read for Source<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.ask(buffer.len())?;
        self.inner.read(buffer)
    }
}

impl<R: BufRead + Seek> BufRead for Source<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.ask(0)?;
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.unasked += bytes;
        self.inner.consume(bytes);
    }
}

impl<R: BufRead + Seek> Seek for Source<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        self.inner.stream_position()
    }

    fn seek_relative(&mut self, offset: i64) -> io::Result<()> {
        self.inner.seek_relative(offset)
    }
}
