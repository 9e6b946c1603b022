//! The table of parameters: help, documents, messages and range checks are all made from it.

/// What kind of value a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// An integer.
    Whole,
    /// Any finite number.
    Real,
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
    /// What a value must be, such as `a whole number from 0 to 255`.
    #[must_use]
    pub fn expected(&self) -> String {
        let kind = match self.kind {
            Kind::Whole => "a whole number",
            Kind::Real => "a number",
        };
        format!("{kind} from {} to {}", self.min, self.max)
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

/// Every parameter, in the specification's order.
pub const PARAMETERS: [Parameter; 9] = [
    DETAIL_FACTOR,
    ALPHA_THRESHOLD,
    CONCAVE_FACTOR,
    INTERNAL_VERTEX_DENSITY,
    BLUR_KERNEL_SIZE,
    BINARY_THRESHOLD,
    MIN_CONTOUR_AREA,
    DENSITY_SCALING_FACTOR,
    MIN_TRIANGLE_AREA,
];
