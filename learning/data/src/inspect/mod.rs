//! A data set at a glance.

mod html;
mod tally;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zoo_language::tokens::Tokenizer;
use zoo_records::Unread;

use crate::job::Job;
use crate::picture::{Image, said};
use crate::{DataSource, FlawKind, Record, Result};

pub use html::page;
pub use tally::{Frequent, Histogram};

/// What lengths are counted in, besides words.
pub struct Tokens {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
}

impl Tokens {
    /// The tokenizer of a model folder, or a `tokenizer.json`.
    ///
    /// # Errors
    /// There is none, or none that can be used.
    pub fn open(path: &Path) -> Result<Self> {
        let tokenizer = if path.is_dir() { Tokenizer::open(path) } else { Tokenizer::from_file(path) };
        Ok(Self { tokenizer: tokenizer.map_err(|error| crate::Error::Tokenizer(error.to_string()))? })
    }
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Inspected {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Records, sound or not.
    pub records: u64,
    /// Records that can be learnt from.
    pub sound: u64,
    /// Of these, records with an image.
    pub with_image: u64,
    /// Of these, records whose image is not there or cannot be read.
    pub images_broken: u64,
    /// Answers without a character.
    pub empty_answers: u64,
    /// What is wrong with the others.
    pub flaws: BTreeMap<FlawKind, u64>,
    /// The first of each kind, with its place.
    pub examples: BTreeMap<FlawKind, String>,
    /// Questions and answers of a record, counted as one turn.
    pub turns: Histogram,
    /// Words of a question.
    pub question_words: Histogram,
    /// Words of an answer.
    pub answer_words: Histogram,
    /// Tokens of all that is said in a record, where a tokenizer was given.
    pub tokens: Option<Histogram>,
    /// The longer side of an image, in pixels.
    pub image_sides: Histogram,
    /// Sizes of images.
    pub image_sizes: Frequent,
    /// Values of `source`.
    pub sources: Frequent,
    /// Values of `category`.
    pub categories: Frequent,
    /// First folders of the images' paths.
    pub folders: Frequent,
    /// Answers of at most 64 characters.
    pub answers: Frequent,
}

/// One record, looked at.
struct Looked {
    place: String,
    record: Result<Record, (FlawKind, String)>,
    source: Option<String>,
    category: Option<String>,
    size: Option<(u32, u32)>,
    tokens: Option<u64>,
}

/// Longest answer that is counted by its text.
const SHORT: usize = 64;

/// Looks at every record once, and at the heading of every image.
///
/// # Errors
/// Files that cannot be read. What is wrong with a record is counted.
pub fn inspect(sources: &[DataSource], tokens: Option<&Tokens>, job: &mut Job<'_>) -> Result<Inspected> {
    let mut out = Inspected {
        files: sources.iter().map(|source| source.records.clone()).collect(),
        records: 0,
        sound: 0,
        with_image: 0,
        images_broken: 0,
        empty_answers: 0,
        flaws: BTreeMap::new(),
        examples: BTreeMap::new(),
        turns: Histogram::default(),
        question_words: Histogram::default(),
        answer_words: Histogram::default(),
        tokens: tokens.map(|_| Histogram::default()),
        image_sides: Histogram::default(),
        image_sizes: Frequent::default(),
        sources: Frequent::default(),
        categories: Frequent::default(),
        folders: Frequent::default(),
        answers: Frequent::default(),
    };
    for source in sources {
        let before = out.records;
        job.each(
            &source.table()?,
            |row| look(row, source, tokens),
            |looked| {
                out.take(looked);
                Ok(())
            },
        )?;
        if out.records == before {
            return Err(crate::Error::empty(&source.records));
        }
    }
    Ok(out)
}

impl Inspected {
    fn take(&mut self, looked: Looked) {
        self.records += 1;
        if let Some(source) = looked.source {
            self.sources.add(source);
        }
        if let Some(category) = looked.category {
            self.categories.add(category);
        }
        let record = match looked.record {
            Ok(record) => record,
            Err((kind, message)) => {
                *self.flaws.entry(kind).or_default() += 1;
                self.examples.entry(kind).or_insert_with(|| format!("{}: {message}", looked.place));
                return;
            }
        };
        self.sound += 1;
        if let Some(image) = &record.image {
            self.with_image += 1;
            let folder = image.split_once('/').map_or("", |(folder, _)| folder);
            self.folders.add(folder.to_owned());
            match looked.size {
                Some((width, height)) => {
                    self.image_sides.add(width.max(height).into());
                    self.image_sizes.add(format!("{width}×{height}"));
                }
                None => self.images_broken += 1,
            }
        }
        let turns = record.conversation.turns();
        self.turns.add(turns.len() as u64);
        let words = |text: &str| text.split_whitespace().count() as u64;
        for turn in turns {
            self.question_words.add(words(&turn.question));
            let Some(answer) = &turn.answer else { continue };
            self.answer_words.add(words(answer));
            let answer = answer.trim();
            self.empty_answers += u64::from(answer.is_empty());
            if answer.len() <= SHORT {
                self.answers.add(answer.to_owned());
            }
        }
        if let (Some(histogram), Some(tokens)) = (&mut self.tokens, looked.tokens) {
            histogram.add(tokens);
        }
    }
}

fn look(row: Unread, source: &DataSource, tokens: Option<&Tokens>) -> Looked {
    let said = said(&row);
    let named = |text: &[u8]| -> (Option<String>, Option<String>) {
        #[derive(serde::Deserialize)]
        struct Named {
            source: Option<serde_json::Value>,
            category: Option<serde_json::Value>,
        }
        let plain =
            |value: Option<serde_json::Value>| value.and_then(|value| value.as_str().map(str::to_owned));
        match serde_json::from_slice::<Named>(text) {
            Ok(named) => (plain(named.source), plain(named.category)),
            Err(_) => (None, None),
        }
    };
    let (of, category) = said.as_ref().map_or((None, None), |said| named(&said.text));
    let (record, inside) = match said {
        Ok(said) => (Record::parse(&said.text), said.inside),
        Err(flaw) => (Err(flaw), None),
    };
    let image = record.as_ref().ok().and_then(|record| Image::of(record, inside, &source.images));
    let size = image.and_then(|image| match image {
        Image::File(path) => {
            let reader = image::ImageReader::open(path).ok()?;
            reader.with_guessed_format().ok()?.into_dimensions().ok()
        }
        Image::Inside { bytes, .. } => {
            let reader = image::ImageReader::new(std::io::Cursor::new(bytes));
            reader.with_guessed_format().ok()?.into_dimensions().ok()
        }
    });
    let count = |record: &Record| -> Option<u64> {
        let tokenizer = &tokens?.tokenizer;
        let mut all = 0;
        for turn in record.conversation.turns() {
            all += tokenizer.ids(&turn.question).ok()?.len();
            all += turn
                .answer
                .as_ref()
                .map_or(Some(0), |answer| tokenizer.ids(answer).ok().map(|ids| ids.len()))?;
        }
        Some(all as u64)
    };
    let tokens = record.as_ref().ok().and_then(count);
    Looked { place: row.place().to_string(), record, source: of, category, size, tokens }
}
