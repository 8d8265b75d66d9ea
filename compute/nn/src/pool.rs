//! Where a forward pass runs.

use candle_core::Device;
use zoo_core::CallContext;

/// Does `work` on a thread of rayon's pool if it computes on the CPU.
///
/// A parallel loop that begins outside the pool wakes a thread, which wakes the others, and then wakes the caller: a
/// forward pass has hundreds of loops, and threads that went to sleep. Inside, the caller is one of the threads.
pub fn within<R: Send>(device: &Device, work: impl FnOnce() -> R + Send) -> R {
    if !device.is_cpu() {
        return work();
    }
    let context = CallContext::current();
    rayon::scope(|_| context.scope(work))
}
