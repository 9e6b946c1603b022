//! The contact sheet of a run: which file it is, and its parts.

use std::path::{Path, PathBuf};

use anyhow::Context;
use spinelift::decode::Picture;
use spinelift::export::contact_sheet::{ContactSheet, Kind, MOST_IN_A_PICTURE, Part};
use spinelift::export::{Format, Source};
use spinelift::mesh::Mesh;

use super::batch::Outcome;
use super::input::{self, Input, Inputs};
use super::output::{self, Target};
use super::{Usage, save};

/// A sheet that is asked for.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    path: PathBuf,
    kind: Kind,
    drawn: ContactSheet,
}

impl Sheet {
    /// The sheet for so many parts, if its name says what it is to be.
    pub(super) fn named(path: &Path, parts: usize) -> anyhow::Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let kind = Kind::of_extension(&extension).ok_or_else(|| {
            Usage(format!("a contact sheet is a .png or a .html file; {} is neither", path.display()))
        })?;
        if kind == Kind::Png && parts > MOST_IN_A_PICTURE {
            let advice = "name a .html file, or run fewer at a time";
            return Err(
                Usage(format!("{parts} parts are too many for a picture of {MOST_IN_A_PICTURE}; {advice}")).into()
            );
        }
        Ok(Self { path: path.to_owned(), kind, drawn: ContactSheet::for_parts(parts) })
    }

    /// Refuses to replace an input or a result; its folder exists afterwards.
    pub(super) fn check(&self, inputs: &Inputs, targets: &[Target], formats: &[&Format]) -> anyhow::Result<()> {
        output::refuse_to_replace(&self.path, inputs, targets, formats)?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let shown = self.path.display();
        if input::is_own_page(&name) {
            return Err(Usage(format!("{shown} is the name of an atlas's page; give the contact sheet another")).into());
        }
        let beside_art = |image: &Input| matches!(image, Input::File(path) if path.parent() == self.path.parent());
        if name.ends_with(".png") && !name.ends_with(input::OWN_SHEET) && inputs.images.iter().any(beside_art) {
            let own = input::OWN_SHEET;
            return Err(Usage(format!(
                "{shown} lies among the images, and the next run would take it for one; end its name in {own}"
            ))
            .into());
        }
        output::create_folder_of(&self.path)
    }

    pub(super) fn part(&self, mesh: &Mesh, source: &Source<'_>) -> anyhow::Result<Part> {
        Ok(self.drawn.part(mesh, source, &facts(mesh))?)
    }

    /// A layer's, from its pixels.
    pub(super) fn part_of(&self, mesh: &Mesh, picture: &Picture, name: &str) -> Part {
        self.drawn.part_of(mesh, Some(picture), name, &facts(mesh))
    }

    /// Where it is written.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Every image of the run in order; what failed says why.
    pub(super) fn write(&self, images: &[Input], outcomes: Vec<Outcome>) -> anyhow::Result<()> {
        let part = |(image, outcome): (&Input, Outcome)| match outcome {
            Ok(done) => done.parts,
            Err(error) => vec![Part::failed(&image.file_name(), &format!("{error:#}"))],
        };
        let parts: Vec<Part> = images.iter().zip(outcomes).flat_map(part).collect();
        let title = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let bytes = self.drawn.write(self.kind, &title, &parts)?;
        save::to_file(&self.path, &bytes).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// What stands under a part beside the numbers of vertices and triangles.
fn facts(mesh: &Mesh) -> Vec<(&'static str, String)> {
    let Some(scores) = mesh.scores else { return Vec::new() };
    // Rounded down: what is not all of it must not read as all of it.
    let percent = (scores.coverage * 1000.0).floor() / 10.0;
    vec![("covered", format!("{percent} %")), ("IoU", format!("{:.3}", scores.iou))]
}
