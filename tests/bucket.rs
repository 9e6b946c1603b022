//! Blobs in a bucket, against a real S3 server with everything in between that may go wrong.

#![cfg(all(unix, feature = "cli", feature = "serve"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

#[path = "bucket/between.rs"]
mod between;
#[path = "survival/caller.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod caller;
#[path = "bucket/links.rs"]
mod links;
#[path = "serve/running.rs"]
mod running;
#[path = "bucket/s3.rs"]
mod s3;
#[path = "survival/server.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod server;
#[path = "bucket/service.rs"]
mod service;
#[path = "bucket/trouble.rs"]
mod trouble;
#[path = "survival/world.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod world;

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use s3::S3;
use spinelift::blob::{BlobError, Blobs, BucketOptions};

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A client that knows nothing of the bucket but its links.
fn client() -> reqwest::Client {
    // It is built with TLS by another crate of this test, which leaves to us by what.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(30));
    builder.build().unwrap()
}

async fn old(blobs: &Blobs, age: Duration, most: usize) -> Vec<Vec<String>> {
    blobs.older_than(age, most).try_collect().await.unwrap()
}

/// What blobs promise wherever they are.
async fn keeps_its_promises(blobs: &Blobs) {
    blobs.check_usable().await.unwrap();
    blobs.check_writable().await.unwrap();
    assert!(!blobs.has(ABC).await.unwrap());
    assert!(matches!(blobs.get(ABC).await, Err(BlobError::NotFound(_))));
    for _ in 0..2 {
        assert_eq!(blobs.put(Bytes::from_static(b"abc")).await.unwrap(), ABC);
    }
    let json = blobs.put_json(Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!(blobs.get(ABC).await.unwrap(), Bytes::from_static(b"abc"));
    assert_eq!((blobs.size(ABC).await.unwrap(), blobs.size(&json).await.unwrap()), (Some(3), Some(2)));
    // Clocks count whole seconds here and there.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut all = old(blobs, Duration::ZERO, 1).await;
    all.sort();
    assert_eq!(all, [[json.clone()], [ABC.to_owned()]], "in parts");
    assert!(old(blobs, Duration::from_secs(3600), 10).await.is_empty());
    assert!(!blobs.delete_older_than(ABC, Duration::from_secs(3600)).await.unwrap());
    assert!(blobs.delete_older_than(ABC, Duration::ZERO).await.unwrap());
    assert!(!blobs.delete_older_than(ABC, Duration::ZERO).await.unwrap());
    blobs.delete(&json).await.unwrap();
    blobs.delete(&json).await.unwrap();
    assert!(!blobs.has(ABC).await.unwrap() && old(blobs, Duration::ZERO, 10).await.is_empty());
    let large = Bytes::from(vec![7; 5 << 20]);
    let name = blobs.put(large.clone()).await.unwrap();
    assert_eq!(blobs.get(&name).await.unwrap(), large);
    assert_eq!(blobs.sweep_unfinished(Duration::ZERO).await.unwrap(), 0, "a probe is left behind");
}

#[tokio::test]
async fn a_folder_and_a_bucket_keep_the_same_promises() {
    let folder = tempfile::tempdir().unwrap();
    keeps_its_promises(&Blobs::folder(folder.path()).unwrap()).await;
    keeps_its_promises(&Blobs::memory()).await;
    let Some(server) = S3::start() else { return };
    keeps_its_promises(&Blobs::bucket(&server.options()).unwrap()).await;
    let with_prefix = BucketOptions { prefix: "spinelift/live".into(), ..server.options() };
    keeps_its_promises(&Blobs::bucket(&with_prefix).unwrap()).await;
}

#[tokio::test]
async fn a_prefix_keeps_two_services_apart() {
    let Some(server) = S3::start() else { return };
    let (one, two) = (Blobs::bucket(&server.options()).unwrap(), {
        Blobs::bucket(&BucketOptions { prefix: "two".into(), ..server.options() }).unwrap()
    });
    one.put(Bytes::from_static(b"abc")).await.unwrap();
    assert!(!two.has(ABC).await.unwrap());
    two.put(Bytes::from_static(b"abc")).await.unwrap();
    assert!(server.file("", ABC).is_file() && server.file("two", ABC).is_file());
    one.delete(ABC).await.unwrap();
    assert!(two.has(ABC).await.unwrap());
}

#[tokio::test]
async fn probes_of_several_do_not_meet_and_are_swept_when_they_are_left_behind() {
    let Some(server) = S3::start() else { return };
    let all: Vec<Blobs> = (0..4).map(|_| Blobs::bucket(&server.options()).unwrap()).collect();
    for _ in 0..5 {
        let looks = all.iter().map(Blobs::check_writable);
        for look in futures_util::future::join_all(looks).await {
            look.unwrap();
        }
    }
    let probes = server.file("", ABC).ancestors().nth(3).unwrap().join("probes");
    std::fs::create_dir_all(&probes).unwrap();
    std::fs::write(probes.join("of-the-dead"), b"spinelift").unwrap();
    assert_eq!(all[0].sweep_unfinished(Duration::from_secs(3600)).await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(all[0].sweep_unfinished(Duration::ZERO).await.unwrap(), 1);
}

#[tokio::test]
async fn damage_in_the_bucket_is_seen() {
    let Some(server) = S3::start() else { return };
    let blobs = Blobs::bucket(&server.options()).unwrap();
    blobs.put(Bytes::from_static(b"abc")).await.unwrap();
    std::fs::write(server.file("", ABC), b"abd").unwrap();
    assert!(matches!(blobs.get(ABC).await, Err(BlobError::Damaged(_))));
    blobs.put(Bytes::from_static(b"abc")).await.unwrap();
    assert_eq!(blobs.get(ABC).await.unwrap(), Bytes::from_static(b"abc"));
}
