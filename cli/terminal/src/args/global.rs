//! Options that every command has.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use zoo_core::Precision;
use zoo_host::DeviceChoice;

const HEADING: &str = "Options of every command";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print one JSON document on standard output, errors included
    #[arg(long, global = true, help_heading = HEADING)]
    pub json: bool,
    /// No progress and no notes
    #[arg(long, short, global = true, help_heading = HEADING)]
    pub quiet: bool,
    /// More of what libraries and plugins log than warnings and errors; -vv and -vvv for developers (also ZOO_LOG, by
    /// target: warn,zoo_host=debug,zoo::plugin=trace)
    #[arg(long, short, global = true, help_heading = HEADING, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Where to compute: cpu, cuda, cuda:N, metal or auto. A device that is not there is an error; auto says what
    /// it chose
    #[arg(long, global = true, help_heading = HEADING, value_name = "DEVICE")]
    pub device: Option<DeviceChoice>,
    /// Element type of weights and activations; outputs are always f32
    #[arg(long, global = true, help_heading = HEADING, value_enum, default_value_t, value_name = "TYPE")]
    pub dtype: Dtype,
    /// Threads for decoding and computing; all cores if absent
    #[arg(long, global = true, help_heading = HEADING, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// A registry file laid over the shipped one; may be given several times
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE")]
    pub registry: Vec<PathBuf>,
    /// A folder with plugins, searched before the usual ones; may be given several times
    #[arg(long, global = true, help_heading = HEADING, value_name = "FOLDER")]
    pub plugin_dir: Vec<PathBuf>,
    /// Open no socket, whatever is asked for (also HF_HUB_OFFLINE=1)
    #[arg(long, global = true, help_heading = HEADING)]
    pub offline: bool,
}

/// Element types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Dtype {
    /// IEEE single.
    #[default]
    F32,
    /// bfloat16.
    Bf16,
    /// IEEE half.
    F16,
}

impl From<Dtype> for Precision {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::Bf16 => Self::Bf16,
            Dtype::F16 => Self::F16,
        }
    }
}
