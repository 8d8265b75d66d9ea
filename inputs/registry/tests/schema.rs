//! The committed JSON schema.

#[test]
fn is_current() {
    let committed = include_str!("../registry.schema.json");
    assert_eq!(
        committed.trim_end(),
        format!("{:#}", zoo_registry::schema()),
        "run `cargo run --release -p zoo-registry --example schema > inputs/registry/registry.schema.json`"
    );
}
