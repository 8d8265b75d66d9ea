//! Any text as a registry file: a registry, or problems that print.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zoo_registry::Registry;

fuzz_target!(|text: &str| {
    if let Err(error) = Registry::parse(text, "fuzz.toml") {
        assert!(!error.to_string().is_empty());
    }
});
