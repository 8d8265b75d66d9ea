//! What TensorBoard reads: one file of scalars (`tensorboard/events.out.tfevents.…`).
//!
//! The file is a function of the log: a run that goes on writes it anew from what the log kept, so that no step that was
//! done twice stands there twice. Records are framed as TensorFlow frames them: length, its checksum, the message of
//! `event.proto`, its checksum.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use prost::Message;

use super::log::Step;
use crate::{Error, Result};

const FOLDER: &str = "tensorboard";
const FRONT: &str = "events.out.tfevents.";

/// `tensorflow.Event`, as far as it is written here.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The file.
pub(super) struct Events {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Events {
    /// Begins the file of the run in `out` with the steps that it did before.
    pub fn open(out: &Path, before: &[Step]) -> Result<Self> {
        let folder = out.join(FOLDER);
        fs::create_dir_all(&folder).map_err(Error::io(&folder, "cannot make the folder"))?;
        let entries = fs::read_dir(&folder).map_err(Error::io(&folder, "cannot read the folder"))?;
        let old = entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(FRONT));
        for path in old.map(|entry| entry.path()) {
            fs::remove_file(&path).map_err(Error::io(&path, "cannot replace"))?;
        }
        let begun = before.first().map_or_else(super::log::now, |step| step.time);
        let path = folder.join(format!("{FRONT}{begun:010.0}.zoo"));
        let file = File::create(&path).map_err(Error::io(&path, "cannot write"))?;
        let mut events = Self { path, file: BufWriter::new(file) };
        let version = Some("brain.Event:2".to_owned());
        events.write(&Event { wall_time: begun, step: 0, file_version: version, summary: None })?;
        before.iter().try_for_each(|step| events.step(step))?;
        Ok(events)
    }

    /// A step is done.
    pub fn step(&mut self, step: &Step) -> Result<()> {
        let mut value = Vec::new();
        let mut scalar = |tag: String, x: f64| value.push(Value { tag, simple_value: Some(x as f32) });
        if let Some(loss) = step.loss {
            scalar("train/loss".into(), loss);
        }
        scalar("train/gradient_norm".into(), step.gradient_norm);
        for (group, rate) in &step.rates {
            scalar(format!("rate/{group}"), *rate);
        }
        let seconds = step.seconds.max(1e-9);
        scalar("speed/tokens_per_second".into(), step.tokens as f64 / seconds);
        scalar("speed/samples_per_second".into(), step.samples as f64 / seconds);
        let summary = Some(Summary { value });
        self.write(&Event { wall_time: step.time, step: step.step as i64, file_version: None, summary })
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        let record = framed(&event.encode_to_vec());
        let write = |file: &mut BufWriter<File>| file.write_all(&record).and_then(|()| file.flush());
        write(&mut self.file).map_err(Error::io(&self.path, "cannot write"))
    }
}

/// A record of a TFRecord file.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut out = length.to_vec();
    out.extend(masked(&length).to_le_bytes());
    out.extend(message);
    out.extend(masked(message).to_le_bytes());
    out
}

/// The checksum of TFRecord files, which hides that it is one from checksums of the whole.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_framed_as_tensorflow_frames_them() {
        let event = Event { wall_time: 1.5, step: 3, file_version: None, summary: None };
        let hex: String = framed(&event.encode_to_vec()).iter().map(|b| format!("{b:02x}")).collect();
        // `masked_crc32c` of TensorBoard's package around what `struct.pack` gives.
        assert_eq!(hex, "0b000000000000008615f50409000000000000f83f1003778df7f6");
    }
}
