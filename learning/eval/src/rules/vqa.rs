//! The accuracy of VQA over several people's answers, with the normalisation of EvalAI as it is spread by copies, slips
//! included.

use crate::text::{digit, words};

/// The mean, over the people, of `min(1, n/3)` where `n` of the others gave the reply's answer. For text after
/// [`normalised`].
pub(super) fn agreement(reply: &str, answers: &[String]) -> f64 {
    if answers.is_empty() {
        return 0.0;
    }
    let same = answers.iter().filter(|answer| *answer == reply).count();
    let with = |others: usize| (others as f64 / 3.0).min(1.0);
    // Who gave this answer counts one supporter less. Summed in the order of the answers, as the references do it.
    let sum: f64 = answers.iter().map(|answer| with(same - usize::from(answer == reply))).sum();
    if same == 0 { 0.0 } else { sum / answers.len() as f64 }
}

/// [`agreement`] after EvalAI's normalisation.
pub(super) fn score(reply: &str, answers: &[String]) -> f64 {
    let answers: Vec<String> = answers.iter().map(|answer| normalised(answer)).collect();
    agreement(&normalised(reply), &answers)
}

const PUNCTUATION: &str = ";/[]\"{}()=+\\_-><@`,?!";

/// EvalAI's normalisation as the reference and lmms-eval copy it.
pub(super) fn normalised(text: &str) -> String {
    let lower = text.to_lowercase().replace([',', '?'], "").replace("'s", " 's");
    let plain = crate::text::strip(&lower).replace(['\n', '\t'], " ");
    let plain = crate::text::strip(&plain);
    let plain = without_marks(plain, false);
    by_words(&dots_removed(&plain, |_, after| after.is_none_or(|c| digit(c).is_none())))
}

/// Every mark that stands beside a space anywhere is deleted everywhere, every other one becomes a space; with
/// `all_deleted` all are deleted.
pub(super) fn without_marks(text: &str, all_deleted: bool) -> String {
    let mut out = text.to_owned();
    for mark in PUNCTUATION.chars() {
        let beside = text.contains(&format!("{mark} ")) || text.contains(&format!(" {mark}"));
        out = out.replace(mark, if beside || all_deleted { "" } else { " " });
    }
    out
}

/// Without the full stops of which `goes` says so, given their neighbours; only the first 32 of them: a flag was passed
/// where the code expects a count.
pub(super) fn dots_removed(text: &str, goes: impl Fn(Option<char>, Option<char>) -> bool) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut removed = 0;
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at)).copied();
        if *c == '.' && removed < 32 && goes(before, chars.get(at + 1).copied()) {
            removed += 1;
        } else {
            out.push(*c);
        }
    }
    out
}

/// Number words become digits, articles go, apostrophes come back.
pub(super) fn by_words(text: &str) -> String {
    let lower = text.to_lowercase();
    let mut out = Vec::new();
    for word in words(&lower) {
        let word = match word {
            "none" | "zero" => "0",
            "one" => "1",
            "two" => "2",
            "three" => "3",
            "four" => "4",
            "five" => "5",
            "six" => "6",
            "seven" => "7",
            "eight" => "8",
            "nine" => "9",
            "ten" => "10",
            "a" | "an" | "the" => continue,
            other => other,
        };
        let full = CONTRACTIONS.iter().find(|(short, _)| *short == word).map_or(word, |(_, full)| full);
        out.push(full);
    }
    out.join(" ")
}

/// The table that all copies share. Its keys with capitals are left out: they never match lower-cased words.
#[rustfmt::skip]
const CONTRACTIONS: &[(&str, &str)] = &[
    ("aint", "ain't"), ("arent", "aren't"), ("cant", "can't"), ("couldve", "could've"), ("couldnt", "couldn't"),
    ("couldn'tve", "couldn't've"), ("couldnt've", "couldn't've"), ("didnt", "didn't"), ("doesnt", "doesn't"),
    ("dont", "don't"), ("hadnt", "hadn't"), ("hadnt've", "hadn't've"), ("hadn'tve", "hadn't've"), ("hasnt", "hasn't"),
    ("havent", "haven't"), ("hed", "he'd"), ("hed've", "he'd've"), ("he'dve", "he'd've"), ("hes", "he's"),
    ("howd", "how'd"), ("howll", "how'll"), ("hows", "how's"), ("isnt", "isn't"), ("itd", "it'd"),
    ("itd've", "it'd've"), ("it'dve", "it'd've"), ("itll", "it'll"), ("maam", "ma'am"), ("mightnt", "mightn't"),
    ("mightnt've", "mightn't've"), ("mightn'tve", "mightn't've"), ("mightve", "might've"), ("mustnt", "mustn't"),
    ("mustve", "must've"), ("neednt", "needn't"), ("notve", "not've"), ("oclock", "o'clock"), ("oughtnt", "oughtn't"),
    ("ow's'at", "'ow's'at"), ("'ows'at", "'ow's'at"), ("'ow'sat", "'ow's'at"), ("shant", "shan't"),
    ("shed've", "she'd've"), ("she'dve", "she'd've"), ("shouldve", "should've"), ("shouldnt", "shouldn't"),
    ("shouldnt've", "shouldn't've"), ("shouldn'tve", "shouldn't've"), ("somebody'd", "somebodyd"),
    ("somebodyd've", "somebody'd've"), ("somebody'dve", "somebody'd've"), ("somebodyll", "somebody'll"),
    ("somebodys", "somebody's"), ("someoned", "someone'd"), ("someoned've", "someone'd've"),
    ("someone'dve", "someone'd've"), ("someonell", "someone'll"), ("someones", "someone's"),
    ("somethingd", "something'd"), ("somethingd've", "something'd've"), ("something'dve", "something'd've"),
    ("somethingll", "something'll"), ("thats", "that's"), ("thered", "there'd"), ("thered've", "there'd've"),
    ("there'dve", "there'd've"), ("therere", "there're"), ("theres", "there's"), ("theyd", "they'd"),
    ("theyd've", "they'd've"), ("they'dve", "they'd've"), ("theyll", "they'll"), ("theyre", "they're"),
    ("theyve", "they've"), ("twas", "'twas"), ("wasnt", "wasn't"), ("wed've", "we'd've"), ("we'dve", "we'd've"),
    ("weve", "we've"), ("werent", "weren't"), ("whatll", "what'll"), ("whatre", "what're"), ("whats", "what's"),
    ("whatve", "what've"), ("whens", "when's"), ("whered", "where'd"), ("wheres", "where's"), ("whereve", "where've"),
    ("whod", "who'd"), ("whod've", "who'd've"), ("who'dve", "who'd've"), ("wholl", "who'll"), ("whos", "who's"),
    ("whove", "who've"), ("whyll", "why'll"), ("whyre", "why're"), ("whys", "why's"), ("wont", "won't"),
    ("wouldve", "would've"), ("wouldnt", "wouldn't"), ("wouldnt've", "wouldn't've"), ("wouldn'tve", "wouldn't've"),
    ("yall", "y'all"), ("yall'll", "y'all'll"), ("y'allll", "y'all'll"), ("yall'd've", "y'all'd've"),
    ("y'alld've", "y'all'd've"), ("y'all'dve", "y'all'd've"), ("youd", "you'd"), ("youd've", "you'd've"),
    ("you'dve", "you'd've"), ("youll", "you'll"), ("youre", "you're"), ("youve", "you've"),
];
