//! What only a folder has: files that a process left behind which died while it wrote them.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Deletes old unfinished files of a folder and of the folders in those of its folders; how many. `object_store` never
/// lists them.
pub(super) fn sweep(root: &Path, inner: &[&str], before: SystemTime) -> io::Result<u64> {
    let mut swept = sweep_files(root, before)?;
    for folder in inner.iter().map(|name| root.join(name)) {
        swept += sweep_files(&folder, before)?;
        for entry in entries(&folder)? {
            if entry.file_type()?.is_dir() {
                swept += sweep_files(&entry.path(), before)?;
            }
        }
    }
    Ok(swept)
}

/// Deletes old files right in a folder that `object_store` was writing: it names them `name#number` until they are whole.
fn sweep_files(folder: &Path, before: SystemTime) -> io::Result<u64> {
    let mut swept = 0;
    for entry in entries(folder)? {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
        let unfinished = number.is_some_and(|number| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()));
        if unfinished && entry.metadata()?.modified()? < before {
            fs::remove_file(entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// What is in a folder; nothing in one that is not there.
fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}
