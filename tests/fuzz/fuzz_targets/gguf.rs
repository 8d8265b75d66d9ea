//! Any bytes as a GGUF file: metadata and tensors that can be listed and read, or an error.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use zoo_core::weights::Checkpoint;

const MAGIC: &[u8] = b"GGUF";

fuzz_target!(|data: &[u8]| {
    // Without these it would be another container, which has a target of its own.
    let start: &[u8] = if data.starts_with(MAGIC) { b"" } else { MAGIC };
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if file.write_all(start).and_then(|()| file.write_all(data)).is_err() {
        return;
    }
    if let Ok(checkpoint) = Checkpoint::open(&[file.path().to_owned()]) {
        assert!(checkpoint.metadata().is_some());
        for key in checkpoint.keys() {
            assert!(checkpoint.shape(key).is_some());
            let _ = checkpoint.load(key);
        }
    }
});
