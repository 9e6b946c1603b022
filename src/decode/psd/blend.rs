//! Blend modes, by the four letters that stand for them in the file.

/// How a layer's colours meet those below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlendMode([u8; 4]);

impl BlendMode {
    /// Source over destination.
    pub const NORMAL: Self = Self(*b"norm");
    /// Of groups: what is in it meets what is below the group, as if the group were not there.
    pub const PASS_THROUGH: Self = Self(*b"pass");
    /// Product of the two.
    pub const MULTIPLY: Self = Self(*b"mul ");
    /// Inverted product of the inverted two.
    pub const SCREEN: Self = Self(*b"scrn");
    /// Sum of the two; animators call it additive.
    pub const LINEAR_DODGE: Self = Self(*b"lddg");

    pub(super) fn from_key(key: [u8; 4]) -> Self {
        Self(key)
    }

    /// The mode's name in lower case, such as `linear_dodge`; `unknown` for letters that stand for none.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(key, _)| **key == self.0).map_or("unknown", |(_, name)| name)
    }
}

const NAMES: [(&[u8; 4], &str); 28] = [
    (b"pass", "pass_through"),
    (b"norm", "normal"),
    (b"diss", "dissolve"),
    (b"dark", "darken"),
    (b"mul ", "multiply"),
    (b"idiv", "color_burn"),
    (b"lbrn", "linear_burn"),
    (b"dkCl", "darker_color"),
    (b"lite", "lighten"),
    (b"scrn", "screen"),
    (b"div ", "color_dodge"),
    (b"lddg", "linear_dodge"),
    (b"lgCl", "lighter_color"),
    (b"over", "overlay"),
    (b"sLit", "soft_light"),
    (b"hLit", "hard_light"),
    (b"vLit", "vivid_light"),
    (b"lLit", "linear_light"),
    (b"pLit", "pin_light"),
    (b"hMix", "hard_mix"),
    (b"diff", "difference"),
    (b"smud", "exclusion"),
    (b"fsub", "subtract"),
    (b"fdiv", "divide"),
    (b"hue ", "hue"),
    (b"sat ", "saturation"),
    (b"colr", "color"),
    (b"lum ", "luminosity"),
];
