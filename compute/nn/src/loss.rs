//! What training makes small.

use candle_core::{DType, Device, Tensor, WithDType};
use zoo_core::Result;
pub use zoo_core::cross_entropy;
use zoo_kernels::{Distribution, Element, Epilogue, Packed, VocabularyPart, zeros};

use crate::dispatch::{self, with};
use crate::graph::{self, Fresh};
use crate::linear::Linear;
use crate::linear::pull::{HeadRows, weight_gradient};
use crate::values::Values;

/// Most numbers of logits that are held at a time.
const LOGITS: usize = 8 << 20;
/// Fewest classes of a part: fewer would be packed for too little work.
const CLASSES: usize = 256;

/// [`cross_entropy`] of the logits that `head` makes of `hidden` `[N, H]`, a part of the vocabulary at a time: those of
/// all of it exist neither forwards nor backwards. `None` where candle must compute, or there is no gradient.
pub(crate) fn through_head(
    head: &Linear,
    hidden: &Tensor,
    targets: &Tensor,
    cap: Option<f64>,
) -> Result<Option<Tensor>> {
    let Some(numbers) = dispatch::trained(hidden, &[], &[head]) else { return Ok(None) };
    let targets = targets.to_dtype(DType::U32)?.to_vec1::<u32>()?;
    let parts = Parts { head: head.clone(), hidden: hidden.clone(), targets, cap: cap.map(|cap| cap as f32) };
    Ok(Some(with!(numbers, T => parts.loss::<T>()?)))
}

struct Parts {
    head: Linear,
    hidden: Tensor,
    targets: Vec<u32>,
    cap: Option<f32>,
}

impl Parts {
    fn loss<T: Element + WithDType>(self) -> candle_core::Result<Tensor> {
        let rows = self.hidden.dim(0)?;
        let classes = self.head.rows_of().count();
        if self.targets.len() != rows || rows == 0 {
            candle_core::bail!("{} targets for {rows} hidden states", self.targets.len());
        }
        if let Some(stray) = self.targets.iter().find(|&&target| target as usize >= classes) {
            candle_core::bail!("target {stray} of a vocabulary of {classes}");
        }
        let mut known = vec![Distribution::default(); rows];
        self.each::<T>(|part, _, _| {
            part.observe(&mut known);
            Ok(())
        })?;
        let loss = known.iter().map(|row| f64::from(row.loss())).sum::<f64>() / rows as f64;
        let own = self.head.tensors();
        let inputs: Vec<Tensor> = [self.hidden.clone()].into_iter().chain(own).collect();
        let out = Fresh::new(vec![loss as f32], ());
        graph::operation("cross-entropy of a head", &inputs, out, move |gradient, sink| {
            let factor = gradient.to_dtype(DType::F32)?.to_scalar::<f32>()? / rows as f32;
            let (learns, flows) = (self.head.trains(), sink.wants(&self.hidden));
            let width = self.hidden.dim(1)?;
            let mut of_weight = zeros::<T>(if learns { classes * width } else { 0 });
            let mut of_bias = vec![0f32; if learns { classes } else { 0 }];
            let mut of_hidden = vec![0f32; if flows { rows * width } else { 0 }];
            self.each::<T>(|part, range, turned| {
                let mut slopes = zeros::<T>(part.logits.len());
                part.slopes(&known, factor, &mut slopes);
                if flows {
                    let mut share = zeros::<T>(rows * width);
                    turned()?.apply(&slopes, &Epilogue::default(), &mut share);
                    of_hidden.iter_mut().zip(&share).for_each(|(sum, x)| *sum += x.widen());
                }
                if learns {
                    zoo_kernels::sum_rows(&slopes, &mut of_bias[range.clone()]);
                    let slopes = Tensor::from_vec(slopes, (rows, range.len()), &Device::Cpu)?;
                    let gradient = weight_gradient::<T>(&self.hidden.detach(), &slopes)?;
                    let gradient = Values::of(&gradient, gradient.dims())?;
                    let part = &mut of_weight[range.start * width..range.end * width];
                    part.copy_from_slice(gradient.read()?.values::<T>()?);
                }
                Ok(())
            })?;
            if flows {
                sink.add(&self.hidden, Tensor::from_vec(of_hidden, (rows, width), &Device::Cpu)?)?;
            }
            if learns {
                let weight = Tensor::from_vec(of_weight, (classes, width), &Device::Cpu)?;
                self.head.leave(weight, Tensor::from_vec(of_bias, classes, &Device::Cpu)?, sink)?;
            }
            Ok(())
        })
    }

    /// Calls `visit` with the logits of each part of the vocabulary, its classes, and the transposed weights of it.
    fn each<T: Element + WithDType>(
        &self,
        mut visit: impl FnMut(
            VocabularyPart<'_, T>,
            std::ops::Range<usize>,
            &dyn Fn() -> candle_core::Result<Packed>,
        ) -> candle_core::Result<()>,
    ) -> candle_core::Result<()> {
        let weights: HeadRows = self.head.rows_of();
        let hidden = Values::of(&self.hidden, self.hidden.dims())?;
        let hidden = hidden.read()?;
        let hidden = hidden.values::<T>()?;
        let rows = self.targets.len();
        let columns = (LOGITS / rows).max(CLASSES).min(weights.count().max(1));
        for first in (0..weights.count()).step_by(columns) {
            let range = first..weights.count().min(first + columns);
            let mut logits = zeros::<T>(rows * range.len());
            weights.with_bias::<T, _>(range.clone(), |packed, bias| {
                packed.apply(hidden, &Epilogue { bias, ..Epilogue::default() }, &mut logits);
            })?;
            let part = VocabularyPart {
                logits: &logits,
                first,
                columns: range.len(),
                targets: &self.targets,
                cap: self.cap,
            };
            visit(part, range.clone(), &|| weights.turned::<T>(range.clone()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::autograd::backward;

    #[test]
    fn loss_and_gradient_are_those_of_the_formula() {
        let values = [[0.5f32, -1.0, 100.0], [2.0, 0.25, -3.0]];
        let logits = Var::new(&values, &Device::Cpu).unwrap();
        let targets = [2u32, 1];
        let loss = cross_entropy(logits.as_tensor(), &Tensor::new(&targets, &Device::Cpu).unwrap()).unwrap();
        let soft = values.map(|row| {
            let exp = row.map(|x| f64::from(x).exp());
            exp.map(|e| e / exp.iter().sum::<f64>())
        });
        let expected = -(soft[0][2].ln() + soft[1][1].ln()) / 2.0;
        assert!((f64::from(loss.to_scalar::<f32>().unwrap()) - expected).abs() < 1e-6);
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(&logits).unwrap().to_vec2::<f32>().unwrap();
        for (n, row) in gradient.iter().enumerate() {
            for (v, got) in row.iter().enumerate() {
                let hit = f64::from(u8::from(targets[n] as usize == v));
                assert!((f64::from(*got) - (soft[n][v] - hit) / 2.0).abs() < 1e-6, "{n} {v}");
            }
        }
    }

    /// A part at a time beside all at once, with heads that learn and heads that do not, over several parts.
    #[test]
    fn parts_of_a_vocabulary_are_the_whole() {
        let noise = |shape: &[usize], seed: usize, size: f32| {
            let count: usize = shape.iter().product();
            let value = |i: usize| (((i * 7919 + seed * 104_729) % 1013) as f32 / 506.0 - 1.0) * size;
            Tensor::from_vec((0..count).map(value).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
        };
        // More than the fewest classes of a part, and more numbers than are held at a time.
        let (rows, width, classes) = (40_000, 5, 700);
        let (hidden, weight, bias) =
            (noise(&[rows, width], 1, 2.0), noise(&[classes, width], 2, 3.0), noise(&[classes], 3, 1.0));
        let ids = (0..rows).map(|i| (i * 31 % classes) as u32).collect::<Vec<_>>();
        let targets = Tensor::new(ids, &Device::Cpu).unwrap();
        let far = |a: &Tensor, b: &Tensor| {
            let gap = (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            gap / b.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap()
        };
        for (cap, trained) in [(None, true), (Some(4.0), true), (None, false)] {
            let [h, w, b] = [&hidden, &weight, &bias].map(|t| Var::from_tensor(t).unwrap());
            let learns =
                |var: &Var, plain: &Tensor| if trained { var.as_tensor().clone() } else { plain.clone() };
            let head = Linear::new(learns(&w, &weight), Some(learns(&b, &bias)));
            let got = through_head(&head, h.as_tensor(), &targets, cap).unwrap().unwrap();
            let logits = h.as_tensor().matmul(&w.as_tensor().t().unwrap()).unwrap();
            let logits = logits.broadcast_add(b.as_tensor()).unwrap();
            let logits = match cap {
                Some(cap) => ((logits / cap).unwrap().tanh().unwrap() * cap).unwrap(),
                None => logits,
            };
            let want = cross_entropy(&logits, &targets).unwrap();
            assert!(far(&got, &want) < 1e-6, "{got} {want}");
            // Forty thousand slopes that nearly cancel are added for a bias: the reference adds them in f64.
            let of_bias = {
                let logits = logits.detach().to_dtype(DType::F64).unwrap().to_vec2::<f64>().unwrap();
                let mut sums = vec![0f64; classes];
                for (row, logits) in logits.iter().enumerate() {
                    let largest = logits.iter().copied().fold(f64::MIN, f64::max);
                    let total = logits.iter().map(|x| (x - largest).exp()).sum::<f64>();
                    for (class, x) in logits.iter().enumerate() {
                        let hit = f64::from(u8::from(row * 31 % classes == class));
                        let bent = cap.map_or(1.0, |cap| 1.0 - (x / cap).powi(2));
                        sums[class] += ((x - largest).exp() / total - hit) * bent * 3.0 / rows as f64;
                    }
                }
                Tensor::from_vec(sums, classes, &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap()
            };
            let [got, want] = [got, want].map(|loss| backward(&(loss * 3.0).unwrap()).unwrap());
            for (name, var) in [("hidden", &h), ("weight", &w), ("bias", &b)] {
                match got.get(var.as_tensor()) {
                    Some(gradient) => {
                        let exact = want.get(var.as_tensor()).unwrap();
                        let apart = far(gradient, if name == "bias" { &of_bias } else { exact });
                        assert!(apart < 1e-4, "{name}: {apart}");
                    }
                    None => assert!(!trained && name != "hidden", "{name}"),
                }
            }
        }
        let stray = Tensor::new(&[classes as u32], &Device::Cpu).unwrap();
        let one = Var::from_tensor(&hidden.narrow(0, 0, 1).unwrap()).unwrap();
        let message = through_head(&Linear::new(weight, None), one.as_tensor(), &stray, None).unwrap_err();
        assert!(message.to_string().contains("target 700 of a vocabulary of 700"), "{message}");
    }
}
