//! zoo-hub
