//! Answers that may be numbers.

use super::Target;
use super::letters::{single, stated};
use crate::text::{self, float};

/// A number within 5 % of the right one, or the same text.
pub(super) fn near_or_equal(reply: &str, right: &str) -> bool {
    let plain = |s: &str| text::strip(s).trim_end_matches(['.', '%']).replace(',', "").to_lowercase();
    let (read, right) = (plain(&single(reply)), plain(right));
    read == right || matches!((float(&read), float(&right)), (Some(a), Some(b)) if near(a, b))
}

/// Whether `value` is within 5 % of `right`.
fn near(value: f64, right: f64) -> bool {
    (value - right).abs() <= right.abs() * 0.05
}

/// The reference on ChartQA: where both are numbers nothing else is tried, so `nan` is not `nan`.
pub(super) fn chartqa(reply: &str, right: &str) -> bool {
    let (reply, right) = (reply.to_lowercase(), right.to_lowercase());
    match (float(&reply), float(&right)) {
        (Some(a), Some(b)) => near(a, b),
        _ => reply == right,
    }
}

/// The reference on MMMU and MathVista: text first, then numbers, with the tolerance taken from the reply.
pub(super) fn equal_or_near_reply(read: &str, right: &str) -> bool {
    read == right || matches!((float(read), float(right)), (Some(a), Some(b)) if near(b, a))
}

/// lmms-eval and VLMEvalKit on ChartQA: `x%` is x/100 on both sides, and a target of 0 is compared as text.
pub(super) fn relaxed_percent(reply: &str, right: &str) -> bool {
    let number = |text: &str| match text.strip_suffix('%') {
        Some(_) => float(text.trim_end_matches('%')).map(|value| value / 100.0),
        None => float(text),
    };
    match (number(reply), number(right)) {
        (Some(a), Some(b)) if b != 0.0 => (a - b).abs() / b.abs() <= 0.05,
        _ => reply.to_lowercase() == right.to_lowercase(),
    }
}

/// MathVista with rules in the place of its authors' language model: they extract an answer from the reasoning first.
pub(super) fn mathvista(reply: &str, target: &Target) -> bool {
    if !target.options.is_empty() {
        return stated(reply, target).or_else(|| only_option_within(reply, target)) == target.letter;
    }
    let read = single(reply);
    if equal_or_near_reply(&read, &target.expected()) {
        return true;
    }
    match (last_number(&read).or_else(|| last_number(reply)), float(target.answer())) {
        (Some(a), Some(b)) => near(a, b),
        _ => false,
    }
}

/// The only option whose text occurs in the reply; an option that is part of another one that occurs does not count.
fn only_option_within(reply: &str, target: &Target) -> Option<char> {
    let reply = reply.to_lowercase();
    let options: Vec<String> = target.options.iter().map(|option| option.to_lowercase()).collect();
    let within: Vec<&String> =
        options.iter().filter(|o| !o.is_empty() && reply.contains(o.as_str())).collect();
    let mut whole = options.iter().zip('A'..).filter(|(option, _)| {
        within.contains(option)
            && !within.iter().any(|o| o.len() > option.len() && o.contains(option.as_str()))
    });
    let (_, letter) = whole.next()?;
    whole.next().is_none().then_some(letter)
}

fn last_number(text: &str) -> Option<f64> {
    let part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-');
    let mut found = None;
    for piece in text.split(|c| !part(c)) {
        if let Some(number) = float(&piece.trim_matches(['.', ',']).replace(',', "")) {
            found = Some(number);
        }
    }
    found
}
