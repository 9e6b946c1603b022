//! A layered picture to one skeleton: `spinelift mesh character.psd`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Map, Value, json};
use spinelift::decode::psd::{self, BlendMode, Document, Layer, LayerLimits};
use spinelift::export::{self, Blend, Part, RIG_FORMATS, RigFormat};
use spinelift::mesh::{self, AlphaPlane, Mesh};

use super::convert::{self, Order};
use super::input::{Input, Inputs};
use super::rig::Skeleton;
use super::{Usage, output};

/// What became of a layered picture.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What is odd about it or about a layer, a sentence each.
    pub(super) warnings: Vec<String>,
    /// The layers that became no mesh, and why.
    pub(super) failures: Vec<String>,
}

/// Parameters with those of layers where they are not given: the setup pose must look like the document, so that nothing
/// of a layer is left out.
pub(super) fn with_defaults(mut given: Value) -> Value {
    if given.is_null() {
        given = Value::Object(Map::new());
    }
    if let Some(given) = given.as_object_mut() {
        for (name, value) in [
            ("outline", json!("cover")),
            ("islands", json!("bridge")),
            ("alpha_threshold", json!(1)),
            ("min_contour_area", json!(0)),
        ] {
            given.entry(name).or_insert(value);
        }
    }
    given
}

/// Whether the one input is a PSD, told by its content.
pub(super) fn is_asked_for(inputs: &Inputs) -> bool {
    let [Input::File(path)] = &inputs.images[..] else { return false };
    let mut first_bytes = [0; 4];
    let begun = File::open(path).and_then(|mut file| file.read_exact(&mut first_bytes));
    begun.is_ok() && psd::is_psd(&first_bytes)
}

/// The skeleton that is asked for: in the first format of skeletons unless another is named, beside the PSD unless -o says
/// where.
pub(super) fn skeleton(
    inputs: &Inputs,
    format: Option<&str>,
    to: Option<&Path>,
    loose: bool,
) -> anyhow::Result<Skeleton> {
    let by_path = || to.and_then(output::format_of_name).map(|format| format.name);
    let rig = match format.or_else(by_path) {
        Some(name) => RigFormat::named(name),
        None => RIG_FORMATS.first(),
    };
    let known = || RIG_FORMATS.iter().map(|format| format.name).collect::<Vec<_>>().join(", ");
    let refuse =
        || Usage(format!("a PSD becomes one skeleton of its layers: --format {}, and -o a file or folder", known()));
    let rig = rig.ok_or_else(refuse)?;
    let [Input::File(input)] = &inputs.images[..] else { return Err(refuse().into()) };
    let mut name = input.file_stem().unwrap_or_default().to_owned();
    name.push(".");
    name.push(rig.extension);
    let path: PathBuf = match to {
        None => input.with_file_name(name),
        Some(to) if to == Path::new("-") => return Err(refuse().into()),
        Some(to) if to.is_dir() || to.extension().is_none() => to.join(name),
        Some(to) => to.to_owned(),
    };
    Ok(Skeleton::new(rig, path, loose))
}

/// Reads the file, makes a mesh of every visible layer and writes the skeleton.
pub(super) fn make(order: &Order, inputs: &Inputs, skeleton: &Skeleton) -> anyhow::Result<Told> {
    let image = inputs.images.first().context("no input")?;
    let file = convert::read(image, &order.limits)?;
    let Document { width, height, layers, notes, left_out } =
        psd::layers(&file, &order.limits, &LayerLimits::default(), &())?;
    drop(file);
    let mut told = Told { warnings: notes, failures: Vec::new() };
    let not_hidden = left_out.iter().filter(|layer| layer.reason != psd::HIDDEN);
    told.warnings.extend(not_hidden.map(|layer| format!("the layer {:?} is left out: {}", layer.name, layer.reason)));
    let mut members = Vec::new();
    for layer in layers {
        match mesh_of(order, &layer) {
            Ok(mesh) => members.push((full_name(&layer), layer, mesh)),
            Err(error) => told.failures.push(format!("layer {:?}: {error:#}", layer.name)),
        }
    }
    for (name, layer, mesh) in &members {
        told.warnings.extend(mesh.warnings.iter().map(|warning| format!("layer {name:?}: {warning}")));
        if layer.blend != BlendMode::NORMAL && blend(layer) == Blend::Normal {
            let mode = layer.blend.name();
            told.warnings.push(format!("layer {name:?} is drawn normally: skeletons have no blend mode {mode}"));
        }
    }
    if members.is_empty() {
        let advice = "show a layer, or see why each was refused";
        anyhow::bail!("no visible layer became a mesh; {advice}: {}", told.failures.join("; "));
    }
    let part = |(name, layer, mesh)| {
        let layer: &Layer = layer;
        let offset = [f64::from(layer.bounds.x), f64::from(layer.bounds.y)];
        Part { name, mesh, offset, opacity: layer.opacity, blend: blend(layer) }
    };
    let parts: Vec<Part<'_>> = members.iter().map(|(name, layer, mesh)| part((&**name, layer, mesh))).collect();
    let picture = |index: usize| Ok(members[index].1.picture.clone());
    let png = |index: usize| Ok(export::png_of(&members[index].1.picture)?);
    skeleton.write_rig(inputs, [width, height], &parts, picture, png)?;
    Ok(told)
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
