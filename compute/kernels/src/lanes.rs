//! Sixteen `f32` side by side, and work that is written once over them for every instruction set.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::marker::PhantomData;

use half::bf16;

#[cfg(target_arch = "x86_64")]
use crate::arithmetic::Fused;
use crate::arithmetic::{Arithmetic, Native};
use crate::element::Element;
use crate::isa::Isa;

/// Numbers of a vector.
pub(crate) const LANES: usize = 16;

/// The sum of `N` numbers, a power of two, in halves: a vector unit can follow, and the order is the same on every machine.
#[inline(always)]
pub(crate) fn folded<const N: usize>(mut terms: [f32; N]) -> f32 {
    let mut width = N / 2;
    while width > 0 {
        let (low, high) = terms.split_at_mut(width);
        low.iter_mut().zip(&*high).for_each(|(low, high)| *low += high);
        width /= 2;
    }
    terms[0]
}

/// A vector of [`LANES`] numbers. Its methods may run only where the machine has the instructions of the type, which
/// is so within [`run`].
pub(crate) trait Lanes: Copy {
    /// That of numbers one by one.
    type Arithmetic: Arithmetic;

    fn splat(x: f32) -> Self;

    fn to_array(self) -> [f32; LANES];

    /// # Safety
    /// `from` points to [`LANES`] readable numbers.
    unsafe fn load<T: Element>(from: *const T) -> Self;

    fn add(self, x: Self) -> Self;

    fn mul(self, x: Self) -> Self;

    /// `self · x + y`, rounded once where the machine can.
    fn mul_add(self, x: Self, y: Self) -> Self;

    /// Pairs of bf16, in the form that [`Lanes::dot`] takes.
    ///
    /// # Safety
    /// The machine has [`Isa::Avx512Bf16`]; both point to [`LANES`] readable numbers.
    unsafe fn pairs(low: *const bf16, high: *const bf16) -> Self;

    /// `y` and the two products of each of these pairs with one of `x`.
    ///
    /// # Safety
    /// The machine has [`Isa::Avx512Bf16`].
    unsafe fn dot(self, x: Self, y: Self) -> Self;

    /// # Safety
    /// `to` points to [`LANES`] numbers that may be written.
    #[inline(always)]
    unsafe fn store<T: Element>(self, to: *mut T) {
        for (i, x) in self.to_array().into_iter().enumerate() {
            // SAFETY: the caller's.
            unsafe { *to.add(i) = T::round(x) };
        }
    }
}

/// Work over vectors of any kind.
pub(crate) trait Work {
    /// Implementations are `#[inline(always)]`, so that they are compiled for the instructions of `L`.
    fn run<L: Lanes>(self);
}

/// Does `work` with the best vectors of this machine.
pub(crate) fn run(work: impl Work) {
    run_at_most(Isa::Avx512Bf16, work);
}

/// As [`run`], with no higher instructions than these.
pub(crate) fn run_at_most(isa: Isa, work: impl Work) {
    match isa.min(Isa::detect()) {
        // SAFETY: the instructions were found.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Bf16 => unsafe { run_avx512_bf16(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Vnni => unsafe { run_avx512(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { run_avx2(work) },
        _ => work.run::<Plain<Native>>(),
    }
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vnni,avx512bf16")]
#[cfg(target_arch = "x86_64")]
fn run_avx512_bf16(work: impl Work) {
    work.run::<__m512>();
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq")]
#[cfg(target_arch = "x86_64")]
fn run_avx512(work: impl Work) {
    work.run::<__m512>();
}

#[target_feature(enable = "avx2,fma,f16c")]
#[cfg(target_arch = "x86_64")]
fn run_avx2(work: impl Work) {
    work.run::<Plain<Fused>>();
}

/// Numbers that the compiler puts into whatever vectors it has.
#[derive(Clone, Copy)]
pub(crate) struct Plain<A>([f32; LANES], PhantomData<A>);

impl<A: Arithmetic> Lanes for Plain<A> {
    type Arithmetic = A;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; LANES], PhantomData)
    }

    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        self.0
    }

    #[inline(always)]
    unsafe fn load<T: Element>(from: *const T) -> Self {
        // SAFETY: the caller's.
        Self(std::array::from_fn(|i| unsafe { *from.add(i) }.widen()), PhantomData)
    }

    #[inline(always)]
    fn add(self, x: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + x.0[i]), PhantomData)
    }

    #[inline(always)]
    fn mul(self, x: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * x.0[i]), PhantomData)
    }

    #[inline(always)]
    fn mul_add(self, x: Self, y: Self) -> Self {
        Self(std::array::from_fn(|i| A::mul_add(self.0[i], x.0[i], y.0[i])), PhantomData)
    }

    #[inline(always)]
    unsafe fn pairs(_: *const bf16, _: *const bf16) -> Self {
        unreachable!("machines that have pairs have vectors for them")
    }

    #[inline(always)]
    unsafe fn dot(self, _: Self, _: Self) -> Self {
        unreachable!("machines that have pairs have vectors for them")
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for __m512 {
    type Arithmetic = Fused;

    #[inline(always)]
    fn splat(x: f32) -> Self {
        // SAFETY: instructions as the trait says.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        let mut values = [0.0; LANES];
        // SAFETY: sixteen numbers are written; instructions as the trait says.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), self) };
        values
    }

    #[inline(always)]
    unsafe fn load<T: Element>(from: *const T) -> Self {
        // SAFETY: the caller's; a `T` that is half of 32 bits is a `bf16`, any other an `f32`.
        unsafe {
            if T::HALF {
                let halves = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32(halves, 16))
            } else {
                _mm512_loadu_ps(from.cast())
            }
        }
    }

    #[inline(always)]
    fn add(self, x: Self) -> Self {
        // SAFETY: instructions as the trait says.
        unsafe { _mm512_add_ps(self, x) }
    }

    #[inline(always)]
    fn mul(self, x: Self) -> Self {
        // SAFETY: instructions as the trait says.
        unsafe { _mm512_mul_ps(self, x) }
    }

    #[inline(always)]
    fn mul_add(self, x: Self, y: Self) -> Self {
        // SAFETY: instructions as the trait says.
        unsafe { _mm512_fmadd_ps(self, x, y) }
    }

    #[inline(always)]
    unsafe fn pairs(low: *const bf16, high: *const bf16) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let low = _mm512_cvtepu16_epi32(_mm256_loadu_si256(low.cast()));
            let high = _mm512_castps_si512(Self::load(high));
            _mm512_castsi512_ps(_mm512_or_si512(low, high))
        }
    }

    #[inline(always)]
    unsafe fn dot(self, x: Self, y: Self) -> Self {
        // SAFETY: the caller's; any 512 bits are a vector of bf16.
        unsafe {
            let [a, b] = [self, x].map(|v| std::mem::transmute::<__m512, __m512bh>(v));
            _mm512_dpbf16_ps(y, a, b)
        }
    }
}
