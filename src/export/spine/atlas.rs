//! The `.atlas` text that goes with Spine's skeletons. Colours of the pages are not premultiplied.

use std::fmt::Write;

use super::Version;
use crate::export::Atlas;

/// The text: pages by their files' names, in order, each with its regions under their parts' names.
pub(super) fn text(names: &[String], atlas: &Atlas, pages: &[String], version: Version) -> String {
    let mut text = String::new();
    for ((page, file), index) in atlas.pages.iter().zip(pages).zip(0..) {
        // An empty line begins a page; 3.8's own files begin with one.
        if index > 0 || version == Version::V38 {
            text.push('\n');
        }
        let _ = match version {
            Version::V42 => new_page(&mut text, file, *page),
            Version::V38 => old_page(&mut text, file, *page),
        };
        let regions = atlas.regions.iter().zip(names).filter(|(region, _)| region.page == index);
        for (region, name) in regions {
            let ([x, y], [width, height], [image_width, image_height]) = (region.at, region.size, region.image);
            // From the image's left and bottom.
            let (left, bottom) = (region.from[0], image_height - region.from[1] - height);
            let _ = match version {
                Version::V42 => writeln!(
                    text,
                    "{name}\nbounds:{x},{y},{width},{height}\noffsets:{left},{bottom},{image_width},{image_height}"
                ),
                Version::V38 => writeln!(
                    text,
                    "{name}\n  rotate: false\n  xy: {x}, {y}\n  size: {width}, {height}\n  \
                     orig: {image_width}, {image_height}\n  offset: {left}, {bottom}\n  index: -1"
                ),
            };
        }
    }
    text
}

fn new_page(text: &mut String, file: &str, [width, height]: [u32; 2]) -> std::fmt::Result {
    writeln!(text, "{file}\nsize:{width},{height}\nfilter:Linear,Linear\npma:false")
}

fn old_page(text: &mut String, file: &str, [width, height]: [u32; 2]) -> std::fmt::Result {
    writeln!(text, "{file}\nsize: {width}, {height}\nformat: RGBA8888\nfilter: Linear,Linear\nrepeat: none")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Region;

    fn sample(version: Version) -> String {
        let region = |page| Region { page, at: [2, 3], from: [4, 1], size: [10, 6], image: [16, 10], rim: 1 };
        let atlas = Atlas { pages: vec![[32, 64], [16, 16]], regions: vec![region(0), region(1)] };
        let own = |texts: [&str; 2]| texts.map(str::to_owned);
        text(&own(["head", "arm"]), &atlas, &own(["a.png", "b.png"]), version)
    }

    #[test]
    fn the_new_text_has_bounds_and_offsets() {
        let expected = "a.png\nsize:32,64\nfilter:Linear,Linear\npma:false\nhead\nbounds:2,3,10,6\n\
            offsets:4,3,16,10\n\nb.png\nsize:16,16\nfilter:Linear,Linear\npma:false\narm\nbounds:2,3,10,6\n\
            offsets:4,3,16,10\n";
        assert_eq!(sample(Version::V42), expected);
    }

    #[test]
    fn the_old_text_has_an_indented_line_for_each_fact() {
        let region = "  rotate: false\n  xy: 2, 3\n  size: 10, 6\n  orig: 16, 10\n  offset: 4, 3\n  index: -1\n";
        let page = "format: RGBA8888\nfilter: Linear,Linear\nrepeat: none\n";
        let expected = format!("\na.png\nsize: 32, 64\n{page}head\n{region}\nb.png\nsize: 16, 16\n{page}arm\n{region}");
        assert_eq!(sample(Version::V38), expected);
    }
}
