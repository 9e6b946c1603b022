//! Which group a record is in, which layer it is clipped to, and whether it is seen.

use super::reader::fault;
use super::records::{Record, Role};
use crate::mesh::Result;

/// Groups within groups. Photoshop makes ten.
const DEEPEST: usize = 32;

/// How the records hang together; each list has an entry for each record.
#[derive(Debug)]
pub(super) struct Tree {
    /// The group that it is in.
    pub(super) parents: Vec<Option<usize>>,
    /// The layer or group that it is clipped to: the next lower one in the same group that is not clipped itself.
    pub(super) bases: Vec<Option<usize>>,
    /// It, all its groups and what it is clipped to are switched on.
    pub(super) visible: Vec<bool>,
}

impl Tree {
    /// `records` are bottom to top.
    pub(super) fn new(records: &[Record<'_>]) -> Result<Self> {
        let parents = find_parents(records)?;
        let bases = find_bases(records, &parents);
        let mut visible = vec![false; records.len()];
        for (at, record) in records.iter().enumerate().rev() {
            visible[at] = record.is_visible
                && parents[at].is_none_or(|parent| visible[parent])
                && bases[at].is_none_or(|base| records[base].is_visible);
        }
        Ok(Self { parents, bases, visible })
    }

    /// The groups around a record, innermost first.
    pub(super) fn groups_of(&self, record: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.parents[record], |group| self.parents[*group])
    }

    /// The record lies in the group, at any depth.
    pub(super) fn is_within(&self, record: usize, group: usize) -> bool {
        self.groups_of(record).any(|around| around == group)
    }

    /// The record, or a group around it, is clipped to the base.
    pub(super) fn is_clipped_to(&self, record: usize, base: usize) -> bool {
        self.bases[record] == Some(base) || self.groups_of(record).any(|group| self.bases[group] == Some(base))
    }
}

/// From the top, where a group comes before what is in it.
fn find_parents(records: &[Record<'_>]) -> Result<Vec<Option<usize>>> {
    let mut parents = vec![None; records.len()];
    let mut open = Vec::new();
    for (at, record) in records.iter().enumerate().rev() {
        parents[at] = open.last().copied();
        match record.role {
            Role::Layer => {}
            Role::Group => open.push(at),
            Role::GroupEnd => drop(open.pop().ok_or_else(|| fault("a group ends that did not begin"))?),
        }
        if open.len() > DEEPEST {
            return Err(fault(format!("its groups lie more than {DEEPEST} deep in each other")));
        }
    }
    if open.is_empty() { Ok(parents) } else { Err(fault("a group begins that does not end")) }
}

/// From the bottom, where what is clipped comes after what it is clipped to.
fn find_bases(records: &[Record<'_>], parents: &[Option<usize>]) -> Vec<Option<usize>> {
    let mut lowest = vec![None; records.len() + 1];
    let mut bases = vec![None; records.len()];
    for (at, record) in records.iter().enumerate().filter(|(_, record)| record.role != Role::GroupEnd) {
        let level = &mut lowest[parents[at].map_or(records.len(), |parent| parent)];
        if record.is_clipped {
            bases[at] = *level;
        } else {
            *level = Some(at);
        }
    }
    bases
}
