//! zoo-nn

pub mod resample;
