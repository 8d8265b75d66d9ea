//! What was typed for `ask` and `trace`: images, and a question that must not be one.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use zoo_core::path_text;
use zoo_terminal::CliError;

/// Ends of the names of images, whether they can be read here or not.
const IMAGES: [&str; 20] = [
    "jpg",
    "jpeg",
    "jpe",
    "jfif",
    "png",
    "apng",
    "webp",
    "gif",
    "bmp",
    "tif",
    "tiff",
    "heic",
    "heif",
    "avif",
    "jxl",
    "jp2",
    "svg",
    "pdf",
    "safetensors",
    "npy",
];

/// Images and question of a command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    /// As typed; none for a question on its own.
    pub images: &'a [OsString],
    /// The last argument.
    pub question: &'a str,
}

/// Takes the last of `inputs` for the question, unless it stands for an image.
///
/// # Errors
/// [`CliError::Usage`]: an answer to a path that was mistaken for a question would be about nothing.
pub(super) fn split(inputs: &[OsString], text_only: bool) -> Result<Asked<'_>, CliError> {
    let Some((last, images)) = inputs.split_last() else {
        return Err(CliError::Usage("there is no question".into()));
    };
    if let (true, [first, ..]) = (text_only, images) {
        return Err(CliError::Usage(format!(
            "--text-only takes the question alone, in quotes; what is `{}`?",
            path_text(first)
        )));
    }
    if let Some(why) = stands_for_image(last, images.is_empty()).filter(|_| !text_only) {
        let way_out = if images.is_empty() { "; --text-only if it is the question" } else { "" };
        return Err(CliError::Usage(format!(
            "`{}` {why}, and stands where the question should; the question comes last, in quotes{way_out}",
            path_text(last)
        )));
    }
    if let Some(url) = images.iter().find(|image| is_url(&image.to_string_lossy())) {
        return Err(CliError::Usage(format!(
            "`{}` is an address; images are read from files: fetch it first, and name the file",
            path_text(url)
        )));
    }
    match last.to_str() {
        Some(question) => Ok(Asked { images, question }),
        None => Err(CliError::Usage(format!("the question `{}` is not UTF-8 text", path_text(last)))),
    }
}

/// Why `text` is an image that was meant rather than a question, if it is. Among words, or behind images, a name with a
/// dot or a stroke may well be part of a question.
fn stands_for_image(text: &OsStr, alone: bool) -> Option<&'static str> {
    let path = Path::new(text);
    if path.is_file() {
        return Some("is a file");
    }
    if path.is_dir() {
        return Some("is a folder");
    }
    if text == "-" {
        return Some("is standard input");
    }
    let Some(text) = text.to_str() else { return Some("is a file name that is not UTF-8") };
    if is_url(text) {
        return Some("is an address");
    }
    let word = !text.contains(char::is_whitespace);
    if !word && !alone {
        return None;
    }
    if word && text.trim_end_matches(['?', '!', '.']).contains(['*', '?', '[', '{']) {
        return Some("is a pattern");
    }
    let named = path.extension().is_some_and(|e| IMAGES.iter().any(|image| e.eq_ignore_ascii_case(image)));
    let rooted =
        ["/", "./", "../", "~/", "\\\\"].iter().any(|start| text.starts_with(start)) || has_drive(text);
    // `day/night?` is a question.
    let inside = word && text.contains(['/', '\\']) && !text.ends_with('?');
    (named || rooted || inside).then_some("is a path at which there is nothing")
}

fn is_url(text: &str) -> bool {
    let scheme = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    text.split_once("://").is_some_and(|(name, _)| scheme(name)) || text.starts_with("data:image/")
}

/// `C:\` and `C:/`
fn has_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(inputs: &[&str]) -> Vec<OsString> {
        inputs.iter().map(OsString::from).collect()
    }

    #[track_caller]
    fn refused(inputs: &[&str], why: &str) {
        let inputs = words(inputs);
        let error = split(&inputs, false).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let error = error.to_string();
        assert!(error.contains(why) && error.contains("the question comes last"), "{inputs:?}: {error}");
        if let [alone] = inputs.as_slice() {
            assert!(error.contains("--text-only if it is the question"), "{error}");
            assert_eq!(split(std::slice::from_ref(alone), true).unwrap().question, alone.to_str().unwrap());
        }
    }

    #[test]
    fn what_was_meant_as_an_image_is_no_question() {
        let here = env!("CARGO_MANIFEST_DIR");
        let file = format!("{here}/Cargo.toml");
        for (inputs, why) in [
            (vec!["photo.jpg"], "is a path at which there is nothing"),
            (vec!["my photo.JPG"], "is a path"),
            (vec!["photos/cats"], "is a path"),
            (vec!["/no such folder/x"], "is a path"),
            (vec!["~/x"], "is a path"),
            (vec!["C:\\x y"], "is a path"),
            (vec!["photos\\x"], "is a path"),
            (vec!["a.png", "b.heic"], "is a path"),
            (vec![here], "is a folder"),
            (vec![file.as_str()], "is a file"),
            (vec!["a.png", file.as_str()], "is a file"),
            (vec!["*.png"], "is a pattern"),
            (vec!["a.png", "IMG_[0-9]"], "is a pattern"),
            (vec!["img?.x"], "is a pattern"),
            (vec!["https://example.org/a b"], "is an address"),
            (vec!["a.png", "file:///x"], "is an address"),
            (vec!["data:image/png;base64,AAAA"], "is an address"),
            (vec!["-"], "is standard input"),
        ] {
            refused(&inputs, why);
        }
    }

    #[test]
    fn plain_text_is_a_question() {
        for inputs in [
            vec!["Why?"],
            vec!["Hi"],
            vec!["Why is the sky blue?"],
            vec!["day/night?"],
            vec!["What does 3*4 give [roughly]?"],
            vec!["a.png", "Is it photo.jpg or photo.png"],
            vec!["a.png", "b.png", "/etc or /usr: which?"],
            vec!["a.png", "Which?!"],
        ] {
            let inputs = words(&inputs);
            let asked = split(&inputs, false).unwrap();
            assert_eq!(
                (asked.question, asked.images),
                (inputs.last().unwrap().to_str().unwrap(), &inputs[..inputs.len() - 1])
            );
        }
    }

    #[test]
    fn an_address_is_no_image() {
        let inputs = words(&["https://example.org/a.png", "What?"]);
        let error = split(&inputs, false).unwrap_err();
        assert!(error.to_string().contains("fetch it first"), "{error}");
    }
}
