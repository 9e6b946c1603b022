//! Which pages may call, and what browsers are told on every answer.

use std::time::Duration;

use spinelift::app::{App, OpenError};
use spinelift::config::{ApiKey, Config, CorsOrigins};
use spinelift::key::{Limit, Scopes};

use crate::keys::by;
use crate::service::{MESH, Service, image, request, star};
use crate::wire::{Answer, Ask};

const APP: &str = "https://app.example";

fn only_app(config: &mut Config) {
    config.access.cors_origins = CorsOrigins::These(vec![APP.into()]);
}

fn preflight(origin: &str) -> Ask {
    Ask::new("OPTIONS", format!("{MESH}/generate"))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,idempotency-key")
}

/// All values of a header, in one.
fn all(answer: &Answer, name: &str) -> String {
    let values = answer.headers.iter().filter(|(given, _)| given == name).map(|(_, value)| value.to_lowercase());
    values.collect::<Vec<_>>().join(",")
}

fn allowed(answer: &Answer) -> Option<&str> {
    assert_eq!(answer.header("access-control-allow-credentials"), None, "{answer:?}");
    answer.header("access-control-allow-origin")
}

#[tokio::test]
async fn without_the_setting_no_page_is_let_in() {
    let service = Service::with_keys().await;
    let answer = service.send(preflight(APP)).await.expect(204);
    assert_eq!((allowed(&answer), answer.header("vary")), (None, None));
    let answer = service.send(Ask::get("/health").header("origin", APP)).await.expect(200);
    assert_eq!(allowed(&answer), None);
}

#[tokio::test]
async fn a_listed_page_may_call_and_read_what_it_needs() {
    let service = Service::without_workers(only_app).await;
    service.add_key("app", Scopes::USUAL, Limit::Usual).await;
    let answer = service.send(preflight(APP)).await.expect(200);
    assert_eq!(allowed(&answer), Some(APP));
    let (methods, headers) =
        (all(&answer, "access-control-allow-methods"), all(&answer, "access-control-allow-headers"));
    assert!(["get", "post", "delete"].iter().all(|method| methods.contains(method)), "{methods}");
    for name in ["authorization", "content-type", "idempotency-key", "prefer", "if-none-match", "last-event-id"] {
        assert!(headers.split(',').any(|header| header == name), "{name} in {headers}");
    }
    assert!(all(&answer, "vary").contains("origin"));
    // Refusals are read too: else a page could not tell them from a service that is down.
    let from = |origin: &str| Ask::post(format!("{MESH}/generate")).json(&request("a")).header("origin", origin);
    let submit = || from(APP);
    for (ask, status) in [(submit(), 401), (by("app", submit()), 202), (submit().header("host", "b\r\nhost: c"), 400)] {
        let answer = service.send(ask).await.expect(status);
        assert_eq!(allowed(&answer), Some(APP));
        let exposed = all(&answer, "access-control-expose-headers");
        for name in [
            "location",
            "etag",
            "retry-after",
            "ratelimit",
            "ratelimit-policy",
            "x-request-id",
            "idempotent-replayed",
            "www-authenticate",
        ] {
            assert!(exposed.split(',').any(|header| header == name), "{name} in {exposed}");
        }
        assert!(all(&answer, "vary").contains("origin"));
    }
    for foreign in ["https://evil.example", "null", "https://app.example.evil.example", "http://app.example", "*"] {
        let answer = service.send(preflight(foreign)).await;
        assert_eq!(allowed(&answer), None, "{foreign}");
        assert!(all(&answer, "vary").contains("origin"), "{foreign}");
        let answer = service.send(by("app", from(foreign))).await;
        assert_eq!(allowed(&answer), None, "{foreign}");
    }
}

#[tokio::test]
async fn what_took_too_long_is_read_too() {
    let service = Service::without_workers(|config| {
        only_app(config);
        config.http.request_timeout = Duration::from_millis(1);
    })
    .await;
    let late = Ask::post(format!("{MESH}/preview")).body(image("large-trex-4096.png")).header("origin", APP);
    let late = service.send(late).await;
    late.refused(503, "REQUEST_TIMEOUT");
    assert_eq!(allowed(&late), Some(APP));
}

#[tokio::test]
async fn any_page_may_call_where_keys_keep_strangers_out() {
    let service = Service::without_workers(|config| {
        config.access.cors_origins = CorsOrigins::Any;
        config.access.api_keys = vec![ApiKey { name: "rails".into(), secret: "rails-secret".into() }];
    })
    .await;
    service.add_key("app", Scopes::USUAL, Limit::Usual).await;
    for origin in [APP, "null", "https://evil.example"] {
        assert_eq!(allowed(&service.send(preflight(origin)).await.expect(200)), Some("*"));
    }
    let jobs = by("app", Ask::get(format!("{MESH}/jobs")).header("origin", "https://any.example"));
    assert_eq!(allowed(&service.send(jobs).await.expect(200)), Some("*"));
}

#[tokio::test]
async fn without_keys_listed_pages_may_call_and_no_others() {
    let service = Service::without_workers(|config| {
        only_app(config);
        config.dev = false;
    })
    .await;
    let preview = |origin: &str| Ask::post(format!("{MESH}/preview")).body(star()).header("origin", origin);
    assert_eq!(allowed(&service.send(preview(APP)).await.expect(200)), Some(APP));
    for foreign in ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null"] {
        service.send(preview(foreign)).await.refused(403, "ORIGIN_NOT_ALLOWED");
    }
    let both = preview(APP).header("origin", "https://evil.example");
    service.send(both).await.refused(403, "ORIGIN_NOT_ALLOWED");
}

#[tokio::test]
async fn the_whole_world_is_let_in_by_nobodys_accident() {
    let folder = tempfile::tempdir().unwrap();
    let config = |dev: bool, host: &str, insecure: bool, cors: CorsOrigins| {
        let mut config = Config { dev, ..Config::default() };
        config.http.host = host.into();
        config.access.insecure = insecure;
        config.access.cors_origins = cors;
        config.database.url = format!("sqlite:{}", folder.path().join("jobs.db").display());
        config.storage.path = folder.path().join("blobs");
        config
    };
    let refused = async |config: Config| match App::open(config).await {
        Err(OpenError::Unguarded(said)) => said,
        other => panic!("{:?}", other.err()),
    };
    let (here, everywhere) = ("127.0.0.1", "0.0.0.0");
    assert!(refused(config(false, everywhere, false, CorsOrigins::Off)).await.contains("--insecure"));
    for (dev, insecure) in [(false, false), (false, true), (true, false)] {
        assert!(refused(config(dev, here, insecure, CorsOrigins::Any)).await.contains("every page"));
    }
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was made");
    for fine in [config(true, here, false, CorsOrigins::Off), config(false, everywhere, true, CorsOrigins::Off)] {
        App::open(fine).await.unwrap().store.close().await;
    }
    // The file is there now, and without a key.
    assert!(refused(config(false, everywhere, false, CorsOrigins::Off)).await.contains("keys add"));
}

#[tokio::test]
async fn a_page_whose_name_was_made_to_lead_here_is_refused() {
    let jobs = |host: &str| Ask::get(format!("{MESH}/jobs")).header("host", host);
    let service = Service::without_workers(|config| {
        config.dev = false;
        config.http.public_url = Some("https://mesh.example/lift".into());
    })
    .await;
    for foreign in ["evil.example", "evil.example:8000", "10.0.0.1", "localhost.evil.example", "a b", ""] {
        service.send(jobs(foreign)).await.refused(403, "ORIGIN_NOT_ALLOWED");
    }
    for own in ["localhost:8000", "127.0.0.1", "[::1]:8000", "mesh.example", "mesh.example:443"] {
        service.send(jobs(own)).await.expect(200);
    }
    service.send(Ask::get("/health").header("host", "evil.example")).await.expect(200);
    // What has a key is no page that came in under another name.
    service.add_key("app", Scopes::USUAL, Limit::Usual).await;
    service.send(by("app", jobs("evil.example"))).await.expect(200);
    // Beyond loopback nobody knows what it is called.
    let service = Service::without_workers(|config| {
        config.dev = false;
        config.http.host = "0.0.0.0".into();
        config.access.insecure = true;
    })
    .await;
    service.send(jobs("mesh.internal")).await.expect(200);
    service
        .send(jobs("mesh.internal").header("origin", "https://evil.example"))
        .await
        .refused(403, "ORIGIN_NOT_ALLOWED");
}

#[tokio::test]
async fn every_answer_tells_browsers_to_keep_it_to_themselves() {
    for public_url in [None, Some("http://mesh.example"), Some("https://mesh.example")] {
        let service = Service::without_workers(|config| {
            only_app(config);
            config.http.public_url = public_url.map(str::to_owned);
        })
        .await;
        service.add_key("app", Scopes::ALL, Limit::Usual).await;
        let operations = service.operations().await.into_iter().map(|(method, path, _)| (method, path));
        let pages =
            ["/", "/docs", "/docs/", "/docs/index.css", "/docs/none.js", "/openapi.json", "/nowhere", "/health/"];
        let pages = pages.map(|path| ("GET".to_owned(), path.to_owned()));
        let others = ["PUT", "OPTIONS", "BREW"].map(|method| (method.to_owned(), format!("{MESH}/jobs")));
        let asks = operations.chain(pages).chain(others).map(|(method, path)| Ask::new(&method, path));
        let asks = asks.flat_map(|ask| [ask.clone(), by("app", ask)]).chain([preflight(APP), preflight("null")]);
        let mut seen = std::collections::BTreeSet::new();
        for ask in asks {
            let path = ask.path.replace(['{', '}'], "");
            let answer = service.send(Ask { path, ..ask.clone() }).await;
            seen.insert(answer.status);
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("x-frame-options", "DENY"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(all(&answer, name), value.to_lowercase(), "{} {}", ask.method, ask.path);
            }
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(answer.header("cache-control").is_some());
            let https = public_url.is_some_and(|url| url.starts_with("https"));
            assert_eq!(answer.header("strict-transport-security").is_some(), https, "{} {}", ask.method, ask.path);
        }
        assert!([200, 303, 401, 404, 405].iter().all(|status| seen.contains(status)), "{seen:?}");
    }
}
