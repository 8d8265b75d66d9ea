//! Architecture numbers, under the names that the released configurations use.

use serde::Deserialize;
use zoo_core::{Error, Grid, Result, Spec};

/// Attention heads; the same whatever the width.
pub const HEADS: usize = 16;

/// Numbers of one SVA connector.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arch {
    /// Width `C` in which queries and encoder tokens meet; a multiple of [`HEADS`].
    pub vision_hidden_size: usize,
    /// Channels of each encoder's tokens, in ensemble order.
    pub inputs: Vec<usize>,
    /// Tokens of each encoder: square numbers.
    pub token_lens: Vec<usize>,
    /// Width `H` of the language model.
    pub output: usize,
    /// Tokens of the final square grid.
    pub image_token_len: usize,
    /// Queries of each group: square numbers.
    pub query_num_list: Vec<usize>,
    /// Layers `D` of each group's sampler.
    pub connector_depth: usize,
    /// Kind of the layers before the language model. Those inside it are always joint.
    #[serde(default)]
    pub layer_type: LayerType,
    /// No layers inside the language model; the next three numbers then mean nothing.
    #[serde(default = "yes")]
    pub connector_only: bool,
    /// Layers inside the language model.
    #[serde(default)]
    pub num_of_vision_sampler_layers: usize,
    /// Decoder layer after which the first of them runs.
    #[serde(default)]
    pub start_of_vision_sampler_layers: usize,
    /// Decoder layers from one to the next.
    #[serde(default = "one")]
    pub stride_of_vision_sampler_layers: usize,
    /// Whether a learned newline token ends each row of an image block.
    #[serde(default = "yes")]
    pub newline: bool,
}

/// How a layer looks at several encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerType {
    /// One attention over the keys of all encoders.
    #[default]
    Joint,
    /// One aggregation per encoder, then a weighted sum over encoders.
    Sep,
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

impl Arch {
    /// Reads and checks the numbers of `spec`.
    ///
    /// # Errors
    /// [`Error::Arch`] naming the key and the rule that it breaks.
    pub fn read(spec: &Spec) -> Result<Self> {
        let arch: Self = spec.arch()?;
        arch.check().map_err(|message| Error::Arch { id: spec.id.clone(), message })?;
        Ok(arch)
    }

    fn check(&self) -> Result<(), String> {
        let width = self.vision_hidden_size;
        if width == 0 || !width.is_multiple_of(HEADS) {
            return Err(format!("vision_hidden_size = {width} is not a multiple of {HEADS} heads"));
        }
        if self.output == 0 || self.inputs.contains(&0) {
            return Err("output and inputs must be positive".into());
        }
        if self.inputs.is_empty() || self.inputs.len() != self.token_lens.len() {
            return Err(format!(
                "inputs names {} encoders and token_lens {}; both need one number per encoder",
                self.inputs.len(),
                self.token_lens.len()
            ));
        }
        if self.query_num_list.is_empty() || self.connector_depth == 0 {
            return Err("query_num_list and connector_depth ask for at least one group and one layer".into());
        }
        let sides = squares("token_lens", &self.token_lens)?;
        let mut grids = squares("query_num_list", &self.query_num_list)?;
        let last = squares("image_token_len", &[self.image_token_len])?;
        if !self.connector_only {
            if self.num_of_vision_sampler_layers == 0 || self.stride_of_vision_sampler_layers == 0 {
                return Err("with connector_only = false, num_of_vision_sampler_layers and \
                     stride_of_vision_sampler_layers must be at least 1"
                    .into());
            }
            grids.extend(last);
        }
        for (&side, &tokens) in sides.iter().zip(&self.token_lens) {
            if let Some(query) = grids.iter().find(|&&q| !side.is_multiple_of(q)) {
                return Err(format!(
                    "token_lens: {tokens} tokens ({side}×{side}) cannot be divided among {query}×{query} \
                     queries: {side} is no multiple of {query}"
                ));
            }
        }
        Ok(())
    }

    /// Encoders.
    pub fn encoders(&self) -> usize {
        self.inputs.len()
    }

    /// Grid of the fused tokens.
    pub fn grid(&self) -> Grid {
        Grid::square(self.image_token_len.isqrt())
    }

    /// Side of each encoder's token grid.
    pub fn sides(&self) -> Vec<usize> {
        self.token_lens.iter().map(|n| n.isqrt()).collect()
    }

    /// Decoder layers after which the layers inside the language model run.
    pub fn refine_after(&self) -> Vec<usize> {
        if self.connector_only {
            return Vec::new();
        }
        let (start, stride) = (self.start_of_vision_sampler_layers, self.stride_of_vision_sampler_layers);
        (0..self.num_of_vision_sampler_layers).map(|n| start + n * stride).collect()
    }
}

/// Sides of the square grids of `counts` tokens.
fn squares(key: &str, counts: &[usize]) -> Result<Vec<usize>, String> {
    let side = |&n: &usize| Grid::of_tokens(n).map(|g| g.h).map_err(|e| format!("{key}: {e}"));
    counts.iter().map(side).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(change: Value) -> Spec {
        let mut arch = json!({
            "vision_hidden_size": 32, "inputs": [12, 40], "token_lens": [16, 256], "output": 48,
            "image_token_len": 16, "query_num_list": [16], "connector_depth": 1
        });
        for (key, value) in change.as_object().unwrap() {
            arch[key] = value.clone();
        }
        let arch = arch.as_object().unwrap().clone();
        Spec { id: "demo".into(), architecture: "sva".into(), arch, precision: Default::default() }
    }

    fn message(change: Value) -> String {
        Arch::read(&spec(change)).unwrap_err().to_string()
    }

    #[test]
    fn schedules_of_the_released_models() {
        let layers = |start, stride, count| {
            let arch = Arch::read(&spec(json!({
                "connector_only": false, "start_of_vision_sampler_layers": start,
                "stride_of_vision_sampler_layers": stride, "num_of_vision_sampler_layers": count
            })));
            arch.unwrap().refine_after()
        };
        assert_eq!(layers(0, 3, 10), [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]);
        assert_eq!(layers(0, 4, 10), [0, 4, 8, 12, 16, 20, 24, 28, 32, 36]);
        assert_eq!(layers(0, 7, 9), [0, 7, 14, 21, 28, 35, 42, 49, 56]);
        assert_eq!(layers(2, 5, 2), [2, 7]);
        assert!(Arch::read(&spec(json!({}))).unwrap().refine_after().is_empty());
    }

    #[test]
    fn faults_name_the_key_and_the_rule() {
        for (change, expected) in [
            (
                json!({"vision_hidden_size": 40}),
                "demo: architecture: vision_hidden_size = 40 is not a multiple of 16 heads",
            ),
            (
                json!({"token_lens": [16, 250]}),
                "token_lens: 250 tokens are no square grid; the nearest are 225 and 256",
            ),
            (
                json!({"query_num_list": [9]}),
                "token_lens: 16 tokens (4×4) cannot be divided among 3×3 queries",
            ),
            (json!({"token_lens": [16]}), "inputs names 2 encoders and token_lens 1"),
            (json!({"query_num_list": []}), "at least one group"),
            (json!({"connector_only": false}), "num_of_vision_sampler_layers"),
            (json!({"image_token_len": 15}), "image_token_len: 15 tokens are no square grid"),
            (json!({"layer_type": "both"}), "unknown variant `both`, expected `joint` or `sep`"),
            (json!({"depth": 3}), "unknown field `depth`"),
        ] {
            let got = message(change);
            assert!(got.contains(expected), "{got}");
        }
    }

    #[test]
    fn the_final_grid_binds_encoders_only_with_layers_inside_the_language_model() {
        let change = json!({"image_token_len": 36});
        assert!(Arch::read(&spec(change.clone())).is_ok());
        let mut change = change;
        change["connector_only"] = json!(false);
        change["num_of_vision_sampler_layers"] = json!(1);
        assert!(message(change).contains("6×6 queries"));
    }
}
