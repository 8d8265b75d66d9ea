//! How results were made, and what becomes of those that are there.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Replace;
use crate::Metadata;

/// What to do about results that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// Nothing: they are an error.
    #[default]
    Refuse,
    /// They are replaced, and what an earlier run did not finish is thrown away.
    Replace,
    /// They are kept, and what is missing is added, if they were made in the same way.
    Keep,
}

impl Existing {
    /// For files that are not there, as far as is known.
    pub fn replace(self) -> Replace {
        if self == Self::Replace { Replace::Always } else { Replace::Never }
    }
}

/// How the results of a run are made.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    identity: Metadata,
    fingerprint: String,
    /// What is recorded in every file.
    pub common: Metadata,
}

impl Setting {
    /// `identity` is everything that decides the numbers, and `common` what is recorded beside them whatever the
    /// images are.
    pub fn new(mut identity: Metadata, mut common: Metadata) -> Self {
        identity.extend(common.clone());
        let digest = Sha256::digest(Value::Object(sorted(&identity)).to_string().as_bytes());
        let fingerprint: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        common.insert("fingerprint".into(), fingerprint.as_str().into());
        Self { identity, fingerprint, common }
    }

    /// What decides the numbers.
    pub fn identity(&self) -> &Metadata {
        &self.identity
    }

    /// [`Setting::identity`] in sixteen letters, which are recorded in every file.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Keys of the identity in which this setting differs from `other`, which was read from a file.
    pub(crate) fn differs(&self, other: &Metadata) -> Vec<String> {
        // A number that is written and read is not always the same one.
        let written = Value::Object(self.identity.clone()).to_string();
        let ours: Metadata = serde_json::from_str(&written).unwrap_or_default();
        let keys = ours.keys().chain(other.keys().filter(|key| !ours.contains_key(*key)));
        keys.filter(|key| ours.get(*key) != other.get(*key)).cloned().collect()
    }
}

/// Sorted by key, as the order in which things were recorded means nothing.
fn sorted(map: &Metadata) -> Metadata {
    let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    entries.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_fingerprint_is_that_of_the_contents() {
        let map = |pairs: &[(&str, i32)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        let of = |identity: &[(&str, i32)]| Setting::new(map(identity), map(&[("c", 3)]));
        let first = of(&[("a", 1), ("b", 2)]);
        assert_eq!(first.fingerprint().len(), 16);
        assert_eq!(first.common["fingerprint"], *first.fingerprint());
        assert_eq!(first.fingerprint(), of(&[("b", 2), ("a", 1)]).fingerprint());
        let other = of(&[("a", 1), ("b", 4), ("d", 5)]);
        assert_ne!(first.fingerprint(), other.fingerprint());
        assert_eq!(first.differs(other.identity()), ["b", "d"]);
        assert!(first.differs(first.identity()).is_empty());
    }
}
