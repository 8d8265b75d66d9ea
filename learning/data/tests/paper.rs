//! The shipped recipes against the numbers that the paper prints (arXiv 2406.16860).

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use zoo_data::{CurateRecipe, Job, Plan, count, plan, recipes};

fn shipped(name: &str) -> Plan {
    count(&CurateRecipe::open(name).unwrap(), &mut Job::new(&mut (), &AtomicBool::new(false))).unwrap()
}

#[test]
fn every_shipped_recipe_is_one() {
    assert_eq!(recipes().len(), 11);
    for (name, _) in recipes() {
        let plan = shipped(name);
        assert_eq!(plan.total, plan.sources.iter().map(|quota| quota.taken).sum::<u64>(), "{name}");
    }
}

/// The counts in the paper's figure are rounded to thousands, and their sum is not the one it prints (9784): so what
/// follows from them differs from the printed sizes by the percentages that stand here.
#[test]
fn caps_give_the_sizes_of_the_balance_table() {
    // Printed size in thousands, ours, and by how many percent ours is off.
    for (name, printed, ours, off) in [
        ("cambrian-10m", 9784.0, 9_805_500, 0.2),
        ("cambrian-t150", 4015.0, 3_921_500, -2.3),
        ("cambrian-t250", 5218.0, 5_072_500, -2.8),
        ("cambrian-t350", 5883.0, 5_836_500, -0.8),
        ("cambrian-t450", 6383.0, 6_486_500, 1.6),
    ] {
        let plan = shipped(name);
        assert_eq!(plan.total, ours, "{name}");
        let percent = (plan.total as f64 / 10.0 - printed * 100.0) / printed;
        assert!((percent - off).abs() < 0.05, "{name}: {percent}");
    }
}

#[test]
fn ratios_give_what_the_experiments_ask_for() {
    for experiment in 1..=5 {
        let recipe = CurateRecipe::open(&format!("cambrian-ratio-{experiment}")).unwrap();
        let plan = shipped(&recipe.name);
        let ratio = recipe.ratio.unwrap();
        let sum: f64 = ratio.values().sum();
        assert!(plan.shortfalls.is_empty(), "{:?}", plan.shortfalls);
        // Each of seven shares is rounded by itself.
        assert!(plan.total.abs_diff(1_350_000) <= 4, "{}", plan.total);
        for (category, share) in ratio {
            let percent = 100.0 * plan.categories[&category] as f64 / plan.total as f64;
            assert!((percent - 100.0 * share / sum).abs() < 1e-3, "{experiment} {category}: {percent}");
        }
    }
}

/// Everything but what was filtered out has the shares of the figure of Cambrian-7M, to within rounding of the counts.
#[test]
fn the_released_seven_million_are_all_but_what_was_filtered() {
    let plan = shipped("cambrian-7m");
    assert_eq!(plan.total, 7_115_500);
    for (category, printed) in [
        ("language", 23.8),
        ("general", 33.3),
        ("ocr", 27.6),
        ("counting", 8.5),
        ("math", 3.2),
        ("code", 0.8),
        ("science", 2.9),
    ] {
        let percent = 100.0 * plan.categories[category] as f64 / plan.total as f64;
        assert!((percent - printed).abs() < 0.6, "{category}: {percent} beside {printed}");
    }
}

fn recipe(
    caps: &[Option<u64>],
    cap: Option<u64>,
    total: Option<u64>,
    ratio: Option<[f64; 3]>,
) -> CurateRecipe {
    let mut text = String::new();
    for (name, number) in [("cap", cap), ("total", total)] {
        if let Some(number) = number {
            text += &format!("{name} = {number}\n");
        }
    }
    if let Some([a, b, c]) = ratio {
        text += &format!("[ratio]\nc0 = {a:?}\nc1 = {b:?}\nc2 = {c:?}\n");
    }
    for (i, cap) in caps.iter().enumerate() {
        text += &format!("[[source]]\nname = \"s{i}\"\ncategory = \"c{}\"\ncount = 1\n", i % 3);
        if let Some(cap) = cap {
            text += &format!("cap = {cap}\n");
        }
    }
    CurateRecipe::parse("test", Path::new(""), &text).unwrap()
}

proptest! {
    #[test]
    fn quotas_sum_and_caps_hold(
        sources in proptest::collection::vec((0_u64..5000, proptest::option::of(0_u64..900)), 3..9),
        cap in proptest::option::of(1_u64..2000),
        total in proptest::option::of(0_u64..9000),
        ratio in proptest::option::of([0.0..9.0_f64, 0.5..9.0, 0.0..9.0]),
    ) {
        let caps: Vec<Option<u64>> = sources.iter().map(|source| source.1).collect();
        let available: Vec<u64> = sources.iter().map(|source| source.0).collect();
        let recipe = recipe(&caps, cap, total, ratio);
        let plan = plan(&recipe, &available).unwrap();
        prop_assert_eq!(plan.total, plan.sources.iter().map(|quota| quota.taken).sum::<u64>());
        prop_assert_eq!(plan.total, plan.categories.values().sum::<u64>());
        for (quota, own) in plan.sources.iter().zip(&caps) {
            let limit = own.or(cap).unwrap_or(u64::MAX).min(quota.available);
            prop_assert_eq!(quota.capped, limit);
            prop_assert!(quota.taken <= quota.capped);
        }
        let there: u64 = plan.sources.iter().map(|quota| quota.capped).sum();
        match (ratio, total) {
            (None, total) => prop_assert_eq!(plan.total, total.map_or(there, |total| total.min(there))),
            (Some(ratio), Some(total)) => {
                let sum: f64 = ratio.iter().sum();
                for (at, share) in ratio.iter().enumerate() {
                    let name = format!("c{at}");
                    let there: u64 =
                        plan.sources.iter().filter(|q| q.category == name).map(|q| q.capped).sum();
                    let wanted = (total as f64 * share / sum).round() as u64;
                    prop_assert_eq!(plan.categories[&name], wanted.min(there));
                    prop_assert_eq!(plan.shortfalls.iter().any(|s| s.category == name), wanted > there);
                }
            }
            // As much as no category falls short of.
            (Some(_), None) => prop_assert!(plan.shortfalls.is_empty(), "{:?}", plan.shortfalls),
        }
    }
}
