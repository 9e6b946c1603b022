//! Images from encrypted hosts, fetched by the real command: certificates are verified, and encryption is not given up.

#![cfg(all(feature = "cli", feature = "serve"))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]
#![expect(dead_code, reason = "the servers of other tests can do more")]

#[path = "net/name_server.rs"]
mod name_server;
#[path = "survival/server.rs"]
mod server;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use name_server::{NameServer, Says};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An independent client of the service.
fn client() -> reqwest::Client {
    // Installed by whichever test is first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Whoever signs certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A host's proof that it has this name.
    fn certify(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], secret).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// An encrypted host on loopback. What it says, by path.
async fn host(acceptor: TlsAcceptor, said: fn(&str) -> Vec<u8>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Whoever does not trust the certificate breaks off.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = vec![0; 4096];
            let Ok(read) = stream.read(&mut request).await else { continue };
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(&said(&String::from_utf8_lossy(&request[..read]))).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, asked)
}

fn image(request: &str) -> Vec<u8> {
    if request.starts_with("GET /plain ") {
        return b"HTTP/1.1 302 Found\r\nlocation: http://secure.example/a.png\r\ncontent-length: 0\r\n\r\n".to_vec();
    }
    let image = std::fs::read("testdata/corpus/tiny-star-12.png").unwrap();
    [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", image.len()).as_bytes(), &image].concat()
}

/// A service that trusts one authority, and asks a name server of ours.
async fn service(folder: &Path, trusted: &Authority, names: &NameServer, hosts: &str) -> server::Server {
    let authorities = folder.join("authorities.pem");
    std::fs::write(&authorities, &trusted.pem).unwrap();
    let settings = [
        ("SSL_CERT_FILE", authorities.to_str().unwrap()),
        ("DNS_SERVERS", &names.address.to_string()),
        ("ALLOWED_HOSTS", hosts),
    ];
    server::Server::start(folder, &settings).await
}

/// How a job for an image there ends.
async fn status(service: &server::Server, image_url: &str) -> Value {
    let body = json!({ "image_url": image_url }).to_string();
    let asked = client().post(service.url("/api/v1/mesh/generate")).header("content-type", "application/json");
    let answer = asked.header("prefer", "wait=20").body(body).send().await.unwrap();
    let text = answer.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
}

/// Waits for the first attempt at a job to fail. It may be a passing mistake of the host, so there are others later.
async fn fails_for_now(service: &server::Server, image_url: &str) {
    let body = json!({ "job_id": "a", "image_url": image_url }).to_string();
    let asked = client().post(service.url("/api/v1/mesh/generate")).header("content-type", "application/json");
    assert_eq!(asked.body(body).send().await.unwrap().status(), 202);
    loop {
        let status = service.get("/api/v1/mesh/a/status").await.unwrap();
        assert_eq!(status["status"], "processing", "{status}");
        if status["message"].as_str().unwrap().contains("could not be reached") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_comes_encrypted_from_whom_the_system_trusts() {
    let authority = Authority::new();
    let (port, asked) = host(authority.certify("secure.example"), image).await;
    let names = NameServer::by(|_, _| Says::Addresses(vec!["127.0.0.1".parse().unwrap()])).await;
    let folder = tempfile::tempdir().unwrap();
    let hosts = format!("secure.example:{port},other.example:{port},secure.example:80");
    let service = service(folder.path(), &authority, &names, &hosts).await;

    let done = status(&service, &format!("https://secure.example:{port}/a.png")).await;
    assert_eq!(done["status"], "completed", "{done}\n{}", service.log());
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    let given_up = status(&service, &format!("https://secure.example:{port}/plain")).await;
    assert_eq!(given_up["error"]["code"], "URL_NOT_ALLOWED", "{given_up}");
    assert!(given_up["error"]["message"].as_str().unwrap().contains("https to http"), "{given_up}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);

    // The same host by a name that its certificate does not have.
    fails_for_now(&service, &format!("https://other.example:{port}/a.png")).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2, "nothing is asked of a host that has not proved who it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_of_whom_the_system_does_not_trust() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (port, asked) = host(stranger.certify("secure.example"), image).await;
    let names = NameServer::by(|_, _| Says::Addresses(vec!["127.0.0.1".parse().unwrap()])).await;
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path(), &authority, &names, &format!("secure.example:{port}")).await;
    fails_for_now(&service, &format!("https://secure.example:{port}/a.png")).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}
