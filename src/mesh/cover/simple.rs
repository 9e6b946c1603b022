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

/// Whether an edge runs back over the one before it.
fn folds_back([a, b]: [Place; 2], [_, c]: [Place; 2]) -> bool {
    turn(a, b, c) == 0 && dot(minus(b, a), minus(c, b)) <= 0
}

fn dot(a: Place, b: Place) -> i64 {
    // The product with the other turned by a quarter.
    cross(a, [-b[1], b[0]])
}

/// Whether two segments have a point in common.
pub(super) fn touch([a, b]: [Place; 2], [c, d]: [Place; 2]) -> bool {
    let apart =
        |axis: usize| a[axis].max(b[axis]) < c[axis].min(d[axis]) || a[axis].min(b[axis]) > c[axis].max(d[axis]);
    if apart(0) || apart(1) {
        return false;
    }
    let sides = |p: Place, q: Place, r: Place, s: Place| (turn(p, q, r).signum(), turn(p, q, s).signum());
    let ((c_side, d_side), (a_side, b_side)) = (sides(a, b, c, d), sides(c, d, a, b));
    // On one line the boxes decide, which overlap.
    c_side * d_side <= 0 && a_side * b_side <= 0
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
    fn what_touches_is_found() {
        assert_eq!(crossings(&[[0, 0], [8, 8], [8, 0], [0, 8]]), [(0, 2)]);
        // A vertex on an edge far away, and an edge that runs back.
        assert_eq!(crossings(&[[0, 0], [8, 0], [8, 8], [4, 0], [0, 8]]), [(0, 2), (0, 3)]);
        assert_eq!(crossings(&[[0, 0], [8, 0], [4, 0], [4, 8]]), [(0, 1), (0, 2)]);
    }
}
