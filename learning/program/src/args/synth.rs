//! `zoo data synth`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use zoo_terminal::args::OverwriteArgs;
use zoo_world::scene::Kind;
use zoo_world::write::{Format, Output, Pack};

fn output() -> impl TypedValueParser<Value = Output> {
    let words = Output::ALL.iter().map(|output| output.word());
    PossibleValuesParser::new(words)
        .map(|word| of(Output::ALL, &word, |output| output.word(), Output::Captions))
}

fn kind() -> impl TypedValueParser<Value = Kind> {
    let words = Kind::ALL.iter().map(|kind| kind.word());
    PossibleValuesParser::new(words).map(|word| of(Kind::ALL, &word, |kind| kind.word(), Kind::Room))
}

fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["jpg", "png"])
        .map(|word| if word == "png" { Format::Png } else { Format::Jpg })
}

fn pack() -> impl TypedValueParser<Value = Pack> {
    PossibleValuesParser::new(["folder", "tar"])
        .map(|word| if word == "tar" { Pack::Tar } else { Pack::Folder })
}

/// The one with that word; the parser lets no other through.
fn of<T: Copy>(all: &[T], word: &str, name: impl Fn(&T) -> &'static str, other: T) -> T {
    all.iter().copied().find(|one| name(one) == word).unwrap_or(other)
}

/// `zoo data synth`.
#[derive(Debug, Args)]
#[command(after_help = "\
The same seed and settings give the same bytes on every machine. Training, validation and test scenes have nothing in \
common, whatever their seeds, and the set is looked through for it when it is complete. Ctrl-C ends the run after the part \
at hand; --resume goes on. docs/world.md shows the pictures and describes the files.

Examples:
  zoo data synth world --train 20000 --test 1000
  zoo data synth world --train 20000 --test 1000 --resume
  zoo data synth rooms --only room --test 500 --write coco,ade,omni3d
  zoo data synth world --check")]
pub struct SynthArgs {
    /// The folder of the set; it is there when the set is complete
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// Scenes to learn from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub train: u64,
    /// Scenes to choose by while learning
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub val: u64,
    /// Scenes to be judged on, with their questions
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub test: u64,
    /// Where chance begins
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Pixels of the longer side
    #[arg(long, value_name = "PIXELS", default_value_t = 256)]
    pub size: u32,
    /// Only these kinds of pictures, in equal numbers
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind())]
    pub only: Vec<Kind>,
    /// What is written beside pictures and scenes; everything if absent
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = output())]
    pub write: Option<Vec<Output>>,
    /// How pictures are written
    #[arg(long, default_value = "jpg", value_parser = format())]
    pub format: Format,
    /// Where pictures are put: files, or archives as WebDataset reads them
    #[arg(long, default_value = "folder", value_parser = pack())]
    pub pack: Pack,
    /// Go on with a set that was begun, to the very bytes of a run that was not cut off
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
    /// What becomes of a set that is there.
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
    /// Only look through a set that is there: whether its splits have anything in common
    #[arg(long, conflicts_with_all = ["train", "val", "test", "resume", "overwrite"])]
    pub check: bool,
}
