//! The wire between a host and a plugin: plain C tables, DLPack tensors and JSON text. No tensor library, no
//! trait objects, nothing that needs the same compiler on both sides.
//!
//! **The one decision.** Hot calls carry tensors, cold calls carry JSON. A table of five functions serves
//! encoders, connectors, language models and text towers alike ([`ObjectVt`]); what they say of themselves is text, so that
//! descriptors, options and errors can grow without a new revision of this crate.
//!
//! # Growing the wire
//! The crate has a version of its own, which takes part in the layout check. Tables are prefix types: a field
//! may be appended (patch version), and is then `None` in an older plugin. Anything else is a new
//! [`ABI_REVISION`].
//!
//! # Example
//! ```
//! use std::sync::atomic::AtomicBool;
//! use zoo_abi::{CallArgs, DlDevice};
//!
//! let stop = AtomicBool::new(true);
//! let mut call = CallArgs::new(&[], r#"{"op": "logits"}"#);
//! call.cancel = Some(&stop);
//! assert!(call.cancelled());
//! assert_eq!(call.device, DlDevice::CPU);
//! ```

#![warn(missing_docs)]

mod dlpack;
mod error;
mod host;
mod object;
mod root;

pub use dlpack::{DlDataType, DlDevice, DlManaged, DlTensor, DlVersion, Owned, View, device, flags};
pub use error::{FfiError, FfiResult, code};
pub use host::{HostServices, HostServicesRef, level};
pub use object::{CallArgs, Cost, NamedTensor, NamedView, Object, ObjectVt, ObjectVtRef, request};
pub use root::{ENTRY_MAGIC, Entry, PluginRoot, PluginRootRef, kind, symbol};

/// Revision of the meaning of the wire. Host and plugin must agree on it; it is compared before anything else
/// of a library is trusted.
pub const ABI_REVISION: u32 = 1;

/// The target triple that this crate was compiled for.
pub const TARGET: &str = env!("ZOO_ABI_TARGET");
