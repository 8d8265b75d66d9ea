//! Any bytes as a JSON file: what standard JSON says it means, it means here, too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use zoo_core::json;

fuzz_target!(|data: &[u8]| {
    let read = json::parse::<Value>(data);
    if let Ok(standard) = serde_json::from_slice::<Value>(data) {
        assert_eq!(read.as_ref(), Ok(&standard));
    }
    match (json::standard(data), read) {
        // What was put right is read by whoever reads standard JSON.
        (Ok(bytes), Ok(read)) => assert_eq!(serde_json::from_slice::<Value>(&bytes).ok(), Some(read)),
        (_, Err(message)) => assert!(!message.is_empty()),
        (Err(message), Ok(_)) => panic!("read, but {message}"),
    }
});
