//! Distributions against numpy and transformers (`golden/make.py`); draws against their distribution.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use serde::Deserialize;
use zoo_language::sampling::{Sampler, Sampling, distribution, log_probabilities};

#[derive(Deserialize)]
struct Case {
    settings: Settings,
    logits: Vec<f32>,
    history: Vec<u32>,
    probabilities: Vec<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    temperature: Option<f64>,
    top_k: Option<usize>,
    top_p: Option<f64>,
    min_p: Option<f64>,
    repetition_penalty: Option<f64>,
    #[serde(default)]
    banned: Vec<u32>,
}

impl Settings {
    fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature.unwrap_or(1.0),
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty.unwrap_or(1.0),
            ..Sampling::default()
        }
    }
}

fn dense(case: &Case) -> Vec<f64> {
    let mut dense = vec![0.0; case.logits.len()];
    let sampling = case.settings.sampling();
    for c in distribution(&case.logits, &case.history, &case.settings.banned, &sampling).unwrap() {
        dense[c.id as usize] = c.probability;
    }
    dense
}

#[test]
fn distributions_equal_the_reference() {
    for case in support::cases::<Case>("sampling.json") {
        for (id, (ours, theirs)) in dense(&case).iter().zip(&case.probabilities).enumerate() {
            assert!(
                (ours - theirs).abs() < 1e-9,
                "{:?} token {id}: {ours}, expected {theirs}",
                case.settings
            );
            assert_eq!(*ours == 0.0, *theirs == 0.0, "{:?} token {id}", case.settings);
        }
    }
}

#[test]
fn draws_follow_their_distribution() {
    const DRAWS: usize = 20_000;
    for case in support::cases::<Case>("sampling.json") {
        let mut sampler = Sampler::new(case.settings.sampling(), case.settings.banned.clone()).unwrap();
        let mut counts = vec![0_usize; case.logits.len()];
        for _ in 0..DRAWS {
            counts[sampler.next(&case.logits, &case.history).unwrap() as usize] += 1;
        }
        for (count, p) in counts.into_iter().zip(&case.probabilities) {
            // Five standard deviations of a binomial count, taken as one where the count is nearly always 0. The
            // seed is fixed, so this cannot flicker.
            let spread = 5.0 * (DRAWS as f64 * p * (1.0 - p)).max(1.0).sqrt();
            let off = (count as f64 - DRAWS as f64 * p).abs();
            assert!(off <= spread, "{:?}: {count} draws of probability {p}", case.settings);
            assert!(*p > 0.0 || count == 0, "{:?}: drew what was filtered out", case.settings);
        }
    }
}

#[test]
fn a_seed_gives_one_sequence() {
    let logits: Vec<f32> = (0..50_u8).map(|i| f32::from(i % 7)).collect();
    let run = |seed| {
        let sampling = Sampling { temperature: 1.0, seed, ..Sampling::default() };
        let mut sampler = Sampler::new(sampling, Vec::new()).unwrap();
        (0..20).map(|_| sampler.next(&logits, &[]).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn greedy_takes_the_best_that_is_allowed() {
    let mut sampler = Sampler::new(Sampling::default(), vec![2]).unwrap();
    assert_eq!(sampler.next(&[0.0, 5.0, 9.0, 5.0], &[]).unwrap(), 1, "equal logits: the lower id");
    let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
    let mut sampler = Sampler::new(sampling, vec![2]).unwrap();
    assert_eq!(sampler.next(&[0.0, 5.0, 9.0, 5.0], &[1, 1]).unwrap(), 3);
}

#[test]
fn logits_that_decide_nothing_are_errors() {
    let mut sampler = Sampler::new(Sampling::default(), vec![0]).unwrap();
    for (logits, message) in [
        (vec![0.0, f32::NAN], "the logit of token 1 is NaN"),
        (vec![0.0, f32::INFINITY], "the logit of token 1 is inf"),
        (vec![0.0, f32::NEG_INFINITY], "all 2 tokens are banned or impossible"),
    ] {
        let error = sampler.next(&logits, &[]).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[track_caller]
fn refused(sampling: Sampling, message: &str) {
    let error = Sampler::new(sampling, Vec::new()).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn settings_out_of_range_are_named() {
    let ok = Sampling::default();
    refused(Sampling { temperature: -1.0, ..ok.clone() }, "temperature is -1");
    refused(Sampling { temperature: f64::NAN, ..ok.clone() }, "temperature is NaN");
    refused(Sampling { top_k: Some(0), ..ok.clone() }, "top-k is 0");
    refused(Sampling { top_p: Some(0.0), ..ok.clone() }, "top-p is 0");
    refused(Sampling { min_p: Some(1.5), ..ok.clone() }, "min-p is 1.5");
    refused(Sampling { repetition_penalty: 0.0, ..ok }, "repetition penalty is 0");
}

#[test]
fn log_probabilities_leave_banned_tokens_out() {
    let logits = [1.0, 2.0, 3.0, 50.0];
    let got = log_probabilities(&logits, &[3], &[0, 2]).unwrap();
    let total = (1_f64.exp() + 2_f64.exp() + 3_f64.exp()).ln();
    assert!((got[0] - (1.0 - total)).abs() < 1e-12 && (got[1] - (3.0 - total)).abs() < 1e-12);
    for id in [3, 4] {
        let error = log_probabilities(&logits, &[3], &[id]).unwrap_err().to_string();
        assert!(error.contains(&format!("token {id} cannot be generated")), "{error}");
    }
}
