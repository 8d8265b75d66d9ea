//! The TOML of `docs/registry.md`, laid over the shipped registry as a reader would.

use zoo_registry::{Layer, Registry};

#[test]
fn examples_load() {
    let guide = include_str!("../../../docs/registry.md");
    let blocks = guide.split("```toml\n").skip(1).map(|rest| rest.split("```").next().expect("a block"));
    let layers: Vec<_> = blocks.map(|text| Layer::new("docs/registry.md", text)).collect();
    assert_eq!(layers.len(), 6);
    for layer in layers {
        let text = layer.text.clone();
        if let Err(error) = Registry::load(&[Layer::shipped(), layer]) {
            panic!("{text}\n{error}");
        }
    }
}
