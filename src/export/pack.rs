//! Rectangles onto pages: each as low as it fits on the skyline of those before it, tallest first.
//!
//! The skyline heuristic fills 85 to 95 % of a page with sprites and needs no more than a list of steps. Equal
//! rectangles give equal pages.

/// Largest side of a page, px: what every GPU of the last ten years takes and Spine's own packer makes by default. A
/// rectangle that is larger gets a page of its own.
pub(super) const PAGE_PX: u32 = 2048;

/// Narrowest page that is tried, px.
const NARROWEST_PX: u32 = 32;

/// Where a rectangle lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// Index of its page.
    pub(super) page: usize,
    /// Its top-left corner on that page, px.
    pub(super) at: [u32; 2],
}

/// Pages and who lies where on them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Packing {
    /// `[width, height]` of each page, px.
    pub(super) pages: Vec<[u32; 2]>,
    /// One per rectangle, in their order.
    pub(super) places: Vec<Place>,
}

/// Packs rectangles of `[width, height]` px. None overlap, none is turned.
pub(super) fn pack(sizes: &[[u32; 2]]) -> Packing {
    let mut packing = Packing { pages: Vec::new(), places: vec![Place::default(); sizes.len()] };
    let (mut left, large): (Vec<usize>, Vec<usize>) =
        (0..sizes.len()).partition(|&i| sizes[i][0] <= PAGE_PX && sizes[i][1] <= PAGE_PX);
    // Tallest first; the index decides between equal ones.
    left.sort_by_key(|&i| ([u32::MAX - sizes[i][1], u32::MAX - sizes[i][0]], i));
    while !left.is_empty() {
        let fill = fullest(sizes, &left);
        let page = packing.pages.len();
        for &(index, at) in &fill.placed {
            packing.places[index] = Place { page, at };
        }
        packing.pages.push(fill.size);
        left = fill.left;
    }
    for index in large {
        packing.places[index] = Place { page: packing.pages.len(), at: [0, 0] };
        packing.pages.push(sizes[index]);
    }
    packing
}

/// One page and what did not fit on it.
struct Fill {
    /// As much as is used, px.
    size: [u32; 2],
    placed: Vec<(usize, [u32; 2])>,
    left: Vec<usize>,
}

/// The smallest page that takes everything; where none does, the largest.
fn fullest(sizes: &[[u32; 2]], wanted: &[usize]) -> Fill {
    let mut best = fill(sizes, wanted, PAGE_PX);
    let mut width = PAGE_PX / 2;
    while best.left.is_empty() && width >= NARROWEST_PX {
        let narrower = fill(sizes, wanted, width);
        // Of two equal areas the squarer one is nearer to what hardware likes.
        let cost = |[width, height]: [u32; 2]| (u64::from(width) * u64::from(height), width.max(height));
        if narrower.left.is_empty() && cost(narrower.size) < cost(best.size) {
            best = narrower;
        }
        width /= 2;
    }
    best
}

/// One step of the skyline: from `x` on, everything above `y` is taken.
#[derive(Clone, Copy)]
struct Step {
    x: u32,
    y: u32,
    width: u32,
}

fn fill(sizes: &[[u32; 2]], wanted: &[usize], width: u32) -> Fill {
    let mut fill = Fill { size: [1, 1], placed: Vec::new(), left: Vec::new() };
    let mut skyline = vec![Step { x: 0, y: 0, width }];
    for &index in wanted {
        let size = sizes[index];
        let spots = (0..skyline.len()).filter_map(|first| Some((rest(&skyline, first, size, width)?, first)));
        let Some((y, first)) = spots.min_by_key(|&(y, first)| (y, first)) else {
            fill.left.push(index);
            continue;
        };
        let at = [skyline[first].x, y];
        raise(&mut skyline, first, Step { x: at[0], y: y + size[1], width: size[0] });
        fill.size = [fill.size[0].max(at[0] + size[0]), fill.size[1].max(at[1] + size[1])];
        fill.placed.push((index, at));
    }
    fill
}

/// The height at which a rectangle rests if it begins where a step does; `None` where it leaves the page.
fn rest(skyline: &[Step], first: usize, [wide, high]: [u32; 2], width: u32) -> Option<u32> {
    let end = skyline[first].x + wide;
    let under = skyline[first..].iter().take_while(|step| step.x < end);
    let y = under.map(|step| step.y).max().unwrap_or(skyline[first].y);
    (end <= width && y + high <= PAGE_PX).then_some(y)
}

/// Puts a new step in, over those that it covers.
fn raise(skyline: &mut Vec<Step>, first: usize, new: Step) {
    let end = new.x + new.width;
    let mut covered = first;
    while covered < skyline.len() && skyline[covered].x + skyline[covered].width <= end {
        covered += 1;
    }
    if let Some(cut) = skyline.get_mut(covered).filter(|step| step.x < end) {
        cut.width -= end - cut.x;
        cut.x = end;
    }
    skyline.splice(first..covered, [new].into_iter().filter(|step| step.width > 0));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn overlaps(a: ([u32; 2], [u32; 2]), b: ([u32; 2], [u32; 2])) -> bool {
        (0..2).all(|axis| a.0[axis] < b.0[axis] + b.1[axis] && b.0[axis] < a.0[axis] + a.1[axis])
    }

    proptest! {
        #[test]
        fn no_rectangle_overlaps_another_or_leaves_its_page(
            sizes in proptest::collection::vec([1..900_u32, 1..900_u32], 0..60),
        ) {
            let packing = pack(&sizes);
            for (i, (place, size)) in packing.places.iter().zip(&sizes).enumerate() {
                let page = packing.pages[place.page];
                prop_assert!(page.iter().all(|&side| side <= PAGE_PX));
                prop_assert!((0..2).all(|axis| place.at[axis] + size[axis] <= page[axis]), "{i} leaves {page:?}");
                for (other, size_of_other) in packing.places[..i].iter().zip(&sizes) {
                    let both = other.page == place.page;
                    prop_assert!(!both || !overlaps((place.at, *size), (other.at, *size_of_other)), "{i}");
                }
            }
            prop_assert_eq!(pack(&sizes), packing);
        }
    }

    #[test]
    fn equal_squares_fill_a_page_without_waste() {
        let packing = pack(&[[64, 64]; 16]);
        assert_eq!(packing.pages, [[256, 256]]);
    }

    #[test]
    fn what_does_not_fit_goes_to_further_pages() {
        let packing = pack(&[[1500, 1500], [1500, 1500], [300, 300]]);
        assert_eq!(packing.pages.len(), 2);
        assert_eq!(packing.places[2].page, 0, "the small one fills the first page's rest");
    }

    #[test]
    fn larger_than_a_page_is_a_page_of_its_own() {
        let packing = pack(&[[3000, 10], [4, 4]]);
        assert_eq!(packing.pages, [[4, 4], [3000, 10]]);
        assert_eq!(packing.places[0], Place { page: 1, at: [0, 0] });
    }

    #[test]
    fn nothing_needs_no_page() {
        assert_eq!(pack(&[]), Packing::default());
    }
}
