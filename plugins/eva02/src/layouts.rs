//! Where EVA-02 checkpoints keep the trunk's tensors.

use zoo_core::weights::{Layout, Piece, TensorSource};

/// timm's, alone or in open_clip: q, k and v apart and k without a bias, and the two halves of the gated network apart.
pub(crate) static LAYOUTS: [Layout; 1] = [Layout {
    name: "timm",
    prefixes: &["visual.trunk.", ""],
    marker: "cls_token",
    map: timm,
    ignored: &["head.*", "fc_norm.*"],
}];

fn timm(name: &str) -> TensorSource {
    let key = |before: &str, part: &str, leaf: &str| Piece::Key(format!("{before}.{part}.{leaf}"));
    if let Some((before, leaf)) = name.split_once(".qkv.") {
        let k = match leaf {
            "bias" => Piece::Zeros,
            _ => key(before, "k_proj", leaf),
        };
        return TensorSource::Concat(vec![key(before, "q_proj", leaf), k, key(before, "v_proj", leaf)]);
    }
    match name.split_once(".w12.") {
        Some((before, leaf)) => {
            TensorSource::Concat(["fc1_g", "fc1_x"].map(|part| key(before, part, leaf)).into())
        }
        None => TensorSource::key(name.replace(".w3.", ".fc2.")),
    }
}
