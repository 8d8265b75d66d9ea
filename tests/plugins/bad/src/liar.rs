//! An encoder that is written against the bare wire and returns what no tensor library would make.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};

use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RErr, ROk, RSlice, RStr, RString, RVec};
use zoo_abi::{
    CallArgs, Cost, DlDataType, DlDevice, DlManaged, DlTensor, DlVersion, FfiError, FfiResult,
    HostServicesRef, NamedTensor, NamedView, Object, ObjectVt, ObjectVtRef, Owned, code, device,
};
use zoo_core::sdk::export::guard;

/// How often a deleter ran, and how often on another thread than the call. Told by `estimate`.
static DELETED: AtomicU64 = AtomicU64::new(0);

/// Architectures, each a lie about a `[1, 4, 2]` f32 tensor.
pub const LIES: &[&str] = &[
    "null_data",
    "null_tensor",
    "null_shape",
    "negative",
    "huge",
    "complex",
    "integers",
    "elsewhere",
    "future",
    "rank",
    "nameless",
    "too_few",
    "no_json",
    "grid",
    "layer",
    "normed",
    "plain",
    "prefix",
    "no_prefix",
    "nan",
    "odd_code",
    "honest",
    // From here on it is the descriptor that cannot be true.
    "name",
    "no_layers",
    "no_channels",
    "no_stride",
    "large_stride",
    "no_multiple",
    "no_gradients",
    "many_parameters",
];

struct Liar {
    lie: &'static str,
    id: String,
}

impl Liar {
    fn new(request: &str) -> zoo_core::Result<Self> {
        let request: serde_json::Value = zoo_core::sdk::wire::from_json("request", request)?;
        let text = |key: &str| request["spec"][key].as_str().unwrap_or_default();
        match LIES.iter().find(|l| **l == text("architecture")) {
            Some(lie) => Ok(Self { lie, id: text("id").to_owned() }),
            None => Err(zoo_core::Error::invalid(format!("no such lie: {}", text("architecture")))),
        }
    }

    fn descriptor(&self) -> serde_json::Value {
        let mut said = serde_json::json!({
            "id": self.id, "layers": [{"channels": 2, "stride": 1}], "prefix": [], "final_norm": false,
            "native": 2, "resolution": {"at_least": 1}, "parameters": 0, "vjp": false,
        });
        match self.lie {
            "name" => said["id"] = "somebody".into(),
            "no_layers" => said["layers"] = serde_json::json!([]),
            "no_channels" => said["layers"][0]["channels"] = 0.into(),
            "no_stride" => said["layers"][0]["stride"] = 0.into(),
            "large_stride" => said["layers"][0]["stride"] = 4.into(),
            "no_multiple" => said["resolution"] = serde_json::json!({"multiple_of": 0}),
            "no_gradients" => said["vjp"] = true.into(),
            "many_parameters" => said["parameters"] = u64::MAX.into(),
            "plain" => said["final_norm"] = true.into(),
            "no_prefix" => said["prefix"] = serde_json::json!(["cls"]),
            _ => {}
        }
        said
    }

    fn reply(&self) -> &'static str {
        match self.lie {
            "no_json" => "nonsense",
            "too_few" => "[]",
            "grid" => r#"[{"grid": {"h": 1, "w": 4}, "layer": 0, "normed": false, "prefix": false}]"#,
            "layer" => r#"[{"grid": {"h": 2, "w": 2}, "layer": 5, "normed": false, "prefix": false}]"#,
            "normed" => r#"[{"grid": {"h": 2, "w": 2}, "layer": 0, "normed": true, "prefix": false}]"#,
            "prefix" => r#"[{"grid": {"h": 2, "w": 2}, "layer": 0, "normed": false, "prefix": true}]"#,
            _ => r#"[{"grid": {"h": 2, "w": 2}, "layer": 0, "normed": false, "prefix": false}]"#,
        }
    }
}

pub extern "C" fn init(_: HostServicesRef, _: RStr<'_>) -> FfiResult<()> {
    ROk(())
}

pub extern "C" fn init_panics(_: HostServicesRef, _: RStr<'_>) -> FfiResult<()> {
    guard("no_start", || panic!("not today"))
}

pub extern "C" fn inspect(_: u32, request: RStr<'_>) -> FfiResult<RString> {
    guard("liar", || {
        let liar = Liar::new(request.as_str())?;
        if liar.lie == "no_json" {
            return Ok(RString::from("{}"));
        }
        let found = serde_json::json!({
            "descriptor": {"encoder": liar.descriptor()}, "tensors": [],
            "cost": {"macs": 0, "activation_bytes": 0},
        });
        Ok(found.to_string().into())
    })
}

pub extern "C" fn open(_: u32, request: RStr<'_>) -> FfiResult<Object> {
    guard("liar", || {
        let liar = Liar::new(request.as_str())?;
        let vt = ObjectVtRef(TABLE.static_as_prefix());
        // SAFETY: the table expects a boxed `Liar`, which is plain data.
        Ok(unsafe { Object::from_raw(Box::into_raw(Box::new(liar)).cast(), vt) })
    })
}

const TABLE: &WithMetadata<ObjectVt> = &WithMetadata::new(ObjectVt {
    describe,
    call,
    estimate,
    drop: free,
    vjp: call,
    param_names,
    get_param,
    set_param,
});

unsafe extern "C" fn describe(ctx: *const c_void) -> FfiResult<RString> {
    // SAFETY: made by `open`.
    let liar = unsafe { &*ctx.cast::<Liar>() };
    ROk(liar.descriptor().to_string().into())
}

unsafe extern "C" fn param_names(_: *const c_void) -> FfiResult<RString> {
    RErr(FfiError { code: code::UNSUPPORTED, message: "nothing to learn".into(), detail_json: "".into() })
}

/// The number of deleters that ran so far.
unsafe extern "C" fn estimate(_: *const c_void, _: RSlice<'_, i64>) -> FfiResult<Cost> {
    ROk(Cost { macs: DELETED.load(Ordering::SeqCst), activation_bytes: 0 })
}

unsafe extern "C" fn get_param(_: *const c_void, _: RStr<'_>) -> FfiResult<Owned> {
    RErr(FfiError { code: code::INTERNAL, message: "none".into(), detail_json: "".into() })
}

unsafe extern "C" fn set_param(_: *const c_void, _: &NamedView<'_>) -> FfiResult<()> {
    ROk(())
}

unsafe extern "C" fn free(ctx: *mut c_void) {
    // SAFETY: made by `open`.
    drop(unsafe { Box::from_raw(ctx.cast::<Liar>()) });
}

unsafe extern "C" fn call(
    ctx: *const c_void,
    _: &CallArgs<'_>,
    out: &mut RVec<NamedTensor>,
) -> FfiResult<RString> {
    // SAFETY: made by `open`.
    let liar = unsafe { &*ctx.cast::<Liar>() };
    let lie = liar.lie;
    if lie == "odd_code" {
        return RErr(FfiError { code: 4711, message: "from the future".into(), detail_json: "{".into() });
    }
    if lie != "too_few" {
        let name = if lie == "nameless" { "" } else { "tokens.0" };
        out.push(NamedTensor { name: name.into(), tensor: tensor(lie) });
    }
    ROk(RString::from(liar.reply()))
}

struct Kept {
    managed: DlManaged,
    shape: Vec<i64>,
    data: Vec<f32>,
}

unsafe extern "C" fn delete(managed: *mut DlManaged) {
    DELETED.fetch_add(1, Ordering::SeqCst);
    // SAFETY: made by `tensor`, deleted once.
    drop(unsafe { Box::from_raw((*managed).manager_ctx.cast::<Kept>()) });
}

fn tensor(lie: &str) -> Owned {
    if lie == "null_tensor" {
        // SAFETY: NULL is allowed.
        return unsafe { Owned::from_raw(std::ptr::null_mut()) };
    }
    let mut kept = Box::new(Kept {
        managed: DlManaged {
            version: DlVersion::CURRENT,
            manager_ctx: std::ptr::null_mut(),
            deleter: Some(delete),
            flags: 0,
            dl: DlTensor {
                data: std::ptr::null_mut(),
                device: DlDevice::CPU,
                ndim: 3,
                dtype: DlDataType::F32,
                shape: std::ptr::null_mut(),
                strides: std::ptr::null_mut(),
                byte_offset: 0,
            },
        },
        shape: vec![1, 4, 2],
        data: if lie == "nan" { vec![f32::NAN; 8] } else { vec![0.5; 8] },
    });
    let (data, shape) = (kept.data.as_mut_ptr(), kept.shape.as_mut_ptr());
    let dl = &mut kept.managed.dl;
    (dl.data, dl.shape) = (data.cast(), shape);
    match lie {
        "null_data" => dl.data = std::ptr::null_mut(),
        "null_shape" => dl.shape = std::ptr::null_mut(),
        "complex" => dl.dtype.code = 5,
        "integers" => dl.dtype = DlDataType::U32,
        "elsewhere" => dl.device = DlDevice { ty: device::CUDA, id: 3 },
        "rank" => dl.ndim = 2,
        "negative" => kept.shape[1] = -4,
        "huge" => kept.shape[1] = i64::MAX,
        "future" => kept.managed.version.major = 2,
        _ => {}
    }
    let kept = Box::into_raw(kept);
    // SAFETY: `kept` is a live box that stays in place until `delete`.
    unsafe {
        (*kept).managed.manager_ctx = kept.cast();
        Owned::from_raw(&raw mut (*kept).managed)
    }
}
