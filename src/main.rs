//! The command: arguments to the command-line face, its verdict to the exit status.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::run()
}
