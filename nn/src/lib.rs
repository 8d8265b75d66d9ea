//! zoo-nn
