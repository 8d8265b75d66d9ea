//! zoo-abi
