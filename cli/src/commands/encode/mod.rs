//! `zoo encode`

mod report;
mod target;
mod told;

use serde_json::json;
use zoo_core::path_text;
use zoo_host::EyesRequest;
use zoo_pipeline::find::{Found, find, find_literal, list};
use zoo_pipeline::look::{Encoders, pixel_record, run_record};
use zoo_pipeline::write::{FolderSink, Form, OneFile, Opening, Setting, Sink};
use zoo_pipeline::{Control, Outcome, Reading, Watch as _, run as pipeline};

use self::report::{Written, ended, nothing, report};
use self::target::Target;
pub(super) use self::told::{Told, passed_over};
use super::session::request;
use crate::args::EncodeArgs;
use zoo_terminal::{CliError, Context, Report, interrupt, threads};

pub(super) fn run(args: &EncodeArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let target = Target::of(&args.out)?;
    if args.prefix && matches!(target, Target::File(_, Form::Npy)) {
        return Err(CliError::Usage("a .npy file holds one array; --prefix needs .safetensors".into()));
    }
    let mut request = request(&args.subject, args.prefix)?;
    if let EyesRequest::Encoder(request) = &mut request {
        request.vectors = args.pooled;
    }
    let Found { inputs, mut failures, passed } = named(args)?;
    passed_over(&passed, context);
    let told = Told::new(context, "encode", inputs.len() + failures.len());
    failures.iter().for_each(|failure| told.failed(failure));
    if inputs.is_empty() {
        told.finish();
        return Err(nothing(&failures, &passed));
    }
    target.check(&inputs, args.existing())?;

    let zoo = context.computing(&args.pixels)?;
    told.message("opening");
    let encoders = Encoders::open(&zoo, &request)?;
    let decode = encoders.decode_options(&args.pixels.orientation.decode_options());
    let mut common = run_record(&zoo);
    common.extend(pixel_record(&decode));
    let setting = Setting::new(encoders.identity().clone(), common);
    let threads = threads::allowed(context.global.threads).get();
    let reading = Reading::new(args.batch.get(), threads, decode);
    let go = |sink: &mut dyn Sink| {
        let control = Control { watch: &told, cancel: interrupt::flag() };
        let Outcome { end, failures } = pipeline(&inputs, &reading, &encoders, sink, &control);
        told.finish();
        (end, failures)
    };
    let (end, written) = match &target {
        Target::Folder(folder) => {
            let mut sink = FolderSink::open(folder, &inputs, setting, args.existing())?;
            let (end, more) = go(&mut sink);
            failures.extend(more);
            (end, Written::in_folder(folder, &sink))
        }
        Target::File(path, form) => match OneFile::open(path, *form, &inputs, setting, args.existing())? {
            Opening::Complete => {
                let text = format!("{}: complete already\n", path_text(path));
                return Ok(Report::new(text, json!({ "out": path_text(path), "complete": true })));
            }
            Opening::Wanted(mut sink) => {
                let earlier = sink.earlier();
                earlier.iter().for_each(|failure| told.failed(failure));
                failures.extend(earlier);
                let (end, more) = go(&mut *sink);
                failures.extend(more);
                Written::in_file(path, &mut sink, end)
            }
        },
    };
    match ended(end, &written, inputs.len()) {
        Some(error) => Err(error),
        None if written.is_empty() => Err(nothing(&failures, &passed)),
        None => Ok(report(encoders.eyes(), &written, &failures, &passed)),
    }
}

/// Everything that was named as an input: on the command line, where patterns mean something, then in lists.
fn named(args: &EncodeArgs) -> Result<Found, CliError> {
    let mut found = find(&args.inputs);
    for path in &args.files_from {
        let names = list(path).map_err(|error| CliError::Failed(error.to_string()))?;
        found.append(find_literal(&names));
    }
    Ok(found)
}
