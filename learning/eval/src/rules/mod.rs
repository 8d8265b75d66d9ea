//! From a reply to a verdict.
//!
//! A rule is one harness's way to read the reply to one kind of question, its quirks included: `below` is the letter
//! `b` to several of them. Each is a pure function of the reply and of what is right, so stored replies can be judged
//! again by any of them. `tests/harnesses.rs` holds them against the code of the harnesses themselves.

mod free;
mod letters;
mod lmms;
mod numbers;
mod vlm;
mod vqa;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use letters::stated;

use crate::text;

/// What is right.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The letter of the right option, upper case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter: Option<char>,
    /// The right answer as text: one, or as many as people gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
    /// The options, in the order of their letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The kind of question, where the rule depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

impl Target {
    /// The letter in lower case; the first answer's where there is none, as in `yes` and `no`.
    fn expected(&self) -> String {
        match self.letter {
            Some(letter) => letter.to_lowercase().collect(),
            None => self.answer().to_lowercase(),
        }
    }

    fn answer(&self) -> &str {
        self.answers.first().map_or("", String::as_str)
    }

    /// The letter of each option: four where the options are not known.
    fn letters(&self) -> impl Iterator<Item = char> {
        let count = if self.options.is_empty() { 4 } else { self.options.len() };
        ('A'..='Z').take(count)
    }

    /// The text of the right option.
    fn option(&self) -> Option<&str> {
        let index = u32::from(self.letter?).checked_sub(u32::from('A'))?;
        self.options.get(usize::try_from(index).ok()?).map(String::as_str)
    }

    fn is_kind(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }
}

/// What a reply is worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Verdict {
    /// From 0 to 1; in between only where several people's answers or edit distances count.
    pub score: f64,
    /// Whether the reply states an answer at all, read strictly: a letter of an option or its text, a yes or a no, a
    /// number, or for free text anything. It does not depend on the harness, so that a lenient rule cannot hide replies
    /// that answer nothing.
    pub parsed: bool,
}

/// How a reply is read and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The letter that the reply states, or the option whose text it is. Strict: a word that begins with the letter is
    /// no answer. For tasks of one's own.
    Letter,
    /// Equal, whatever case and outer space.
    Equal,
    /// Yes or no as the first word.
    YesNo,
    /// A number within 5 % of the right one, or equal text.
    Number,
    /// Any right answer occurs in the reply.
    Contains,
    /// The share of people who gave this answer, as VQA counts it, after its normalisation.
    Vqa,
    /// Normalised edit similarity, 0 below one half.
    Anls,
    /// Not judged here: a server does, from a submission file.
    Submission,

    /// Reference: what follows the last `answer is` or `answer:`, its first character.
    Mcq,
    /// Reference, Omni3D items: [`Rule::Mcq`], or the text of an option of one character.
    McqOption,
    /// Reference, MMVP: as [`Rule::Mcq`] without the cut to one character, or the option's text.
    McqWhole,
    /// Reference, AI2D: as [`Rule::Mcq`]; a digit is the number of an option from 0.
    McqIndex,
    /// Reference, MMMU: [`Rule::Mcq`] for multiple choice, else the text after the keyword, or a number within 5 % of
    /// the reply.
    Mmmu,
    /// Reference, MathVista: the whole reply, or a number within 5 % of the reply.
    Mathvista,
    /// MathVista as its authors mean it, by rule: the letter after the last `answer is`, or the only option whose text
    /// occurs, or the last number.
    MathvistaRead,
    /// Reference, ScienceQA: what precedes the first `.`, or all of it as the option's text.
    ScienceQa,
    /// Reference, POPE, MMStar, MMBench-CN: the first word without trailing `.:,`.
    FirstWord,
    /// Reference, RealWorldQA: the first word after the keyword.
    SingleWord,
    /// Reference, GQA and MME: the whole reply without trailing `.`.
    Exact,
    /// Reference, Q-Bench: what precedes the first `.`.
    BeforeDot,
    /// Reference, BLINK: what precedes the first `.` or space, without parentheses.
    Blink,
    /// Reference, ChartQA: within 5 % where both are numbers, else equal.
    Chartqa,
    /// Reference, TextVQA and VizWiz: [`Rule::Vqa`] with the code's own slips.
    CambrianVqa,
    /// Reference, OCRBench: any right answer occurs in the reply.
    Ocrbench,
    /// Reference, OCRBench with its extra penalty: equal.
    CambrianExact,
    /// Reference, the class for ST-VQA: as [`Rule::Anls`] on lower-cased text.
    CambrianAnls,
    /// Reference, SynthDog: at most ten changes from the right text. Its authors call it broken.
    Synthdog,

    /// lmms-eval, CV-Bench: the first letter of the reply, whatever word it begins.
    LmmsCvBench,
    /// lmms-eval, BLINK: a bare letter, the last `answer is`, the last `(X)`, else the first letter that is an option.
    LmmsBlink,
    /// lmms-eval, MMVP.
    LmmsMmvp,
    /// lmms-eval, MME: yes or no among the first four characters.
    LmmsMme,
    /// lmms-eval, POPE: the whole reply.
    LmmsPope,
    /// lmms-eval, TextVQA and VizWiz.
    LmmsVqa,
    /// lmms-eval, DocVQA and relatives.
    LmmsAnls,
    /// lmms-eval, ChartQA: also percentages.
    LmmsChartqa,
    /// lmms-eval, GQA: equal without case and punctuation.
    LmmsExact,
    /// lmms-eval, SEED: the first character.
    LmmsSeed,
    /// lmms-eval, AI2D: a capital with `.` at the start, else the whole reply.
    LmmsAi2d,
    /// lmms-eval, ScienceQA: the whole reply, or a capital with `.` at the start.
    LmmsScienceQa,
    /// lmms-eval, OCRBench: full-width forms are folded.
    LmmsOcrbench,
    /// lmms-eval, MMStar and the letters of RealWorldQA: the best of ten forms.
    LmmsRanked,
    /// lmms-eval, RealWorldQA: [`Rule::LmmsRanked`] where the answer is a letter, else equal.
    LmmsRealworldqa,

    /// VLMEvalKit, multiple choice without a judge model.
    VlmMcq,
    /// VLMEvalKit, yes or no.
    VlmYesNo,
    /// VLMEvalKit, TextVQA and others.
    VlmVqa,
    /// VLMEvalKit, GQA.
    VlmExact,
    /// VLMEvalKit, ChartQA.
    VlmChartqa,
    /// VLMEvalKit, OCRBench.
    VlmOcrbench,
}

impl Rule {
    /// Judges a reply. Outer white space does not count: replies are stored without it. Of some empty ones the reference's
    /// scripts die; here they are wrong.
    pub fn judge(self, reply: &str, target: &Target) -> Verdict {
        let reply = text::strip(reply);
        Verdict { score: self.score(reply, target), parsed: self.parsed(reply, target) }
    }

    fn score(self, reply: &str, target: &Target) -> f64 {
        let right = match self {
            Self::Letter => {
                letters::stated(reply, target).is_some_and(|letter| Some(letter) == target.letter)
            }
            Self::Equal => {
                target.answers.iter().any(|a| text::strip(a).to_lowercase() == reply.to_lowercase())
            }
            Self::YesNo => letters::yes_no(reply).is_some_and(|word| word == target.expected()),
            Self::Number => numbers::near_or_equal(reply, target.answer()),
            Self::Contains | Self::Ocrbench => free::contains(reply, target),
            Self::Vqa | Self::CambrianVqa | Self::LmmsVqa => return vqa::score(reply, &target.answers),
            Self::Anls | Self::LmmsAnls => return free::anls(reply, &target.answers),
            Self::Submission => false,
            Self::Mcq => letters::mcq(reply) == target.expected(),
            Self::McqOption => {
                let read = letters::mcq(reply);
                read == target.expected() || target.option() == Some(&read)
            }
            Self::McqWhole => {
                let read = letters::mcq_uncut(reply);
                read == target.expected() || target.option().is_some_and(|text| text.to_lowercase() == read)
            }
            Self::McqIndex => letters::index(&letters::mcq(reply)) == letters::index(&target.expected()),
            Self::Mmmu => {
                let choice = target.is_kind("multiple-choice");
                let read = if choice { letters::mcq(reply) } else { letters::single(reply) };
                numbers::equal_or_near_reply(&read, &target.expected())
            }
            Self::Mathvista => numbers::equal_or_near_reply(&reply.to_lowercase(), &target.expected()),
            Self::MathvistaRead => numbers::mathvista(reply, target),
            Self::ScienceQa => letters::science_qa(reply, target),
            Self::FirstWord => letters::first_word(reply) == target.expected(),
            Self::SingleWord => {
                text::words(&letters::single(reply)).next() == Some(target.expected().as_str())
            }
            Self::Exact => letters::exact(reply) == target.expected(),
            Self::BeforeDot => letters::before_dot(reply) == target.expected(),
            Self::Blink => letters::blink(reply) == target.expected(),
            Self::Chartqa => numbers::chartqa(reply, target.answer()),
            Self::CambrianExact => free::equals(reply, target),
            Self::CambrianAnls => return free::cambrian_anls(reply, &target.answers),
            Self::Synthdog => free::transcribed(reply, target.answer(), 10),
            Self::LmmsCvBench => lmms::cv_bench(reply) == target.letter,
            Self::LmmsBlink => lmms::blink(reply, target) == target.letter,
            Self::LmmsMmvp => lmms::mmvp(reply) == target.letter,
            Self::LmmsMme => lmms::mme(reply) == Some(target.expected().replace('.', "").as_str()),
            Self::LmmsPope => reply.to_lowercase() == text::strip(&target.expected()),
            Self::LmmsChartqa => numbers::relaxed_percent(reply, target.answer()),
            Self::LmmsExact => lmms::equal(reply, &target.expected()),
            Self::LmmsSeed => lmms::seed(reply) == text::strip(&target.expected()),
            Self::LmmsAi2d => lmms::equal(&lmms::capital_or_all(reply), &target.expected()),
            Self::LmmsScienceQa => lmms::science_qa(reply, &target.expected()),
            Self::LmmsOcrbench => free::contains_folded(reply, target),
            Self::LmmsRanked => lmms::ranked(reply) == target.letter,
            Self::LmmsRealworldqa => lmms::realworldqa(reply, target),
            Self::VlmMcq => vlm::mcq(reply, target) == target.letter,
            Self::VlmYesNo => vlm::yes_no(reply) == Some(target.expected().as_str()),
            Self::VlmVqa => return vlm::vqa(reply, &target.answers),
            Self::VlmExact => {
                target.answers.iter().any(|a| text::strip(a).to_lowercase() == reply.to_lowercase())
            }
            Self::VlmChartqa => vlm::chartqa(reply, target.answer()),
            Self::VlmOcrbench => vlm::ocrbench(reply, target),
        };
        f64::from(u8::from(right))
    }

    /// The strict reading behind [`Verdict::parsed`].
    fn parsed(self, reply: &str, target: &Target) -> bool {
        let yes_no = matches!(target.expected().as_str(), "yes" | "no") && target.letter.is_none();
        if target.letter.is_some() {
            letters::stated(reply, target).is_some()
        } else if yes_no {
            letters::yes_no(reply).is_some()
        } else {
            !reply.is_empty()
        }
    }
}

#[cfg(test)]
mod tests;
