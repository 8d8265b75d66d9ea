//! Arguments of `zoo bench`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::EnumValueParser;
use clap::{ArgGroup, Args};

use super::list::Item;
use super::{Dtype, OverwriteArgs};

/// `zoo bench`. Whatever takes several values, with commas, is varied.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("measured").required(true).multiple(true).args(["encoder", "ensemble"]))]
pub struct BenchArgs {
    /// Id, alias or tower name of an encoder; several with commas
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = Item(String::from_str))]
    pub encoder: Vec<String>,
    /// Id of an ensemble; several with commas. Its parts are shown one by one
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = Item(String::from_str))]
    pub ensemble: Vec<String>,
    /// Images per call; several with commas
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1", value_parser = Item(NonZeroUsize::from_str))]
    pub batch: Vec<NonZeroUsize>,
    /// Element type of weights and activations; several with commas
    #[arg(
        long,
        value_name = "TYPE",
        value_delimiter = ',',
        default_value = "f32",
        value_parser = Item(EnumValueParser::<Dtype>::new())
    )]
    pub dtype: Vec<Dtype>,
    /// Side of the image in pixels, for encoders; several with commas. The registry's choice if absent
    #[arg(long, value_name = "R", value_delimiter = ',', conflicts_with = "ensemble", value_parser = Item(usize::from_str))]
    pub resolution: Vec<usize>,
    /// Threads for computing; several with commas, each measured in processes of its own. All cores if absent
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = Item(NonZeroUsize::from_str))]
    pub threads: Vec<NonZeroUsize>,
    /// How often everything has its turn
    #[arg(long, value_name = "N", default_value = "9")]
    pub rounds: NonZeroUsize,
    /// Weights in place of the registry's, as for encode; for one encoder or ensemble
    #[arg(long, value_name = "FILE_OR_FOLDER")]
    pub weights: Option<PathBuf>,
    /// Measure with random weights, made in memory: nothing needs to be downloaded, and speed does not depend on what
    /// weights say
    #[arg(long, conflicts_with = "weights")]
    pub random_weights: bool,
    /// Also write the table as CSV
    #[arg(long, value_name = "FILE.csv")]
    pub csv: Option<PathBuf>,
    /// Also draw images per second against what was varied: threads, resolution, batch, or the encoders of an ensemble
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// What becomes of what is there already.
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
}
