//! What was typed. Nothing here touches the disk.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgGroup, Parser, Subcommand, ValueEnum};
use zoo_terminal::args::{Global, OverwriteArgs, Part, PixelArgs};

use crate::request::Share;
use crate::table::{Element, Format};

/// Turn very many images into vectors or feature maps.
#[derive(Debug, Parser)]
#[command(
    name = "zoo",
    version,
    max_term_width = 100,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands. `zoo` names each of them, with the same line of help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Turn very many images into vectors or feature maps, on as many machines as there are
    Extract(ExtractArgs),
}

/// `zoo extract`.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("subject").required(true).multiple(true).args(["encoder", "ensemble"]))]
#[command(after_help = "\
An archive is a shard, loose images are cut into shards. A shard is done when its receipt, a JSON beside its output, says \
so; whatever happens to a run, the next one makes the rest. An image that cannot be used is a row with an error. \
docs/extract.md describes outputs, stores and clusters.

Examples:
  zoo extract photos/ --encoder clip-vit-l-14-336 --out vectors/
  zoo extract 's3://bucket/shards/' --encoder siglip-so400m-14-384 --out s3://bucket/vectors --claim 2m
  zoo extract shards/ --encoder dinov2-vit-l-14 --keep maps --out maps/ --shard 3/16 --dry-run")]
pub struct ExtractArgs {
    /// Images, folders, patterns, archives (.tar, .parquet, .jsonl, …); s3://, gs://, az://, http(s):// addresses of the
    /// same, or of what is above them
    #[arg(required_unless_present = "files_from", value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// A file with more sources, one a line; - is standard input. May be given several times
    #[arg(long, value_name = "LIST")]
    pub files_from: Vec<PathBuf>,
    /// An encoder; several look at the same decoded images
    #[arg(long, value_name = "ID")]
    pub encoder: Vec<String>,
    /// An ensemble
    #[arg(long, value_name = "ID")]
    pub ensemble: Vec<String>,
    /// Weights in place of the registry's, for one encoder
    #[arg(long, value_name = "FILE_OR_FOLDER")]
    pub weights: Option<PathBuf>,
    /// Layer, negative from the end, for one encoder; the registry's choice if absent
    #[arg(long, value_name = "L", allow_hyphen_values = true, conflicts_with = "ensemble")]
    pub layer: Option<i32>,
    /// Side of the image in pixels, for one encoder
    #[arg(long, value_name = "R", conflicts_with = "ensemble")]
    pub resolution: Option<usize>,
    /// What to keep: the mean of the patch tokens, the class token, the network's own vector, or the maps
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub keep: KeepArg,
    /// Scale each vector to length 1
    #[arg(long)]
    pub unit: bool,
    /// Form of the outputs
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub format: FormatArg,
    /// Element type of the outputs
    #[arg(long, value_enum, default_value_t, value_name = "TYPE")]
    pub element: ElementArg,
    /// The folder or address for the outputs
    #[arg(long, short, value_name = "OUT")]
    pub out: String,
    /// Column of tables and archives that holds the image
    #[arg(long, value_name = "COLUMN")]
    pub image: Option<String>,
    /// Column that names a row; the file's stem or the row's number if absent
    #[arg(long, value_name = "COLUMN")]
    pub key: Option<String>,
    /// Columns to write beside the numbers, as text
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Loose images in a shard
    #[arg(long, value_name = "N", default_value = "10000")]
    pub rows: NonZeroUsize,
    /// Make every n-th shard only, as I/N, I from 0: a task of a job array
    #[arg(long, value_name = "I/N", value_parser = Part::from_str, conflicts_with = "claim")]
    pub shard: Option<Part>,
    /// Share the work with everyone who writes to the same place: each takes what nobody has, and what somebody has not
    /// touched for this long (30s, 2m)
    #[arg(long, value_name = "LEASE", value_parser = duration)]
    pub claim: Option<Duration>,
    /// Images in a call
    #[arg(long, value_name = "N", default_value = "8")]
    pub batch: NonZeroUsize,
    /// How long calls of a store that fail are repeated
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "3m")]
    pub patience: Duration,
    /// Say what it would cost, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How images are read.
    #[command(flatten)]
    pub pixels: PixelArgs,
    /// What becomes of what is there already.
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
}

impl ExtractArgs {
    /// Which shards are this worker's.
    pub fn share(&self) -> Share {
        match (self.shard, self.claim) {
            (Some(Part { part, of }), _) => Share::Part { part, of },
            (None, Some(lease)) => Share::Claims { lease },
            (None, None) => Share::All,
        }
    }
}

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum KeepArg {
    /// The mean of the patch tokens: a vector.
    #[default]
    Mean,
    /// The class token: a vector.
    Cls,
    /// The vector that the network itself makes of a picture, as its reference does: projected, pooled.
    Embedding,
    /// Every patch token; of an ensemble also the fused ones.
    Maps,
}

/// Forms of outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum FormatArg {
    /// A Parquet file a shard.
    #[default]
    Parquet,
    /// A .npy a shard and tensor, and a Parquet file of the rest.
    Npy,
    /// A .safetensors a shard, and a Parquet file of the rest.
    Safetensors,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Parquet => Self::Parquet,
            FormatArg::Npy => Self::Npy,
            FormatArg::Safetensors => Self::Safetensors,
        }
    }
}

/// Element types of outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ElementArg {
    /// IEEE half.
    #[default]
    F16,
    /// IEEE single.
    F32,
}

impl From<ElementArg> for Element {
    fn from(element: ElementArg) -> Self {
        match element {
            ElementArg::F16 => Self::F16,
            ElementArg::F32 => Self::F32,
        }
    }
}

/// `500ms`, `30s`, `2m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)) {
        Some(time) if time > 0 => Ok(Duration::from_millis(time)),
        _ => Err("write a time as 500ms, 30s, 2m or 1h".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times() {
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for wrong in ["", "0s", "2d", "m", "-3s", "1.5h", "99999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
