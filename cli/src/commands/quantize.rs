//! `zoo quantize`

use std::io;
use std::sync::atomic::Ordering;

use serde_json::json;
use zoo_core::path_text;
use zoo_pipeline::write;

use crate::args::QuantizeArgs;
use zoo_terminal::table::bytes;
use zoo_terminal::{CliError, Context, Report, interrupt};

pub(super) fn run(args: &QuantizeArgs, context: &Context<'_>) -> Result<Report, CliError> {
    if args.out.extension().is_none_or(|e| !e.eq_ignore_ascii_case("gguf")) {
        return Err(CliError::Usage(format!(
            "--out {}: the file is a GGUF file; call it so, as in {}",
            path_text(&args.out),
            path_text(&args.out.with_extension("gguf"))
        )));
    }
    let replace = args.overwrite.replace();
    write::free(&args.out, replace)?;
    let export = context.zoo()?.export(&args.model, args.format)?;
    let stop = interrupt::flag();
    let progress = context.progress("quantize", export.weights());
    let written = write::file(&args.out, replace, |writer| {
        export.write(writer, |weights| {
            progress.advance(weights);
            if stop.load(Ordering::Relaxed) { Err(io::Error::other("stopped")) } else { Ok(()) }
        })
    });
    progress.finish();
    if written.is_err() && stop.load(Ordering::Relaxed) {
        let message = "stopped by a signal; nothing was written".to_owned();
        return Err(CliError::Ended { message, json: json!({}), code: interrupt::STOPPED });
    }
    written?;
    let size = std::fs::metadata(&args.out).map_err(|e| CliError::file(&args.out, e))?.len();
    let formats = export.formats();
    let parts: Vec<_> = formats.iter().map(|(name, weights)| format!("{name}: {weights}")).collect();
    let text = format!("{} ({}): weights in {}\n", path_text(&args.out), bytes(size), parts.join(", "));
    let json = json!({
        "model": path_text(&args.model), "type": args.format, "path": path_text(&args.out), "bytes": size, "weights": formats,
    });
    Ok(Report::new(text, json))
}
