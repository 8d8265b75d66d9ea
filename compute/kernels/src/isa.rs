//! Which instructions this machine has.
//!
//! A level is a list of processor features. It is taken where all of them are there, and a function that is compiled for
//! a level names that list: a test below reads the sources and finds every other one.

use std::sync::LazyLock;

/// A level of instructions; each holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What the compiler's target guarantees.
    Portable,
    /// AVX2 with fused multiply-add and conversions of f16.
    Avx2,
    /// AVX-512 F with BW and DQ.
    Avx512,
    /// The same with products of bytes.
    Avx512Vnni,
    /// The same with products of bf16 pairs.
    Avx512Bf16,
}

#[cfg(target_arch = "x86_64")]
macro_rules! has {
    ($feature:tt) => {
        is_x86_feature_detected!($feature)
    };
}

#[cfg(not(target_arch = "x86_64"))]
macro_rules! has {
    ($feature:tt) => {
        false
    };
}

macro_rules! ladder {
    ($($level:ident $name:literal [$($feature:tt)*])*) => {
        impl Isa {
            /// All levels, lowest first.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$level),*];

            /// What it is called in messages and settings.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$level => $name,)*
                }
            }

            /// The processor features that it asks for beside those of the levels before it.
            pub fn features(self) -> &'static [&'static str] {
                match self {
                    $(Self::$level => &[$($feature),*],)*
                }
            }

            /// Those features, of this level and the ones before it, that this machine lacks.
            pub fn missing(self) -> Vec<&'static str> {
                let needed = [$($((Self::$level, $feature, has!($feature)),)*)*];
                let missing = needed.into_iter().filter(|&(level, _, here)| level <= self && !here);
                missing.map(|(_, feature, _)| feature).collect()
            }
        }
    };
}

ladder! {
    Portable "portable" []
    Avx2 "avx2" ["avx2" "fma" "f16c"]
    Avx512 "avx512" ["avx512f" "avx512bw" "avx512dq"]
    Avx512Vnni "avx512-vnni" ["avx512vnni"]
    Avx512Bf16 "avx512-bf16" ["avx512bf16"]
}

impl Isa {
    /// The highest level of this machine.
    pub fn detect() -> Self {
        static BEST: LazyLock<Isa> = LazyLock::new(|| {
            let here = Isa::ALL.into_iter().rev().find(|level| level.missing().is_empty());
            here.unwrap_or(Isa::Portable)
        });
        *BEST
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The features of a level and those before it, as an attribute names them.
    fn list(level: Isa) -> String {
        let levels = Isa::ALL.into_iter().filter(|&l| l <= level);
        levels.flat_map(Isa::features).copied().collect::<Vec<_>>().join(",")
    }

    /// Each `enable = "…"` of the sources in `folder`.
    fn enabled(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                enabled(&entry, found);
                continue;
            }
            let text = fs::read_to_string(&entry).unwrap();
            for attribute in text.split("target_feature(enable = \"").skip(1) {
                let features = attribute.split('"').next().unwrap_or_default();
                found.push((entry.display().to_string(), features.to_owned()));
            }
        }
    }

    #[test]
    fn what_is_compiled_for_is_asked_for() {
        let mut found = Vec::new();
        enabled(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let lists: Vec<String> = Isa::ALL.into_iter().skip(1).map(list).collect();
        let stray: Vec<_> = found.iter().filter(|(_, features)| !lists.contains(features)).collect();
        assert!(stray.is_empty(), "no level asks for just these: {stray:?}");
        assert!(lists.iter().all(|list| found.iter().any(|(_, features)| features == list)), "{found:?}");
    }

    #[test]
    fn a_level_holds_those_before_it() {
        for (low, high) in Isa::ALL.into_iter().zip(Isa::ALL.into_iter().skip(1)) {
            assert!(low < high && low.missing().len() <= high.missing().len());
        }
        let best = Isa::detect();
        assert!(best.missing().is_empty());
        let next = Isa::ALL.into_iter().find(|level| *level > best);
        assert!(next.is_none_or(|next| !next.missing().is_empty()));
        assert_eq!(Isa::ALL.map(Isa::name).concat(), "portableavx2avx512avx512-vnniavx512-bf16");
    }
}
