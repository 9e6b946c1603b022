//! One image to one result.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, anyhow};
use sha2::{Digest, Sha256};
use spinelift::decode::{self, Limits};
use spinelift::export::contact_sheet::Part;
use spinelift::export::{Format, RigFormat, Source};
use spinelift::mesh::{self, Mesh, MeshLimits, MeshParameters};

use super::input::{self, Input};
use super::output::Target;
use super::sheet::Sheet;

/// Bytes read at a time. Small enough to stay in a core's cache, large enough that system calls do not count.
const CHUNK_BYTES: usize = 64 << 10;

/// What is asked of every image of a run.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) format: &'static Format,
    pub(super) parameters: MeshParameters,
    /// Goes into every result: what was odd about the parameters.
    pub(super) warnings: Vec<String>,
    pub(super) limits: Limits,
    pub(super) mesh_limits: MeshLimits,
    pub(super) sheet: Option<Sheet>,
}

/// One finished image.
#[derive(Debug)]
pub(super) struct Converted {
    pub(super) bytes: Vec<u8>,
    /// The files that belong beside it, and where they go.
    pub(super) beside: Vec<(PathBuf, Vec<u8>)>,
    /// What is odd about this image.
    pub(super) warnings: Vec<String>,
    /// Its place on the contact sheet, if there is one.
    pub(super) part: Option<Part>,
}

impl Order {
    /// Makes the result. A file whose pixels are not drawn is streamed and never held.
    pub(super) fn convert(&self, image: &Input, target: &Target) -> anyhow::Result<Converted> {
        match image {
            Input::File(path) if path.is_file() && !self.draws_image() => self.convert_stream(image, path, target),
            _ => {
                let bytes = read(image, &self.limits)?;
                let sha256 = hex_sha256(&bytes[..])?;
                let alpha = decode::alpha_plane(Cursor::new(&bytes), &self.limits, &())?;
                let mesh = mesh::build(&alpha, &self.parameters, &self.mesh_limits, &())?;
                self.export(mesh, &image.file_name(), Some(&bytes), &sha256, target)
            }
        }
    }

    fn draws_image(&self) -> bool {
        self.format.draws_image || self.sheet.is_some()
    }

    /// The digest takes a second pass over the file, beside the first, so that it costs no time and no memory.
    fn convert_stream(&self, image: &Input, path: &Path, target: &Target) -> anyhow::Result<Converted> {
        thread::scope(|scope| {
            let digest = scope.spawn(|| hex_sha256(open(path)?));
            let source = BufReader::with_capacity(CHUNK_BYTES, open(path)?);
            let alpha = decode::alpha_plane(source, &self.limits, &())?;
            let mesh = mesh::build(&alpha, &self.parameters, &self.mesh_limits, &())?;
            drop(alpha);
            let sha256 = digest.join().map_err(|_| anyhow!("the digest's thread failed"))??;
            self.export(mesh, &image.file_name(), None, &sha256, target)
        })
    }

    /// The main file and those beside it, where there is a place beside it.
    pub(super) fn export(
        &self,
        mesh: Mesh,
        name: &str,
        bytes: Option<&[u8]>,
        sha256: &str,
        target: &Target,
    ) -> anyhow::Result<Converted> {
        let stem = target.stem(self.format);
        let source =
            Source { name, stem: &stem, bytes, limits: self.limits, sha256: Some(sha256), warnings: &self.warnings };
        let main = (self.format.write)(&mesh, &source)?;
        let mut beside = Vec::new();
        for (path, file) in target.beside(self.format).into_iter().zip(self.format.beside) {
            beside.push((path, (file.write)(&mesh, &source)?));
        }
        let part = self.sheet.as_ref().map(|sheet| sheet.part(&mesh, &source)).transpose()?;
        let notes = RigFormat::named(self.format.name).map_or(Vec::new(), |rig| rig.notes(&mesh, &source));
        let warnings = mesh.warnings.into_iter().chain(notes).collect();
        Ok(Converted { bytes: main, beside, warnings, part })
    }
}

/// The whole file, within the limit.
pub(super) fn read(image: &Input, limits: &Limits) -> anyhow::Result<Vec<u8>> {
    match image {
        Input::Stdin => input::read_stdin(limits.max_bytes),
        Input::File(path) => input::read_all(open(path)?, limits.max_bytes),
    }
}

/// SHA-256 in lower-case hexadecimal.
pub(super) fn hex_sha256(mut source: impl Read) -> anyhow::Result<String> {
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => digest.update(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot be read"),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).context("cannot be opened")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_fips_180() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex_sha256(&b"abc"[..]).unwrap(), abc);
    }
}
