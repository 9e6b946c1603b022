//! Tables for people: lines of cells, each column as wide as its widest cell.

use std::fmt::Write as _;

/// A table with its heads. What would do something to a terminal is shown as a sign.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = [heads.map(str::to_owned)].into_iter().chain(rows).map(|row| row.map(harmless)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    rows.iter().fold(String::new(), |mut text, row| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        text
    })
}

/// Without control characters.
pub(super) fn harmless(text: String) -> String {
    if text.contains(char::is_control) { text.replace(char::is_control, "\u{fffd}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_and_do_nothing_to_a_terminal() {
        let rows = [["ä".into(), "1".into()], ["\u{1b}[2Jab\n".into(), String::new()]];
        assert_eq!(table(["A", "LONG"], rows), "A        LONG\nä        1\n\u{fffd}[2Jab\u{fffd}\n");
    }
}
