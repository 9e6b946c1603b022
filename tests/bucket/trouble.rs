//! Networks and servers on their worst days.

use std::time::{Duration, Instant};

use axum::http::Method;
use bytes::Bytes;
use spinelift::blob::{BlobError, Blobs, BucketOptions, Credentials};

use super::ABC;
use super::between::{Act, Way};
use super::s3::{HURRIED, S3, options_at};

/// More than anything here may take in all.
const BOUND: Duration = Duration::from_secs(30);

async fn bucket() -> Option<(S3, Way, Blobs)> {
    let server = S3::start()?;
    let way = Way::to(server.address).await;
    let blobs = Blobs::bucket(&options_at(&way.url())).unwrap();
    Some((server, way, blobs))
}

fn abc() -> Bytes {
    Bytes::from_static(b"abc")
}

#[tokio::test]
async fn bytes_damaged_on_their_way_are_refused_and_sent_again() {
    let Some((server, way, blobs)) = bucket().await else { return };
    way.let_happen(Act::DamageSent, Some(Method::PUT), 1);
    assert_eq!(blobs.put(abc()).await.unwrap(), ABC);
    assert_eq!(way.seen(), 2);
    assert_eq!(std::fs::read(server.file("", ABC)).unwrap(), b"abc");
}

#[tokio::test]
async fn a_way_that_always_damages_keeps_nothing_wrong() {
    let Some((server, way, blobs)) = bucket().await else { return };
    way.let_happen(Act::DamageSent, Some(Method::PUT), usize::MAX);
    assert!(matches!(blobs.put(abc()).await, Err(BlobError::Storage(_))));
    // This server takes damage for a mistake of its own.
    assert_eq!(way.seen(), 1 + HURRIED.retries, "so often and no more");
    assert!(!server.file("", ABC).exists());
    // AWS says what it is.
    way.let_happen(Act::CallDamaged, Some(Method::PUT), 2);
    assert_eq!(blobs.put(abc()).await.unwrap(), ABC);
    way.let_happen(Act::CallDamaged, Some(Method::PUT), usize::MAX);
    assert!(matches!(blobs.put(abc()).await, Err(BlobError::Storage(_))));
    assert_eq!(way.seen(), 3, "so often and no more");
}

#[tokio::test]
async fn the_digest_goes_along_with_the_bytes() {
    // Told by the server's own comparison, where the signature does not cover the body: another server's word.
    let Some((server, _, blobs)) = bucket().await else { return };
    blobs.put(abc()).await.unwrap();
    let folder = server.file("", ABC).ancestors().nth(4).unwrap().to_owned();
    let kept: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect();
    // As the server has verified and noted it: base64 of the same digest.
    assert!(kept.iter().any(|text| text.contains("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")), "{kept:?}");
}

#[tokio::test]
async fn an_answer_damaged_once_is_read_again_and_damage_that_stays_is_told() {
    let Some((_server, way, blobs)) = bucket().await else { return };
    blobs.put(abc()).await.unwrap();
    way.let_happen(Act::DamageReceived, Some(Method::GET), 1);
    assert_eq!(blobs.get(ABC).await.unwrap(), abc());
    assert_eq!(way.seen(), 2);
    way.let_happen(Act::DamageReceived, Some(Method::GET), usize::MAX);
    assert!(matches!(blobs.get(ABC).await, Err(BlobError::Damaged(_))));
    assert_eq!(way.seen(), 2, "so often and no more");
}

#[tokio::test]
async fn a_server_that_asks_for_less_is_asked_again_later() {
    let Some((_server, way, blobs)) = bucket().await else { return };
    way.let_happen(Act::SlowDown, None, 2);
    assert_eq!(blobs.put(abc()).await.unwrap(), ABC);
    assert_eq!(way.seen(), 3);
    way.let_happen(Act::SlowDown, None, usize::MAX);
    let error = blobs.get(ABC).await.unwrap_err();
    assert!(matches!(error, BlobError::Storage(_)) && error.to_string().contains("SlowDown"), "{error}");
    assert_eq!(way.seen(), 1 + HURRIED.retries, "so often and no more");
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_in_time() {
    let Some((_server, way, blobs)) = bucket().await else { return };
    blobs.put(abc()).await.unwrap();
    way.let_happen(Act::Hang, None, usize::MAX);
    let began = Instant::now();
    assert!(matches!(blobs.check_writable().await, Err(BlobError::TimedOut(_))));
    assert!(matches!(blobs.get(ABC).await, Err(BlobError::Storage(_))));
    assert!(matches!(blobs.put(abc()).await, Err(BlobError::Storage(_))));
    assert!(blobs.has(ABC).await.is_err());
    blobs.check_usable().await.unwrap();
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    way.let_happen(Act::Pass, None, 0);
    assert_eq!(blobs.get(ABC).await.unwrap(), abc());
}

#[tokio::test]
async fn a_slow_server_is_waited_for() {
    let Some((_server, way, blobs)) = bucket().await else { return };
    way.let_happen(Act::Wait(Duration::from_millis(700)), None, 2);
    blobs.put(abc()).await.unwrap();
    assert_eq!(blobs.get(ABC).await.unwrap(), abc());
    assert_eq!(way.seen(), 2, "nothing was asked twice");
}

#[tokio::test]
async fn a_bucket_that_is_away_is_back_after_a_while() {
    let Some((mut server, _, _)) = bucket().await else { return };
    let blobs = Blobs::bucket(&server.options()).unwrap();
    blobs.put(abc()).await.unwrap();
    server.kill();
    assert!(matches!(blobs.get(ABC).await, Err(BlobError::Storage(_))));
    assert!(blobs.check_writable().await.is_err());
    // A start is no fault of a bucket that is away.
    blobs.check_usable().await.unwrap();
    server.again();
    assert_eq!(blobs.get(ABC).await.unwrap(), abc());
    blobs.check_writable().await.unwrap();
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let Some((server, way, blobs)) = bucket().await else { return };
    way.let_happen(Act::Redirect, None, usize::MAX);
    assert!(matches!(blobs.put(abc()).await, Err(BlobError::Storage(_))));
    assert_eq!(way.seen(), 1);
    assert!(!server.file("", ABC).exists());
    let told = blobs.check_usable().await.unwrap_err().to_string();
    assert!(told.contains("S3_REGION"), "{told}");
}

#[tokio::test]
async fn a_no_is_taken_for_one() {
    let Some((_server, way, blobs)) = bucket().await else { return };
    way.let_happen(Act::Forbid, None, usize::MAX);
    assert!(matches!(blobs.put(abc()).await, Err(BlobError::Storage(_))));
    assert_eq!(way.seen(), 1);
    let told = blobs.check_usable().await.unwrap_err().to_string();
    assert!(told.contains("s3:ListBucket") && told.contains("AccessDenied"), "{told}");
    for (method, right) in
        [(Method::GET, "s3:ListBucket"), (Method::DELETE, "s3:DeleteObject"), (Method::PUT, "s3:PutObject")]
    {
        way.let_happen(Act::Forbid, Some(method), 1);
        let told = blobs.check_usable().await.unwrap_err().to_string();
        assert!(told.contains(right), "{told}");
    }
}

#[tokio::test]
async fn a_wrong_key_or_bucket_is_told_at_the_start_without_the_secret() {
    let Some(server) = S3::start() else { return };
    let key = |id: &str, secret: &str| Credentials::Key { id: id.into(), secret: secret.into() };
    let usual = server.options();
    let Credentials::Key { id, .. } = &usual.credentials else { panic!("no key") };
    for (options, part) in [
        (BucketOptions { credentials: key(id, "hunter2"), ..usual.clone() }, "S3_SECRET_ACCESS_KEY"),
        (BucketOptions { credentials: key("AKIAOTHER", "hunter2"), ..usual.clone() }, "S3_ACCESS_KEY_ID"),
        (BucketOptions { name: "other".into(), ..usual.clone() }, "S3_BUCKET: there is no bucket \"other\""),
    ] {
        let told = Blobs::bucket(&options).unwrap().check_usable().await.unwrap_err();
        assert!(matches!(told, BlobError::Unusable(_)) && told.to_string().contains(part), "{part}: {told}");
        assert!(!told.to_string().contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn without_its_bucket_no_blob_is_called_gone() {
    let Some((_server, way, blobs)) = bucket().await else { return };
    assert!(matches!(blobs.get(ABC).await, Err(BlobError::NotFound(_))));
    way.let_happen(Act::NoBucket, None, usize::MAX);
    assert!(matches!(blobs.get(ABC).await, Err(BlobError::Storage(_))), "a job would be failed for good");
}
