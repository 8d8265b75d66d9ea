//! Tower names of Cambrian-1 configurations.
//!
//! ```text
//! tower     := base [ "-multi-stage" ] { "-res" INT | "-interp" INT }
//! composite := "hybridmodel-" tower { "-&&&-" tower }
//! ```
//!
//! `-resR` is the side of the image in pixels, `-interpN` the number of tokens (not a side), `-multi-stage` joins
//! all stages of a hierarchical encoder. The order of suffixes is free.

use zoo_core::Grid;

/// A tower name taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tower<'a> {
    /// What is left when the suffixes are gone.
    pub base: &'a str,
    /// `-multi-stage`
    pub multi_stage: bool,
    /// `-resR`
    pub resolution: Option<usize>,
    /// `-interpN`
    pub tokens: Option<usize>,
}

/// A suffix that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}`: {message}")]
pub struct TowerError {
    /// The whole name.
    pub name: String,
    /// What is wrong with its suffixes.
    pub message: String,
}

impl<'a> Tower<'a> {
    /// Takes the suffixes off. Every text is the name of some tower, unless a suffix is wrong in itself.
    ///
    /// # Errors
    /// [`TowerError`] for a suffix that stands twice, zero pixels, and a token count that is no square.
    pub fn parse(name: &'a str) -> Result<Self, TowerError> {
        let fault = |message: String| Err(TowerError { name: name.to_owned(), message });
        let mut tower = Self { base: name, multi_stage: false, resolution: None, tokens: None };
        loop {
            if let Some(base) = tower.base.strip_suffix("-multi-stage") {
                if tower.multi_stage {
                    return fault("`-multi-stage` stands twice".into());
                }
                (tower.base, tower.multi_stage) = (base, true);
                continue;
            }
            let digits = tower.base.len() - tower.base.bytes().rev().take_while(u8::is_ascii_digit).count();
            let (front, number) = tower.base.split_at(digits);
            let (base, key, slot) = if let Some(base) = front.strip_suffix("-res") {
                (base, "-res", &mut tower.resolution)
            } else if let Some(base) = front.strip_suffix("-interp") {
                (base, "-interp", &mut tower.tokens)
            } else {
                break;
            };
            if number.is_empty() {
                break;
            }
            let Ok(value) = number.parse::<u32>() else {
                return fault(format!("`{key}{number}` is too large a number"));
            };
            if slot.replace(value as usize).is_some() {
                return fault(format!("`{key}` stands twice"));
            }
            tower.base = base;
        }
        if tower.resolution == Some(0) {
            return fault("an image has at least one pixel".into());
        }
        if let Some(Err(error)) = tower.tokens.map(Grid::of_tokens) {
            return fault(error.to_string());
        }
        Ok(tower)
    }

    /// This tower, with the suffixes of `other` where it has none of their kind.
    pub(crate) fn over(self, other: &Tower<'_>) -> Self {
        Self {
            base: self.base,
            multi_stage: self.multi_stage || other.multi_stage,
            resolution: self.resolution.or(other.resolution),
            tokens: self.tokens.or(other.tokens),
        }
    }
}

/// The towers of a composite name; none for a plain one.
pub(crate) fn composite(name: &str) -> Option<Vec<&str>> {
    Some(name.strip_prefix("hybridmodel-")?.split("-&&&-").collect())
}
