//! The command `serve` in a folder of its own, read and ended by the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// No test waits longer than this for what should come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A subcommand of `spinelift` in a folder of its own, with nothing of this process's environment that could be a setting.
pub(crate) fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinelift"));
    command.args(arguments).current_dir(folder.path()).env_clear().stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A service that runs.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    pub(crate) said: String,
    address: String,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = lines_of(child.stderr.take().unwrap());
        let mut running = Self { child, lines, said: String::new(), address: String::new() };
        let line = running.wait_for("127.0.0.1:");
        let address = line.split("127.0.0.1:").nth(1).unwrap();
        let port: String = address.chars().take_while(char::is_ascii_digit).collect();
        running.address = format!("127.0.0.1:{port}");
        running
    }

    /// The first line from now on that holds the text.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(DEADLINE) else { panic!("no {text:?} in:\n{}", self.said) };
            self.said += &format!("{line}\n");
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// The answer with its head. `headers` are whole lines.
    pub(crate) fn get(&self, path: &str, headers: &[&str]) -> String {
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{lines}\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    pub(crate) fn ended(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        self.said.extend(self.lines.try_iter().map(|line| line + "\n"));
        (status.code().unwrap(), std::mem::take(&mut self.said))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}
