//! Letters, words and yes or no: the strict reading, and the reference's primitives (`eval/` of Cambrian-1).

use super::Target;
use crate::text;

/// The letter of the option that a reply states: alone (`B`, `(B)`, `B.`, `**B**`), in front (`B. a cat`, `(B) a cat`,
/// `B: a cat`), after `answer is` or `answer:`, or as the text of exactly one option. Upper case.
pub fn stated(reply: &str, target: &Target) -> Option<char> {
    let is_option = |c: &char| target.letters().any(|letter| letter == c.to_ascii_uppercase());
    let reply = text::strip(reply);
    let by_text = || {
        let plain = |s: &str| text::collapsed(&text::without_punctuation(s)).to_lowercase();
        let mut equal = target.options.iter().zip('A'..).filter(|(option, _)| {
            let option = plain(option);
            !option.is_empty() && option == plain(reply)
        });
        let (_, letter) = equal.next()?;
        equal.next().is_none().then_some(letter)
    };
    let tail = match reply.to_ascii_lowercase().rfind("answer") {
        Some(at) => {
            let after = reply[at + "answer".len()..].trim_start_matches([' ', ':', '*']);
            let after = after.strip_prefix("is").unwrap_or(after);
            leading(after, true).filter(is_option)
        }
        None => None,
    };
    by_text().or(tail).or_else(|| leading(reply, false).filter(is_option)).map(|c| c.to_ascii_uppercase())
}

/// The letter that a text begins with and that is marked as one. `loose` lets any word border end it, which is right only
/// after words such as `answer is`: `A dog` begins with an article.
fn leading(text: &str, loose: bool) -> Option<char> {
    let opened = text.trim_start_matches([' ', ':', '*', '"', '\'', '`', '\n']);
    let bracket = opened.starts_with('(') || opened.starts_with('[');
    let mut rest = opened.trim_start_matches(['(', '[']).chars();
    let letter = rest.next().filter(char::is_ascii_alphabetic)?;
    let rest = rest.as_str();
    match rest.chars().next() {
        None => Some(letter),
        Some(')' | ']') => Some(letter),
        Some('.' | ':' | ',' | '*' | '\n' | '"' | '\'' | '`') if !bracket => Some(letter),
        Some(c) if loose && !bracket && !c.is_alphanumeric() => Some(letter),
        Some(c)
            if !bracket && text::is_space(c) && text::strip(rest).chars().all(|c| !c.is_alphanumeric()) =>
        {
            Some(letter)
        }
        _ => None,
    }
}

/// `yes` or `no`, if that is the first word.
pub(super) fn yes_no(reply: &str) -> Option<&'static str> {
    let first = text::words(reply).next()?.to_lowercase();
    match first.trim_matches(|c: char| !c.is_alphanumeric()) {
        "yes" => Some("yes"),
        "no" => Some("no"),
        _ => None,
    }
}

/// What follows the last occurrence of each keyword in turn, in lower case.
fn after_keywords(reply: &str) -> String {
    let lower = reply.to_lowercase();
    let mut rest = text::strip(&lower);
    for keyword in ["answer is", "answer is:", "answer:"] {
        rest = rest.rsplit(keyword).next().unwrap_or(rest);
    }
    text::strip(rest).to_owned()
}

/// The reference's answer to a multiple-choice question, uncut.
pub(super) fn mcq_uncut(reply: &str) -> String {
    let rest = after_keywords(reply);
    let rest = rest.trim_end_matches(['.', ':', ',']).trim_start_matches('(').trim_end_matches(')');
    rest.to_owned()
}

/// The reference's answer to a multiple-choice question: one character, or none. `answer is: B` leaves `:`, and any
/// text's first letter counts.
pub(super) fn mcq(reply: &str) -> String {
    mcq_uncut(reply).chars().take(1).collect()
}

/// The reference's answer to an open question.
pub(super) fn single(reply: &str) -> String {
    after_keywords(reply).trim_end_matches('.').to_owned()
}

/// The number of an option, for its letter or for itself.
pub(super) fn index(read: &str) -> Option<String> {
    match read {
        "a" => Some("0".into()),
        "b" => Some("1".into()),
        "c" => Some("2".into()),
        "d" => Some("3".into()),
        other => (!other.is_empty()).then(|| other.to_owned()),
    }
}

pub(super) fn science_qa(reply: &str, target: &Target) -> bool {
    let read = single(reply);
    let plain = |text: &str| text::strip(&text::without_punctuation(text).to_lowercase()).to_owned();
    let option = target.option().map(|option| text::strip(&option.to_lowercase()).to_owned());
    option.is_some_and(|option| plain(&option) == plain(&read))
        || read.split('.').next() == Some(target.expected().as_str())
}

pub(super) fn first_word(reply: &str) -> String {
    let lower = reply.to_lowercase();
    text::words(&lower).next().unwrap_or("").trim_end_matches(['.', ':', ',']).to_owned()
}

pub(super) fn exact(reply: &str) -> String {
    reply.to_lowercase().trim_end_matches('.').to_owned()
}

pub(super) fn before_dot(reply: &str) -> String {
    text::strip(&reply.split('.').next().unwrap_or("").to_lowercase()).to_owned()
}

pub(super) fn blink(reply: &str) -> String {
    let before = before_dot(reply);
    before.split(' ').next().unwrap_or("").trim_start_matches('(').trim_end_matches(')').to_owned()
}
