//! `older`: the table of its objects ends with the functions that every version has. Its descriptor promises
//! gradients all the same, so that a host must find out that the function is not there.

#![expect(dead_code, reason = "the tables are filled here and read by the host alone")]

use std::ffi::c_void;

use abi_stable::StableAbi;
use abi_stable::library::{CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::marker_type::ErasedPrefix;
use abi_stable::prefix_type::{PrefixRefTrait, PrefixTypeTrait, WithMetadata};
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{ROk, RSlice, RStr, RString, RVec};

use crate::echo::{self, Echo};
use crate::error::FfiResult;
use crate::object::{CallArgs, Cost, NamedTensor};
use crate::root::Entry;

#[path = "../../../../runtime/abi/src/host.rs"]
mod host;
use host::HostServicesRef;

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ObjectVtRef, prefix_fields = ObjectVtPrefix)))]
#[sabi(missing_field(option))]
struct ObjectVt {
    describe: unsafe extern "C" fn(*const c_void) -> FfiResult<RString>,
    call: unsafe extern "C" fn(*const c_void, &CallArgs<'_>, &mut RVec<NamedTensor>) -> FfiResult<RString>,
    estimate: unsafe extern "C" fn(*const c_void, RSlice<'_, i64>) -> FfiResult<Cost>,
    #[sabi(last_prefix_field)]
    drop: unsafe extern "C" fn(*mut c_void),
}

/// The host drops it, through the table.
#[repr(C)]
#[derive(StableAbi)]
struct Object {
    ctx: *mut c_void,
    vt: ObjectVtRef,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRootRef, prefix_fields = PluginRootPrefix)))]
#[sabi(missing_field(option))]
struct PluginRoot {
    abi_revision: extern "C" fn() -> u32,
    manifest: extern "C" fn() -> FfiResult<RString>,
    init: extern "C" fn(HostServicesRef, RStr<'_>) -> FfiResult<()>,
    inspect: extern "C" fn(u32, RStr<'_>) -> FfiResult<RString>,
    #[sabi(last_prefix_field)]
    open: extern "C" fn(u32, RStr<'_>) -> FfiResult<Object>,
}

impl RootModule for PluginRootRef {
    abi_stable::declare_root_module_statics! { PluginRootRef }
    const BASE_NAME: &'static str = "zoo_plugin";
    const NAME: &'static str = "zoo_plugin";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}

#[unsafe(no_mangle)]
static zoo_plugin_older: Entry =
    // SAFETY: `root` returns an erased `PluginRootRef`.
    Entry::new(unsafe { LibHeader::from_constructor::<PluginRootRef>(root, CheckTypeLayout::Yes) });

extern "C" fn root() -> RootModuleResult {
    let root = PluginRoot { abi_revision: echo::revision, manifest, init, inspect: echo::inspect, open };
    let root: PluginRootRef = root.leak_into_prefix();
    // SAFETY: it becomes a `PluginRootRef` again.
    ROk(unsafe { root.to_prefix_ref().cast::<ErasedPrefix>() })
}

extern "C" fn manifest() -> FfiResult<RString> {
    ROk(echo::identity("older"))
}

extern "C" fn init(_: HostServicesRef, _: RStr<'_>) -> FfiResult<()> {
    ROk(())
}

extern "C" fn open(_: u32, _: RStr<'_>) -> FfiResult<Object> {
    let ctx = Box::into_raw(Box::new(Echo { vjp: true }));
    ROk(Object { ctx: ctx.cast(), vt: ObjectVtRef(TABLE.static_as_prefix()) })
}

const TABLE: &WithMetadata<ObjectVt> = &WithMetadata::new(ObjectVt {
    describe: echo::describe,
    call: echo::call,
    estimate: echo::estimate,
    drop: echo::free,
});
