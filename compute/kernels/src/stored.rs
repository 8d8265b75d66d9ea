//! Numbers as files hold them: little-endian bytes at any address.

use crate::element::Element;
use crate::lanes::{self, Lanes, Work};

/// A number format of weight files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// IEEE single precision.
    F32,
    /// The upper half of one.
    Bf16,
    /// IEEE half precision.
    F16,
}

impl Stored {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// Writes the numbers that begin at `bytes` to `out`: exact where `T` holds them, else to nearest, ties to even.
    /// On the calling thread.
    ///
    /// # Panics
    /// When `bytes` are not as many as `out` needs.
    pub fn read<T: Element>(self, bytes: &[u8], out: &mut [T]) {
        assert_eq!(bytes.len(), out.len() * self.size(), "bytes for {} numbers", out.len());
        lanes::run(Read { stored: self, bytes, out });
    }
}

struct Read<'a, T> {
    stored: Stored,
    bytes: &'a [u8],
    out: &'a mut [T],
}

impl<T: Element> Work for Read<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { stored, bytes, out } = self;
        // One loop each, or the choice would stand inside the loop.
        match stored {
            Stored::F32 => each(bytes, out, f32::from_le_bytes),
            Stored::Bf16 => each(bytes, out, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
            Stored::F16 => each(bytes, out, |b| half(u16::from_le_bytes(b))),
        }
    }
}

#[inline(always)]
fn each<T: Element, const N: usize>(bytes: &[u8], out: &mut [T], widen: impl Fn([u8; N]) -> f32) {
    for (out, &number) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *out = T::round(widen(number));
    }
}

/// An f16, without branches, so that loops over it are vectorised.
#[inline(always)]
fn half(bits: u16) -> f32 {
    /// 2¹¹²: what the exponents' biases differ by.
    const REBIAS: f32 = f32::from_bits(239 << 23);
    let (sign, rest) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7fff) << 13);
    // Exact, and it normalises what f16 holds without a leading one.
    let finite = (f32::from_bits(rest) * REBIAS).to_bits();
    let value = if rest >= 0x7c00 << 13 { rest | 0x7f80_0000 } else { finite };
    f32::from_bits(sign | value)
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    #[test]
    fn every_half_is_read_as_the_half_crate_does() {
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let mut out = vec![0f32; 1 << 16];
        Stored::F16.read(&bytes, &mut out);
        for (bits, &got) in (0..=u16::MAX).zip(&out) {
            let expected = f16::from_bits(bits).to_f32();
            let same = got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan());
            assert!(same, "{bits:x}: {got} {expected}");
        }
        Stored::Bf16.read(&bytes, &mut out);
        for (bits, &got) in (0..=u16::MAX).zip(&out) {
            assert_eq!(got.to_bits(), u32::from(bits) << 16);
        }
    }

    #[test]
    fn addresses_need_no_alignment_and_rounding_is_to_even() {
        let values = [1.0f32, -3.75e-5, 1.003_906_3, 1.011_718_8, 65504.0];
        let mut bytes = vec![0];
        bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        let (mut wide, mut narrow) = ([0f32; 5], [bf16::ZERO; 5]);
        Stored::F32.read(&bytes[1..], &mut wide);
        Stored::F32.read(&bytes[1..], &mut narrow);
        assert_eq!((wide, narrow), (values, values.map(bf16::from_f32)));
    }
}
