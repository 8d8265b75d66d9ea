//! Makes the types of this crate pass for those of `zoo-abi`: the layout check compares the package's name, and a
//! workspace cannot hold two packages of one name.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=CARGO_PKG_NAME=zoo-abi");
    println!("cargo:rustc-env=ZOO_ABI_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
