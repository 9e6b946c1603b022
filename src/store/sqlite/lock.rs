//! One process at a time: a file beside the database that the operating system lets go of however the process ends.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::store::{Result, StoreError};

/// How often a lock is tried for, and the pause between.
pub(super) const TRIES: u32 = 20;
pub(super) const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Held for as long as the value lives.
#[derive(Debug)]
pub(super) struct InstanceLock {
    /// Closing it unlocks it.
    _file: File,
}

impl InstanceLock {
    /// Tries for a second: whoever adds a key has it while it makes or migrates the file.
    pub(super) fn take_patiently(database: &Path) -> Result<Self> {
        let mut taken = Self::take(database);
        for _ in 1..TRIES {
            if !matches!(taken, Err(StoreError::InUse(_))) {
                break;
            }
            std::thread::sleep(BETWEEN_TRIES);
            taken = Self::take(database);
        }
        taken
    }

    /// Makes the database's folder if need be, and locks it for this process.
    pub(super) fn take(database: &Path) -> Result<Self> {
        let shown = database.display();
        make_folder(database)?;
        let path = lock_path(&database.canonicalize().unwrap_or_else(|_| database.to_owned()));
        let file = private_file().create(true).truncate(false).open(&path).map_err(|error| {
            told(&error, format!("{} cannot be written; give this user the folder's rights", path.display()))
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(shown.to_string())),
            Err(TryLockError::Error(error)) => {
                Err(told(&error, format!("{} cannot be locked; put the database on a local disk", path.display())))
            }
        }
    }
}

/// For a file that is to be its user's alone, if it is made now; one that was there keeps its rights.
fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes the database's file, empty, if it is not there. What it keeps of a key signs links, so nobody else is to read it;
/// SQLite gives the files beside it the same rights.
pub(super) fn make_file(database: &Path) {
    // What is there stays as it is, and what cannot be made SQLite tells of.
    drop(private_file().create_new(true).open(database));
}

/// Makes the folder that a file is to be in, with rights for its user alone.
fn make_folder(database: &Path) -> Result<()> {
    let Some(folder) = database.parent() else { return Ok(()) };
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| {
        let shown = database.display();
        told(&error, format!("the folder of {shown} cannot be made; make it, or set another DATABASE_URL"))
    })
}

/// Not the database itself: on some systems a lock on that file would get in the way of SQLite's own.
fn lock_path(database: &Path) -> PathBuf {
    let mut path = OsString::from(database);
    path.push(".lock");
    path.into()
}

/// The system's error with what was being done and what helps.
fn told(error: &io::Error, what: String) -> StoreError {
    StoreError::File(io::Error::new(error.kind(), format!("{what} ({error})")))
}
