//! Objects of a plugin behind the traits of `zoo-core`: nothing above knows that they are foreign. What comes
//! back is checked against the object's own descriptor, because a broken promise is cheaper to report here than
//! to find later.

mod connector;
mod encoder;
mod llm;

use std::sync::Arc;

use abi_stable::std_types::{RSlice, RStr, RVec};
use candle_core::{Device, Tensor};
pub(super) use connector::ForeignConnector;
pub(super) use encoder::ForeignEncoder;
pub(super) use llm::ForeignLlm;
use zoo_abi::{CallArgs, FfiResult, NamedTensor, NamedView, Object};
use zoo_core::dlpack::{Lent, import_owned};
use zoo_core::sdk::failure::from_wire;
use zoo_core::sdk::wire::{Tensors, from_json};
use zoo_core::{Error, Result};

use super::LoadedPlugin;

/// An object and the plugin that it came from.
pub(super) struct Foreign {
    pub object: Object,
    pub plugin: Arc<LoadedPlugin>,
}

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
    /// The descriptor.
    fn describe<D: serde::de::DeserializeOwned>(&self) -> Result<D> {
        let text = self.object.describe().into_result().map_err(|e| from_wire(&e))?;
        from_json(&format!("descriptor from plugin `{}`", self.plugin.manifest().name), text.as_str())
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
        let mut args = CallArgs::new(&views, call.options);
        args.layers = RSlice::from_slice(call.layers);
        args.flags = call.flags;
        let mut out = RVec::new();
        let result = match function {
            Function::Call => self.object.call(&args, &mut out),
            Function::Vjp => self.optional(self.object.vjp(&args, &mut out))?,
        };
        let reply = result.into_result().map_err(|e| from_wire(&e))?;
        Ok((self.import(&out)?.to_device(&device)?, reply.into_string()))
    }

    fn import(&self, out: &[NamedTensor]) -> Result<Tensors> {
        let mut tensors = Tensors::default();
        for NamedTensor { name, tensor } in out {
            let tensor = import_owned(tensor).map_err(|e| self.broken(format!("result `{name}`: {e}")))?;
            tensors.insert(name.as_str(), tensor)?;
        }
        Ok(tensors)
    }

    /// A function that older plugins lack.
    fn optional<T>(&self, result: Option<FfiResult<T>>) -> Result<FfiResult<T>> {
        result.ok_or_else(|| {
            Error::unsupported(format!("plugin `{}`", self.plugin.manifest().name), "gradients")
        })
    }

    /// The plugin does not do what it says.
    fn broken(&self, what: impl std::fmt::Display) -> Error {
        Error::Internal(format!("plugin `{}` is faulty: {what}", self.plugin.manifest().name))
    }

    /// Checks the shape of a result; 0 stands for any size.
    fn expect(&self, name: &str, tensor: &Tensor, shape: &[usize]) -> Result<()> {
        let dims = tensor.dims();
        let fits = dims.len() == shape.len() && dims.iter().zip(shape).all(|(d, s)| *s == 0 || d == s);
        if !fits {
            return Err(self.broken(format!("result `{name}` is {dims:?}, expected {shape:?} (0: any)")));
        }
        if !tensor.dtype().is_float() {
            let dtype = tensor.dtype();
            return Err(self.broken(format!("result `{name}` is of type {dtype:?}, expected floating point")));
        }
        Ok(())
    }
}
