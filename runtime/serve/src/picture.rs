//! The pictures of a request: `data:` URLs and plain base64, decoded as files are.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use zoo_preprocess::{DecodeOptions, Decoded};

use crate::Failure;

/// A decoded picture, and what tells it from others.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Its pixels.
    pub decoded: Arc<Decoded>,
    /// SHA-256 of its file.
    pub digest: [u8; 32],
}

/// A picture as a request holds it: its place there, and the text that [`bytes`] reads.
pub type Written<'r> = (String, &'r str);

/// The bytes of the file that `text` is: `data:image/png;base64,…`, or the base64 alone. `place` names it in messages.
///
/// # Errors
/// [`Failure::request`]: an address, as nothing is fetched here, and what is no base64.
pub fn bytes(text: &str, place: &str) -> Result<Vec<u8>, Failure> {
    let wrong = |what: &str| Err(Failure::request(place, format!("{place}: {what}")));
    let encoded = match text.split_once(':') {
        Some(("data", rest)) => match rest.split_once(',') {
            Some((kind, encoded)) if kind.ends_with(";base64") => encoded,
            _ => return wrong("a `data:` URL of a picture reads `data:image/png;base64,…`"),
        },
        Some((scheme, rest)) if rest.starts_with("//") => {
            return wrong(&format!(
                "`{scheme}` addresses are not fetched by this server; send the picture itself, as \
                 `data:image/png;base64,…`"
            ));
        }
        _ => text,
    };
    match STANDARD.decode(encoded.trim()) {
        Ok(bytes) if bytes.is_empty() => wrong("there are no bytes"),
        Ok(bytes) => Ok(bytes),
        Err(error) => wrong(&format!("no base64: {error}")),
    }
}

/// Decodes the file `bytes`, on the calling thread.
///
/// # Errors
/// [`Failure::request`] with what the decoder says: no picture, too many pixels, damage.
pub fn decode(bytes: &[u8], place: &str, options: &DecodeOptions) -> Result<Picture, Failure> {
    let decoded = zoo_preprocess::decode(bytes, place, options)
        .map_err(|error| Failure::request(place, error.to_string()))?;
    Ok(Picture { decoded: Arc::new(decoded), digest: Sha256::digest(bytes).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[u8], &str>) {
        match (bytes(text, "image"), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(failure), Err(part)) => {
                assert!(
                    failure.message.starts_with("image: ") && failure.message.contains(part),
                    "{failure}"
                );
            }
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn pictures_come_as_data_and_never_by_address() {
        check("data:image/png;base64,AAEC", Ok(&[0, 1, 2]));
        check("AAEC\n", Ok(&[0, 1, 2]));
        check("data:image/png,abc", Err("reads `data:image/png;base64"));
        check("https://example.org/a.png", Err("`https` addresses are not fetched"));
        check("file:///etc/passwd", Err("`file` addresses are not fetched"));
        check("data:image/png;base64,", Err("no bytes"));
        check("a cat", Err("no base64"));
    }
}
