//! `zoo view`

use candle_core::{IndexOp, Tensor};
use serde_json::json;
use zoo_core::path_text;
use zoo_host::{Encoded, EncoderSession, Eyes, HostError};
use zoo_pipeline::write;

use super::picture;
use super::session::{named, request, warning};
use crate::args::{PixelArgs, ViewArgs};
use crate::view::{AttentionView, EncoderView, View, draw};
use zoo_terminal::{CliError, Context, ModelPhases, Report};

pub(super) fn run(args: &ViewArgs, context: &Context<'_>) -> Result<Report, CliError> {
    named("--out", &args.out, "png")?;
    let replace = args.overwrite.replace();
    write::free(&args.out, replace)?;
    let request = request(&args.subject, false)?;
    let decoded = picture::open(&args.image, &args.orientation, context)?;
    let notes = picture::notes(&decoded);
    let zoo = context.computing(&PixelArgs::default())?;
    let eyes = zoo.eyes(&request)?;

    let image = decoded.image.clone();
    let (encoders, attention) = look(&eyes, decoded, context)?;
    let shares = attention.as_ref().map(|attention| {
        encoders
            .iter()
            .zip(&attention.shares)
            .map(|(e, s)| (e.id.clone(), json!(mean(s))))
            .collect::<serde_json::Map<_, _>>()
    });
    let view = View {
        title: eyes.id().to_owned(),
        image_name: args.image.file_name().map(path_text).unwrap_or_default().into_owned(),
        image,
        encoders,
        attention,
        untrained: eyes.untrained(),
    };
    let picture = draw(&view);
    write::file(&args.out, replace, |writer| {
        let encoder = image::codecs::png::PngEncoder::new(writer);
        picture.write_with_encoder(encoder).map_err(std::io::Error::other)
    })?;

    let (width, height) = picture.dimensions();
    let mut text = format!("{}: {width} × {height} px\n", path_text(&args.out));
    if let Some(warning) = warning(&eyes) {
        text.push_str(&format!("  {warning}\n"));
    }
    let encoders: Vec<_> = view
        .encoders
        .iter()
        .map(|e| json!({ "id": e.id, "grid": [e.grid.h, e.grid.w], "channels": e.channels, "layers": e.layers }))
        .collect();
    let json = json!({
        "out": path_text(&args.out),
        "notes": notes,
        "size": [width, height],
        "subject": eyes.id(),
        "encoders": encoders,
        "attention": shares,
        "untrained": eyes.untrained(),
    });
    Ok(Report::new(text, json))
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

fn look(
    eyes: &Eyes,
    image: zoo_preprocess::Decoded,
    context: &Context<'_>,
) -> Result<(Vec<EncoderView>, Option<AttentionView>), CliError> {
    let seen = eyes.look(&[image], &ModelPhases::new(context))?;
    let members = eyes.members().iter().zip(&seen.members);
    let encoders =
        members.map(|(member, encoded)| encoder_view(member, encoded)).collect::<Result<Vec<_>, _>>()?;
    let attention = match (&seen.fused, eyes.connector_descriptor()) {
        (Some(fused), Some(descriptor)) if !fused.attention.is_empty() => Some(AttentionView {
            connector: descriptor.id.clone(),
            grid: fused.grid,
            shares: fused.attention.iter().map(first).collect::<Result<_, _>>()?,
        }),
        _ => None,
    };
    Ok((encoders, attention))
}

fn encoder_view(session: &EncoderSession, seen: &Encoded) -> Result<EncoderView, CliError> {
    let layers = &session.descriptor().layers;
    let covered = seen.layers.last().map_or((0, 0), |(layer, grid)| {
        let stride = layers.get(*layer).map_or(1, |info| info.stride);
        (grid.h * stride, grid.w * stride)
    });
    Ok(EncoderView {
        id: session.label().to_owned(),
        tokens: first(&seen.tokens)?,
        grid: seen.grid,
        channels: seen.tokens.dims().last().copied().unwrap_or(0),
        layers: seen.layers.iter().map(|(layer, _)| *layer).collect(),
        seen: covered,
        preprocess: session.preprocess().clone(),
    })
}

/// The numbers of the first image.
fn first(tensor: &Tensor) -> Result<Vec<f32>, CliError> {
    let read = || Ok(tensor.i(0)?.flatten_all()?.to_vec1::<f32>()?);
    read().map_err(|e| CliError::Host(HostError::Core(e)))
}
