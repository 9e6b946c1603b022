//! Links straight to the bucket, followed by a client that knows nothing of it.

use std::time::Duration;

use bytes::Bytes;
use spinelift::blob::{Blobs, BucketOptions};

use super::s3::S3;
use super::{ABC, client};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_link_opens_one_blob_without_a_header_until_it_ends() {
    let Some(server) = S3::start() else { return };
    let blobs = Blobs::bucket(&server.options()).unwrap();
    let json = blobs.put_json(Bytes::from_static(b"{\"a\":1}")).await.unwrap();
    blobs.put(Bytes::from_static(b"abc")).await.unwrap();
    let link = blobs.link(&json, HOUR).await.unwrap().unwrap();
    let answer = client().get(&link).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["content-type"].as_bytes()),
        (200, &b"application/json"[..])
    );
    assert_eq!(answer.bytes().await.unwrap(), Bytes::from_static(b"{\"a\":1}"));
    // Neither of another blob, nor for anything but reading, nor for longer.
    // The path alone: the first digits of a digest may well stand in the link's time.
    let path = |digest: &str| format!("/{}/{digest}?", &digest[..2]);
    let other = link.replace(&path(&json), &path(ABC));
    let longer = link.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200");
    assert!(other != link && longer != link);
    for wrong in [&other, &longer, link.split('?').next().unwrap()] {
        assert_eq!(client().get(wrong).send().await.unwrap().status().as_u16(), 403, "{wrong}");
    }
    assert_eq!(client().put(&link).body("x").send().await.unwrap().status().as_u16(), 403);
    let short = blobs.link(&json, Duration::from_secs(1)).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(client().get(short).send().await.unwrap().status().as_u16(), 403);
}

#[tokio::test]
async fn a_link_leads_to_where_callers_reach_the_bucket() {
    let Some(server) = S3::start() else { return };
    let public = format!("http://localhost:{}", server.address.port());
    let options = BucketOptions {
        // As in a network of containers, of which callers are not part.
        public_endpoint: Some(public.clone()),
        prefix: "spinelift/live".into(),
        ..server.options()
    };
    let blobs = Blobs::bucket(&options).unwrap();
    let json = blobs.put_json(Bytes::from_static(b"{}")).await.unwrap();
    let link = blobs.link(&json, HOUR).await.unwrap().unwrap();
    assert!(link.starts_with(&format!("{public}/meshes/spinelift/live/sha256/")), "{link}");
    let link = link.replace("localhost", "127.0.0.1");
    let answer = client().get(&link).header("host", public.trim_start_matches("http://")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
}

#[tokio::test]
async fn no_link_is_good_for_longer_than_the_protocol_allows() {
    let Some(server) = S3::start() else { return };
    let blobs = Blobs::bucket(&server.options()).unwrap();
    let json = blobs.put_json(Bytes::from_static(b"{}")).await.unwrap();
    let link = blobs.link(&json, 1000 * HOUR).await.unwrap().unwrap();
    assert!(link.contains("X-Amz-Expires=604800"), "{link}");
    assert_eq!(client().get(&link).send().await.unwrap().status().as_u16(), 200);
}
