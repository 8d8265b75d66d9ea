//! What no descriptor can truthfully say. Whoever opens an object looks here first, so that nothing that is computed
//! from a descriptor later divides by zero, overflows or asks for what cannot be.

use std::fmt::Display;

use crate::descriptor::{
    ConnectorDescriptor, EmbeddingInfo, EncoderDescriptor, LlmDescriptor, Resolution, TextDescriptor,
};
use crate::options::OptionInfo;

/// The most that a single size can be: products of two stay within a machine word.
const SIZE: u64 = u32::MAX as u64;
/// The most that a number of parameters or bytes can be: sums and small multiples of it stay within 64 bits.
const TOTAL: u64 = 1 << 56;

/// Collects what is wrong.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn of(said: &str, asked: &str) -> Self {
        let mut faults = Self::default();
        if said != asked {
            faults.add(format!("its descriptor is called `{said}`, but `{asked}` was opened"));
        }
        faults
    }

    fn add(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }

    fn size(&mut self, what: impl Display, n: usize) {
        if n == 0 || n as u64 > SIZE {
            self.add(format!("{what} is {n}, which is none between 1 and {SIZE}"));
        }
    }

    fn total(&mut self, what: impl Display, n: u64) {
        if n > TOTAL {
            self.add(format!("{what} is {n}, more than any machine holds"));
        }
    }
}

impl EncoderDescriptor {
    /// What is wrong with this descriptor of an encoder that was opened as `id`; nothing in a sound one.
    pub fn faults(&self, id: &str) -> Vec<String> {
        let mut faults = Faults::of(&self.id, id);
        if self.layers.is_empty() {
            faults.add("its descriptor lists no `layers`");
        }
        for (i, layer) in self.layers.iter().enumerate() {
            faults.size(format_args!("`channels` of layer {i}"), layer.channels);
            faults.size(format_args!("`stride` of layer {i}"), layer.stride);
        }
        faults.size("`native`", self.native);
        match self.resolution {
            Resolution::Fixed => {}
            Resolution::MultipleOf(m) => faults.size("`resolution.multiple_of`", m),
            Resolution::AtLeast(m) => faults.size("`resolution.at_least`", m),
        }
        faults.total("`parameters`", self.parameters);
        self.options.iter().filter_map(OptionInfo::fault).for_each(|fault| faults.add(fault));
        if faults.0.is_empty() {
            let native = self.native;
            for layer in 0..self.layers.len() {
                match self.grid(layer, native, native) {
                    Err(error) => faults.add(format!("it refuses its own `native` size: {error}")),
                    Ok(grid) if grid.cells() == 0 => {
                        let stride = self.layers[layer].stride;
                        faults.add(format!(
                            "layer {layer} has no cell: its `stride` of {stride} is more than the {native} pixels of \
                             `native`"
                        ));
                    }
                    Ok(_) => continue,
                }
                break;
            }
        }
        faults.0
    }
}

impl EmbeddingInfo {
    /// What is wrong with it; nothing in a sound one.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Faults::default();
        faults.size("`width` of `embedding`", self.width);
        faults.0
    }
}

impl ConnectorDescriptor {
    /// What is wrong with this descriptor of a connector that was opened as `id`; nothing in a sound one.
    pub fn faults(&self, id: &str) -> Vec<String> {
        let mut faults = Faults::of(&self.id, id);
        if self.inputs.is_empty() {
            faults.add("its descriptor lists no `inputs`");
        }
        for (i, input) in self.inputs.iter().enumerate() {
            faults.size(format_args!("`channels` of input {i}"), input.channels);
            if let Some(tokens) = input.tokens {
                faults.size(format_args!("`tokens` of input {i}"), tokens);
            }
        }
        faults.size("`output`", self.output);
        if let Some(side) = self.side {
            faults.size("`side`", side);
        }
        if !self.refine_after.is_sorted_by(|a, b| a < b) {
            faults.add(format!("`refine_after` is {:?}: layers come in ascending order", self.refine_after));
        }
        faults.total("`parameters`", self.parameters);
        faults.0
    }
}

impl TextDescriptor {
    /// What is wrong with this descriptor of a text tower that was opened as `id`; nothing in a sound one.
    pub fn faults(&self, id: &str) -> Vec<String> {
        let mut faults = Faults::of(&self.id, id);
        for (what, n) in [("`vocab`", self.vocab), ("`context`", self.context), ("`width`", self.width)] {
            faults.size(what, n);
        }
        if !self.scale.is_finite() || !self.bias.unwrap_or(0.0).is_finite() {
            faults
                .add(format!("`scale` is {} and `bias` {:?}, which must be numbers", self.scale, self.bias));
        }
        faults.total("`parameters`", self.parameters);
        faults.0
    }
}

impl LlmDescriptor {
    /// What is wrong with this descriptor of a language model that was opened as `id`; nothing in a sound one.
    pub fn faults(&self, id: &str) -> Vec<String> {
        let mut faults = Faults::of(&self.id, id);
        for (what, n) in [
            ("`hidden`", self.hidden),
            ("`layers`", self.layers),
            ("`vocab`", self.vocab),
            ("`max_positions`", self.max_positions),
        ] {
            faults.size(what, n);
        }
        faults.total("`parameters`", self.parameters);
        // A cache of all positions is planned for.
        let positions = self.max_positions as u64;
        faults.total(
            "a full KV cache in bytes",
            self.cache_bytes_per_position.saturating_mul(positions.max(1)),
        );
        faults.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn with(mut sound: Value, changes: Value) -> Value {
        for (key, value) in changes.as_object().unwrap() {
            sound[key] = value.clone();
        }
        sound
    }

    #[track_caller]
    fn check(found: &[String], part: &str) {
        match part {
            "" => assert!(found.is_empty(), "{found:?}"),
            part => assert!(found.iter().any(|f| f.contains(part)), "{found:?} should contain {part:?}"),
        }
    }

    #[test]
    fn encoders() {
        let sound = json!({
            "id": "x", "layers": [{"channels": 2, "stride": 1}], "prefix": [], "final_norm": false, "native": 2,
            "resolution": {"at_least": 1}, "parameters": 0, "vjp": false,
        });
        for (changes, part) in [
            (json!({}), ""),
            (json!({"resolution": "fixed"}), ""),
            (json!({"id": "y"}), "called `y`, but `x` was opened"),
            (json!({"layers": []}), "no `layers`"),
            (json!({"layers": [{"channels": 0, "stride": 1}]}), "`channels` of layer 0 is 0"),
            (json!({"layers": [{"channels": 2, "stride": 0}]}), "`stride` of layer 0 is 0"),
            (json!({"layers": [{"channels": 1_u64 << 40, "stride": 1}]}), "`channels` of layer 0"),
            (json!({"layers": [{"channels": 2, "stride": 3}]}), "`stride` of 3 is more than the 2 pixels"),
            (json!({"native": 0}), "`native` is 0"),
            (json!({"resolution": {"multiple_of": 0}}), "`resolution.multiple_of` is 0"),
            (json!({"resolution": {"at_least": 0}}), "`resolution.at_least` is 0"),
            (json!({"resolution": {"multiple_of": 3}}), "refuses its own `native` size"),
            (json!({"parameters": u64::MAX}), "`parameters`"),
        ] {
            let said: EncoderDescriptor = serde_json::from_value(with(sound.clone(), changes)).unwrap();
            check(&said.faults("x"), part);
        }
        // Even a descriptor that nobody looked at divides by nothing.
        let said: EncoderDescriptor = serde_json::from_value(with(
            sound,
            json!({"layers": [{"channels": 2, "stride": 0}], "resolution": "fixed"}),
        ))
        .unwrap();
        assert!(said.grid(0, 2, 2).unwrap_err().to_string().contains("stride of 0"));
    }

    #[test]
    fn connectors() {
        let sound = json!({
            "id": "x", "inputs": [{"channels": 2, "tokens": 4}], "output": 8, "side": 2, "attends": false,
            "refine_after": [0, 3], "parameters": 0,
        });
        for (changes, part) in [
            (json!({}), ""),
            (json!({"id": "y"}), "called `y`, but `x` was opened"),
            (json!({"inputs": []}), "no `inputs`"),
            (json!({"inputs": [{"channels": 0, "tokens": null}]}), "`channels` of input 0 is 0"),
            (json!({"inputs": [{"channels": 1, "tokens": 0}]}), "`tokens` of input 0 is 0"),
            (json!({"output": 0}), "`output` is 0"),
            (json!({"side": 0}), "`side` is 0"),
            (json!({"refine_after": [3, 3]}), "`refine_after` is [3, 3]"),
        ] {
            let said: ConnectorDescriptor = serde_json::from_value(with(sound.clone(), changes)).unwrap();
            check(&said.faults("x"), part);
        }
    }

    #[test]
    fn vectors() {
        let of = |width| EmbeddingInfo { width, about: "mean".into() }.faults();
        check(&of(4), "");
        check(&of(0), "`width` of `embedding` is 0");
    }

    #[test]
    fn text_towers() {
        let sound = json!({
            "id": "x", "vocab": 5, "context": 4, "filled": false, "width": 8, "scale": 100.0, "parameters": 100,
        });
        for (changes, part) in [
            (json!({}), ""),
            (json!({"bias": -10.0}), ""),
            (json!({"id": "y"}), "called `y`, but `x` was opened"),
            (json!({"vocab": 0}), "`vocab` is 0"),
            (json!({"context": 0}), "`context` is 0"),
            (json!({"width": 0}), "`width` is 0"),
        ] {
            let said: TextDescriptor = serde_json::from_value(with(sound.clone(), changes)).unwrap();
            check(&said.faults("x"), part);
        }
        let said: TextDescriptor = serde_json::from_value(sound).unwrap();
        check(&TextDescriptor { scale: f64::NAN, ..said }.faults("x"), "`scale` is NaN");
    }

    #[test]
    fn language_models() {
        let sound = json!({
            "id": "x", "hidden": 8, "layers": 2, "vocab": 5, "max_positions": 16, "cache_bytes_per_position": 64,
            "parameters": 100,
        });
        for (changes, part) in [
            (json!({}), ""),
            (json!({"id": "y"}), "called `y`, but `x` was opened"),
            (json!({"hidden": 0}), "`hidden` is 0"),
            (json!({"layers": 0}), "`layers` is 0"),
            (json!({"vocab": 0}), "`vocab` is 0"),
            (json!({"max_positions": 0}), "`max_positions` is 0"),
            (json!({"cache_bytes_per_position": u64::MAX}), "a full KV cache"),
        ] {
            let said: LlmDescriptor = serde_json::from_value(with(sound.clone(), changes)).unwrap();
            check(&said.faults("x"), part);
        }
    }
}
