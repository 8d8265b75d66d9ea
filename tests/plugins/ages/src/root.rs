//! What a library exports, from 1.1 on with one function more.

use abi_stable::StableAbi;
use abi_stable::library::{LibHeader, RootModule};
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RStr, RString};

use crate::error::FfiResult;
use crate::host::HostServicesRef;
use crate::object::Object;

/// The functions of 1.0, and one that a host of 1.0 does not know of.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRootRef, prefix_fields = PluginRootPrefix)))]
#[sabi(missing_field(option))]
pub struct PluginRoot {
    /// As in 1.0.
    pub abi_revision: extern "C" fn() -> u32,
    /// As in 1.0.
    pub manifest: extern "C" fn() -> FfiResult<RString>,
    /// As in 1.0.
    pub init: extern "C" fn(HostServicesRef, RStr<'_>) -> FfiResult<()>,
    /// As in 1.0.
    pub inspect: extern "C" fn(u32, RStr<'_>) -> FfiResult<RString>,
    /// As in 1.0.
    #[sabi(last_prefix_field)]
    pub open: extern "C" fn(u32, RStr<'_>) -> FfiResult<Object>,
    /// Appended: the plugin's own checks.
    pub self_test: extern "C" fn() -> FfiResult<()>,
}

impl RootModule for PluginRootRef {
    abi_stable::declare_root_module_statics! { PluginRootRef }
    const BASE_NAME: &'static str = "zoo_plugin";
    const NAME: &'static str = "zoo_plugin";
    const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
}

/// The exported static, the same in every version.
#[repr(C)]
pub struct Entry {
    /// Says that this is an entry.
    pub magic: [u8; 8],
    /// [`crate::ABI_REVISION`].
    pub abi_revision: u32,
    /// Zero.
    pub reserved: u32,
    /// Leads to a root table.
    pub header: LibHeader,
}

impl Entry {
    /// An entry of this revision.
    pub const fn new(header: LibHeader) -> Self {
        Self { magic: *b"zoo-plug", abi_revision: crate::ABI_REVISION, reserved: 0, header }
    }
}
