//! zoo-preprocess
