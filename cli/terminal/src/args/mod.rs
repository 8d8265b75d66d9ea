//! Options that more than one command has. Nothing here touches the disk.

mod global;
mod model;
mod overwrite;
mod part;
mod pictures;

pub use global::{Dtype, Global};
pub use model::{DEFAULT_MODEL, ModelArgs, Newline};
pub use overwrite::OverwriteArgs;
pub use part::Part;
pub use pictures::{OrientationArgs, PixelArgs};
