//! Any bytes as the pickle of a checkpoint, where its tensors are described: tensors that can be listed and read, or an
//! error. What stands around the pickle is right, so that nothing is spent on it.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use zoo_core::weights::Checkpoint;

/// The mark, the version and the machine of files from before the archives.
const BEFORE: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";

/// The key of one storage, and the storage: sixteen elements, of which only eight bytes each are certain.
const BEHIND: &[u8] = b"\x80\x02]X\x01\0\0\x000a.\x10\0\0\0\0\0\0\0";

fuzz_target!(|data: &[u8]| {
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    let data = [BEFORE, data, BEHIND, &[0x3c; 256]].concat();
    if file.write_all(&data).is_err() {
        return;
    }
    if let Ok(checkpoint) = Checkpoint::open(&[file.path().to_owned()]) {
        for key in checkpoint.keys() {
            let shape = checkpoint.shape(key).map(<[usize]>::to_vec);
            if let Ok(tensor) = checkpoint.load(key) {
                assert_eq!(Some(tensor.dims().to_vec()), shape);
            }
        }
    }
});
