//! zoo-toy
