//! Half precision: a plugin may lose what its reference loses, and hardly more.
//!
//! A flat bound would have to allow for the case that loses most, a deep one in bf16, and would pass a wrong activation
//! in all others. The reference's own losses stand in each case, made by its own modules with weights and inputs cast.

use std::path::Path;

use zoo_core::Precision;
use zoo_core::sdk::Plugin;

use super::{Outcome, outcomes, refuse, report};

/// How much more than the reference one tensor may lose, in the root mean square of the differences from f32. The
/// smallest tensors have a few dozen elements, whose errors are not independent.
pub const HALF_RMS: f64 = 1.5;

/// How much more than the reference one tensor may lose, in the largest difference from f32, which one unlucky element
/// decides on either side.
pub const HALF_MAX: f64 = 2.5;

/// How much more than the reference all tensors of a plugin may lose together: the root mean square of what stands under
/// [`HALF_RMS`], over elements.
pub const HALF_ALL: f64 = 1.15;

/// Runs every case of `dir` with weights and activations of bf16 and of f16. What came out may differ from the
/// expected f32 tensors by [`HALF_RMS`], [`HALF_MAX`] and [`HALF_ALL`] times what the reference differs by in that
/// precision. Leaves the plugin's lines for `docs/parity.md`.
///
/// # Panics
/// As [`super::check`]; and where a case does not say what its reference loses.
#[track_caller]
pub fn check_half(plugin: &Plugin, dir: impl AsRef<Path>) {
    let (mut faults, mut checks, mut lines) = (Vec::new(), 0, Vec::new());
    for precision in [Precision::Bf16, Precision::F16] {
        let mut all = Shares::default();
        for outcome in outcomes(plugin, dir.as_ref(), precision) {
            checks += 1;
            match outcome.and_then(|outcome| judge(&outcome, precision)) {
                Ok(shares) => all = all.and(shares),
                Err(fault) => faults.push(format!("{precision:?}: {fault}")),
            }
        }
        // Never NaN: what is not judged does not count.
        if all.together() > HALF_ALL {
            faults.push(format!(
                "{precision:?}: all together lose {:.3} of what the reference does",
                all.together()
            ));
        }
        lines.push((precision, all));
    }
    let bound = format!("rms {HALF_RMS}, max|Δ| {HALF_MAX}, together {HALF_ALL} of the reference's own loss");
    refuse(plugin, &faults, checks, &bound);
    report::write(plugin.name, "half", &report::half(&lines));
}

/// Our losses in units of the reference's: the worst of some tensors, and of all their elements.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Shares {
    pub max: f64,
    pub rms: f64,
    squares: f64,
    elements: f64,
}

impl Shares {
    fn of(max: f64, rms: f64, elements: usize) -> Self {
        let elements = elements as f64;
        Self { max, rms, squares: rms * rms * elements, elements }
    }

    fn and(self, other: Self) -> Self {
        Self {
            max: self.max.max(other.max),
            rms: self.rms.max(other.rms),
            squares: self.squares + other.squares,
            elements: self.elements + other.elements,
        }
    }

    /// Root mean square over elements.
    pub fn together(&self) -> f64 {
        if self.elements == 0.0 { 0.0 } else { (self.squares / self.elements).sqrt() }
    }
}

fn judge(o: &Outcome, precision: Precision) -> Result<Shares, String> {
    let at = format!("{} `{}` {:?}", o.case, o.tensor, o.shape);
    let loss = o.loses.and_then(|loses| loses.of(precision)).ok_or_else(|| {
        format!("{at}: the case does not say what its reference loses; make the golden files anew")
    })?;
    let d = &o.difference;
    // Shares that are always one are exact in any precision.
    let share = |ours: f64, theirs: f64| if ours == 0.0 { 0.0 } else { ours / d.rms / theirs };
    let (max, rms) = (share(d.max, loss.max), share(d.off, loss.rms));
    if rms <= HALF_RMS && max <= HALF_MAX {
        return Ok(Shares::of(max, rms, o.shape.iter().product()));
    }
    Err(format!(
        "{at}: loses {rms:.2} times as much as the reference in rms ({:.2e} of the tensor's), {max:.2} times in max|Δ|; {d}",
        d.off / d.rms
    ))
}

#[cfg(test)]
mod tests {
    use super::super::case::{Loss, Losses};
    use super::super::compare;
    use super::*;
    use candle_core::{Device, Tensor};

    /// An expected tensor of root mean square 2 and one that is `off` from it in one of four elements.
    fn outcome(off: f32, loses: Option<Losses>) -> Outcome {
        let tensor = |last| Tensor::from_slice(&[2f32, -2.0, 2.0, last], 4, &Device::Cpu).unwrap();
        Outcome {
            case: "c".into(),
            reference: "r".into(),
            tensor: "t".into(),
            shape: vec![4],
            difference: compare(&tensor(2.0 + off), &tensor(2.0)).unwrap(),
            loses,
        }
    }

    #[test]
    fn bounds_hold_and_nan_passes_none() {
        let loses = |max, rms| Some(Losses { bf16: Loss { max, rms }, f16: Loss { max: 1e-9, rms: 1e-9 } });
        let judged = |off, loses| judge(&outcome(off, loses), Precision::Bf16);
        // 0.5 in one of four: 0.25 and 0.125 of the root mean square.
        let shares = judged(0.5, loses(0.25, 0.125)).unwrap();
        assert_eq!((shares.max, shares.rms, shares.together()), (1.0, 1.0, 1.0));
        assert!(judged(0.5, loses(0.25, 0.08)).unwrap_err().contains("1.56 times as much"));
        assert!(judged(0.5, loses(0.09, 0.125)).is_err());
        assert!(judged(f32::NAN, loses(9.0, 9.0)).is_err());
        assert_eq!(judged(0.0, loses(0.0, 0.0)).unwrap().rms, 0.0);
        assert!(judged(1e-3, loses(0.0, 0.0)).is_err());
        assert!(judge(&outcome(0.5, loses(0.25, 0.125)), Precision::F16).is_err());
        // Three of four elements as the reference, one twice as bad.
        let all = Shares::of(1.0, 1.0, 3).and(Shares::of(2.0, 2.0, 1));
        assert_eq!((all.max, all.rms, all.together()), (2.0, 2.0, 1.75f64.sqrt()));
        assert!(judged(0.5, None).unwrap_err().contains("does not say what its reference loses"));
    }
}
