//! `zoo chat` and `zoo ask` at a terminal: what is typed is edited and remembered, Ctrl-C ends an answer, Ctrl-D the
//! chat. Nothing here waits for a time: every step waits for what the program shows.

#![cfg(any(target_os = "linux", target_os = "macos"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "support/program.rs"]
mod program;
mod support;

use std::fs;

use program::{Sandbox, model};
use rexpect::process::WaitStatus;
use rexpect::session::{PtySession, spawn_command};
use serde_json::Value;

/// A program that shows nothing for so long hangs.
const HANGS: Option<u64> = Some(300_000);
/// What the line editor writes when it begins to read a line (bracketed paste on), and when it has one (off).
const BEGINS: &str = "\u{1b}[?2004h";
const READ: &str = "\u{1b}[?2004l";
/// The last word of the test harness before the program is heard.
const HARNESS: &str = "test program ... ";
const UP: &str = "\u{1b}[A";
const BACKSPACE: &str = "\u{7f}";
/// Some answers are over before they can be stopped.
const ATTEMPTS: usize = 10;

/// What the other tests run.
#[test]
fn program() {
    program::run();
}

fn start(place: &Sandbox, arguments: &[&str]) -> PtySession {
    let model = model();
    let all = [arguments, &["--model", &model]].concat();
    spawn_command(place.on_terminal(&all), HANGS)
        .expect("this test needs a pseudo-terminal: /dev/ptmx, and /dev/pts mounted")
}

/// A chat at its first prompt.
fn chat(place: &Sandbox, tokens: &str) -> PtySession {
    let mut terminal = start(place, &["chat", "--overwrite", "--max-new-tokens", tokens]);
    terminal.exp_string(BEGINS).unwrap();
    terminal
}

fn press(terminal: &mut PtySession, keys: &str) {
    terminal.send(keys).unwrap();
    terminal.flush().unwrap();
}

/// Types a line, and waits for the next prompt.
fn say(terminal: &mut PtySession, line: &str) {
    press(terminal, &format!("{line}\r"));
    terminal.exp_string(READ).unwrap();
    terminal.exp_string(BEGINS).unwrap();
}

/// Ends a chat at its prompt.
fn end(mut terminal: PtySession) {
    terminal.send_control('d').unwrap();
    terminal.exp_eof().unwrap();
    assert_eq!(code(&terminal), 0);
}

fn code(terminal: &PtySession) -> i32 {
    match terminal.process().wait().unwrap() {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

/// What was said so far, questions and answers in turn.
fn said(place: &Sandbox, terminal: &mut PtySession) -> Vec<String> {
    press(terminal, "/save said.json\r");
    terminal.exp_regex("turns? in said.json").unwrap();
    terminal.exp_string(BEGINS).unwrap();
    let saved: Value = serde_json::from_str(&fs::read_to_string(place.path("said.json")).unwrap()).unwrap();
    let turns = saved[0]["conversations"].as_array().unwrap();
    turns.iter().map(|turn| turn["value"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn lines_are_edited_and_remembered() {
    let place = Sandbox::new(&support::CAMBRIAN);
    let mut terminal = chat(&place, "2");
    say(&mut terminal, &format!("Whx{BACKSPACE}y?"));
    say(&mut terminal, "Who?");
    // Two lines back, and changed.
    say(&mut terminal, &format!("{UP}{UP}{BACKSPACE} not?"));
    let lines = said(&place, &mut terminal);
    assert_eq!([&lines[0], &lines[2], &lines[4]], ["Why?", "Who?", "Why not?"]);
    end(terminal);

    // The next chat remembers: the last line was `/save`.
    let mut terminal = chat(&place, "2");
    say(&mut terminal, &format!("{UP}{UP}"));
    assert_eq!(said(&place, &mut terminal)[0], "Why not?");
    end(terminal);
}

#[test]
fn ctrl_c_at_the_prompt_forgets_the_line_and_ctrl_d_ends_the_chat() {
    let place = Sandbox::new(&support::CAMBRIAN);
    let mut terminal = chat(&place, "2");
    press(&mut terminal, "Never mi");
    terminal.exp_string("mi").unwrap();
    terminal.send_control('c').unwrap();
    terminal.exp_string(BEGINS).unwrap();
    say(&mut terminal, "Who?");
    assert_eq!(said(&place, &mut terminal)[0], "Who?");
    end(terminal);
}

#[test]
fn ctrl_c_during_an_answer_returns_to_the_prompt() {
    let place = Sandbox::new(&support::CAMBRIAN);
    let long = "1500";
    let model = model();
    let asked = place.json_with(&["ask", "Why?", "--model", &model, "--max-new-tokens", long], 0);
    let whole = asked["answers"][0]["answer"].as_str().unwrap();
    let mut terminal = chat(&place, long);
    let mut stopped = false;
    for _ in 0..ATTEMPTS {
        press(&mut terminal, "Why?\r");
        terminal.exp_string(READ).unwrap();
        // The beginning of the answer.
        terminal.exp_regex("[^\\s\u{1b}]").unwrap();
        terminal.send_control('c').unwrap();
        // Where the answer was over already, this is the prompt that Ctrl-C then repeats.
        terminal.exp_string(BEGINS).unwrap();
        let lines = said(&place, &mut terminal);
        // A character of several tokens may have lacked the last ones.
        let answer = lines[1].trim_end_matches(char::REPLACEMENT_CHARACTER);
        assert!(whole.starts_with(answer), "{answer:?} is not the beginning of {whole:?}");
        stopped = answer.len() < whole.len();
        if stopped {
            break;
        }
        say(&mut terminal, "/reset");
    }
    assert!(stopped, "{ATTEMPTS} answers were written to their ends");
    // The chat goes on, with what was written.
    say(&mut terminal, "/reset");
    end(terminal);
}

/// All that a command shows at a terminal with these variables.
fn shown(place: &Sandbox, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = place.on_terminal(arguments);
    command.envs(variables.iter().copied());
    let mut terminal = spawn_command(command, HANGS).unwrap();
    terminal.exp_string(HARNESS).unwrap();
    terminal.exp_eof().unwrap()
}

#[test]
fn who_wants_plain_text_gets_no_colour_and_nothing_that_moves() {
    let place = Sandbox::new(&support::CAMBRIAN);
    place.image("photo.png", 40, 30);
    place.write("bad.toml", "version = 1\n\n[[encoder]]\nidd = \"x\"\n");
    let model = model();
    let escape = '\u{1b}';
    let wrong = ["check", "bad.toml"];
    let asked = ["ask", "photo.png", "Why?", "--model", &model, "--max-new-tokens", "2"];
    for line in [&wrong[..], &asked] {
        let colourful = shown(&place, line, &[]);
        assert!(colourful.contains(escape), "{colourful:?}");
        let plain = shown(&place, line, &[("TERM", "dumb")]);
        assert!(!plain.contains(escape), "{plain:?}");
    }
    let plain = shown(&place, &wrong, &[("NO_COLOR", "1")]);
    assert!(!plain.contains(escape) && plain.contains("idd"), "{plain:?}");
}

#[test]
fn a_dumb_terminal_has_a_chat_without_editing() {
    let place = Sandbox::new(&support::CAMBRIAN);
    let model = model();
    let mut command = place.on_terminal(&["chat", "--model", &model, "--max-new-tokens", "2"]);
    command.env("TERM", "dumb");
    let mut terminal = spawn_command(command, HANGS).unwrap();
    terminal.exp_string(HARNESS).unwrap();
    let mut all = terminal.exp_string("> ").unwrap();
    for line in ["/image none.png", "Why?"] {
        terminal.send_line(line).unwrap();
        all.push_str(&terminal.exp_string("\n> ").unwrap());
    }
    terminal.send_line("/quit").unwrap();
    all.push_str(&terminal.exp_eof().unwrap());
    assert!(all.contains("still about no image") && !all.contains('\u{1b}'), "{all:?}");
    assert_eq!(code(&terminal), 0);
}

#[test]
fn the_chosen_answer_has_a_line_of_its_own() {
    let place = Sandbox::new(&support::CAMBRIAN);
    let model = model();
    let all = shown(&place, &["ask", "Which?", "--model", &model, "--choices", "A, B"], &[("TERM", "dumb")]);
    let lines: Vec<&str> = all.lines().map(str::trim_end).collect();
    assert_eq!(lines.iter().filter(|line| ["A", "B"].contains(*line)).count(), 1, "{all:?}");
    assert_eq!(lines.iter().filter(|line| line.contains(" per token, ")).count(), 2, "{all:?}");
}

#[test]
fn ctrl_c_ends_the_answer_of_ask() {
    let place = Sandbox::new(&support::CAMBRIAN);
    let cancelled = (0..ATTEMPTS).any(|_| {
        let mut terminal = start(&place, &["ask", "Why?", "--max-new-tokens", "1500", "--quiet"]);
        terminal.exp_string(HARNESS).unwrap();
        terminal.exp_regex("[^\\s]").unwrap();
        terminal.send_control('c').unwrap();
        terminal.exp_eof().unwrap();
        match code(&terminal) {
            0 => false,
            code => {
                assert_eq!(code, 1);
                true
            }
        }
    });
    assert!(cancelled, "{ATTEMPTS} answers were written to their ends");
}
