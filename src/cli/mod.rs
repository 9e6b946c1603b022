//! The command-line face: what `spinelift` takes, says and exits with.

#[cfg(feature = "serve")]
mod admin;
mod batch;
mod character;
mod completions;
mod convert;
#[cfg(feature = "serve")]
mod health;
mod help;
mod input;
#[cfg(feature = "serve")]
mod keys;
mod layered;
#[cfg(feature = "serve")]
mod log;
mod mesh;
mod output;
mod rig;
mod save;
mod score;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod settings;
mod sheet;
#[cfg(feature = "serve")]
mod signals;
mod stale;
#[cfg(feature = "serve")]
mod table;
mod timings;
#[cfg(feature = "serve")]
mod welcome;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use thiserror::Error;

/// The service could not start or did not end in order.
#[cfg(feature = "serve")]
const EXIT_FAILED: u8 = 1;

/// Bad arguments, bad parameters, bad settings, nothing to do. What clap itself exits with.
const EXIT_USAGE: u8 = 2;

/// At least one image did not become a mesh.
const EXIT_IMAGE_FAILED: u8 = 3;

/// Turns images into 2D triangle meshes for skeletal animation
#[derive(Debug, Parser)]
#[command(name = "spinelift", version, after_help = "`spinelift mesh --help` has examples and every parameter.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Mesh(mesh::MeshArgs),
    Score(score::ScoreArgs),
    #[cfg(feature = "serve")]
    Serve(serve::ServeArgs),
    #[cfg(feature = "serve")]
    Keys(keys::KeysArgs),
    #[cfg(feature = "serve")]
    Health(health::HealthArgs),
    #[cfg(feature = "serve")]
    Admin(admin::AdminArgs),
    Completions(completions::CompletionsArgs),
}

/// What the caller got wrong; everything else that goes wrong is an image's or the machine's.
#[derive(Debug, Error)]
#[error("{0}")]
struct Usage(String);

/// Reads the process's arguments and does what they ask.
pub(crate) fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Mesh(args) => mesh::run(&args),
        Command::Score(args) => score::run(&args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(&args),
        #[cfg(feature = "serve")]
        Command::Keys(args) => keys::run(&args),
        #[cfg(feature = "serve")]
        Command::Health(args) => health::run(&args),
        #[cfg(feature = "serve")]
        Command::Admin(args) => admin::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("{error:#}"));
            ExitCode::from(if error.is::<Usage>() { EXIT_USAGE } else { EXIT_IMAGE_FAILED })
        }
    }
}

/// Whoever read our output has enough, as `head` does: no reason to complain.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}

/// One line on standard error. If even that is closed there is nobody to tell.
fn say(message: impl Display) {
    let _ = writeln!(io::stderr().lock(), "spinelift: {message}");
}
