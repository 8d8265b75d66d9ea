//! Numbers that are none: a network that overflowed gives NaN and infinity, and everything made of them is worthless.

use candle_core::{Storage, Tensor};

use crate::HostError;

/// Numbers that are looked at together: few enough to stay in the cache, many enough to be looked at without a branch.
const BLOCK: usize = 4096;

/// Refuses an f32 tensor on the CPU that holds NaN or infinity; `what` names it at the beginning of a sentence.
pub(crate) fn check(what: impl Fn() -> String, tensor: &Tensor) -> Result<(), HostError> {
    find(tensor, first)?.map_or(Ok(()), |value| Err(HostError::NotFinite { what: what(), value }))
}

/// The same for logits, of which those of tokens that cannot come may be negative infinity.
pub(crate) fn check_logits(what: impl Fn() -> String, logits: &Tensor) -> Result<(), HostError> {
    let bad = |value: &f32| value.is_nan() || *value == f32::INFINITY;
    let found = find(logits, |values| values.iter().copied().find(bad))?;
    found.map_or(Ok(()), |value| Err(HostError::NotFinite { what: what(), value }))
}

/// Looks at the numbers where they lie, as features can be large.
fn find(tensor: &Tensor, look: impl Fn(&[f32]) -> Option<f32>) -> Result<Option<f32>, HostError> {
    let (storage, layout) = tensor.storage_and_layout();
    if let (Storage::Cpu(cpu), Some((start, end))) = (&*storage, layout.contiguous_offsets()) {
        return Ok(look(&cpu.as_slice::<f32>()?[start..end]));
    }
    drop(storage);
    Ok(look(&tensor.flatten_all()?.to_vec1::<f32>()?))
}

/// The first value that is not finite.
fn first(values: &[f32]) -> Option<f32> {
    // Zero times anything finite is zero, and whatever else comes in stays in the sum.
    let clean = |block: &[f32]| block.iter().map(|value| value * 0.0).sum::<f32>() == 0.0;
    let block = values.chunks(BLOCK).find(|block| !clean(block))?;
    block.iter().copied().find(|value| !value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn one_number_that_is_none_is_found_wherever_it_stands() {
        for length in [1, 7, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let mut values = vec![f32::MAX; length];
            values[length / 2] = f32::MIN_POSITIVE / 2.0;
            assert_eq!(first(&values), None);
            for place in [0, length / 2, length - 1] {
                for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut values = values.clone();
                    values[place] = value;
                    assert_eq!(
                        first(&values).map(f32::to_bits),
                        Some(value.to_bits()),
                        "{place} of {length}"
                    );
                }
            }
        }
        assert_eq!(first(&[]), None);
    }

    #[test]
    fn the_message_says_what_and_what_to_do() {
        let tensor = Tensor::new(&[[0.0, f32::NAN]], &Device::Cpu).unwrap();
        let message = check(|| "the features of `x`".into(), &tensor).unwrap_err().to_string();
        assert!(message.starts_with("the features of `x` hold NaN; the model overflowed"), "{message}");
        // A view is looked at as it is.
        let part = tensor.narrow(1, 0, 1).unwrap();
        check(String::new, &part).unwrap();
        check(String::new, &Tensor::cat(&[&tensor, &part], 1).unwrap().t().unwrap()).unwrap_err();
        let logits = |last: f32| Tensor::new(&[f32::NEG_INFINITY, 1.0, last], &Device::Cpu).unwrap();
        check_logits(String::new, &logits(0.0)).unwrap();
        let message = check_logits(|| "the logits".into(), &logits(f32::INFINITY)).unwrap_err().to_string();
        assert!(message.starts_with("the logits hold inf; "), "{message}");
        check(String::new, &Tensor::new(&[[0.0_f32, -1.0]], &Device::Cpu).unwrap()).unwrap();
    }
}
