//! No code: the one set of features with which the dependencies of the workspace are built. See `Cargo.toml`.
