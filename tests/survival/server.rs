//! The real binary, to be killed and started again on the same port and folder.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take, migrations and taking back jobs included, on a machine that compiles beside it.
const START: Duration = Duration::from_secs(30);

/// How long a process may take to end by itself.
const END: Duration = Duration::from_secs(60);

/// Where a job's life can be cut, in the order in which it comes by.
pub(crate) const POINTS: &[&str] = &[
    "after_claim",
    "during_fetch",
    "before_result",
    "after_result",
    "before_final_transaction",
    "inside_final_transaction",
    "after_final_transaction",
    "before_callback",
    "after_callback",
];

/// A service on a folder. Dropped, it is killed.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) folder: PathBuf,
    pub(crate) role: &'static str,
    /// The binary: this build's, or an older one.
    pub(crate) program: PathBuf,
    settings: Vec<(String, String)>,
    child: Option<Child>,
}

impl Server {
    /// Started in a folder, with settings beside the defaults of `--dev`.
    pub(crate) async fn start(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let mut server = Self::prepared(folder, settings);
        server.again().await;
        server
    }

    /// As [`start`](Self::start), not started yet.
    pub(crate) fn prepared(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let program = env!("CARGO_BIN_EXE_spinelift").into();
        Self { address, folder: folder.to_owned(), role: "all", program, settings, child: None }
    }

    /// Another setting from the next start on; an empty value takes it away.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.settings.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Starts it, and waits until it answers. The time it took.
    pub(crate) async fn again(&mut self) -> Duration {
        let began = Instant::now();
        self.spawn();
        while self.get("/health").await.is_err() {
            assert!(began.elapsed() < START, "the service does not answer:\n{}", self.log());
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("the service ended with {status}:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }

    /// Starts it without waiting.
    pub(crate) fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let child = Command::new(&self.program)
            .args(["serve", "--dev", "--role", self.role])
            .current_dir(&self.folder)
            .env("PORT", self.address.port().to_string())
            .envs(self.settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if began.elapsed() > END {
                child.kill().unwrap();
                panic!("the service does not end:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How it ended, if it did within a time.
    pub(crate) async fn ended_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < time {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// Ends it politely.
    pub(crate) async fn stop(&mut self) {
        self.signal("TERM");
        assert!(self.ended().await.success(), "{}", self.log());
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The body of a successful GET.
    pub(crate) async fn get(&self, path: &str) -> reqwest::Result<serde_json::Value> {
        let text = super::client().get(self.url(path)).send().await?.error_for_status()?.text().await?;
        Ok(serde_json::from_str(&text).unwrap())
    }

    /// What it has said, all starts together; the end of it.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
