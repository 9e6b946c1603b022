//! `spinelift health`: asks a running service how it is. Containers have no other program to ask with.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use spinelift::config::{Config, Flags};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::time::timeout;
use url::{Position, Url};

use super::{EXIT_FAILED, say, settings};

/// How long all of it may take. Probes that hang pile up.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Far more than either answer has, bytes.
const LONGEST_ANSWER: usize = 64 << 10;

/// As much of an answer as is of use in a line, characters.
const LONGEST_SHOWN: usize = 400;

/// Ask a running service whether it is well
///
/// Without a URL it asks the service on this machine, by HOST and PORT in the environment or in `.env` in this folder.
/// That it lives is enough, as a restart helps against nothing else; --ready asks whether it also takes work.
///
/// Examples:
///
///   spinelift health
///   spinelift health --ready
///   spinelift health http://127.0.0.1:9000/ready
///
/// Exit status: 0 it is well, 1 it is not or does not say so within 3 s, 2 wrong arguments.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct HealthArgs {
    /// What to ask, in place of the service at HOST and PORT
    #[arg(value_parser = http_url)]
    url: Option<Url>,

    /// Ask whether database and storage take writes, the queue has room, and no stop has begun
    #[arg(long, conflicts_with = "url")]
    ready: bool,
}

fn http_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "http" && url.has_host() => Ok(url),
        _ => Err("it must be a URL such as http://127.0.0.1:8000/health; the service itself speaks no TLS".into()),
    }
}

/// Every way to fail has one status, as container engines know no other.
pub(super) fn run(args: &HealthArgs) -> anyhow::Result<ExitCode> {
    let runtime = Builder::new_current_thread().enable_all().build().context("the system gives no threads")?;
    let answer = targets(args).and_then(|targets| runtime.block_on(ask_in_time(&targets)));
    // A name that is still being looked up holds a thread, for which nobody waits.
    runtime.shutdown_background();
    match answer {
        Ok(line) => {
            writeln!(io::stdout().lock(), "{line}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            say(format_args!("{error:#}"));
            Ok(ExitCode::from(EXIT_FAILED))
        }
    }
}

/// Where the service may be, the likeliest first.
fn targets(args: &HealthArgs) -> anyhow::Result<Vec<Url>> {
    if let Some(url) = &args.url {
        return Ok(vec![url.clone()]);
    }
    let Config { http, .. } = settings::read(&Flags::default())?;
    let path = if args.ready { "/ready" } else { "/health" };
    if http.port == 0 {
        bail!(
            "PORT is 0, so the system chose the port that the service listens on; name it: \
             `spinelift health http://127.0.0.1:PORT{path}`"
        );
    }
    let urls = reached_at(&http.host).into_iter().map(|host| {
        let host = if host.is_ipv6() { format!("[{host}]") } else { host.to_string() };
        Url::parse(&format!("http://{host}:{}{path}", http.port)).context("HOST and PORT make no URL")
    });
    urls.collect()
}

/// The addresses at which this machine reaches what listens on HOST. All IPv6 addresses mostly means all of IPv4 too, and
/// a container without IPv6 has only these.
fn reached_at(host: &str) -> Vec<IpAddr> {
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(all)) if all.is_unspecified() => vec![v6, v4],
        Ok(address) if !address.is_unspecified() => vec![address],
        // `localhost` is listened on as this, too.
        _ => vec![v4],
    }
}

async fn ask_in_time(targets: &[Url]) -> anyhow::Result<String> {
    let shown = targets.first().map_or("", Url::as_str);
    timeout(TIMEOUT, ask_any(targets))
        .await
        .unwrap_or_else(|_| Err(anyhow!("{shown} did not answer within {} s", TIMEOUT.as_secs())))
}

/// The first answer; if there is none, why not.
async fn ask_any(targets: &[Url]) -> anyhow::Result<String> {
    let mut failed = anyhow!("there is nobody to ask");
    for url in targets {
        match connect(url).await {
            Ok(stream) => return ask(url, stream).await,
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn connect(url: &Url) -> anyhow::Result<TcpStream> {
    let host = url.host_str().unwrap_or_default();
    let address = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
    TcpStream::connect(&address).await.with_context(|| format!("{url}: nobody answers at {address}"))
}

/// One line of what the service says, if it says that it is well.
async fn ask(url: &Url, stream: TcpStream) -> anyhow::Result<String> {
    let no_http = || format!("{url}: what answers there is no such service");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.with_context(no_http)?;
    tokio::spawn(connection);
    let request = Request::get(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .body(Empty::<Bytes>::new())?;
    let (head, body) = sender.send_request(request).await.with_context(no_http)?.into_parts();
    let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|error| anyhow!("{url}: {error}"))?;
    let line = format!("{url} answers {}: {}", head.status.as_u16(), in_a_line(&body.to_bytes()));
    if head.status == StatusCode::OK { Ok(line) } else { Err(anyhow!(line)) }
}

/// As it is, without what could move a terminal's cursor.
fn in_a_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim().chars().take(LONGEST_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_reached_at_this_machines_own() {
        let reached = |host| reached_at(host).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(reached("0.0.0.0"), ["127.0.0.1"]);
        assert_eq!(reached("localhost"), ["127.0.0.1"]);
        assert_eq!(reached("::"), ["::1", "127.0.0.1"]);
        assert_eq!(reached("10.1.2.3"), ["10.1.2.3"]);
        assert_eq!(reached("::1"), ["::1"]);
    }

    #[test]
    fn an_answer_is_one_line() {
        assert_eq!(in_a_line(b"a\r\nb\x1b[2J\xff\n"), "a  b [2J\u{fffd}");
        assert_eq!(in_a_line("x".repeat(1000).as_bytes()).len(), LONGEST_SHOWN);
    }

    #[test]
    fn only_plain_http_is_asked() {
        assert!(http_url("http://[::1]:8000/ready").is_ok());
        for bad in ["https://mesh.example/health", "127.0.0.1:8000", "file:///etc/passwd", "http://"] {
            assert!(http_url(bad).is_err(), "{bad}");
        }
    }
}
