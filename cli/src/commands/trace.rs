//! `zoo trace`

use std::path::Path;

use candle_core::{DType, Tensor};
use serde_json::json;
use zoo_core::path_text;
use zoo_host::HostError;
use zoo_pipeline::look::{pixel_record, resize_mode, run_record};
use zoo_pipeline::write::{Plain, free, write_safetensors};

use super::model::{begin, metadata};
use super::picture;
use super::question::{self, Asked};
use super::session::named;
use crate::args::{PixelArgs, TraceArgs};
use zoo_terminal::{CliError, Context, ModelPhases, Report, open_model};

pub(super) fn run(args: &TraceArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let Asked { images, question } = question::split(&args.inputs, args.text_only)?;
    named("--out", &args.out, "safetensors")?;
    let replace = args.overwrite.replace();
    free(&args.out, replace)?;
    let orientation = &args.model.orientation;
    let path = images.first().map(Path::new);
    let images: Vec<_> =
        path.map(|path| picture::open(path, orientation, context)).transpose()?.into_iter().collect();
    let notes = images.first().map(picture::notes);
    let zoo = context.computing(&PixelArgs::default())?;
    let session = open_model(&zoo, &args.model, context)?;

    let mut conversation = begin(args.system.as_deref());
    let asked = match path {
        Some(_) => conversation.ask_about_image(question),
        None => conversation.ask(question),
    };
    asked.map_err(HostError::from)?;
    let sight = session.look(&images, &ModelPhases::new(context))?;
    let trace = session.trace(&conversation, &sight)?;

    let tensors = [
        // Eight-byte elements first, so that everything is aligned.
        ("input_ids", &trace.input_ids),
        ("generated", &trace.generated),
        ("image_tokens", &trace.image_tokens),
        ("logits", &trace.logits),
    ];
    let mut files = Vec::new();
    for (name, tensor) in tensors {
        files.push(plain(name, tensor)?);
    }
    let mut recorded = pixel_record(&orientation.decode_options());
    recorded.insert("resize".into(), resize_mode(images.iter().any(|image| image.reduction > 1)));
    recorded.extend(run_record(&zoo));
    recorded.insert("model".into(), session.id().into());
    recorded.insert("template".into(), session.template().name.into());
    recorded.insert("question".into(), question.into());
    recorded.extend(notes.clone().map(|notes| ("notes".into(), notes)));
    recorded.insert("image".into(), json!(path.map(path_text)));
    write_safetensors(&args.out, replace, &mut files, &recorded)?;

    let shapes = tensors.map(|(name, tensor)| (name, tensor.dims().to_vec()));
    let mut text = format!("{}\n", path_text(&args.out));
    for (name, shape) in &shapes {
        text.push_str(&format!("  {name:<13} {shape:?}\n"));
    }
    let mut json = metadata(&session);
    json["notes"] = json!(notes);
    json["out"] = json!(path_text(&args.out));
    json["tensors"] = shapes.iter().map(|(name, shape)| ((*name).to_owned(), json!(shape))).collect();
    Ok(Report::new(text, json))
}

fn plain(name: &str, tensor: &Tensor) -> Result<Plain, CliError> {
    let read = || -> candle_core::Result<Plain> {
        let (name, shape, flat) = (name.to_owned(), tensor.dims().to_vec(), tensor.flatten_all()?);
        Ok(match tensor.dtype() {
            DType::I64 => Plain::I64(name, shape, flat.to_vec1()?),
            _ => Plain::F32(name, shape, flat.to_vec1()?),
        })
    };
    read().map_err(|e| HostError::from(e).into())
}
