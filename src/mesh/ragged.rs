//! What helps where there is more to outline than `outline = cover` can: by the parameters in force and the image.

use super::AlphaPlane;
use super::error::Error;
use super::parameters::{Islands, MeshParameters, Symmetry, can_rise};

/// What there may be too much of once islands have been chosen; anything else counts before that, whatever is kept.
pub(super) const KEPT_APART: &str = "islands to keep apart";
pub(super) const BRIDGED: &str = "islands to bridge";

/// Puts into [`Error::TooRagged`] what to do about it: only what is not done yet, and could help.
pub(super) fn advise(error: Error, alpha: &AlphaPlane, p: &MeshParameters) -> Error {
    match error {
        Error::TooRagged { what, limit, .. } => Error::TooRagged { what, limit, advice: advice(what, alpha, p) },
        other => other,
    }
}

fn advice(what: &str, alpha: &AlphaPlane, p: &MeshParameters) -> String {
    let are_chosen = matches!(what, KEPT_APART | BRIDGED);
    let mut ways = Vec::new();
    if has_faint(alpha, p.alpha_threshold) {
        ways.push("raise alpha_threshold");
    }
    if are_chosen && can_rise("min_contour_area", p.min_contour_area) {
        ways.push("raise min_contour_area");
    }
    if can_rise("padding", p.padding) {
        ways.push("raise padding to close gaps");
    }
    match (what, p.islands) {
        (BRIDGED, _) => ways.push("set islands to largest"),
        (KEPT_APART, Islands::All) => ways.push("set islands to largest or bridge"),
        // Halves, or twins of which neither is the largest.
        (KEPT_APART, _) if p.symmetry != Symmetry::None => ways.push("set symmetry to none"),
        _ => {}
    }
    if !are_chosen {
        ways.push("scale the image down");
    }
    ways.push("use outline trace");
    one_of(&ways)
}

/// Ways to help, as the end of a sentence.
pub(super) fn one_of(ways: &[&str]) -> String {
    match ways {
        [first, second] => format!("{first} or {second}"),
        [others @ .., last] if !others.is_empty() => format!("{}, or {last}", others.join(", ")),
        _ => ways.concat(),
    }
}

/// Whether a higher threshold would leave anything out.
fn has_faint(alpha: &AlphaPlane, threshold: u8) -> bool {
    let Some(rows) = alpha.rows() else { return false };
    let mut row = vec![0; alpha.width() as usize];
    (0..alpha.height() as usize).any(|y| {
        rows.copy(y, &mut row);
        row.iter().any(|value| (threshold..255).contains(value))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::mesh::{MeshLimits, build};

    /// Says why an image of single pixels of this alpha, every so many px, or of all but these, has no mesh.
    fn refusal(side: u32, every: usize, [dots, ground]: [u8; 2], given: Value) -> String {
        let dot = |y: usize, x: usize| if y % every == 1 && x % every == 1 { dots } else { ground };
        let values = (0..side as usize).flat_map(|y| (0..side as usize).map(move |x| dot(y, x))).collect();
        let alpha = AlphaPlane::new(side, side, values).unwrap();
        let (p, _) = MeshParameters::from_json(&given).unwrap();
        let error = build(&alpha, &p, &MeshLimits::default(), &()).unwrap_err();
        assert_eq!(error.code(), "MESH_TOO_LARGE");
        error.to_string()
    }

    #[test]
    fn holes_without_number_are_not_helped_by_what_is_kept() {
        for (islands, holes) in [("largest", "cut"), ("largest", "fill"), ("bridge", "cut")] {
            let given = json!({ "outline": "cover", "islands": islands, "holes": holes });
            let expected = "there are more than 65536 islands and holes, too many for outline cover; raise padding to \
                            close gaps, scale the image down, or use outline trace";
            assert_eq!(refusal(800, 3, [0, 255], given), expected);
        }
    }

    #[test]
    fn what_is_in_force_or_at_its_end_is_not_advised() {
        let of = |given: Value| refusal(400, 4, [200, 0], given);
        let all = json!({ "outline": "cover", "islands": "all", "min_contour_area": 0 });
        let expected = "there are more than 2048 islands to keep apart, too many for outline cover; raise alpha_threshold, \
                        raise min_contour_area, raise padding to close gaps, set islands to largest or bridge, \
                        or use outline trace";
        assert_eq!(of(all), expected);
        let twins = json!({ "outline": "cover", "symmetry": "x", "min_contour_area": 0, "alpha_threshold": 200 });
        let expected = "there are more than 2048 islands to keep apart, too many for outline cover; raise alpha_threshold, \
                        raise min_contour_area, raise padding to close gaps, set symmetry to none, or use outline trace";
        assert_eq!(of(twins), expected);
        let bridge = json!({ "outline": "cover", "islands": "bridge", "min_contour_area": 0 });
        let expected = "there are more than 16384 islands to bridge, too many for outline cover; raise min_contour_area, \
                        raise padding to close gaps, set islands to largest, or use outline trace";
        assert_eq!(refusal(400, 3, [255, 0], bridge), expected);
        let twins = MeshParameters {
            symmetry: Symmetry::X,
            padding: 64.0,
            min_contour_area: 1000.0,
            ..MeshParameters::default()
        };
        let opaque = AlphaPlane::opaque(1, 1).unwrap();
        assert_eq!(advice(KEPT_APART, &opaque, &twins), "set symmetry to none or use outline trace");
        assert_eq!(advice("corners", &opaque, &twins), "scale the image down or use outline trace");
        assert_eq!(one_of(&["use outline trace"]), "use outline trace");
    }
}
