//! One process at a time: a file beside the database that the operating system lets go of however the process ends.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::store::{Result, StoreError};

/// Held for as long as the value lives.
#[derive(Debug)]
pub(super) struct InstanceLock {
    /// Closing it unlocks it.
    _file: File,
}

impl InstanceLock {
    /// Makes the database's folder if need be, and locks it for this process.
    pub(super) fn take(database: &Path) -> Result<Self> {
        let shown = database.display();
        make_folder(database)?;
        let path = lock_path(&database.canonicalize().unwrap_or_else(|_| database.to_owned()));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|error| {
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

/// Makes the folder that a file is to be in.
pub(super) fn make_folder(database: &Path) -> Result<()> {
    let Some(folder) = database.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|error| {
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
