//! A layered picture to one skeleton: `spinelift mesh character.psd`.

use anyhow::Context;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use spinelift::decode::psd::{self, BlendMode, Document, Layer, LayerLimits};
use spinelift::export::contact_sheet;
use spinelift::export::{self, Blend, Part};
use spinelift::mesh::{self, AlphaPlane, Mesh};

use super::batch::{Done, Threads};
use super::convert::{self, Order};
use super::input::{Input, Inputs};
use super::mesh::how_to_raise_the_limit;
use super::rig::Skeleton;

/// One of the layered pictures of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Character<'a> {
    pub(super) image: &'a Input,
    pub(super) skeleton: &'a Skeleton,
    /// The contact sheet shows other images too, so that names of layers need the file's before them.
    pub(super) is_one_of_several: bool,
}

/// A layer that became a mesh.
struct Member {
    /// `group/layer`.
    name: String,
    layer: Layer,
    mesh: Mesh,
}

/// Parameters with those of layers where neither they nor assignments give them: the setup pose must look like the document,
/// so that nothing of a layer is left out.
pub(super) fn with_defaults(mut given: Value, assignments: &[String]) -> Value {
    if given.is_null() {
        given = Value::Object(Map::new());
    }
    if let Some(given) = given.as_object_mut() {
        let assigned = assignments.iter().rev().filter_map(|assignment| assignment.split_once('='));
        let assigned = assigned.filter(|(name, _)| name.trim() == "outline").map(|(_, value)| value).next();
        let is_traced =
            assigned.or(given.get("outline").and_then(Value::as_str)).is_some_and(|way| way.trim() == "trace");
        given.entry("alpha_threshold").or_insert(json!(1));
        // The others are of covering outlines.
        if !is_traced {
            for (name, value) in
                [("outline", "cover".into()), ("islands", "bridge".into()), ("min_contour_area", 0.into())]
            {
                given.entry(name).or_insert(value);
            }
        }
    }
    given
}

impl Character<'_> {
    /// Reads the file, makes a mesh of every visible layer and writes the skeleton.
    pub(super) fn make(
        &self,
        order: &Order,
        inputs: &Inputs,
        threads: &Threads,
        progress: &ProgressBar,
    ) -> anyhow::Result<Done> {
        let file = convert::read(self.image, &order.limits)?;
        let Document { width, height, layers, notes, left_out } =
            psd::layers(&file, &order.limits, &LayerLimits::default(), &())?;
        drop(file);
        let mut done = Done { warnings: notes, ..Done::default() };
        let not_hidden = left_out.iter().filter(|layer| layer.reason != psd::HIDDEN);
        done.warnings
            .extend(not_hidden.map(|layer| format!("the layer {:?} is left out: {}", layer.name, layer.reason)));
        progress.inc_length(layers.len() as u64);
        let meshes = threads.each(&layers, progress, |layer| mesh_of(order, layer));
        let mut members = Vec::new();
        for (layer, mesh) in layers.into_iter().zip(meshes) {
            let name = full_name(&layer);
            match mesh {
                Ok(mesh) => members.push(Member { name, layer, mesh }),
                Err(error) => {
                    let reason = format!("{error:#}{}", how_to_raise_the_limit(&error));
                    if order.sheet.is_some() {
                        done.parts.push(contact_sheet::Part::failed(&self.shown(&name), &reason));
                    }
                    done.failures.push(format!("layer {name:?}: {reason}"));
                }
            }
        }
        if members.is_empty() {
            let advice = "show a layer, or see why each was refused";
            anyhow::bail!("no visible layer became a mesh; {advice}: {}", done.failures.join("; "));
        }
        members.iter().for_each(|member| done.warnings.extend(member.warnings()));
        let parts: Vec<Part<'_>> = members.iter().map(Member::part).collect();
        let picture = |index: usize| Ok(members[index].layer.picture.clone());
        let png = |index: usize| Ok(export::png_of(&members[index].layer.picture)?);
        let canvas = [width, height];
        let odd = self.skeleton.write_rig(order, inputs, threads, (canvas, &parts), (picture, png))?;
        done.warnings.extend(odd);
        if let Some(sheet) = &order.sheet {
            let draw =
                |member: &Member| Ok(sheet.part_of(&member.mesh, &member.layer.picture, &self.shown(&member.name)));
            let drawn = threads.each(&members, &ProgressBar::hidden(), draw);
            let drawn: Vec<contact_sheet::Part> = drawn.into_iter().collect::<anyhow::Result<_>>()?;
            // What failed comes last: it has no place in the draw order.
            done.parts.splice(0..0, drawn);
        }
        Ok(done)
    }

    /// A layer's name on the contact sheet.
    fn shown(&self, layer: &str) -> String {
        if self.is_one_of_several { format!("{}: {layer}", self.image.file_name()) } else { layer.to_owned() }
    }
}

impl Member {
    fn part(&self) -> Part<'_> {
        let Self { name, layer, mesh } = self;
        let offset = [f64::from(layer.bounds.x), f64::from(layer.bounds.y)];
        Part { name, mesh, offset, opacity: layer.opacity, blend: blend(layer) }
    }

    fn warnings(&self) -> Vec<String> {
        let Self { name, layer, mesh } = self;
        let mut warnings: Vec<String> =
            mesh.warnings.iter().map(|warning| format!("layer {name:?}: {warning}")).collect();
        if layer.blend != BlendMode::NORMAL && blend(layer) == Blend::Normal {
            let mode = layer.blend.name();
            warnings.push(format!("layer {name:?} is drawn normally: skeletons have no blend mode {mode}"));
        }
        warnings
    }
}

fn mesh_of(order: &Order, layer: &Layer) -> anyhow::Result<Mesh> {
    let picture = &layer.picture;
    let alpha = picture.pixels().as_chunks().0.iter().map(|&[_, _, _, alpha]| alpha).collect();
    let alpha = AlphaPlane::new(picture.width(), picture.height(), alpha).context("it has no pixels")?;
    Ok(mesh::build(&alpha, &order.parameters, &order.mesh_limits, &())?)
}

/// `group/layer`.
fn full_name(layer: &Layer) -> String {
    layer.groups.iter().chain([&layer.name]).map(String::as_str).collect::<Vec<_>>().join("/")
}

fn blend(layer: &Layer) -> Blend {
    match layer.blend {
        BlendMode::LINEAR_DODGE => Blend::Additive,
        BlendMode::MULTIPLY => Blend::Multiply,
        BlendMode::SCREEN => Blend::Screen,
        _ => Blend::Normal,
    }
}
