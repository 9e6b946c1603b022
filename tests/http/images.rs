//! A few hostile images all the way: uploaded as jobs, and as previews. The rest of them is in `tests/hostile_images.rs`.

use crate::files::{chunk, iend, ihdr, png, png_of_alpha, webp_of_codes, zeros};
use crate::service::{MESH, Service};
use crate::wire::Ask;

#[tokio::test]
async fn a_hostile_image_is_an_error_of_its_own_job() {
    let service = Service::start().await;
    let cut = png_of_alpha(64, 64, |x, y| (x * y) as u8);
    let images = [
        ("header-bomb", png(&[ihdr(65535, 65535, 8, 6, 0), chunk(b"IDAT", &zeros(1)), iend()]), "IMAGE_TOO_LARGE"),
        ("cut", cut[..cut.len() - 20].to_vec(), "IMAGE_LOAD_FAILED"),
        ("codes", webp_of_codes(8_000), "IMAGE_LOAD_FAILED"),
        ("clear", png_of_alpha(512, 512, |_, _| 0), "CONTOUR_EXTRACTION_FAILED"),
        ("tall", png_of_alpha(1, 50_000, |_, _| 255), "IMAGE_TOO_LARGE"),
        ("no-image", b"<html>".to_vec(), "IMAGE_FORMAT_UNSUPPORTED"),
    ];
    for (id, image, code) in images {
        let preview = service.send(Ask::post(format!("{MESH}/preview")).body(image.clone())).await;
        assert_eq!((preview.status / 100, preview.code().as_str()), (4, code), "{id}");
        let accepted = service.upload(id, &image).await;
        if accepted.status != 202 {
            assert_eq!((accepted.status / 100, accepted.code().as_str()), (4, code), "{id}");
            continue;
        }
        let status = service.ended(id).await;
        assert_eq!((&status["status"], &status["error"]["code"]), (&"failed".into(), &code.into()), "{id}");
    }
    service.completed("good").await;
}
