//! One table for every kind of object: [`Served`] in safe Rust behind the C functions of [`ObjectVt`].

use std::ffi::c_void;
use std::marker::PhantomData;

use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RSlice, RStr, RString, RVec};
use candle_core::{Device, Tensor};
use zoo_abi::{CallArgs, FfiResult, NamedTensor, NamedView, Object, ObjectVt, ObjectVtRef, Owned};

use super::guard::guard;
use super::wire::Tensors;
use crate::dlpack::{export, import_view};
use crate::{Cost, Error, Result};

/// A call, as an object sees it: tensors on its own device.
pub(super) struct Call<'a> {
    pub inputs: Tensors,
    pub layers: &'a [i32],
    pub flags: u64,
    pub options: &'a str,
}

/// What a call gives: named tensors, and JSON about them.
#[derive(Default)]
pub(super) struct Reply {
    pub tensors: Vec<(String, Tensor)>,
    pub json: String,
}

impl Reply {
    /// One tensor, nothing to say about it.
    pub fn one(name: &str, tensor: Tensor) -> Self {
        Self { tensors: vec![(name.to_owned(), tensor)], json: String::new() }
    }
}

/// An opened object behind the table. The defaults are inability.
pub(super) trait Served: Send + Sync + 'static {
    /// Name of the plugin, for panic messages.
    fn plugin(&self) -> &'static str;
    /// Id of the object, for messages.
    fn id(&self) -> &str;
    /// Where its tensors live.
    fn device(&self) -> &Device;
    fn describe(&self) -> Result<String>;
    fn call(&self, call: Call<'_>) -> Result<Reply>;
    fn estimate(&self, _dims: &[i64]) -> Result<Cost> {
        Err(Error::unsupported(self.id(), "cost estimates"))
    }
    fn vjp(&self, _call: Call<'_>) -> Result<Reply> {
        Err(Error::unsupported(self.id(), "gradients"))
    }
    fn param_names(&self) -> Result<Vec<String>> {
        Err(Error::unsupported(self.id(), "trainable parameters"))
    }
    fn get_param(&self, _name: &str) -> Result<Tensor> {
        Err(Error::unsupported(self.id(), "trainable parameters"))
    }
    fn set_param(&self, _name: &str, _value: &Tensor) -> Result<()> {
        Err(Error::unsupported(self.id(), "trainable parameters"))
    }
}

/// Puts an object behind its table.
pub(super) fn object<S: Served>(served: S) -> Object {
    let vt = ObjectVtRef(Table::<S>::VT.static_as_prefix());
    // SAFETY: every function of `Table<S>` expects a `Box<S>`, which is `Send + Sync`; this is the only owner.
    unsafe { Object::from_raw(Box::into_raw(Box::new(served)).cast(), vt) }
}

struct Table<S>(PhantomData<S>);

impl<S: Served> Table<S> {
    const VT: &'static WithMetadata<ObjectVt> = &WithMetadata::new(ObjectVt {
        describe: Self::describe,
        call: Self::call,
        estimate: Self::estimate,
        drop: Self::drop,
        vjp: Self::vjp,
        param_names: Self::param_names,
        get_param: Self::get_param,
        set_param: Self::set_param,
    });

    /// # Safety
    /// `ctx` was made by [`object`] for the same `S` and is not dropped yet. The functions below rely on it too.
    unsafe fn served<'a>(ctx: *const c_void) -> &'a S {
        // SAFETY: the caller's promise.
        unsafe { &*ctx.cast::<S>() }
    }

    unsafe extern "C" fn describe(ctx: *const c_void) -> FfiResult<RString> {
        // SAFETY: the table is only ever paired with its own context; so in every function here.
        let s = unsafe { Self::served(ctx) };
        guard(s.plugin(), || Ok(s.describe()?.into()))
    }

    unsafe extern "C" fn call(
        ctx: *const c_void,
        args: &CallArgs<'_>,
        out: &mut RVec<NamedTensor>,
    ) -> FfiResult<RString> {
        // SAFETY: see `describe`.
        let s = unsafe { Self::served(ctx) };
        guard(s.plugin(), || within(args, || answer(s.call(receive(args, s.device())?)?, out)))
    }

    unsafe extern "C" fn vjp(
        ctx: *const c_void,
        args: &CallArgs<'_>,
        out: &mut RVec<NamedTensor>,
    ) -> FfiResult<RString> {
        // SAFETY: see `describe`.
        let s = unsafe { Self::served(ctx) };
        guard(s.plugin(), || within(args, || answer(s.vjp(receive(args, s.device())?)?, out)))
    }

    unsafe extern "C" fn estimate(ctx: *const c_void, dims: RSlice<'_, i64>) -> FfiResult<zoo_abi::Cost> {
        // SAFETY: see `describe`.
        let s = unsafe { Self::served(ctx) };
        guard(s.plugin(), || {
            let Cost { macs, activation_bytes } = s.estimate(dims.as_slice())?;
            Ok(zoo_abi::Cost { macs, activation_bytes })
        })
    }

    unsafe extern "C" fn param_names(ctx: *const c_void) -> FfiResult<RString> {
        // SAFETY: see `describe`.
        let s = unsafe { Self::served(ctx) };
        guard(s.plugin(), || Ok(super::wire::to_json(&s.param_names()?)?.into()))
    }

    unsafe extern "C" fn get_param(ctx: *const c_void, name: RStr<'_>) -> FfiResult<Owned> {
        // SAFETY: see `describe`.
        let s = unsafe { Self::served(ctx) };
        guard(s.plugin(), || export(&s.get_param(name.as_str())?.to_device(&Device::Cpu)?))
    }

    unsafe extern "C" fn set_param(ctx: *const c_void, value: &NamedView<'_>) -> FfiResult<()> {
        // SAFETY: see `describe`.
        let s = unsafe { Self::served(ctx) };
        guard(s.plugin(), || {
            s.set_param(value.name.as_str(), &import_view(&value.tensor)?.to_device(s.device())?)
        })
    }

    unsafe extern "C" fn drop(ctx: *mut c_void) {
        // SAFETY: made by `object`, and the host drops once.
        let served = unsafe { Box::from_raw(ctx.cast::<S>()) };
        let plugin = served.plugin();
        if let abi_stable::std_types::RErr(e) = guard(plugin, || {
            std::mem::drop(served);
            Ok(())
        }) {
            tracing::error!("dropping an object: {}", e.message);
        }
    }
}

/// Does `work` in the context of a call.
fn within<R>(args: &CallArgs<'_>, work: impl FnOnce() -> R) -> R {
    super::services::context(args.number(), args.seed).scope(work)
}

fn receive<'a>(args: &'a CallArgs<'_>, device: &Device) -> Result<Call<'a>> {
    if args.cancelled() {
        return Err(Error::Cancelled);
    }
    let mut inputs = Tensors::default();
    for input in args.inputs.as_slice() {
        let tensor =
            import_view(&input.tensor).map_err(|e| Error::invalid(format!("input `{}`: {e}", input.name)))?;
        inputs.insert(input.name.as_str(), tensor.to_device(device)?)?;
    }
    Ok(Call {
        inputs,
        layers: args.layers.as_slice(),
        flags: args.flags,
        options: args.options_json.as_str(),
    })
}

fn answer(reply: Reply, out: &mut RVec<NamedTensor>) -> Result<RString> {
    for (name, tensor) in reply.tensors {
        let tensor = export(&tensor.to_device(&Device::Cpu)?)?;
        out.push(NamedTensor { name: name.into(), tensor });
    }
    Ok(reply.json.into())
}

#[cfg(test)]
mod tests {
    use abi_stable::std_types::RVec;

    use super::*;
    use crate::dlpack::{Lent, import_owned};

    /// Gives its input back as it is and in another layout, and its parameter.
    struct Mirror {
        parameter: Tensor,
    }

    impl Served for Mirror {
        fn plugin(&self) -> &'static str {
            "mirror"
        }
        fn id(&self) -> &str {
            "mirror"
        }
        fn device(&self) -> &Device {
            &Device::Cpu
        }
        fn describe(&self) -> Result<String> {
            Ok(String::new())
        }
        fn call(&self, mut call: Call<'_>) -> Result<Reply> {
            let x = call.inputs.take("x")?;
            let turned = x.t()?;
            let tensors = [("same", x), ("turned", turned), ("parameter", self.parameter.clone())];
            Ok(Reply { tensors: tensors.map(|(n, t)| (n.to_owned(), t)).into(), json: String::new() })
        }
    }

    /// Nothing that a result was made from is there any more when it is read: not the input that it aliases, not
    /// the object, not its parameters.
    #[test]
    fn results_outlive_input_and_object() {
        let parameter = Tensor::arange(10_u32, 14, &Device::Cpu).unwrap();
        let object = object(Mirror { parameter });
        let mut out = RVec::new();
        {
            let x = Tensor::arange(0_u32, 6, &Device::Cpu).unwrap().reshape((2, 3)).unwrap();
            let mut lent = Lent::new(&x).unwrap();
            let inputs = [NamedView { name: RStr::from_str("x"), tensor: lent.view() }];
            object.call(&CallArgs::new(&inputs, ""), &mut out).into_result().unwrap();
        }
        drop(object);
        let read = |i: usize| {
            let tensor = import_owned(&out[i].tensor).unwrap();
            (tensor.dims().to_vec(), tensor.flatten_all().unwrap().to_vec1::<u32>().unwrap())
        };
        assert_eq!(read(0), (vec![2, 3], vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(read(1), (vec![3, 2], vec![0, 3, 1, 4, 2, 5]));
        assert_eq!(read(2), (vec![4], vec![10, 11, 12, 13]));
    }
}
