//! Layers that share an opacity, taken apart.
//!
//! A group at half opacity, a group with a mask and a layer with others clipped to it are composed by themselves first,
//! and shown through one opacity then. A skeleton knows no such thing: its parts are drawn one over the other. Here the
//! opacity of each part is chosen so that this gives the same picture.
//!
//! Let `g` be the shared opacity at a pixel, `a` a part's own, and `c` what the parts above it cover together. Drawn with
//! `g * a * (1 - c) / (1 - g * c)`, parts give what the whole would have given, and what shines through from below is
//! `1 - g * C` as it should be. At `g = 1` nothing changes, so that a part loses nothing but what is hidden under others
//! where the whole is not opaque: along soft edges, under masks, and everywhere in a group that is half transparent.

use super::mask::Mask;
use super::records::Bounds;
use super::source_limit;
use super::tree::Tree;
use crate::mesh::observer::check_stop;
use crate::mesh::{Observer, Result, Stage};

/// Columns of all scopes together: 32 MiB of rows.
const MOST_COLUMNS: u64 = 4 << 20;

/// A layer while it is put together.
#[derive(Debug)]
pub(super) struct Piece {
    /// Its record.
    pub(super) record: usize,
    pub(super) bounds: Bounds,
    /// Straight RGBA.
    pub(super) pixels: Vec<u8>,
    /// That of its record.
    pub(super) opacity: f64,
    /// That of all groups around it and of what it is clipped to as well: the part's.
    pub(super) full_opacity: f64,
}

/// A group of the file, as far as its opacity matters.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) record: usize,
    pub(super) opacity: f64,
    pub(super) mask: Option<Mask>,
}

/// What parts share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// All in a group share the group's opacity and mask: its place among the groups.
    Group(usize),
    /// All that is clipped to a record, and that itself, share its shape: the record.
    Base(usize),
}

/// One row of a shared opacity.
#[derive(Debug)]
struct Scope {
    owner: Owner,
    /// The leftmost column, px.
    x: i32,
    /// The shared opacity at each column.
    opacity: Vec<f32>,
    /// What the parts drawn so far, from the top, cover of it.
    covered: Vec<f32>,
    /// The row that both are of.
    row: Option<i32>,
}

/// Gives every piece the opacity with which it can be drawn for itself. `pieces` are bottom to top.
pub(super) fn take_apart(pieces: &mut [Piece], groups: &[Group], tree: &Tree, observer: &dyn Observer) -> Result<()> {
    let mut scopes = Vec::new();
    let chains: Vec<Vec<usize>> = pieces.iter().map(|piece| chain(piece, pieces, groups, tree, &mut scopes)).collect();
    let columns = scopes.iter().map(|(_, from, to)| i64::from(*to).abs_diff(i64::from(*from))).sum();
    source_limit("number of columns of its groups and clipped layers", columns, MOST_COLUMNS)?;
    let mut scopes: Vec<Scope> = scopes.into_iter().map(Scope::new).collect();
    let involved = || pieces.iter().zip(&chains).filter(|(_, chain)| !chain.is_empty()).map(|(piece, _)| piece.bounds);
    let Some(first) = involved().map(|bounds| bounds.y).min() else { return Ok(()) };
    let end = involved().map(|bounds| bounds.bottom()).max().unwrap_or(first);
    for y in first..end {
        check_stop(observer, Stage::Decode)?;
        for at in (0..pieces.len()).rev().filter(|at| !chains[*at].is_empty()) {
            if !pieces[at].bounds.rows().contains(&y) {
                continue;
            }
            for scope in &chains[at] {
                prepare(*scope, y, &mut scopes, pieces, groups, tree);
            }
            let is_base = scopes[chains[at][0]].owner == Owner::Base(pieces[at].record);
            pieces[at].share_row(y, is_base, &chains[at], &mut scopes);
        }
    }
    Ok(())
}

/// The scopes around a piece, innermost first, by their place in `scopes`, which grows by those that are new. With each
/// go the first column and the one behind its last.
fn chain(
    piece: &Piece,
    pieces: &[Piece],
    groups: &[Group],
    tree: &Tree,
    scopes: &mut Vec<(Owner, i32, i32)>,
) -> Vec<usize> {
    let is_base = |record: usize| pieces.iter().any(|other| tree.is_clipped_to(other.record, record));
    let mut owners = Vec::new();
    if is_base(piece.record) {
        owners.push(Owner::Base(piece.record));
    }
    owners.extend(tree.bases[piece.record].map(Owner::Base));
    for record in tree.groups_of(piece.record) {
        let group = groups.iter().position(|group| group.record == record);
        let matters = |at: &usize| groups[*at].opacity < 1.0 || groups[*at].mask.is_some() || is_base(record);
        owners.extend(group.filter(matters).map(Owner::Group));
        owners.extend(tree.bases[record].map(Owner::Base));
    }
    let (from, to) = (piece.bounds.x, piece.bounds.right());
    let place = |owner| match scopes.iter().position(|(known, ..)| *known == owner) {
        Some(at) => {
            scopes[at] = (owner, scopes[at].1.min(from), scopes[at].2.max(to));
            at
        }
        None => {
            scopes.push((owner, from, to));
            scopes.len() - 1
        }
    };
    owners.into_iter().map(place).collect()
}

/// Fills a scope for a row, once, when the topmost piece in it is met: what decides its opacity has not changed by then.
fn prepare(at: usize, y: i32, scopes: &mut [Scope], pieces: &[Piece], groups: &[Group], tree: &Tree) {
    if scopes[at].row == Some(y) {
        return;
    }
    let above = match scopes[at].owner {
        Owner::Base(_) => None,
        Owner::Group(group) => {
            let owner = Owner::Base(groups[group].record);
            scopes.iter().position(|scope| scope.owner == owner && scope.row == Some(y))
        }
    };
    // A group that others are clipped to gives way to them where it is not opaque.
    let above = above.map(|above| (scopes[above].x, scopes[above].opacity.clone(), scopes[above].covered.clone()));
    let scope = &mut scopes[at];
    scope.row = Some(y);
    scope.covered.fill(0.0);
    match scope.owner {
        Owner::Group(group) => {
            scope.opacity.fill(groups[group].opacity as f32);
            scope.show_through(&groups[group], y);
            if let Some((x, opacity, covered)) = above {
                scope.give_way(x, &opacity, &covered);
            }
        }
        Owner::Base(record) => {
            scope.opacity.fill(0.0);
            let members = pieces.iter().filter(|piece| piece.record == record || tree.is_within(piece.record, record));
            members.for_each(|piece| scope.cover_by(piece, y));
            if let Some(group) = groups.iter().find(|group| group.record == record) {
                scope.opacity.iter_mut().for_each(|opacity| *opacity *= group.opacity as f32);
                scope.show_through(group, y);
            }
        }
    }
}

impl Scope {
    fn new((owner, from, to): (Owner, i32, i32)) -> Self {
        let columns = from.abs_diff(to) as usize;
        Self { owner, x: from, opacity: vec![0.0; columns], covered: vec![0.0; columns], row: None }
    }

    /// Multiplies by a group's mask.
    fn show_through(&mut self, group: &Group, y: i32) {
        let Some(mask) = &group.mask else { return };
        for (opacity, shown) in self.opacity.iter_mut().zip(mask.row(self.x, y, self.covered.len())) {
            *opacity *= f32::from(shown) / 255.0;
        }
    }

    /// Adds a piece to what is covered by the record that others are clipped to.
    fn cover_by(&mut self, piece: &Piece, y: i32) {
        for (x, [_, _, _, alpha]) in (piece.bounds.x..).zip(piece.row(y)) {
            let Some(opacity) = usize::try_from(x - self.x).ok().and_then(|at| self.opacity.get_mut(at)) else {
                continue;
            };
            *opacity += (1.0 - *opacity) * f32::from(*alpha) / 255.0 * piece.opacity as f32;
        }
    }

    fn give_way(&mut self, x: i32, opacity: &[f32], covered: &[f32]) {
        for (at, (shared, covered)) in (x..).zip(opacity.iter().zip(covered)) {
            if let Some(own) = usize::try_from(at - self.x).ok().and_then(|at| self.opacity.get_mut(at)) {
                *own *= remains(*shared, *covered);
            }
        }
    }
}

impl Piece {
    /// The pixels of a row of the canvas; none outside of the piece.
    fn row(&self, y: i32) -> &[[u8; 4]] {
        let width = self.bounds.width as usize;
        let row = usize::try_from(y - self.bounds.y).ok().filter(|row| *row < self.bounds.height as usize);
        row.map_or(&[], |row| &self.pixels.as_chunks().0[row * width..][..width])
    }

    fn share_row(&mut self, y: i32, is_base: bool, chain: &[usize], scopes: &mut [Scope]) {
        let width = self.bounds.width as usize;
        let row = y.abs_diff(self.bounds.y) as usize * width;
        let (own, full) = (self.opacity as f32, self.full_opacity as f32);
        for (x, pixel) in (self.bounds.x..).zip(&mut self.pixels.as_chunks_mut::<4>().0[row..][..width]) {
            let mut alpha = if is_base { 1.0 } else { f32::from(pixel[3]) / 255.0 * own };
            for scope in chain {
                let scope = &mut scopes[*scope];
                let at = x.abs_diff(scope.x) as usize;
                let (shared, covered) = (scope.opacity[at], scope.covered[at]);
                scope.covered[at] = covered + (1.0 - covered) * alpha;
                alpha *= shared * remains(shared, covered);
            }
            pixel[3] = (alpha / full * 255.0).round() as u8;
        }
    }
}

/// How much of a part remains under others that share its opacity. Within half a level of opaque, nothing is taken: that
/// cannot be seen, and a hole could.
fn remains(shared: f32, covered: f32) -> f32 {
    if shared > 254.5 / 255.0 { 1.0 } else { (1.0 - covered) / (1.0 - shared * covered) }
}
