use super::*;

fn letter(letter: char, options: &[&str]) -> Target {
    let options = options.iter().map(|&o| o.to_owned()).collect();
    Target { letter: Some(letter), options, ..Target::default() }
}

fn text(answers: &[&str]) -> Target {
    Target { answers: answers.iter().map(|&a| a.to_owned()).collect(), ..Target::default() }
}

#[track_caller]
fn check(rule: Rule, target: &Target, right: &[&str], wrong: &[&str]) {
    for (replies, score) in [(right, 1.0), (wrong, 0.0)] {
        for reply in replies {
            assert_eq!(rule.judge(reply, target).score, score, "{rule:?} {reply:?} {target:?}");
        }
    }
}

#[test]
fn the_reference_takes_the_first_character() {
    let b = letter('B', &["a cat", "a dog"]);
    check(
        Rule::Mcq,
        &b,
        &["B", "b.", "(B)", "The answer is (B).", "below", "Answer: B", "  B. a dog "],
        &["answer is: B", "The answer is **B**", "a dog", "", "."],
    );
    check(Rule::McqWhole, &b, &["B", "(b)", "a dog", "A dog."], &["B. a dog", "a cat"]);
    check(Rule::McqIndex, &letter('D', &[]), &["D", "3", "(d)"], &["4", "C"]);
}

#[test]
fn the_strict_rule_reads_marked_letters() {
    let b = letter('B', &["a cat", "a dog"]);
    check(
        Rule::Letter,
        &b,
        &[
            "B",
            "b",
            "(B)",
            "B.",
            "**B**",
            "B. a dog",
            "(B) a dog",
            "The answer is B",
            "answer is: B",
            "a dog",
            "A dog.",
        ],
        &["below", "A", "A cat", "", "It is big", "A dog and a cat", "Both", "C"],
    );
}

#[test]
fn a_reply_that_states_nothing_has_not_parsed() {
    let b = letter('B', &["a cat", "a dog"]);
    for (reply, parsed) in
        [("B", true), ("A", true), ("below", false), ("", false), ("E", false), ("a cat", true)]
    {
        assert_eq!(Rule::Mcq.judge(reply, &b).parsed, parsed, "{reply}");
    }
    assert!(Rule::Mcq.judge("below", &b).score > 0.0, "which the reference counts all the same");
    assert!(!Rule::Exact.judge("maybe", &text(&["Yes"])).parsed);
    assert!(Rule::Vqa.judge("maybe", &text(&["cat"])).parsed);
}

#[test]
fn numbers_within_five_percent() {
    check(Rule::Chartqa, &text(&["100"]), &["104.9", "105", "95", "1e2"], &["105.1", "94.9", "100%", "1,00"]);
    check(Rule::Chartqa, &text(&["nan"]), &[], &["nan"]);
    check(Rule::Mathvista, &text(&["nan"]), &["nan"], &[]);
    // The tolerance is the reply's.
    check(Rule::Mathvista, &text(&["100"]), &["105.2", "96"], &["95", "105.3"]);
    check(Rule::LmmsChartqa, &text(&["50%"]), &["0.5", "50%", "0.52"], &["50"]);
    check(Rule::Number, &text(&["100"]), &["100", "The answer is 104.", "100%"], &["106"]);
}

#[test]
fn people_agree_by_leaving_one_out() {
    let ten: Vec<&str> = [vec!["cat"; 3], vec!["dog"; 7]].concat();
    assert!((Rule::CambrianVqa.judge("Cat.", &text(&ten)).score - 0.9).abs() < 1e-12);
    assert_eq!(Rule::CambrianVqa.judge("the dog", &text(&ten)).score, 1.0);
    assert_eq!(Rule::CambrianVqa.judge("bird", &text(&ten)).score, 0.0);
}

#[test]
fn mathvista_is_read_out_of_its_reasoning() {
    let options = letter('B', &["12", "13"]);
    check(
        Rule::MathvistaRead,
        &options,
        &["We add 6 and 7.\nThe answer is (B).", "So it must be 13", "13"],
        &["12", "6 + 7 is 12 or 13"],
    );
    check(Rule::MathvistaRead, &text(&["13"]), &["6 + 7 = 13.", "The answer is 13"], &["13 - 1 = 12"]);
}

#[test]
fn harnesses_differ_on_the_same_reply() {
    let b = letter('B', &["left", "right"]);
    // The first letter of any word, to lmms-eval.
    check(Rule::LmmsCvBench, &letter('T', &[]), &["The answer is B"], &[]);
    check(Rule::VlmMcq, &b, &["The answer is B", "right", "Option B"], &["below", "A or B"]);
    check(Rule::LmmsMme, &text(&["No"]), &["no", "Now", "Snow", "n", "nothing"], &["yes", "I say no"]);
    check(Rule::LmmsMme, &text(&["Yes"]), &["Eyes", "Yes, it is"], &["ye s"]);
}

/// The table of docs/evaluation.md.
#[test]
fn the_same_replies_by_four_rules() {
    let b = letter('B', &["left", "right"]);
    let rules = [Rule::McqOption, Rule::LmmsCvBench, Rule::VlmMcq];
    for (reply, right) in [
        ("B", [true, true, true]),
        ("(B)", [true, true, true]),
        ("The answer is B", [true, false, true]),
        ("answer is: B", [false, false, true]),
        ("below", [true, true, false]),
        ("The answer is **B**", [false, false, true]),
    ] {
        assert_eq!(rules.map(|rule| rule.judge(reply, &b).score > 0.0), right, "{reply}");
    }
}
