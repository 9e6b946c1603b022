//! Several images to one skeleton: `spinelift mesh parts/ --format spine -o hero.spine.json`.

use std::fs::{self, File};
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::ProgressBar;
use spinelift::decode::{self, Picture};
use spinelift::export::{self, Atlas, Blend, Format, Part, Rig, RigFormat, Source, contact_sheet};
use spinelift::mesh::{self, Mesh};

use super::batch::{Done, Outcome, Threads};
use super::convert::{self, Order};
use super::input::{Input, Inputs};
use super::output::{self, Target};
use super::{Usage, save, stale};

/// What loose images begin with if they can be copied as they are; others become PNG.
const PNG_BEGINS: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Where one skeleton of all images goes, and how.
#[derive(Debug)]
pub(super) struct Skeleton {
    format: &'static RigFormat,
    path: PathBuf,
    /// Images lie beside it one by one, not packed onto pages.
    loose: bool,
}

/// An image that became a mesh.
#[derive(Debug)]
pub(super) struct Member<'a> {
    image: &'a Input,
    /// Standard input can be read once, so it is kept.
    bytes: Option<Vec<u8>>,
    mesh: Mesh,
    /// Its place on the contact sheet, if there is one.
    shown: Option<contact_sheet::Part>,
}

/// The skeleton that is asked for: the format holds rigs, and -o names a file for several images or for loose ones.
/// Otherwise each image has a result of its own.
pub(super) fn asked_for(
    format: &Format,
    inputs: &Inputs,
    to: Option<&Path>,
    loose: bool,
) -> anyhow::Result<Option<Skeleton>> {
    let file = to.filter(|path| output::names_file(path, format));
    let skeleton = RigFormat::named(format.name).zip(file).filter(|_| inputs.is_batch || loose);
    if loose && skeleton.is_none() {
        let known: Vec<&str> = export::RIG_FORMATS.iter().map(|format| format.name).collect();
        let known = known.join(", ");
        return Err(Usage(format!("--loose goes with one skeleton of all images: --format {known} and -o FILE")).into());
    }
    Ok(skeleton.map(|(format, path)| Skeleton { format, path: path.to_owned(), loose }))
}

impl<'a> Member<'a> {
    /// Reads an image and makes its mesh.
    pub(super) fn new(order: &Order, image: &'a Input) -> anyhow::Result<Self> {
        // Otherwise a file is streamed and never held.
        let is_held = order.sheet.is_some() || *image == Input::Stdin;
        let held = if is_held { Some(convert::read(image, &order.limits)?) } else { None };
        let alpha = match (&held, image) {
            (None, Input::File(path)) => decode::alpha_plane(open(path)?, &order.limits, &())?,
            _ => decode::alpha_plane(Cursor::new(held.as_deref().unwrap_or_default()), &order.limits, &())?,
        };
        let mesh = mesh::build(&alpha, &order.parameters, &order.mesh_limits, &())?;
        let name = image.file_name();
        let source = Source { name: &name, bytes: held.as_deref(), limits: order.limits, ..Source::default() };
        let shown = order.sheet.as_ref().map(|sheet| sheet.part(&mesh, &source)).transpose()?;
        Ok(Self { image, bytes: held.filter(|_| *image == Input::Stdin), mesh, shown })
    }

    fn picture(&self, order: &Order) -> anyhow::Result<Picture> {
        let picture = match (&self.bytes, self.image) {
            (Some(bytes), _) => decode::rgba(Cursor::new(bytes), &order.limits, &())?,
            (None, Input::File(path)) => decode::rgba(open(path)?, &order.limits, &())?,
            (None, Input::Stdin) => anyhow::bail!("standard input was not kept"),
        };
        Ok(picture)
    }

    /// The image as a PNG file, as it is if it is one.
    fn png(&self, order: &Order) -> anyhow::Result<Vec<u8>> {
        let bytes = match &self.bytes {
            Some(bytes) => bytes.clone(),
            None => convert::read(self.image, &order.limits)?,
        };
        if bytes.starts_with(&PNG_BEGINS) {
            return Ok(bytes);
        }
        Ok(export::png_of(&decode::rgba(Cursor::new(&bytes), &order.limits, &())?)?)
    }

    fn name(&self) -> String {
        let file_name = self.image.file_name();
        Path::new(&file_name).file_stem().map_or(file_name.clone(), |stem| stem.to_string_lossy().into_owned())
    }
}

impl Skeleton {
    /// The skeleton whose main file that is.
    pub(super) fn at(format: &'static RigFormat, target: &Target, loose: bool) -> anyhow::Result<Self> {
        match target {
            Target::File(path) => Ok(Self { format, path: path.clone(), loose }),
            Target::Stdout => Err(Usage("a skeleton of layers does not fit on standard output; give -o".into()).into()),
        }
    }

    /// The main file.
    pub(super) fn target(&self) -> Target {
        Target::File(self.path.clone())
    }

    /// Writes the skeleton of all images that became meshes, the first at the back, and gives what became of each and
    /// what is odd about the whole.
    pub(super) fn write(
        &self,
        order: &Order,
        inputs: &Inputs,
        threads: &Threads,
        made: Vec<anyhow::Result<Member<'_>>>,
    ) -> anyhow::Result<(Vec<Outcome>, Vec<String>)> {
        let mut members = Vec::new();
        let mut outcomes = Vec::new();
        let mut warnings = Vec::new();
        for result in made {
            outcomes.push(result.map(|mut member| {
                let parts = member.shown.take().into_iter().collect();
                let done = Done { warnings: member.mesh.warnings.clone(), parts, ..Done::default() };
                members.push(member);
                done
            }));
        }
        if !members.is_empty() {
            let wanted: Vec<String> = members.iter().map(Member::name).collect();
            let sizes: Vec<[u32; 2]> = members.iter().map(|member| [member.mesh.width, member.mesh.height]).collect();
            let (canvas, offsets) = export::centred(&sizes);
            let part = |index: usize| {
                let (name, mesh, offset) = (&wanted[index], &members[index].mesh, offsets[index]);
                Part { name, mesh, offset, opacity: 1.0, blend: Blend::Normal }
            };
            let parts: Vec<Part<'_>> = (0..members.len()).map(part).collect();
            let picture = |index: usize| members[index].picture(order);
            let png = |index: usize| members[index].png(order);
            warnings = self.write_rig(order, inputs, threads, (canvas, &parts), (picture, png))?;
        }
        Ok((outcomes, warnings))
    }

    /// Writes the skeleton of parts on a canvas and what belongs beside it, and gives what is odd about it. The images of
    /// parts are asked for by index, as pixels for a page or as a PNG file.
    pub(super) fn write_rig(
        &self,
        order: &Order,
        inputs: &Inputs,
        threads: &Threads,
        (canvas, parts): ([u32; 2], &[Part<'_>]),
        (picture, png): (
            impl Fn(usize) -> anyhow::Result<Picture> + Sync,
            impl Fn(usize) -> anyhow::Result<Vec<u8>> + Sync,
        ),
    ) -> anyhow::Result<Vec<String>> {
        let stem = output::stem(&self.path, self.format.extension).to_string_lossy().into_owned();
        let beside = |name: &str| self.path.with_file_name(name);
        let folder = format!("{stem}-images");
        let images = if self.loose { format!("./{folder}/") } else { "./".into() };
        let rig = Rig { name: &stem, canvas, parts, images: &images };
        let mut warnings = (self.format.beyond_runtimes)(&rig);
        if self.loose {
            let names = export::names(parts.iter().map(|part| part.name));
            let paths: Vec<PathBuf> = names.iter().map(|name| beside(&folder).join(format!("{name}.png"))).collect();
            self.prepare(order, inputs, &paths)?;
            write_each(threads, &paths, png)?;
            warnings.extend(stale::images(&beside(&folder), &paths));
            put(&self.path, &(self.format.skeleton)(&rig, None)?)?;
            return Ok(warnings);
        }
        let atlas = Atlas::packed(parts);
        let page_name = |page: usize| export::page_name(&format!("{stem}.{}", self.format.page_extension(page)));
        let pages: Vec<String> = (0..atlas.pages.len()).map(page_name).collect();
        let texts = (self.format.atlas)(&rig, &atlas, &pages)?;
        let text_paths: Vec<PathBuf> = texts.iter().map(|file| beside(&format!("{stem}.{}", file.extension))).collect();
        let page_paths: Vec<PathBuf> = pages.iter().map(|name| beside(name)).collect();
        self.prepare(order, inputs, &[page_paths.clone(), text_paths.clone()].concat())?;
        write_each(threads, &page_paths, |page| atlas.paint(page, &picture))?;
        for (path, file) in text_paths.iter().zip(&texts) {
            put(path, &file.bytes)?;
        }
        warnings.extend(stale::page(&beside(&page_name(pages.len()))));
        // Last, so that whoever waits for it finds what it names.
        put(&self.path, &(self.format.skeleton)(&rig, Some(&atlas))?)?;
        Ok(warnings)
    }

    /// No input and no contact sheet is overwritten, and every folder is there.
    fn prepare(&self, order: &Order, inputs: &Inputs, beside: &[PathBuf]) -> anyhow::Result<()> {
        let all: Vec<PathBuf> = beside.iter().chain([&self.path]).cloned().collect();
        output::refuse_files_of(inputs, all.iter().cloned())?;
        if let Some(sheet) = &order.sheet {
            output::refuse_among(sheet.path(), all.iter().cloned())?;
        }
        for folder in all.iter().filter_map(|path| path.parent()).filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)
                .map_err(|error| Usage(format!("cannot create the folder {}: {error}", folder.display())))?;
        }
        Ok(())
    }
}

/// Each file by its index, on all threads.
fn write_each(
    threads: &Threads,
    paths: &[PathBuf],
    bytes_of: impl Fn(usize) -> anyhow::Result<Vec<u8>> + Sync,
) -> anyhow::Result<()> {
    let files: Vec<(usize, &PathBuf)> = paths.iter().enumerate().collect();
    let written = threads.each(&files, &ProgressBar::hidden(), |&(index, path)| put(path, &bytes_of(index)?));
    written.into_iter().collect()
}

fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    save::to_file(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    Ok(BufReader::new(File::open(path).context("cannot be opened")?))
}
