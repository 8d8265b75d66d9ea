//! Low-rank differences: which there are, with what they begin, and what they come to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::json;
use zoo_core::Trainable;
use zoo_core::weights::{Checkpoint, LowRank};
use zoo_host::Piece;

use super::begin;
use super::checkpoint::Numbers;
use super::export::{replace, write};
use super::optimiser::{Optimiser, Slot};
use crate::recipe::{Lora, Recipe};
use crate::{Error, Result};

/// The files of the Python package peft.
const FILES: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

impl Lora {
    pub(super) fn scale(&self) -> f64 {
        self.alpha.get_ref() / *self.rank.get_ref() as f64
    }
}

/// The published keys of the matrices of a language model.
pub(super) fn matrices(llm: &Piece) -> Vec<&str> {
    let matrix = |key: &&str| llm.tensors.iter().any(|t| t.key == *key && t.shape.len() == 2);
    begin::keys(llm).filter(matrix).collect()
}

/// What is learnt beside which matrices.
pub(super) fn differences(recipe: &Recipe, llm: &Piece) -> Result<Option<LowRank>> {
    let Some(lora) = &recipe.plan.lora else { return Ok(None) };
    let targets: BTreeSet<String> = recipe.targets(&matrices(llm))?.into_iter().map(str::to_owned).collect();
    Ok(Some(LowRank {
        rank: *lora.rank.get_ref(),
        scale: lora.scale(),
        dropout: *lora.dropout.get_ref(),
        targets,
        seed: recipe.plan.seed,
    }))
}

/// The published keys of their parts.
pub(super) fn keys(recipe: &Recipe, llm: &Piece) -> Result<Vec<String>> {
    let targets = differences(recipe, llm)?.map(|differences| differences.targets).unwrap_or_default();
    Ok(targets.iter().flat_map(|key| LowRank::keys(key)).collect())
}

/// What the differences begin with: as `part` has them, or as the recipe's adapter does.
pub(super) fn values(
    recipe: &Recipe,
    differences: &LowRank,
    part: Option<&dyn Trainable>,
) -> Result<BTreeMap<String, Tensor>> {
    let mut out = BTreeMap::new();
    let part = part.ok_or_else(|| Error::Internal("a language model without its differences".into()))?;
    for key in differences.targets.iter().flat_map(|key| LowRank::keys(key)) {
        let var = part.variables().get(&key);
        let var =
            var.ok_or_else(|| Error::Internal(format!("`{key}` was to be trained and is no variable")))?;
        out.insert(key, var.as_tensor().copy()?.detach());
    }
    let Some(folder) = recipe.plan.lora.as_ref().and_then(|lora| lora.adapter.as_ref()) else {
        return Ok(out);
    };
    let files = Checkpoint::open(&[folder.join(FILES[1])])?;
    if let Some(key) = files.keys().find(|key| !out.contains_key(*key)) {
        let message =
            format!("`{key}` is no difference that the recipe asks for; do `targets` fit the adapter?");
        return Err(files.fault(message).into());
    }
    for (key, value) in &mut out {
        if files.shape(key) != Some(value.dims()) {
            let message = match files.shape(key) {
                None => {
                    format!("there is no `{key}`, which the recipe asks for; do `targets` fit the adapter?")
                }
                Some(shape) => format!("`{key}` is {shape:?}, expected {:?}; does `rank` fit?", value.dims()),
            };
            return Err(files.fault(message).into());
        }
        *value = files.load(key)?;
    }
    Ok(out)
}

/// The parts of the difference to the matrix `key`, if it has one.
pub(super) fn parts<'a>(optimiser: &'a Optimiser, key: &str) -> Option<[&'a Slot; 2]> {
    let [down, up] = LowRank::keys(key);
    Some([optimiser.slots().get(&down)?, optimiser.slots().get(&up)?])
}

/// `matrix + scale · up · down` in f32.
pub(super) fn merged(matrix: &[f32], [down, up]: [&Slot; 2], scale: f64) -> Result<Vec<f32>> {
    let tensor = |slot: &Slot| Tensor::from_slice(&slot.value, slot.shape.as_slice(), &Device::Cpu);
    let difference = (tensor(up)?.matmul(&tensor(down)?)? * scale)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(matrix.iter().zip(difference).map(|(a, b)| a + b).collect())
}

/// Writes the differences alone to `folder`, as peft reads them.
pub(super) fn export(folder: &Path, recipe: &Recipe, llm: &Piece, optimiser: &Optimiser) -> Result<()> {
    let (Some(lora), Some(differences)) = (&recipe.plan.lora, differences(recipe, llm)?) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(Error::io(folder, "cannot make the folder"))?;
    let modules: BTreeSet<&str> =
        differences.targets.iter().map(|key| key.trim_end_matches(".weight")).collect();
    let config = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": null,
        "inference_mode": true,
        "r": differences.rank,
        "lora_alpha": lora.alpha.get_ref(),
        "lora_dropout": differences.dropout,
        "target_modules": modules,
        "bias": "none",
        "fan_in_fan_out": false,
    });
    let config = serde_json::to_vec_pretty(&config).map_err(|e| Error::Internal(e.to_string()))?;
    let keys = differences.targets.iter().flat_map(|key| LowRank::keys(key));
    let tensors: BTreeMap<String, Numbers<'_>> = keys
        .filter_map(|key| {
            let slot = optimiser.slots().get(&key)?;
            Some((key, Numbers(&slot.shape, &slot.value)))
        })
        .collect();
    write(&folder.join(FILES[1]), tensors)?;
    replace(&folder.join(FILES[0]), &config)
}
