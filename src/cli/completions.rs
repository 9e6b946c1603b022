//! `spinelift completions`: the shell learns the arguments.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print a shell's completion script
///
/// Examples:
///
///   spinelift completions bash > ~/.local/share/bash-completion/completions/spinelift
///   spinelift completions zsh > "${fpath[1]}/_spinelift"
///   spinelift completions fish > ~/.config/fish/completions/spinelift.fish
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    // Into memory first: the generator panics when a write fails, and a closed pipe is no reason to.
    clap_complete::generate(args.shell, &mut super::Cli::command(), "spinelift", &mut script);
    io::stdout().lock().write_all(&script).context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}
