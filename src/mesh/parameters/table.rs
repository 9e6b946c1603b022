//! The table of parameters: help, documents, messages and range checks are all made from it.

/// What kind of value a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// An integer.
    Whole,
    /// Any finite number.
    Real,
    /// One of some words; range and default are their places in the list.
    Choice(&'static [&'static str]),
}

/// One row of [`PARAMETERS`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Parameter {
    /// The name on the wire, in `--set` and in [`MeshParameters`](super::MeshParameters).
    pub name: &'static str,
    /// Integer or number.
    pub kind: Kind,
    /// Least value allowed.
    pub min: f64,
    /// Greatest value allowed.
    pub max: f64,
    /// Value when absent or null.
    pub default: f64,
    /// Unit of the value, such as `px2`; empty if it has none.
    pub unit: &'static str,
    /// What it does and what more of it does, in one sentence without a full stop.
    pub effect: &'static str,
}

impl Parameter {
    /// What a value must be, such as `a whole number from 0 to 255` or `one of trace, cover`.
    #[must_use]
    pub fn expected(&self) -> String {
        let kind = match self.kind {
            Kind::Whole => "a whole number from",
            Kind::Real => "a number from",
            Kind::Choice(_) => "one of",
        };
        format!("{kind} {}", self.range())
    }

    /// The values allowed, such as `0 to 255` or `trace, cover`.
    #[must_use]
    pub fn range(&self) -> String {
        match self.kind {
            Kind::Choice(words) => words.join(", "),
            Kind::Whole | Kind::Real => format!("{} to {}", self.min, self.max),
        }
    }

    /// The value when absent, such as `10` or `trace`.
    #[must_use]
    pub fn default_value(&self) -> String {
        match self.kind {
            Kind::Choice(words) => words.get(self.default as usize).copied().unwrap_or_default().to_owned(),
            Kind::Whole | Kind::Real => self.default.to_string(),
        }
    }
}

pub(super) const DETAIL_FACTOR: Parameter = Parameter {
    name: "detail_factor",
    kind: Kind::Real,
    min: 0.001,
    max: 0.05,
    default: 0.01,
    unit: "",
    effect: "how closely the outline follows the shape: higher keeps MORE detail",
};

pub(super) const ALPHA_THRESHOLD: Parameter = Parameter {
    name: "alpha_threshold",
    kind: Kind::Whole,
    min: 0.0,
    max: 255.0,
    default: 10.0,
    unit: "alpha",
    effect: "alpha below this counts as transparent: higher drops more of a soft edge",
};

pub(super) const CONCAVE_FACTOR: Parameter = Parameter {
    name: "concave_factor",
    kind: Kind::Real,
    min: 0.0,
    max: 100.0,
    default: 0.0,
    unit: "",
    effect: "smooths the outline: higher smooths MORE, up to five times the tolerance",
};

pub(super) const INTERNAL_VERTEX_DENSITY: Parameter = Parameter {
    name: "internal_vertex_density",
    kind: Kind::Whole,
    min: 0.0,
    max: 100.0,
    default: 0.0,
    unit: "",
    effect: "adds vertices inside: 0 none, higher makes more and smaller triangles",
};

pub(super) const BLUR_KERNEL_SIZE: Parameter = Parameter {
    name: "blur_kernel_size",
    kind: Kind::Whole,
    min: 1.0,
    max: 21.0,
    default: 1.0,
    unit: "px",
    effect: "blurs the mask: 1 not at all, higher closes gaps and rounds corners; even: the next odd",
};

pub(super) const BINARY_THRESHOLD: Parameter = Parameter {
    name: "binary_threshold",
    kind: Kind::Whole,
    min: 0.0,
    max: 255.0,
    default: 128.0,
    unit: "alpha",
    effect: "a pixel is inside if its blurred alpha is above this: higher shrinks the shape",
};

pub(super) const MIN_CONTOUR_AREA: Parameter = Parameter {
    name: "min_contour_area",
    kind: Kind::Real,
    min: 1.0,
    max: 1000.0,
    default: 10.0,
    unit: "px2",
    effect: "shapes smaller than this are ignored: higher ignores larger specks",
};

pub(super) const DENSITY_SCALING_FACTOR: Parameter = Parameter {
    name: "density_scaling_factor",
    kind: Kind::Real,
    min: 100.0,
    max: 10000.0,
    default: 1000.0,
    unit: "",
    effect: "triangles per step of internal_vertex_density on the whole image: higher makes smaller ones",
};

pub(super) const MIN_TRIANGLE_AREA: Parameter = Parameter {
    name: "min_triangle_area",
    kind: Kind::Real,
    min: 0.1,
    max: 100.0,
    default: 1.0,
    unit: "px2",
    effect: "the density's largest allowed area is never below this: higher makes fewer triangles",
};

pub(super) const OUTLINE: Parameter = Parameter {
    name: "outline",
    kind: Kind::Choice(&["trace", "cover"]),
    min: 0.0,
    max: 1.0,
    default: 0.0,
    unit: "",
    effect: "trace follows the shape as OpenCV does, cover leaves no pixel out",
};

pub(super) const PADDING: Parameter = Parameter {
    name: "padding",
    kind: Kind::Real,
    min: 0.0,
    max: 64.0,
    default: 0.0,
    unit: "px",
    effect: "cover: room around the shape: higher moves the outline further out",
};

pub(super) const MAX_VERTICES: Parameter = Parameter {
    name: "max_vertices",
    kind: Kind::Whole,
    min: 0.0,
    max: 1000.0,
    default: 0.0,
    unit: "",
    effect: "cover: the best outline of at most so many vertices; 0: as detail_factor asks",
};

pub(super) const EFFORT: Parameter = Parameter {
    name: "effort",
    kind: Kind::Choice(&["fast", "best"]),
    min: 0.0,
    max: 1.0,
    default: 0.0,
    unit: "",
    effect: "cover: best searches longer for a tighter outline",
};

pub(super) const ISLANDS: Parameter = Parameter {
    name: "islands",
    kind: Kind::Choice(&["largest", "all", "bridge"]),
    min: 0.0,
    max: 2.0,
    default: 0.0,
    unit: "",
    effect: "cover: which islands are kept: bridge joins all to one hull by thin bridges",
};

pub(super) const HOLES: Parameter = Parameter {
    name: "holes",
    kind: Kind::Choice(&["fill", "cut"]),
    min: 0.0,
    max: 1.0,
    default: 0.0,
    unit: "",
    effect: "cover: cut leaves holes of min_contour_area or more open where vertices allow",
};

pub(super) const MIN_ANGLE: Parameter = Parameter {
    name: "min_angle",
    kind: Kind::Real,
    min: 0.0,
    max: 30.0,
    default: 0.0,
    unit: "degrees",
    effect: "cover: adds vertices inside until no triangle is flatter where the outline allows; 0: none",
};

pub(super) const MIN_EDGE_LENGTH: Parameter = Parameter {
    name: "min_edge_length",
    kind: Kind::Real,
    min: 0.0,
    max: 256.0,
    default: 0.0,
    unit: "px",
    effect: "cover: no two vertices are closer: higher spreads them",
};

pub(super) const MAX_TRIANGLE_AREA: Parameter = Parameter {
    name: "max_triangle_area",
    kind: Kind::Real,
    min: 0.0,
    max: 1e9,
    default: 0.0,
    unit: "px2",
    effect: "cover: adds vertices inside until no triangle is larger; 0: any size",
};

pub(super) const RIM: Parameter = Parameter {
    name: "rim",
    kind: Kind::Real,
    min: 0.0,
    max: 256.0,
    default: 0.0,
    unit: "px",
    effect: "cover: a ring of vertices inside the outline at this distance, for bending; 0: none",
};

pub(super) const SYMMETRY: Parameter = Parameter {
    name: "symmetry",
    kind: Kind::Choice(&["none", "auto", "x"]),
    min: 0.0,
    max: 2.0,
    default: 0.0,
    unit: "",
    effect: "cover: mirrors the mesh about an upright axis: where the image is (auto), or always (x)",
};

pub(super) const PRESET: Parameter = Parameter {
    name: "preset",
    kind: Kind::Choice(&["none", "sprite", "tight", "deform", "deform-large"]),
    min: 0.0,
    max: 4.0,
    default: 0.0,
    unit: "",
    effect: "values for an intent, which others override: few vertices, little area, or an even inside",
};

/// Every parameter: the specification's nine in its order, then those of `outline = cover`.
pub const PARAMETERS: [Parameter; 21] = [
    DETAIL_FACTOR,
    ALPHA_THRESHOLD,
    CONCAVE_FACTOR,
    INTERNAL_VERTEX_DENSITY,
    BLUR_KERNEL_SIZE,
    BINARY_THRESHOLD,
    MIN_CONTOUR_AREA,
    DENSITY_SCALING_FACTOR,
    MIN_TRIANGLE_AREA,
    OUTLINE,
    PADDING,
    MAX_VERTICES,
    EFFORT,
    ISLANDS,
    HOLES,
    MIN_ANGLE,
    MIN_EDGE_LENGTH,
    MAX_TRIANGLE_AREA,
    RIM,
    SYMMETRY,
    PRESET,
];
