//! The dynamic door: what [`crate::export_plugin!`] expands to, and the C functions behind it.

use abi_stable::library::{CheckTypeLayout, LibHeader, RootModuleResult};
use abi_stable::marker_type::ErasedPrefix;
use abi_stable::prefix_type::{PrefixRefTrait, PrefixTypeTrait};
use abi_stable::std_types::{ROk, RStr, RString};
pub use zoo_abi::Entry;
use zoo_abi::{FfiResult, HostServicesRef, Object, PluginRoot, PluginRootRef};

pub use super::guard::guard;
use super::serve_connector::ServedConnector;
use super::serve_encoder::ServedEncoder;
use super::serve_llm::ServedLlm;
use super::serve_text::ServedText;
use super::served::object;
use super::wire::{OpenRequest, from_json, to_json};
use super::{ObjectKind, Plugin};

/// Whether a plugin can be called so: the name is part of a symbol of the library and of the name of a file.
#[must_use]
pub const fn is_name(name: &str) -> bool {
    let (bytes, mut i) = (name.as_bytes(), 0);
    while i < bytes.len() {
        if !matches!(bytes[i], b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') {
            return false;
        }
        i += 1;
    }
    !bytes.is_empty()
}

/// Leads from a type to a plugin, so that C functions can be generated per plugin.
pub trait Exported: 'static {
    /// The plugin.
    fn plugin() -> &'static Plugin;
}

/// The static that a library exports.
pub const fn entry<E: Exported>() -> Entry {
    // SAFETY: `root` returns a `PluginRootRef`, erased.
    Entry::new(unsafe { LibHeader::from_constructor::<PluginRootRef>(root::<E>, CheckTypeLayout::Yes) })
}

extern "C" fn root<E: Exported>() -> RootModuleResult {
    let root = PluginRoot {
        abi_revision,
        manifest: manifest::<E>,
        init: init::<E>,
        inspect: inspect::<E>,
        open: open::<E>,
    };
    // Leaked once per library, which is never unloaded.
    let root: PluginRootRef = root.leak_into_prefix();
    // SAFETY: the host turns it back into a `PluginRootRef` after comparing layouts.
    ROk(unsafe { root.to_prefix_ref().cast::<ErasedPrefix>() })
}

extern "C" fn abi_revision() -> u32 {
    zoo_abi::ABI_REVISION
}

extern "C" fn manifest<E: Exported>() -> FfiResult<RString> {
    let plugin = E::plugin();
    guard(plugin.name, || Ok(to_json(&plugin.identity())?.into()))
}

extern "C" fn init<E: Exported>(host: HostServicesRef, _options: RStr<'_>) -> FfiResult<()> {
    let name = E::plugin().name;
    guard(name, || {
        super::services::connect(host, name);
        Ok(())
    })
}

extern "C" fn inspect<E: Exported>(kind: u32, request: RStr<'_>) -> FfiResult<RString> {
    let plugin = E::plugin();
    guard(plugin.name, || {
        let request = from_json("inspect request", request.as_str())?;
        Ok(to_json(&plugin.inspect(ObjectKind::from_code(kind)?, &request)?)?.into())
    })
}

extern "C" fn open<E: Exported>(kind: u32, request: RStr<'_>) -> FfiResult<Object> {
    let plugin = E::plugin();
    guard(plugin.name, || {
        let OpenRequest { spec, options } = from_json("open request", request.as_str())?;
        let kind = ObjectKind::from_code(kind)?;
        let (device, weights) = (options.device.open()?, options.weights(&spec)?);
        Ok(match kind {
            ObjectKind::Encoder => {
                let encoder = plugin.open_encoder(&spec, &weights, &device)?;
                object(ServedEncoder { plugin: plugin.name, encoder, device })
            }
            ObjectKind::Connector => {
                let connector = plugin.open_connector(&spec, &weights, &device)?;
                object(ServedConnector { plugin: plugin.name, connector, device })
            }
            ObjectKind::Llm => {
                object(ServedLlm::new(plugin.name, plugin.open_llm(&spec, &weights, &device)?, device))
            }
            ObjectKind::Text => {
                let tower = plugin.open_text(&spec, &weights, &device)?;
                object(ServedText { plugin: plugin.name, tower, device })
            }
        })
    })
}

/// Exports a plugin through both doors: a static `PLUGIN` for Rust, a symbol `zoo_plugin_NAME` for hosts.
///
/// Every kind of object goes through the same macro; each list may be left out. An architecture name is what
/// `architecture` in the registry refers to, a loader is `fn(&Spec, &Weights, &Device) -> Result<Box<dyn …>>`.
///
/// ```
/// use zoo_core::{Error, Result, Spec, LanguageModel, weights::Weights};
///
/// fn load(spec: &Spec, _: &Weights, _: &candle_core::Device) -> Result<Box<dyn LanguageModel>> {
///     Err(Error::unsupported(&spec.id, "talking"))
/// }
///
/// zoo_core::export_plugin! {
///     name: "mute",
///     llms: { "silence" => load },
/// }
/// # fn main() { assert_eq!(PLUGIN.llms[0].0, "silence"); }
/// ```
///
/// A name that cannot be part of a symbol and of the name of a file is refused by the compiler:
///
/// ```compile_fail
/// zoo_core::export_plugin! { name: "my grids" }
/// ```
#[macro_export]
macro_rules! export_plugin {
    (
        name: $name:literal
        $(, encoders: { $($enc:literal => $enc_load:expr),* $(,)? })?
        $(, connectors: { $($con:literal => $con_load:expr),* $(,)? })?
        $(, llms: { $($llm:literal => $llm_load:expr),* $(,)? })?
        $(, texts: { $($text:literal => $text_load:expr),* $(,)? })?
        $(,)?
    ) => {
        #[cfg(panic = "abort")]
        compile_error!("a plugin must be compiled with panic = \"unwind\": one panic would end the host");

        const _: () = assert!(
            $crate::sdk::export::is_name($name),
            "the name of a plugin is made of lower-case letters, digits, `_` and `-`"
        );

        /// The static door of this plugin.
        pub static PLUGIN: $crate::sdk::Plugin = $crate::sdk::Plugin {
            name: $name,
            version: env!("CARGO_PKG_VERSION"),
            encoders: &[$($(($enc, $enc_load)),*)?],
            connectors: &[$($(($con, $con_load)),*)?],
            llms: &[$($(($llm, $llm_load)),*)?],
            texts: &[$($(($text, $text_load)),*)?],
        };

        const _: () = {
            struct Export;
            impl $crate::sdk::export::Exported for Export {
                fn plugin() -> &'static $crate::sdk::Plugin {
                    &PLUGIN
                }
            }

            // The name of the plugin is part of the symbol, so that several plugins link into one program.
            #[unsafe(export_name = concat!("zoo_plugin_", $name))]
            static ENTRY: $crate::sdk::export::Entry = $crate::sdk::export::entry::<Export>();
        };
    };
}
