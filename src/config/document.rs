//! The table of settings as documents: `config.example.env` and the table in `docs/settings.md`.

use std::fmt::Write;

use super::SETTINGS;

/// Every setting with its default, commented out, ready to be copied to `.env`.
#[must_use]
pub fn example_env() -> String {
    let mut text = String::from(
        "# Settings of `spinelift serve`, all at their defaults. Copy this to `.env` in the folder where it is started, or\n\
         # set them in the environment, which wins. docs/settings.md says more.\n",
    );
    let mut part = "";
    for setting in SETTINGS {
        if setting.part != part {
            part = setting.part;
            let _ = write!(text, "\n# {part}\n");
        }
        let _ = write!(text, "\n# {}.\n", sentence(setting.meaning));
        let _ = writeln!(text, "# Takes {}.", setting.expected());
        let _ = writeln!(text, "#{}={}", setting.name, setting.default);
    }
    text
}

/// The table in `docs/settings.md`.
#[must_use]
pub fn settings_table() -> String {
    let mut text = String::new();
    let mut part = "";
    for setting in SETTINGS {
        if setting.part != part {
            let gap = if part.is_empty() { "" } else { "\n" };
            part = setting.part;
            let _ = write!(text, "{gap}### {part}\n\n| Name | Default | Takes | What it does |\n|---|---|---|---|\n");
        }
        let default = if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
        let _ = writeln!(text, "| `{}` | {default} | {} | {} |", setting.name, setting.expected(), setting.meaning);
    }
    text
}

/// With a capital, unless it begins with a name of something.
fn sentence(meaning: &str) -> String {
    let mut letters = meaning.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
