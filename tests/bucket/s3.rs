//! An S3 server of its own for a test: `s3s-fs`, which verifies signatures and checksums, in a folder that goes away.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use spinelift::blob::{BucketOptions, Credentials, Patience};
use tempfile::TempDir;

/// How long its start may take on a machine that compiles beside it.
const START: Duration = Duration::from_secs(30);

pub(crate) const BUCKET: &str = "meshes";
pub(crate) const KEY_ID: &str = "AKIASPINELIFTTEST";
pub(crate) const SECRET: &str = "canary-bucket-secret-0123456789";

/// Waits that tests can sit out.
pub(crate) const HURRIED: Patience = Patience {
    connect: Duration::from_secs(2),
    request: Duration::from_secs(2),
    retries: 3,
    retry_for: Duration::from_secs(2),
    probe: Duration::from_secs(1),
    start: Duration::from_secs(4),
};

/// A server with one bucket. Dropped, it is killed.
pub(crate) struct S3 {
    pub(crate) address: SocketAddr,
    folder: TempDir,
    child: Option<Child>,
}

impl S3 {
    /// Started; `None` where there is no such program, which is said plainly, and fails where nothing may be skipped.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = program() else {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "s3s-fs is missing; .ci/run installs it");
            println!("skipped: there is no S3 server; install s3s-fs as .ci/run does, or name it in S3S_FS");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut server = Self { address, folder, child: None };
        server.again_with(&program);
        Some(server)
    }

    /// Starts it on the same port and files.
    pub(crate) fn again(&mut self) {
        self.again_with(&program().unwrap());
    }

    fn again_with(&mut self, program: &PathBuf) {
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &self.address.port().to_string()]);
        command.args(["--access-key", KEY_ID, "--secret-key", SECRET]).arg(self.folder.path());
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let began = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(began.elapsed() < START, "s3s-fs does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it; connections are refused from now on.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How it is reached, with its key.
    pub(crate) fn options(&self) -> BucketOptions {
        options_at(&self.url())
    }

    /// The file that an object is.
    pub(crate) fn file(&self, prefix: &str, hash: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(prefix).join("sha256").join(&hash[..2]).join(hash)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The same bucket and key at another address.
pub(crate) fn options_at(endpoint: &str) -> BucketOptions {
    BucketOptions {
        name: BUCKET.into(),
        region: "us-east-1".into(),
        endpoint: Some(endpoint.into()),
        credentials: Credentials::Key { id: KEY_ID.into(), secret: SECRET.into() },
        patience: HURRIED,
        ..BucketOptions::default()
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("S3S_FS") {
        return Some(named.into());
    }
    let cargo = std::env::home_dir().map(|home| home.join(".cargo/bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(cargo);
    folders.find_map(|folder| Some(folder.join("s3s-fs")).filter(|file| file.is_file()))
}
