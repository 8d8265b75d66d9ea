//! An encoder that returns its pixels as tokens, without a copy: the result points into the memory that was lent
//! to it for the call.

use std::ffi::c_void;

use abi_stable::std_types::{RErr, ROk, RSlice, RStr, RString, RVec};

use crate::dlpack::{DlManaged, DlTensor, DlVersion, Owned};
use crate::error::{FfiError, FfiResult, code};
use crate::object::{CallArgs, Cost, NamedTensor};

/// The context of an object.
pub struct Echo {
    /// Whether the descriptor promises gradients.
    pub vjp: bool,
}

/// What the plugin `name` says of itself.
pub fn identity(name: &str) -> RString {
    format!(
        r#"{{"name": "{name}", "version": "{}", "abi": {}, "target": "{}", "backend": "cpu",
            "provides": {{"encoders": ["echo"]}}}}"#,
        env!("CARGO_PKG_VERSION"),
        crate::ABI_REVISION,
        env!("ZOO_ABI_TARGET"),
    )
    .into()
}

pub fn failure<T>(code: u32, message: &str) -> FfiResult<T> {
    RErr(FfiError { code, message: message.into(), detail_json: "".into() })
}

pub extern "C" fn revision() -> u32 {
    crate::ABI_REVISION
}

pub extern "C" fn inspect(_: u32, _: RStr<'_>) -> FfiResult<RString> {
    failure(code::UNSUPPORTED, "an echo cannot be inspected")
}

/// # Safety
/// Here and below, `ctx` is a boxed [`Echo`].
pub unsafe extern "C" fn describe(ctx: *const c_void) -> FfiResult<RString> {
    // SAFETY: the caller's promise.
    let vjp = unsafe { &*ctx.cast::<Echo>() }.vjp;
    let text = format!(
        r#"{{"id": "echo", "layers": [{{"channels": 3, "stride": 1}}], "prefix": [], "final_norm": false,
            "native": 2, "resolution": {{"at_least": 1}}, "parameters": 0, "vjp": {vjp}}}"#
    );
    ROk(text.into())
}

pub unsafe extern "C" fn estimate(_: *const c_void, dims: RSlice<'_, i64>) -> FfiResult<Cost> {
    ROk(Cost { macs: 0, activation_bytes: dims.iter().product::<i64>() as u64 })
}

pub unsafe extern "C" fn free(ctx: *mut c_void) {
    // SAFETY: the last call, so the box is ours.
    drop(unsafe { Box::from_raw(ctx.cast::<Echo>()) });
}

/// `[B, 3, H, W]` without gaps between the rows, as `[B, H·W, 3]`.
pub unsafe extern "C" fn call(
    _: *const c_void,
    args: &CallArgs<'_>,
    out: &mut RVec<NamedTensor>,
) -> FfiResult<RString> {
    let [pixels] = args.inputs.as_slice() else {
        return failure(code::INVALID_INPUT, "an echo takes one tensor");
    };
    let dl = pixels.tensor.tensor();
    if dl.ndim != 4 || dl.strides.is_null() {
        return failure(code::INVALID_INPUT, "an echo takes [B, 3, H, W], with strides");
    }
    // SAFETY: a view of four dimensions points to four sizes and four strides.
    let ([b, c, h, w], [image, plane, row, column]) =
        unsafe { (*dl.shape.cast::<[i64; 4]>(), *dl.strides.cast::<[i64; 4]>()) };
    if row != w * column {
        return failure(code::INVALID_INPUT, "an echo takes rows without gaps between them");
    }
    let tensor = echo(dl, [b, h * w, c], [image, column, plane]);
    out.push(NamedTensor { name: "tokens.0".into(), tensor });
    let map =
        format!(r#"[{{"grid": {{"h": {h}, "w": {w}}}, "layer": 0, "normed": false, "prefix": false}}]"#);
    ROk(map.into())
}

/// Keeps the description; the memory belongs to whoever lent it.
struct Kept {
    managed: DlManaged,
    shape: [i64; 3],
    strides: [i64; 3],
}

unsafe extern "C" fn delete(managed: *mut DlManaged) {
    // SAFETY: made by `echo`, deleted once.
    drop(unsafe { Box::from_raw((*managed).manager_ctx.cast::<Kept>()) });
}

fn echo(lent: &DlTensor, shape: [i64; 3], strides: [i64; 3]) -> Owned {
    let managed = DlManaged {
        version: DlVersion::CURRENT,
        manager_ctx: std::ptr::null_mut(),
        deleter: Some(delete),
        flags: crate::dlpack::flags::READ_ONLY,
        dl: DlTensor { ndim: 3, ..*lent },
    };
    let kept = Box::into_raw(Box::new(Kept { managed, shape, strides }));
    // SAFETY: `kept` is a live box that stays in place until `delete`.
    unsafe {
        (*kept).managed.manager_ctx = kept.cast();
        (*kept).managed.dl.shape = (&raw mut (*kept).shape).cast();
        (*kept).managed.dl.strides = (&raw mut (*kept).strides).cast();
        Owned::from_raw(&raw mut (*kept).managed)
    }
}
