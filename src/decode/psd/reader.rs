//! The file's bytes, read from the front, big-endian. Nothing is believed about a length until its bytes are there.

use crate::mesh::{Error, Result};

/// What is left of the file, or of one of its sections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
}

/// [`Error::ImageLoad`] for a PSD.
pub(super) fn fault(reason: impl Into<String>) -> Error {
    Error::ImageLoad { format: "PSD", reason: reason.into() }
}

impl<'a> Bytes<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// All that is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `length` bytes; `what` they are goes into the error.
    pub(super) fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            let left = self.rest.len();
            return Err(fault(format!("its {what} should be {length} bytes, {left} are left; the file is cut short")));
        };
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N, what)?);
        Ok(bytes)
    }

    pub(super) fn u8(&mut self, what: &str) -> Result<u8> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self, what: &str) -> Result<u16> {
        self.array(what).map(u16::from_be_bytes)
    }

    pub(super) fn i16(&mut self, what: &str) -> Result<i16> {
        self.array(what).map(i16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self, what: &str) -> Result<i32> {
        self.array(what).map(i32::from_be_bytes)
    }

    /// A length: 4 bytes, or 8 where the large format (PSB) widens it.
    pub(super) fn length(&mut self, is_wide: bool, what: &str) -> Result<usize> {
        let length = if is_wide { self.array(what).map(u64::from_be_bytes)? } else { self.u32(what)?.into() };
        usize::try_from(length).map_err(|_| fault(format!("its {what} should be {length} bytes")))
    }

    /// A section that begins with its length.
    pub(super) fn section(&mut self, is_wide: bool, what: &str) -> Result<Self> {
        let length = self.length(is_wide, what)?;
        self.take(length, what).map(Self::new)
    }

    /// Passes over zeros that fill up to an even or fourfold length: writers differ, and no block begins with one.
    pub(super) fn skip_padding(&mut self) {
        let zeros = self.rest.iter().take(3).take_while(|byte| **byte == 0).count();
        self.rest = &self.rest[zeros..];
    }
}
