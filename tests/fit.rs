//! How well outlines of few vertices fit real sprites; docs/quality.md has the long form, beside other methods.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde_json::json;
use spinelift::decode::{self, Limits};
use spinelift::mesh::{self, MeshLimits, MeshParameters};

/// A sprite, a budget, and the least intersection over union that the default effort and the best must reach.
const LEAST_IOU: &[(&str, u32, [f64; 2])] = &[
    ("limbs-octopus-512.png", 8, [0.80, 0.81]),
    ("limbs-octopus-512.png", 16, [0.918, 0.920]),
    ("limbs-octopus-512.png", 32, [0.963, 0.966]),
    ("limb-hand-512.png", 16, [0.960, 0.961]),
    ("limb-hand-512.png", 32, [0.985, 0.986]),
    ("limb-biceps-512.png", 16, [0.951, 0.954]),
    ("concave-snake-1024.png", 32, [0.918, 0.922]),
    ("symmetric-cactus-512.png", 32, [0.97, 0.977]),
    ("hair-red-512.png", 16, [0.996, 0.996]),
    ("tiny-heart-16.png", 16, [0.93, 0.93]),
    ("islands-raincloud-512.png", 32, [0.87, 0.89]),
    ("islands-footprints-512.png", 32, [0.83, 0.845]),
];

#[test]
fn outlines_of_few_vertices_fit() {
    for &(name, budget, least) in LEAST_IOU {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(name);
        let source = BufReader::new(File::open(path).unwrap());
        let alpha = decode::alpha_plane(source, &Limits::default(), &()).unwrap();
        for (effort, least) in ["fast", "best"].into_iter().zip(least) {
            let given = json!({
                "outline": "cover", "islands": "bridge", "min_contour_area": 0, "max_vertices": budget, "effort": effort,
            });
            let (parameters, _) = MeshParameters::from_json(&given).unwrap();
            let mesh = mesh::build(&alpha, &parameters, &MeshLimits::default(), &()).unwrap();
            let scores = mesh.scores.unwrap();
            assert!(mesh.components[0].rim_length <= budget, "{name} {budget} {effort}");
            assert_eq!(scores.lost_px, 0, "{name} {budget} {effort}");
            assert!(scores.iou >= least, "{name} with {budget}, {effort}: {:.4} < {least}", scores.iou);
        }
    }
}
