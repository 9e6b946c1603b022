//! The command `health`, which containers ask with.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::running::{DEADLINE, Running, command};

/// Status, standard output, standard error.
fn health(folder: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(folder, &[&["health"], arguments].concat()).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A port that nobody listens on, or nobody did just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One connection is taken, and answered with this.
fn answering(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(text.as_bytes()).unwrap();
        // Until the other side has had enough.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    url
}

#[test]
fn a_service_in_a_container_is_asked_by_its_settings() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let settings = format!(
        "HOST=0.0.0.0\nPORT={port}\nPUBLIC_URL=http://127.0.0.1:{port}\nAPI_KEYS=app:0123456789abcdef\nDRAIN_TIMEOUT=5\n"
    );
    fs::write(folder.path().join(".env"), settings).unwrap();
    let mut service = Running::start(command(&folder, &["serve"]));
    for (arguments, word) in [(&[][..], "healthy"), (&["--ready"], "ready")] {
        let (status, said, complaint) = health(&folder, arguments);
        assert_eq!((status, complaint.as_str()), (0, ""), "{said}");
        assert!(said.contains(&format!("\"{word}\"")) && said.lines().count() == 1, "{said}");
    }
    // A stop that has begun is no reason to kill it, and one to send it no more work.
    service.signal("-TERM");
    service.wait_for("stopping");
    let start = Instant::now();
    loop {
        let (status, _, complaint) = health(&folder, &["--ready"]);
        if status == 1 {
            assert!(complaint.contains("stopping") && complaint.lines().count() == 1, "{complaint}");
            break;
        }
        assert!(start.elapsed() < DEADLINE);
    }
    assert_eq!(service.ended().0, 0);
    let (status, said, complaint) = health(&folder, &[]);
    assert!(status == 1 && said.is_empty() && complaint.contains(&format!("127.0.0.1:{port}")), "{complaint}");
}

#[test]
fn what_does_not_answer_is_not_waited_for() {
    let folder = TempDir::new().unwrap();
    // Connections are taken by the system, and read by nobody.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", silent.local_addr().unwrap());
    let start = Instant::now();
    let (status, _, complaint) = health(&folder, &[&url]);
    assert!(status == 1 && complaint.contains("within 3 s"), "{complaint}");
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn what_answers_otherwise_is_not_well() {
    let folder = TempDir::new().unwrap();
    let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nother\n";
    let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwell?\r\n";
    for (answer, part) in [(head, "404: other"), ("SSH-2.0\r\n", "no such service"), (endless, "within 3 s")] {
        let (status, said, complaint) = health(&folder, &[&answering(answer)]);
        assert!(status == 1 && said.is_empty() && complaint.contains(part), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}

#[test]
fn who_cannot_be_asked_is_told() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(".env"), "PORT=0\n").unwrap();
    let (status, _, complaint) = health(&folder, &["--ready"]);
    assert!(status == 1 && complaint.contains("http://127.0.0.1:PORT/ready"), "{complaint}");
    fs::write(folder.path().join(".env"), "PORT=x\n").unwrap();
    let (status, _, complaint) = health(&folder, &[]);
    assert!(status == 1 && complaint.contains("PORT"), "{complaint}");
    let (status, _, complaint) = health(&folder, &["https://mesh.example/health"]);
    assert!(status == 2 && complaint.contains("no TLS"), "{complaint}");
}
