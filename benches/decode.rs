//! Decoding against plain inflate in the same run: `cargo bench --bench decode -- FILE.png...`.
//! Without files: every 512 px image under `testdata/corpus`.
#![expect(clippy::print_stdout, reason = "its output is a table")]

use std::io::Cursor;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use spinelift::decode::{Limits, alpha_plane, general_alpha_plane};

/// The quickest of many runs, as the machine is shared.
fn quickest(mut run: impl FnMut()) -> Duration {
    let begin = Instant::now();
    let mut best = Duration::MAX;
    let mut rounds = 0;
    while rounds < 5 || begin.elapsed() < Duration::from_millis(600) {
        let begin = Instant::now();
        run();
        best = best.min(begin.elapsed());
        rounds += 1;
    }
    best
}

/// The image data of a PNG, joined, and the bytes it inflates to; `None` for other formats.
fn image_data(file: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut data, mut at) = (Vec::new(), 8);
    if !file.starts_with(b"\x89PNG") {
        return None;
    }
    while at + 8 <= file.len() {
        let length = u32::from_be_bytes(file[at..at + 4].try_into().ok()?) as usize;
        if &file[at + 4..at + 8] == b"IDAT" {
            data.extend_from_slice(&file[at + 8..at + 8 + length]);
        }
        at += 12 + length;
    }
    let size = fdeflate::decompress_to_vec(&data).ok()?.len();
    Some((data, size))
}

fn main() {
    let named: Vec<PathBuf> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).map(PathBuf::from).collect();
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/corpus");
    let files = if named.is_empty() {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(corpus).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.to_string_lossy().contains("-512."));
        files.sort();
        files
    } else {
        named
    };
    println!("{:>9} {:>9} {:>9} {:>9}  file (ms)", "ours", "general", "fdeflate", "fresh");
    let limits = Limits { max_width: 16384, max_height: 16384, ..Limits::default() };
    for path in files {
        let Ok(file) = std::fs::read(&path) else { continue };
        let ours = quickest(|| drop(std::hint::black_box(alpha_plane(Cursor::new(&file[..]), &limits, &()))));
        let general =
            quickest(|| drop(std::hint::black_box(general_alpha_plane(Cursor::new(&file[..]), &limits, &()))));
        let (window, fresh) = image_data(&file).map_or((Duration::ZERO, Duration::ZERO), |(data, size)| {
            (quickest(|| inflate_through_window(&data)), quickest(|| inflate_into_fresh_buffer(&data, size)))
        });
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        println!("{:9.3} {:9.3} {:9.3} {:9.3}  {name}", ms(ours), ms(general), ms(window), ms(fresh));
    }
}

fn inflate_into_fresh_buffer(data: &[u8], size: usize) {
    let mut buffer = vec![0; size];
    let written = fdeflate::Decompressor::new().read(data, &mut buffer, 0, true);
    assert!(written.is_ok_and(|(_, written)| written == size));
}

/// As a streaming reader does, without looking at the bytes.
fn inflate_through_window(data: &[u8]) {
    const HISTORY: usize = 32 << 10;
    let mut window = vec![0; HISTORY + (128 << 10)];
    let mut inflater = fdeflate::Decompressor::new();
    let (mut read, mut end) = (0, 0);
    while !inflater.is_done() {
        if end == window.len() {
            window.copy_within(end - HISTORY.., 0);
            end = HISTORY;
        }
        let Ok((used, written)) = inflater.read(&data[read..], &mut window, end, true) else { return };
        read += used;
        end += written;
    }
}
