//! zoo-projectors
