//! The one-channel path of PNG, against the general decoder, over random pixels, filters and chunks.

use std::io::{BufReader, Cursor};

use proptest::prelude::*;
use spinelift::decode::{Limits, alpha_plane, general_alpha_plane};

/// A PNG to be: filtered rows whatever the filters say, so all byte patterns occur.
#[derive(Debug, Clone)]
struct Image {
    width: u32,
    height: u32,
    colour: u8,
    depth: u8,
    interlaced: bool,
    rows: Vec<u8>,
    /// Where the image data is cut into chunks, in per mille of its length.
    cuts: Vec<usize>,
    level: Level,
    /// Entries of the palette's tRNS chunk, or the grey value that is transparent.
    transparency: usize,
}

#[derive(Debug, Clone, Copy)]
enum Level {
    Stored,
    Small,
}

impl Image {
    fn encode(&self) -> Vec<u8> {
        let data = match self.level {
            Level::Stored => stored(&self.rows),
            Level::Small => fdeflate::compress_to_vec(&self.rows),
        };
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let header = [
            &self.width.to_be_bytes()[..],
            &self.height.to_be_bytes(),
            &[self.depth, self.colour, 0, 0, u8::from(self.interlaced)],
        ];
        push_chunk(&mut file, b"IHDR", &header.concat());
        match self.colour {
            3 => {
                push_chunk(&mut file, b"PLTE", &[7; 3 * 200]);
                push_chunk(&mut file, b"tRNS", &(0..=u8::MAX).rev().collect::<Vec<u8>>()[..self.transparency]);
            }
            0 => push_chunk(&mut file, b"tRNS", &[0, self.transparency as u8]),
            _ => {}
        }
        let mut cuts: Vec<usize> = self.cuts.iter().map(|cut| cut * data.len() / 1000).collect();
        cuts.extend([0, data.len()]);
        cuts.sort_unstable();
        for pair in cuts.windows(2) {
            push_chunk(&mut file, b"IDAT", &data[pair[0]..pair[1]]);
        }
        push_chunk(&mut file, b"IEND", &[]);
        file
    }
}

fn push_chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    file.extend((data.len() as u32).to_be_bytes());
    file.extend(name);
    file.extend(data);
    file.extend(crc32fast::hash(&[name, data].concat()).to_be_bytes());
}

/// A zlib stream of stored blocks.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = data.chunks(60_000).peekable();
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    stream.extend(((b << 16) | a).to_be_bytes());
    stream
}

/// Differences as art has them: long runs of one value, mostly 0, between stretches of noise.
fn differences(bytes: usize) -> impl Strategy<Value = Vec<u8>> {
    let run = (prop_oneof![6 => Just(0_u8), 1 => Just(255_u8), 1 => any::<u8>()], 1..400_usize)
        .prop_map(|(value, length)| vec![value; length]);
    let noise = prop::collection::vec(any::<u8>(), 1..90);
    prop::collection::vec(prop_oneof![3 => run, 1 => noise], 1..40).prop_map(move |parts| {
        let pattern = parts.concat();
        pattern.into_iter().cycle().take(bytes).collect()
    })
}

/// The bytes of each row in the order of the file, filter byte included; those of seven passes if interlaced.
fn row_lengths(width: u32, height: u32, pixel: usize, interlaced: bool) -> Vec<usize> {
    let passes: &[[u32; 4]] = if interlaced {
        &[[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]]
    } else {
        &[[0, 0, 1, 1]]
    };
    let lengths = passes.iter().flat_map(|&[column, row, columns, rows]| {
        let pixels = width.saturating_sub(column).div_ceil(columns) as usize;
        let rows = if pixels > 0 { height.saturating_sub(row).div_ceil(rows) } else { 0 };
        std::iter::repeat_n(1 + pixels * pixel, rows as usize)
    });
    lengths.collect()
}

fn image() -> impl Strategy<Value = Image> {
    const LAYOUTS: [(u8, u8, usize); 6] = [(0, 8, 1), (3, 8, 1), (4, 8, 2), (6, 8, 4), (4, 16, 4), (6, 16, 8)];
    let layout = prop::sample::select(&LAYOUTS);
    (1..200_u32, 1..24_u32, layout, any::<bool>(), 1..=256_usize).prop_flat_map(
        |(width, height, (colour, depth, pixel), interlaced, transparency)| {
            let lengths = row_lengths(width, height, pixel, interlaced);
            let filters = prop::collection::vec(0..5_u8, lengths.len());
            let level = prop_oneof![Just(Level::Stored), Just(Level::Small)];
            let cuts = prop::collection::vec(0..=1000_usize, 0..6);
            (differences(lengths.iter().sum()), filters, cuts, level).prop_map(
                move |(mut rows, filters, cuts, level)| {
                    let mut begin = 0;
                    for (length, filter) in lengths.iter().zip(filters) {
                        rows[begin] = filter;
                        begin += length;
                    }
                    Image { width, height, colour, depth, interlaced, rows, cuts, level, transparency }
                },
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn alpha_alone_equals_alpha_of_all_channels(image in image(), buffer_bytes in 1..3000_usize) {
        let file = image.encode();
        let limits = Limits::default();
        let general = general_alpha_plane(Cursor::new(&file), &limits, &()).unwrap();
        let fast = alpha_plane(Cursor::new(&file), &limits, &()).unwrap();
        prop_assert!(fast == general);
        let streamed = alpha_plane(BufReader::with_capacity(buffer_bytes, Cursor::new(&file)), &limits, &()).unwrap();
        prop_assert!(streamed == general);
    }
}

#[test]
fn rows_longer_than_the_window_are_read() {
    let (width, height) = (30_000_u32, 9_u32);
    let row = 1 + width as usize * 8;
    let mut rows: Vec<u8> = (0..row * height as usize).map(|i| (i * i / 977 % 251) as u8).collect();
    rows.iter_mut().step_by(row).enumerate().for_each(|(y, filter)| *filter = (y % 5) as u8);
    for level in [Level::Stored, Level::Small] {
        let interlaced = false;
        let image = Image {
            width,
            height,
            colour: 6,
            depth: 16,
            interlaced,
            rows: rows.clone(),
            cuts: vec![500],
            level,
            transparency: 0,
        };
        let file = image.encode();
        let limits = Limits { max_width: width, ..Limits::default() };
        let fast = alpha_plane(Cursor::new(&file), &limits, &()).unwrap();
        assert!(fast == general_alpha_plane(Cursor::new(&file), &limits, &()).unwrap());
    }
}
