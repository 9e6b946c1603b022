//! Image files that nobody means well with, made of their parts.

use fdeflate::Compressor;

/// A chunk with its right checksum.
pub(crate) fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let checksum = crc32fast::hash(&[name, data].concat());
    [&(data.len() as u32).to_be_bytes()[..], name, data, &checksum.to_be_bytes()].concat()
}

/// A PNG from its chunks.
pub(crate) fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat()
}

pub(crate) fn ihdr(width: u32, height: u32, depth: u8, colour: u8, interlace: u8) -> Vec<u8> {
    let data = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, interlace]].concat();
    chunk(b"IHDR", &data)
}

pub(crate) fn iend() -> Vec<u8> {
    chunk(b"IEND", &[])
}

/// A PNG of grey and alpha, 8 bits each, of which only alpha is anything.
pub(crate) fn png_of_alpha(width: u32, height: u32, alpha: impl Fn(u32, u32) -> u8) -> Vec<u8> {
    let mut data = Compressor::new(Vec::new()).unwrap();
    let mut row = vec![0; 1 + 2 * width as usize];
    for y in 0..height {
        for x in 0..width {
            row[2 + 2 * x as usize] = alpha(x, y);
        }
        data.write_data(&row).unwrap();
    }
    png(&[ihdr(width, height, 8, 4, 0), chunk(b"IDAT", &data.finish().unwrap()), iend()])
}

/// A zlib stream of so many MiB of zeros.
pub(crate) fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut data = Compressor::new(Vec::new()).unwrap();
    let mebibyte = vec![0; 1 << 20];
    for _ in 0..mebibytes {
        data.write_data(&mebibyte).unwrap();
    }
    data.finish().unwrap()
}

/// A RIFF file of one chunk.
pub(crate) fn webp(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    riff(&[riff_chunk(name, data)])
}

pub(crate) fn riff_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let padding = &[0][..data.len() % 2];
    [name, &(data.len() as u32).to_le_bytes()[..], data, padding].concat()
}

pub(crate) fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let data = chunks.concat();
    [b"RIFF", &(4 + data.len() as u32).to_le_bytes()[..], b"WEBP", &data].concat()
}

/// A canvas, animated or not, of an extended file.
pub(crate) fn vp8x(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let (width, height) = ((width - 1).to_le_bytes(), (height - 1).to_le_bytes());
    riff_chunk(b"VP8X", &[&[flags, 0, 0, 0], &width[..3], &height[..3]].concat())
}

/// A lossless WebP, by an ordinary encoder.
pub(crate) fn webp_of_pixels(width: u32, height: u32, rgba: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    image_webp::WebPEncoder::new(&mut file).encode(rgba, width, height, image_webp::ColorType::Rgba8).unwrap();
    file
}

/// The data of the only chunk of a file.
pub(crate) fn only_chunk(file: &[u8]) -> &[u8] {
    let length = u32::from_le_bytes(file[16..20].try_into().unwrap()) as usize;
    &file[20..20 + length]
}

/// Bits, the lowest first, as WebP has them.
#[derive(Default)]
pub(crate) struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    pub(crate) fn put(&mut self, value: u32, bits: usize) -> &mut Self {
        for at in 0..bits {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> at & 1) as u8) << (self.count % 8);
            self.count += 1;
        }
        self
    }

    /// A code whose only symbol takes no bits.
    pub(crate) fn single(&mut self, symbol: u32) -> &mut Self {
        self.put(1, 1).put(0, 1).put(1, 1).put(symbol, 8)
    }
}

/// The data of a lossless picture of one pixel with so many groups of codes, each of which takes 68 KiB in 140 bytes.
/// Without the size that files have in front of it and alpha chunks have not.
pub(crate) fn codes_bomb(groups: u32, bits: &mut Bits) -> Vec<u8> {
    // No transforms, a cache of 2,048 colours, several groups, and in the picture of groups the last one's number.
    bits.put(0, 1).put(1, 1).put(11, 4).put(1, 1).put(0, 3).put(0, 1);
    bits.single((groups - 1) & 0xff).single((groups - 1) >> 8).single(0).single(0).single(0);
    for _ in 0..groups {
        // 2,048 symbols with codes of 11 bits: a length, and its repetition by sixes.
        bits.put(0, 1).put(15, 4);
        for length in [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] {
            bits.put(u32::from(matches!(length, 11 | 16)), 3);
        }
        bits.put(1, 1).put(4, 3).put(343 - 2, 10).put(0, 1);
        for _ in 0..341 {
            bits.put(1, 1).put(3, 2);
        }
        bits.put(0, 1);
        bits.single(0).single(0).single(0).single(0);
    }
    bits.put(0, 32);
    std::mem::take(&mut bits.bytes)
}

/// The same as a file.
pub(crate) fn webp_of_codes(groups: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0x2f, 8).put(0, 14).put(0, 14).put(1, 1).put(0, 3);
    let data = codes_bomb(groups, &mut bits);
    webp(b"VP8L", &data)
}

/// A JPEG: segments, each with its marker.
pub(crate) fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    [&[0xff, marker], &(data.len() as u16 + 2).to_be_bytes()[..], data].concat()
}

/// The head of a JPEG with so many components of the same sampling, whose codes have one symbol of one bit, 0, for each
/// of DC and AC, and for AC the run of 2^14 or more empty blocks as well.
pub(crate) fn jpeg_head(frame: u8, width: u16, height: u16, components: u8, sampling: u8) -> Vec<u8> {
    let mut sof = [&[8], &height.to_be_bytes()[..], &width.to_be_bytes(), &[components]].concat();
    for component in 1..=components {
        sof.extend([component, sampling, 0]);
    }
    let quantisation = [&[0][..], &[1; 64]].concat();
    let table = |class: u8, symbols: &[u8]| {
        // Of one bit the first, of two the second.
        let mut counts = [0; 16];
        counts[..symbols.len()].fill(1);
        segment(0xc4, &[&[class << 4], &counts[..], symbols].concat())
    };
    [b"\xff\xd8".to_vec(), segment(0xdb, &quantisation), segment(frame, &sof), table(0, &[0]), table(1, &[0, 0xe0])]
        .concat()
}

/// A scan of components 1 to `components`, with its data.
pub(crate) fn scan(components: std::ops::RangeInclusive<u8>, spectrum: [u8; 3], data: &[u8]) -> Vec<u8> {
    let mut header = vec![components.clone().count() as u8];
    for component in components {
        header.extend([component, 0]);
    }
    header.extend(spectrum);
    [segment(0xda, &header), data.to_vec()].concat()
}

/// A GIF's header with a palette of two colours.
pub(crate) fn gif_head(width: u16, height: u16) -> Vec<u8> {
    [b"GIF89a", &width.to_le_bytes()[..], &height.to_le_bytes(), &[0x80, 0, 0, 0, 0, 0, 255, 255, 255]].concat()
}

/// A frame of one pixel whose colour 0 is transparent or not.
pub(crate) fn gif_frame() -> Vec<u8> {
    b"\x21\xf9\x04\x00\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0".to_vec()
}

/// A BMP's headers.
pub(crate) fn bmp_head(width: i32, height: i32, depth: u16, compression: u32, colours: u32) -> Vec<u8> {
    let offset = 54 + 4 * colours;
    let mut file = b"BM\0\0\0\0\0\0\0\0".to_vec();
    file.extend(offset.to_le_bytes());
    file.extend(40_u32.to_le_bytes());
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend([1, 0]);
    file.extend(depth.to_le_bytes());
    file.extend(compression.to_le_bytes());
    file.extend([0; 12]);
    file.extend(colours.to_le_bytes());
    file.extend([0; 4]);
    file
}
