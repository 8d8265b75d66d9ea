//! VLMEvalKit's ways, without its judge model.

use std::sync::LazyLock;

use regex::Regex;

use super::{Target, free, numbers, vqa as evalai};
use crate::text::{self, digit};

const REFUSALS: [&str; 4] = [
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
];

/// The option that a reply names; `None` for none or several.
pub(super) fn mcq(reply: &str, target: &Target) -> Option<char> {
    static STATED: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)(?:correct\s+)?answer\s+is\s+\**([ABCD])\**").ok());
    if reply.contains("Failed to obtain answer via API") {
        return by_text(reply, target);
    }
    if REFUSALS.iter().any(|refusal| reply.contains(refusal)) {
        return None;
    }
    let spaced = reply.replace(['.', '(', ')', '[', ']', ',', ':', ';', '!', '*', '#', '{', '}'], " ");
    let words: Vec<&str> = text::words(&spaced).collect();
    let place = |c: char| words.iter().position(|word| word.chars().eq([c]));
    let found: Vec<(char, usize)> = target.letters().filter_map(|c| Some((c, place(c)?))).collect();
    match found.as_slice() {
        [(letter, at)] if at + 5 > words.len() => return Some(*letter),
        // A Z alone means none of them.
        [] if words.contains(&"Z") => return None,
        _ => {}
    }
    let stated = STATED.as_ref().and_then(|p| p.captures(reply)?.get(1)?.as_str().chars().next());
    let stated =
        stated.map(|c| c.to_ascii_uppercase()).filter(|c| target.letters().any(|letter| letter == *c));
    stated.or_else(|| by_text(reply, target))
}

/// The only option whose text occurs, unless the reply is longer than twice all options.
fn by_text(reply: &str, target: &Target) -> Option<char> {
    let reply = reply.to_lowercase();
    let length: usize = target.options.iter().map(|option| option.chars().count()).sum();
    if reply.chars().count() > 2 * length {
        return None;
    }
    let mut within =
        target.options.iter().zip('A'..).filter(|(option, _)| reply.contains(&option.to_lowercase()));
    let (_, letter) = within.next()?;
    within.next().is_none().then_some(letter)
}

/// VQA's punctuation, with this copy's rule for full stops and commas.
fn without_marks(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_digit = |c: &char| digit(*c).is_some();
    let comma_between = chars.windows(3).any(|w| is_digit(&w[0]) && w[1] == ',' && is_digit(&w[2]));
    let plain = evalai::without_marks(text, comma_between);
    let free = |beside: Option<char>| beside.is_none_or(|c| digit(c).is_none());
    evalai::dots_removed(&plain, |before, after| free(before) && free(after))
}

pub(super) fn yes_no(reply: &str) -> Option<&'static str> {
    let plain = without_marks(&reply.to_lowercase());
    let has = |wanted: &str| text::words(&plain).any(|word| word == wanted);
    match (has("yes"), has("no")) {
        (true, false) => Some("yes"),
        (false, true) => Some("no"),
        _ => None,
    }
}

fn normalised(text: &str) -> String {
    let plain = text.replace(['\n', '\t'], " ");
    evalai::by_words(&without_marks(text::strip(&plain)))
}

pub(super) fn vqa(reply: &str, answers: &[String]) -> f64 {
    let answers: Vec<String> = answers.iter().map(|answer| normalised(answer)).collect();
    evalai::agreement(&normalised(reply), &answers)
}

/// Any member counts where the right answer is written as a list.
pub(super) fn chartqa(reply: &str, right: &str) -> bool {
    let right = text::list(right).unwrap_or_else(|| vec![right.to_owned()]);
    right.iter().any(|right| numbers::relaxed_percent(reply, right))
}

pub(super) fn ocrbench(reply: &str, target: &Target) -> bool {
    free::contains(reply, target)
}
