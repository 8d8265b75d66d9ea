//! What the commands that compare vectors share.

use std::path::PathBuf;

use zoo_host::{EncoderRequest, EyesRequest};
use zoo_pipeline::look::Seen;
use zoo_pipeline::read::Item;
use zoo_pipeline::write::Sink;
use zoo_pipeline::{End, Failure, WriteError};
use zoo_terminal::CliError;
use zoo_terminal::interrupt::STOPPED;

/// An encoder that gives one vector for each image.
pub(super) fn request(id: &str, weights: Option<&PathBuf>) -> EncoderRequest {
    EncoderRequest { weights: weights.cloned(), vectors: true, ..EncoderRequest::new(id) }
}

/// The same, by itself.
pub(super) fn eyes(request: &EncoderRequest) -> EyesRequest {
    EyesRequest::Encoder(request.clone())
}

/// Keeps the vectors of a few pictures in memory.
#[derive(Default)]
pub(super) struct Kept {
    /// Name of the picture, and its vector as the encoder made it.
    pub vectors: Vec<(String, Vec<f32>)>,
}

impl Sink for Kept {
    fn put(&mut self, items: &[Item], seen: Seen) -> Result<Vec<(usize, Failure)>, WriteError> {
        for (row, item) in items.iter().enumerate() {
            let vector = seen.tensors.first().map_or(&[][..], |rows| rows.row(row));
            self.vectors.push((item.name.clone(), vector.to_vec()));
        }
        Ok(Vec::new())
    }
}

/// Why a run ended before its end, if it did; `kept` says what became of what was done.
pub(super) fn ended(end: End, kept: &str) -> Result<(), CliError> {
    let (why, code) = match end {
        End::Complete => return Ok(()),
        End::Cancelled => ("stopped by a signal".to_owned(), STOPPED),
        End::Stopped(error) => (error.to_string(), 1),
    };
    let message = format!("{why}; {kept}");
    Err(CliError::Ended { message, json: serde_json::Value::Null, code })
}
