//! How a caller watches a download and stops it.

/// Watches a download. All methods have defaults; they are called on the thread that called
/// [`Hub::fetch`](crate::Hub::fetch), between reads of at most 64 KiB.
pub trait Progress {
    /// `done` of `total` bytes of `file` are on the disk; also called once before the first byte, with the bytes
    /// that an interrupted download had left.
    fn bytes(&self, file: &str, done: u64, total: u64) {
        let _ = (file, done, total);
    }

    /// Something worth a line: a retry, waiting for another process, starting anew.
    fn note(&self, message: &str) {
        let _ = message;
    }

    /// Whether to stop. What has arrived stays on the disk and the next call continues there.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {}

/// A flag set from elsewhere, usually by a signal handler, cancels.
impl Progress for std::sync::atomic::AtomicBool {
    fn cancelled(&self) -> bool {
        self.load(std::sync::atomic::Ordering::Relaxed)
    }
}
