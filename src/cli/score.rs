//! `spinelift score`: how well a mesh fits its image, as numbers.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Cursor, Read, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use spinelift::decode::{self, Limits};
use spinelift::mesh::AlphaPlane;
use spinelift::mesh::score::{Scores, score};

use super::input::Input;
use super::mesh::how_to_raise_the_limit;
use super::{Usage, convert};

/// What counts as opaque in a mesh that does not say what it covers.
const DEFAULT_THRESHOLD: u8 = 10;

/// Score a mesh against its image
///
/// Says what the mesh cuts off, what it draws beyond the art, and how good its triangles are. Pixels whose alpha is at
/// least the threshold are opaque; a pixel is the mesh's if its centre lies in a triangle. The mesh may be any JSON object
/// with `vertices` [[x, y], ...] and `triangles` [[a, b, c], ...], whoever made it.
#[derive(Debug, Args)]
#[command(after_help = "`--help` has examples, each score's meaning and the exit status.", after_long_help = AFTER)]
pub(super) struct ScoreArgs {
    /// The image, or `-` for standard input
    image: PathBuf,

    /// The mesh as JSON, or `-` for standard input
    #[arg(value_name = "MESH.json")]
    mesh: PathBuf,

    /// Alpha from which a pixel is opaque, 0 to 255
    ///
    /// By default the alpha_threshold of a mesh that was made to cover it (outline=cover), for any other 10.
    #[arg(long, value_name = "N")]
    threshold: Option<u8>,

    /// What the vertices' coordinates name
    ///
    /// By default what the mesh itself says in metadata.parameters: SpineLift's traced outlines name pixels (center), its
    /// covering ones the corners between them. Of a mesh that says nothing, corner is assumed, as u = x / width means it.
    #[arg(long, value_enum)]
    origin: Option<Origin>,

    /// Print one JSON object, shares from 0 to 1
    #[arg(long)]
    json: bool,

    /// Refuse images wider or taller than this, in px
    #[arg(long, value_name = "PX", default_value_t = Limits::default().max_width)]
    max_dimension: u32,

    /// Refuse larger image files, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().max_bytes)]
    max_bytes: u64,
}

const AFTER: &str = "\
Scores:
  opaque pixels    alpha is at least the threshold
  mesh pixels      the centre lies in a triangle
  lost pixels      opaque, but not the mesh's: art that is cut off
  coverage         share of the opaque pixels that are the mesh's
  overdraw         mesh pixels that are not opaque, for each opaque one
  IoU              pixels that are both, as a share of those that are either; 1 is a perfect fit
  least angle      of any triangle
  slivers          share of the triangles whose least angle is under 20 degrees

Examples:
  spinelift score hero.png hero.json
  spinelift mesh hero.png | spinelift score hero.png -
  spinelift score hero.png other-tool.json --origin corner --threshold 1 --json | jq .coverage

Exit status:
  0  the mesh was scored, however low
  2  usage: wrong arguments
  3  the image or the mesh could not be read or do not belong together; standard error says why
";

/// Where (0, 0) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Origin {
    /// The first pixel's upper left corner: its middle is (0.5, 0.5)
    Corner,
    /// The first pixel's middle: coordinates are pixels' indices, as OpenCV's are
    Center,
}

/// What is read of a mesh.
#[derive(Debug, Deserialize)]
struct Made {
    vertices: Vec<[f64; 2]>,
    triangles: Vec<[u32; 3]>,
    /// Whatever it is: other tools may have some of their own.
    #[serde(default)]
    metadata: Value,
}

/// What is said of a mesh.
#[derive(Debug, Serialize)]
struct Verdict {
    alpha_threshold: u8,
    origin: Origin,
    #[serde(flatten)]
    scores: Scores,
}

/// Reads both, scores, prints.
pub(super) fn run(args: &ScoreArgs) -> anyhow::Result<ExitCode> {
    let [image, mesh] = [&args.image, &args.mesh].map(|path| Input::named(path));
    if [&image, &mesh] == [&Input::Stdin; 2] {
        return Err(Usage("standard input can be read once; give `-` for the image or for the mesh".into()).into());
    }
    let made = read_mesh(&mesh).with_context(|| mesh.to_string())?;
    let alpha = args.read_alpha(&image)?;
    refuse_another_images(&made, &alpha).with_context(|| mesh.to_string())?;
    let verdict = args.judge(&made, &alpha).with_context(|| mesh.to_string())?;
    let mut text = if args.json { serde_json::to_string(&verdict)? } else { verdict.for_people() };
    text.push('\n');
    io::stdout().lock().write_all(text.as_bytes()).context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

impl ScoreArgs {
    fn read_alpha(&self, image: &Input) -> anyhow::Result<AlphaPlane> {
        let limits =
            Limits { max_width: self.max_dimension, max_height: self.max_dimension, max_bytes: self.max_bytes };
        let bytes = convert::read(image, &limits);
        let alpha = bytes.and_then(|bytes| Ok(decode::alpha_plane(Cursor::new(&bytes), &limits, &())?));
        alpha.map_err(|error| anyhow!("{image}: {error:#}{}", how_to_raise_the_limit(&error)))
    }

    fn judge(&self, made: &Made, alpha: &AlphaPlane) -> anyhow::Result<Verdict> {
        let alpha_threshold = self.threshold.unwrap_or_else(|| made.threshold());
        let origin = self.origin.unwrap_or_else(|| made.origin());
        let to_corner = if origin == Origin::Center { 0.5 } else { 0.0 };
        let vertices: Vec<[f64; 2]> = made.vertices.iter().map(|at| at.map(|x| x + to_corner)).collect();
        let scores = score(alpha, alpha_threshold, &vertices, &made.triangles)?;
        Ok(Verdict { alpha_threshold, origin, scores })
    }
}

impl Made {
    /// The parameters it was made with, if it is one of ours.
    fn parameters(&self) -> Option<&Value> {
        self.metadata.get("parameters").filter(|parameters| parameters.get("detail_factor").is_some())
    }

    fn covers(&self) -> bool {
        self.parameters().is_some_and(|parameters| parameters["outline"] == "cover")
    }

    /// Results that do not name their outline were traced: they are from before there was a choice.
    fn origin(&self) -> Origin {
        if self.parameters().is_some() && !self.covers() { Origin::Center } else { Origin::Corner }
    }

    /// A traced outline is decided by more than this threshold, so that its own would say little.
    fn threshold(&self) -> u8 {
        let own = self.parameters().filter(|_| self.covers()).and_then(|own| own["alpha_threshold"].as_u64());
        own.and_then(|own| u8::try_from(own).ok()).unwrap_or(DEFAULT_THRESHOLD)
    }

    /// Width and height of the image it was made from, px, where it tells.
    fn image_size(&self) -> Option<[u64; 2]> {
        Some([self.metadata.get("width")?.as_u64()?, self.metadata.get("height")?.as_u64()?])
    }
}

fn read_mesh(mesh: &Input) -> anyhow::Result<Made> {
    let mut bytes = Vec::new();
    match mesh {
        Input::Stdin => io::stdin().lock().read_to_end(&mut bytes).context("cannot be read")?,
        Input::File(path) => {
            fs::File::open(path).context("cannot be opened")?.read_to_end(&mut bytes).context("cannot be read")?
        }
    };
    let wanted = "not a mesh, which is a JSON object with vertices [[x, y], ...] and triangles [[a, b, c], ...]";
    serde_json::from_slice(&bytes).context(wanted)
}

fn refuse_another_images(made: &Made, alpha: &AlphaPlane) -> anyhow::Result<()> {
    let size = [alpha.width(), alpha.height()].map(u64::from);
    if let Some([width, height]) = made.image_size().filter(|other| *other != size) {
        let [is_width, is_height] = size;
        bail!(
            "the mesh was made from an image of {width} x {height} px, this one has {is_width} x {is_height}; \
             name the image it belongs to"
        );
    }
    Ok(())
}

impl Verdict {
    /// A line a score, numbers right-aligned.
    fn for_people(&self) -> String {
        let Scores { opaque_px, mesh_px, lost_px, coverage, overdraw, iou, min_angle_deg, sliver20, .. } = self.scores;
        let percent = |share: f64| format!("{:.2}", 100.0 * share);
        // 100.00 is said of nothing less: one lost pixel in a million would round to it.
        let covered = if lost_px == 0 { percent(1.0) } else { percent(coverage.min(0.9999)) };
        let origin = if self.origin == Origin::Corner { "corner" } else { "center" };
        let lines = [
            ("opaque pixels", opaque_px.to_string(), ""),
            ("mesh pixels", mesh_px.to_string(), ""),
            ("lost pixels", lost_px.to_string(), ""),
            ("coverage", covered, "% of the opaque pixels"),
            ("overdraw", percent(overdraw), "% of the opaque pixels"),
            ("IoU", format!("{iou:.4}"), ""),
            ("least angle", format!("{min_angle_deg:.2}"), "degrees"),
            ("slivers", percent(sliver20), "% of the triangles, under 20 degrees"),
            ("vertices", self.scores.vertices.to_string(), ""),
            ("triangles", self.scores.triangles.to_string(), ""),
            ("alpha threshold", self.alpha_threshold.to_string(), ""),
            ("origin", origin.to_owned(), ""),
        ];
        let mut text = String::new();
        for (name, number, unit) in lines {
            let line = format!("{name:<16} {number:>10} {unit}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text.pop();
        text
    }
}
