//! What a decoder hands to the exporters that draw: the colours.

/// An image's pixels, 8 bits a channel, not premultiplied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture from its bytes: red, green, blue, alpha for each pixel, top row first. `None` unless there are
    /// `width * height * 4` of them and both are at least 1.
    #[must_use]
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Option<Self> {
        let fits = width > 0 && height > 0 && pixels.len() as u64 == u64::from(width) * u64::from(height) * 4;
        fits.then_some(Self { width, height, pixels })
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

    /// `width * height * 4` bytes: red, green, blue, alpha for each pixel, top row first.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The bytes of [`pixels`](Self::pixels), without a copy.
    #[must_use]
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}
