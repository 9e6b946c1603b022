//! Names of parts and pages that whoever meets them takes: the lines of an atlas, the readers of skeletons, and the file
//! systems of Windows, macOS and Linux, for loose images lie under the names of their parts.

use std::collections::HashSet;

/// Most bytes of a name between two `/`: file systems end at 255, and a number, an ending and what a file is called while
/// it is written need room.
const LONGEST_BYTES: usize = 180;

/// What Windows takes for a device whatever ending follows; `COM` and `LPT` with a digit besides.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Names fit for slots, atlas regions and files: unique also where upper and lower case are one, without characters
/// that end a line of an atlas, mean something to a file system or lead out of a folder, and none that Windows keeps for
/// itself.
#[must_use]
pub fn names<'a>(wanted: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    wanted.into_iter().map(|name| free(clean(name), &mut taken)).collect()
}

/// The name of a page's file as atlases can hold it: readers take a line with a `:` for something else than a name, and
/// cut blanks off its ends.
#[must_use]
pub fn page_name(file: &str) -> String {
    let name: String = file.chars().map(|c| if ends_a_line(c) || c == ':' { '_' } else { c }).collect();
    let (begin, end) = (name.len() - name.trim_start().len(), name.trim_end().len());
    let edges = |text: &str| "_".repeat(text.chars().count());
    match name.get(begin..end) {
        Some(middle) => format!("{}{middle}{}", edges(&name[..begin]), edges(&name[end..])),
        // Nothing but blanks.
        None => edges(&name),
    }
}

/// The name itself, or with the first number from 2 that makes it new.
pub(super) fn free(name: String, taken: &mut HashSet<String>) -> String {
    let mut found = name.clone();
    let mut number = 2;
    while !taken.insert(folded(&found)) {
        found = format!("{name}-{number}");
        number += 1;
    }
    found
}

/// The same for names that are one where upper and lower case are. By way of upper case, as `ß` and `ss` are one on macOS.
pub(super) fn folded(name: &str) -> String {
    name.to_uppercase().to_lowercase()
}

fn clean(name: &str) -> String {
    // Neither `..` nor an empty name may lead a file elsewhere.
    let mut folders: Vec<String> = name.split('/').map(component).filter(|folder| !folder.is_empty()).collect();
    let last = folders.pop().unwrap_or_else(|| "part".into());
    // Beside the group `arm.png` a layer `arm` would want a file of the name that the folder has.
    let folder = |name: String| match name.to_lowercase().strip_suffix(".png") {
        Some(stem) if name.is_char_boundary(stem.len()) => format!("{}_png", &name[..stem.len()]),
        _ => name,
    };
    folders.into_iter().map(folder).chain([last]).collect::<Vec<_>>().join("/")
}

fn component(name: &str) -> String {
    let fit = |c: char| if ends_a_line(c) || "<>:\"|?*\\".contains(c) { '_' } else { c };
    let name: String = name.chars().map(fit).collect();
    let mut name = trimmed(&name);
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    if is_device(stem) {
        return trimmed(&format!("{stem}_{}", shortened(&name[stem.len()..]))).to_owned();
    }
    name = trimmed(shortened(name));
    name.to_owned()
}

/// Windows drops points and blanks at the end of a name, readers of atlases blanks at both.
fn trimmed(name: &str) -> &str {
    name.trim_start().trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

fn shortened(name: &str) -> &str {
    let mut end = name.len().min(LONGEST_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// Line ends of all kinds, other controls, and the byte order mark, which some readers take for a blank.
fn ends_a_line(c: char) -> bool {
    c.is_control() || ['\u{2028}', '\u{2029}', '\u{feff}'].contains(&c)
}

fn is_device(stem: &str) -> bool {
    let stem = stem.to_lowercase();
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let is_port =
        port.is_some_and(|rest| rest.chars().count() == 1 && rest.contains(|c: char| "0123456789¹²³".contains(c)));
    is_port || DEVICES.contains(&&*stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_without_regard_to_case() {
        assert_eq!(names(["arm", "Arm", "arm-2", "leg"]), ["arm", "Arm-2", "arm-2-2", "leg"]);
        assert_eq!(names(["Fuß", "FUSS", "ÖGA", "öga"]), ["Fuß", "FUSS-2", "ÖGA", "öga-2"]);
    }

    #[test]
    fn names_stay_in_their_folder_and_on_their_line() {
        let wanted = ["../../etc/x", "a: b\n", " . ", "", "C:\\x", "head/eye", "/abs", "end. "];
        assert_eq!(names(wanted), ["etc/x", "a_ b_", "part", "part-2", "C__x", "head/eye", "abs", "end"]);
        assert_eq!(names(["a\u{2028}b", "\u{feff}c", "\u{3000}d\u{a0}", "<>:\"|?*"]), ["a_b", "_c", "d", "_______"]);
    }

    #[test]
    fn names_that_windows_keeps_for_itself_are_changed() {
        let wanted = ["CON", "nul", "Aux/com1", "LPT9.left", "com¹", "conin$", "nul .x", "con "];
        let found = ["CON_", "nul_", "Aux_/com1_", "LPT9_.left", "com¹_", "conin$_", "nul_ .x", "con_-2"];
        assert_eq!(names(wanted), found);
        assert_eq!(names(["contour", "com10", "lpt", "null"]), ["contour", "com10", "lpt", "null"]);
    }

    #[test]
    fn a_group_is_no_folder_of_a_name_that_an_image_has() {
        assert_eq!(
            names(["hand", "hand.png/thumb", "Hand.PNG/x", "a.png"]),
            ["hand", "hand_png/thumb", "Hand_png/x", "a.png"]
        );
    }

    #[test]
    fn names_fit_file_systems() {
        let long = "頭".repeat(300);
        let found = names([&*long, &*long, &*format!("con.{long}")]);
        assert_eq!(found[0], "頭".repeat(LONGEST_BYTES / 3));
        assert_eq!(found[1], format!("{}-2", found[0]));
        assert!(found.iter().all(|name| name.len() < 200), "{found:?}");
    }

    #[test]
    fn pages_keep_their_names_where_a_line_can_hold_them() {
        for name in ["hero.png", "my hero, left.png", "頭.spine.atlas-2.png", "a/b.png"] {
            assert_eq!(page_name(name), name);
        }
        assert_eq!(page_name("a:b\nc.png"), "a_b_c.png");
        assert_eq!(page_name(" \u{a0}a.png "), "__a.png_");
        assert_eq!(page_name("  "), "__");
    }
}
