//! zoo-benches
