//! The README's tour of the service, word by word: its requests are made and its answers are those that it shows.
//!
//! What differs from run to run, times and the ids of requests, is compared by its form. Ports are the test's own.

#![cfg(all(unix, feature = "cli", feature = "serve"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "readme/blocks.rs"]
mod blocks;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use blocks::blocks;

/// How long an answer may take to become what the README shows: its reader types slower than the machine works.
const SETTLE: Duration = Duration::from_secs(20);

/// Commands of the `shell-session` blocks with what is shown below each. A quote that is open goes on in the next line.
fn session(readme: &str) -> Vec<(String, Vec<String>)> {
    let mut lines = blocks(readme, "shell-session").into_iter().peekable();
    let mut commands = Vec::new();
    while let Some(line) = lines.next() {
        let mut command = line.strip_prefix("$ ").unwrap().to_owned();
        while command.matches('\'').count() % 2 == 1 {
            command = format!("{command}\n{}", lines.next().unwrap());
        }
        let mut shown = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            shown.push(line);
        }
        commands.push((command, shown));
    }
    commands
}

/// Times and request ids by their form.
fn redacted(text: &str) -> String {
    let mut parts: Vec<String> = text.split('"').map(str::to_owned).collect();
    for at in 0..parts.len() {
        let is_time = parts[at].len() == 24 && parts[at].starts_with("20") && parts[at].ends_with('Z');
        if is_time {
            parts[at] = "TIME".into();
        }
        if parts[at] == "request_id" && at + 2 < parts.len() {
            parts[at + 2] = "ID".into();
        }
    }
    parts.join("\"")
}

/// The service, ended with the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server of one image that remembers the last callback.
fn application(last: Arc<Mutex<String>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), &last);
        }
    });
    port
}

fn answer(mut stream: TcpStream, last: &Mutex<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    while let Some(Ok(line)) = reader.by_ref().lines().next().filter(|line| line.as_ref().is_ok_and(|l| !l.is_empty()))
    {
        head.push(line);
    }
    let field = |name: &str| {
        let named = |line: &&String| line.to_ascii_lowercase().starts_with(&format!("{name}: "));
        head.iter().find(named).map(|line| line[name.len() + 2..].to_owned())
    };
    if head[0].starts_with("GET ") {
        let image = fs::read("testdata/corpus/limb-hand-512.png").unwrap();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", image.len()).unwrap();
        stream.write_all(&image).unwrap();
        return;
    }
    let mut body = vec![0; field("content-length").unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let fields = ["content-type", "webhook-id"].map(|name| format!("{name}: {}\n", field(name).unwrap()));
    *last.lock().unwrap() = format!("POST /callback\n{}\n{}", fields.concat(), String::from_utf8(body).unwrap());
    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
}

#[test]
fn the_readmes_tour_of_the_service_is_a_real_one() {
    let readme = fs::read_to_string("README.md").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let last = Arc::new(Mutex::new(String::new()));
    let application = application(Arc::clone(&last));
    let theirs = |text: &str| text.replace(":8000", &format!(":{port}")).replace(":9000", &format!(":{application}"));
    let ours = |text: &str| text.replace(&format!(":{port}"), ":8000").replace(&format!(":{application}"), ":9000");

    let commands = session(&readme);
    let [(start, screen), requests @ ..] = &commands[..] else { panic!("the README has no tour") };
    assert_eq!(start, "spinelift serve --dev");
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_spinelift"));
    serve.args(["serve", "--dev"]).current_dir(folder.path()).env("PORT", port.to_string()).stdout(Stdio::null());
    let _service = Service(serve.stderr(log).spawn().unwrap());
    until_equal(&screen.join("\n"), || {
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        ours(&log.lines().take(screen.len()).collect::<Vec<_>>().join("\n"))
    });

    for (command, shown) in requests {
        until_equal(&redacted(&shown.join("\n")), || {
            let output = Command::new("sh").arg("-c").arg(theirs(command)).output().unwrap();
            redacted(ours(&String::from_utf8(output.stdout).unwrap()).trim_end())
        });
    }
    let callback = blocks(&readme, "http").join("\n");
    until_equal(&redacted(&callback), || redacted(&ours(&last.lock().unwrap())));
}

/// Asks again until the answer is as shown, or shows the difference.
#[track_caller]
fn until_equal(shown: &str, ask: impl Fn() -> String) {
    let began = Instant::now();
    loop {
        let answered = ask();
        if answered == shown {
            return;
        }
        if began.elapsed() > SETTLE {
            assert_eq!(answered, shown);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
