//! Where each result goes, decided before anything is computed: no input is overwritten, no result by another.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use spinelift::export::{FORMATS, Format};

use super::Usage;
use super::input::{Input, Inputs};

/// Where one result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Stdout,
    File(PathBuf),
}

impl Target {
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::File(path) => path.parent().filter(|folder| !folder.as_os_str().is_empty()),
            Self::Stdout => None,
        }
    }

    /// Where the format's files beside the main one go, in the order of [`Format::beside`]; nowhere beside a stream.
    pub(super) fn beside(&self, format: &Format) -> Vec<PathBuf> {
        let Self::File(path) = self else { return Vec::new() };
        if is_device(path) {
            return Vec::new();
        }
        let named = |extension: &str| {
            let mut name = stem(path, format.extension);
            name.push(".");
            name.push(extension);
            path.with_file_name(name)
        };
        format.beside.iter().map(|beside| named(beside.extension)).collect()
    }

    /// What the result's file is called without its extension; empty for a stream.
    pub(super) fn stem(&self, format: &Format) -> String {
        match self {
            Self::File(path) => stem(path, format.extension).to_string_lossy().into_owned(),
            Self::Stdout => String::new(),
        }
    }

    /// Every file that is written for the result.
    fn files(&self, format: &Format) -> Vec<PathBuf> {
        match self {
            Self::File(path) if !is_device(path) => [vec![path.clone()], self.beside(format)].concat(),
            _ => Vec::new(),
        }
    }
}

/// The file's name without the format's extension, or without what follows its last dot.
pub(super) fn stem(path: &Path, extension: &str) -> OsString {
    let name = path.file_name().unwrap_or_default();
    let is_whole = name.to_string_lossy().to_lowercase().ends_with(&format!(".{extension}"));
    let parts = if is_whole { extension.split('.').count() } else { 1 };
    let mut stem = PathBuf::from(name);
    for _ in 0..parts {
        stem.set_extension("");
    }
    stem.into_os_string()
}

/// One target per image and its format, in order; their folders exist afterwards.
pub(super) fn plan(inputs: &Inputs, to: Option<&Path>, formats: &[&Format]) -> anyhow::Result<Vec<Target>> {
    let images = &inputs.images;
    let targets = match to {
        Some(path) if path.as_os_str() == "-" && !inputs.is_batch => vec![Target::Stdout],
        Some(path) if path.as_os_str() == "-" => {
            return Err(Usage("standard output takes one image; give a folder with -o for several".into()).into());
        }
        Some(path) if is_device(path) => vec![Target::File(path.to_owned()); images.len()],
        Some(path) if inputs.is_batch && !path.exists() && !ends_with_separator(path) && has_extension(path) => {
            let path = path.display();
            return Err(Usage(format!(
                "{path} is the name of one file, but there is a result for each image; give -o a folder, {path}/ if \
                 that is its name, or a format of skeletons, which hold all of them"
            ))
            .into());
        }
        Some(path) if inputs.is_batch || path.is_dir() || ends_with_separator(path) => {
            in_folder(images, path, formats)?
        }
        Some(path) => vec![Target::File(path.to_owned())],
        None if inputs.is_batch => named_after(images, None, formats),
        None => vec![Target::Stdout],
    };
    accept(inputs, &targets, formats)?;
    Ok(targets)
}

/// As [`plan`] for several images, though there be only one: a result has files beside it, which need a folder.
pub(super) fn plan_many(inputs: &Inputs, to: Option<&Path>, formats: &[&Format]) -> anyhow::Result<Vec<Target>> {
    let images = &inputs.images;
    let targets = match to {
        Some(folder) => in_folder(images, folder, formats)?,
        None => named_after(images, None, formats),
    };
    accept(inputs, &targets, formats)?;
    Ok(targets)
}

/// Refuses targets that would replace an input or each other; their folders exist afterwards.
pub(super) fn accept(inputs: &Inputs, targets: &[Target], formats: &[&Format]) -> anyhow::Result<()> {
    refuse_to_share(&inputs.images, targets, formats)?;
    refuse_files_of(inputs, written(targets, formats))?;
    create_folders(targets)
}

/// Every file that is written for the results.
fn written(targets: &[Target], formats: &[&Format]) -> impl Iterator<Item = PathBuf> {
    targets.iter().zip(formats).flat_map(|(target, format)| target.files(format))
}

/// Whether a name ends as a result's does.
fn has_extension(path: &Path) -> bool {
    format_of_name(path).is_some()
}

/// The format that a file's name asks for, so that `-o hero.svg` needs no `--format`.
pub(super) fn format_of_name(path: &Path) -> Option<&'static Format> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let fits = |format: &&Format| name.ends_with(&format!(".{}", format.extension));
    let by_extension = FORMATS.iter().filter(fits).max_by_key(|format| format.extension.len());
    by_extension.or_else(|| Format::named(name.rsplit_once('.')?.1))
}

/// Whether -o names one file of the format rather than a folder: `hero.spine.json`, or `hero.json` with --format spine.
pub(super) fn names_file(path: &Path, format: &Format) -> bool {
    let last = format.extension.rsplit_once('.').map_or(format.extension, |(_, last)| last);
    let fits = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(last));
    fits && !(path.is_dir() || ends_with_separator(path) || is_device(path))
}

/// Refuses `-o hero.jpg`, a name for one result that no format goes by: the default format would be a surprise there.
pub(super) fn refuse_unknown_name(inputs: &Inputs, to: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = to else { return Ok(()) };
    let is_one_file = !(inputs.is_batch || path.is_dir() || ends_with_separator(path) || is_device(path));
    if is_one_file && path.extension().is_some() && format_of_name(path).is_none() {
        let extensions: Vec<String> = FORMATS.iter().map(|format| format!(".{}", format.extension)).collect();
        let (path, extensions) = (path.display(), extensions.join(", "));
        return Err(Usage(format!("no format goes by the name {path}; end it in {extensions}, or add --format")).into());
    }
    Ok(())
}

fn in_folder(images: &[Input], folder: &Path, formats: &[&Format]) -> anyhow::Result<Vec<Target>> {
    if folder.exists() && !folder.is_dir() {
        let folder = folder.display();
        return Err(Usage(format!("{folder} is a file; several results need a folder, give another -o")).into());
    }
    Ok(named_after(images, Some(folder), formats))
}

fn create_folders(targets: &[Target]) -> anyhow::Result<()> {
    let folders: HashSet<&Path> = targets.iter().filter_map(Target::folder).collect();
    folders.into_iter().try_for_each(create_folder)
}

/// For a file of the whole run.
pub(super) fn create_folder_of(path: &Path) -> anyhow::Result<()> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or(Ok(()), create_folder)
}

fn create_folder(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .map_err(|error| Usage(format!("cannot create the folder {}: {error}", folder.display())).into())
}

/// `hero.png` gives `hero.json`, unless `hero.webp` is there too: then `hero.png.json` and `hero.webp.json`.
fn named_after(images: &[Input], folder: Option<&Path>, formats: &[&Format]) -> Vec<Target> {
    let name = |image: &Input, format: &Format, whole: bool| {
        let file_name = image.file_name();
        let stem =
            if whole { file_name.as_str() } else { file_name.rsplit_once('.').map_or(&*file_name, |(stem, _)| stem) };
        let beside = match image {
            Input::File(path) => path.parent().unwrap_or(Path::new("")),
            Input::Stdin => Path::new(""),
        };
        // A dot file has no stem.
        let stem = if stem.is_empty() { &file_name } else { stem };
        folder.unwrap_or(beside).join(format!("{stem}.{}", format.extension))
    };
    let mut uses: HashMap<String, usize> = HashMap::new();
    for (image, format) in images.iter().zip(formats) {
        *uses.entry(key(&name(image, format, false))).or_default() += 1;
    }
    let target = |(image, format): (&Input, &&Format)| {
        let short = name(image, format, false);
        Target::File(if uses.get(&key(&short)).copied() == Some(1) { short } else { name(image, format, true) })
    };
    images.iter().zip(formats).map(target).collect()
}

/// Upper and lower case are one on many disks.
pub(super) fn key(path: &Path) -> String {
    path.to_string_lossy().to_lowercase()
}

/// No file may be one of two results, be it the main one or one beside it.
fn refuse_to_share(images: &[Input], targets: &[Target], formats: &[&Format]) -> anyhow::Result<()> {
    let mut taken: HashMap<String, &Input> = HashMap::new();
    for ((image, target), format) in images.iter().zip(targets).zip(formats) {
        for path in target.files(format) {
            if let Some(other) = taken.insert(key(&path), image) {
                let path = path.display();
                if other == image {
                    let advice = format!("give an -o that ends in .{}", format.extension);
                    return Err(Usage(format!("{path} is what a file beside the result is called; {advice}")).into());
                }
                // Of one folder, they differ in upper and lower case.
                let advice = match (image, other) {
                    (Input::File(a), Input::File(b)) if a.parent() == b.parent() => "rename one, or run them apart",
                    _ => "run one folder at a time, each with its own -o",
                };
                return Err(Usage(format!("{other} and {image} would both be written to {path}; {advice}")).into());
            }
        }
    }
    Ok(())
}

/// For a file of the whole run: it may be neither an input nor one of the results.
pub(super) fn refuse_to_replace(
    path: &Path,
    inputs: &Inputs,
    targets: &[Target],
    formats: &[&Format],
) -> anyhow::Result<()> {
    refuse_among(path, written(targets, formats))?;
    refuse_files_of(inputs, [path.to_owned()])
}

/// A file of the whole run may not be one of those that are written for a result.
pub(super) fn refuse_among(path: &Path, mut written: impl Iterator<Item = PathBuf>) -> anyhow::Result<()> {
    if written.any(|file| key(&file) == key(path)) {
        let path = path.display();
        return Err(
            Usage(format!("{path} is one of the results and would be overwritten; give it another name")).into()
        );
    }
    Ok(())
}

/// None of the files that are written may be one that is read.
pub(super) fn refuse_files_of(inputs: &Inputs, written: impl IntoIterator<Item = PathBuf>) -> anyhow::Result<()> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let images = inputs.images.iter().filter_map(|image| match image {
        Input::File(path) => Some(path.as_path()),
        Input::Stdin => None,
    });
    let read: HashSet<PathBuf> =
        images.chain(inputs.parameters.as_deref()).filter(|path| path.is_file()).filter_map(real).collect();
    for path in written {
        if real(&path).is_some_and(|path| read.contains(&path)) {
            let path = path.display();
            return Err(Usage(format!("{path} is an input and would be overwritten; give another -o")).into());
        }
    }
    Ok(())
}

pub(super) fn is_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

pub(super) fn ends_with_separator(path: &Path) -> bool {
    path.as_os_str().to_string_lossy().ends_with(std::path::is_separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(images: &[&str], folder: Option<&str>) -> anyhow::Result<Vec<String>> {
        let images: Vec<Input> = images.iter().map(|path| Input::File(path.into())).collect();
        let format = Format::named("json").unwrap();
        let formats = vec![format; images.len()];
        let targets = named_after(&images, folder.map(Path::new), &formats);
        refuse_to_share(&images, &targets, &formats)?;
        let show = |target: &Target| match target {
            Target::File(path) => path.to_string_lossy().replace('\\', "/"),
            Target::Stdout => "-".into(),
        };
        Ok(targets.iter().map(show).collect())
    }

    #[test]
    fn results_lie_beside_their_images_when_no_folder_is_given() {
        assert_eq!(names(&["a/hero.png", "b/hero.png", "x"], None).unwrap(), ["a/hero.json", "b/hero.json", "x.json"]);
    }

    #[test]
    fn whole_names_are_kept_when_stems_collide() {
        let got = names(&["hero.png", "Hero.webp", "cat.v2.png"], Some("out")).unwrap();
        assert_eq!(got, ["out/hero.png.json", "out/Hero.webp.json", "out/cat.v2.json"]);
    }

    #[test]
    fn equal_names_from_two_folders_are_refused() {
        let error = names(&["a/hero.png", "b/hero.png"], Some("out")).unwrap_err();
        assert!(error.is::<Usage>());
        assert!(error.to_string().contains("a/hero.png and b/hero.png would both be written to"), "{error}");
    }

    #[test]
    fn dot_files_keep_their_name() {
        assert_eq!(names(&[".png"], None).unwrap(), [".png.json"]);
    }

    #[test]
    fn formats_are_told_by_the_output_name() {
        let format = |name: &str| format_of_name(Path::new(name)).map(|format| format.name);
        assert_eq!(format("a.json"), Some("json"));
        assert_eq!(format("a.outline.json"), Some("outline"));
        assert_eq!(format("dir/a.SVG"), Some("svg"));
        assert_eq!(format("a.png"), Some("png"));
        assert_eq!((format("a"), format("a.txt"), format("-")), (None, None, None));
    }
}
