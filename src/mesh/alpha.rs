//! What a decoder hands to the stages: how opaque each pixel is.

/// The alpha channel of an image, 8 bits a pixel.
///
/// An image without transparency keeps no pixels: its plane is 255 everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlphaPlane {
    width: u32,
    height: u32,
    /// `width * height` bytes, top row first; `None` for an opaque image.
    values: Option<Vec<u8>>,
}

impl AlphaPlane {
    /// A plane from its bytes, top row first. `None` unless there are `width * height` of them and both are at least 1.
    #[must_use]
    pub fn new(width: u32, height: u32, values: Vec<u8>) -> Option<Self> {
        let fits = width > 0 && height > 0 && values.len() as u64 == u64::from(width) * u64::from(height);
        fits.then_some(Self { width, height, values: Some(values) })
    }

    /// The plane of an image without transparency. `None` if it has no pixels.
    #[must_use]
    pub fn opaque(width: u32, height: u32) -> Option<Self> {
        (width > 0 && height > 0).then_some(Self { width, height, values: None })
    }

    /// Width in px, at least 1.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in px, at least 1.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// `width * height` bytes, top row first; `None` for an opaque image, which is 255 everywhere.
    #[must_use]
    pub fn values(&self) -> Option<&[u8]> {
        self.values.as_deref()
    }
}
