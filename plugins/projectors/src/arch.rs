//! Architecture numbers.

use serde::Deserialize;
use zoo_core::{Error, Grid, Result, Spec};

/// Numbers of one projector. Which of the optional ones an architecture takes is in the table of the crate's
/// front page; any other is refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arch {
    /// Channels of each encoder's tokens, in ensemble order.
    pub inputs: Vec<usize>,
    /// Width `H` of the language model.
    pub output: usize,
    /// Tokens of each encoder, a square number. Without it any square number does, the same for all encoders.
    pub token_len: Option<usize>,
    /// Tokens that come out, a square number, where that is a free choice.
    pub image_token_len: Option<usize>,
    /// Linear layers of `mlp_gelu` (default 2); RegNet blocks of each stage of `c_abstractor` (default 3).
    pub depth: Option<usize>,
    /// Linear layers at the end of `c_abstractor` (default 2).
    pub mlp_depth: Option<usize>,
    /// Channels of the convolutions (default 1024).
    pub hidden: Option<usize>,
    /// Attention heads of `resampler`.
    pub heads: Option<usize>,
    /// Whether a learned newline token ends each row of an image block.
    #[serde(default = "yes")]
    pub newline: bool,
    /// Whether cells that show padding are cut from an image block.
    #[serde(default = "yes")]
    pub unpad: bool,
}

fn yes() -> bool {
    true
}

/// The optional numbers of each architecture.
fn options(architecture: &str) -> &'static [&'static str] {
    match architecture {
        "mlp_gelu" => &["depth"],
        "c_abstractor_released" => &["hidden"],
        "c_abstractor" => &["image_token_len", "hidden", "depth", "mlp_depth"],
        "resampler" => &["image_token_len", "heads"],
        _ => &[],
    }
}

impl Arch {
    /// Reads and checks the numbers of `spec`.
    ///
    /// # Errors
    /// [`Error::Arch`] naming the key and the rule that it breaks.
    pub fn read(spec: &Spec) -> Result<Self> {
        let arch: Self = spec.arch()?;
        let fault = |message| Error::Arch { id: spec.id.clone(), message };
        arch.check(&spec.architecture).map_err(fault)?;
        Ok(arch)
    }

    fn check(&self, architecture: &str) -> Result<(), String> {
        let numbers = [
            ("image_token_len", self.image_token_len),
            ("depth", self.depth),
            ("mlp_depth", self.mlp_depth),
            ("hidden", self.hidden),
            ("heads", self.heads),
        ];
        let known = options(architecture);
        for (key, value) in numbers {
            if value.is_some() && !known.contains(&key) {
                return Err(format!("`{key}` means nothing to `{architecture}`"));
            }
            if value == Some(0) {
                return Err(format!("`{key}` must be at least 1"));
            }
        }
        if self.inputs.is_empty() || self.inputs.contains(&0) || self.output == 0 {
            return Err(
                "`inputs` names the channels of at least one encoder; they and `output` are positive".into(),
            );
        }
        for (key, tokens) in [("token_len", self.token_len), ("image_token_len", self.image_token_len)] {
            if let Some(tokens) = tokens {
                Grid::of_tokens(tokens).map_err(|e| format!("`{key}`: {e}"))?;
            }
        }
        for key in ["image_token_len", "heads"] {
            let given = numbers.iter().any(|(name, value)| *name == key && value.is_some());
            if known.contains(&key) && !given {
                return Err(format!("`{architecture}` needs `{key}`"));
            }
        }
        let (sum, output) = (self.channels(), self.output);
        match architecture {
            "identity" if sum != output => {
                Err(format!("`output` = {output}, but all encoders together have {sum} channels"))
            }
            "c_abstractor" if self.token_len.is_none() => {
                Err("`c_abstractor` needs `token_len`: it has an embedding per token".into())
            }
            "c_abstractor" if sum < 3 => Err("`c_abstractor` needs at least 3 channels".into()),
            "resampler" if output % 4 != 0 || output % self.heads.unwrap_or(1) != 0 => {
                Err(format!("`output` = {output} must be a multiple of 4 and of `heads`"))
            }
            _ => Ok(()),
        }
    }

    /// Channels of all encoders together.
    pub fn channels(&self) -> usize {
        self.inputs.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(architecture: &str, arch: Value) -> Result<Arch> {
        let arch = arch.as_object().unwrap().clone();
        Arch::read(&Spec {
            id: "demo".into(),
            architecture: architecture.into(),
            arch,
            precision: Default::default(),
        })
    }

    #[test]
    fn faults_name_the_key() {
        for (architecture, arch, expected) in [
            ("linear", json!({"inputs": [4], "output": 8, "depth": 2}), "`depth` means nothing to `linear`"),
            ("mlp_gelu", json!({"inputs": [4], "output": 8, "depth": 0}), "`depth` must be at least 1"),
            ("mlp_gelu", json!({"inputs": [], "output": 8}), "at least one encoder"),
            ("mlp_gelu", json!({"inputs": [4], "output": 8, "token_len": 8}), "8 tokens are no square grid"),
            ("mlp_gelu", json!({"inputs": [4], "output": 8, "width": 8}), "unknown field `width`"),
            ("identity", json!({"inputs": [4, 5], "output": 8}), "all encoders together have 9 channels"),
            (
                "resampler",
                json!({"inputs": [4], "output": 8, "heads": 2}),
                "`resampler` needs `image_token_len`",
            ),
            (
                "resampler",
                json!({"inputs": [4], "output": 8, "image_token_len": 4}),
                "`resampler` needs `heads`",
            ),
            (
                "resampler",
                json!({"inputs": [4], "output": 8, "image_token_len": 4, "heads": 3}),
                "multiple of 4 and of `heads`",
            ),
            ("c_abstractor", json!({"inputs": [4], "output": 8, "image_token_len": 4}), "needs `token_len`"),
        ] {
            let got = read(architecture, arch).unwrap_err().to_string();
            assert!(got.starts_with("demo: architecture: ") && got.contains(expected), "{got}");
        }
    }
}
