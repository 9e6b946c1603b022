//! The services under load: ours and the one to beat, each started for the run and ended with it.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a service may take to listen. Python imports OpenCV twice.
const START: Duration = Duration::from_secs(60);

/// A process that listens.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Its database and storage, gone with it.
    _folder: TempDir,
}

impl Service {
    /// Ours, with an empty database and storage.
    pub(crate) fn spinelift(role: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = free_address();
        let mut command = Command::new(env!("CARGO_BIN_EXE_spinelift"));
        command.args(["serve", "--dev", "--role", role]).current_dir(folder.path());
        command.env("PORT", address.port().to_string()).env("LOG_FORMAT", "json");
        command.env("QUEUE_LIMIT", "10000000");
        Self::start(command, address, folder)
    }

    /// `fastapi_service.py` in `folder`, on one process a core as its text says.
    pub(crate) fn fastapi(folder: &Path) -> Self {
        let address = free_address();
        let mut command = Command::new("uvicorn");
        command.args(["fastapi_service:app", "--workers", "2", "--log-level", "warning", "--port"]);
        command.arg(address.port().to_string()).current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1");
        Self::start(command, address, tempfile::tempdir().expect("a temporary folder"))
    }

    fn start(mut command: Command, address: SocketAddr, folder: TempDir) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the service starts");
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < START, "{command:?} does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, address, _folder: folder }
    }

    /// Resident memory of the process and its children, MiB.
    pub(crate) fn memory_mib(&self) -> f64 {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        children.chain([id]).map(resident_mib).sum()
    }
}

fn resident_mib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kib.unwrap_or(0.0) / 1024.0
}

impl Drop for Service {
    /// By the polite signal, so that a parent takes its workers with it.
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free")
}
