//! What the codes of a lossless picture take in memory, known before the decoder builds them.
//!
//! A lossless picture may have 65,536 groups of five prefix codes, and its decoder builds a table for each of them, needed
//! or not: five megabytes of codes for a picture of one pixel become gigabytes. So the part of the file in front of the
//! pixels is walked first, as the specification of the lossless format has it, without building anything: the small
//! pictures of the transforms, the one that says which group is used where, and the lengths of all codes.

use std::io::{BufRead, Read, Seek};
use std::ops::Range;

use crate::decode::source::Source;
use crate::mesh::Result;

/// Most memory for codes, bytes. The common encoder makes at most 2,600 groups.
pub const MOST_BYTES: u64 = 64 << 20;

/// A group of five codes takes this much beside their tables, and twice that while the list of groups grows.
const GROUP_BYTES: u64 = 1 << 10;
/// Codes up to this long are looked up in a table of 4 bytes an entry, the longer ones in a tree of 32 bytes a symbol.
const TABLE_BITS: usize = 10;
const ENTRY_BYTES: u64 = 4;
const LONG_SYMBOL_BYTES: u64 = 32;

const LONGEST_CODE: usize = 15;
/// Symbols of the codes for green, red, blue, alpha and distances.
const ALPHABETS: [usize; 5] = [256 + 24, 256, 256, 256, 40];
/// In green's alphabet literals come first, then lengths of copies, then places in the cache of colours.
const FIRST_LENGTH: u16 = 256;
const FIRST_CACHED: u16 = 256 + 24;
/// The order in which the lengths of the codes of lengths are written.
const ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

const DAMAGED: &str = "its lossless picture is damaged";

/// An error if the codes of the picture would take more memory than any real one needs. `data` begins behind the
/// picture's size, which is `width` x `height` px.
pub(super) fn check<R: BufRead + Seek>(
    source: &mut Source<'_, R>,
    data: Range<u64>,
    width: u32,
    height: u32,
) -> Result<()> {
    source.go_to(data.start)?;
    let left = data.end.saturating_sub(data.start);
    let mut walk = Walk { source, left, buffer: Vec::new(), at: 0, bits: 0, count: 0, bytes: 0 };
    let width = walk.transforms(width, height)?;
    walk.picture(width, height)
}

/// Reads bits, the lowest of a byte first.
struct Walk<'s, 'o, R> {
    source: &'s mut Source<'o, R>,
    /// Bytes of the picture that were not read yet.
    left: u64,
    buffer: Vec<u8>,
    at: usize,
    bits: u64,
    count: u32,
    /// What the codes take that were read so far.
    bytes: u64,
}

/// A prefix code by its lengths.
enum Code {
    /// The only symbol takes no bits.
    Single(u16),
    /// How many codes there are of each length, and their symbols in order.
    Many { counts: [u16; LONGEST_CODE + 1], symbols: Vec<u16> },
}

impl<R: BufRead + Seek> Walk<'_, '_, R> {
    /// Passes the transforms; the width (px) that the picture has before they are undone.
    fn transforms(&mut self, mut width: u32, height: u32) -> Result<u32> {
        let mut seen = [false; 4];
        while self.take(1)? == 1 {
            let kind = self.take(2)?;
            if std::mem::replace(&mut seen[kind as usize], true) {
                return Err(self.source.fault(DAMAGED));
            }
            match kind {
                0 | 1 => {
                    let bits = self.take(3)? + 2;
                    self.small_picture(width.div_ceil(1 << bits), height.div_ceil(1 << bits))?;
                }
                2 => {}
                _ => {
                    let colours = self.take(8)? + 1;
                    self.small_picture(colours, 1)?;
                    // Several pixels share a byte where there are few colours.
                    width = match colours {
                        ..=2 => width.div_ceil(8),
                        3..=4 => width.div_ceil(4),
                        5..=16 => width.div_ceil(2),
                        _ => width,
                    };
                }
            }
        }
        Ok(width)
    }

    /// The codes of the picture itself, whose pixels nobody needs here.
    fn picture(&mut self, width: u32, height: u32) -> Result<()> {
        let cached = self.cached_colours()?;
        let mut groups = 1;
        if self.take(1)? == 1 {
            let bits = self.take(3)? + 2;
            groups += self.small_picture(width.div_ceil(1 << bits), height.div_ceil(1 << bits))?;
        }
        for _ in 0..groups {
            self.group(cached)?;
        }
        Ok(())
    }

    /// Passes a picture of one group; the largest number in the 16 bits of red and green of its pixels. Copies and cached
    /// colours repeat earlier pixels, so the literal ones have it.
    fn small_picture(&mut self, width: u32, height: u32) -> Result<u32> {
        let cached = self.cached_colours()?;
        let [green, red, blue, alpha, distance] = self.group(cached)?;
        let mut left = u64::from(width) * u64::from(height);
        let mut largest = 0;
        while left > 0 {
            let code = self.symbol(&green)?;
            let pixels = if code < FIRST_LENGTH {
                largest = largest.max(u32::from(self.symbol(&red)?) << 8 | u32::from(code));
                self.symbol(&blue)?;
                self.symbol(&alpha)?;
                let all_alike = [&green, &red, &blue, &alpha].iter().all(|code| matches!(code, Code::Single(_)));
                if all_alike { left } else { 1 }
            } else if code < FIRST_CACHED {
                let length = self.copy_number(code - FIRST_LENGTH)?;
                let distance = self.symbol(&distance)?;
                self.copy_number(distance)?;
                length
            } else {
                1
            };
            let Some(rest) = left.checked_sub(pixels) else { return Err(self.source.fault(DAMAGED)) };
            left = rest;
        }
        Ok(largest)
    }

    /// Colours in the cache.
    fn cached_colours(&mut self) -> Result<usize> {
        if self.take(1)? == 0 {
            return Ok(0);
        }
        match self.take(4)? {
            bits @ 1..=11 => Ok(1 << bits),
            _ => Err(self.source.fault(DAMAGED)),
        }
    }

    /// The five codes of a group, and what they take.
    fn group(&mut self, cached: usize) -> Result<[Code; 5]> {
        let [green, others @ ..] = ALPHABETS;
        let group = [
            self.code(green + cached)?,
            self.code(others[0])?,
            self.code(others[1])?,
            self.code(others[2])?,
            self.code(others[3])?,
        ];
        self.bytes += GROUP_BYTES + group.iter().map(Code::bytes).sum::<u64>();
        if self.bytes > MOST_BYTES {
            return Err(self.source.fault("its codes take more memory than any picture needs"));
        }
        Ok(group)
    }

    fn code(&mut self, alphabet: usize) -> Result<Code> {
        let mut lengths = vec![0; alphabet];
        if self.take(1)? == 0 {
            self.lengths(&mut lengths)?;
        } else {
            let is_pair = self.take(1)? == 1;
            let first_bits = 1 + 7 * self.take(1)?;
            let first = self.take(first_bits)? as usize;
            let second = if is_pair { self.take(8)? as usize } else { first };
            if first.max(second) >= alphabet {
                return Err(self.source.fault(DAMAGED));
            }
            if !is_pair {
                return Ok(Code::Single(first as u16));
            }
            // The same symbol twice still takes a bit, as the lengths could not say.
            let mut counts = [0; LONGEST_CODE + 1];
            counts[1] = 2;
            return Ok(Code::Many { counts, symbols: vec![first as u16, second as u16] });
        }
        Code::of(&lengths).ok_or_else(|| self.source.fault(DAMAGED))
    }

    /// Reads lengths of codes, which are written in a code of their own.
    fn lengths(&mut self, lengths: &mut [u8]) -> Result<()> {
        let mut lengths_of_lengths = [0; ORDER.len()];
        for &place in &ORDER[..4 + self.take(4)? as usize] {
            lengths_of_lengths[place] = self.take(3)? as u8;
        }
        let code = Code::of(&lengths_of_lengths).ok_or_else(|| self.source.fault(DAMAGED))?;
        let mut most = lengths.len();
        if self.take(1)? == 1 {
            let bits = 2 + 2 * self.take(3)?;
            most = 2 + self.take(bits)? as usize;
        }
        let (mut at, mut last) = (0, 8);
        while at < lengths.len() && most > 0 {
            most -= 1;
            let (length, times) = match self.symbol(&code)? {
                16 => (last, 3 + self.take(2)?),
                17 => (0, 3 + self.take(3)?),
                18 => (0, 11 + self.take(7)?),
                length => (length as u8, 1),
            };
            let Some(places) = lengths.get_mut(at..at + times as usize) else {
                return Err(self.source.fault(DAMAGED));
            };
            places.fill(length);
            at += times as usize;
            if length != 0 {
                last = length;
            }
        }
        Ok(())
    }

    /// The number that a symbol and some more bits stand for: of pixels, or a distance.
    fn copy_number(&mut self, symbol: u16) -> Result<u64> {
        if symbol < 4 {
            return Ok(u64::from(symbol) + 1);
        }
        let bits = u32::from(symbol - 2) >> 1;
        let offset = (2 + u64::from(symbol & 1)) << bits;
        Ok(offset + u64::from(self.take(bits)?) + 1)
    }

    fn symbol(&mut self, code: &Code) -> Result<u16> {
        let (counts, symbols) = match code {
            Code::Single(symbol) => return Ok(*symbol),
            Code::Many { counts, symbols } => (counts, symbols),
        };
        // Codes of one length are consecutive numbers, and those of the next length go on where they end.
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &counts[1..] {
            code |= self.take(1)?;
            let count = u32::from(count);
            if code < first + count {
                return symbols.get((index + code - first) as usize).copied().ok_or_else(|| self.source.fault(DAMAGED));
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(self.source.fault(DAMAGED))
    }

    /// The next bits as a number; at most 24.
    fn take(&mut self, bits: u32) -> Result<u32> {
        while self.count < bits {
            self.bits |= u64::from(self.byte()?) << self.count;
            self.count += 8;
        }
        let value = self.bits & ((1 << bits) - 1);
        self.bits >>= bits;
        self.count -= bits;
        Ok(value as u32)
    }

    fn byte(&mut self) -> Result<u8> {
        const BUFFER_BYTES: u64 = 4 << 10;
        if self.at == self.buffer.len() {
            self.at = 0;
            self.buffer.clear();
            let next = self.left.min(BUFFER_BYTES);
            self.left -= next;
            let read = self.source.by_ref().take(next).read_to_end(&mut self.buffer);
            read.map_err(|error| self.source.read_fault(&error))?;
        }
        let byte = self.buffer.get(self.at).copied().ok_or_else(|| self.source.fault(DAMAGED))?;
        self.at += 1;
        Ok(byte)
    }
}

impl Code {
    /// The code with these lengths; 0 stands for a symbol that does not occur. `None` if there is no such code.
    fn of(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0; LONGEST_CODE + 1];
        for &length in lengths {
            *counts.get_mut(usize::from(length))? += 1_u16;
        }
        counts[0] = 0;
        let mut by_length: Vec<(u8, u16)> =
            lengths.iter().copied().zip(0..).filter(|(length, _)| *length > 0).collect();
        by_length.sort_unstable();
        let symbols: Vec<u16> = by_length.into_iter().map(|(_, symbol)| symbol).collect();
        if let [only] = symbols[..] {
            return Some(Self::Single(only));
        }
        // Every path of the tree must end at a symbol.
        let mut open = 1_i32;
        for &count in &counts[1..] {
            open = open * 2 - i32::from(count);
            if open < 0 {
                return None;
            }
        }
        (open == 0).then_some(Self::Many { counts, symbols })
    }

    /// What the decoder takes for it.
    fn bytes(&self) -> u64 {
        let Self::Many { counts, .. } = self else { return 0 };
        let longest = counts.iter().rposition(|count| *count > 0).unwrap_or(0).min(TABLE_BITS);
        let long: u64 = counts[TABLE_BITS + 1..].iter().map(|count| u64::from(*count)).sum();
        (ENTRY_BYTES << longest) + long * LONG_SYMBOL_BYTES
    }
}
