//! zoo-clip
