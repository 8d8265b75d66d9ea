//! `zoo explain`

use serde_json::{Map, Value, json};
use zoo_core::path_text;
use zoo_host::{Explanation, HostError, LayerSite, Look};
use zoo_language::generate::{Control, Trimmed};
use zoo_pipeline::write;

use super::ask::written;
use super::model::{begin, metadata, sensible};
use super::picture;
use super::session::named;
use crate::args::{ExplainArgs, PixelArgs};
use crate::view::looks::{LayerLook, Looks, draw};
use zoo_terminal::{CliError, Context, ModelPhases, Report, interrupt, open_model};

pub(super) fn run(args: &ExplainArgs, context: &Context<'_>) -> Result<Report, CliError> {
    named("--out", &args.out, "png")?;
    let replace = args.overwrite.replace();
    write::free(&args.out, replace)?;
    sensible(&args.talk.answer)?;
    let decoded = picture::open(&args.image, &args.talk.model.orientation, context)?;
    let notes = picture::notes(&decoded);
    let zoo = context.computing(&PixelArgs::default())?;
    let session = open_model(&zoo, &args.talk.model, context)?;
    let mut conversation = begin(args.talk.system.as_deref());
    conversation.ask_about_image(&args.question).map_err(HostError::from)?;

    let mut text = Trimmed::default();
    let mut piece = |piece: &str| context.stream(text.push(piece));
    let control = Control { cancel: interrupt::flag(), piece: &mut piece };
    let options = args.talk.answer.over(session.defaults());
    let explanation =
        session.explain(&conversation, &decoded, &options, &ModelPhases::new(context), control)?;
    context.stream("\n");

    let picture = draw(&Looks {
        title: args.question.clone(),
        subtitle: format!("{} · {}", session.id(), explanation.generated.text.trim().replace('\n', " ")),
        image_name: args.image.file_name().map(path_text).unwrap_or_default().into_owned(),
        image: decoded.image,
        encoders: explanation.encoders.clone(),
        layers: explanation.looks.iter().map(|look| layer(look, &explanation)).collect(),
        untrained: session.untrained(),
    });
    write::file(&args.out, replace, |writer| {
        let encoder = image::codecs::png::PngEncoder::new(writer);
        picture.write_with_encoder(encoder).map_err(std::io::Error::other)
    })?;

    let (width, height) = picture.dimensions();
    let mut json = metadata(&session);
    let answer = written(&explanation.generated);
    json["question"] = args.question.as_str().into();
    json["answer"] = answer["answer"].clone();
    json["finish"] = answer["finish"].clone();
    json["connector"] = explanation.connector.as_str().into();
    json["layers"] = explanation.looks.iter().map(|look| numbers(look, &explanation.encoders)).collect();
    json["notes"] = notes;
    json["out"] = json!(path_text(&args.out));
    json["size"] = json!([width, height]);
    Ok(Report::new(format!("{}: {width} × {height} px\n", path_text(&args.out)), json))
}

fn layer(look: &Look, explanation: &Explanation) -> LayerLook {
    let depth = explanation.looks.iter().filter(|l| matches!(l.place, LayerSite::Before { .. })).count();
    let index = explanation.looks.iter().position(|l| l.place == look.place).unwrap_or(0);
    let [first, second] = match look.place {
        LayerSite::Before { .. } => {
            ["before the language model".to_owned(), format!("layer {} of {depth}", index + 1)]
        }
        LayerSite::Inside { after } => {
            ["inside the language model".to_owned(), format!("after decoder layer {after}")]
        }
    };
    LayerLook {
        labels: [first, second],
        grid: look.grid,
        region: look.region.clone(),
        shares: look.shares.clone(),
    }
}

/// A layer for programs: where it stands, and by encoder the mean share and the share of each cell, in rows.
fn numbers(look: &Look, encoders: &[String]) -> Value {
    let columns = look.region.cols.len().max(1);
    let by_encoder = |values: Vec<Value>| encoders.iter().cloned().zip(values).collect::<Map<_, _>>();
    let mut json = json!(look.place);
    json["grid"] = json!([look.grid.h, look.grid.w]);
    json["rows"] = json!([look.region.rows.start, look.region.rows.end]);
    json["columns"] = json!([look.region.cols.start, look.region.cols.end]);
    json["mean"] = by_encoder(look.means().into_iter().map(|mean| json!(mean)).collect()).into();
    let cells = look.shares.iter().map(|shares| json!(shares.chunks(columns).collect::<Vec<_>>()));
    json["shares"] = by_encoder(cells.collect()).into();
    json
}
