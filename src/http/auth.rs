//! Who is calling: the owner of the jobs that a request makes and sees.

use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use chrono::Utc;
use sha2::{Digest, Sha256};

use super::codes::Code;
use super::error::ApiError;
use super::face::{Face, Shared};
use crate::config::ApiKey;
use crate::result_link::Signed;

/// The API key's name; empty where keys are off.
#[derive(Debug, Clone)]
pub(super) struct Owner(pub(super) Arc<str>);

impl FromRequestParts<Shared> for Owner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        // Only a route outside the layer below would be without.
        parts.extensions.get().cloned().ok_or_else(unauthorized)
    }
}

/// The keys that are known, by the digests of their secrets.
#[derive(Debug)]
pub(super) struct Keys(Vec<(Arc<str>, [u8; 32])>);

impl Keys {
    pub(super) fn new(keys: &[ApiKey]) -> Self {
        Self(keys.iter().map(|key| (key.name.as_str().into(), Sha256::digest(&key.secret).into())).collect())
    }

    /// Whether everyone may call.
    pub(super) fn are_off(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose secret it is. Takes as long for every secret of a length: digests are compared whole, and all of them.
    fn owner(&self, secret: &str) -> Option<&Arc<str>> {
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let differing = |known: &[u8; 32]| known.iter().zip(digest).fold(0, |sum, (a, b)| sum | (a ^ b));
        self.0.iter().fold(None, |found, (name, known)| if differing(known) == 0 { Some(name) } else { found })
    }
}

/// The middleware around all routes but those that tell of the service itself.
pub(super) async fn require_key(
    State(face): State<Shared>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let owner = if face.keys.are_off() {
        "".into()
    } else {
        let secret = bearer(request.headers())?;
        let owner = face.keys.owner(secret).cloned();
        owner.ok_or_else(|| ApiError::new(Code::Unauthorized, "the API key is not known"))?
    };
    tracing::Span::current().record("owner", &*owner);
    request.extensions_mut().insert(Owner(owner));
    Ok(next.run(request).await)
}

/// The middleware around results, whose links are good without a header.
pub(super) async fn require_key_or_link(
    State(face): State<Shared>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let owner = path.ok().and_then(|path| {
        let (_, job) = path.iter().find(|(name, _)| *name == "job_id")?;
        owner_by_link(&face, job, request.uri().query()?)
    });
    if let Some(owner) = owner {
        tracing::Span::current().record("owner", owner);
        let owner = Owner(owner.into());
        request.extensions_mut().insert(owner);
        return Ok(next.run(request).await);
    }
    require_key(State(face), request, next).await
}

fn owner_by_link<'a>(face: &'a Face, job: &str, query: &str) -> Option<&'a str> {
    let value = |name: &str| url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, v)| v);
    let (owner, expires, signature) = (value("key")?, value("expires")?, value("signature")?);
    let signed = Signed { owner: &owner, expires: &expires, signature: &signature };
    face.links.verify(job, signed, Utc::now().timestamp())
}

/// What stands after `Bearer`.
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let value = headers.get(AUTHORIZATION).ok_or_else(unauthorized)?;
    let parts = value.to_str().ok().and_then(|value| value.split_once(' '));
    let secret = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, secret)| secret.trim());
    secret.ok_or_else(|| ApiError::new(Code::Unauthorized, "Authorization must be `Bearer KEY`"))
}

fn unauthorized() -> ApiError {
    ApiError::new(Code::Unauthorized, "this needs an API key: send `Authorization: Bearer` and the key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_finds_its_owner_and_no_other() {
        let key = |name: &str, secret: &str| ApiKey { name: name.into(), secret: secret.into() };
        let keys = Keys::new(&[key("rails", "one"), key("artist", "two"), key("rails", "three")]);
        assert_eq!(keys.owner("one").map(|name| &**name), Some("rails"));
        assert_eq!(keys.owner("two").map(|name| &**name), Some("artist"));
        assert_eq!(keys.owner("three").map(|name| &**name), Some("rails"));
        assert_eq!(keys.owner("on"), None);
        assert_eq!(keys.owner(""), None);
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        let with = |text: &str| HeaderMap::from_iter([(AUTHORIZATION, text.parse().unwrap())]);
        assert_eq!(bearer(&with("bearer abc")).unwrap(), "abc");
        assert!(bearer(&with("Basic abc")).is_err());
        assert!(bearer(&with("Bearer")).is_err());
    }
}
