//! The instruction level that the inner loops are compiled for.

/// Work whose loops are worth vector instructions. [`Work::run`] and all that it calls in its loops must be
/// `#[inline(always)]`: what is not inlined is compiled for every processor.
pub(super) trait Work {
    fn run(self);
}

/// Runs `work` with the vector instructions that this processor has: 256 bits wide on x86-64 (AVX2), otherwise what every
/// processor of its kind has. The results are the same: all arithmetic is of integers.
pub(super) fn run(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    if let Some(level) = pulp::x86::V3::try_new() {
        return pulp::Simd::vectorize(level, Task(work));
    }
    work.run();
}

#[cfg(target_arch = "x86_64")]
struct Task<W>(W);

#[cfg(target_arch = "x86_64")]
impl<W: Work> pulp::NullaryFnOnce for Task<W> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.0.run();
    }
}
