//! Arguments of the commands that compare vectors.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use zoo_terminal::args::PixelArgs;

/// `zoo classify`.
#[derive(Debug, Args)]
pub struct ClassifyArgs {
    /// Image files, folders, globs, - for an image on standard input
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// The labels, with commas between them
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', required_unless_present = "labels_from")]
    pub labels: Vec<String>,
    /// A file with more labels, one a line; - is standard input
    #[arg(long, value_name = "FILE")]
    pub labels_from: Option<PathBuf>,
    /// A sentence around a label, which stands in it as {}, such as "a photo of {}"; of several the mean is taken. May be given
    /// several times
    #[arg(long, value_name = "SENTENCE")]
    pub template: Vec<String>,
    /// Show only the labels that fit best
    #[arg(long, value_name = "N")]
    pub top: Option<NonZeroUsize>,
    /// Id, alias or tower name of an encoder with a text tower
    #[arg(long, value_name = "ID")]
    pub encoder: String,
    /// Weights in place of the registry's: a file, or a folder with a sharded checkpoint, of both towers
    #[arg(long, value_name = "FILE_OR_FOLDER")]
    pub weights: Option<PathBuf>,
    /// How images are read.
    #[command(flatten)]
    pub pixels: PixelArgs,
    /// Images per call
    #[arg(long, value_name = "N", default_value = "4")]
    pub batch: NonZeroUsize,
}

/// The index of a folder, and how pictures get into it.
#[derive(Debug, Args)]
pub struct IndexArgs {
    /// Id, alias or tower name of an encoder
    #[arg(long, value_name = "ID")]
    pub encoder: String,
    /// Weights in place of the registry's: a file, or a folder with a sharded checkpoint
    #[arg(long, value_name = "FILE_OR_FOLDER")]
    pub weights: Option<PathBuf>,
    /// Where the vectors of the pictures are kept; a folder in the user's cache for each folder and encoder if absent
    #[arg(long, value_name = "FOLDER")]
    pub index: Option<PathBuf>,
    /// Make the index anew
    #[arg(long)]
    pub rebuild: bool,
    /// How many pictures to show
    #[arg(long, value_name = "N", default_value = "10")]
    pub top: NonZeroUsize,
    /// How images are read.
    #[command(flatten)]
    pub pixels: PixelArgs,
    /// Images per call
    #[arg(long, value_name = "N", default_value = "4")]
    pub batch: NonZeroUsize,
}

/// `zoo search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// The folder of the pictures
    pub folder: PathBuf,
    /// What is looked for, such as "a red car"
    pub text: String,
    /// The index.
    #[command(flatten)]
    pub index: IndexArgs,
}

/// `zoo similar`.
#[derive(Debug, Args)]
pub struct SimilarArgs {
    /// The picture that others are compared with; `-` for one on standard input
    pub image: PathBuf,
    /// The folder of the others
    pub folder: PathBuf,
    /// The index.
    #[command(flatten)]
    pub index: IndexArgs,
}
