//! The nine parameters of a mesh.

use serde::Serialize;

/// The nine parameters, in the specification's names and units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeshParameters {
    /// 0.001 to 0.05
    pub detail_factor: f64,
    /// 0 to 255
    pub alpha_threshold: u8,
    /// 0 to 100
    pub concave_factor: f64,
    /// 0 to 100
    pub internal_vertex_density: u32,
    /// 1 to 21
    pub blur_kernel_size: u32,
    /// 0 to 255
    pub binary_threshold: u8,
    /// 1 to 1000
    pub min_contour_area: f64,
    /// 100 to 10000
    pub density_scaling_factor: f64,
    /// 0.1 to 100
    pub min_triangle_area: f64,
}

impl Default for MeshParameters {
    fn default() -> Self {
        Self {
            detail_factor: 0.01,
            alpha_threshold: 10,
            concave_factor: 0.0,
            internal_vertex_density: 0,
            blur_kernel_size: 1,
            binary_threshold: 128,
            min_contour_area: 10.0,
            density_scaling_factor: 1000.0,
            min_triangle_area: 1.0,
        }
    }
}

impl MeshParameters {
    /// blur kernel, odd
    pub fn blur_kernel(&self) -> u32 {
        self.blur_kernel_size | 1
    }
    /// Reads parameters from a JSON object as pydantic would: an integer may come as `20.0` or `"20"`, a number as
    /// `"0.02"`; null means absent. Returns the parameters and a warning for each unknown name.
    pub fn from_json(value: &serde_json::Value) -> super::Result<(Self, Vec<String>)> {
        let _ = value;
        Err(super::Error::Internal("not built yet".into()))
    }
}
