//! LoRA adapters: differences to the weights of another model, which are no weights by themselves.

use std::path::Path;

use serde_json::Value;

use crate::json;

/// How the files of an adapter are called.
pub(super) const FILES: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];

/// What describes an adapter.
const CONFIG: &str = "adapter_config.json";

/// What is to be said of a folder that holds a LoRA adapter (`adapter_config.json` or `adapter_model.*`); `None` for one
/// that does not.
pub fn adapter(folder: &Path) -> Option<String> {
    let config = folder.join(CONFIG);
    if !config.is_file() && !FILES.iter().any(|name| folder.join(name).is_file()) {
        return None;
    }
    let base = json::read::<Value>(&config).ok();
    let base = base.as_ref().and_then(|config| config["base_model_name_or_path"].as_str());
    Some(advice(base))
}

/// What is to be said of an adapter for the model `base`.
pub(super) fn advice(base: Option<&str>) -> String {
    let of = base.map_or_else(String::new, |base| format!(" of `{base}`"));
    format!(
        "this is a LoRA adapter{of}: differences to a model, not a model. Merge the two and give the merged folder; in \
         Python: peft.PeftModel.from_pretrained(base, \"adapter\").merge_and_unload().save_pretrained(\"merged\"), where \
         `base` is the model as transformers loads it"
    )
}

/// Whether a tensor of this name belongs to an adapter.
pub(super) fn is_part(key: &str) -> bool {
    [".lora_A.", ".lora_B.", ".lora_embedding_A", ".lora_embedding_B"].iter().any(|part| key.contains(part))
}
