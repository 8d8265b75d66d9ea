//! Operations with a backward pass of their own, as nodes of candle's graph.
//!
//! **The one decision.** An operation computes its result without a graph, as inference does, and says what to do with a
//! gradient of it. What it keeps for that is its own affair; candle sees one node, whatever happens inside.
//!
//! candle's nodes have three inputs at most. Those beyond hang on the node by a chain of [`Link`]s, through which their
//! gradients pass from hand to hand. Gradients of variables go straight to [`crate::autograd::backward`] where that is
//! who asks, so that nothing is copied.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::op::BackpropOp;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Device, Error, Layout, Result, Shape, Storage,
    Tensor, WithDType,
};

use half::{bf16, f16};

use crate::autograd;

/// Numbers that were just computed on the CPU, in row-major order.
pub(crate) struct Fresh {
    numbers: CpuStorage,
    shape: Shape,
}

impl Fresh {
    pub fn new<T: WithDType>(numbers: Vec<T>, shape: impl Into<Shape>) -> Self {
        Self { numbers: T::to_cpu_storage_owned(numbers), shape: shape.into() }
    }

    /// A copy of a tensor's numbers.
    pub fn copied(tensor: &Tensor) -> Result<Self> {
        let flat = tensor.detach().flatten_all()?;
        let shape = tensor.shape().clone();
        Ok(match tensor.dtype() {
            DType::BF16 => Self::new(flat.to_vec1::<bf16>()?, shape),
            DType::F16 => Self::new(flat.to_vec1::<f16>()?, shape),
            DType::F64 => Self::new(flat.to_vec1::<f64>()?, shape),
            _ => Self::new(flat.to_vec1::<f32>()?, shape),
        })
    }

    /// As a tensor without a graph.
    pub fn tensor(self) -> Tensor {
        Tensor::from_storage(Storage::Cpu(self.numbers), self.shape, BackpropOp::none(), false)
    }
}

/// Where a backward pass leaves the gradients of its inputs.
pub(crate) struct Sink {
    /// What tracks gradients, each once.
    inputs: Vec<(Tensor, Option<Tensor>)>,
}

impl Sink {
    /// Whether anybody asks for the gradient of `input`.
    pub fn wants(&self, input: &Tensor) -> bool {
        self.inputs.iter().any(|(other, _)| other.id() == input.id())
    }

    /// Adds to the gradient of `input`, if anybody asks for it; in any shape of as many numbers.
    pub fn add(&mut self, input: &Tensor, gradient: Tensor) -> Result<()> {
        let Some((input, sum)) = self.inputs.iter_mut().find(|(other, _)| other.id() == input.id()) else {
            return Ok(());
        };
        let gradient = gradient.reshape(input.shape())?.to_dtype(input.dtype())?;
        *sum = Some(match sum.take() {
            Some(sum) => (sum + gradient)?,
            None => gradient,
        });
        Ok(())
    }

    /// As [`Sink::add`] of what is made only if somebody asks.
    pub fn give(&mut self, input: &Tensor, gradient: impl FnOnce() -> Result<Tensor>) -> Result<()> {
        if self.wants(input) { self.add(input, gradient()?) } else { Ok(()) }
    }
}

type Backward = Box<dyn Fn(&Tensor, &mut Sink) -> Result<()> + Send + Sync>;

/// `out` with a graph: a gradient of it goes through `backward`, which leaves those of `inputs` in a [`Sink`]. The
/// gradient that it gets is in row-major order and in the dtype of `out`.
pub(crate) fn operation<'a>(
    name: &'static str,
    inputs: impl IntoIterator<Item = &'a Tensor>,
    out: Fresh,
    backward: impl Fn(&Tensor, &mut Sink) -> Result<()> + Send + Sync + 'static,
) -> Result<Tensor> {
    let mut tracked: Vec<&Tensor> = Vec::new();
    for input in inputs.into_iter().filter(|input| input.track_op()) {
        if tracked.iter().all(|other| other.id() != input.id()) {
            tracked.push(input);
        }
    }
    let (direct, rest) = tracked.split_at(if tracked.len() > 3 { 2 } else { tracked.len() });
    let mut links: Vec<Arc<Mutex<Option<Tensor>>>> = Vec::new();
    let mut chain: Option<Tensor> = None;
    for input in rest {
        let passed = Arc::<Mutex<Option<Tensor>>>::default();
        links.push(passed.clone());
        let link = Link { passed };
        chain = Some(match &chain {
            None => input.apply_op1(link)?,
            Some(chain) => input.apply_op2(chain, link)?,
        });
    }
    let node = Node {
        name,
        out: Mutex::new(Some((out.numbers, out.shape))),
        inputs: tracked.iter().map(|input| (*input).clone()).collect(),
        links,
        backward: Box::new(backward),
    };
    match (direct, &chain) {
        ([], _) => Ok(Fresh::from(node.take()?).tensor()),
        ([a], _) => a.apply_op1(node),
        ([a, b], None) => a.apply_op2(b, node),
        ([a, b], Some(chain)) => a.apply_op3(b, chain, node),
        ([a, b, c, ..], _) => a.apply_op3(b, c, node),
    }
}

impl From<(CpuStorage, Shape)> for Fresh {
    fn from((numbers, shape): (CpuStorage, Shape)) -> Self {
        Self { numbers, shape }
    }
}

struct Node {
    name: &'static str,
    /// What the forward pass gives, until it has.
    out: Mutex<Option<(CpuStorage, Shape)>>,
    inputs: Vec<Tensor>,
    links: Vec<Arc<Mutex<Option<Tensor>>>>,
    backward: Backward,
}

impl Node {
    fn take(&self) -> Result<(CpuStorage, Shape)> {
        let out = self.out.lock().unwrap_or_else(PoisonError::into_inner).take();
        out.ok_or_else(|| Error::Msg(format!("{}: computed twice", self.name)))
    }

    /// The gradients of the inputs of candle's node.
    fn pull(&self, gradient: &Tensor) -> Result<[Option<Tensor>; 3]> {
        let gradient = gradient.contiguous()?;
        let mut sink = Sink { inputs: self.inputs.iter().map(|input| (input.clone(), None)).collect() };
        (self.backward)(&gradient, &mut sink)?;
        let mut found = sink.inputs.into_iter().map(|(input, gradient)| settled(&input, gradient));
        let mut pulled = [None, None, None];
        let direct = self.inputs.len() - self.links.len();
        for (to, gradient) in pulled.iter_mut().zip(found.by_ref().take(direct)) {
            *to = gradient?;
        }
        for (link, gradient) in self.links.iter().zip(found) {
            *link.lock().unwrap_or_else(PoisonError::into_inner) = gradient?;
        }
        if let (false, Some(last)) = (self.links.is_empty(), pulled.get_mut(direct)) {
            *last = Some(token()?);
        }
        Ok(pulled)
    }
}

/// What candle is to be given for an input. It needs a number for everything but variables.
fn settled(input: &Tensor, gradient: Option<Tensor>) -> Result<Option<Tensor>> {
    match gradient {
        Some(gradient) if input.is_variable() => autograd::deposit(input, gradient),
        None if !input.is_variable() => Ok(Some(input.zeros_like()?.detach())),
        gradient => Ok(gradient),
    }
}

/// What goes through the chain beside gradients.
fn token() -> Result<Tensor> {
    Tensor::zeros(1, DType::F32, &Device::Cpu)
}

fn token_numbers() -> (CpuStorage, Shape) {
    (CpuStorage::F32(vec![0.0]), Shape::from(1))
}

impl CustomOp1 for Node {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.take()
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let [a, _, _] = self.pull(gradient)?;
        Ok(a)
    }
}

impl CustomOp2 for Node {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.take()
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [a, b, _] = self.pull(gradient)?;
        Ok((a, b))
    }
}

impl CustomOp3 for Node {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.take()
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [a, b, c] = self.pull(gradient)?;
        Ok((a, b, c))
    }
}

/// An input beyond the third: candle comes here after the node, which has left the gradient.
struct Link {
    passed: Arc<Mutex<Option<Tensor>>>,
}

impl Link {
    fn take(&self) -> Option<Tensor> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl CustomOp1 for Link {
    fn name(&self) -> &'static str {
        "link"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(token_numbers())
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.take())
    }
}

impl CustomOp2 for Link {
    fn name(&self) -> &'static str {
        "link"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(token_numbers())
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((self.take(), Some(token()?)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use candle_core::Var;

    use super::*;

    /// The gradient of a linear operation against its central differences, which are exact for it but for rounding, and
    /// against candle's of the same operation `composed`.
    #[track_caller]
    pub(crate) fn check_linear(
        x: &Tensor,
        operation: impl Fn(&Tensor) -> zoo_core::Result<Tensor>,
        composed: impl Fn(&Tensor) -> zoo_core::Result<Tensor>,
    ) {
        let numbers = |count: usize, seed: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * 7919 + seed * 104_729) % 1013) as f32 / 506.0 - 1.0).collect()
        };
        let like = |t: &Tensor, seed| {
            Tensor::from_vec(numbers(t.elem_count(), seed), t.shape(), &Device::Cpu).unwrap()
        };
        let dot = |a: &Tensor, b: &Tensor| -> f64 {
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            flat(a).iter().zip(flat(b)).map(|(a, b)| f64::from(*a) * f64::from(b)).sum()
        };
        let out = operation(x).unwrap();
        assert!(!out.track_op());
        let cotangent = like(&out, 1);
        let pulled = |operation: &dyn Fn(&Tensor) -> zoo_core::Result<Tensor>| {
            let variable = Var::from_tensor(x).unwrap();
            let tracked = operation(variable.as_tensor()).unwrap();
            let loss = (&tracked * &cotangent).unwrap().sum_all().unwrap();
            let gradients = autograd::backward(&loss).unwrap();
            (tracked, gradients.get(variable.as_tensor()).unwrap().clone())
        };
        let ((tracked, own), (_, other)) = (pulled(&operation), pulled(&composed));
        assert_eq!(dot(&(&tracked - &out).unwrap(), &like(&out, 5)), 0.0, "with a gradient and without");
        let size = dot(&other, &other).sqrt();
        let apart = (&own - &other).unwrap();
        assert!(
            size > 0.0 && dot(&apart, &apart).sqrt() < 1e-5 * size,
            "{} of {size}",
            dot(&apart, &apart).sqrt()
        );
        for seed in 2..6 {
            let along = like(x, seed);
            let [more, less] =
                [1.0, -1.0].map(|step| operation(&(x + (&along * step).unwrap()).unwrap()).unwrap());
            let difference = (dot(&more, &cotangent) - dot(&less, &cotangent)) / 2.0;
            let slope = dot(&own, &along);
            let scale = size * dot(&along, &along).sqrt();
            assert!((difference - slope).abs() < 1e-5 * scale, "{difference}, by the gradient {slope}");
        }
    }

    fn value(tensor: &Tensor) -> f32 {
        tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]
    }

    /// A weighted sum of any number of inputs, some of them twice, some no variables, some not tracked.
    #[test]
    fn any_number_of_inputs_gets_its_gradient() {
        for count in 0..7 {
            let vars: Vec<Var> =
                (0..count).map(|i| Var::new(&[i as f32 + 1.0], &Device::Cpu).unwrap()).collect();
            let inputs: Vec<Tensor> = vars
                .iter()
                .enumerate()
                .map(|(i, v)| if i % 2 == 0 { v.as_tensor().clone() } else { (v.as_tensor() * 2.0).unwrap() })
                .collect();
            let constant = Tensor::new(&[5f32], &Device::Cpu).unwrap();
            let all: Vec<Tensor> = inputs.iter().chain([&constant]).chain(inputs.first()).cloned().collect();
            let saved = all.clone();
            let out = Fresh::new(vec![7f32], 1);
            let node = operation("test", &all, out, move |gradient, sink| {
                for (i, input) in saved.iter().enumerate() {
                    sink.add(input, (gradient * (i as f64 + 1.0))?)?;
                }
                Ok(())
            })
            .unwrap();
            assert_eq!((value(&node), node.track_op()), (7.0, count > 0));
            let loss = (&node * 3.0).unwrap();
            for gradients in [loss.backward().unwrap(), autograd::backward(&loss).unwrap()] {
                for (i, var) in vars.iter().enumerate() {
                    let twice = if i == 0 { count as f32 + 2.0 } else { 0.0 };
                    let expected = 3.0 * (i as f32 + 1.0 + twice) * if i % 2 == 0 { 1.0 } else { 2.0 };
                    let got = gradients.get(var.as_tensor()).map(value);
                    assert_eq!(got, Some(expected), "input {i} of {count}");
                }
            }
        }
    }

    #[test]
    fn what_gets_no_gradient_has_a_gradient_of_zero() {
        let var = Var::new(&[1f32], &Device::Cpu).unwrap();
        let input = (var.as_tensor() * 2.0).unwrap();
        let node = operation("test", [&input], Fresh::new(vec![1f32], 1), |_, _| Ok(())).unwrap();
        assert_eq!(value(node.backward().unwrap().get(var.as_tensor()).unwrap()), 0.0);
    }
}
