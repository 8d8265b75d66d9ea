//! Against plain torch and timm.

#[test]
fn parity() {
    zoo_tests::golden::check(&zoo_projectors::PLUGIN, concat!(env!("CARGO_MANIFEST_DIR"), "/golden"));
}
