//! Which images are meant: files, folders, standard input.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use spinelift::mesh::Error;

use super::Usage;

/// Names that count as images in a folder. A file named on the command line is read whatever it is called.
const EXTENSIONS: [&str; 9] = ["png", "webp", "jpg", "jpeg", "gif", "bmp", "apng", "psd", "psb"];

/// What a drawn mesh's name ends in: in a folder that is our own earlier output, not art.
const OWN_PICTURE: &str = ".mesh.png";

/// And a contact sheet's.
pub(super) const OWN_SHEET: &str = ".sheet.png";

/// What the name of an atlas's page ends in, before its number if it has one and `.png`.
const OWN_PAGE: &str = ".atlas";

/// Where one image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    Stdin,
    File(PathBuf),
}

/// All images of a run.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) images: Vec<Input>,
    /// One file each, even if there is only one image: several were named, or a folder.
    pub(super) is_batch: bool,
    /// The files that were named themselves, not found in a folder, by their real paths.
    named: HashSet<PathBuf>,
    /// The file of parameters, which is read too.
    pub(super) parameters: Option<PathBuf>,
}

impl Inputs {
    /// Whether the caller named it, and not only a folder that it is in.
    pub(super) fn is_named(&self, image: &Input) -> bool {
        match image {
            Input::Stdin => true,
            Input::File(path) => self.named.contains(&real(path)),
        }
    }
}

/// The same for every way to name a file.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

impl Input {
    /// `-` is standard input.
    pub(super) fn named(path: &Path) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path.to_owned()) }
    }

    /// What a result is named after: the file's name.
    pub(super) fn file_name(&self) -> String {
        match self {
            Self::Stdin => "stdin".into(),
            Self::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Resolves what was named. A folder gives the images directly in it, in order of name, hidden ones left out.
pub(super) fn find(named: &[PathBuf]) -> anyhow::Result<Inputs> {
    let mut images = Vec::new();
    let mut is_batch = named.len() > 1;
    let files = named.iter().filter(|path| path.as_os_str() != "-" && !path.is_dir()).map(|path| real(path)).collect();
    for path in named {
        if path.as_os_str() != "-" && path.is_dir() {
            is_batch = true;
            images.extend(images_in(path)?.into_iter().map(Input::File));
        } else {
            images.push(Input::named(path));
        }
    }
    if images.is_empty() {
        let folders: Vec<String> = named.iter().map(|path| path.display().to_string()).collect();
        let known = EXTENSIONS.join(", ");
        return Err(Usage(format!(
            "no images ({known}) directly in {}; name files or another folder",
            folders.join(", ")
        ))
        .into());
    }
    if images.iter().filter(|image| **image == Input::Stdin).count() > 1 {
        return Err(Usage("standard input can be read once; give `-` once".into()).into());
    }
    // The same file twice, as by `sprites/ sprites/a.png`, is one image.
    let mut seen = HashSet::new();
    images.retain(|image| match image {
        Input::Stdin => true,
        Input::File(path) => seen.insert(real(path)),
    });
    Ok(Inputs { images, is_batch, named: files, parameters: None })
}

fn images_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let unlisted = |error: io::Error| Usage(format!("cannot list the folder {}: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unlisted)? {
        let path = entry.map_err(unlisted)?.path();
        if is_image_name(&path) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn is_image_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    EXTENSIONS.contains(&extension)
        && !name.starts_with('.')
        && ![OWN_PICTURE, OWN_SHEET].iter().any(|own| name.ends_with(own))
        && !is_own_page(&name)
}

/// `hero.spine.atlas.png`, `hero.spine.atlas-2.png`.
pub(super) fn is_own_page(name: &str) -> bool {
    let stem = name.strip_suffix(".png").unwrap_or("");
    let without_number = stem.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-');
    stem.ends_with(OWN_PAGE) || without_number.ends_with(OWN_PAGE)
}

/// Reads to the end, but not past the limit.
pub(super) fn read_all(source: impl Read, max_bytes: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).context("cannot be read")?;
    if bytes.len() as u64 > max_bytes {
        let value = bytes.len() as u64;
        return Err(Error::ImageTooLarge { what: "file size", value, limit: max_bytes }.into());
    }
    Ok(bytes)
}

/// Reads standard input to its end, but not past the limit.
pub(super) fn read_stdin(max_bytes: u64) -> anyhow::Result<Vec<u8>> {
    read_all(io::stdin().lock(), max_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_by_extension_unless_hidden_or_ours() {
        for name in ["a.png", "b.JPG", "c.d.webp", "x.mesh.gif", "atlas.png", "a.atlas-b.png"] {
            assert!(is_image_name(Path::new(name)), "{name}");
        }
        for name in [
            ".a.png",
            "a.txt",
            "png",
            "hero.mesh.png",
            "HERO.MESH.PNG",
            "a.spine.atlas.png",
            "a.atlas-12.png",
            "a.json",
            "",
        ] {
            assert!(!is_image_name(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn reading_stops_at_the_limit() {
        assert_eq!(read_all(&b"1234"[..], 4).unwrap(), b"1234");
        let error = read_all(io::repeat(0), 4).unwrap_err();
        assert!(error.to_string().contains("file size is 5, the limit is 4"), "{error}");
    }
}
