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

use super::batch::{self, Done, Outcome};
use super::character::{self, Told};
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
/// several or a folder give one file each. A PSD gives one skeleton of its visible layers, covered to the last pixel unless
/// parameters say otherwise.
#[derive(Debug, Args)]
#[command(after_help = "`--help` has examples, the parameters and the exit status.", after_long_help = help::after_mesh())]
pub(super) struct MeshArgs {
    /// Image files, folders, or `-` for standard input
    ///
    /// A folder stands for the images directly in it, by extension; hidden files, `*.mesh.png` and an atlas's pages are left out.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,

    /// Where the result goes: a file, a folder, or `-` for standard output
    ///
    /// Several images, or a folder of them, go into a folder, which is made if need be; without -o each result lies
    /// beside its image. `hero.png` gives `hero.json`; if `hero.webp` is there too, `hero.png.json` and
    /// `hero.webp.json`. Existing results are replaced, each at once; an input never is. Several images and the name of
    /// one skeleton, such as `hero.spine.json`, give that skeleton with a slot for each image, the first at the back, and
    /// an atlas of them beside it.
    #[arg(short, long, value_name = "FILE|DIR|-")]
    output: Option<PathBuf>,

    /// What to write; by default what the name after -o says, else json
    #[arg(short, long, value_parser = PossibleValuesParser::new(help::format_names()))]
    format: Option<String>,

    /// Beside one skeleton of several images, write them one by one, not packed onto the pages of an atlas
    #[arg(long)]
    loose: bool,

    /// Set one parameter; may be repeated, wins over --params
    #[arg(short, long, value_name = "NAME=VALUE")]
    set: Vec<String>,

    /// Read parameters from a JSON object such as {"detail_factor": 0.02}
    #[arg(short, long, value_name = "FILE.json")]
    params: Option<PathBuf>,

    /// Threads to use, all cores by default
    #[arg(short, long, value_name = "N", value_parser = at_least_one)]
    jobs: Option<usize>,

    /// Draw all images of the run on one sheet, with mesh, name and numbers; those that failed say why
    ///
    /// As one picture, or as a page that needs no network. Letters beyond ASCII are seen on the page alone.
    #[arg(long, value_name = "FILE.png|FILE.html", conflicts_with = "timings")]
    contact_sheet: Option<PathBuf>,

    /// Report how long each stage took, one JSON line per image on standard error
    ///
    /// The file is in memory, images run one after the other on one thread each (so not with --jobs), and the figures
    /// are medians over --repeat, in ms. `total` runs from the file's bytes to the result's bytes; `mask` includes the
    /// blur. The file's SHA-256 is outside of it, under `sha256_ms`: elsewhere it is computed beside the decoding.
    #[arg(long, conflicts_with = "jobs")]
    timings: bool,

    /// How often to run each image for --timings
    #[arg(long, value_name = "N", default_value = "1", requires = "timings", value_parser = at_least_one)]
    repeat: usize,

    /// Say nothing on standard error but failures and timings
    #[arg(short, long)]
    quiet: bool,

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

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number >= 1).ok_or_else(|| "must be a whole number from 1".into())
}

/// Makes every mesh, then says what failed.
pub(super) fn run(args: &MeshArgs) -> anyhow::Result<ExitCode> {
    let inputs = input::find(&args.images)?;
    let is_layered = character::is_asked_for(&inputs);
    let order = args.order(inputs.images.len(), is_layered)?;
    if is_layered {
        return args.make_character(&order, &inputs);
    }
    if args.format.is_none() {
        output::refuse_unknown_name(&inputs, args.output.as_deref())?;
    }
    if let Some(skeleton) = rig::asked_for(order.format, &inputs, args.output.as_deref(), args.loose)? {
        return args.make_skeleton(&order, &inputs, &skeleton);
    }
    let targets = output::plan(&inputs, args.output.as_deref(), order.format)?;
    refuse_binary_on_terminal(order.format, &targets)?;
    if let Some(sheet) = &order.sheet {
        sheet.check(&inputs, &targets, order.format)?;
    }
    args.say_warnings(&order);
    if !args.quiet {
        say_what_is_left_out(order.format, &targets);
    }
    let outcomes = args.make(&order, &inputs, &targets)?;
    let code = args.report(&inputs, &outcomes);
    if let Some(sheet) = &order.sheet {
        sheet.write(&inputs.images, outcomes)?;
    }
    Ok(code)
}

impl MeshArgs {
    fn order(&self, images: usize, is_layered: bool) -> anyhow::Result<Order> {
        let (parameters, warnings) = self.parameters(is_layered)?;
        let format = match &self.format {
            Some(name) => Format::named(name),
            None => self.output.as_deref().and_then(output::format_of_name).or(FORMATS.first()),
        };
        Ok(Order {
            format: format.context("no such format")?,
            parameters,
            warnings,
            limits: Limits { max_width: self.max_dimension, max_height: self.max_dimension, max_bytes: self.max_bytes },
            mesh_limits: MeshLimits { max_triangles: self.max_triangles },
            sheet: self.contact_sheet.as_deref().map(|path| Sheet::named(path, images)).transpose()?,
        })
    }

    fn parameters(&self, is_layered: bool) -> anyhow::Result<(MeshParameters, Vec<String>)> {
        let mut base = self.params.as_deref().map_or(Ok(Value::Null), read_json)?;
        if is_layered {
            base = character::with_defaults(base);
        }
        MeshParameters::from_assignments(&base, &self.set).map_err(|error| Usage(error.to_string()).into())
    }

    fn make(&self, order: &Order, inputs: &Inputs, targets: &[Target]) -> anyhow::Result<Vec<Outcome>> {
        let threads = if self.timings { Some(1) } else { self.jobs };
        let progress = batch::progress(inputs.images.len(), self.quiet || self.timings);
        batch::run(&inputs.images, targets, threads, &progress, |image, target| self.make_one(order, image, target))
    }

    /// One skeleton of all images.
    fn make_skeleton(&self, order: &Order, inputs: &Inputs, skeleton: &Skeleton) -> anyhow::Result<ExitCode> {
        if self.timings {
            let advice = "name a folder with -o to measure each image";
            return Err(Usage(format!("--timings does not go with one skeleton of several images; {advice}")).into());
        }
        if let Some(sheet) = &order.sheet {
            sheet.check(inputs, &[skeleton.target()], order.format)?;
        }
        self.say_warnings(order);
        let progress = batch::progress(inputs.images.len(), self.quiet);
        let places = vec![(); inputs.images.len()];
        let made = batch::run(&inputs.images, &places, self.jobs, &progress, |image, ()| Member::new(order, image))?;
        let outcomes = skeleton.write(order, inputs, made)?;
        let code = self.report(inputs, &outcomes);
        if let Some(sheet) = &order.sheet {
            sheet.write(&inputs.images, outcomes)?;
        }
        Ok(code)
    }

    /// One skeleton of a PSD's layers.
    fn make_character(&self, order: &Order, inputs: &Inputs) -> anyhow::Result<ExitCode> {
        if self.timings || order.sheet.is_some() {
            return Err(
                Usage("--timings and --contact-sheet do not go with a PSD; save its layers as images".into()).into()
            );
        }
        let format = self.format.as_deref();
        let skeleton = character::skeleton(inputs, format, self.output.as_deref(), self.loose)?;
        self.say_warnings(order);
        let shown = inputs.images.first().map(ToString::to_string).unwrap_or_default();
        let Told { warnings, failures } = match character::make(order, inputs, &skeleton) {
            Ok(told) => told,
            Err(error) if error.is::<Usage>() => return Err(error),
            Err(error) => {
                say(format_args!("{shown}: {error:#}{}", how_to_raise_the_limit(&error)));
                return Ok(ExitCode::from(EXIT_IMAGE_FAILED));
            }
        };
        if !self.quiet {
            warnings.iter().for_each(|warning| say(format_args!("{shown}: warning: {warning}")));
        }
        failures.iter().for_each(|failure| say(format_args!("{shown}: {failure}")));
        Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_IMAGE_FAILED) })
    }

    fn say_warnings(&self, order: &Order) {
        if !self.quiet {
            order.warnings.iter().for_each(|warning| say(format_args!("warning: {warning}")));
        }
    }

    fn make_one(&self, order: &Order, image: &Input, target: &Target) -> Outcome {
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
        Ok(Done { warnings: converted.warnings, part: converted.part })
    }

    fn report(&self, inputs: &Inputs, outcomes: &[Outcome]) -> ExitCode {
        let mut failed = 0;
        for (image, outcome) in inputs.images.iter().zip(outcomes) {
            match outcome {
                Ok(_) if self.quiet => {}
                Ok(done) => done.warnings.iter().for_each(|warning| say(format_args!("{image}: warning: {warning}"))),
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
    let value = serde_json::from_slice(&text);
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
