//! Agreement with transformers, open_clip and timm.

#[test]
fn parity() {
    zoo_tests::golden::check(&zoo_clip::PLUGIN, concat!(env!("CARGO_MANIFEST_DIR"), "/golden"));
}
