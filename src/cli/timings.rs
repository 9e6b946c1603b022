//! Where the time goes: the clock behind `--timings`.

use std::array;
use std::io::Cursor;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use spinelift::decode;
use spinelift::mesh::{self, Observer, Stage};

use super::convert::{self, Converted, Order};
use super::input::Input;
use super::output::Target;

/// The keys of `ms`, in order; the last but one stage is the exporter's, which the engine does not announce.
const KEYS: [&str; 9] = ["decode", "mask", "contour", "simplify", "triangulate", "uvs", "edges", "export", "total"];

/// When each stage began.
#[derive(Default)]
struct Clock {
    starts: Mutex<Vec<(Stage, Instant)>>,
}

impl Observer for Clock {
    fn stage(&self, stage: Stage) {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner).push((stage, Instant::now()));
    }
}

/// Times per key of [`KEYS`].
type Run = [Duration; KEYS.len()];

impl Order {
    /// As [`convert`](Order::convert), `repeat` times over, from bytes in memory. Returns the last result and the line
    /// to report.
    pub(super) fn convert_timed(
        &self,
        image: &Input,
        target: &Target,
        repeat: usize,
    ) -> anyhow::Result<(Converted, String)> {
        let bytes = convert::read(image, &self.limits)?;
        let name = image.file_name();
        let start = Instant::now();
        let sha256 = convert::hex_sha256(&bytes[..])?;
        let sha256_time = start.elapsed();
        let (mut converted, run) = self.run(&bytes, &name, &sha256, target)?;
        let mut runs = vec![run];
        for _ in 1..repeat {
            let (again, run) = self.run(&bytes, &name, &sha256, target)?;
            runs.push(run);
            converted = again;
        }
        let (name, ms, sha256_ms) = (json!(name), medians(&runs), milliseconds(sha256_time));
        // By hand, because a JSON object of serde_json forgets the order of its keys.
        let ms: Vec<String> = KEYS.iter().zip(ms).map(|(key, ms)| format!("\"{key}\":{ms}")).collect();
        Ok((converted, format!("{{\"image\":{name},\"ms\":{{{}}},\"sha256_ms\":{sha256_ms}}}", ms.join(","))))
    }

    fn run(&self, bytes: &[u8], name: &str, sha256: &str, target: &Target) -> anyhow::Result<(Converted, Run)> {
        let clock = Clock::default();
        let start = Instant::now();
        let alpha = decode::alpha_plane(Cursor::new(bytes), &self.limits, &clock)?;
        let mesh = mesh::build(&alpha, &self.parameters, &self.mesh_limits, &clock)?;
        let export = Instant::now();
        let converted = self.export(mesh, name, Some(bytes), sha256, target)?;
        let end = Instant::now();
        let starts = clock.starts.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut run = stages(start, &starts, export);
        run[KEYS.len() - 2] = end - export;
        run[KEYS.len() - 1] = end - start;
        Ok((converted, run))
    }
}

/// Each stage lasts until the next begins, so that no time falls between two; what comes before the first is decoding.
fn stages(start: Instant, starts: &[(Stage, Instant)], end: Instant) -> Run {
    let mut run = Run::default();
    let ends = starts.iter().map(|(_, at)| *at).chain([end]);
    let begins = [(Stage::Decode, start)].into_iter().chain(starts.iter().copied());
    for ((stage, begin), end) in begins.zip(ends) {
        run[column(stage)] += end - begin;
    }
    run
}

fn column(stage: Stage) -> usize {
    match stage {
        Stage::Decode => 0,
        Stage::Mask | Stage::Blur => 1,
        Stage::Contour => 2,
        Stage::Simplify => 3,
        Stage::Triangulate => 4,
        Stage::Uvs => 5,
        // Whatever is done after the last stage that was announced.
        _ => 6,
    }
}

fn medians(runs: &[Run]) -> [f64; KEYS.len()] {
    array::from_fn(|column| {
        let mut times: Vec<Duration> = runs.iter().map(|run| run[column]).collect();
        times.sort_unstable();
        let middle = times.len() / 2;
        let median = if times.len() % 2 == 1 { times[middle] } else { (times[middle - 1] + times[middle]) / 2 };
        milliseconds(median)
    })
}

/// To the microsecond.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_belongs_to_one_stage() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let starts = [
            (Stage::Decode, at(1)),
            (Stage::Mask, at(10)),
            (Stage::Blur, at(12)),
            (Stage::Contour, at(15)),
            (Stage::Edges, at(20)),
            (Stage::Complete, at(21)),
        ];
        let run = stages(start, &starts, at(22)).map(|time| time.as_millis());
        assert_eq!(run, [10, 5, 5, 0, 0, 0, 2, 0, 0]);
    }

    #[test]
    fn medians_are_taken_per_key() {
        let run = |ms| Run::from([Duration::from_millis(ms); KEYS.len()]);
        assert_eq!(medians(&[run(9), run(1), run(2)])[8], 2.0);
        assert_eq!(medians(&[run(9), run(1), run(2), run(3)])[0], 2.5);
    }
}
