//! Plain letters in pixels, for the labels of a contact sheet. The font is our own, drawn as text in `font.txt`: the
//! signs of ASCII from the space on, sixteen in a row, five columns and eight lines each, the last for what hangs below.

/// Columns of a sign.
const COLUMNS: usize = 5;

/// Lines of a sign.
const LINES: usize = 8;

/// Signs in one row of the drawing.
const ROW: usize = 16;

/// From one sign to the next, in dots.
pub(super) const ADVANCE: u32 = 6;

/// From one line of text to the next, in dots.
pub(super) const LINE: u32 = 11;

const DRAWN: &str = include_str!("font.txt");

/// Which dots of each sign are set.
pub(super) struct Font {
    signs: Vec<[[bool; COLUMNS]; LINES]>,
}

impl Font {
    pub(super) fn new() -> Self {
        let lines: Vec<&[u8]> = DRAWN.lines().map(str::as_bytes).collect();
        let is_set = |sign: usize, line: usize, column: usize| {
            let row = lines.get(sign / ROW * LINES + line);
            row.and_then(|row| row.get(sign % ROW * (COLUMNS + 1) + column)) == Some(&b'#')
        };
        let sign = |sign| std::array::from_fn(|line| std::array::from_fn(|column| is_set(sign, line, column)));
        Self { signs: (0..usize::from(b'~' - b' ') + 1).map(sign).collect() }
    }

    /// The dots of a text from its top left corner, `[column, line]`. What the font does not have is an empty box.
    pub(super) fn dots(&self, text: &str) -> impl Iterator<Item = [u32; 2]> {
        text.chars().zip(0_u32..).flat_map(move |(c, place)| {
            let sign = (c as usize).checked_sub(usize::from(b' ')).and_then(|index| self.signs.get(index).copied());
            let sign = sign.unwrap_or_else(empty_box);
            (0..LINES).flat_map(move |line| {
                let set = (0..COLUMNS).filter(move |&column| sign[line][column]);
                set.map(move |column| [place * ADVANCE + column as u32, line as u32])
            })
        })
    }
}

fn empty_box() -> [[bool; COLUMNS]; LINES] {
    std::array::from_fn(|line| {
        std::array::from_fn(|column| line < 7 && (line == 0 || line == 6 || column == 0 || column == COLUMNS - 1))
    })
}

/// The text in lines of at most `length` signs, broken at spaces where it can be; at most `most` lines, the last of which
/// ends in dots if there is more.
pub(super) fn wrapped(text: &str, length: usize, most: usize) -> Vec<String> {
    let length = length.max(4);
    let mut lines: Vec<String> = Vec::new();
    let mut rest: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    while !rest.is_empty() && lines.len() < most.max(1) {
        let is_last = lines.len() + 1 == most.max(1);
        if rest.len() <= length {
            lines.push(rest.drain(..).collect());
        } else if is_last {
            lines.push(rest[..length - 2].iter().chain(&['.', '.']).collect());
        } else {
            let space = rest[..=length].iter().rposition(|&c| c == ' ').filter(|&at| at > 0);
            lines.push(rest.drain(..space.unwrap_or(length)).collect());
            rest.drain(..usize::from(space.is_some()));
        }
    }
    lines
}

/// The text in one line of at most `length` signs; of a longer one both ends with dots between, as names begin with a
/// group and end with what tells them apart.
pub(super) fn squeezed(text: &str, length: usize) -> String {
    let length = length.max(4);
    let all: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if all.len() <= length {
        return all.into_iter().collect();
    }
    let begin = (length - 2) / 3;
    let end = all.len() - (length - 2 - begin);
    all[..begin].iter().chain(&['.', '.']).chain(&all[end..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str) -> String {
        let dots: Vec<[u32; 2]> = Font::new().dots(text).collect();
        let width = text.chars().count() as u32 * ADVANCE;
        let line = |y| (0..width).map(|x| if dots.contains(&[x, y]) { '#' } else { '.' }).collect::<String>() + "\n";
        (0..8).map(line).collect()
    }

    #[test]
    fn letters_look_like_letters() {
        let expected = "\
            ............\n\
            ............\n\
            .####.####..\n\
            #...#.#...#.\n\
            #...#.#...#.\n\
            .####.####..\n\
            ....#.#.....\n\
            .###..#.....\n";
        assert_eq!(drawn("gp"), expected);
    }

    #[test]
    fn every_sign_but_the_space_has_dots_of_its_own() {
        let font = Font::new();
        assert_eq!(font.signs.len(), 95);
        let mut seen = std::collections::HashSet::new();
        assert!(font.signs.iter().all(|sign| seen.insert(*sign)), "no two signs look the same");
        assert_eq!(font.dots(" ").count(), 0);
        assert_eq!(font.dots("\u{e9}").count(), font.dots("\u{4e2d}").count(), "unknown ones are boxes");
        let height = DRAWN.lines().count();
        assert_eq!(height, 95_usize.div_ceil(ROW) * LINES);
    }

    #[test]
    fn long_texts_are_broken_at_spaces_and_end_in_dots() {
        assert_eq!(wrapped("one two three", 8, 3), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij", 4, 2), ["abcd", "ef.."]);
        assert_eq!(wrapped("abcd", 4, 1), ["abcd"]);
        assert_eq!(wrapped("", 4, 1), Vec::<String>::new());
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(squeezed("hero.psd: body/arm/hand", 23), "hero.psd: body/arm/hand");
        assert_eq!(squeezed("hero.psd: body/arm/hand", 14), "hero..arm/hand");
        assert_eq!(squeezed("12345", 1), "..45");
    }
}
