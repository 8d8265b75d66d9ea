//! Any bytes as a weights file: tensors that can be listed and read, or an error.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use zoo_core::weights::Checkpoint;

fuzz_target!(|data: &[u8]| {
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if file.write_all(data).is_err() {
        return;
    }
    if let Ok(checkpoint) = Checkpoint::open(&[file.path().to_owned()]) {
        for key in checkpoint.keys() {
            assert!(checkpoint.shape(key).is_some());
            let _ = checkpoint.load(key);
        }
    }
});
