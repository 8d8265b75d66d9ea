//! [`Error`] on the wire: a code, one message, and the parts to build the same error again.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zoo_abi::{FfiError, code};

use crate::Error;
use crate::error::tensor_message;
use crate::weights::WeightsReport;

/// Longest message that a host takes over from a plugin, in bytes.
const LONGEST: usize = 16 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "snake_case")]
enum Detail {
    InvalidInput,
    Unsupported {
        what: String,
        ability: String,
    },
    Arch {
        id: String,
        message: String,
    },
    File {
        #[serde(with = "super::wire_path::one")]
        path: PathBuf,
        message: String,
    },
    Weights {
        files: String,
        layout: String,
        missing: Vec<String>,
        misshapen: Vec<String>,
        extra: Vec<String>,
    },
    Device {
        message: String,
    },
    Cancelled,
    Panic {
        plugin: String,
        location: String,
        message: String,
    },
    Tensor {
        message: String,
    },
    Faulty {
        plugin: String,
        what: String,
    },
    Internal {
        message: String,
    },
}

/// Writes an error onto the wire.
pub fn to_wire(error: Error) -> FfiError {
    let message = error.to_string();
    let (code, detail) = match error {
        Error::InvalidInput(_) => (code::INVALID_INPUT, Detail::InvalidInput),
        Error::Unsupported { what, ability } => (code::UNSUPPORTED, Detail::Unsupported { what, ability }),
        Error::Arch { id, message } => (code::INVALID_INPUT, Detail::Arch { id, message }),
        Error::File { path, message } => (code::INVALID_INPUT, Detail::File { path, message }),
        Error::Weights(report) => {
            let WeightsReport { files, layout, missing, misshapen, extra } = *report;
            (code::INVALID_INPUT, Detail::Weights { files, layout, missing, misshapen, extra })
        }
        Error::Device(message) => (code::DEVICE, Detail::Device { message }),
        Error::Cancelled => (code::CANCELLED, Detail::Cancelled),
        Error::Panic { plugin, location, message } => {
            (code::PANIC, Detail::Panic { plugin, location, message })
        }
        Error::Tensor(e) => (code::INTERNAL, Detail::Tensor { message: tensor_message(&e) }),
        Error::Faulty { plugin, what } => (code::INTERNAL, Detail::Faulty { plugin, what }),
        Error::Internal(message) => (code::INTERNAL, Detail::Internal { message }),
    };
    let detail_json = serde_json::to_string(&detail).unwrap_or_default().into();
    FfiError { code, message: message.into(), detail_json }
}

/// Reads an error from the wire. What cannot be read in parts is taken by its code and message.
pub fn from_wire(error: &FfiError) -> Error {
    let whole = || shorten(error.message.as_str());
    match serde_json::from_str(error.detail_json.as_str()) {
        Ok(Detail::InvalidInput) => Error::InvalidInput(whole()),
        Ok(Detail::Unsupported { what, ability }) => {
            Error::Unsupported { what: shorten(&what), ability: shorten(&ability) }
        }
        Ok(Detail::Arch { id, message }) => Error::Arch { id, message: shorten(&message) },
        Ok(Detail::File { path, message }) => Error::File { path, message: shorten(&message) },
        Ok(Detail::Weights { files, layout, missing, misshapen, extra }) => {
            WeightsReport { files, layout, missing, misshapen, extra }.into()
        }
        Ok(Detail::Device { message }) => Error::Device(shorten(&message)),
        Ok(Detail::Cancelled) => Error::Cancelled,
        Ok(Detail::Panic { plugin, location, message }) => {
            Error::Panic { plugin, location, message: shorten(&message) }
        }
        Ok(Detail::Tensor { message }) => Error::Tensor(candle_core::Error::Msg(shorten(&message))),
        Ok(Detail::Faulty { plugin, what }) => Error::Faulty { plugin, what: shorten(&what) },
        Ok(Detail::Internal { message }) => Error::Internal(shorten(&message)),
        Err(_) => match error.code {
            code::INVALID_INPUT => Error::InvalidInput(whole()),
            code::UNSUPPORTED => Error::unsupported("the plugin", whole()),
            code::OUT_OF_MEMORY | code::DEVICE => Error::Device(whole()),
            code::CANCELLED => Error::Cancelled,
            _ => Error::Internal(whole()),
        },
    }
}

fn shorten(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(LONGEST);
    format!("{}… (cut; {} bytes in all)", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_reads_the_same_on_the_other_side() {
        let report = WeightsReport {
            files: "a.safetensors".into(),
            layout: "hf".into(),
            missing: vec!["x".into()],
            ..Default::default()
        };
        let all: Vec<fn(WeightsReport) -> Error> = vec![
            |_| Error::invalid("odd"),
            |_| Error::unsupported("enc", "flying"),
            |_| Error::Arch { id: "a".into(), message: "no such key".into() },
            |_| Error::File { path: "/w".into(), message: "truncated".into() },
            Error::from,
            |_| Error::Device("lost".into()),
            |_| Error::Cancelled,
            |_| Error::Panic { plugin: "p".into(), location: "f:1".into(), message: "m".into() },
            |_| Error::Tensor(candle_core::Error::Msg("rank".into())),
            |_| Error::faulty("p", "no layers"),
            |_| Error::Internal("why".into()),
        ];
        for make in all {
            let (here, there) = (make(report.clone()), from_wire(&to_wire(make(report.clone()))));
            assert_eq!(here.to_string(), there.to_string());
            assert_eq!(std::mem::discriminant(&here), std::mem::discriminant(&there));
        }
    }

    #[test]
    fn foreign_errors_are_taken_by_code_and_cut() {
        let raw = |code, message: String| FfiError { code, message: message.into(), detail_json: "".into() };
        assert!(
            matches!(from_wire(&raw(code::INVALID_INPUT, "x".into())), Error::InvalidInput(m) if m == "x")
        );
        assert!(matches!(from_wire(&raw(code::CANCELLED, String::new())), Error::Cancelled));
        assert!(matches!(from_wire(&raw(99, "x".into())), Error::Internal(m) if m == "x"));
        let long = from_wire(&raw(code::INVALID_INPUT, "é".repeat(1 << 19))).to_string();
        assert!(long.len() < 17_000 && long.ends_with("(cut; 1048576 bytes in all)"), "{}", long.len());
    }
}
