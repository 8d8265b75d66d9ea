//! Showing that long work goes on: a bar on a terminal, otherwise a line every ten seconds, nothing with `--quiet`.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

const EVERY: Duration = Duration::from_secs(10);

/// Counted work.
pub struct Progress {
    what: String,
    bar: ProgressBar,
    lines: bool,
    last: Cell<Instant>,
}

impl Progress {
    /// `what` in `total` steps. `moving` says that standard error is a terminal.
    pub fn new(what: &str, total: u64, quiet: bool, moving: bool) -> Self {
        let target =
            if moving && !quiet { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) =
            ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} {per_sec} {eta}")
        {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_prefix(what.to_owned());
        Self { what: what.to_owned(), bar, lines: !moving && !quiet, last: Cell::new(Instant::now()) }
    }

    /// `what` in steps whose number nobody knows yet.
    pub fn counting(what: &str, quiet: bool, moving: bool) -> Self {
        let progress = Self::new(what, 0, quiet, moving);
        progress.bar.unset_length();
        if let Ok(style) = ProgressStyle::with_template("{prefix} {pos} {msg} {per_sec}") {
            progress.bar.set_style(style);
        }
        progress
    }

    /// What is being worked on.
    pub fn message(&self, message: &str) {
        self.bar.set_message(message.to_owned());
        self.speak(message);
    }

    /// `n` more steps are done.
    pub fn advance(&self, n: u64) {
        self.bar.inc(n);
        self.speak("");
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Runs `print` with the bar out of the way.
    pub fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    fn speak(&self, message: &str) {
        if self.lines && self.last.get().elapsed() >= EVERY {
            self.last.set(Instant::now());
            let total = self.bar.length().map_or_else(String::new, |total| format!("/{total}"));
            let space = if message.is_empty() { "" } else { " " };
            eprintln!("{}: {}{total}{space}{message}", self.what, self.bar.position());
        }
    }
}

/// Downloads, file by file.
pub struct Downloads {
    quiet: bool,
    moving: bool,
    current: RefCell<Option<(String, ProgressBar)>>,
    last: Cell<Instant>,
}

impl Downloads {
    /// As for [`Progress::new`].
    pub fn new(quiet: bool, moving: bool) -> Self {
        Self { quiet, moving, current: RefCell::new(None), last: Cell::new(Instant::now()) }
    }

    fn bar(&self, total: u64) -> ProgressBar {
        let target = if self.moving && !self.quiet {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template = "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar
    }
}

impl zoo_hub::Progress for Downloads {
    fn bytes(&self, file: &str, done: u64, total: u64) {
        let mut current = self.current.borrow_mut();
        if current.as_ref().is_none_or(|(name, _)| name != file) {
            let bar = self.bar(total);
            bar.set_prefix(file.to_owned());
            // What an earlier run had left is no speed of this one.
            bar.set_position(done);
            bar.reset_eta();
            *current = Some((file.to_owned(), bar));
        }
        if let Some((_, bar)) = &*current {
            bar.set_position(done);
            if done >= total {
                bar.finish();
            }
        }
        if !self.moving && !self.quiet && self.last.get().elapsed() >= EVERY {
            self.last.set(Instant::now());
            eprintln!("{file}: {} of {}", HumanBytes(done), HumanBytes(total));
        }
    }

    fn note(&self, message: &str) {
        if self.quiet {
            return;
        }
        match &*self.current.borrow() {
            Some((_, bar)) if self.moving => bar.println(message),
            _ => eprintln!("{message}"),
        }
    }
}
