//! Every kind of mistake in a registry file, with the whole message that it gives.
//!
//! `messages/cases.txt` holds the cases: a title, what is replaced in `messages/good.toml` (`-`) by what (`+`), and
//! the message. `BLESS=1 cargo test --release -p zoo-registry --test messages` writes the messages anew.

#![allow(clippy::expect_used, reason = "a broken case file should stop the test")]

use zoo_registry::Registry;

const GOOD: &str = include_str!("messages/good.toml");
const CASES: &str = include_str!("messages/cases.txt");

struct Case {
    title: String,
    from: String,
    to: String,
    message: String,
}

impl Case {
    fn read(text: &str) -> Self {
        let (title, rest) = text.split_once('\n').expect("a title");
        let (change, message) = rest.split_once("\n\n").expect("an empty line before the message");
        let side = |mark: char| {
            let lines = change.lines().filter_map(|line| line.strip_prefix(mark));
            lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
        };
        Self { title: title.into(), from: side('-'), to: side('+'), message: message.trim_end().into() }
    }

    fn message_now(&self) -> String {
        assert!(GOOD.contains(&self.from), "{}: `{}` is not in good.toml", self.title, self.from);
        match Registry::parse(&GOOD.replacen(&self.from, &self.to, 1), "my.toml") {
            Ok(_) => "accepted".into(),
            Err(error) => error.to_string(),
        }
    }

    fn write(&self, message: &str) -> String {
        let lines = |mark, text: &str| -> String {
            text.split('\n').map(|line| format!("{mark} {line}").trim_end().to_owned() + "\n").collect()
        };
        format!("## {}\n{}{}\n{message}\n", self.title, lines('-', &self.from), lines('+', &self.to))
    }
}

fn cases() -> Vec<Case> {
    let (_, text) = CASES.split_once("## ").expect("a case");
    text.split("\n## ").map(Case::read).collect()
}

#[test]
fn the_good_file_is_good() {
    Registry::parse(GOOD, "good.toml").unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn mistakes_give_these_messages() {
    let cases = cases();
    assert!(cases.len() > 60);
    if std::env::var_os("BLESS").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/messages/cases.txt");
        let text: Vec<_> = cases.iter().map(|case| case.write(&case.message_now())).collect();
        std::fs::write(file, text.join("\n")).expect("the source tree is writable");
        return;
    }
    let wrong = |case: &Case| {
        let got = case.message_now();
        (got != case.message).then(|| format!("{}:\n{got}\n\nexpected:\n{}", case.title, case.message))
    };
    let wrong: Vec<_> = cases.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
