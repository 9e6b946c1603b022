//! Who is calling, what for, and how often: the owner of the jobs that a request makes and sees.
//!
//! A request's key is looked up, counted against its rate, and asked for the scope that the route needs, in this order:
//! who hammers what it may not do is slowed down too. Who comes without a good key is told to stop, by address;
//! a good key is let in all the while, so it is the length of the keys that keeps them from being guessed, not this.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams, Request, State};
use axum::http::header::{AUTHORIZATION, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde_json::json;

use super::codes::Code;
use super::error::ApiError;
use super::face::{Face, Shared};
use super::throttle;
use crate::key::{Scope, Scopes};
use crate::keyring::{Key, Use};
use crate::result_link::Signed;

/// RFC 6750: what is wanted, where nothing of the kind was sent.
const ASK: HeaderValue = HeaderValue::from_static("Bearer realm=\"spinelift\"");

/// RFC 6750: what was sent opens nothing.
const INVALID: HeaderValue = HeaderValue::from_static("Bearer realm=\"spinelift\", error=\"invalid_token\"");

/// Lets a result's link be shown by pages of other sites: it is good for whoever has it.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The API key's name; empty where keys are off.
#[derive(Debug, Clone)]
pub(super) struct Owner(pub(super) Arc<str>);

impl FromRequestParts<Shared> for Owner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        // Only a route outside the layers below would be without.
        parts.extensions.get().cloned().ok_or_else(no_key)
    }
}

/// The key that a request came with; none where keys are off.
#[derive(Debug, Clone)]
pub(super) struct Caller(Option<(Arc<Key>, Use)>);

impl Caller {
    /// Counts requests that one stands for, beside itself.
    pub(super) fn count(&self, face: &Face, requests: usize) -> Result<(), ApiError> {
        let Some((key, of)) = &self.0 else { return Ok(()) };
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        face.app.keys.take_more(key, *of, requests).map_err(|wait| throttle::refusal(face, key, wait))
    }

    /// Whether its key was revoked meanwhile.
    pub(super) fn is_gone(&self) -> bool {
        self.0.as_ref().is_some_and(|(key, _)| key.is_gone())
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or_else(no_key)
    }
}

/// What a group of routes needs of a key.
#[derive(Clone)]
pub(super) struct Guard {
    face: Shared,
    scope: Scope,
}

impl Guard {
    pub(super) fn new(face: &Shared, scope: Scope) -> Self {
        Self { face: Arc::clone(face), scope }
    }

    async fn serve(self, key: Option<(Arc<Key>, Use)>, mut request: Request, next: Next) -> Response {
        let owner: Arc<str> = key.as_ref().map_or_else(|| "".into(), |(key, _)| Arc::clone(key.name()));
        tracing::Span::current().record("owner", &*owner);
        request.extensions_mut().insert(Owner(owner));
        request.extensions_mut().insert(Caller(key.clone()));
        let Some((key, of)) = key else { return next.run(request).await };
        let keys = &self.face.app.keys;
        let mut response = match keys.take(&key, of, 1) {
            Err(wait) => throttle::refusal(&self.face, &key, wait).into_response(),
            // A link was given to be followed by whoever has it.
            Ok(()) if of == Use::Call && !key.scopes().contain(self.scope) => {
                scope_missing(self.scope, key.scopes()).into_response()
            }
            Ok(()) => next.run(request).await,
        };
        if let Some((rate, left)) = keys.left(&key, of) {
            throttle::tell(&mut response, of, rate, left);
        }
        response
    }
}

/// The middleware around all routes but those that tell whether the service lives.
pub(super) async fn require_key(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let key = if guard.face.app.keys.is_on() {
        let key = known_key(&guard.face, request.headers());
        Some((key.map_err(|error| throttle::failed(&guard.face, peer(&request), error))?, Use::Call))
    } else {
        None
    };
    Ok(guard.serve(key, request, next).await)
}

/// The middleware around results, whose links are good without a header.
pub(super) async fn require_key_or_link(
    State(guard): State<Guard>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let link = path.ok().and_then(|path| {
        let (_, job) = path.iter().find(|(name, _)| *name == "job_id")?;
        Some((key_by_link(&guard.face, job, request.uri().query()?)?, guard.face.app.keys.link_to(job)))
    });
    if let Some(link) = link {
        let mut response = guard.serve(Some(link), request, next).await;
        response.headers_mut().insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
        return Ok(response);
    }
    require_key(State(guard), request, next).await
}

fn key_by_link(face: &Face, job: &str, query: &str) -> Option<Arc<Key>> {
    let value = |name: &str| url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, v)| v);
    let (owner, expires, signature) = (value("key")?, value("expires")?, value("signature")?);
    let signed = Signed { owner: &owner, expires: &expires, signature: &signature };
    face.links.verify(job, signed, Utc::now().timestamp())
}

fn known_key(face: &Face, headers: &HeaderMap) -> Result<Arc<Key>, ApiError> {
    let unknown = || ApiError::new(Code::Unauthorized, "the API key is not known").with_challenge(INVALID);
    face.app.keys.find(bearer(headers)?).ok_or_else(unknown)
}

fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip())
}

/// What stands after `Bearer`.
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let value = headers.get(AUTHORIZATION).ok_or_else(no_key)?;
    let parts = value.to_str().ok().and_then(|value| value.split_once(' '));
    let secret = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, secret)| secret.trim());
    secret.ok_or_else(|| ApiError::new(Code::Unauthorized, "Authorization must be `Bearer KEY`").with_challenge(ASK))
}

fn no_key() -> ApiError {
    let message = "this needs an API key: send `Authorization: Bearer` and the key";
    ApiError::new(Code::Unauthorized, message).with_challenge(ASK)
}

fn scope_missing(scope: Scope, has: Scopes) -> ApiError {
    let (word, has) = (scope.as_str(), has.iter().map(Scope::as_str));
    let message = format!(
        "the API key lacks the scope `{word}`; have the operator make one that has it: \
         `spinelift keys add NAME --scope {word}`"
    );
    let challenge = match scope {
        Scope::Submit => "Bearer realm=\"spinelift\", error=\"insufficient_scope\", scope=\"submit\"",
        Scope::Read => "Bearer realm=\"spinelift\", error=\"insufficient_scope\", scope=\"read\"",
        Scope::Admin => "Bearer realm=\"spinelift\", error=\"insufficient_scope\", scope=\"admin\"",
    };
    ApiError::new(Code::ScopeMissing, message)
        .with_details(json!({ "needed": word, "scopes": has.collect::<Vec<_>>() }))
        .with_challenge(HeaderValue::from_static(challenge))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_read_in_any_case() {
        let with = |text: &str| HeaderMap::from_iter([(AUTHORIZATION, text.parse().unwrap())]);
        assert_eq!(bearer(&with("bearer abc")).unwrap(), "abc");
        assert!(bearer(&with("Basic abc")).is_err());
        assert!(bearer(&with("Bearer")).is_err());
    }
}
