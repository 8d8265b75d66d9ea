//! Two plugins that were built against other ages of the wire than the host, in one library:
//!
//! - `newer`: against version 1.1, in which the table of a library and that of a host have one function more;
//! - `older`: against a version whose table of an object ends before the optional functions.
//!
//! Neither knows `zoo-core`. The modules up to [`root`] are that later `zoo-abi`: the sources of the real one, but
//! for the two tables that have grown. The build script lends them the real one's name, which the layout check
//! compares, and the version is that of this package.

#![warn(missing_docs)]

#[path = "../../../../runtime/abi/src/dlpack.rs"]
pub mod dlpack;
#[path = "../../../../runtime/abi/src/error.rs"]
pub mod error;
pub mod host;
#[path = "../../../../runtime/abi/src/object.rs"]
pub mod object;
pub mod root;

mod echo;
mod newer;
mod older;

/// Appending to tables does not change it.
pub const ABI_REVISION: u32 = 1;
