//! Where the lines of a chat come from: an editor on a terminal, otherwise standard input as it is.

use std::io::{BufRead, ErrorKind, IsTerminal};
use std::path::Path;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use zoo_terminal::CliError;

/// Lines that are remembered from chat to chat.
const REMEMBERED: usize = 1000;
/// What editors of Windows write before a text.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// A line.
    Line(String),
    /// A line that is no text; what to say.
    Unreadable(String),
}

/// A source of lines.
pub enum Lines {
    /// With editing and a history that is kept in a file.
    Edited {
        /// The editor.
        editor: Box<Editor<(), FileHistory>>,
        /// The history's file.
        history: std::path::PathBuf,
    },
    /// One after the other; the number of the last one.
    Plain(usize),
}

impl Lines {
    /// An editor if both sides are a terminal; its history lies in `folder`.
    pub fn open(folder: &Path) -> Result<Self, CliError> {
        if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            return Ok(Self::Plain(0));
        }
        let fail = |error: ReadlineError| CliError::Failed(format!("this terminal cannot be used: {error}"));
        let config =
            Config::builder().max_history_size(REMEMBERED).map_err(fail)?.auto_add_history(true).build();
        let mut editor = Editor::with_config(config).map_err(fail)?;
        let history = folder.join("chat-history");
        // The first chat has none.
        let _ = editor.load_history(&history);
        Ok(Self::Edited { editor: Box::new(editor), history })
    }

    /// Whether somebody types.
    pub fn typed(&self) -> bool {
        matches!(self, Self::Edited { .. })
    }

    /// The next line; none at the end. Ctrl-C gives an empty one.
    pub fn next(&mut self) -> Result<Option<Typed>, CliError> {
        match self {
            Self::Edited { editor, .. } => match editor.readline("> ") {
                Ok(line) => Ok(Some(Typed::Line(line))),
                Err(ReadlineError::Interrupted) => Ok(Some(Typed::Line(String::new()))),
                Err(ReadlineError::Eof) => Ok(None),
                Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
                    Ok(Some(Typed::Unreadable(format!("this line cannot be read: {error}"))))
                }
                Err(error) => Err(CliError::Failed(format!("cannot read from the terminal: {error}"))),
            },
            Self::Plain(number) => {
                *number += 1;
                let line = line(&mut std::io::stdin().lock(), *number);
                line.map_err(|e| CliError::Failed(format!("cannot read standard input: {e}")))
            }
        }
    }
}

/// Line `number`, from 1, of `input`; none at the end. One that is no UTF-8 is no reason to lose the others.
fn line(input: &mut impl BufRead, number: usize) -> std::io::Result<Option<Typed>> {
    let mut bytes = Vec::new();
    if input.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    let bytes = match number {
        1 => bytes.strip_prefix(BOM).unwrap_or(&bytes),
        _ => &bytes,
    };
    Ok(Some(match std::str::from_utf8(bytes) {
        Ok(line) => Typed::Line(line.to_owned()),
        Err(error) => Typed::Unreadable(format!(
            "line {number} of standard input is not UTF-8 (byte {} of it); it was passed over",
            error.valid_up_to() + 1
        )),
    }))
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Self::Edited { editor, history } = self {
            // A history that cannot be kept is no reason to fail.
            let _ = history.parent().map(std::fs::create_dir_all);
            let _ = editor.save_history(history);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_text_is_one_line() {
        let mut input: &[u8] = b"\xef\xbb\xbfHi\r\nW\xe9\n\xef\xbb\xbfx\nlast";
        let mut lines = Vec::new();
        while let Some(line) = line(&mut input, lines.len() + 1).unwrap() {
            lines.push(line);
        }
        let text = |text: &str| Typed::Line(text.to_owned());
        assert_eq!([&lines[0], &lines[2], &lines[3]], [&text("Hi\r\n"), &text("\u{feff}x\n"), &text("last")]);
        let Typed::Unreadable(message) = &lines[1] else { panic!("{lines:?}") };
        assert!(message.contains("line 2") && message.contains("byte 2"), "{message}");
    }
}
