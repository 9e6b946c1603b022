//! All images of a run: in parallel, one failure does not stop the rest.

use std::io::{self, IsTerminal};
use std::panic::{self, AssertUnwindSafe};

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use spinelift::export::contact_sheet::Part;
use spinelift::mesh::Error;

use super::input::Input;

/// What became of one image, or why it failed.
pub(super) type Outcome = anyhow::Result<Done>;

/// A finished image.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// What is odd about it.
    pub(super) warnings: Vec<String>,
    /// Its place on the contact sheet, if there is one.
    pub(super) part: Option<Part>,
}

/// Does the work for every image and its place, on `threads` threads, or on all cores. One thread means one image after
/// the other and no parallel work within it either.
pub(super) fn run<'a, P: Sync, T: Send>(
    images: &'a [Input],
    places: &'a [P],
    threads: Option<usize>,
    progress: &ProgressBar,
    work: impl Fn(&'a Input, &'a P) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<anyhow::Result<T>>> {
    // To rayon, 0 threads are as many as there are cores.
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build().context("cannot start threads")?;
    let one = |(image, place): (&'a Input, &'a P)| {
        let outcome = contained(|| work(image, place));
        progress.inc(1);
        outcome
    };
    let outcomes = pool.install(|| {
        if threads == Some(1) {
            images.iter().zip(places).map(one).collect()
        } else {
            images.par_iter().zip(places).map(one).collect()
        }
    });
    progress.finish_and_clear();
    Ok(outcomes)
}

/// A bar on standard error, if somebody is looking and there is something to wait for.
pub(super) fn progress(images: usize, quiet: bool) -> ProgressBar {
    if quiet || images < 2 || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(images as u64);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} images, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A panic is our own mistake; it costs this image and no other.
fn contained<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".into());
        Err(anyhow!(Error::Internal(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::super::output::Target;
    use super::*;

    #[test]
    fn a_panic_costs_only_its_own_image() {
        let images: Vec<Input> = ["a", "b", "c"].map(|name| Input::File(name.into())).to_vec();
        let targets = vec![Target::Stdout; 3];
        let work = |image: &Input, _: &Target| {
            if image.file_name() == "b" { panic!("broken {image}") } else { Ok(Done::default()) }
        };
        for threads in [Some(1), Some(2), None] {
            let outcomes = run(&images, &targets, threads, &ProgressBar::hidden(), work).unwrap();
            let failed: Vec<String> =
                outcomes.iter().filter_map(|o| o.as_ref().err()).map(ToString::to_string).collect();
            assert_eq!(failed, ["internal error: broken b; please report it with the image"]);
        }
    }
}
