//! Entries that the kit would not make.

use abi_stable::StableAbi;
use abi_stable::library::{CheckTypeLayout, LibHeader, RootModule, RootModuleResult};
use abi_stable::marker_type::ErasedPrefix;
use abi_stable::prefix_type::{PrefixRefTrait, PrefixTypeTrait};
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{ROk, RString};
use zoo_abi::{ABI_REVISION, ENTRY_MAGIC, Entry, FfiResult, PluginRoot, PluginRootRef};
use zoo_core::sdk::{Identity, Provides, backend};

use crate::liar;

extern "C" fn revision() -> u32 {
    ABI_REVISION
}

fn identity(name: &str, encoders: &[&str]) -> FfiResult<RString> {
    let identity = Identity {
        name: name.into(),
        version: "9.9.9".into(),
        abi: ABI_REVISION,
        target: zoo_abi::TARGET.into(),
        backend: backend().into(),
        provides: Provides {
            encoders: encoders.iter().map(|s| (*s).to_owned()).collect(),
            ..Provides::default()
        },
    };
    ROk(serde_json::to_string(&identity).unwrap_or_default().into())
}

extern "C" fn manifest_liar() -> FfiResult<RString> {
    identity("liar", liar::LIES)
}

extern "C" fn manifest_no_start() -> FfiResult<RString> {
    identity("no_start", &[])
}

fn erased(root: PluginRoot) -> RootModuleResult {
    let root: PluginRootRef = root.leak_into_prefix();
    // SAFETY: it becomes a `PluginRootRef` again.
    ROk(unsafe { root.to_prefix_ref().cast::<ErasedPrefix>() })
}

extern "C" fn root_liar() -> RootModuleResult {
    erased(PluginRoot {
        abi_revision: revision,
        manifest: manifest_liar,
        init: liar::init,
        inspect: liar::inspect,
        open: liar::open,
    })
}

extern "C" fn root_no_start() -> RootModuleResult {
    erased(PluginRoot {
        abi_revision: revision,
        manifest: manifest_no_start,
        init: liar::init_panics,
        inspect: liar::inspect,
        open: liar::open,
    })
}

const fn entry(root: extern "C" fn() -> RootModuleResult) -> Entry {
    // SAFETY: `root` returns an erased `PluginRootRef`.
    Entry::new(unsafe { LibHeader::from_constructor::<PluginRootRef>(root, CheckTypeLayout::Yes) })
}

#[unsafe(no_mangle)]
static zoo_plugin_liar: Entry = entry(root_liar);

#[unsafe(no_mangle)]
static zoo_plugin_no_start: Entry = entry(root_no_start);

/// The integers of an entry, and nothing behind them.
#[repr(C)]
pub struct Stump {
    magic: [u8; 8],
    abi_revision: u32,
    reserved: u32,
}

#[unsafe(no_mangle)]
static zoo_plugin_other_revision: Stump = Stump { magic: ENTRY_MAGIC, abi_revision: 4711, reserved: 0 };

#[unsafe(no_mangle)]
static zoo_plugin_not_ours: Stump = Stump { magic: *b"a string", abi_revision: 1, reserved: 0 };

/// The root table with one argument changed.
mod changed {
    #![allow(dead_code, reason = "refused before anything of it is used")]

    use super::*;

    #[repr(C)]
    #[derive(StableAbi)]
    #[sabi(kind(Prefix(prefix_ref = PluginRootRef, prefix_fields = PluginRootPrefix)))]
    #[sabi(missing_field(option))]
    pub struct PluginRoot {
        pub abi_revision: extern "C" fn() -> u32,
        pub manifest: extern "C" fn() -> FfiResult<RString>,
        pub init: extern "C" fn(u64) -> u32,
        pub inspect: extern "C" fn(u64) -> u32,
        #[sabi(last_prefix_field)]
        pub open: extern "C" fn(u64) -> u32,
    }

    impl RootModule for PluginRootRef {
        abi_stable::declare_root_module_statics! { PluginRootRef }
        const BASE_NAME: &'static str = "zoo_plugin";
        const NAME: &'static str = "zoo_plugin";
        const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
    }

    extern "C" fn nothing(_: u64) -> u32 {
        0
    }

    pub extern "C" fn root() -> RootModuleResult {
        let root: PluginRootRef = PluginRoot {
            abi_revision: revision,
            manifest: manifest_no_start,
            init: nothing,
            inspect: nothing,
            open: nothing,
        }
        .leak_into_prefix();
        // SAFETY: it would become the type above again, if the layout were accepted.
        ROk(unsafe { root.to_prefix_ref().cast::<ErasedPrefix>() })
    }
}

#[unsafe(no_mangle)]
static zoo_plugin_other_layout: Entry = Entry::new(
    // SAFETY: `root` returns the type that is named here.
    unsafe { LibHeader::from_constructor::<changed::PluginRootRef>(changed::root, CheckTypeLayout::Yes) },
);
