//! The textures of a rig: which rectangle of which image lies where on which page, and the pages' pixels.
//!
//! What is packed of an image is what its mesh shows: the mesh's box and one pixel around it. Sizes and places follow
//! from the meshes alone, so that pixels are needed only one image at a time, when a page is painted.

use super::encode;
use super::pack::{self, Packing};
use super::rig::Part;
use crate::decode::Picture;
use crate::mesh::{Error, Mesh, Result};

/// Pixels between two regions: each gives half. Linear filtering reads half a pixel beyond a region, mipmaps more.
/// A mesh that reaches beyond its image has that much more around it, empty.
const PADDING_PX: u32 = 2;

/// Where the textures of a rig are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atlas {
    /// `[width, height]` of each page, px.
    pub pages: Vec<[u32; 2]>,
    /// One per part, in their order.
    pub regions: Vec<Region>,
}

/// The rectangle of an image that lies on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Index of the page.
    pub page: usize,
    /// Its top-left corner on the page, px.
    pub at: [u32; 2],
    /// Its top-left corner in the image, px.
    pub from: [u32; 2],
    /// `[width, height]`, px.
    pub size: [u32; 2],
    /// `[width, height]` of the whole image, px.
    pub image: [u32; 2],
    /// Px around it that repeat the image's edge: none where the mesh reaches beyond the image, as what it shows there is
    /// empty.
    pub rim: u32,
}

impl Atlas {
    /// Packs what the parts show onto as few pages of at most 2048 px as the packer finds; a larger region gets a page
    /// of its own. Nothing is turned.
    #[must_use]
    pub fn packed(parts: &[Part<'_>]) -> Self {
        let boxes: Vec<Region> = parts.iter().map(|part| shown(part.mesh)).collect();
        let margins: Vec<u32> = parts.iter().map(|part| PADDING_PX + beyond(part.mesh)).collect();
        let sizes: Vec<[u32; 2]> =
            boxes.iter().zip(&margins).map(|(region, margin)| region.size.map(|side| side + 2 * margin)).collect();
        let Packing { pages, places } = pack::pack(&sizes);
        let placed = boxes.iter().zip(places).zip(margins);
        let regions = placed.map(|((region, place), margin)| Region {
            page: place.page,
            at: place.at.map(|c| c + margin),
            rim: u32::from(margin == PADDING_PX),
            ..*region
        });
        Self { pages, regions: regions.collect() }
    }

    /// The image of one mesh as it is: the page is the image.
    #[must_use]
    pub fn of_image(mesh: &Mesh) -> Self {
        let image = [mesh.width, mesh.height];
        Self {
            pages: vec![image],
            regions: vec![Region { page: 0, at: [0; 2], from: [0; 2], size: image, image, rim: 0 }],
        }
    }

    /// Paints a page and gives it as PNG, colours not premultiplied. `picture_of` gives the image of a part by its
    /// index; it is asked once for each part on the page.
    ///
    /// # Errors
    /// Those of `picture_of`, and [`Error::Internal`] if an image has another size than its mesh says.
    pub fn paint<E: From<Error>>(
        &self,
        page: usize,
        mut picture_of: impl FnMut(usize) -> std::result::Result<Picture, E>,
    ) -> std::result::Result<Vec<u8>, E> {
        let [width, height] = self.pages.get(page).copied().unwrap_or([1, 1]);
        let mut canvas = vec![0; width as usize * height as usize * 4];
        for (region, part) in self.regions.iter().zip(0..).filter(|(region, _)| region.page == page) {
            let picture = picture_of(part)?;
            let size = [picture.width(), picture.height()];
            if size != region.image {
                let expected = region.image;
                return Err(Error::Internal(format!("image {part} has {size:?} px, its mesh {expected:?}")).into());
            }
            region.copy(&picture, &mut canvas, width);
        }
        Ok(encode::rgba(width, height, &canvas)?)
    }
}

impl Region {
    /// Copies the region and a rim of one pixel. At the image's edge the rim repeats it, or filtering would mix the
    /// empty page into it.
    fn copy(&self, picture: &Picture, canvas: &mut [u8], canvas_width: u32) {
        let rim = self.rim;
        let [columns, rows] = [0, 1].map(|axis| self.size[axis] + 2 * rim);
        let source = |axis: usize, step: u32| {
            (self.from[axis] + step).saturating_sub(rim).min(self.image[axis].saturating_sub(1)) as usize
        };
        for row in 0..rows {
            let y = source(1, row);
            let line = (self.at[1] - rim + row) as usize * canvas_width as usize;
            for column in 0..columns {
                let from = (y * picture.width() as usize + source(0, column)) * 4;
                let to = (line + (self.at[0] - rim + column) as usize) * 4;
                if let (Some(pixel), Some(place)) = (picture.pixels().get(from..from + 4), canvas.get_mut(to..to + 4)) {
                    place.copy_from_slice(pixel);
                }
            }
        }
    }
}

/// An image as PNG, pixel for pixel, for whoever wants loose images.
///
/// # Errors
/// [`Error::Internal`] if the encoder fails.
pub fn png_of(picture: &Picture) -> Result<Vec<u8>> {
    encode::rgba(picture.width(), picture.height(), picture.pixels())
}

/// The mesh's box and one pixel around it, within the image; where is still open.
fn shown(mesh: &Mesh) -> Region {
    let image = [mesh.width, mesh.height];
    let sides = [0, 1].map(|axis| {
        let along = || mesh.vertices.iter().map(|vertex| vertex[axis]);
        let least = along().fold(f64::from(image[axis]), f64::min).floor() - 1.0;
        let most = along().fold(0.0, f64::max).ceil() + 1.0;
        let first = (least.max(0.0) as u32).min(image[axis].saturating_sub(1));
        (first, (most as u32).clamp(first + 1, image[axis].max(first + 1)))
    });
    let [(left, right), (top, bottom)] = sides;
    Region { page: 0, at: [0; 2], from: [left, top], size: [right - left, bottom - top], image, rim: 0 }
}

/// How far a mesh reaches beyond its image, px: with padding.
fn beyond(mesh: &Mesh) -> u32 {
    let image = [mesh.width, mesh.height].map(f64::from);
    let over = mesh.vertices.iter().flat_map(|v| [0, 1].map(|axis| (-v[axis]).max(v[axis] - image[axis])));
    over.fold(0.0, f64::max).ceil() as u32
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::decode::{self, Limits};
    use crate::export::rig::Blend;
    use crate::export::sample;

    fn part(mesh: &Mesh) -> Part<'_> {
        Part { name: "a", mesh, offset: [0.0; 2], opacity: 1.0, blend: Blend::Normal }
    }

    /// Every pixel says where it is.
    fn picture(mesh: &Mesh) -> Picture {
        let places = (0..mesh.height).flat_map(|y| (0..mesh.width).map(move |x| [x as u8, y as u8, 7, 255]));
        Picture::new(mesh.width, mesh.height, places.flatten().collect()).unwrap()
    }

    #[test]
    fn a_region_is_the_meshs_box_and_a_pixel_around_it() {
        let mesh = sample::mesh();
        let atlas = Atlas::packed(&[part(&mesh), part(&mesh)]);
        let Region { from, size, image, .. } = atlas.regions[0];
        assert_eq!((from, size, image), ([3, 0], [10, 10], [16, 10]));
        assert_eq!(atlas.pages, [[28, 14]]);
        assert_eq!([atlas.regions[0].at, atlas.regions[1].at], [[2, 2], [16, 2]]);
    }

    #[test]
    fn pages_hold_the_pixels_and_a_rim_that_repeats_the_edge() {
        let mesh = sample::mesh();
        let atlas = Atlas::packed(&[part(&mesh)]);
        let bytes = atlas.paint(0, |_| Ok::<_, Error>(picture(&mesh))).unwrap();
        let page = decode::rgba(Cursor::new(bytes), &Limits::default(), &()).unwrap();
        let at = |x: u32, y: u32| {
            let at = (y * page.width() + x) as usize * 4;
            [page.pixels()[at], page.pixels()[at + 1], page.pixels()[at + 2], page.pixels()[at + 3]]
        };
        assert_eq!(at(2, 2), [3, 0, 7, 255], "the region's corner");
        assert_eq!(at(1, 1), [2, 0, 7, 255], "the rim: the image's own pixel beside it, its edge repeated above");
        assert_eq!(at(12, 12), [13, 9, 7, 255], "the other end of the rim");
        assert_eq!(at(0, 0), [0; 4], "empty beyond");
    }

    #[test]
    fn a_mesh_beyond_its_image_has_empty_room_around_it() {
        let mut mesh = sample::mesh();
        mesh.vertices[0] = [-4.5, -1.0];
        mesh.vertices[2] = [16.0, 12.0];
        let parts = [part(&mesh), part(&mesh)];
        let atlas = Atlas::packed(&parts);
        // The whole image, and on each side 5 px for the mesh and the padding.
        assert_eq!(atlas.pages, [[16 + 14, 2 * (10 + 14)]]);
        assert_eq!([atlas.regions[0].at, atlas.regions[1].at], [[7, 7], [7, 31]]);
        assert_eq!(atlas.regions[0].size, [16, 10]);
        let bytes = atlas.paint(0, |_| Ok::<_, Error>(picture(&mesh))).unwrap();
        let page = decode::rgba(Cursor::new(bytes), &Limits::default(), &()).unwrap();
        let inside = |x: u32, y: u32| {
            atlas.regions.iter().any(|r| (r.at[0]..r.at[0] + 16).contains(&x) && (r.at[1]..r.at[1] + 10).contains(&y))
        };
        for (pixel, at) in page.pixels().as_chunks::<4>().0.iter().zip(0..) {
            let (x, y) = (at % page.width(), at / page.width());
            assert_eq!(pixel[3], if inside(x, y) { 255 } else { 0 }, "{x}, {y}");
        }
    }

    #[test]
    fn an_image_of_another_size_is_refused() {
        let mesh = sample::mesh();
        let other = Picture::new(1, 1, vec![0; 4]).unwrap();
        let error = Atlas::packed(&[part(&mesh)]).paint(0, |_| Ok::<_, Error>(other.clone())).unwrap_err();
        assert!(error.to_string().contains("image 0 has [1, 1] px, its mesh [16, 10]"), "{error}");
    }

    #[test]
    fn a_mesh_of_nothing_takes_one_pixel() {
        let mesh = Mesh { vertices: Vec::new(), ..sample::mesh() };
        assert_eq!(shown(&mesh).size, [1, 1]);
    }
}
