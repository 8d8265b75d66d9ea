//! How numbers are multiplied and added, where that is not a tile's own business.

/// Whether a product is rounded before it is added: as the machine does both fastest.
pub(crate) trait Arithmetic: Copy {
    /// `a · b + c`.
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

/// Rounded once, for machines that have an instruction for it: elsewhere it would be a call.
#[derive(Clone, Copy)]
pub(crate) struct Fused;

/// Rounded twice.
#[derive(Clone, Copy)]
pub(crate) struct Apart;

/// What the compiler's target guarantees.
#[cfg(target_arch = "aarch64")]
pub(crate) type Native = Fused;
#[cfg(not(target_arch = "aarch64"))]
pub(crate) type Native = Apart;

impl Arithmetic for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Arithmetic for Apart {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}
