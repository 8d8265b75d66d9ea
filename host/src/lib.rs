//! zoo-host
