//! Bytes to a file, whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process;

/// Writes the file so that nobody ever sees half of it: beside it under another name, then renamed. A device or a pipe
/// is written to directly; replacing `/dev/null` by a file would be a surprise.
pub(super) fn to_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.metadata().is_ok_and(|meta| !meta.is_file()) {
        return OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    // Through a link, so that the link stays one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let unfinished = unfinished_name(&path);
    let written = write_new(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, &path));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.flush()
}

/// Hidden, in the same folder because a rename cannot cross file systems, and apart from other processes' names.
fn unfinished_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.unfinished", process::id()))
}

/// Writes to standard output.
pub(super) fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    if out.is_terminal() {
        // Or the prompt would stand at the end of the result. What goes into a pipe stays as it is.
        out.write_all(b"\n")?;
    }
    out.flush()
}
