//! Rules against the code of the harnesses that they are named after: thousands of replies of every kind, judged by
//! both. `golden/make.py` ran that code.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use serde::Deserialize;
use serde_json::Value;
use zoo_eval::rules::{Rule, Target};

#[derive(Deserialize)]
struct Golden {
    replies: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    harness: String,
    rule: Rule,
    target: Target,
    verdicts: Value,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/harnesses.json")).unwrap()
}

/// One verdict per reply; `None` where the script died, which is a wrong answer here.
fn verdicts(case: &Case) -> Vec<Option<f64>> {
    match &case.verdicts {
        Value::String(digits) => digits.chars().map(|c| c.to_digit(10).map(f64::from)).collect(),
        Value::Array(numbers) => numbers.iter().map(Value::as_f64).collect(),
        other => panic!("{other} are no verdicts"),
    }
}

#[test]
fn equal_verdicts_on_all_replies() {
    let golden = golden();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for case in &golden.cases {
        let verdicts = verdicts(case);
        assert_eq!(verdicts.len(), golden.replies.len());
        for (reply, expected) in golden.replies.iter().zip(verdicts) {
            let score = case.rule.judge(reply, &case.target).score;
            compared += 1;
            if (score - expected.unwrap_or(0.0)).abs() > 1e-12 {
                let Case { harness, rule, target, .. } = case;
                wrong.push(format!("{harness} {rule:?} {target:?} {reply:?}: {score}, theirs {expected:?}"));
            }
        }
    }
    assert!(compared > 200_000, "{compared}");
    let shown = wrong.iter().take(40).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {compared}\n{shown}", wrong.len());
}

#[test]
fn every_harness_is_there_and_says_both() {
    let golden = golden();
    for harness in ["cambrian", "lmms-eval", "vlmeval"] {
        let cases: Vec<&Case> = golden.cases.iter().filter(|case| case.harness == harness).collect();
        assert!(cases.len() >= 10, "{harness}");
        for case in cases {
            let scores = verdicts(case);
            let wrong = scores.iter().filter(|score| score.unwrap_or(0.0) == 0.0).count();
            assert!(wrong > 0, "{:?} is never wrong about {:?}", case.rule, case.target);
        }
    }
}
