//! What a command is given besides its own arguments.

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use candle_core::Device;
use zoo_core::Precision;
use zoo_core::sdk::DeviceName;
use zoo_host::{DeviceChoice, Options, Zoo};

use crate::args::{Global, PixelArgs};
use crate::capability;
use crate::progress::{Downloads, Progress};
use crate::report::CliError;

/// What to do about a row of a plugin that is wrong.
pub const SET_ASIDE: &str = "it is not used; correct it there, or ask the author of the plugin";

/// Where the program writes.
pub struct Streams<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Errors and notes.
    pub err: &'a mut dyn Write,
    /// Whether `err` is a terminal: then it gets colour and moving bars.
    pub terminal: bool,
}

/// The options of every command, and a way to speak while work goes on.
pub struct Context<'a> {
    /// What was typed.
    pub global: &'a Global,
    out: RefCell<&'a mut dyn Write>,
    err: RefCell<&'a mut dyn Write>,
    terminal: bool,
}

impl<'a> Context<'a> {
    /// What a command gets that was called with these options; `terminal` as in [`Streams`].
    pub fn new(global: &'a Global, out: &'a mut dyn Write, err: &'a mut dyn Write, terminal: bool) -> Self {
        Self { global, out: RefCell::new(out), err: RefCell::new(err), terminal }
    }

    /// Part of a result that is shown while the rest is still being made, as an answer is written; nothing with
    /// `--json`. The command's report then begins where this ended.
    pub fn stream(&self, piece: &str) {
        if !self.global.json {
            let mut out = self.out.borrow_mut();
            // A reader that has seen enough is noticed when the report is written.
            let _ = out.write_all(piece.as_bytes()).and_then(|()| out.flush());
        }
    }

    /// A line on standard error for whoever watches; nothing with `--quiet`.
    pub fn note(&self, line: &str) {
        if !self.global.quiet {
            self.complain(line);
        }
    }

    /// A line on standard error that `--quiet` does not silence.
    pub fn complain(&self, line: &str) {
        // A closed standard error is no reason to stop working.
        let _ = writeln!(self.err.borrow_mut(), "{line}");
    }

    /// Progress over `total` steps.
    pub fn progress(&self, what: &str, total: u64) -> Progress {
        let moving = self.terminal && std::io::stderr().is_terminal() && !capability::dumb();
        Progress::new(what, total, self.global.quiet, moving)
    }

    /// Progress over steps whose number nobody knows yet.
    pub fn counting(&self, what: &str) -> Progress {
        let moving = self.terminal && std::io::stderr().is_terminal() && !capability::dumb();
        Progress::counting(what, self.global.quiet, moving)
    }

    /// Progress of downloads.
    pub fn downloads(&self) -> Downloads {
        Downloads::new(
            self.global.quiet,
            self.terminal && std::io::stderr().is_terminal() && !capability::dumb(),
        )
    }

    /// Registry and plugins, for commands that only look things up. An absent `--device` is the processor.
    pub fn zoo(&self) -> Result<Zoo, CliError> {
        self.open(self.global.device.unwrap_or_default(), false, &[])
    }

    /// [`Context::zoo`] with one more registry file on top.
    pub fn zoo_with(&self, registry: PathBuf) -> Result<Zoo, CliError> {
        self.open(self.global.device.unwrap_or_default(), false, &[registry])
    }

    /// For commands that compute. An absent `--device` is `auto`, and what `auto` chose is said.
    pub fn computing(&self, pixels: &PixelArgs) -> Result<Zoo, CliError> {
        let choice = self.global.device.unwrap_or(DeviceChoice::Auto);
        let zoo = self.open(choice, pixels.fast_resize, &[])?;
        if choice == DeviceChoice::Auto {
            let why = match zoo.device() {
                Device::Cpu => "; no accelerator in this build or on this machine",
                _ => "",
            };
            self.note(&format!("device: {} (auto{why})", DeviceName::of(zoo.device())));
        }
        Ok(zoo)
    }

    /// For `bench`: with an element type of its own, and maybe with random weights.
    pub fn measuring(&self, precision: Precision, random_weights: Option<u64>) -> Result<Zoo, CliError> {
        let device = self.global.device.unwrap_or_default();
        self.opened(Options { precision, random_weights, ..self.options(device, &[])? })
    }

    /// For stages of a study: with an element type of its own, and these registries over all others.
    pub fn studying(&self, precision: Precision, more: &[PathBuf]) -> Result<Zoo, CliError> {
        let device = self.global.device.unwrap_or_default();
        self.opened(Options { precision, ..self.options(device, more)? })
    }

    /// `--plugin-dir`, made absolute: who types a folder here means the one that is seen from here.
    pub fn plugin_dirs(&self) -> Result<Vec<PathBuf>, CliError> {
        let absolute = |folder: &PathBuf| std::path::absolute(folder).map_err(|e| CliError::file(folder, e));
        self.global.plugin_dir.iter().map(absolute).collect()
    }

    fn open(&self, device: DeviceChoice, fast_resize: bool, more: &[PathBuf]) -> Result<Zoo, CliError> {
        self.opened(Options { fast_resize, ..self.options(device, more)? })
    }

    /// Opens, and says which plugins and which of their rows cannot be used.
    fn opened(&self, options: Options) -> Result<Zoo, CliError> {
        let zoo = Zoo::open(options)?;
        for warning in zoo.plugins().warnings() {
            self.complain(&format!("warning: {warning}"));
        }
        for problem in zoo.registry().set_aside() {
            // Not a note: results can differ from those of the same command without the plugin.
            self.complain(&format!("warning: {}; {SET_ASIDE}", problem.line()));
        }
        Ok(zoo)
    }

    fn options(&self, device: DeviceChoice, more: &[PathBuf]) -> Result<Options, CliError> {
        Ok(Options {
            registries: self.global.registry.iter().chain(more).cloned().collect(),
            plugin_dirs: self.plugin_dirs()?,
            offline: self.global.offline,
            device,
            precision: self.global.dtype.into(),
            ..Options::default()
        })
    }
}
