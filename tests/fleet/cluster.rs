//! A PostgreSQL server of the test's own, to be stopped and started.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// Who runs the server if the test is root, whom the server refuses.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Stopped when dropped.
pub(crate) struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    user: Option<&'static str>,
    port: u16,
}

impl Cluster {
    /// Makes and starts one; `None`, said plainly, where PostgreSQL is not installed. Under `CI=true` that fails.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(std::env::var_os("CI").is_none(), "initdb and pg_ctl of PostgreSQL are not installed");
            println!("SKIPPED: initdb and pg_ctl of PostgreSQL are not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let user = if output("id", &["-u"]) == "0" { USERS.into_iter().find(|user| is_user(user)) } else { None };
        let cluster = Self { folder, programs, user, port };
        if let Some(user) = user {
            assert!(Command::new("chown").arg(user).arg(cluster.folder.path()).status().unwrap().success());
        }
        cluster.run("initdb", &["--auth=trust", "--username=postgres", "--no-sync", "--pgdata", &cluster.data()]);
        cluster.again();
        Some(cluster)
    }

    /// Starts it again, and waits until it takes connections.
    pub(crate) fn again(&self) {
        let options = format!("-p {} -c listen_addresses=127.0.0.1 -k {}", self.port, self.folder.path().display());
        let log = self.folder.path().join("log").display().to_string();
        self.run("pg_ctl", &["--wait", "--pgdata", &self.data(), "--log", &log, "--options", &options, "start"]);
    }

    /// Stops it as a power cut would: it recovers at the next start.
    pub(crate) fn stop(&self) {
        self.run("pg_ctl", &["--wait", "--mode=immediate", "--pgdata", &self.data(), "stop"]);
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        // Not a pipe: the server would hold it open.
        let said = self.folder.path().join("said");
        let output = std::fs::File::create(&said).unwrap();
        let mut command = self.command(program);
        let done = command.args(arguments).stdout(output.try_clone().unwrap()).stderr(output).status().unwrap();
        assert!(done.success(), "{program}: {}", std::fs::read_to_string(said).unwrap());
    }

    /// By the user who may.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = match self.user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args([&format!("--reuid={user}"), "--clear-groups", "--"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        let _ = self.command("pg_ctl").args(["--wait", "--mode=immediate", "--pgdata", &data, "stop"]).output();
    }
}

/// Where the server's programs are: they are on nobody's path.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    folders.filter(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists()).max()
}

fn is_user(name: &str) -> bool {
    Command::new("id").arg(name).output().unwrap().status.success()
}

fn output(program: &str, arguments: &[&str]) -> String {
    String::from_utf8(Command::new(program).args(arguments).output().unwrap().stdout).unwrap().trim().to_owned()
}
