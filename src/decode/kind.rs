//! Which format a file is in, by its first bytes alone: names and media types of strangers are not trusted.

use crate::mesh::{Error, Result};

/// The formats read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Portable Network Graphics, APNG included.
    Png,
    /// WebP: lossy, lossless, animated.
    WebP,
    /// JPEG: baseline, progressive, grey, CMYK.
    Jpeg,
    /// GIF 87a and 89a.
    Gif,
    /// Windows bitmap.
    Bmp,
}

/// Bytes that decide the format; a shorter file is shown whole in the error.
pub(super) const MAGIC_BYTES: usize = 12;

impl Kind {
    /// Every format read.
    pub const ALL: [Self; 5] = [Self::Png, Self::WebP, Self::Jpeg, Self::Gif, Self::Bmp];

    /// The format whose magic bytes begin the file, from its first 12 bytes; `None` if it is none of those read.
    #[must_use]
    pub fn of(first_bytes: &[u8]) -> Option<Self> {
        match first_bytes {
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'B', b'M', ..] => Some(Self::Bmp),
            _ => None,
        }
    }

    /// The format's name as people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Jpeg => "JPEG",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
        }
    }

    /// The format's registered media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
        }
    }
}

/// The format, or an error that shows what was there instead.
pub(super) fn recognise(first_bytes: &[u8]) -> Result<Kind> {
    Kind::of(first_bytes).ok_or_else(|| {
        let found = if first_bytes.is_empty() {
            "an empty file".to_owned()
        } else {
            let hex: Vec<String> = first_bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("it begins with the bytes {}", hex.join(" "))
        };
        Error::ImageFormat { found }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_magic() {
        let files: [(&[u8], Kind); 6] = [
            (b"\x89PNG\r\n\x1a\n\0\0\0\r", Kind::Png),
            (b"RIFF\x10\0\0\0WEBP", Kind::WebP),
            (b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01", Kind::Jpeg),
            (b"GIF87a\x01\0\x01\0\0\0", Kind::Gif),
            (b"GIF89a\x01\0\x01\0\0\0", Kind::Gif),
            (b"BM\0\0\0\0\0\0\0\0\0\0", Kind::Bmp),
        ];
        for (bytes, kind) in files {
            assert_eq!(Kind::of(bytes), Some(kind));
        }
    }

    #[test]
    fn other_bytes_are_shown_in_the_error() {
        assert_eq!(recognise(b"").unwrap_err(), Error::ImageFormat { found: "an empty file".into() });
        let error = recognise(b"<svg").unwrap_err();
        assert_eq!(error, Error::ImageFormat { found: "it begins with the bytes 3c 73 76 67".into() });
    }
}
