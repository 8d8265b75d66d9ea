//! Arguments of the commands that compute.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args};
use zoo_pipeline::write::Existing;
use zoo_terminal::args::{OrientationArgs, OverwriteArgs, PixelArgs};

use super::list::Item;

/// An encoder or an ensemble.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("subject").required(true).args(["encoder", "ensemble"]))]
pub struct Subject {
    /// Id, alias or tower name of an encoder
    #[arg(long, value_name = "ID")]
    pub encoder: Option<String>,
    /// Id of an ensemble
    #[arg(long, value_name = "ID")]
    pub ensemble: Option<String>,
    /// Weights in place of the registry's: a file, or a folder with a sharded checkpoint; for an ensemble a folder
    /// with one such file or folder per part, named by its id
    #[arg(long, value_name = "FILE_OR_FOLDER")]
    pub weights: Option<PathBuf>,
    /// What is wanted of a single encoder.
    #[command(flatten)]
    pub options: EncoderArgs,
}

/// What can be asked of a single encoder; an ensemble has this in its registry row.
#[derive(Debug, Clone, Default, Args)]
pub struct EncoderArgs {
    /// Architecture numbers that replace the row's: a JSON object
    #[arg(long, value_name = "FILE.json", conflicts_with = "ensemble")]
    pub arch_override: Option<PathBuf>,
    /// Layer, negative from the end: -1 is the last block before the final norm. Several, with commas, are
    /// concatenated on channels. The registry's choice if absent
    #[arg(
        long,
        value_name = "L",
        value_delimiter = ',',
        allow_hyphen_values = true,
        value_parser = Item(i32::from_str),
        conflicts_with = "ensemble"
    )]
    pub layer: Vec<i32>,
    /// Apply the encoder's final norm
    #[arg(long, overrides_with = "no_norm", conflicts_with = "ensemble")]
    norm: bool,
    /// Do not apply the encoder's final norm
    #[arg(long, overrides_with = "norm", conflicts_with = "ensemble")]
    no_norm: bool,
    /// Resample the feature map to this many tokens; a square number
    #[arg(long, value_name = "N", conflicts_with = "ensemble")]
    pub tokens: Option<usize>,
    /// Side of the image in pixels
    #[arg(long, value_name = "R", conflicts_with = "ensemble")]
    pub resolution: Option<usize>,
    /// An option of the encoder, such as step=100 of a diffusion model; `zoo info` lists them. May be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = option, conflicts_with = "ensemble")]
    pub option: Vec<(String, String)>,
}

/// `NAME=VALUE`.
fn option(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    let (name, value) = pair.ok_or("an option is NAME=VALUE, such as step=100")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl EncoderArgs {
    /// What was said about the norm.
    pub fn norm(&self) -> Option<bool> {
        match (self.norm, self.no_norm) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}

/// `zoo encode`.
#[derive(Debug, Args)]
pub struct EncodeArgs {
    /// Image files, folders, globs, - for an image on standard input, or for an encoder .safetensors files with
    /// normalised `pixels` f32 `[B,3,H,W]`
    #[arg(required_unless_present = "files_from", value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    /// A file with more inputs, one a line, or between zero bytes as `find -print0` writes them; - is standard input. May
    /// be given several times
    #[arg(long, value_name = "LIST")]
    pub files_from: Vec<PathBuf>,
    /// Which encoder or ensemble, and what of it.
    #[command(flatten)]
    pub subject: Subject,
    /// How images are read.
    #[command(flatten)]
    pub pixels: PixelArgs,
    /// Also write the prefix tokens (cls, registers)
    #[arg(long, conflicts_with = "ensemble")]
    pub prefix: bool,
    /// Write one vector for each image instead, as the reference of the encoder makes it: projected, pooled
    #[arg(long, conflicts_with_all = ["ensemble", "layer", "norm", "no_norm", "tokens", "prefix"])]
    pub pooled: bool,
    /// Images per call
    #[arg(long, value_name = "N", default_value = "4")]
    pub batch: NonZeroUsize,
    /// Where to write: FILE.safetensors, FILE.npy, or a folder that gets one .safetensors file per image
    #[arg(long, short, value_name = "OUT")]
    pub out: PathBuf,
    /// What becomes of what is there already.
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
    /// Go on where an earlier run with the same inputs and settings ended; what it wrote is kept
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
}

impl EncodeArgs {
    /// What becomes of results that are there.
    pub fn existing(&self) -> Existing {
        match (self.overwrite.overwrite, self.resume) {
            (true, _) => Existing::Replace,
            (_, true) => Existing::Keep,
            _ => Existing::Refuse,
        }
    }
}

/// `zoo view`.
#[derive(Debug, Args)]
pub struct ViewArgs {
    /// The image; `-` for one on standard input
    pub image: PathBuf,
    /// Which encoder or ensemble, and what of it.
    #[command(flatten)]
    pub subject: Subject,
    /// How the image is read.
    #[command(flatten)]
    pub orientation: OrientationArgs,
    /// The picture to write
    #[arg(long, short, value_name = "FILE.png")]
    pub out: PathBuf,
    /// What becomes of what is there already.
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
}

/// `zoo preprocess`.
#[derive(Debug, Args)]
pub struct PreprocessArgs {
    /// The image; `-` for one on standard input
    pub image: PathBuf,
    /// Id, alias or tower name of an encoder
    #[arg(long, value_name = "ID")]
    pub encoder: String,
    /// Side of the image in pixels
    #[arg(long, value_name = "R")]
    pub resolution: Option<usize>,
    /// How images are read.
    #[command(flatten)]
    pub pixels: PixelArgs,
    /// The file to write: `pixels` f32 `[1,3,H,W]`
    #[arg(long, short, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    /// What becomes of what is there already.
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
}
