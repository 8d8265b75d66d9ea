//! Hands the target triple to the crate, so that host and plugin can compare theirs.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=ZOO_ABI_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
