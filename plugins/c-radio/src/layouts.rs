//! Where C-RADIO checkpoints keep the trunk's tensors.

use zoo_core::weights::{Layout, TensorSource};

/// The makers' own. The statistics of the pixels, which they keep beside the network, are those of the registry row.
pub(crate) static LAYOUTS: [Layout; 1] = [Layout {
    name: "original",
    prefixes: &["radio_model.model.", "model."],
    marker: "patch_generator.embedder.weight",
    map: original,
    ignored: &["patch_generator.video_embedder.*", "norm.*"],
}];

fn original(name: &str) -> TensorSource {
    match name {
        "prefix_token" => TensorSource::squeezed("patch_generator.cls_token.token"),
        "pos_embed" => TensorSource::key("patch_generator.pos_embed"),
        "patch_embed.proj.weight" => TensorSource::key("patch_generator.embedder.weight"),
        // Their loader knows `gamma` as an old name of `weight`, and calls it otherwise therefore.
        _ => TensorSource::key(name.replace(".gamma", ".grandma")),
    }
}
