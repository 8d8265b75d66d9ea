//! Failures on the wire.

use abi_stable::StableAbi;
use abi_stable::std_types::{RResult, RString};

/// Kinds of failure: the values of [`FfiError::code`].
pub mod code {
    /// The caller's fault.
    pub const INVALID_INPUT: u32 = 1;
    /// A legal request that this object cannot serve.
    pub const UNSUPPORTED: u32 = 2;
    /// No memory left on the device or the host.
    pub const OUT_OF_MEMORY: u32 = 3;
    /// The device is not there or failed.
    pub const DEVICE: u32 = 4;
    /// The caller asked to stop.
    pub const CANCELLED: u32 = 5;
    /// A panic, caught on the plugin's side.
    pub const PANIC: u32 = 6;
    /// Anything else.
    pub const INTERNAL: u32 = 7;
}

/// What went wrong, for programs and for people.
#[repr(C)]
#[derive(StableAbi, Debug, Clone)]
pub struct FfiError {
    /// One of [`code`]; an unknown one is to be read as [`code::INTERNAL`].
    pub code: u32,
    /// One message for the person at the terminal.
    pub message: RString,
    /// The same in parts, as a JSON object; may be empty.
    pub detail_json: RString,
}

/// Result with [`FfiError`].
pub type FfiResult<T> = RResult<T, FfiError>;
