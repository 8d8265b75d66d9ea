//! zoo-sva
