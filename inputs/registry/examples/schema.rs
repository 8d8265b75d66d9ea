//! Prints the JSON schema of registry files: `cargo run -p zoo-registry --example schema > inputs/registry/registry.schema.json`.

fn main() {
    println!("{:#}", zoo_registry::schema());
}
