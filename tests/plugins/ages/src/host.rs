//! What a host offers, from 1.1 on with one function more.

use abi_stable::StableAbi;
use abi_stable::std_types::{RStr, RString};

use crate::error::FfiResult;

/// The functions of 1.0, and one that a host of 1.0 lacks.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostServicesRef, prefix_fields = HostServicesPrefix)))]
#[sabi(missing_field(option))]
pub struct HostServices {
    /// As in 1.0.
    pub log: extern "C" fn(u32, RStr<'_>, RStr<'_>),
    /// As in 1.0.
    pub log_enabled: extern "C" fn(u32, RStr<'_>) -> bool,
    /// As in 1.0.
    pub progress: extern "C" fn(RStr<'_>, u64, u64),
    /// As in 1.0.
    pub thread_budget: extern "C" fn() -> u32,
    /// As in 1.0.
    #[sabi(last_prefix_field)]
    pub alloc_hint: extern "C" fn(u64) -> bool,
    /// As in 1.0.1.
    pub step: extern "C" fn(u64, u64, u64) -> bool,
    /// Appended: where a file of a checkpoint is.
    pub resolve_file: extern "C" fn(RStr<'_>) -> FfiResult<RString>,
}
