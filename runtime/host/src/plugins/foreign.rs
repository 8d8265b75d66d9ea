//! Objects of a plugin behind the traits of `zoo-core`: nothing above knows that they are foreign. What comes
//! back is checked against the object's own descriptor and against the request, because a broken promise is cheaper
//! to report here than to find later.

mod answer;
mod connector;
mod encoder;
mod llm;
mod text;

use std::sync::Arc;

use abi_stable::std_types::{RSlice, RStr, RVec};
use candle_core::{Device, Tensor};
pub(super) use connector::ForeignConnector;
pub(super) use encoder::ForeignEncoder;
pub(super) use llm::ForeignLlm;
pub(super) use text::ForeignText;
use zoo_abi::{CallArgs, FfiResult, NamedTensor, NamedView, Object};
use zoo_core::dlpack::{Lent, import_owned};
use zoo_core::sdk::failure::from_wire;
use zoo_core::sdk::wire::{Tensors, from_json};
use zoo_core::{CallContext, Error, Result};

use super::LoadedPlugin;
use super::calls::Live;

/// An object and the plugin that it came from.
pub(super) struct Foreign {
    pub object: Object,
    pub plugin: Arc<LoadedPlugin>,
    /// What it was opened as.
    pub id: String,
}

/// Any size, where a shape is expected.
const ANY: usize = usize::MAX;

/// Which function of the table.
#[derive(Clone, Copy)]
enum Function {
    Call,
    Vjp,
}

/// A call in the host's terms.
struct Call<'a> {
    inputs: &'a [(&'a str, &'a Tensor)],
    layers: &'a [i32],
    flags: u64,
    options: &'a str,
}

impl Foreign {
    /// The descriptor, if it can be true.
    fn describe<D: serde::de::DeserializeOwned>(&self, faults: fn(&D, &str) -> Vec<String>) -> Result<D> {
        let text = self.object.describe().into_result().map_err(|e| from_wire(&e))?;
        let said: D = from_json("its descriptor", text.as_str()).map_err(|e| self.broken(e))?;
        let faults = faults(&said, &self.id);
        if faults.is_empty() { Ok(said) } else { Err(self.broken(faults.join("; "))) }
    }

    /// What stands beside the tensors of a reply.
    fn reply<T: for<'de> serde::Deserialize<'de>>(&self, what: &str, text: &str) -> Result<T> {
        from_json(&format!("reply of {what}"), text).map_err(|e| self.broken(e))
    }

    /// An operation without layers and flags.
    fn operate(&self, inputs: &[(&str, &Tensor)], options: &str) -> Result<(Tensors, String)> {
        self.run(Function::Call, &Call { inputs, layers: &[], flags: 0, options })
    }

    /// Lends the inputs, calls, and takes the results over, onto the device of the first input.
    fn run(&self, function: Function, call: &Call<'_>) -> Result<(Tensors, String)> {
        let device = call.inputs.first().map_or(Device::Cpu, |(_, t)| t.device().clone());
        let staged: Vec<_> =
            call.inputs.iter().map(|(_, t)| t.to_device(&Device::Cpu)).collect::<Result<_, _>>()?;
        let mut lent: Vec<_> = staged.iter().map(Lent::new).collect::<Result<_>>()?;
        let views: Vec<_> = lent
            .iter_mut()
            .zip(call.inputs)
            .map(|(lent, (name, _))| NamedView { name: RStr::from_str(name), tensor: lent.view() })
            .collect();
        let context = CallContext::current();
        let live = Live::begin(&context);
        let mut args = CallArgs::new(&views, call.options);
        args.seed = context.seed();
        args.cancel = context.cancel().map(|flag| &**flag);
        args.reserved[0] = live.as_ref().map_or(0, Live::number);
        args.layers = RSlice::from_slice(call.layers);
        args.flags = call.flags;
        let mut out = RVec::new();
        let result = match function {
            Function::Call => self.object.call(&args, &mut out),
            Function::Vjp => self.optional(self.object.vjp(&args, &mut out))?,
        };
        let reply = result.into_result().map_err(|e| from_wire(&e))?;
        let inputs = || call.inputs.iter().map(|(name, _)| *name).zip(&staged);
        Ok((self.import(&out, inputs)?.to_device(&device)?, reply.into_string()))
    }

    /// Takes results over, in host memory.
    fn import<'a, I: Iterator<Item = (&'a str, &'a Tensor)>>(
        &self,
        out: &[NamedTensor],
        inputs: impl Fn() -> I,
    ) -> Result<Tensors> {
        let mut tensors = Tensors::default();
        for NamedTensor { name, tensor } in out {
            let tensor = import_owned(tensor).map_err(|e| self.broken(format!("result `{name}`: {e}")))?;
            if answer::has_nan(&tensor)? {
                return Err(self.no_number(name.as_str(), inputs())?);
            }
            tensors.insert(name.as_str(), tensor).map_err(|e| self.broken(e))?;
        }
        Ok(tensors)
    }

    /// Why a result holds NaN: because an input did, or by what weights and element type make of sound ones, of which the
    /// plugin may know nothing.
    fn no_number<'a>(
        &self,
        name: &str,
        inputs: impl Iterator<Item = (&'a str, &'a Tensor)>,
    ) -> Result<Error> {
        let mut given = None;
        for (input, tensor) in inputs {
            if answer::has_nan(tensor)? {
                given = Some(input);
                break;
            }
        }
        let id = &self.id;
        Ok(match given {
            Some(input) => Error::invalid(format!("{id}: the input `{input}` holds NaN")),
            None => Error::invalid(format!(
                "the result `{name}` of `{id}` (plugin `{}`) holds NaN, and its inputs do not; the model overflowed (try \
                 bf16 or f32 instead of f16) or its weights are damaged",
                self.plugin.manifest().name
            )),
        })
    }

    /// A function that older plugins lack.
    fn optional<T>(&self, result: Option<FfiResult<T>>) -> Result<FfiResult<T>> {
        result.ok_or_else(|| {
            Error::unsupported(format!("plugin `{}`", self.plugin.manifest().name), "gradients")
        })
    }

    /// The plugin does not do what it says.
    fn broken(&self, what: impl std::fmt::Display) -> Error {
        Error::faulty(&self.plugin.manifest().name, what)
    }

    /// Checks the shape and the element type of a result.
    fn expect(&self, name: &str, tensor: &Tensor, shape: &[usize]) -> Result<()> {
        let dims = tensor.dims();
        let fits = dims.len() == shape.len() && dims.iter().zip(shape).all(|(d, s)| *s == ANY || d == s);
        if !fits {
            let sizes: Vec<_> =
                shape.iter().map(|&n| if n == ANY { "any".into() } else { n.to_string() }).collect();
            return Err(self.broken(format!("result `{name}` is {dims:?}, expected [{}]", sizes.join(", "))));
        }
        if !tensor.dtype().is_float() {
            let dtype = tensor.dtype();
            return Err(self.broken(format!("result `{name}` is of type {dtype:?}, expected floating point")));
        }
        Ok(())
    }
}
