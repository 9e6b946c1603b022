//! OBJ files by a reader that knows nothing of ours.

use std::io::Cursor;

use spinelift::export::Format;
use tobj::{GPU_LOAD_OPTIONS, LoadOptions, Material, Model};

use crate::{Sprite, same_triangles, shows_front, single_precision, sprites};

/// Where a reader found the materials, the models and the materials themselves.
type Loaded = (Vec<String>, Vec<Model>, Vec<Material>);

fn loaded(text: &[u8], materials: &[u8]) -> Loaded {
    let asked = std::cell::RefCell::new(Vec::new());
    let options = LoadOptions { single_index: true, ..GPU_LOAD_OPTIONS };
    let (models, found) = tobj::load_obj_buf(&mut Cursor::new(text), &options, |path| {
        asked.borrow_mut().push(path.to_string_lossy().into_owned());
        tobj::load_mtl_buf(&mut Cursor::new(materials))
    })
    .unwrap();
    (asked.into_inner(), models, found.unwrap())
}

/// The triangles' corners upright, as the file has them.
pub(crate) fn triangles(text: &[u8]) -> Vec<[[f64; 2]; 3]> {
    let (_, models, _) = loaded(text, b"");
    assert_eq!(models.len(), 1);
    let mesh = &models[0].mesh;
    let corner = |&index: &u32| [0, 1].map(|axis| f64::from(mesh.positions[index as usize * 3 + axis]));
    mesh.indices.chunks_exact(3).map(|indices| [0, 1, 2].map(|at| corner(&indices[at]))).collect()
}

fn materials(sprite: &Sprite) -> Vec<u8> {
    let beside = Format::named("obj").unwrap().beside;
    assert_eq!(beside.iter().map(|file| file.extension).collect::<Vec<_>>(), ["mtl"]);
    (beside[0].write)(&sprite.mesh, &sprite.source()).unwrap()
}

#[test]
fn an_independent_reader_finds_the_mesh_and_its_image() {
    for sprite in sprites() {
        let (asked, models, found) = loaded(&sprite.written("obj"), &materials(&sprite));
        assert_eq!(asked, [format!("{}.mtl", sprite.stem)]);
        assert_eq!((models.len(), found.len()), (1, 1));
        assert_eq!(models[0].mesh.material_id, Some(0));
        assert_eq!(found[0].diffuse_texture.as_deref(), Some(sprite.name));
        assert_eq!(found[0].dissolve_texture.as_deref(), Some(sprite.name));
        let mesh = &models[0].mesh;
        let (width, height) = (f64::from(sprite.mesh.width), f64::from(sprite.mesh.height));
        for (place, uv) in mesh.positions.chunks(3).zip(mesh.texcoords.chunks(2)) {
            let expected = [f64::from(place[0]) / width, f64::from(place[1]) / height];
            assert!((expected[0] - f64::from(uv[0])).abs() < 1e-6 && (expected[1] - f64::from(uv[1])).abs() < 1e-6);
        }
        let upright = triangles(&sprite.written("obj"));
        assert!(upright.iter().all(|triangle| shows_front(*triangle)));
        let turned: Vec<_> = upright.iter().map(|triangle| triangle.map(|[x, y]| [x, height - y])).collect();
        assert!(same_triangles(&sprite.mesh, &turned, single_precision(&sprite.mesh)), "{}", sprite.name);
    }
}
