//! Text that nobody meant as a registry.

use proptest::prelude::*;
use zoo_registry::{Registry, Tower};

const GOOD: &str = include_str!("messages/good.toml");

/// Reads and renders; the point is that it returns, and that places are places of the text.
fn survive(text: &str) {
    if let Err(error) = Registry::parse(text, "x.toml") {
        assert!(!error.problems.is_empty());
        for problem in &error.problems {
            assert!(text.get(problem.place.span.clone()).is_some(), "{problem}");
            assert!(problem.to_string().starts_with("x.toml:"));
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    for n in [50, 5_000, 200_000] {
        survive(&format!("version = {}1{}", "[".repeat(n), "]".repeat(n)));
        survive(&format!("{}x = 1", "a.".repeat(n)));
        survive(&GOOD.replacen("{ seed = 1 }", &"{ a = ".repeat(n), 1));
    }
}

#[test]
fn numbers_at_the_edge() {
    for n in [
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        "1e400",
        "nan",
        "inf",
        "0x7fffffffffffffff",
    ] {
        for key in ["resolution = 56", "stride = 14", "channels = 32", "hidden = 8", "version = 1"] {
            let (name, _) = key.split_once(" = ").unwrap();
            survive(&GOOD.replacen(key, &format!("{name} = {n}"), 1));
        }
        for number in ["64]", "[16]", "output = 8", "tokens = 64", "[0, 1]"] {
            let changed =
                number.replace(|c: char| c.is_ascii_digit(), "#").replace("##", "#").replace('#', n);
            survive(&GOOD.replacen(number, &changed, 1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text(text in any::<String>()) {
        survive(&text);
    }

    #[test]
    fn anything_put_into_a_good_file(at in 0..GOOD.len(), cut in 0usize..40, put in "[\\PC\n\t\r\"{}\\[\\]=.#']{0,12}") {
        let end = (at + cut).min(GOOD.len());
        survive(&format!("{}{put}{}", &GOOD[..at], &GOOD[end..]));
    }

    #[test]
    fn any_name(name in "[a-z0-9@&/-]{0,6}(-res|-interp|-multi-stage|@|hybridmodel-|-&&&-|[0-9]{0,22}|clip-convnext-L){0,8}") {
        let registry = Registry::parse(GOOD, "good.toml").expect("good");
        let _ = Tower::parse(&name);
        if let Ok(all) = registry.select_all(&name) {
            prop_assert!(all.iter().all(|s| s.grid().cells() > 0));
        }
    }
}
