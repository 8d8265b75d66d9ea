//! What a line of a chat means.

use std::path::PathBuf;

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Nothing.
    Empty,
    /// For the model.
    Question(String),
    /// `/image PATH`.
    Image(PathBuf),
    /// `/reset`.
    Reset,
    /// `/save FILE`.
    Save(PathBuf),
    /// `/help`.
    Help,
    /// `/quit`.
    Quit,
    /// A command that is none, or lacks something; what to say.
    Wrong(String),
}

/// What `/help` says.
pub const HELP: &str = "\
/image PATH  show another image, and begin anew about it
/reset       begin anew, about the same image
/save FILE   write the conversation: text, or with .json as a record of a data set
/quit        end (as Ctrl-D does); Ctrl-C stops an answer";

impl Line {
    /// Reads a line. A question may begin with a slash if it is doubled.
    pub fn read(line: &str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Empty;
        }
        let Some(command) = line.strip_prefix('/') else { return Self::Question(line.to_owned()) };
        if command.starts_with('/') {
            return Self::Question(command.to_owned());
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        let path = || from_home(rest.trim_matches(['"', '\'']));
        match (name, rest.is_empty()) {
            ("image", false) => Self::Image(path()),
            ("save", false) => Self::Save(path()),
            ("image" | "save", true) => Self::Wrong(format!("/{name} needs a file")),
            ("reset", true) => Self::Reset,
            ("help", true) => Self::Help,
            ("quit" | "exit", true) => Self::Quit,
            ("reset" | "help" | "quit" | "exit", false) => {
                Self::Wrong(format!("/{name} stands alone; what is `{rest}`?"))
            }
            _ => Self::Wrong(format!(
                "there is no command /{name}; /help lists them, and // begins a question with a slash"
            )),
        }
    }
}

/// A path as shells read it: `~` is the home folder.
fn from_home(path: &str) -> PathBuf {
    match (path.strip_prefix('~'), std::env::home_dir()) {
        (Some(""), Some(home)) => home,
        (Some(rest), Some(home)) if rest.starts_with(['/', '\\']) => home.join(&rest[1..]),
        _ => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_questions_or_commands() {
        for (line, expected) in [
            ("", Line::Empty),
            ("  \t", Line::Empty),
            (" What? ", Line::Question("What?".into())),
            ("//etc is what?", Line::Question("/etc is what?".into())),
            ("/image a b.png", Line::Image("a b.png".into())),
            ("/image \"a b.png\"", Line::Image("a b.png".into())),
            ("/save x.json", Line::Save("x.json".into())),
            ("/image ~x/y.png", Line::Image("~x/y.png".into())),
            ("/image ~/y z.png", Line::Image(std::env::home_dir().unwrap().join("y z.png"))),
            ("/save '~/y.md'", Line::Save(std::env::home_dir().unwrap().join("y.md"))),
            ("/reset", Line::Reset),
            ("/help", Line::Help),
            ("/quit", Line::Quit),
        ] {
            assert_eq!(Line::read(line), expected, "{line:?}");
        }
        for (line, part) in [
            ("/image", "needs a file"),
            ("/reset now", "stands alone"),
            ("/imagine x", "no command /imagine"),
        ] {
            let Line::Wrong(message) = Line::read(line) else { panic!("{line}") };
            assert!(message.contains(part), "{message}");
        }
    }
}
