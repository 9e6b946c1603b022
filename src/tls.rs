//! TLS as every part of the service has it that connects outward: by ring, trusting whom the system trusts.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// A client over HTTP/1.1. No process-wide default is set or needed, so that who embeds the library keeps its own.
///
/// # Errors
/// If ring offers none of the protocols, which it does.
pub(crate) fn client() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = || ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let mut config = match builder()?.with_platform_verifier() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(cause) => {
            // A bare container has no certificates. Plain HTTP works there; every https:// URL fails, and this says why.
            tracing::warn!(%cause, "no system certificates were found, so no https:// host can be verified; install them");
            builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".into()];
    Ok(config)
}
