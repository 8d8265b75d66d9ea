//! Free text: containment, equality, edit distances.

use super::Target;
use crate::text::{collapsed, distance, strip};

/// The category of OCRBench whose answers are formulas: case counts there, spaces do not.
const FORMULAS: &str = "Handwritten Mathematical Expression Recognition";

fn is_formula(target: &Target) -> bool {
    target.is_kind(FORMULAS) || target.is_kind("HME100k")
}

/// Both sides as OCRBench compares them.
fn prepared(text: &str, formula: bool) -> String {
    if formula {
        strip(text).replace(['\n', ' '], "")
    } else {
        strip(&text.to_lowercase()).replace('\n', " ")
    }
}

/// Whether any right answer occurs in the reply.
pub(super) fn contains(reply: &str, target: &Target) -> bool {
    let formula = is_formula(target);
    let reply = prepared(reply, formula);
    target.answers.iter().any(|answer| reply.contains(&prepared(answer, formula)))
}

/// Whether the reply is one of the right answers.
pub(super) fn equals(reply: &str, target: &Target) -> bool {
    let formula = is_formula(target);
    let reply = prepared(reply, formula);
    target.answers.iter().any(|answer| reply == prepared(answer, formula))
}

/// [`contains`] after full-width ASCII is folded, formulas excepted.
pub(super) fn contains_folded(reply: &str, target: &Target) -> bool {
    if is_formula(target) {
        return contains(reply, target);
    }
    let folded = |text: &str| -> String {
        let fold = |c: char| match u32::from(c) {
            code @ 0xff01..=0xff5e => char::from_u32(code - 0xfee0).unwrap_or(c),
            0x3000 => ' ',
            _ => c,
        };
        text.chars().map(fold).collect()
    };
    let reply = prepared(&folded(reply), false);
    target.answers.iter().any(|answer| reply.contains(&prepared(&folded(answer), false)))
}

/// Similarity with the nearest answer, 0 below one half: the distance is taken on collapsed lower case and divided by
/// the length of the longer raw text in *upper* case, where `ß` counts twice. Two empty texts are equal.
pub(super) fn anls(reply: &str, answers: &[String]) -> f64 {
    let plain = |text: &str| collapsed(&text.to_lowercase());
    let far = |answer: &String| {
        let length = answer.to_uppercase().chars().count().max(reply.to_uppercase().chars().count());
        if length == 0 { 0.0 } else { distance(&plain(answer), &plain(reply)) as f64 / length as f64 }
    };
    let similarity = 1.0 - answers.iter().map(far).fold(f64::INFINITY, f64::min);
    if similarity < 0.5 { 0.0 } else { similarity }
}

/// The reference's class: on stripped lower case, divided by the longer of the two.
pub(super) fn cambrian_anls(reply: &str, answers: &[String]) -> f64 {
    let near = |answer: &String| {
        let (a, b) = (reply.to_lowercase(), answer.to_lowercase());
        let (a, b) = (strip(&a), strip(&b));
        let length = a.chars().count().max(b.chars().count());
        let similarity = 1.0 - distance(a, b) as f64 / length as f64;
        if similarity >= 0.5 { similarity } else { 0.0 }
    };
    answers.iter().map(near).fold(0.0, f64::max)
}

/// Whether at most `changes` separate the reply from the right text.
pub(super) fn transcribed(reply: &str, right: &str, changes: usize) -> bool {
    distance(strip(&reply.to_lowercase()), strip(&right.to_lowercase())) <= changes
}
