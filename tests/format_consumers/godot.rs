//! Scenes by Godot 3, without a screen: imported, loaded, put into the tree and asked what they hold.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::{Sprite, consumer, is_there, same_triangles, single_precision, sprites};

/// Debian's name of Godot 3 without a screen.
const GODOT: &str = "godot3-server";

fn godot(project: &Path, args: &[&str]) -> String {
    let mut command = Command::new(GODOT);
    command.arg("--path").arg(project).args(args);
    // Its settings and caches stay with the test.
    command.env("HOME", project).env("XDG_DATA_HOME", project.join("data")).env("LANG", "en_US.UTF-8");
    let output = command.env_remove("LC_ALL").env_remove("LANGUAGE").output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// What Godot holds of each scene, in order of file name.
fn opened(sprites: &[Sprite]) -> Option<Vec<Value>> {
    if !is_there(GODOT, "install Debian's package godot3-server") {
        return None;
    }
    let project = consumer("godot");
    for (index, sprite) in sprites.iter().enumerate() {
        fs::write(project.join(format!("{index}.tscn")), sprite.written("godot")).unwrap();
        fs::write(project.join(sprite.name), &sprite.image).unwrap();
    }
    godot(&project, &["--editor", "--quit"]);
    let text = godot(&project, &["-s", "inspect.gd"]);
    let faults: Vec<&str> = text.lines().filter(|line| line.contains("ERROR") && !line.contains("ocale")).collect();
    assert!(faults.is_empty(), "{text}");
    let scenes = text.lines().filter_map(|line| line.strip_prefix("SCENE "));
    Some(scenes.map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn godot_holds_the_mesh() {
    // Godot 3.2 itself loses an image whose name has a quotation mark: it does not escape it in what it imports.
    let sprites: Vec<Sprite> = sprites().into_iter().filter(|sprite| !sprite.name.contains('"')).collect();
    let Some(scenes) = opened(&sprites) else { return };
    assert_eq!(scenes.len(), sprites.len());
    for (scene, sprite) in scenes.iter().zip(&sprites) {
        let mesh = &sprite.mesh;
        assert_eq!((&scene["class"], &scene["uv"]), (&json!("Polygon2D"), &scene["polygon"]), "{}", sprite.name);
        assert_eq!(scene["texture"], format!("res://{}", sprite.name));
        if mesh.components.len() == 1 {
            assert_eq!(scene["size"], json!([mesh.width, mesh.height]));
        }
        let hulls: usize = mesh.components.iter().map(|part| part.hull_length as usize).sum();
        assert_eq!(scene["internal_vertex_count"], mesh.vertices.len() - hulls);
        let points: Vec<[f64; 2]> =
            numbers(&scene["polygon"]).chunks(2).map(|point| [point[0] / 1000.0, point[1] / 1000.0]).collect();
        assert_eq!(points.len(), mesh.vertices.len());
        let polygon = |list: &Value| {
            let corners: Vec<[f64; 2]> = numbers(list).iter().map(|&index| points[index as usize]).collect();
            <[[f64; 2]; 3]>::try_from(corners).unwrap()
        };
        let drawn: Vec<[[f64; 2]; 3]> = scene["polygons"].as_array().unwrap().iter().map(polygon).collect();
        // In thousandths of a px.
        assert!(same_triangles(mesh, &drawn, 0.0005 + single_precision(mesh)), "{}", sprite.name);
    }
}
