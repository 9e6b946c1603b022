//! A bucket on S3 or what speaks it: how it is reached, for how long, with whose credentials, and what its refusals mean.

use std::fmt;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path as Key;
use object_store::signer::{Method, Signer};
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, RetryConfig};

use super::BlobError;
use crate::tls;

/// Longest time for which a link can be signed, by the protocol.
pub const LONGEST_LINK: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a link-local address has to take a connection that gives credentials out on machines of AWS.
const METADATA_CONNECT: Duration = Duration::from_secs(1);

/// What AWS puts into the environment of what runs there, and is read without keys in the settings. Nothing else of what
/// begins with `AWS_` is: an endpoint, or leave to skip signatures, that was meant for another program of the same
/// environment would change where images go and who can read them.
pub const SURROUNDINGS: &[(&str, AmazonS3ConfigKey)] = &[
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
];

/// Which bucket, and how it is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketOptions {
    /// Its name.
    pub name: String,
    /// Where AWS has it; other servers mostly take any.
    pub region: String,
    /// The server, if it is not AWS: scheme, host, port.
    pub endpoint: Option<String>,
    /// What callers reach the server by, where that is another address.
    pub public_endpoint: Option<String>,
    /// What the names of our objects begin with; empty for nothing.
    pub prefix: String,
    /// Who we are to it.
    pub credentials: Credentials,
    /// How long to wait for it.
    pub patience: Patience,
}

/// Who we are to a bucket.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A key and its secret.
    Key {
        /// The key's public name.
        id: String,
        /// What requests are signed with.
        secret: String,
    },
    /// What the environment has of [`SURROUNDINGS`]; without any, the machine is asked, as AWS has it.
    Surroundings(Vec<(String, String)>),
}

impl Default for Credentials {
    fn default() -> Self {
        Self::Surroundings(Vec::new())
    }
}

impl fmt::Debug for Credentials {
    /// Without the secrets, so that no log line ever holds one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { id, .. } => f.debug_struct("Key").field("id", id).finish_non_exhaustive(),
            Self::Surroundings(given) => f.debug_list().entries(given.iter().map(|(name, _)| name)).finish(),
        }
    }
}

/// How long a bucket is waited for. Every request ends within `request`, and none is begun again later than `retry_for`
/// after the first: so nothing takes longer than the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// To connect and agree on TLS.
    pub connect: Duration,
    /// For one request from end to end: 64 MiB at 1 MiB/s.
    pub request: Duration,
    /// How often a request is made again that failed for a passing reason.
    pub retries: usize,
    /// How long after its first attempt.
    pub retry_for: Duration,
    /// For a look at whether the bucket takes writes.
    pub probe: Duration,
    /// For all looks at it at the start.
    pub start: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            request: Duration::from_secs(64),
            retries: 5,
            retry_for: Duration::from_secs(20),
            probe: Duration::from_secs(3),
            start: Duration::from_secs(15),
        }
    }
}

/// The bucket as the settings have it.
pub(super) fn open(options: &BucketOptions) -> Result<AmazonS3, BlobError> {
    Ok(build(options, options.endpoint.as_deref())?)
}

/// The same as callers reach it, only to sign links with.
pub(super) fn signer(options: &BucketOptions) -> Result<AmazonS3, BlobError> {
    Ok(build(options, options.public_endpoint.as_deref().or(options.endpoint.as_deref()))?)
}

fn build(options: &BucketOptions, endpoint: Option<&str>) -> object_store::Result<AmazonS3> {
    let patience = options.patience;
    let is_plain = endpoint.is_some_and(|url| url.starts_with("http:"));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&options.name)
        .with_region(&options.region)
        // The server compares what arrives with the digest that it is sent along with.
        .with_checksum_algorithm(Checksum::SHA256)
        .with_allow_http(is_plain)
        // Certificates of AWS hold for one label before the host; other servers mostly know paths only.
        .with_virtual_hosted_style_request(endpoint.is_none() && !options.name.contains('.'))
        // One by one as they are anyway: fewer servers know how to delete several at a time.
        .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true")
        .with_http_connector(Connector { patience, is_plain })
        .with_retry(RetryConfig {
            backoff: BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() },
            max_retries: patience.retries,
            retry_timeout: patience.retry_for,
        });
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    match &options.credentials {
        Credentials::Key { id, secret } => builder.with_access_key_id(id).with_secret_access_key(secret),
        Credentials::Surroundings(given) => given.iter().fold(builder, |builder, (name, value)| {
            match SURROUNDINGS.iter().find(|(known, _)| known == name) {
                Some((_, key)) => builder.with_config(*key, value),
                None => builder,
            }
        }),
    }
    .build()
}

/// A link that is good without a header, for so long at most as the protocol allows.
pub(super) async fn link(signer: &AmazonS3, key: &Key, good_for: Duration) -> Result<String, BlobError> {
    Ok(signer.signed_url(Method::GET, key, good_for.min(LONGEST_LINK)).await?.into())
}

/// Makes the HTTP client: that of `object_store` would follow redirects and read proxies from the environment.
///
/// A bucket that answers with a redirect is in another region or behind another name, and what is sent there was signed
/// for this one: that is for the operator to hear. A proxy would get to see every image over http, and over any scheme
/// the requests for credentials of the machine itself; the rest of the service uses none either.
#[derive(Debug)]
struct Connector {
    patience: Patience,
    is_plain: bool,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| object_store::Error::Generic { store: "S3", source };
        // Credentials of the machine are fetched without TLS, whatever the bucket has.
        let allows_http = options.get_config_value(&ClientConfigKey::AllowHttp).as_deref() == Some("true");
        let is_local = allows_http && !self.is_plain;
        let connect = if is_local { self.patience.connect.min(METADATA_CONNECT) } else { self.patience.connect };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client().map_err(|error| failed(error.into()))?)
            .https_only(!allows_http)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(connect)
            .timeout(self.patience.request)
            .build();
        Ok(HttpClient::new(client.map_err(|error| failed(error.into()))?))
    }
}

/// Whether the server says that something else arrived than was sent. Damage on the way breaks the signature too, which
/// covers the digest of the body.
pub(super) fn arrived_damaged(error: &object_store::Error) -> bool {
    let codes = ["BadDigest", "XAmzContentSHA256Mismatch", "InvalidDigest", "SignatureDoesNotMatch", "IncompleteBody"];
    code(&error.to_string()).is_some_and(|code| codes.contains(&code))
}

/// Whether an object was looked for in a bucket that is not there.
pub(super) fn has_no_bucket(error: &object_store::Error) -> bool {
    code(&error.to_string()) == Some("NoSuchBucket")
}

/// The code in the text of an answer: `<Code>AccessDenied</Code>`.
fn code(text: &str) -> Option<&str> {
    text.split_once("<Code>")?.1.split_once("</Code>").map(|(code, _)| code)
}

/// What an operator has to change where the bucket will refuse for ever; `None` if waiting may help.
pub(super) fn lasting_fault(options: &BucketOptions, right: &str, error: &object_store::Error) -> Option<String> {
    let BucketOptions { name, region, endpoint, .. } = options;
    let text = error.to_string();
    let place = endpoint.clone().unwrap_or_else(|| format!("AWS in {region}"));
    if text.contains("169.254.169.254") {
        return Some(
            "no credentials were found in the environment or on this machine; set S3_ACCESS_KEY_ID and \
             S3_SECRET_ACCESS_KEY, or give the machine a role"
                .into(),
        );
    }
    Some(match code(&text) {
        Some("NoSuchBucket") => format!("S3_BUCKET: there is no bucket {name:?} at {place}; make it, or name another"),
        Some("InvalidAccessKeyId" | "NotSignedUp") => format!("S3_ACCESS_KEY_ID: {place} does not know this key"),
        Some("SignatureDoesNotMatch") => "S3_SECRET_ACCESS_KEY: is not the secret of the key".into(),
        Some("ExpiredToken" | "InvalidToken") => "the credentials of the environment have ended; renew them".into(),
        Some("RequestTimeTooSkewed") => "this machine's clock is off by minutes; set it".into(),
        Some("AuthorizationHeaderMalformed" | "PermanentRedirect" | "TemporaryRedirect") => wrong_region(options),
        Some(code @ ("AccessDenied" | "AllAccessDisabled" | "AccountProblem")) => {
            format!("the credentials lack the right {right} for the bucket {name:?} ({code})")
        }
        _ if text.contains("redirect") || text.contains(" 301") || text.contains(" 307") => wrong_region(options),
        _ if matches!(error, object_store::Error::NotFound { .. }) => {
            format!("S3_ENDPOINT, S3_BUCKET: {place} answers 404 for the bucket {name:?}")
        }
        _ if matches!(
            error,
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
        ) =>
        {
            format!("the credentials lack the right {right} for the bucket {name:?}, or are not known to {place}")
        }
        _ => return None,
    })
}

fn wrong_region(options: &BucketOptions) -> String {
    let BucketOptions { name, region, .. } = options;
    format!("S3_REGION, S3_ENDPOINT: the bucket {name:?} is not in {region:?}, or is reached under another name")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(body: &str) -> object_store::Error {
        object_store::Error::PermissionDenied { path: "a".into(), source: body.to_owned().into() }
    }

    #[test]
    fn a_refusal_names_what_to_change() {
        let options =
            BucketOptions { name: "meshes".into(), region: "eu-central-1".into(), ..BucketOptions::default() };
        for (code, part) in [
            ("NoSuchBucket", "S3_BUCKET: there is no bucket \"meshes\" at AWS in eu-central-1"),
            ("InvalidAccessKeyId", "S3_ACCESS_KEY_ID"),
            ("SignatureDoesNotMatch", "S3_SECRET_ACCESS_KEY"),
            ("AccessDenied", "s3:PutObject"),
            ("PermanentRedirect", "S3_REGION"),
            ("Strange", "lack the right"),
        ] {
            let error = denied(&format!("<Error><Code>{code}</Code><Message>no</Message></Error>"));
            let told = lasting_fault(&options, "s3:PutObject", &error).unwrap();
            assert!(told.contains(part), "{code}: {told}");
        }
        let passing = object_store::Error::Generic { store: "S3", source: "<Code>SlowDown</Code>".to_owned().into() };
        assert_eq!(lasting_fault(&options, "s3:PutObject", &passing), None);
    }

    #[test]
    fn damage_on_the_way_is_told_from_other_refusals() {
        assert!(arrived_damaged(&denied("<Code>BadDigest</Code>")));
        assert!(arrived_damaged(&denied("<Code>SignatureDoesNotMatch</Code>")));
        assert!(!arrived_damaged(&denied("<Code>AccessDenied</Code>")));
        assert!(!arrived_damaged(&denied("no answer")));
    }

    #[test]
    fn credentials_are_not_shown() {
        let key = Credentials::Key { id: "AKIA".into(), secret: "hunter2".into() };
        let given = Credentials::Surroundings(vec![("AWS_SECRET_ACCESS_KEY".into(), "hunter2".into())]);
        let text = format!("{key:?} {given:?}");
        assert!(text.contains("AKIA") && text.contains("AWS_SECRET_ACCESS_KEY") && !text.contains("hunter2"), "{text}");
    }
}
