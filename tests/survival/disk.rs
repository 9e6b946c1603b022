//! A disk of a few megabytes, in memory, for what happens when it is full or read-only.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Mounted until dropped.
pub(crate) struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// `None`, and a word on it, where mounting takes rights that the caller does not have. Under `CI=true` that fails.
    pub(crate) fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { folder });
        }
        assert!(std::env::var("CI").is_err(), "no small disk can be mounted; run as root");
        println!("skipped: no small disk can be mounted without root");
        None
    }

    /// With other options, such as another size.
    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.path()).status().unwrap().success());
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SmallDisk {
    /// Lazily, as a killed service may still be letting go of its files.
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}
