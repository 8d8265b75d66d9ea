//! `zoo preprocess`

use serde_json::json;
use zoo_core::path_text;
use zoo_pipeline::look::{pixel_record, resize_mode};
use zoo_pipeline::write::{Plain, free, write_safetensors};
use zoo_preprocess::DecodeOptions;

use super::picture;
use super::session::named;
use crate::args::PreprocessArgs;
use zoo_terminal::{CliError, Context, Report};

pub(super) fn run(args: &PreprocessArgs, context: &Context<'_>) -> Result<Report, CliError> {
    named("--out", &args.out, "safetensors")?;
    let replace = args.overwrite.replace();
    free(&args.out, replace)?;
    let zoo = context.zoo()?;
    let selection = zoo.registry().select(&args.encoder).map_err(zoo_host::HostError::from)?;
    let pipeline = selection.row.preprocess_at(args.resolution.unwrap_or(selection.resolution));

    let reduce_for = args.pixels.fast_resize.then_some(pipeline.size);
    let options = DecodeOptions { reduce_for, ..args.pixels.orientation.decode_options() };
    let decoded = picture::open_with(&args.image, &options, context)?;
    let prepared = zoo_preprocess::prepare(&decoded, &pipeline).map_err(zoo_host::HostError::from)?;

    let shape = vec![1, 3, prepared.side(), prepared.side()];
    let mut metadata = pixel_record(&options);
    metadata.insert("resize".into(), resize_mode(decoded.reduction > 1));
    metadata.insert("encoder".into(), selection.row.id.clone().into());
    metadata.insert("preprocess".into(), json!(pipeline));
    metadata.insert("inputs".into(), json!([path_text(&args.image)]));
    metadata.insert("image_sizes".into(), json!([decoded.size]));
    metadata.insert("notes".into(), picture::notes(&decoded));
    let tensor = Plain::F32("pixels".to_owned(), shape.clone(), prepared.pixels().to_vec());
    write_safetensors(&args.out, replace, &mut [tensor], &metadata)?;

    let text = format!("{}: pixels {shape:?} for {}\n", path_text(&args.out), selection.row.id);
    let json = json!({
        "out": path_text(&args.out),
        "notes": picture::notes(&decoded),
        "tensors": { "pixels": shape },
        "metadata": metadata,
    });
    Ok(Report::new(text, json))
}
