//! lmms-eval's ways (version 0.7.3), where they are not the reference's.

use std::sync::LazyLock;

use regex::Regex;

use super::Target;
use crate::text;

/// A pattern of this file; `None` only for one that is no pattern, which the tests would see.
fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

/// `str.upper()` of a letter: U+017F and U+212A count as the letters that they fold to when case is ignored, and then
/// stay what their upper case is.
fn letter(text: &str) -> Option<char> {
    text.chars().next()?.to_uppercase().next()
}

pub(super) fn cv_bench(reply: &str) -> Option<char> {
    static START: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"^(?i)[\(\s]*([A-Z])"));
    first_of(&START, reply)
}

/// BLINK's patterns, for each number of options.
struct BlinkPatterns {
    /// A line that is hardly more than a letter.
    bare: Option<Regex>,
    /// What follows `answer`. That no letter follows in turn is checked by hand: there is no look-ahead here.
    stated: [Option<Regex>; 3],
    parenthesised: Option<Regex>,
    leading: Option<Regex>,
}

static BLINK: LazyLock<Vec<BlinkPatterns>> = LazyLock::new(|| {
    let patterns = |last: char| BlinkPatterns {
        bare: pattern(&format!(r"^(?i)\(?([A-{last}])\)?[\.\s:,)]*$")),
        // From the longest beginning to the shortest, as backtracking takes them: the plural's s, or the i of `is`, may
        // themselves be the letter.
        stated: [r"answers?\s+is", "answers?", "answer"]
            .map(|start| pattern(&format!(r"^(?i){start}\s*[:\-]?\s*\(?([A-{last}])(?:\)|[^A-Za-z]|$)"))),
        parenthesised: pattern(&format!(r"\(([A-{last}])\)")),
        leading: pattern(&format!(r"^(?i)[\(\s]*([A-{last}])")),
    };
    ('A'..='Z').map(patterns).collect()
});

pub(super) fn blink(reply: &str, target: &Target) -> Option<char> {
    let patterns = BLINK.get(target.letters().count().checked_sub(1)?)?;
    let reply = text::strip(reply);
    let line = text::strip(reply.split('\n').next().unwrap_or(""));
    if line.chars().count() <= 4
        && let Some(found) = first_of(&patterns.bare, line)
    {
        return Some(found);
    }
    let lower = reply.to_ascii_lowercase();
    let mut last = None;
    let mut from = 0;
    while let Some(at) = lower[from..].find("answer").map(|at| at + from) {
        let groups = patterns.stated.iter().filter_map(|p| p.as_ref()?.captures(&reply[at..])?.get(1));
        match groups.into_iter().next() {
            Some(group) => {
                last = letter(group.as_str());
                from = at + group.end();
            }
            None => from = at + "answer".len(),
        }
    }
    let parenthesised =
        || letter(patterns.parenthesised.as_ref()?.captures_iter(reply).last()?.get(1)?.as_str());
    last.or_else(parenthesised).or_else(|| first_of(&patterns.leading, reply))
}

fn first_of(pattern: &Option<Regex>, text: &str) -> Option<char> {
    letter(pattern.as_ref()?.captures(text)?.get(1)?.as_str())
}

pub(super) fn mmvp(reply: &str) -> Option<char> {
    static PATTERNS: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
        let patterns = [
            r"^(?i)\s*\(?([AB])\)?\.?\s*$",
            r"^(?i)\s*\(?([AB])\)?[\.\s]",
            r"(?i)answer\s+is\s+\(?([AB])\)?",
            r"(?i)option\s+\(?([AB])\)?",
            r"(?i)\(?([AB])\)?(?:\s|$)",
        ];
        patterns.iter().map(|text| pattern(text)).collect()
    });
    let found = PATTERNS.iter().find_map(|p| p.as_ref()?.captures(reply)?.get(1)).map(|m| m.as_str());
    let start = || reply.chars().next().map(|c| c.to_ascii_uppercase()).filter(|c| matches!(c, 'A' | 'B'));
    found.and_then(letter).or_else(start)
}

/// `yes` or `no` among the first four characters, full stops not counted.
pub(super) fn mme(reply: &str) -> Option<&'static str> {
    let plain = text::strip(&reply.to_lowercase()).replace('.', "");
    let count = plain.chars().count();
    let head: String = plain.chars().take(4).collect();
    match plain.as_str() {
        "yes" | "y" => Some("yes"),
        "no" | "n" => Some("no"),
        _ if count == 1 => None,
        _ if head.contains("yes") => Some("yes"),
        _ if head.contains("no") => Some("no"),
        _ => None,
    }
}

/// Equal without case and ASCII punctuation.
pub(super) fn equal(reply: &str, right: &str) -> bool {
    let plain = |text: &str| text::without_punctuation(&text.to_lowercase());
    plain(reply) == plain(right)
}

pub(super) fn seed(reply: &str) -> String {
    let first: String = reply.chars().take(1).collect();
    text::strip(&first.to_lowercase()).to_owned()
}

/// The capital in front of a `.`, or everything.
pub(super) fn capital_or_all(reply: &str) -> String {
    let mut chars = reply.chars();
    match (chars.next(), chars.next()) {
        (Some(letter), Some('.')) if letter.is_ascii_uppercase() => letter.into(),
        _ => reply.to_owned(),
    }
}

pub(super) fn science_qa(reply: &str, right: &str) -> bool {
    if reply.to_lowercase() == right {
        return true;
    }
    let mut chars = reply.chars();
    matches!((chars.next(), chars.next()), (Some(c), Some('.')) if c.is_uppercase() && c.to_lowercase().to_string() == right)
}

pub(super) fn realworldqa(reply: &str, target: &Target) -> bool {
    let right = target.expected();
    let right = text::strip(&right);
    if matches!(right, "a" | "b" | "c" | "d") {
        return ranked(reply).is_some_and(|c| c.to_ascii_lowercase().to_string() == right);
    }
    reply.to_lowercase().trim_end_matches('.') == right
}

/// Phrases after which a letter is the answer. Longer ones that contain a shorter one count by themselves: where a phrase
/// occurs twice, it is the first place of each that is looked at.
#[rustfmt::skip]
const PHRASES: [&str; 27] = [
    "answer is", "the answer is", "my answer is",
    "correct answer is", "the correct answer is", "best answer is", "the best answer is",
    "correct option is", "the correct option is", "best option is", "the best option is",
    "choice is", "the choice is", "my choice is", "correct choice is", "the correct choice is",
    "i choose", "i select", "i pick",
    "옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは",
];

/// The answer among A to D by the form in which it stands: first at the start, then at the end, then after a phrase, then
/// `(A)`, `A.`, `A:`, `A)`, `A `, then anywhere; of equal forms the last one.
pub(super) fn ranked(reply: &str) -> Option<char> {
    let mut trimmed = reply;
    for mark in [',', '.', '!', '?', ';', ':', '\'', '"'] {
        trimmed = trimmed.trim_matches(mark);
    }
    // Places are counted in characters, as the phrases are sought in the lower-cased text, whose bytes may be others.
    let padded: Vec<char> = format!(" {trimmed} ").chars().collect();
    let lower: Vec<char> = padded.iter().collect::<String>().to_lowercase().chars().collect();
    let last = |needle: &[char]| find(&padded, needle, 0, true);
    let mut best: Option<((u8, usize), char)> = None;
    let mut offer = |rank: u8, at: Option<usize>, letter: char| {
        if let Some(at) = at
            && best.is_none_or(|(known, _)| (rank, at) > known)
        {
            best = Some(((rank, at), letter));
        }
    };
    for c in 'A'..='D' {
        let forms: [(u8, &[char]); 5] =
            [(6, &['(', c, ')']), (5, &[c, '.']), (4, &[c, ':']), (3, &[c, ')']), (2, &[c, ' '])];
        for (rank, form) in forms {
            offer(rank, last(form), c);
        }
    }
    for phrase in PHRASES {
        let phrase: Vec<char> = phrase.chars().collect();
        if let Some(at) = find(&lower, &phrase, 0, false) {
            for c in 'A'..='D' {
                offer(7, find(&padded, &[c], at + phrase.len(), false), c);
            }
        }
    }
    let inner = text::strip(trimmed);
    let mut ends = inner.chars();
    let (head, second) = (ends.next(), ends.next());
    let mut ends = inner.chars().rev();
    let (tail, before) = (ends.next(), ends.next());
    for c in 'A'..='D' {
        let alone = |beside: Option<char>| beside.is_none_or(|c| !c.is_alphabetic());
        if head == Some(c) && alone(second) {
            offer(10, Some(0), c);
        }
        if tail == Some(c) && alone(before) {
            offer(9, Some(padded.len() - 1), c);
        }
    }
    if best.is_none() {
        let anywhere = ('A'..='D').filter_map(|c| Some((find(&padded, &[c], 0, true)?, c)));
        return anywhere.max_by_key(|(at, _)| *at).map(|(_, c)| c);
    }
    best.map(|(_, c)| c)
}

/// Where `needle` stands in `text` from `from` on: first, or last.
fn find(text: &[char], needle: &[char], from: usize, last: bool) -> Option<usize> {
    let mut places = text.get(from..)?.windows(needle.len()).enumerate().filter(|(_, w)| *w == needle);
    let found = if last { places.next_back() } else { places.next() };
    found.map(|(at, _)| at + from)
}
