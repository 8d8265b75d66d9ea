//! How many records of each source: arithmetic on counts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::CurateRecipe;
use crate::Result;

/// How many records are taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// All of them.
    pub total: u64,
    /// In the order of the recipe.
    pub sources: Vec<Quota>,
    /// Records of each category.
    pub categories: BTreeMap<String, u64>,
    /// Categories with fewer records than their ratio asks for.
    pub shortfalls: Vec<Shortfall>,
}

/// Of one source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quota {
    /// Its name.
    pub source: String,
    /// Its category.
    pub category: String,
    /// Records that it has.
    pub available: u64,
    /// Records under its cap.
    pub capped: u64,
    /// Records that are taken.
    pub taken: u64,
}

/// A category that has too few records.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shortfall {
    /// Its name.
    pub category: String,
    /// What its ratio asks for.
    pub wanted: u64,
    /// What there is under the caps.
    pub available: u64,
}

/// Decides how many of the `available` records of each source are taken.
///
/// Caps hold for a source, or for all sources of one `unit` together. Of a total, category c gets
/// `min(total · r_c / Σ r, available_c)`; without a total, as much as no category falls short of. Inside a category,
/// sources give in proportion to what they have under their caps; rounding goes to the largest remainders.
///
/// # Errors
/// A ratio for a category that no source has, or none for one that a source has.
pub fn plan(recipe: &CurateRecipe, available: &[u64]) -> Result<Plan> {
    let capped = caps(recipe, available);
    let mut categories: BTreeMap<&str, u64> = BTreeMap::new();
    for (source, capped) in recipe.sources.iter().zip(&capped) {
        *categories.entry(&source.category).or_default() += capped;
    }
    let mut shortfalls = Vec::new();
    let taken = match (&recipe.ratio, recipe.total) {
        (None, None) => capped.clone(),
        (None, Some(total)) => share(total.min(capped.iter().sum()), &capped),
        (Some(ratio), total) => {
            let named = |category: &&str| ratio.contains_key(*category);
            if let Some(other) = ratio.keys().find(|name| !categories.contains_key(name.as_str())) {
                return Err(
                    recipe.wrong(format!("[ratio] names `{other}`, which no source has as its category"))
                );
            }
            if let Some(other) = categories.keys().find(|name| !named(name)) {
                return Err(
                    recipe.wrong(format!("[ratio] has nothing for category `{other}`; 0 leaves it out"))
                );
            }
            let sum: f64 = ratio.values().sum();
            let total = total.map_or_else(|| most(&categories, ratio, sum), |total| total as f64);
            let mut taken = vec![0; capped.len()];
            for (&category, &there) in &categories {
                let wanted = (total * ratio[category] / sum).round() as u64;
                if wanted > there {
                    shortfalls.push(Shortfall { category: category.to_owned(), wanted, available: there });
                }
                let inside: Vec<usize> =
                    (0..capped.len()).filter(|&source| recipe.sources[source].category == category).collect();
                let weights: Vec<u64> = inside.iter().map(|&source| capped[source]).collect();
                for (source, taken_of) in inside.iter().zip(share(wanted.min(there), &weights)) {
                    taken[*source] = taken_of;
                }
            }
            taken
        }
    };
    let quota = |i: usize| Quota {
        source: recipe.sources[i].name.clone(),
        category: recipe.sources[i].category.clone(),
        available: available[i],
        capped: capped[i],
        taken: taken[i],
    };
    let sources: Vec<Quota> = (0..taken.len()).map(quota).collect();
    let mut categories = BTreeMap::new();
    for quota in &sources {
        *categories.entry(quota.category.clone()).or_default() += quota.taken;
    }
    Ok(Plan { total: taken.iter().sum(), sources, categories, shortfalls })
}

/// What the caps leave of each source.
fn caps(recipe: &CurateRecipe, available: &[u64]) -> Vec<u64> {
    let mut out = available.to_vec();
    for (i, source) in recipe.sources.iter().enumerate() {
        if recipe.drop.contains(&source.name) {
            out[i] = 0;
        }
    }
    let units: Vec<&str> =
        recipe.sources.iter().map(|source| source.unit.as_deref().unwrap_or(&source.name)).collect();
    for (first, unit) in units.iter().enumerate() {
        if units[..first].contains(unit) {
            continue;
        }
        let members: Vec<usize> = (first..units.len()).filter(|&i| units[i] == *unit).collect();
        let Some(cap) = recipe.sources[first].cap.or(recipe.cap) else { continue };
        let weights: Vec<u64> = members.iter().map(|&i| out[i]).collect();
        let sum: u64 = weights.iter().sum();
        for (i, share) in members.iter().zip(share(sum.min(cap), &weights)) {
            out[*i] = share;
        }
    }
    out
}

/// The largest total of which no category falls short.
fn most(categories: &BTreeMap<&str, u64>, ratio: &BTreeMap<String, f64>, sum: f64) -> f64 {
    let limit = |(category, there): (&&str, &u64)| {
        let ratio = ratio[*category];
        (ratio > 0.0).then(|| *there as f64 * sum / ratio)
    };
    categories.iter().filter_map(limit).fold(f64::INFINITY, f64::min).floor()
}

/// `total` in proportion to `weights`, none more than its weight; what rounding leaves goes to the largest remainders,
/// and of equal ones to the first. `total` is at most the sum of the weights.
fn share(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|&w| u128::from(w)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let product = |weight: u64| u128::from(total) * u128::from(weight);
    let mut out: Vec<u64> = weights.iter().map(|&weight| (product(weight) / sum) as u64).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(product(weights[i]) % sum), i));
    let left = total - out.iter().sum::<u64>();
    for &i in order.iter().take(left as usize) {
        out[i] += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_sum_and_stay_below_their_weights(weights in proptest::collection::vec(0_u64..1000, 1..9), part in 0.0..=1.0_f64) {
            let sum: u64 = weights.iter().sum();
            let total = (sum as f64 * part) as u64;
            let shares = share(total, &weights);
            prop_assert_eq!(shares.iter().sum::<u64>(), total);
            for (share, weight) in shares.iter().zip(&weights) {
                prop_assert!(share <= weight);
                let exact = total as f64 * *weight as f64 / sum.max(1) as f64;
                prop_assert!((*share as f64 - exact).abs() < 1.0, "{} {}", share, exact);
            }
        }
    }
}
