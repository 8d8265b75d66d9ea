//! The number formats of weights and activations.

use half::bf16;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::bf16 {}
}

/// `f32` or `bf16`. Sums are always f32.
pub trait Element: Copy + std::fmt::Debug + Send + Sync + sealed::Sealed + 'static {
    /// Whether it fits twice in 32 bits.
    const HALF: bool;

    /// Exact.
    fn widen(self) -> f32;

    /// To nearest, ties to even.
    fn round(x: f32) -> Self;

    /// Two neighbours as `bf16` in one cell of 32 bits, the first in the low half.
    fn pair(low: Self, high: Self) -> u32;
}

impl Element for f32 {
    const HALF: bool = false;

    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }

    #[inline(always)]
    fn round(x: f32) -> Self {
        x
    }

    #[inline(always)]
    fn pair(low: Self, high: Self) -> u32 {
        bf16::pair(<bf16 as Element>::round(low), <bf16 as Element>::round(high))
    }
}

impl Element for bf16 {
    const HALF: bool = true;

    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    /// As [`bf16::from_f32`], without branches, so that loops over it are vectorised.
    #[inline(always)]
    fn round(x: f32) -> Self {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
        let kept = if x.is_nan() { bits | 0x0040_0000 } else { rounded };
        Self::from_bits((kept >> 16) as u16)
    }

    #[inline(always)]
    fn pair(low: Self, high: Self) -> u32 {
        u32::from(high.to_bits()) << 16 | u32::from(low.to_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_half() {
        for bits in (0..=u32::MAX).step_by(4099).chain([0x3f80_8000, 0x3f81_8000, 0x7f7f_ffff, 0x7f80_0001]) {
            let x = f32::from_bits(bits);
            assert_eq!(<bf16 as Element>::round(x).to_bits(), bf16::from_f32(x).to_bits(), "{bits:x}");
        }
        assert_eq!(bf16::from_f32(-2.5).widen(), -2.5);
    }
}
