//! What a library exports: one static, named after the plugin.

use abi_stable::StableAbi;
use abi_stable::library::{LibHeader, RootModule};
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RStr, RString};

use crate::error::FfiResult;
use crate::host::HostServicesRef;
use crate::object::Object;

/// Values of the `kind` arguments of [`PluginRoot`].
pub mod kind {
    /// An encoder.
    pub const ENCODER: u32 = 1;
    /// A connector.
    pub const CONNECTOR: u32 = 2;
    /// A language model.
    pub const LLM: u32 = 3;
    /// A text tower; 1.0.2.
    pub const TEXT: u32 = 4;
}

/// The functions of a library. They may be called from any thread, and do not unwind.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRootRef, prefix_fields = PluginRootPrefix)))]
#[sabi(missing_field(option))]
pub struct PluginRoot {
    /// [`crate::ABI_REVISION`] of the plugin.
    pub abi_revision: extern "C" fn() -> u32,
    /// Name, version, target, backend and architectures, as JSON.
    pub manifest: extern "C" fn() -> FfiResult<RString>,
    /// To be called once, before the functions below; options as JSON.
    pub init: extern "C" fn(HostServicesRef, RStr<'_>) -> FfiResult<()>,
    /// Kind, spec as JSON: descriptor and tensors of an object, as JSON, without any weights.
    pub inspect: extern "C" fn(u32, RStr<'_>) -> FfiResult<RString>,
    /// Kind, spec with options as JSON: an object.
    #[sabi(last_prefix_field)]
    pub open: extern "C" fn(u32, RStr<'_>) -> FfiResult<Object>,
}

impl RootModule for PluginRootRef {
    abi_stable::declare_root_module_statics! { PluginRootRef }
    const BASE_NAME: &'static str = "zoo_plugin";
    const NAME: &'static str = "zoo_plugin";
    const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
}

/// First bytes of every [`Entry`].
pub const ENTRY_MAGIC: [u8; 8] = *b"zoo-plug";

/// The exported static. The integers come first and never move: a host reads them before it trusts the rest.
#[repr(C)]
pub struct Entry {
    /// [`ENTRY_MAGIC`].
    pub magic: [u8; 8],
    /// [`crate::ABI_REVISION`] of the plugin.
    pub abi_revision: u32,
    /// Zero.
    pub reserved: u32,
    /// Leads to the [`PluginRoot`], layout description included.
    pub header: LibHeader,
}

impl Entry {
    /// An entry of this revision.
    pub const fn new(header: LibHeader) -> Self {
        Self { magic: ENTRY_MAGIC, abi_revision: crate::ABI_REVISION, reserved: 0, header }
    }
}

/// Name of the static that the library of `plugin` exports.
pub fn symbol(plugin: &str) -> String {
    format!("zoo_plugin_{plugin}")
}
