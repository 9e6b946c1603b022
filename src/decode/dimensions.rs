//! Width and height from a file's header, to know what an image will cost before it is decoded.
//!
//! Nothing is verified here. A header that lies is found out when the image is decoded, under the same limits. Only the
//! beginning of a file is looked at, so that a megabyte of filling costs nobody time.

use super::Kind;

/// How far into a file its size is looked for, bytes. What cameras write before it, previews included, is shorter.
const HEADER_BYTES: usize = 1 << 20;

/// The format, width and height (px) that a file's header claims; `None` if it is none of the formats read or does not
/// say so in its first MiB.
#[must_use]
pub fn dimensions(file: &[u8]) -> Option<(Kind, u32, u32)> {
    let kind = Kind::of(file)?;
    let file = &file[..file.len().min(HEADER_BYTES)];
    let (width, height) = match kind {
        Kind::Png => (u32::from_be_bytes(field(file, 16)?), u32::from_be_bytes(field(file, 20)?)),
        Kind::Gif => gif(file)?,
        Kind::Bmp => bmp(file)?,
        Kind::WebP => webp(file)?,
        Kind::Jpeg => jpeg(file)?,
    };
    Some((kind, width, height))
}

fn field<const N: usize>(file: &[u8], from: usize) -> Option<[u8; N]> {
    file.get(from..)?.first_chunk().copied()
}

/// The screen, widened by a first frame that lies beyond it. Before that frame come a table of colours and extensions.
fn gif(file: &[u8]) -> Option<(u32, u32)> {
    let short = |from| Some(u32::from(u16::from_le_bytes(field(file, from)?)));
    let [flags] = field(file, 10)?;
    let mut at = 13 + if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    while field(file, at)? == [0x21] {
        at += 2;
        loop {
            let [length] = field(file, at)?;
            at += 1 + usize::from(length);
            if length == 0 {
                break;
            }
        }
    }
    let (right, bottom) = (short(at + 1)? + short(at + 5)?, short(at + 3)? + short(at + 7)?);
    Some((short(6)?.max(right), short(8)?.max(bottom)))
}

/// The height is negative where rows run from the top. The oldest header has 16-bit fields.
fn bmp(file: &[u8]) -> Option<(u32, u32)> {
    const OLDEST_HEADER_BYTES: u32 = 12;
    if u32::from_le_bytes(field(file, 14)?) == OLDEST_HEADER_BYTES {
        return Some((u16::from_le_bytes(field(file, 18)?).into(), u16::from_le_bytes(field(file, 20)?).into()));
    }
    let side = |from| Some(i32::from_le_bytes(field(file, from)?).unsigned_abs());
    Some((side(18)?, side(22)?))
}

/// The extended form has 24-bit sides less one, the lossless form 14 bits each less one, the lossy form 14 bits each.
fn webp(file: &[u8]) -> Option<(u32, u32)> {
    const FOURTEEN_BITS: u32 = 0x3fff;
    let side = |from| {
        let [low, middle, high] = field(file, from)?;
        Some(u32::from_le_bytes([low, middle, high, 0]) + 1)
    };
    match &field::<4>(file, 12)? {
        b"VP8X" => Some((side(24)?, side(27)?)),
        b"VP8L" => {
            let sides = u32::from_le_bytes(field(file, 21)?);
            Some(((sides & FOURTEEN_BITS) + 1, (sides >> 14 & FOURTEEN_BITS) + 1))
        }
        b"VP8 " => {
            let side = |from| Some(u32::from(u16::from_le_bytes(field(file, from)?)) & FOURTEEN_BITS);
            Some((side(26)?, side(28)?))
        }
        _ => None,
    }
}

/// Segments up to the first frame header; all but Huffman tables, extensions and arithmetic tables in 0xc0 to 0xcf are.
fn jpeg(file: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        match field::<2>(file, at)? {
            [0xff, 0xff] => at += 1,
            [0xff, 0xc4 | 0xc8 | 0xcc] | [0xff, 0xd0..=0xfe] | [0xff, 0x01..=0xbf] => {
                at += 2 + usize::from(u16::from_be_bytes(field(file, at + 2)?));
            }
            [0xff, 0xc0..=0xcf] => {
                let side = |from| Some(u32::from(u16::from_be_bytes(field(file, from)?)));
                return Some((side(at + 7)?, side(at + 5)?));
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;

    use super::super::{Limits, alpha_plane};
    use super::*;

    #[test]
    fn headers_agree_with_the_decoder() {
        let folders = ["testdata/corpus", "testdata/decode"].map(|folder| fs::read_dir(folder).unwrap());
        let mut seen = 0;
        for entry in folders.into_iter().flatten() {
            let path = entry.unwrap().path();
            let Ok(file) = fs::read(&path) else { continue };
            let Ok(plane) = alpha_plane(Cursor::new(&file), &Limits::default(), &()) else { continue };
            let claimed = dimensions(&file).map(|(_, width, height)| (width, height));
            assert_eq!(claimed, Some((plane.width(), plane.height())), "{}", path.display());
            seen += 1;
        }
        assert!(seen > 40, "{seen}");
    }

    #[test]
    fn a_header_that_is_cut_short_claims_nothing() {
        let file = fs::read("testdata/corpus/tiny-star-12.png").unwrap();
        assert_eq!(dimensions(&file[..23]), None);
        assert_eq!(dimensions(b"\xff\xd8\xff\xe0"), None);
        assert_eq!(dimensions(b"nothing"), None);
    }
}
