//! The parts of `--help` that are made from tables, so that they cannot drift from them.

use std::fmt::Write;

use spinelift::export::FORMATS;
use spinelift::mesh::parameters::PARAMETERS;

/// What follows the options of `spinelift mesh --help`.
pub(super) fn after_mesh() -> String {
    format!("{}\n{}\n{EXAMPLES}\n{EXIT_STATUS}", formats(), parameters())
}

const EXAMPLES: &str = "\
Examples:
  spinelift mesh hero.png > hero.json
  spinelift mesh hero.png --set detail_factor=0.03 --set internal_vertex_density=20 -o hero.json
  spinelift mesh hero.png -o hero.mesh.png                  look at the mesh
  spinelift mesh sprites/ more/*.webp -o meshes/            a batch, on all cores
  spinelift mesh sprites/ -o meshes/ --contact-sheet all.html      look a batch over
  spinelift mesh sprites/ -o meshes/ --params rig.json --format outline
  curl -s https://example.com/hero.png | spinelift mesh - | jq .metadata
  spinelift mesh hero.png --timings --repeat 20 -o /dev/null
";

const EXIT_STATUS: &str = "\
Exit status:
  0  every image became a mesh
  2  usage: wrong arguments, parameters or folders, nothing to do; nothing was written
  3  an image failed; standard error names it and says why, the others are done
";

/// Names for `--format`.
pub(super) fn format_names() -> Vec<&'static str> {
    FORMATS.iter().map(|format| format.name).collect()
}

fn formats() -> String {
    let mut text = String::from("Formats:\n");
    for format in FORMATS {
        let _ = writeln!(text, "  {:<11} {:<17} {}", format.name, format!("NAME.{}", format.extension), format.about);
    }
    text
}

fn parameters() -> String {
    let mut text = String::from("Parameters (name, range, default, unit; then the effect):\n");
    for row in &PARAMETERS {
        let line = format!("  {:<24} {:<13} {:<5} {}", row.name, row.range(), row.default_value(), row.unit);
        let _ = writeln!(text, "{}\n      {}", line.trim_end(), row.effect);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_the_100_columns_that_help_is_wrapped_to() {
        let text = after_mesh();
        let longest = text.lines().max_by_key(|line| line.len()).unwrap();
        assert!(longest.len() <= 100, "{longest}");
    }
}
