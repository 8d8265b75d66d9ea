//! zoo-registry
