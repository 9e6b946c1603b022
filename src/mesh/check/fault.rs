//! What can be wrong with a mesh.

use thiserror::Error;

/// The first invariant found broken, with where.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// No triangles at all.
    #[error("the mesh is empty")]
    Empty,
    /// A list's length does not fit the others.
    #[error("{list} has {found} entries, not {expected}")]
    Count {
        /// Which list.
        list: &'static str,
        /// Entries it has.
        found: usize,
        /// Entries it should have.
        expected: usize,
    },
    /// A vertex is no number, or outside the canvas.
    #[error("vertex {vertex} at {at:?} is outside the canvas of {width} x {height} px")]
    OutsideCanvas {
        /// Its index.
        vertex: usize,
        /// Its position, px.
        at: [f64; 2],
        /// Of the canvas, px.
        width: u32,
        /// Of the canvas, px.
        height: u32,
    },
    /// Two vertices are in one place.
    #[error("vertices {first} and {second} are both at {at:?}")]
    Coincident {
        /// Index of one.
        first: usize,
        /// Index of the other.
        second: usize,
        /// Position of the first, px.
        at: [f64; 2],
    },
    /// A triangle names a vertex that does not exist or the same one twice.
    #[error("triangle {triangle} has the vertices {vertices:?}")]
    Index {
        /// Its index.
        triangle: usize,
        /// What it names.
        vertices: [u32; 3],
    },
    /// A triangle is degenerate or turned over.
    #[error("triangle {triangle} has twice the area {twice_area_px2}")]
    Orientation {
        /// Its index.
        triangle: usize,
        /// Signed, px2.
        twice_area_px2: f64,
    },
    /// An edge is used twice in the same direction: triangles overlap or three meet at an edge.
    #[error("the edge {edge:?} is used twice in one direction")]
    NotManifold {
        /// From, to.
        edge: [u32; 2],
    },
    /// The boundary is not the hull: `0, 1, ... n - 1` and back.
    #[error("the boundary edge {edge:?} is not one of the hull's")]
    Hull {
        /// From, to.
        edge: [u32; 2],
    },
    /// Euler's formula does not give discs with the holes that the boundary has: a vertex is without a triangle.
    #[error("vertices - edges + triangles is {found}, not {expected}")]
    NotADisc {
        /// What it gives.
        found: i64,
        /// Components less holes.
        expected: i64,
    },
    /// Pixels that must be covered are not.
    #[error("{lost_px} px of the shape are not covered")]
    NotCovered {
        /// How many.
        lost_px: u64,
    },
    /// Two edges of the hull meet other than at a common end.
    #[error("the hull's edges from {first} and from {second} touch")]
    HullCrosses {
        /// Vertex at which one begins.
        first: usize,
        /// Vertex at which the other begins.
        second: usize,
    },
    /// A component lies on another.
    #[error("the component {component} lies on another one")]
    Overlap {
        /// Its index.
        component: usize,
    },
    /// The triangles do not fill the hull exactly once.
    #[error("the triangles have {triangles_px2} px2, the hull has {hull_px2} px2")]
    Area {
        /// Sum over the triangles.
        triangles_px2: f64,
        /// Of the hull's polygon.
        hull_px2: f64,
    },
    /// A texture coordinate is not `position / size`.
    #[error("the uv of vertex {vertex} is {uv:?}")]
    Uv {
        /// Its index.
        vertex: usize,
        /// What it has.
        uv: [f64; 2],
    },
    /// The lists of edges are not the edges of the triangles.
    #[error("the list of {list} edges is not that of the triangles")]
    Edges {
        /// `boundary` or `internal`.
        list: &'static str,
    },
}
