//! Where a closed outline touches or crosses itself, or another.

use super::fixed::{Place, cross, minus, turn};

/// Pairs of edges, by their first vertex, that have a point in common beside the end that neighbours share.
pub(super) fn crossings(ring: &[Place]) -> Vec<(usize, usize)> {
    let count = ring.len();
    let edge = |i: usize| [ring[i], ring[(i + 1) % count]];
    let mut found = Vec::new();
    for i in 0..count {
        for j in i + 1..count {
            let meet = if j == i + 1 {
                folds_back(edge(i), edge(j))
            } else if i == 0 && j == count - 1 {
                folds_back(edge(j), edge(i))
            } else {
                touch(edge(i), edge(j))
            };
            if meet {
                found.push((i, j));
            }
        }
    }
    found
}

/// Whether an edge, by its first vertex, has a point in common with another beside the end that neighbours share.
pub(super) fn meets_another(ring: &[Place], i: usize) -> bool {
    let count = ring.len();
    let edge = |i: usize| [ring[i % count], ring[(i + 1) % count]];
    (0..count).filter(|&j| j != i).any(|j| {
        if j == (i + 1) % count {
            folds_back(edge(i), edge(j))
        } else if i == (j + 1) % count {
            folds_back(edge(j), edge(i))
        } else {
            touch(edge(i), edge(j))
        }
    })
}

/// Whether an edge runs back over the one before it.
pub(super) fn folds_back([a, b]: [Place; 2], [_, c]: [Place; 2]) -> bool {
    turn(a, b, c) == 0 && dot(minus(b, a), minus(c, b)) <= 0
}

fn dot(a: Place, b: Place) -> i64 {
    // The product with the other turned by a quarter.
    cross(a, [-b[1], b[0]])
}

/// Whether two segments have a point in common.
#[inline]
pub(super) fn touch([a, b]: [Place; 2], [c, d]: [Place; 2]) -> bool {
    // On one line the boxes decide.
    !boxes_are_apart([a, b], [c, d]) && meets_line([a, b], [c, d]) && meets_line([c, d], [a, b])
}

/// Whether the boxes around two segments have no point in common.
#[inline]
pub(super) fn boxes_are_apart([a, b]: [Place; 2], [c, d]: [Place; 2]) -> bool {
    let apart =
        |axis: usize| (a[axis].max(b[axis]) < c[axis].min(d[axis])) | (a[axis].min(b[axis]) > c[axis].max(d[axis]));
    // Without a branch, as most pairs are apart in either.
    apart(0) | apart(1)
}

/// Whether the segment from `c` to `d` has a point in common with the line through `a` and `b`.
fn meets_line([a, b]: [Place; 2], [c, d]: [Place; 2]) -> bool {
    let (of_c, of_d) = (turn(a, b, c), turn(a, b, d));
    !((of_c > 0 && of_d > 0) || (of_c < 0 && of_d < 0))
}

/// Whether a place lies within a closed outline or on it.
pub(super) fn holds(ring: &[Place], place: Place) -> bool {
    let mut inside = false;
    for (&a, &b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        let side = turn(a, b, place);
        if side == 0 && dot(minus(a, place), minus(b, place)) <= 0 {
            return true;
        }
        if (a[1] <= place[1]) != (b[1] <= place[1]) {
            inside ^= (side > 0) == (b[1] > a[1]);
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simple_ring_has_no_crossings() {
        assert_eq!(crossings(&[[0, 0], [8, 0], [8, 8], [0, 8]]), []);
        assert_eq!(crossings(&[[0, 0], [8, 0], [4, 4]]), []);
    }

    #[test]
    fn places_within_and_on_an_outline_are_held() {
        let ring = [[0, 0], [8, 0], [8, 8], [4, 2], [0, 8]];
        for place in [[1, 1], [0, 0], [4, 0], [8, 8], [4, 2], [7, 4]] {
            assert!(holds(&ring, place), "{place:?}");
        }
        for place in [[4, 5], [9, 0], [-1, 0], [4, 3], [8, 9]] {
            assert!(!holds(&ring, place), "{place:?}");
        }
    }

    #[test]
    fn what_touches_is_found() {
        assert_eq!(crossings(&[[0, 0], [8, 8], [8, 0], [0, 8]]), [(0, 2)]);
        // A vertex on an edge far away, and an edge that runs back.
        assert_eq!(crossings(&[[0, 0], [8, 0], [8, 8], [4, 0], [0, 8]]), [(0, 2), (0, 3)]);
        assert_eq!(crossings(&[[0, 0], [8, 0], [4, 0], [4, 8]]), [(0, 1), (0, 2)]);
    }
}
