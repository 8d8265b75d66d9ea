//! Any text as a plugin's sidecar manifest: a manifest or a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zoo_host::plugins::Manifest;

fuzz_target!(|text: &str| {
    match Manifest::parse(text, "echo") {
        Ok(manifest) => assert_eq!(manifest.name, "echo"),
        Err(why) => assert!(!why.is_empty()),
    }
});
