//! All images of a run: in parallel, one failure does not stop the rest.

use std::io::{self, IsTerminal};
use std::panic::{self, AssertUnwindSafe};

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use spinelift::export::contact_sheet::Part;
use spinelift::mesh::Error;

/// What became of one image, or why it failed.
pub(super) type Outcome = anyhow::Result<Done>;

/// A finished image, or a layered one with the layers that became meshes.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// What is odd about it.
    pub(super) warnings: Vec<String>,
    /// The layers that became no mesh, and why.
    pub(super) failures: Vec<String>,
    /// Its places on the contact sheet, if there is one.
    pub(super) parts: Vec<Part>,
}

/// The threads of a run.
#[derive(Debug)]
pub(super) struct Threads {
    pool: ThreadPool,
    is_one: bool,
}

impl Threads {
    /// So many threads, or as many as there are cores. One thread means one image after the other and no parallel work
    /// within it either.
    pub(super) fn new(count: Option<usize>) -> anyhow::Result<Self> {
        // To rayon, 0 threads are as many as there are cores.
        let pool = ThreadPoolBuilder::new().num_threads(count.unwrap_or(0)).build().context("cannot start threads")?;
        Ok(Self { pool, is_one: count == Some(1) })
    }

    /// Does the work for every item and gives what came of each, in their order. The bar goes on by one for each.
    pub(super) fn each<'a, I: Sync, T: Send>(
        &self,
        items: &'a [I],
        progress: &ProgressBar,
        work: impl Fn(&'a I) -> anyhow::Result<T> + Sync,
    ) -> Vec<anyhow::Result<T>> {
        let one = |item: &'a I| {
            let outcome = contained(|| work(item));
            progress.inc(1);
            outcome
        };
        self.pool
            .install(|| if self.is_one { items.iter().map(one).collect() } else { items.par_iter().map(one).collect() })
    }
}

/// A bar on standard error, if somebody is looking and there is something to wait for.
pub(super) fn progress(count: usize, what: &str, quiet: bool) -> ProgressBar {
    if quiet || count < 2 || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    match ProgressStyle::with_template(&format!("{{bar:40}} {{pos}}/{{len}} {what}, {{eta}} left")) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A panic is our own mistake; it costs this image and no other.
pub(super) fn contained<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".into());
        Err(anyhow!(Error::Internal(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_costs_only_its_own_image() {
        let work = |name: &&str| {
            if *name == "b" { panic!("broken {name}") } else { Ok(()) }
        };
        for count in [Some(1), Some(2), None] {
            let outcomes = Threads::new(count).unwrap().each(&["a", "b", "c"], &ProgressBar::hidden(), work);
            let failed: Vec<String> =
                outcomes.iter().filter_map(|o| o.as_ref().err()).map(ToString::to_string).collect();
            assert_eq!(failed, ["internal error: broken b; please report it with the image"]);
        }
    }

    #[test]
    fn outcomes_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        for count in [Some(1), Some(3)] {
            let made = Threads::new(count).unwrap().each(&items, &ProgressBar::hidden(), |&item| Ok(item));
            assert_eq!(made.into_iter().map(Result::unwrap).collect::<Vec<_>>(), items);
        }
    }
}
