//! An opened encoder, connector, language model or text tower: a context pointer and a table of functions.

use std::ffi::c_void;
use std::sync::atomic::AtomicBool;

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RStr, RString, RVec};

use crate::dlpack::{DlDevice, Owned, View};
use crate::error::FfiResult;

/// Bits of [`CallArgs::flags`].
pub mod request {
    /// Apply the final norm to each feature map.
    pub const NORM: u64 = 1;
    /// Return the prefix tokens too.
    pub const PREFIX: u64 = 2;
    /// Return one vector for each image too; the layers may then be none; 1.0.2.
    pub const EMBEDDING: u64 = 4;
}

/// A result with its name.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct NamedTensor {
    /// Name, as documented for the operation.
    pub name: RString,
    /// The tensor.
    pub tensor: Owned,
}

/// An input with its name.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct NamedView<'a> {
    /// Name, as documented for the operation.
    pub name: RStr<'a>,
    /// The tensor.
    pub tensor: View<'a>,
}

/// What one call costs.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Multiply-accumulates.
    pub macs: u64,
    /// Peak bytes of activations.
    pub activation_bytes: u64,
}

/// Everything that a call is told.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct CallArgs<'a> {
    /// Input tensors.
    pub inputs: RSlice<'a, NamedView<'a>>,
    /// Layers of an encoder, 0-based; none where only vectors are asked for.
    pub layers: RSlice<'a, i32>,
    /// See [`request`].
    pub flags: u64,
    /// Seed of anything random; 0 is inference, where nothing is.
    pub seed: u64,
    /// Where the caller wants the work done.
    pub device: DlDevice,
    /// Raw stream of that device on which the inputs were made; NULL on the CPU, and so in every call of a host that
    /// computes on CPUs alone. Reserved for hosts that do not: work on a device is only in order with what was enqueued on the
    /// same stream, and DLPack's tensors do not carry theirs.
    pub stream: *mut c_void,
    /// Becomes true when the caller has lost interest; `None` is NULL.
    pub cancel: Option<&'a AtomicBool>,
    /// What the operation needs beyond tensors; may be empty.
    pub options_json: RStr<'a>,
    /// The first is [`CallArgs::number`], the others are zero.
    pub reserved: [u64; 4],
}

impl<'a> CallArgs<'a> {
    /// A call on the CPU without layers, flags or cancellation.
    pub fn new(inputs: &'a [NamedView<'a>], options_json: &'a str) -> Self {
        Self {
            inputs: RSlice::from_slice(inputs),
            layers: RSlice::from_slice(&[]),
            flags: 0,
            seed: 0,
            device: DlDevice::CPU,
            stream: std::ptr::null_mut(),
            cancel: None,
            options_json: RStr::from_str(options_json),
            reserved: [0; 4],
        }
    }

    /// The number of this call for `HostServices::step`; 0 where nobody listens.
    pub fn number(&self) -> u64 {
        self.reserved[0]
    }

    /// Whether the caller has asked to stop.
    pub fn cancelled(&self) -> bool {
        self.cancel.is_some_and(|c| c.load(std::sync::atomic::Ordering::Relaxed))
    }
}

/// The functions of an object. Each takes the object's context first, may be called from any thread, and does
/// not unwind.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ObjectVtRef, prefix_fields = ObjectVtPrefix)))]
#[sabi(missing_field(option))]
pub struct ObjectVt {
    /// The descriptor, as JSON.
    pub describe: unsafe extern "C" fn(*const c_void) -> FfiResult<RString>,
    /// Runs an operation: appends the result tensors and returns what belongs to them as JSON.
    pub call:
        unsafe extern "C" fn(*const c_void, &CallArgs<'_>, &mut RVec<NamedTensor>) -> FfiResult<RString>,
    /// What a call would cost. Encoders: batch, height, width.
    pub estimate: unsafe extern "C" fn(*const c_void, RSlice<'_, i64>) -> FfiResult<Cost>,
    /// Frees the context; the last call.
    #[sabi(last_prefix_field)]
    pub drop: unsafe extern "C" fn(*mut c_void),
    /// Vector-Jacobian product of `call`.
    pub vjp: unsafe extern "C" fn(*const c_void, &CallArgs<'_>, &mut RVec<NamedTensor>) -> FfiResult<RString>,
    /// Names of the trainable parameters, as a JSON list.
    pub param_names: unsafe extern "C" fn(*const c_void) -> FfiResult<RString>,
    /// Value of a parameter.
    pub get_param: unsafe extern "C" fn(*const c_void, RStr<'_>) -> FfiResult<Owned>,
    /// Replaces a parameter.
    pub set_param: unsafe extern "C" fn(*const c_void, &NamedView<'_>) -> FfiResult<()>,
}

/// An opened object. Dropping it frees it where it was made.
#[repr(C)]
#[derive(StableAbi)]
pub struct Object {
    ctx: *mut c_void,
    vt: ObjectVtRef,
}

// SAFETY: `from_raw` demands a context that may be used from any thread.
unsafe impl Send for Object {}
// SAFETY: as above, several at a time.
unsafe impl Sync for Object {}

impl Object {
    /// Pairs a context with its functions.
    ///
    /// # Safety
    /// `ctx` is what the functions of `vt` expect, belongs to this object alone, and may be used by several
    /// threads at a time.
    pub unsafe fn from_raw(ctx: *mut c_void, vt: ObjectVtRef) -> Self {
        Self { ctx, vt }
    }

    /// See [`ObjectVt::describe`].
    pub fn describe(&self) -> FfiResult<RString> {
        // SAFETY: `from_raw`: the context is what the table expects, until our Drop.
        unsafe { self.vt.describe()(self.ctx) }
    }

    /// See [`ObjectVt::call`].
    pub fn call(&self, args: &CallArgs<'_>, out: &mut RVec<NamedTensor>) -> FfiResult<RString> {
        // SAFETY: as in `describe`.
        unsafe { self.vt.call()(self.ctx, args, out) }
    }

    /// See [`ObjectVt::estimate`].
    pub fn estimate(&self, dims: &[i64]) -> FfiResult<Cost> {
        // SAFETY: as in `describe`.
        unsafe { self.vt.estimate()(self.ctx, RSlice::from_slice(dims)) }
    }

    /// See [`ObjectVt::vjp`]; `None` when the plugin is older than the field.
    pub fn vjp(&self, args: &CallArgs<'_>, out: &mut RVec<NamedTensor>) -> Option<FfiResult<RString>> {
        // SAFETY: as in `describe`.
        self.vt.vjp().map(|f| unsafe { f(self.ctx, args, out) })
    }

    /// See [`ObjectVt::param_names`]; `None` when the plugin is older than the field.
    pub fn param_names(&self) -> Option<FfiResult<RString>> {
        // SAFETY: as in `describe`.
        self.vt.param_names().map(|f| unsafe { f(self.ctx) })
    }

    /// See [`ObjectVt::get_param`]; `None` when the plugin is older than the field.
    pub fn get_param(&self, name: &str) -> Option<FfiResult<Owned>> {
        // SAFETY: as in `describe`.
        self.vt.get_param().map(|f| unsafe { f(self.ctx, RStr::from_str(name)) })
    }

    /// See [`ObjectVt::set_param`]; `None` when the plugin is older than the field.
    pub fn set_param(&self, value: &NamedView<'_>) -> Option<FfiResult<()>> {
        // SAFETY: as in `describe`.
        self.vt.set_param().map(|f| unsafe { f(self.ctx, value) })
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: as in `describe`, and nothing uses the context afterwards.
        unsafe { self.vt.drop()(self.ctx) }
    }
}
