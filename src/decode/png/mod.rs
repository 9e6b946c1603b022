//! PNG to an alpha plane: the fast path where the format allows, the general decoder elsewhere.
//!
//! Every path first or at once proves the file whole: all rows inflate, the checksum of the image data and those of all
//! chunks are right, and the file ends with IEND. Two liberties, both taken by the reference decoders too: image data
//! beyond the last row is ignored, and so is anything after IEND.
//!
//! The default image is the first frame of an animated PNG. Transparency by colour (tRNS on grey or truecolour) compares
//! whole samples, as the specification asks; 16-bit samples too.

mod channel;
mod chunks;
mod general;
mod header;
mod inflate;
mod unfilter;

use std::io::{BufRead, Seek};

use super::source::Source;
use super::{Limits, Picture};
use crate::mesh::alpha::AlphaRows;
use crate::mesh::{AlphaPlane, Error, Result};
use channel::Layout;
use chunks::Chunks;
use header::{Header, Pass};
use inflate::Rows;

/// The alpha plane; opaque images are read and verified, but not kept.
pub(super) fn alpha_plane<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<AlphaPlane> {
    let mut chunks = Chunks::open(source)?;
    let header = Header::read(&mut chunks, limits)?;
    if let Some(layout) = Layout::of(&header) {
        return read_channel(&mut chunks, &header, layout);
    }
    Rows::new(&mut chunks).read(&header.passes(), |_, _| {})?;
    if header.has_alpha() {
        return general::alpha_plane(source);
    }
    AlphaPlane::opaque(header.width, header.height).ok_or_else(lost_pixels)
}

/// The alpha plane through the general decoder alone, to compare the fast path with.
pub(super) fn general_alpha_plane<R: BufRead + Seek>(
    source: &mut Source<'_, R>,
    limits: &Limits,
) -> Result<AlphaPlane> {
    verify(source, limits)?;
    general::alpha_plane(source)
}

/// The colours.
pub(super) fn rgba<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<Picture> {
    verify(source, limits)?;
    general::rgba(source)
}

fn verify<R: BufRead + Seek>(source: &mut Source<'_, R>, limits: &Limits) -> Result<()> {
    let mut chunks = Chunks::open(source)?;
    let header = Header::read(&mut chunks, limits)?;
    Rows::new(&mut chunks).read(&header.passes(), |_, _| {})
}

fn read_channel<R: BufRead + Seek>(
    chunks: &mut Chunks<'_, '_, R>,
    header: &Header,
    layout: Layout,
) -> Result<AlphaPlane> {
    if header.interlaced {
        let mut plane = read_interlaced(chunks, header, layout)?;
        header.samples_to_alpha(&mut plane);
        return AlphaPlane::new(header.width, header.height, plane).ok_or_else(lost_pixels);
    }
    let rows = read_rows(chunks, header, layout)?;
    AlphaPlane::from_rows(header.width, header.height, rows).ok_or_else(lost_pixels)
}

fn read_rows<R: BufRead + Seek>(chunks: &mut Chunks<'_, '_, R>, header: &Header, layout: Layout) -> Result<AlphaRows> {
    let width = header.width as usize;
    let mut rows = AlphaRows::new(header.width);
    rows.reserve_rows(header.height);
    let (mut above, mut values, mut alphas) = (vec![0; width], vec![0; width], vec![0; width]);
    Rows::new(chunks).read(&header.passes(), |_, filtered| {
        layout.restore(filtered, &above, &mut values);
        if header.alpha_of_sample.is_some() {
            alphas.copy_from_slice(&values);
            header.samples_to_alpha(&mut alphas);
            rows.push(&alphas);
        } else {
            rows.push(&values);
        }
        std::mem::swap(&mut above, &mut values);
    })?;
    Ok(rows)
}

/// Each pass is an image of its own, whose pixels go to every so many columns and rows of the whole.
fn read_interlaced<R: BufRead + Seek>(
    chunks: &mut Chunks<'_, '_, R>,
    header: &Header,
    layout: Layout,
) -> Result<Vec<u8>> {
    let width = header.width as usize;
    let mut plane = vec![0; width * header.height as usize];
    let (mut above, mut values) = (vec![0; width], vec![0; width]);
    let passes = header.passes();
    let mut coming = passes.iter();
    let mut current = None;
    Rows::new(chunks).read(&passes, |y, filtered| {
        if y == 0 {
            current = coming.next();
            above.fill(0);
        }
        let Some(&Pass { pixels, grid: [column, row, columns, rows], .. }) = current else { return };
        let pixels = pixels as usize;
        layout.restore(filtered, &above[..pixels], &mut values[..pixels]);
        let begin = (row + y * rows) as usize * width + column as usize;
        let places = plane[begin..].iter_mut().step_by(columns as usize);
        places.zip(&values[..pixels]).for_each(|(place, &value)| *place = value);
        std::mem::swap(&mut above, &mut values);
    })?;
    Ok(plane)
}

fn lost_pixels() -> Error {
    Error::Internal("a PNG's rows do not fill its plane".into())
}
