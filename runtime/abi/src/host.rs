//! What a host offers to its plugins.

use abi_stable::StableAbi;
use abi_stable::std_types::RStr;

/// Values of the `level` arguments of [`HostServices`].
pub mod level {
    /// Something failed.
    pub const ERROR: u32 = 1;
    /// Something is suspicious.
    pub const WARN: u32 = 2;
    /// Something worth telling.
    pub const INFO: u32 = 3;
    /// For developers.
    pub const DEBUG: u32 = 4;
    /// For developers in despair.
    pub const TRACE: u32 = 5;
}

/// Functions of the host. They may be called from any thread, and do not unwind.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostServicesRef, prefix_fields = HostServicesPrefix)))]
#[sabi(missing_field(option))]
pub struct HostServices {
    /// Writes to the host's log: level, target, message.
    pub log: extern "C" fn(u32, RStr<'_>, RStr<'_>),
    /// Whether a message of this level and target would be kept.
    pub log_enabled: extern "C" fn(u32, RStr<'_>) -> bool,
    /// Progress of a long job: id, done, total.
    pub progress: extern "C" fn(RStr<'_>, u64, u64),
    /// Compute threads that the plugin may run; at least 1.
    pub thread_budget: extern "C" fn() -> u32,
    /// Whether an allocation of this many bytes is welcome.
    #[sabi(last_prefix_field)]
    pub alloc_hint: extern "C" fn(u64) -> bool,
    /// Of the call of this number ([`crate::CallArgs::number`]) so many blocks of so many are over; whether to go on. To
    /// be called between two blocks; 1.0.1.
    pub step: extern "C" fn(u64, u64, u64) -> bool,
}
