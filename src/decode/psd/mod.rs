//! PSD and PSB: the visible layers of a layered picture, each as a part that can be drawn for itself.
//!
//! Written from Adobe's description of the format, and held against psd-tools' reading of files that three writers made.
//! Read are RGB and greyscale with 8 and 16 bits a channel in all four compressions. A part's pixels have its masks and
//! what it is clipped to applied; drawn one over the other from the bottom, each with its opacity, the parts give the
//! composite of the document as far as its layers blend normally. What a skeleton cannot show is named in the notes:
//! other blend modes of groups, effects, softened masks, adjustments.

mod blend;
mod channel;
mod header;
mod mask;
mod pixels;
mod reader;
mod records;
mod share;
mod tree;

pub use blend::BlendMode;
pub use records::Bounds;

use super::source::check_limit as source_limit;
use super::{Limits, Picture};
#[cfg(doc)]
use crate::mesh::Error;
use crate::mesh::observer::check_stop;
use crate::mesh::{Observer, Result, Stage};
use header::Header;
use reader::{Bytes, fault};
use records::{Record, Role};
use share::{Group, Piece};
use tree::Tree;

/// Limits on the layers of a file, beside those on images: checked on the records, before a pixel is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerLimits {
    /// Most visible layers with pixels.
    pub max_layers: u32,
    /// Most pixels of all of them together, their masks included.
    pub max_pixels: u64,
}

impl Default for LayerLimits {
    fn default() -> Self {
        Self { max_layers: 500, max_pixels: 64 << 20 }
    }
}

/// A layered picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Width of the canvas, px.
    pub width: u32,
    /// Height of the canvas, px.
    pub height: u32,
    /// The visible layers, bottom to top.
    pub layers: Vec<Layer>,
    /// The layers that are not among them, bottom to top, and why.
    pub left_out: Vec<LeftOut>,
    /// What is in the file and cannot be shown by parts, a sentence each.
    pub notes: Vec<String>,
}

/// A visible layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its name, not always the only one of this name.
    pub name: String,
    /// Names of the groups that it is in, outermost first.
    pub groups: Vec<String>,
    /// Where its pixels lie on the canvas; they may reach beyond it.
    pub bounds: Bounds,
    /// 0 to 1: its own, its fill's, its groups' and that of the layer it is clipped to, multiplied.
    pub opacity: f64,
    /// How it meets what is below it.
    pub blend: BlendMode,
    /// It has a mask that is switched on; `picture` has it applied.
    pub has_mask: bool,
    /// It is clipped to a layer below it; `picture` has that applied.
    pub is_clipped: bool,
    /// The pixels within `bounds`.
    pub picture: Picture,
}

/// The reason of layers that are switched off, or a group of theirs is.
pub const HIDDEN: &str = "hidden";

/// A layer that is no part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Why, such as [`HIDDEN`].
    pub reason: &'static str,
}

/// What decoding a file would take, by its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Survey {
    /// Width of the canvas, px.
    pub width: u32,
    /// Height of the canvas, px.
    pub height: u32,
    /// Visible layers with pixels.
    pub layers: u32,
    /// Their pixels together, masks included.
    pub pixels: u64,
    /// Pixels of the largest of them.
    pub largest: u64,
    /// Their names with those of all groups that each is in, bytes.
    pub names: u64,
}

/// Whether the first bytes are those of a PSD or PSB.
#[must_use]
pub fn is_psd(first_bytes: &[u8]) -> bool {
    first_bytes.starts_with(&header::MAGIC)
}

/// What [`layers`] would decode.
///
/// # Errors
/// Those of [`layers`] that can be known from the records.
pub fn survey(file: &[u8], limits: &Limits, layer_limits: &LayerLimits) -> Result<Survey> {
    Outline::read(file, limits, layer_limits).map(|outline| outline.survey)
}

/// Decodes the visible layers of a PSD or PSB.
///
/// # Errors
/// [`Error::ImageFormat`] for no PSD, [`Error::ImageTooLarge`] over a limit, [`Error::ImageLoad`] for a file that is cut
/// short or damaged, has no layers, or is of a colour mode or depth that is not read, [`Error::Stopped`] if the observer
/// asked for it.
pub fn layers(file: &[u8], limits: &Limits, layer_limits: &LayerLimits, observer: &dyn Observer) -> Result<Document> {
    check_stop(observer, Stage::Decode)?;
    let outline = Outline::read(file, limits, layer_limits)?;
    let mut left_out = Vec::new();
    let mut pieces = outline.decode(&mut left_out, observer)?;
    let groups = outline.groups(observer)?;
    share::take_apart(&mut pieces, &groups, &outline.tree, observer)?;
    let notes = outline.notes(&pieces);
    let mut layers = Vec::new();
    for piece in pieces {
        let record = piece.record;
        match outline.layer(piece) {
            Some(layer) => layers.push(layer),
            None => left_out.push((record, "it shows nothing")),
        }
    }
    left_out.sort_unstable();
    let named = |(record, reason): (usize, _)| LeftOut { name: outline.records[record].name.clone(), reason };
    Ok(Document {
        width: outline.header.width,
        height: outline.header.height,
        layers,
        left_out: left_out.into_iter().map(named).collect(),
        notes,
    })
}

/// Everything in the file but the pixels, within the limits.
struct Outline<'a> {
    header: Header,
    records: Vec<Record<'a>>,
    tree: Tree,
    survey: Survey,
}

impl<'a> Outline<'a> {
    fn read(file: &'a [u8], limits: &Limits, layer_limits: &LayerLimits) -> Result<Self> {
        let mut bytes = Bytes::new(file);
        let header = Header::read(&mut bytes, limits)?;
        let mut section = bytes.section(header.is_large, "layer section")?;
        let records = records::read(&mut section, &header)?;
        header::check_merged(&mut bytes, &header)?;
        if records.is_empty() {
            return Err(fault("it has no layers, only the merged picture"));
        }
        let tree = Tree::new(&records)?;
        let Header { width, height, .. } = header;
        let survey = Survey { width, height, layers: 0, pixels: 0, largest: 0, names: 0 };
        let mut outline = Self { header, records, tree, survey };
        outline.measure(limits, layer_limits)?;
        Ok(outline)
    }

    /// Adds up what will be decoded, and holds it against the limits.
    fn measure(&mut self, limits: &Limits, layer_limits: &LayerLimits) -> Result<()> {
        for (at, record) in self.records.iter().enumerate() {
            if !self.tree.visible[at] || self.reason_left_out(at).is_some() && record.role == Role::Layer {
                continue;
            }
            let mask = pixels::active_mask(record).map(|mask| mask.bounds);
            let own = Some(record.bounds).filter(|_| record.role == Role::Layer);
            for bounds in mask.into_iter().chain(own) {
                source_limit("layer's width", bounds.width.into(), limits.max_width.into())?;
                source_limit("layer's height", bounds.height.into(), limits.max_height.into())?;
                self.survey.pixels += bounds.area();
                self.survey.largest = self.survey.largest.max(bounds.area());
            }
            self.survey.layers += u32::from(own.is_some());
            if own.is_some() {
                let groups = self.tree.groups_of(at).map(|group| self.records[group].name.len());
                self.survey.names += (record.name.len() + groups.sum::<usize>()) as u64;
            }
        }
        source_limit("number of layers", self.survey.layers.into(), layer_limits.max_layers.into())?;
        source_limit("number of pixels of all layers", self.survey.pixels, layer_limits.max_pixels)
    }

    /// Why a layer is none of the parts, as far as its record says.
    fn reason_left_out(&self, at: usize) -> Option<&'static str> {
        let record = &self.records[at];
        if !self.tree.visible[at] {
            Some(HIDDEN)
        } else if record.is_adjustment {
            Some("an adjustment, which changes other layers and has no picture")
        } else if record.bounds.area() == 0 {
            Some("empty")
        } else if self.full_opacity(at) == 0.0 {
            Some("its opacity is 0")
        } else {
            None
        }
    }

    /// Opacity of a record, of its groups, and of what it or one of them is clipped to.
    fn full_opacity(&self, at: usize) -> f64 {
        let around = std::iter::once(at).chain(self.tree.groups_of(at));
        let bases = |record: usize| std::iter::once(record).chain(self.tree.bases[record]);
        around.flat_map(bases).map(|record| self.records[record].opacity).product()
    }

    fn decode(&self, left_out: &mut Vec<(usize, &'static str)>, observer: &dyn Observer) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        for (at, record) in self.records.iter().enumerate().filter(|(_, record)| record.role == Role::Layer) {
            if let Some(reason) = self.reason_left_out(at) {
                left_out.push((at, reason));
                continue;
            }
            match pixels::rgba(record, &self.header, observer)? {
                Some(pixels) => pieces.push(Piece {
                    record: at,
                    bounds: record.bounds,
                    pixels,
                    opacity: record.opacity,
                    full_opacity: self.full_opacity(at),
                }),
                None => left_out.push((at, "the file holds no pixels for it")),
            }
        }
        Ok(pieces)
    }

    /// The visible groups with their masks.
    fn groups(&self, observer: &dyn Observer) -> Result<Vec<Group>> {
        let is_group = |(at, record): &(usize, &Record<'_>)| record.role == Role::Group && self.tree.visible[*at];
        let groups = self.records.iter().enumerate().filter(is_group);
        groups
            .map(|(at, record)| {
                let mask = pixels::mask(record, &self.header, observer)?;
                Ok(Group { record: at, opacity: record.opacity, mask })
            })
            .collect()
    }

    /// The finished layer; `None` if no pixel of it is seen.
    fn layer(&self, piece: Piece) -> Option<Layer> {
        let record = &self.records[piece.record];
        if piece.pixels.as_chunks::<4>().0.iter().all(|[_, _, _, alpha]| *alpha == 0) {
            return None;
        }
        let mut groups: Vec<String> =
            self.tree.groups_of(piece.record).map(|group| self.records[group].name.clone()).collect();
        groups.reverse();
        Some(Layer {
            name: record.name.clone(),
            groups,
            bounds: piece.bounds,
            opacity: piece.full_opacity,
            blend: record.blend,
            has_mask: pixels::active_mask(record).is_some(),
            is_clipped: self.tree.bases[piece.record].is_some(),
            picture: Picture::new(piece.bounds.width, piece.bounds.height, piece.pixels)?,
        })
    }

    /// What the parts cannot show.
    fn notes(&self, pieces: &[Piece]) -> Vec<String> {
        let mut notes = Vec::new();
        for (at, record) in self.records.iter().enumerate().filter(|(at, _)| self.tree.visible[*at]) {
            let name = &record.name;
            let mut note = |what: &str| notes.push(format!("{name:?} {what}"));
            let inside = || pieces.iter().filter(|piece| self.tree.is_within(piece.record, at)).count();
            if record.role == Role::Group {
                if ![BlendMode::NORMAL, BlendMode::PASS_THROUGH].contains(&record.blend) {
                    let blend = record.blend.name();
                    note(&format!("is a group of blend mode {blend}, which is ignored: set it on its layers"));
                }
                if record.opacity < 1.0 && inside() > 1 {
                    note("is a group that is partly transparent: where its layers lie on each other, the lower is cut");
                }
            }
            if record.role == Role::GroupEnd {
                continue;
            }
            if record.has_effects {
                note("has effects, which are not drawn: rasterise its style");
            }
            if record.mask.is_some_and(|mask| !mask.is_disabled && mask.has_feather) {
                note("has a mask with feather, which is not softened: apply the mask");
            }
        }
        notes
    }
}
