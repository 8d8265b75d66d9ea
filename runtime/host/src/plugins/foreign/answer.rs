//! Numbers that came back.

use candle_core::{CpuStorage, Storage, Tensor, WithDType};
use zoo_core::Result;

/// Numbers that are looked at before it is asked whether one of them was none: enough for the compiler to take many at
/// a time.
const AT_ONCE: usize = 4096;

/// Whether a tensor in host memory holds NaN. One pass over its memory; integers hold none.
pub(super) fn has_nan(tensor: &Tensor) -> Result<bool> {
    fn within<T: WithDType>(values: &[T], range: Option<(usize, usize)>, nan: impl Fn(T) -> bool) -> bool {
        let values = range.and_then(|(start, end)| values.get(start..end)).unwrap_or(values);
        values.chunks(AT_ONCE).any(|some| some.iter().fold(false, |found, &x| found | nan(x)))
    }
    let (storage, layout) = tensor.storage_and_layout();
    // Of a view with gaps all memory is looked at: what does not belong to it is finite more often than not, and if it is
    // not, a copy decides.
    let range = layout.contiguous_offsets();
    let found = match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => within(values, range, f32::is_nan),
        Storage::Cpu(CpuStorage::F64(values)) => within(values, range, f64::is_nan),
        Storage::Cpu(CpuStorage::BF16(values)) => within(values, range, |x| x.is_nan()),
        Storage::Cpu(CpuStorage::F16(values)) => within(values, range, |x| x.is_nan()),
        _ => false,
    };
    drop(storage);
    if found && range.is_none() { has_nan(&tensor.force_contiguous()?) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn nan_is_found_wherever_it_stands_and_nowhere_else() {
        for dtype in [DType::F32, DType::F64, DType::BF16, DType::F16] {
            for place in [None, Some(0), Some(4097), Some(9_999)] {
                let mut values = vec![1_f32; 10_000];
                if let Some(place) = place {
                    values[place] = f32::NAN;
                }
                let all =
                    Tensor::from_vec(values, (100, 100), &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
                assert_eq!(has_nan(&all).unwrap(), place.is_some(), "{dtype:?} {place:?}");
                // The first half as a view, and a column as one with gaps.
                let half = all.narrow(0, 0, 50).unwrap();
                assert_eq!(has_nan(&half).unwrap(), place.is_some_and(|p| p < 5000), "{dtype:?} {place:?}");
                let column = all.narrow(1, 99, 1).unwrap();
                assert_eq!(has_nan(&column).unwrap(), place == Some(9_999), "{dtype:?} {place:?}");
            }
        }
        let infinite = Tensor::new(&[f32::INFINITY], &Device::Cpu).unwrap();
        assert!(!has_nan(&infinite).unwrap());
        assert!(!has_nan(&Tensor::new(&[1_u32], &Device::Cpu).unwrap()).unwrap());
    }
}
