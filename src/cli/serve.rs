//! `spinelift serve`: the service from its settings to its last answer.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use spinelift::app::{App, OpenError};
use spinelift::config::{Config, Flags, Role};
use spinelift::http;
use spinelift::http::server::{self, Limits, Server};
use spinelift::presence;
use spinelift::worker::{self, Workers};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::sleep;
use uuid::Uuid;

use super::signals::Signals;
use super::{EXIT_FAILED, EXIT_USAGE, log, settings, welcome};

/// How long a service that was asked to stop still takes connections while it says that it is not ready, so that a load
/// balancer may look once more before callers are turned away. Most look every second or two; longer delays every
/// restart. Not with `--dev`, where a person waits for the prompt.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long threads may take to end after everything else has.
const THREADS_TIMEOUT: Duration = Duration::from_secs(1);

/// Serve meshes over HTTP
///
/// Settings come from the environment and from `.env` in this folder; docs/settings.md has them all. The first start
/// makes the database and the folders. SIGTERM or Ctrl-C finishes what is under way, a second one ends at once.
///
/// Examples:
///
///   spinelift serve --dev
///   spinelift keys add app && spinelift serve --host 0.0.0.0 --port 8000
///
/// Exit status: 0 stopped in order, 1 could not start or not stop in order, 2 wrong arguments or settings,
/// 130 or 143 ended by a second signal.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ServeArgs {
    /// What this process does: take requests, do jobs, or both
    #[arg(long, value_enum, default_value = "all")]
    role: RoleArg,

    /// For a developer's machine: listens on loopback only, takes no API_KEYS, reaches images and callbacks on loopback
    #[arg(long, conflicts_with = "insecure")]
    dev: bool,

    /// Listen beyond loopback though there are no API keys: anybody who can connect may use the service
    #[arg(long)]
    insecure: bool,

    /// Listen on this address, in place of HOST
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,

    /// Listen on this port, in place of PORT; 0 lets the system choose
    #[arg(long)]
    port: Option<u16>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    All,
    Api,
    Worker,
}

impl ServeArgs {
    fn flags(&self) -> Flags {
        let role = match self.role {
            RoleArg::All => Role::All,
            RoleArg::Api => Role::Api,
            RoleArg::Worker => Role::Worker,
        };
        Flags { role, dev: self.dev, insecure: self.insecure, host: self.host.clone(), port: self.port }
    }
}

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let config = settings::read(&args.flags())?;
    log::start(&config.log);
    let open_files = raise_open_files();
    let started = Builder::new_multi_thread().enable_all().build().context("the system gives no threads");
    let ended = started.and_then(|runtime| {
        let ended = runtime.block_on(serve(config, open_files));
        runtime.shutdown_timeout(THREADS_TIMEOUT);
        ended
    });
    Ok(ended.map_or_else(
        |error| {
            super::say(format_args!("{error:#}"));
            let is_usage = matches!(error.downcast_ref(), Some(OpenError::Unguarded(_)));
            ExitCode::from(if is_usage { EXIT_USAGE } else { EXIT_FAILED })
        },
        |()| ExitCode::SUCCESS,
    ))
}

/// The machine's name, for operators who have several; empty where the system does not tell it in a file.
fn host_name() -> String {
    let told =
        ["/proc/sys/kernel/hostname", "/etc/hostname"].into_iter().find_map(|path| fs::read_to_string(path).ok());
    told.unwrap_or_default().trim().to_owned()
}

/// Raises the soft limit of open files, which shells set for programs of long ago, to the hard one; what it is then, if
/// that is known.
fn raise_open_files() -> Option<u64> {
    rlimit::increase_nofile_limit(u64::MAX)
        .inspect_err(|cause| tracing::warn!(%cause, "the limit of open files stays"))
        .ok()
}

/// From the first signal that can come to the last connection that ends.
async fn serve(config: Config, open_files: Option<u64>) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let listener = bind(&config).await?;
    let address = listener.local_addr().context("the listening address is unknown")?;
    let app = App::open(config).await?;
    let workers = (app.config.role != Role::Api).then(|| worker::start(&app));
    let name = workers.as_ref().map_or_else(|| Uuid::now_v7().to_string(), |workers| workers.name().to_owned());
    let presence = presence::start(&app, &name, &host_name());

    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server {
        router: http::router(app.clone()),
        limits: Limits::new(&app.config.http),
        metrics: Arc::clone(&app.metrics),
        busy: http::too_many_connections,
    };
    let mut server = tokio::spawn(server::serve(listener, server, async {
        // Sent or dropped: the end in either case.
        let _ = stopped.await;
    }));
    let keys = app.keys.is_on().then(|| app.keys.count());
    welcome::say(&app.config, keys, open_files, address);

    let signal = tokio::select! {
        signal = signals.next() => signal,
        ended = &mut server => anyhow::bail!("the connection loop ended unasked: {ended:?}"),
    };
    tracing::info!(signal = signal.name, "stopping: finishing what is under way");
    tokio::spawn(async move { std::process::exit(signals.next().await.status) });
    app.drain();
    tokio::join!(say_farewell(&app, stop), stop_workers(&app, workers));
    let cut_off = server.await.context("the connection loop ended by a panic")?;
    presence.end().await;
    app.store.close().await;
    if cut_off > 0 {
        tracing::warn!(connections = cut_off, "DRAIN_TIMEOUT is over: connections were cut off");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn bind(config: &Config) -> anyhow::Result<TcpListener> {
    let http = &config.http;
    let address = if http.host == "localhost" {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        http.host.parse().with_context(|| format!("HOST {:?} is not an address", http.host))?
    };
    let address = SocketAddr::new(address, http.port);
    let why =
        || format!("cannot listen on {address}; another program may use it: set HOST and PORT, or --host and --port");
    TcpListener::bind(address).await.with_context(why)
}

/// Lets those who look at readiness see it before connections are refused.
async fn say_farewell(app: &App, stop: oneshot::Sender<()>) {
    if !app.config.dev {
        sleep(FAREWELL.min(app.config.http.drain_timeout)).await;
    }
    let _ = stop.send(());
}

async fn stop_workers(app: &App, workers: Option<Workers>) {
    if let Some(workers) = workers {
        workers.stop(app.config.http.drain_timeout).await;
    }
}
