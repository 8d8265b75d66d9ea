//! `zoo classify`

use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use zoo_core::path_text;
use zoo_host::{HostError, TextSession, probabilities, to_unit};
use zoo_pipeline::find::{Found, find};
use zoo_pipeline::look::Encoders;
use zoo_pipeline::{Control, Outcome, Reading, run as pipeline};
use zoo_terminal::{CliError, Context, Report, counted, interrupt, threads};

use super::encode::{Told, passed_over};
use super::session::warning;
use super::vectors::{self, Kept, ended};
use crate::args::ClassifyArgs;

pub(super) fn run(args: &ClassifyArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let labels = labels(args)?;
    if let Some(bad) = args.template.iter().find(|template| !template.contains("{}")) {
        return Err(CliError::Usage(format!(
            "--template {bad:?}: `{{}}` stands for the label, and is missing"
        )));
    }
    let Found { inputs, failures: missing, passed } = find(&args.images);
    passed_over(&passed, context);
    if let Some(first) = missing.first() {
        return Err(CliError::Failed(first.to_string()));
    }
    let zoo = context.computing(&args.pixels)?;
    let request = vectors::request(&args.encoder, args.weights.as_ref());
    let told = Told::new(context, "classify", inputs.len());
    told.message("reading labels");
    let text = zoo.text(&request)?;
    let known = text.labels(&labels, &args.template)?;
    told.message("opening");
    let encoders = Encoders::open(&zoo, &vectors::eyes(&request))?;
    let decode = encoders.decode_options(&args.pixels.orientation.decode_options());
    let threads = threads::allowed(context.global.threads).get();
    let reading = Reading::new(args.batch.get(), threads, decode);
    let mut kept = Kept::default();
    let control = Control { watch: &told, cancel: interrupt::flag() };
    let Outcome { end, failures } = pipeline(&inputs, &reading, &encoders, &mut kept, &control);
    told.finish();
    ended(end, "no picture was judged in full")?;

    let mut out = String::new();
    let mut rows = Vec::new();
    for (name, vector) in &kept.vectors {
        let fits = judged(&text, &known, vector, &labels)?;
        let shown = args.top.map_or(fits.len(), |top| top.get().min(fits.len()));
        out.push_str(&format!("{name}\n"));
        for (label, probability, _) in &fits[..shown] {
            out.push_str(&format!("  {:5.1} %  {label}\n", 100.0 * probability));
        }
        let fits = fits[..shown].iter().map(|(label, probability, cosine)| {
            json!({ "label": label, "probability": probability, "cosine": cosine })
        });
        rows.push(json!({ "image": name, "labels": fits.collect::<Value>() }));
    }
    if let Some(warning) = warning(encoders.eyes()) {
        out.push_str(&format!("  {warning}\n"));
    }
    let said = text.descriptor();
    let mut json = json!({
        "encoder": encoders.eyes().id(),
        "judged": if said.bias.is_some() { "each label by itself (sigmoid)" } else { "all labels together (softmax)" },
        "scale": said.scale,
        "bias": said.bias,
        "templates": args.template,
        "untrained": encoders.eyes().untrained(),
        "images": rows,
    });
    if !failures.is_empty() {
        json["failures"] =
            failures.iter().map(|f| json!({ "input": f.input, "error": f.error.to_string() })).collect();
        let failed = counted(failures.len(), "picture");
        match failures.as_slice() {
            [one] if kept.vectors.is_empty() => return Err(CliError::Failed(one.to_string())),
            _ => out.push_str(&format!("  {failed} could not be looked at\n")),
        }
    }
    Ok(Report { text: out, json, failed: !failures.is_empty() })
}

/// Label, probability and cosine, what fits best first.
fn judged<'l>(
    text: &TextSession,
    known: &Tensor,
    vector: &[f32],
    labels: &'l [String],
) -> Result<Vec<(&'l str, f64, f64)>, HostError> {
    let image = to_unit(&Tensor::from_slice(vector, (1, vector.len()), &Device::Cpu)?)?;
    let cosines = image.matmul(&known.t()?)?.squeeze(0)?.to_vec1::<f32>()?;
    let cosines: Vec<f64> = cosines.into_iter().map(f64::from).collect();
    let shares = probabilities(text.descriptor(), &cosines);
    let mut fits: Vec<_> =
        labels.iter().zip(shares).zip(cosines).map(|((l, p), cosine)| (l.as_str(), p, cosine)).collect();
    fits.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(fits)
}

/// All labels, each once.
fn labels(args: &ClassifyArgs) -> Result<Vec<String>, CliError> {
    let mut labels = args.labels.clone();
    if let Some(path) = &args.labels_from {
        let text = if path == Path::new("-") {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(path)
        };
        let text =
            text.map_err(|e| CliError::Failed(format!("{}: cannot read labels: {e}", path_text(path))))?;
        labels.extend(text.lines().map(str::to_owned));
    }
    let mut seen = std::collections::HashSet::new();
    let labels = labels.iter().map(|label| label.trim().to_owned());
    let labels: Vec<String> =
        labels.filter(|label| !label.is_empty() && seen.insert(label.clone())).collect();
    if labels.is_empty() {
        return Err(CliError::Usage("there is no label: give some with --labels or --labels-from".into()));
    }
    Ok(labels)
}
