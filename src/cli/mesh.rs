//! `spinelift mesh`: the arguments, and the run as a list of steps.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;
use spinelift::decode::Limits;
use spinelift::export::{FORMATS, Format};
use spinelift::mesh::{Error, MeshLimits, MeshParameters};

use super::batch::{self, Done, Outcome, Threads};
use super::convert::Order;
use super::input::{self, Input, Inputs};
use super::output::{self, Target};
use super::rig::{self, Member, Skeleton};
use super::sheet::Sheet;
use super::{EXIT_IMAGE_FAILED, Usage, help, is_closed_pipe, save, say};

/// Turn images into meshes
///
/// Reads PNG, WebP, JPEG, GIF and BMP, told apart by their content. The shape is where the alpha channel says so; a mesh
/// covers the largest connected shape, or with `outline=cover` every pixel. One image gives its result on standard output,
/// several or a folder give one file each. Each PSD gives one skeleton of its visible layers, covered to the last pixel
/// unless parameters say otherwise.
#[derive(Debug, Args)]
#[command(after_help = "`--help` has examples, the parameters and the exit status.", after_long_help = help::after_mesh())]
pub(super) struct MeshArgs {
    /// Image files, folders, or `-` for standard input
    ///
    /// A folder stands for the images directly in it, PSDs among them, by extension; hidden files, `*.mesh.png`,
    /// `*.sheet.png` and an atlas's pages are left out, and PSDs where --format or -o asks for something else than
    /// skeletons.
    #[arg(required = true, value_name = "IMAGE")]
    pub(super) images: Vec<PathBuf>,

    /// Where the result goes: a file, a folder, or `-` for standard output
    ///
    /// Several images, or a folder of them, go into a folder, which is made if need be; without -o each result lies
    /// beside its image. `hero.png` gives `hero.json`; if `hero.webp` is there too, `hero.png.json` and
    /// `hero.webp.json`. Existing results are replaced, each at once; an input never is. Several images and the name of
    /// one skeleton, such as `hero.spine.json`, give that skeleton with a slot for each image, the first at the back, and
    /// an atlas of them beside it.
    #[arg(short, long, value_name = "FILE|DIR|-")]
    pub(super) output: Option<PathBuf>,

    /// What to write; by default what the name after -o says, else json
    #[arg(short, long, value_parser = PossibleValuesParser::new(help::format_names()))]
    pub(super) format: Option<String>,

    /// Beside one skeleton of several images, write them one by one, not packed onto the pages of an atlas
    ///
    /// They go into the folder `NAME-images`, where files of their names are replaced and others stay.
    #[arg(long)]
    pub(super) loose: bool,

    /// Set one parameter; may be repeated, wins over --params
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(super) set: Vec<String>,

    /// Read parameters from a JSON object such as {"detail_factor": 0.02}
    #[arg(short, long, value_name = "FILE.json")]
    params: Option<PathBuf>,

    /// Threads to use, all cores by default
    #[arg(short, long, value_name = "N", value_parser = thread_count)]
    pub(super) jobs: Option<usize>,

    /// Draw all images and layers of the run on one sheet, with mesh, name and numbers; those that failed say why
    ///
    /// As one picture, or as a page that needs no network. Letters beyond ASCII are seen on the page alone.
    #[arg(long, value_name = "FILE.png|FILE.html", conflicts_with = "timings")]
    pub(super) contact_sheet: Option<PathBuf>,

    /// Report how long each stage took, one JSON line per image on standard error
    ///
    /// The file is in memory, images run one after the other on one thread each (so not with --jobs), and the figures
    /// are medians over --repeat, in ms. `total` runs from the file's bytes to the result's bytes; `mask` includes the
    /// blur. The file's SHA-256 is outside of it, under `sha256_ms`: elsewhere it is computed beside the decoding.
    #[arg(long, conflicts_with = "jobs")]
    pub(super) timings: bool,

    /// How often to run each image for --timings
    #[arg(long, value_name = "N", default_value = "1", requires = "timings", value_parser = at_least_one)]
    repeat: usize,

    /// Say nothing on standard error but failures and timings
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// Refuse images wider or taller than this, in px
    #[arg(long, value_name = "PX", default_value_t = Limits::default().max_width)]
    max_dimension: u32,

    /// Refuse larger files, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().max_bytes)]
    max_bytes: u64,

    /// Refuse parameters that would make more triangles than this
    #[arg(long, value_name = "N", default_value_t = MeshLimits::default().max_triangles)]
    max_triangles: u64,
}

/// More threads than any machine has use for would be long in starting.
const MOST_THREADS: usize = 256;

fn thread_count(text: &str) -> Result<usize, String> {
    let expected = || format!("must be a whole number from 1 to {MOST_THREADS}");
    text.parse().ok().filter(|number| (1..=MOST_THREADS).contains(number)).ok_or_else(expected)
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number >= 1).ok_or_else(|| "must be a whole number from 1".into())
}

/// Makes every mesh, then says what failed.
pub(super) fn run(args: &MeshArgs) -> anyhow::Result<ExitCode> {
    let mut inputs = input::find(&args.images)?;
    inputs.parameters.clone_from(&args.params);
    let layered = args.find_layered(&mut inputs)?;
    if !layered.is_empty() {
        return args.make_layered(&inputs, &layered);
    }
    let order = args.order(inputs.images.len())?;
    if args.format.is_none() {
        output::refuse_unknown_name(&inputs, args.output.as_deref())?;
    }
    if let Some(skeleton) = rig::asked_for(order.format, &inputs, args.output.as_deref(), args.loose)? {
        return args.make_skeleton(&order, &inputs, &skeleton);
    }
    let formats = vec![order.format; inputs.images.len()];
    let targets = output::plan(&inputs, args.output.as_deref(), &formats)?;
    refuse_binary_on_terminal(order.format, &targets)?;
    if let Some(sheet) = &order.sheet {
        sheet.check(&inputs, &targets, &formats)?;
    }
    args.say_warnings(&order);
    if !args.quiet {
        say_what_is_left_out(order.format, &targets);
    }
    let threads = Threads::new(if args.timings { Some(1) } else { args.jobs })?;
    let progress = batch::progress(inputs.images.len(), "images", args.quiet || args.timings);
    let work: Vec<(&Input, &Target)> = inputs.images.iter().zip(&targets).collect();
    let outcomes = threads.each(&work, &progress, |&(image, target)| args.make_one(&order, image, target));
    progress.finish_and_clear();
    let code = args.report(&inputs, &outcomes);
    if let Some(sheet) = &order.sheet {
        sheet.write(&inputs.images, outcomes)?;
    }
    Ok(code)
}

impl MeshArgs {
    /// What is asked of so many images.
    pub(super) fn order(&self, images: usize) -> anyhow::Result<Order> {
        let (parameters, warnings) = self.parameters(|given| given)?;
        let format = match &self.format {
            Some(name) => Format::named(name),
            None => self.output.as_deref().and_then(output::format_of_name).or(FORMATS.first()),
        };
        Ok(Order {
            format: format.context("no such format")?,
            parameters,
            warnings,
            limits: self.limits(),
            mesh_limits: MeshLimits { max_triangles: self.max_triangles },
            sheet: self.contact_sheet.as_deref().map(|path| Sheet::named(path, images)).transpose()?,
        })
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { max_width: self.max_dimension, max_height: self.max_dimension, max_bytes: self.max_bytes }
    }

    /// The parameters that are given, of which the file's are completed first.
    pub(super) fn parameters(
        &self,
        complete: impl FnOnce(Value) -> Value,
    ) -> anyhow::Result<(MeshParameters, Vec<String>)> {
        let base = complete(self.params.as_deref().map_or(Ok(Value::Null), read_json)?);
        MeshParameters::from_assignments(&base, &self.set).map_err(|error| Usage(error.to_string()).into())
    }

    /// One skeleton of all images.
    fn make_skeleton(&self, order: &Order, inputs: &Inputs, skeleton: &Skeleton) -> anyhow::Result<ExitCode> {
        if self.timings {
            let advice = "name a folder with -o to measure each image";
            return Err(Usage(format!("--timings does not go with one skeleton of several images; {advice}")).into());
        }
        if let Some(sheet) = &order.sheet {
            sheet.check(inputs, &[skeleton.target()], &[order.format])?;
        }
        self.say_warnings(order);
        let threads = Threads::new(self.jobs)?;
        let progress = batch::progress(inputs.images.len(), "images", self.quiet);
        let made = threads.each(&inputs.images, &progress, |image| Member::new(order, image));
        progress.finish_and_clear();
        let (outcomes, warnings) = skeleton.write(order, inputs, &threads, made)?;
        if !self.quiet {
            warnings.iter().for_each(|warning| say(format_args!("warning: {warning}")));
        }
        let code = self.report(inputs, &outcomes);
        if let Some(sheet) = &order.sheet {
            sheet.write(&inputs.images, outcomes)?;
        }
        Ok(code)
    }

    pub(super) fn say_warnings(&self, order: &Order) {
        if !self.quiet {
            order.warnings.iter().for_each(|warning| say(format_args!("warning: {warning}")));
        }
    }

    pub(super) fn make_one(&self, order: &Order, image: &Input, target: &Target) -> Outcome {
        let converted = if self.timings {
            let (converted, line) = order.convert_timed(image, target, self.repeat)?;
            writeln!(io::stderr().lock(), "{line}").context("cannot write to standard error")?;
            converted
        } else {
            order.convert(image, target)?
        };
        // First, so that whoever waits for the main file finds them there.
        for (path, bytes) in &converted.beside {
            save::to_file(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        }
        match target {
            Target::Stdout => save::to_stdout(&converted.bytes).context("cannot write to standard output")?,
            Target::File(path) => {
                save::to_file(path, &converted.bytes).with_context(|| format!("cannot write {}", path.display()))?
            }
        }
        Ok(Done { warnings: converted.warnings, parts: converted.part.into_iter().collect(), ..Done::default() })
    }

    pub(super) fn report(&self, inputs: &Inputs, outcomes: &[Outcome]) -> ExitCode {
        let mut failed = 0;
        for (image, outcome) in inputs.images.iter().zip(outcomes) {
            match outcome {
                Ok(done) => {
                    failed += usize::from(!done.failures.is_empty());
                    let warnings = if self.quiet { &[] } else { &done.warnings[..] };
                    warnings.iter().for_each(|warning| say(format_args!("{image}: warning: {warning}")));
                    done.failures.iter().for_each(|failure| say(format_args!("{image}: {failure}")));
                }
                Err(error) if is_closed_pipe(error) => {}
                Err(error) => {
                    failed += 1;
                    say(format_args!("{image}: {error:#}{}", how_to_raise_the_limit(error)));
                }
            }
        }
        let all = outcomes.len();
        if inputs.is_batch && failed == all {
            say(format_args!("{failed} of {all} images failed"));
        } else if inputs.is_batch && failed > 0 {
            say(format_args!("{failed} of {all} images failed, the others are done"));
        } else if inputs.is_batch && !self.quiet {
            say(format_args!("{all} of {all} images done"));
        }
        if failed > 0 { ExitCode::from(EXIT_IMAGE_FAILED) } else { ExitCode::SUCCESS }
    }
}

/// Goes on where the engine's sentence ends, which knows nothing of options.
pub(super) fn how_to_raise_the_limit(error: &anyhow::Error) -> &'static str {
    match error.downcast_ref() {
        Some(Error::ImageTooLarge { what: "file size", .. }) => " with --max-bytes",
        Some(Error::ImageTooLarge { .. }) => " with --max-dimension",
        Some(Error::MeshTooLarge { .. }) => ", or the limit with --max-triangles",
        _ => "",
    }
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let shown = path.display();
    let text = fs::read(path).map_err(|error| Usage(format!("the parameter file {shown} cannot be read: {error}")))?;
    // Editors on Windows put a byte order mark before UTF-8.
    let value = serde_json::from_slice(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text));
    value.map_err(|error| Usage(format!("the parameter file {shown} is not JSON: {error}")).into())
}

/// A stream takes one file: those that belong beside it need a file's name to lie beside.
fn say_what_is_left_out(format: &Format, targets: &[Target]) {
    let is_left_out = targets.iter().any(|target| target.beside(format).len() < format.beside.len());
    for beside in format.beside.iter().filter(|_| is_left_out) {
        let (about, Format { extension, .. }) = (beside.about, format);
        say(format_args!("left out: {about}, NAME.{}; add -o NAME.{extension} to get both", beside.extension));
    }
}

fn refuse_binary_on_terminal(format: &Format, targets: &[Target]) -> anyhow::Result<()> {
    if format.binary && targets.contains(&Target::Stdout) && io::stdout().is_terminal() {
        let Format { name, extension, .. } = format;
        let advice = format!("add -o NAME.{extension}, or a pipe after the command");
        return Err(Usage(format!("{name} does not belong on a terminal; {advice}")).into());
    }
    Ok(())
}
