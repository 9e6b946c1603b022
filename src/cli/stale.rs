//! What an earlier run has left among the files of this one. Nothing of it is deleted, as it may be somebody's work.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::output::key;

/// How deep groups of layers lie in each other, at most, to be looked into.
const DEEPEST: usize = 16;

/// Files and folders that are looked at, at most.
const MOST_LOOKED_AT: usize = 10_000;

/// Says which PNG files lie in a folder of loose images that are none of those written.
pub(super) fn images(folder: &Path, written: &[PathBuf]) -> Option<String> {
    let known: HashSet<String> = written.iter().map(|path| key(path)).collect();
    let (mut found, mut left) = (Vec::new(), MOST_LOOKED_AT);
    collect(folder, DEEPEST, &mut left, &mut found);
    found.retain(|path| !known.contains(&key(path)));
    found.sort();
    let first = found.first()?.strip_prefix(folder).ok()?.display().to_string();
    let (count, folder) = (found.len(), folder.display());
    let images = if count == 1 { "image that is" } else { "images that are" };
    Some(format!("{folder} holds {count} {images} not of this skeleton, such as {first}; delete what is not needed"))
}

/// Says that a page is there that the atlas does not name.
pub(super) fn page(path: &Path) -> Option<String> {
    path.exists().then(|| format!("{} is a page that the atlas does not name; delete it if not needed", path.display()))
}

/// Links are not followed: they lead elsewhere, or in a circle.
fn collect(folder: &Path, depth: usize, left: &mut usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Some(fewer) = left.checked_sub(1) else { return };
        *left = fewer;
        let path = entry.path();
        if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&path, depth - 1, left, found);
        } else if key(&path).ends_with(".png") {
            found.push(path);
        }
    }
}
