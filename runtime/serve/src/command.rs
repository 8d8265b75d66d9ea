//! `zoo serve`

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use zoo_host::{EncoderRequest, EnsembleRequest, Eyes, EyesRequest, Zoo};
use zoo_terminal::args::PixelArgs;
use zoo_terminal::{CliError, Context, Report, interrupt, open_model, threads};

use crate::answering::Answerer;
use crate::app::{App, Limits};
use crate::args::{Cli, Command, ServeArgs};
use crate::looking::{Gathering, Looker};
use crate::measures::Measures;
use crate::server::{Ended, serve};

impl zoo_terminal::Program for Cli {
    fn global(&self) -> &zoo_terminal::args::Global {
        &self.global
    }

    fn command(&self, context: &Context<'_>) -> Result<Report, CliError> {
        let Command::Serve(args) = &self.command;
        run(args, context)
    }
}

fn run(args: &ServeArgs, context: &Context<'_>) -> Result<Report, CliError> {
    if args.no_model && args.encoder.is_empty() && args.ensemble.is_empty() {
        return Err(CliError::Usage(
            "--no-model leaves nothing to serve; give --encoder or --ensemble".into(),
        ));
    }
    if args.api_key.as_ref().is_some_and(|key| key.trim().is_empty()) {
        return Err(CliError::Usage(
            "the key is empty (--api-key, ZOO_API_KEY): anybody would have it".into(),
        ));
    }
    // A port that is taken is known at once; what is loaded takes minutes.
    let address = SocketAddr::new(args.host, args.port);
    let listen = |error| CliError::Failed(format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;

    let zoo = context.computing(&PixelArgs::default())?;
    let measures = Measures::default();
    let threads = |error: std::io::Error| CliError::Failed(format!("no thread to compute on: {error}"));
    let mut lookers: Vec<Looker> = Vec::new();
    for request in requests(args) {
        let eyes = open(&zoo, &request, context)?;
        if lookers.iter().any(|looker| looker.id() == eyes.id()) {
            return Err(CliError::Usage(format!("`{}` is asked for twice", eyes.id())));
        }
        let (most, places) = (args.batch.get(), args.queue.get());
        let gathering = Gathering { most, patience: Duration::from_millis(args.gather), places };
        lookers.push(Looker::start(eyes, gathering, measures.clone()).map_err(threads)?);
    }
    let answerer = match args.no_model {
        true => None,
        false => {
            let session = open_model(&zoo, &args.model, context)?;
            // Loaded now, or when it is first asked where memory is short.
            Some(Answerer::start(session, args.queue.get(), measures.clone()).map_err(threads)?)
        }
    };
    let app = Arc::new(App::new(answerer, lookers, limits(args, context), measures, args.api_key.clone()));
    if args.api_key.is_none() && !args.host.is_loopback() {
        context.note("warning: everybody who reaches this address may use it; give --api-key or ZOO_API_KEY");
    }
    context.note(&format!("listening on http://{address}"));
    let ended = serve(app, listener, interrupt::flag(), args.grace())
        .map_err(|error| CliError::Failed(format!("the server ended: {error}")))?;
    let text = match ended {
        Ended::Drained => String::new(),
        Ended::Cut => format!("answers that took longer than {} s were cut off\n", args.grace),
    };
    Ok(Report::new(text, json!({ "address": address.to_string(), "drained": ended == Ended::Drained })))
}

fn requests(args: &ServeArgs) -> Vec<EyesRequest> {
    let encoder = |id: &String| {
        // Class tokens cost nothing to keep, and somebody may ask for them.
        EyesRequest::Encoder(EncoderRequest { prefix: true, ..EncoderRequest::new(id.as_str()) })
    };
    let ensemble = |id: &String| EyesRequest::Ensemble(EnsembleRequest::new(id.as_str()));
    args.encoder.iter().map(encoder).chain(args.ensemble.iter().map(ensemble)).collect()
}

fn open(zoo: &Zoo, request: &EyesRequest, context: &Context<'_>) -> Result<Eyes, CliError> {
    let eyes = zoo.eyes(request)?;
    if eyes.untrained() {
        context.note(&format!(
            "warning: {} is UNTRAINED: its weights are random numbers from a fixed seed",
            eyes.id()
        ));
    }
    Ok(eyes)
}

fn limits(args: &ServeArgs, context: &Context<'_>) -> Limits {
    Limits {
        body: args.max_body.get() << 20,
        pictures: args.max_pictures.get(),
        tokens: args.max_tokens.get(),
        patience: Duration::from_secs(args.timeout.get() as u64),
        decoders: threads::allowed(context.global.threads).get(),
        decode: args.model.orientation.decode_options(),
    }
}
