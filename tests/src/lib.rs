//! zoo-tests
