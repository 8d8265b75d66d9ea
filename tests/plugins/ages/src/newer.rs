//! `newer`: everything of 1.0 and the function that came with 1.1.

use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};
use abi_stable::marker_type::ErasedPrefix;
use abi_stable::prefix_type::{PrefixRefTrait, PrefixTypeTrait, WithMetadata};
use abi_stable::std_types::{ROk, RStr, RString};

use std::ffi::c_void;

use crate::dlpack::Owned;
use crate::echo::{self, Echo, failure};
use crate::error::{FfiResult, code};
use crate::host::HostServicesRef;
use crate::object::{CallArgs, NamedTensor, NamedView, Object, ObjectVt, ObjectVtRef};
use crate::root::{Entry, PluginRoot, PluginRootRef};

#[unsafe(no_mangle)]
static zoo_plugin_newer: Entry =
    // SAFETY: `root` returns an erased `PluginRootRef`.
    Entry::new(unsafe { LibHeader::from_constructor::<PluginRootRef>(root, CheckTypeLayout::Yes) });

extern "C" fn root() -> RootModuleResult {
    let root =
        PluginRoot { abi_revision: echo::revision, manifest, init, inspect: echo::inspect, open, self_test };
    let root: PluginRootRef = root.leak_into_prefix();
    // SAFETY: it becomes a `PluginRootRef` again.
    ROk(unsafe { root.to_prefix_ref().cast::<ErasedPrefix>() })
}

extern "C" fn manifest() -> FfiResult<RString> {
    ROk(echo::identity("newer"))
}

/// Looks at the host's table: the functions of 1.0 work, the one of 1.1 is not there.
extern "C" fn init(host: HostServicesRef, _: RStr<'_>) -> FfiResult<()> {
    if host.thread_budget()() == 0 {
        return failure(code::INTERNAL, "the host has no threads for me");
    }
    match host.resolve_file() {
        None => ROk(()),
        Some(_) => failure(code::INTERNAL, "a host of 1.0 has a function of 1.1"),
    }
}

extern "C" fn self_test() -> FfiResult<()> {
    ROk(())
}

extern "C" fn open(_: u32, _: RStr<'_>) -> FfiResult<Object> {
    let ctx = Box::into_raw(Box::new(Echo { vjp: false }));
    // SAFETY: the table expects a boxed `Echo`, which is plain data.
    ROk(unsafe { Object::from_raw(ctx.cast(), ObjectVtRef(TABLE.static_as_prefix())) })
}

const TABLE: &WithMetadata<ObjectVt> = &WithMetadata::new(ObjectVt {
    describe: echo::describe,
    call: echo::call,
    estimate: echo::estimate,
    drop: echo::free,
    vjp,
    param_names: echo::describe,
    get_param,
    set_param,
});

const NO_GRADIENTS: &str = "an echo has no gradients";

unsafe extern "C" fn vjp(
    _: *const c_void,
    _: &CallArgs<'_>,
    _: &mut abi_stable::std_types::RVec<NamedTensor>,
) -> FfiResult<RString> {
    failure(code::UNSUPPORTED, NO_GRADIENTS)
}

unsafe extern "C" fn get_param(_: *const c_void, _: RStr<'_>) -> FfiResult<Owned> {
    failure(code::UNSUPPORTED, NO_GRADIENTS)
}

unsafe extern "C" fn set_param(_: *const c_void, _: &NamedView<'_>) -> FfiResult<()> {
    failure(code::UNSUPPORTED, NO_GRADIENTS)
}
