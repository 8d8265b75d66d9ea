//! Where the lines of a chat come from: an editor on a terminal, otherwise standard input as it is.

use std::io::{BufRead, IsTerminal};
use std::path::Path;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use crate::report::CliError;

/// Lines that are remembered from chat to chat.
const REMEMBERED: usize = 1000;

/// A source of lines.
pub enum Lines {
    /// With editing and a history that is kept in a file.
    Edited {
        /// The editor.
        editor: Box<Editor<(), FileHistory>>,
        /// The history's file.
        history: std::path::PathBuf,
    },
    /// One after the other.
    Plain,
}

impl Lines {
    /// An editor if both sides are a terminal; its history lies in `folder`.
    pub fn open(folder: &Path) -> Result<Self, CliError> {
        if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            return Ok(Self::Plain);
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
    pub fn next(&mut self) -> Result<Option<String>, CliError> {
        match self {
            Self::Edited { editor, .. } => match editor.readline("> ") {
                Ok(line) => Ok(Some(line)),
                Err(ReadlineError::Interrupted) => Ok(Some(String::new())),
                Err(ReadlineError::Eof) => Ok(None),
                Err(error) => Err(CliError::Failed(format!("cannot read from the terminal: {error}"))),
            },
            Self::Plain => {
                let mut line = String::new();
                let read = std::io::stdin().lock().read_line(&mut line);
                let read = read.map_err(|e| CliError::Failed(format!("cannot read standard input: {e}")))?;
                Ok((read > 0).then_some(line))
            }
        }
    }
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
