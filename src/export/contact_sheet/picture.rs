//! The sheet as one picture: a grid, each part with its name and numbers under it.

use super::{Body, MOST_IN_A_PICTURE, Part};
use crate::export::encode;
use crate::export::lettering::{ADVANCE, Font, LINE, squeezed, wrapped};
use crate::mesh::{Error, Result};

/// Between parts and around them all, px.
const GAP_PX: u32 = 16;

/// From a part to its name, px.
const NAME_GAP_PX: u32 = 6;

const PAPER: [u8; 3] = [0x22, 0x24, 0x28];
const NAME: [u8; 3] = [0xf2, 0xf2, 0xf2];
const FACTS: [u8; 3] = [0xa9, 0xb4, 0xc2];
const FAILED_PAPER: [u8; 3] = [0x4a, 0x20, 0x24];
const FAILED: [u8; 3] = [0xff, 0xc9, 0xc9];

/// Most lines of numbers under a part.
const MOST_LINES: usize = 4;

/// Where the parts go, and how large the letters are.
struct Grid {
    side: u32,
    columns: u32,
    /// px for each dot of a letter.
    dot: u32,
    /// Lines of numbers under each part.
    lines: u32,
}

/// A picture under construction, three bytes a pixel.
struct Canvas {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

pub(super) fn write(side: u32, parts: &[Part]) -> Result<Vec<u8>> {
    let grid = Grid::new(side, parts);
    let mut canvas = grid.canvas(parts.len())?;
    let font = Font::new();
    for (part, index) in parts.iter().zip(0..) {
        let at = grid.place(index);
        match &part.body {
            Body::Drawn { thumbnail, facts } => {
                // In the middle of its place.
                let off = |length: u32| side.saturating_sub(length) / 2;
                let corner = [at[0] + off(thumbnail.width), at[1] + off(thumbnail.height)];
                canvas.put(corner, thumbnail.width, &thumbnail.rgb);
                let under = at[1] + side + NAME_GAP_PX + LINE * grid.dot;
                for (line, row) in grid.lines_of(facts).iter().zip(0..) {
                    canvas.letters(&font, [at[0], under + row * LINE * grid.dot], grid.dot, line, FACTS);
                }
            }
            Body::Failed { error } => {
                canvas.fill(at, side, FAILED_PAPER);
                let inset = 4 * grid.dot;
                grid.paragraph(&mut canvas, &font, [at[0] + inset, at[1] + inset], error);
            }
        }
        let name = squeezed(&part.name, grid.letters(side));
        canvas.letters(&font, [at[0], at[1] + side + NAME_GAP_PX], grid.dot, &name, NAME);
    }
    encode::rgb(canvas.width, canvas.height, &canvas.rgb)
}

impl Grid {
    fn new(side: u32, parts: &[Part]) -> Self {
        let mut grid = Self { side, columns: columns(parts.len()), dot: if side < 160 { 1 } else { 2 }, lines: 0 };
        let lines = parts.iter().map(|part| match &part.body {
            Body::Drawn { facts, .. } => grid.lines_of(facts).len(),
            Body::Failed { .. } => 0,
        });
        grid.lines = lines.max().unwrap_or(0) as u32;
        grid
    }

    /// The numbers under a part, each with its label on one line.
    fn lines_of(&self, facts: &[(String, String)]) -> Vec<String> {
        let length = self.letters(self.side);
        let mut lines: Vec<String> = Vec::new();
        for fact in facts.iter().map(|(label, value)| format!("{value} {label}")) {
            match lines.last_mut() {
                Some(line) if line.chars().count() + 2 + fact.chars().count() <= length => {
                    line.push_str(", ");
                    line.push_str(&fact);
                }
                _ => lines.push(wrapped(&fact, length, 1).concat()),
            }
        }
        lines.truncate(MOST_LINES);
        lines
    }

    /// Letters that fit into a width.
    fn letters(&self, width: u32) -> usize {
        (width / (ADVANCE * self.dot)) as usize
    }

    /// From one row of parts to the next.
    fn row_height(&self) -> u32 {
        self.side + NAME_GAP_PX + LINE * self.dot * (1 + self.lines) + GAP_PX
    }

    fn place(&self, index: u32) -> [u32; 2] {
        let (row, column) = (index / self.columns, index % self.columns);
        [GAP_PX + column * (self.side + GAP_PX), GAP_PX + row * self.row_height()]
    }

    fn canvas(&self, parts: usize) -> Result<Canvas> {
        if parts > MOST_IN_A_PICTURE {
            return Err(Error::Internal(format!("a picture holds {MOST_IN_A_PICTURE} parts, not {parts}")));
        }
        let rows = parts.div_ceil(self.columns as usize) as u32;
        let width = GAP_PX + self.columns * (self.side + GAP_PX);
        let height = GAP_PX + rows * self.row_height();
        let rgb = PAPER.repeat(width as usize * height as usize);
        Ok(Canvas { width, height, rgb })
    }

    /// In place of a part.
    fn paragraph(&self, canvas: &mut Canvas, font: &Font, [x, y]: [u32; 2], text: &str) {
        let inset = 8 * self.dot;
        let most = (self.side - inset) / (LINE * self.dot);
        for (line, row) in wrapped(text, self.letters(self.side - inset), most as usize).iter().zip(0..) {
            canvas.letters(font, [x, y + row * LINE * self.dot], self.dot, line, FAILED);
        }
    }
}

/// About as wide as high, as screens are rather wide.
fn columns(parts: usize) -> u32 {
    let mut columns = 1_u32;
    while u64::from(columns) * u64::from(columns) * 3 < parts as u64 * 4 {
        columns += 1;
    }
    columns.min(u32::try_from(parts.max(1)).unwrap_or(u32::MAX))
}

impl Canvas {
    fn put(&mut self, [left, top]: [u32; 2], width: u32, rgb: &[u8]) {
        for (row, y) in rgb.chunks_exact(width as usize * 3).zip(top as usize..) {
            let start = (y * self.width as usize + left as usize) * 3;
            if let Some(place) = self.rgb.get_mut(start..start + row.len()) {
                place.copy_from_slice(row);
            }
        }
    }

    fn fill(&mut self, corner: [u32; 2], side: u32, ink: [u8; 3]) {
        self.put(corner, side, &ink.repeat(side as usize * side as usize));
    }

    fn letters(&mut self, font: &Font, [left, top]: [u32; 2], dot: u32, text: &str, ink: [u8; 3]) {
        for [column, line] in font.dots(text) {
            self.fill([left + column * dot, top + line * dot], dot, ink);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::contact_sheet::{ContactSheet, tests};

    #[test]
    fn grids_are_about_as_wide_as_high() {
        assert_eq!([0, 1, 2, 3, 4, 12, 100].map(columns), [1, 1, 2, 2, 3, 4, 12]);
    }

    #[test]
    fn numbers_stay_with_their_labels() {
        let facts = ["vertices", "triangles", "coverage"].map(|label| (label.to_owned(), "12".to_owned()));
        let lines = |side| Grid::new(side, &[]).lines_of(&facts);
        assert_eq!(lines(320), ["12 vertices, 12 triangles", "12 coverage"]);
        assert_eq!(lines(160), ["12 vertices", "12 triangles", "12 coverage"]);
        assert_eq!(lines(96), ["12 vertices", "12 triangles", "12 coverage"]);
    }

    #[test]
    fn every_part_is_in_its_place() {
        let sheet = ContactSheet::for_parts(2);
        let bytes = write(sheet.side, &tests::parts(sheet)).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        let at = |x: u32, y: u32| {
            let at = (y * info.width + x) as usize * 3;
            [rgb[at], rgb[at + 1], rgb[at + 2]]
        };
        assert_eq!((info.width, at(0, 0)), (2 * 336 + 16, PAPER));
        // The hull's left side: 4 px from the image's edge at 19 px each, in the middle of its place.
        assert_eq!(at(16 + 8 + 4 * 19, 16 + 160), [0xff, 0xd2, 0x3f]);
        assert_eq!(at(16 + 336 + 2, 18), FAILED_PAPER);
        for ink in [NAME, FACTS, FAILED] {
            assert!(rgb.chunks_exact(3).any(|pixel| pixel == ink), "{ink:?}");
        }
    }
}
