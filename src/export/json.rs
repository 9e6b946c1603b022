//! `MeshResult`: everything about a mesh, as the reference's consumers read it.

use serde::Serialize;

use super::digits::Text;
use super::{ENGINE_VERSION, Format, Source};
use crate::mesh::{Component, Error, Mesh, MeshParameters, Result, Scores};

pub(super) const FORMAT: Format = Format {
    name: "json",
    extension: "json",
    media_type: "application/json",
    about: "the mesh: vertices, triangles, uvs, edges, metadata",
    binary: false,
    draws_image: false,
    write,
    beside: &[],
};

/// What follows the long lists.
#[derive(Serialize)]
struct Rest<'a> {
    bounds: Bounds,
    components: Vec<Part>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Bounds {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Part {
    first_vertex: u32,
    hull_length: u32,
    /// Left out where the component has no holes, as in the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    rim_length: Option<u32>,
    vertex_count: u32,
    first_triangle: u32,
    triangle_count: u32,
}

#[derive(Serialize)]
struct Metadata<'a> {
    width: u32,
    height: u32,
    vertex_count: usize,
    triangle_count: usize,
    parameters: &'a MeshParameters,
    warnings: Vec<&'a String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<Scores>,
    engine_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_sha256: Option<&'a str>,
}

impl<'a> Rest<'a> {
    fn new(mesh: &'a Mesh, source: &Source<'a>) -> Self {
        Self {
            bounds: Bounds { x: 0, y: 0, width: mesh.width, height: mesh.height },
            components: mesh.components.iter().map(Part::from).collect(),
            metadata: Metadata {
                width: mesh.width,
                height: mesh.height,
                vertex_count: mesh.vertices.len(),
                triangle_count: mesh.triangles.len(),
                parameters: &mesh.parameters,
                warnings: mesh.warnings.iter().chain(source.warnings).collect(),
                scores: mesh.scores,
                engine_version: ENGINE_VERSION,
                source_sha256: source.sha256,
            },
        }
    }
}

impl From<&Component> for Part {
    fn from(component: &Component) -> Self {
        let &Component { first_vertex, hull_length, rim_length, vertex_count, first_triangle, triangle_count } =
            component;
        let rim_length = (rim_length > hull_length).then_some(rim_length);
        Self { first_vertex, hull_length, rim_length, vertex_count, first_triangle, triangle_count }
    }
}

fn write(mesh: &Mesh, source: &Source<'_>) -> Result<Vec<u8>> {
    let mut bytes = lists(mesh);
    let rest = serde_json::to_vec(&Rest::new(mesh, source)).map_err(|error| Error::Internal(error.to_string()))?;
    // One object: the second one's brace gives way to a comma.
    bytes.push(b',');
    bytes.extend_from_slice(&rest[1..]);
    Ok(bytes)
}

/// The lists: `vertices` in px and `triangles` nested; `uvs`, edges and hull flat, as the reference's consumers read them.
fn lists(mesh: &Mesh) -> Vec<u8> {
    let edge_ends = 2 * (mesh.boundary_edges.len() + mesh.internal_edges.len());
    let index_count = 3 * mesh.triangles.len() + edge_ends + mesh.boundary_indices.len();
    let number_count = 2 * (mesh.vertices.len() + mesh.uvs.len());
    let mut text = Text::new(mesh.vertices.len(), index_count, number_count);
    text.raw("{\"vertices\":[");
    text.pairs(&mesh.vertices);
    text.raw("],\"triangles\":[");
    text.triples(&mesh.triangles);
    text.raw("],\"uvs\":[");
    text.numbers(mesh.uvs.as_flattened());
    text.raw("],\"boundary_edges\":[");
    text.indices(mesh.boundary_edges.as_flattened());
    text.raw("],\"internal_edges\":[");
    text.indices(mesh.internal_edges.as_flattened());
    text.raw("],\"boundary_indices\":[");
    text.indices(&mesh.boundary_indices);
    text.raw("]");
    text.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::export::sample;

    fn written(mesh: &Mesh, source: &Source<'_>) -> Value {
        serde_json::from_slice(&write(mesh, source).unwrap()).unwrap()
    }

    #[test]
    fn results_are_as_consumers_read_them() {
        let unknown = ["the unknown parameter".to_owned()];
        let source = Source { name: "hero.png", sha256: Some("ab12"), warnings: &unknown, ..Source::default() };
        let expected = json!({
            "vertices": [[4.0, 1.0], [4.0, 9.0], [12.0, 9.0], [12.0, 1.0], [8.25, 5.1]],
            "triangles": [[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]],
            "uvs": [0.25, 0.1, 0.25, 0.9, 0.75, 0.9, 0.75, 0.1, 0.515625, 0.51],
            "boundary_edges": [0, 1, 1, 2, 2, 3, 0, 3],
            "internal_edges": [0, 4, 1, 4, 2, 4, 3, 4],
            "boundary_indices": [0, 1, 2, 3],
            "bounds": { "x": 0, "y": 0, "width": 16, "height": 10 },
            "components": [{
                "first_vertex": 0, "hull_length": 4, "vertex_count": 5, "first_triangle": 0, "triangle_count": 4,
            }],
            "metadata": {
                "width": 16, "height": 10, "vertex_count": 5, "triangle_count": 4,
                "parameters": MeshParameters::default(),
                "warnings": ["the outline was repaired", "the unknown parameter"],
                "engine_version": ENGINE_VERSION,
                "source_sha256": "ab12",
            },
        });
        assert_eq!(written(&sample::mesh(), &source), expected);
    }

    #[test]
    fn an_unknown_digest_is_left_out_and_names_never_matter() {
        let named = Source { name: "hero.png", ..Source::default() };
        assert_eq!(write(&sample::mesh(), &named), write(&sample::mesh(), &Source::default()));
        assert!(written(&sample::mesh(), &named)["metadata"].get("source_sha256").is_none());
    }

    #[test]
    fn a_mesh_of_nothing_is_still_json() {
        let mut mesh = sample::mesh();
        mesh.vertices.clear();
        mesh.uvs.clear();
        mesh.triangles.clear();
        mesh.internal_edges.clear();
        assert_eq!(written(&mesh, &Source::default())["vertices"], json!([]));
    }
}
