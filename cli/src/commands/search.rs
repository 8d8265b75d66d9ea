//! `zoo search` and `zoo similar`

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zoo_core::path_text;
use zoo_host::{Zoo, to_unit};
use zoo_pipeline::find::{Found, Input, find};
use zoo_pipeline::index::{Changes, Index};
use zoo_pipeline::look::{Encoders, Look as _, pixel_record, run_record};
use zoo_pipeline::read::{Batch, Item};
use zoo_pipeline::write::{Replace, Setting};
use zoo_pipeline::{Control, Failure, Outcome, Reading, run as pipeline};
use zoo_preprocess::DecodeOptions;
use zoo_terminal::{CliError, Context, Report, counted, interrupt, threads};

use super::encode::{Told, passed_over};
use super::session::warning;
use super::{picture, vectors};
use crate::args::{IndexArgs, SearchArgs, SimilarArgs};

pub(super) fn search(args: &SearchArgs, context: &Context<'_>) -> Result<Report, CliError> {
    if args.text.trim().is_empty() {
        return Err(CliError::Usage("say what is looked for: zoo search FOLDER \"a red car\"".into()));
    }
    let pictures = Pictures::find(&args.folder, context)?;
    let zoo = context.computing(&args.index.pixels)?;
    let request = vectors::request(&args.index.encoder, args.index.weights.as_ref());
    // Before the pictures are looked at, which may take long.
    let text =
        zoo.text(&request)?.embed(&[&args.text])?.squeeze(0).and_then(|vector| vector.to_vec1::<f32>());
    let question = text.map_err(zoo_host::HostError::from)?;
    let encoders = Encoders::open(&zoo, &vectors::eyes(&request))?;
    let decode = encoders.decode_options(&args.index.pixels.orientation.decode_options());
    let filled = fill(&args.index, &pictures, (&zoo, &encoders, &decode), context)?;
    filled.report(&question, &args.index, &encoders, json!({ "text": args.text }))
}

pub(super) fn similar(args: &SimilarArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let pictures = Pictures::find(&args.folder, context)?;
    let orientation = &args.index.pixels.orientation;
    let zoo = context.computing(&args.index.pixels)?;
    let request = vectors::request(&args.index.encoder, args.index.weights.as_ref());
    let encoders = Encoders::open(&zoo, &vectors::eyes(&request))?;
    let decode = encoders.decode_options(&orientation.decode_options());
    let asked = picture::open_with(&args.image, &decode, context)?;
    let name = path_text(&args.image).into_owned();
    let item = Item { input: 0, name: name.clone(), row: None, size: asked.size, notes: Vec::new() };
    let seen = encoders.look(&Batch::Images(vec![item], vec![asked]), &|_| {});
    let seen = seen.map_err(|error| CliError::Failed(error.to_string()))?;
    let vector = seen.tensors.first().map_or(&[][..], |rows| rows.row(0));
    let unit = || {
        let vector = Tensor::from_slice(vector, (1, vector.len()), &Device::Cpu)?;
        Ok::<_, zoo_host::HostError>(to_unit(&vector)?.squeeze(0)?.to_vec1::<f32>()?)
    };
    let question = unit()?;
    let filled = fill(&args.index, &pictures, (&zoo, &encoders, &decode), context)?;
    filled.report(&question, &args.index, &encoders, json!({ "image": name }))
}

/// The pictures of a folder, by paths that mean the same wherever the next run begins.
struct Pictures {
    folder: PathBuf,
    inputs: Vec<Input>,
}

impl Pictures {
    fn find(folder: &Path, context: &Context<'_>) -> Result<Self, CliError> {
        let whole = std::fs::canonicalize(folder);
        let whole = whole.map_err(|e| CliError::Failed(format!("{}: {e}", path_text(folder))))?;
        if !whole.is_dir() {
            return Err(CliError::Usage(format!("{}: give the folder of the pictures", path_text(folder))));
        }
        let Found { inputs, failures, passed } = find(&[&whole]);
        passed_over(&passed, context);
        match failures.first() {
            Some(first) if inputs.is_empty() => Err(CliError::Failed(first.to_string())),
            _ => Ok(Self { folder: whole, inputs }),
        }
    }
}

/// An index with all pictures in it.
struct Filled {
    index: Index,
    folder: PathBuf,
    changes: Changes,
    failures: Vec<Failure>,
}

/// Adds what is new to the index, and takes out what is gone.
fn fill(
    args: &IndexArgs,
    pictures: &Pictures,
    (zoo, encoders, decode): (&Zoo, &Encoders<'_>, &DecodeOptions),
    context: &Context<'_>,
) -> Result<Filled, CliError> {
    let folder = args.index.clone().unwrap_or_else(|| usual(zoo, encoders.eyes().id(), &pictures.folder));
    let mut common = run_record(zoo);
    common.extend(pixel_record(decode));
    let setting = Setting::new(encoders.identity().clone(), common);
    let replace = if args.rebuild { Replace::Always } else { Replace::Never };
    let failed = |error: zoo_pipeline::index::IndexError| CliError::Failed(error.to_string());
    let mut index = Index::open(&folder, &setting, replace).map_err(failed)?;
    let mut adding = index.update(&pictures.inputs).map_err(failed)?;
    let changes = adding.changes();
    let told = Told::new(context, "index", changes.wanted);
    let threads = threads::allowed(context.global.threads).get();
    let reading = Reading::new(args.batch.get(), threads, decode.clone());
    let control = Control { watch: &told, cancel: interrupt::flag() };
    let Outcome { end, failures } = pipeline(&pictures.inputs, &reading, encoders, &mut adding, &control);
    told.finish();
    adding.finish().map_err(|error| CliError::Failed(error.to_string()))?;
    let kept = format!("{} are in the index: the same command goes on", counted(index.len(), "picture"));
    vectors::ended(end, &kept)?;
    Ok(Filled { index, folder, changes, failures })
}

/// A folder of the cache for these pictures as this encoder sees them.
fn usual(zoo: &Zoo, encoder: &str, pictures: &Path) -> PathBuf {
    let digest = Sha256::digest(zoo_core::path_bytes(&path_text(pictures)));
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    zoo.folders().cache.join("indices").join(format!("{encoder}-{digest}"))
}

impl Filled {
    fn report(
        &self,
        question: &[f32],
        args: &IndexArgs,
        encoders: &Encoders<'_>,
        mut json: Value,
    ) -> Result<Report, CliError> {
        let hits = self.index.nearest(question, args.top.get());
        let hits = hits.map_err(|error| CliError::Failed(error.to_string()))?;
        let mut text = String::new();
        for hit in &hits {
            text.push_str(&format!("{:6.3}  {}\n", hit.cosine, self.index.path(hit.place)));
        }
        text.push_str(&format!(
            "{} in {}, {} of them new, {} dropped\n",
            counted(self.index.len(), "picture"),
            path_text(&self.folder),
            self.changes.wanted.saturating_sub(self.failures.len()),
            self.changes.dropped
        ));
        if !self.failures.is_empty() {
            text.push_str(&format!("  {} could not be read\n", counted(self.failures.len(), "picture")));
        }
        if let Some(warning) = warning(encoders.eyes()) {
            text.push_str(&format!("  {warning}\n"));
        }
        json["encoder"] = encoders.eyes().id().into();
        json["index"] = path_text(&self.folder).into();
        json["pictures"] = self.index.len().into();
        json["new"] = self.changes.wanted.saturating_sub(self.failures.len()).into();
        json["dropped"] = self.changes.dropped.into();
        json["untrained"] = encoders.eyes().untrained().into();
        json["found"] = hits
            .iter()
            .map(|hit| json!({ "file": self.index.path(hit.place), "cosine": hit.cosine }))
            .collect();
        if !self.failures.is_empty() {
            let failures =
                self.failures.iter().map(|f| json!({ "input": f.input, "error": f.error.to_string() }));
            json["failures"] = failures.collect();
        }
        Ok(Report::new(text, json))
    }
}
