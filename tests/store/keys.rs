//! API keys: added, listed, revoked for good, and noted to be in use.

use spinelift::key::{Digest, Limit, Links, Scope, Scopes};
use spinelift::store::{KeyId, NewKey, StoreError, StoredKey};

use super::fixture::*;

fn new_key(name: &str, secret: &str) -> NewKey {
    NewKey { name: name.into(), digest: Digest::of(secret), scopes: Scopes::USUAL, limit: Limit::Usual, links: None }
}

async fn only(store: &dyn spinelift::store::Store) -> StoredKey {
    let mut keys = store.keys().await.unwrap();
    assert_eq!(keys.len(), 1);
    keys.remove(0)
}

pub(crate) async fn a_key_is_kept_as_it_was_added(backend: &dyn Backend) {
    let store = open(backend).await;
    assert_eq!(store.keys().await.unwrap(), []);
    let limits = [Limit::Usual, Limit::Unlimited, Limit::Own("600/60s".parse().unwrap())];
    let scopes = [Scopes::ALL, Scopes::USUAL, Scopes::from_iter([Scope::Admin])];
    let links = [None, Some(Links::Storage), Some(Links::Service)];
    let mut ids = Vec::new();
    for (n, (limit, scopes)) in limits.into_iter().zip(scopes).enumerate() {
        // One name may have several keys.
        let key = NewKey { limit, scopes, links: links[n], ..new_key("rails-2_x", &n.to_string()) };
        ids.push(store.add_key(key).await.unwrap());
    }
    let keys = store.keys().await.unwrap();
    assert_eq!(keys.iter().map(|key| key.id).collect::<Vec<_>>(), ids);
    assert!(ids.is_sorted() && ids[0] < ids[2]);
    for (n, key) in keys.iter().enumerate() {
        assert_eq!((key.limit, key.scopes, key.digest), (limits[n], scopes[n], Digest::of(&n.to_string())));
        assert_eq!(key.links, links[n]);
        assert_eq!((key.name.as_str(), key.revoked_at_ms, key.last_used_at_ms), ("rails-2_x", None, None));
        assert!(key.created_at_ms > 1_700_000_000_000);
    }
}

pub(crate) async fn a_revoked_key_stays_revoked(backend: &dyn Backend) {
    let store = open(backend).await;
    let a = store.add_key(new_key("a", "1")).await.unwrap();
    let b = store.add_key(new_key("a", "2")).await.unwrap();
    assert_eq!(store.revoke_keys(&[a, KeyId(777)]).await.unwrap(), 1);
    let first = store.keys().await.unwrap()[0].revoked_at_ms.unwrap();
    assert_eq!(store.revoke_keys(&[a]).await.unwrap(), 0);
    assert_eq!(store.revoke_keys(&[]).await.unwrap(), 0);
    let keys = store.keys().await.unwrap();
    assert_eq!((keys[0].id, keys[0].revoked_at_ms), (a, Some(first)));
    assert_eq!((keys[1].id, keys[1].revoked_at_ms), (b, None));
    assert_eq!(store.revoke_keys(&[a, b]).await.unwrap(), 1);
}

pub(crate) async fn the_use_of_keys_is_noted(backend: &dyn Backend) {
    let store = open(backend).await;
    let id = store.add_key(new_key("a", "1")).await.unwrap();
    store.note_key_use(&[id, KeyId(777)]).await.unwrap();
    let key = only(&*store).await;
    assert!(key.last_used_at_ms.unwrap() >= key.created_at_ms);
    assert_eq!(key.revoked_at_ms, None);
}

pub(crate) async fn no_two_keys_have_one_secret(backend: &dyn Backend) {
    let store = open(backend).await;
    store.add_key(new_key("a", "same")).await.unwrap();
    let refused = store.add_key(new_key("b", "same")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Database(_)));
    assert!(!refused.to_string().contains("same"), "{refused}");
    only(&*store).await;
}

pub(crate) async fn a_name_that_could_do_harm_is_not_kept(backend: &dyn Backend) {
    let store = open(backend).await;
    let long = "x".repeat(65);
    for bad in ["", "a b", "a\r\nset-cookie: b", "a&b", "ä", "a\0b", "'; DROP TABLE api_keys; --", long.as_str()] {
        assert!(store.add_key(new_key(bad, bad)).await.is_err(), "{bad:?}");
    }
    assert_eq!(store.keys().await.unwrap(), []);
}

pub(crate) async fn keys_are_there_after_a_restart(backend: &dyn Backend) {
    let store = open(backend).await;
    let id = store.add_key(new_key("a", "1")).await.unwrap();
    store.close().await;
    assert!(matches!(store.keys().await, Err(StoreError::Closed)));
    assert!(matches!(store.add_key(new_key("a", "2")).await, Err(StoreError::Closed)));
    assert_eq!(only(&*open(backend).await).await.id, id);
}
