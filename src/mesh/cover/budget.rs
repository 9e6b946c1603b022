//! One budget of vertices for all rings: each goes where it saves most.

use super::candidates::Coarsened;

/// A ring that vertices are given to.
pub(super) struct Claim<'a> {
    pub(super) coarsened: &'a Coarsened,
    /// Twice the area that is added where the ring gets no vertex at all: a hole is filled then. `None` for a hull and for
    /// a hole with islands in it, which must have some.
    pub(super) without: Option<i64>,
}

/// Most vertices looked ahead: a notch with several corners saves nothing before the last of them is there.
const AHEAD: usize = 6;

impl Claim<'_> {
    /// Fewest vertices that it can do with.
    pub(super) fn least(&self) -> usize {
        if self.without.is_some() { 0 } else { self.coarsened.fewest().max(3) }
    }

    fn cost(&self, vertices: usize) -> Option<i64> {
        if vertices == 0 { self.without } else { self.coarsened.cost(vertices) }
    }

    /// The best step from so many vertices: what it saves for each, and how many it takes.
    fn step(&self, vertices: usize, left: usize) -> Option<(i64, usize)> {
        let now = self.cost(vertices)?;
        let first = if vertices == 0 { self.coarsened.fewest().max(3) } else { 1 };
        let last = (first + AHEAD).min(left).min(self.coarsened.corners().saturating_sub(vertices));
        (first..=last)
            .filter_map(|more| Some(((now - self.cost(vertices + more)?) / more as i64, more)))
            .filter(|(saved, _)| *saved > 0)
            .max_by_key(|&(saved, more)| (saved, std::cmp::Reverse(more)))
    }
}

/// How many vertices each ring gets. The hulls get what they need even where that is more than the budget.
pub(super) fn share(claims: &[Claim<'_>], budget: usize) -> Vec<usize> {
    let mut given: Vec<usize> = claims.iter().map(Claim::least).collect();
    let mut left = budget.saturating_sub(given.iter().sum());
    let mut steps: Vec<Option<(i64, usize)>> =
        claims.iter().zip(&given).map(|(claim, &vertices)| claim.step(vertices, left)).collect();
    loop {
        let best = steps.iter().enumerate().filter_map(|(i, step)| step.map(|(saved, more)| (saved, more, i)));
        let Some((_, more, i)) = best.max_by_key(|&(saved, _, i)| (saved, std::cmp::Reverse(i))) else { break };
        if more <= left {
            given[i] += more;
            left -= more;
        }
        steps[i] = claims[i].step(given[i], left);
    }
    // Where coarsening sees no use for the rest, the search may: in the ring that adds most.
    let mut order: Vec<usize> = (0..claims.len()).filter(|&i| given[i] > 0).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(claims[i].cost(given[i])));
    for i in order {
        let more = left.min(claims[i].coarsened.corners().saturating_sub(given[i]));
        given[i] += more;
        left -= more;
    }
    given
}
