//! Runs with layered pictures: each PSD becomes a skeleton of its own, and the images beside it what they always become.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use spinelift::decode::psd::{self, LayerLimits};
use spinelift::export::{Format, RIG_FORMATS, RigFormat};

use super::batch::{self, Outcome, Threads};
use super::character::{self, Character};
use super::convert::{self, Order};
use super::input::{Input, Inputs};
use super::mesh::MeshArgs;
use super::output::{self, Target};
use super::rig::Skeleton;
use super::sheet::Sheet;
use super::{Usage, say};

impl MeshArgs {
    /// Which of the inputs are layered, one for each; nothing if none is. Where the run is about single meshes, or about
    /// one skeleton of images, a PSD that was named is refused; one that lay in a folder is left out and said so.
    pub(super) fn find_layered(&self, inputs: &mut Inputs) -> anyhow::Result<Vec<bool>> {
        let layered: Vec<bool> = inputs.images.iter().map(is_layered).collect();
        if !layered.contains(&true) {
            return Ok(Vec::new());
        }
        let Some(reason) = self.why_no_skeletons(inputs.images.len() == 1) else { return Ok(layered) };
        let mut of_input = inputs.images.iter().zip(&layered);
        let is_refused = of_input.any(|(image, layered)| *layered && inputs.is_named(image));
        if is_refused || !layered.contains(&false) {
            return Err(Usage(reason).into());
        }
        let mut is_kept = layered.iter().map(|layered| !layered);
        inputs.images.retain(|image| {
            let is_kept = is_kept.next().unwrap_or(true);
            if !is_kept && !self.quiet {
                say(format_args!("left out: {image}: {reason}"));
            }
            is_kept
        });
        Ok(Vec::new())
    }

    /// Why PSDs cannot become skeletons in this run, and what would let them.
    fn why_no_skeletons(&self, is_alone: bool) -> Option<String> {
        let to = self.output.as_deref();
        let becomes = "a PSD becomes one skeleton of its layers";
        let names = || RIG_FORMATS.iter().map(|format| format.name).collect::<Vec<_>>().join(", ");
        let ends = || RIG_FORMATS.iter().map(|format| format!(".{}", format.extension)).collect::<Vec<_>>().join(", ");
        if let Some(name) = self.format.as_deref().filter(|name| RigFormat::named(name).is_none()) {
            return Some(format!("{becomes}, and {name} holds one mesh; take --format {}", names()));
        }
        if self.timings {
            return Some(format!("{becomes}, which --timings does not measure; save its layers as images for that"));
        }
        let path = to.filter(|path| !is_folder(path))?;
        let shown = path.display();
        if path == Path::new("-") || output::is_device(path) {
            return Some(format!("{becomes}, with files beside it; give -o a file or a folder"));
        }
        let named = output::format_of_name(path);
        if !is_alone {
            // What is there already, or means nothing as a name, is spoken of as where results of images go.
            named?;
            return Some(format!("{becomes}, each of its own, and {shown} is the name of one file; give -o a folder"));
        }
        match named {
            _ if self.format.is_some() => None,
            Some(format) if RigFormat::named(format.name).is_some() => None,
            Some(_) => Some(format!("{becomes}, and {shown} is the name of one mesh; end it in {}", ends())),
            None => Some(format!("no format goes by the name {shown}; end it in {}, or add --format", ends())),
        }
    }

    /// Skeletons of the layered inputs, and of every other image what it becomes by itself.
    pub(super) fn make_layered(&self, inputs: &Inputs, layered: &[bool]) -> anyhow::Result<ExitCode> {
        let to = self.output.as_deref();
        let by_name = || to.filter(|path| !is_folder(path)).and_then(output::format_of_name).map(|format| format.name);
        let rig = self.format.as_deref().or_else(by_name).map_or(RIG_FORMATS.first(), RigFormat::named);
        let rig = rig.context("no such format of skeletons")?;
        let order = self.order(0)?;
        let of_layers = Order {
            format: Format::named(rig.name).context("no such format")?,
            parameters: self.parameters(|given| character::with_defaults(given, &self.set))?.0,
            sheet: self.sheet_of_layers(inputs, layered)?,
            ..order.clone()
        };
        let order = Order { sheet: of_layers.sheet.clone(), ..order };
        let formats: Vec<&Format> =
            layered.iter().map(|layered| if *layered { of_layers.format } else { order.format }).collect();
        let targets = self.targets_of_layered(inputs, &formats)?;
        if let Some(sheet) = &order.sheet {
            sheet.check(inputs, &targets, &formats)?;
        }
        self.say_warnings(&order);
        let threads = Threads::new(self.jobs)?;
        // One for each file; layers are added as they are found, so that there is something to wait for in any case.
        let progress = batch::progress(inputs.images.len().max(2), "images and layers", self.quiet);
        progress.set_length(inputs.images.len() as u64);

        let all = || inputs.images.iter().zip(&targets).zip(layered);
        let single: Vec<(&Input, &Target)> = all().filter(|(_, layered)| !**layered).map(|(both, _)| both).collect();
        let made = threads.each(&single, &progress, |&(image, target)| self.make_one(&order, image, target));
        let mut made = made.into_iter();
        let mut outcomes: Vec<Outcome> = Vec::new();
        for ((image, target), is_layered) in all() {
            // One after the other, its layers on all threads, so that no more than one file's layers are in memory.
            let outcome = if *is_layered {
                let skeleton = Skeleton::at(rig, target, self.loose)?;
                let character = Character { image, skeleton: &skeleton, is_one_of_several: inputs.images.len() > 1 };
                let outcome = batch::contained(|| character.make(&of_layers, inputs, &threads, &progress));
                progress.inc(1);
                Some(outcome)
            } else {
                made.next()
            };
            outcomes.extend(outcome);
        }
        progress.finish_and_clear();
        if let ([Err(error)], false) = (&outcomes[..], inputs.is_batch)
            && let Some(Usage(reason)) = error.downcast_ref()
        {
            return Err(Usage(reason.clone()).into());
        }
        let code = self.report(inputs, &outcomes);
        if let Some(sheet) = &order.sheet {
            sheet.write(&inputs.images, outcomes)?;
        }
        Ok(code)
    }

    /// A file of the only skeleton, else a name for each in a folder or beside its image.
    fn targets_of_layered(&self, inputs: &Inputs, formats: &[&Format]) -> anyhow::Result<Vec<Target>> {
        let to = self.output.as_deref();
        match to.filter(|path| inputs.images.len() == 1 && !is_folder(path)) {
            Some(path) => {
                let targets = vec![Target::File(path.to_owned())];
                output::accept(inputs, &targets, formats)?;
                Ok(targets)
            }
            None => output::plan_many(inputs, to, formats),
        }
    }

    /// The contact sheet, for as many parts as the files say that they hold.
    fn sheet_of_layers(&self, inputs: &Inputs, layered: &[bool]) -> anyhow::Result<Option<Sheet>> {
        let Some(path) = &self.contact_sheet else { return Ok(None) };
        let parts = |(image, layered): (&Input, &bool)| if *layered { self.count_layers(image) } else { 1 };
        Ok(Some(Sheet::named(path, inputs.images.iter().zip(layered).map(parts).sum())?))
    }

    /// One for a file that cannot be read: what is wrong with it is said in its turn.
    fn count_layers(&self, image: &Input) -> usize {
        let limits = self.limits();
        let file = convert::read(image, &limits).ok();
        let survey = file.and_then(|file| psd::survey(&file, &limits, &LayerLimits::default()).ok());
        survey.map_or(1, |survey| survey.layers as usize)
    }
}

/// Told by the content.
fn is_layered(image: &Input) -> bool {
    let Input::File(path) = image else { return false };
    let mut first_bytes = [0; 4];
    // A pipe would be robbed of its first bytes.
    let begun = path.is_file() && File::open(path).and_then(|mut file| file.read_exact(&mut first_bytes)).is_ok();
    begun && psd::is_psd(&first_bytes)
}

/// Whether -o names a folder for a skeleton and what lies beside it: one that is there, or a name without an ending.
fn is_folder(path: &Path) -> bool {
    let is_new = !path.exists() && path.extension().is_none() && path.as_os_str() != "-";
    path.is_dir() || output::ends_with_separator(path) || is_new
}
