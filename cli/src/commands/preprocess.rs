//! `zoo preprocess`

use serde_json::json;
use zoo_preprocess::DecodeOptions;

use super::session::{decode_options, pixel_metadata, resize_mode};
use crate::args::PreprocessArgs;
use crate::context::Context;
use crate::output::{Plain, write_safetensors};
use crate::report::{CliError, Report};

pub(super) fn run(args: &PreprocessArgs, context: &Context<'_>) -> Result<Report, CliError> {
    if args.out.extension().is_none_or(|e| e != "safetensors") {
        return Err(CliError::Usage(format!("--out {}: give a name in .safetensors", args.out.display())));
    }
    let zoo = context.zoo()?;
    let selection = zoo.registry().select(&args.encoder).map_err(zoo_host::HostError::from)?;
    let pipeline = selection.row.preprocess_at(args.resolution.unwrap_or(selection.resolution));

    let reduce_for = args.pixels.fast_resize.then_some(pipeline.size);
    let options = DecodeOptions { reduce_for, ..decode_options(&args.pixels.orientation) };
    let decoded = zoo_preprocess::open(&args.image, &options).map_err(zoo_host::HostError::from)?;
    let prepared = zoo_preprocess::prepare(&decoded, &pipeline).map_err(zoo_host::HostError::from)?;

    let shape = vec![1, 3, prepared.side(), prepared.side()];
    let mut metadata = pixel_metadata(&args.pixels.orientation);
    metadata.insert("resize".into(), resize_mode(decoded.reduction > 1));
    metadata.insert("encoder".into(), selection.row.id.clone().into());
    metadata.insert("preprocess".into(), json!(pipeline));
    metadata.insert("inputs".into(), json!([args.image.display().to_string()]));
    metadata.insert("image_sizes".into(), json!([decoded.size]));
    metadata.insert("notes".into(), json!(decoded.notes.iter().map(ToString::to_string).collect::<Vec<_>>()));
    let tensor = Plain::F32("pixels".to_owned(), shape.clone(), prepared.pixels().to_vec());
    write_safetensors(&args.out, &mut [tensor], &metadata)?;

    let text = format!("{}: pixels {shape:?} for {}\n", args.out.display(), selection.row.id);
    let json = json!({ "out": args.out, "tensors": { "pixels": shape }, "metadata": metadata });
    Ok(Report::new(text, json))
}
