//! candle tensors to DLPack and back. The only place of this crate that reads memory it did not allocate.
//!
//! Lending and handing out copy nothing; taking in copies once, because candle's storage owns its memory and
//! has no hook for somebody else's deleter. Host memory only: tensors of other devices are staged through it.

use std::ffi::c_void;

use candle_core::{CpuStorage, DType, Device, Storage, StorageRef, Tensor, WithDType};
use half::{bf16, f16};
use zoo_abi::{DlDataType, DlDevice, DlManaged, DlTensor, DlVersion, Owned, View, device, flags};

use crate::{Error, Result};

/// A tensor lent for one call. Holds candle's read lock, so that nothing writes in place meanwhile.
pub struct Lent<'a> {
    parts: Shape,
    data: *mut c_void,
    _lock: StorageRef<'a>,
}

impl<'a> Lent<'a> {
    /// Lends a tensor in host memory.
    ///
    /// # Errors
    /// [`Error::Device`] for other memory, [`Error::Unsupported`] for element types that DLPack does not name.
    pub fn new(tensor: &'a Tensor) -> Result<Self> {
        let (lock, _) = tensor.storage_and_layout();
        let (parts, data) = Shape::of(tensor, &lock)?;
        Ok(Self { parts, data, _lock: lock })
    }

    /// The view; as long as `self` lives, so does the memory.
    pub fn view(&mut self) -> View<'_> {
        let dl = self.parts.describe(self.data);
        // SAFETY: the read lock keeps the storage in place and unwritten, `parts` keeps shape and strides, and
        // the view borrows both.
        unsafe { View::from_raw(dl) }
    }
}

/// Hands a tensor in host memory over. The tensor lives until the deleter is called; variables are copied
/// first, because they may change.
///
/// # Errors
/// As [`Lent::new`].
pub fn export(tensor: &Tensor) -> Result<Owned> {
    struct Kept {
        managed: DlManaged,
        parts: Shape,
        _tensor: Tensor,
    }
    unsafe extern "C" fn delete(managed: *mut DlManaged) {
        // SAFETY: called once, with the struct made below, whose context is the box that holds it.
        drop(unsafe { Box::from_raw((*managed).manager_ctx.cast::<Kept>()) });
    }

    let tensor = if tensor.is_variable() { tensor.copy()?.detach() } else { tensor.clone() };
    let (parts, data) = {
        let (lock, _) = tensor.storage_and_layout();
        Shape::of(&tensor, &lock)?
    };
    let mut kept = Box::new(Kept {
        managed: DlManaged {
            version: DlVersion::CURRENT,
            manager_ctx: std::ptr::null_mut(),
            deleter: Some(delete),
            flags: flags::READ_ONLY,
            dl: DlTensor {
                data,
                device: DlDevice::CPU,
                ndim: 0,
                dtype: parts.dtype,
                shape: std::ptr::null_mut(),
                strides: std::ptr::null_mut(),
                byte_offset: 0,
            },
        },
        parts,
        _tensor: tensor,
    });
    kept.managed.dl = kept.parts.describe(data);
    let kept = Box::into_raw(kept);
    // SAFETY: `kept` is a live box; it stays in place until `delete`, and so do the vectors and the tensor that
    // it holds. Nobody writes to a result in place.
    unsafe {
        (*kept).managed.manager_ctx = kept.cast();
        Ok(Owned::from_raw(&raw mut (*kept).managed))
    }
}

/// Copies a lent tensor into a fresh one on the CPU.
///
/// # Errors
/// [`Error::InvalidInput`] naming what is wrong with the description, [`Error::Device`] for memory that this
/// process cannot read.
pub fn import_view(view: &View<'_>) -> Result<Tensor> {
    // SAFETY: a view is made from valid memory only.
    unsafe { import(view.tensor()) }
}

/// Copies a tensor that was handed over into a fresh one on the CPU. The original is freed by its owner's drop.
///
/// # Errors
/// As [`import_view`]; also a DLPack version whose layout is unknown.
pub fn import_owned(owned: &Owned) -> Result<Tensor> {
    let Some(managed) = owned.managed() else {
        return Err(fault("the pointer to the tensor is NULL"));
    };
    if managed.version.major != DlVersion::CURRENT.major {
        return Err(fault(format!(
            "DLPack version {}.{}, but this program reads {}.x",
            managed.version.major,
            managed.version.minor,
            DlVersion::CURRENT.major
        )));
    }
    // SAFETY: an owned tensor is valid until it is dropped.
    unsafe { import(&managed.dl) }
}

fn fault(what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("malformed tensor: {what}"))
}

/// Shape and strides in the form that DLPack points to.
struct Shape {
    shape: Vec<i64>,
    strides: Vec<i64>,
    dtype: DlDataType,
}

impl Shape {
    fn of(tensor: &Tensor, storage: &Storage) -> Result<(Self, *mut c_void)> {
        let Storage::Cpu(storage) = storage else {
            return Err(Error::Device("only tensors in host memory cross the plugin boundary".into()));
        };
        let start = tensor.layout().start_offset();
        let (dtype, data) = match storage {
            CpuStorage::U8(v) => (DlDataType::U8, v[start..].as_ptr().cast::<c_void>()),
            CpuStorage::U32(v) => (DlDataType::U32, v[start..].as_ptr().cast()),
            CpuStorage::I64(v) => (DlDataType::I64, v[start..].as_ptr().cast()),
            CpuStorage::BF16(v) => (DlDataType::BF16, v[start..].as_ptr().cast()),
            CpuStorage::F16(v) => (DlDataType::F16, v[start..].as_ptr().cast()),
            CpuStorage::F32(v) => (DlDataType::F32, v[start..].as_ptr().cast()),
            CpuStorage::F64(v) => (DlDataType::F64, v[start..].as_ptr().cast()),
            _ => {
                let ability = format!("tensors of {:?}", tensor.dtype());
                return Err(Error::unsupported("the plugin boundary", ability));
            }
        };
        let shape = tensor.dims().iter().map(|&d| d as i64).collect();
        let strides = tensor.stride().iter().map(|&s| s as i64).collect();
        Ok((Self { shape, strides, dtype }, data.cast_mut()))
    }

    fn describe(&mut self, data: *mut c_void) -> DlTensor {
        DlTensor {
            data,
            device: DlDevice::CPU,
            ndim: self.shape.len() as i32,
            dtype: self.dtype,
            shape: self.shape.as_mut_ptr(),
            strides: self.strides.as_mut_ptr(),
            byte_offset: 0,
        }
    }
}

fn dtype(dl: DlDataType) -> Result<DType> {
    Ok(match dl {
        DlDataType::F32 => DType::F32,
        DlDataType::F64 => DType::F64,
        DlDataType::F16 => DType::F16,
        DlDataType::BF16 => DType::BF16,
        DlDataType::U8 => DType::U8,
        DlDataType::U32 => DType::U32,
        DlDataType::I64 => DType::I64,
        DlDataType { code, bits, lanes } => {
            return Err(fault(format!("unknown element type (code {code}, {bits} bits, {lanes} lanes)")));
        }
    })
}

/// # Safety
/// Non-NULL pointers of `dl` point to as much memory as its shape and strides say.
unsafe fn import(dl: &DlTensor) -> Result<Tensor> {
    match dl.device.ty {
        device::CPU => {}
        device::CUDA => return Err(elsewhere("CUDA", dl.device.id)),
        device::METAL => return Err(elsewhere("Metal", dl.device.id)),
        ty => return Err(elsewhere(&format!("DLPack type {ty}"), dl.device.id)),
    }
    let dtype = dtype(dl.dtype)?;
    let rank = usize::try_from(dl.ndim).map_err(|_| fault(format!("{} dimensions", dl.ndim)))?;
    if rank > 0 && dl.shape.is_null() {
        return Err(fault("the pointer to the shape is NULL"));
    }
    // SAFETY: not NULL, and the caller vouches for `rank` sizes there.
    let sizes = if rank == 0 { &[][..] } else { unsafe { std::slice::from_raw_parts(dl.shape, rank) } };
    let Ok(shape) = sizes.iter().map(|&d| usize::try_from(d)).collect::<Result<Vec<_>, _>>() else {
        return Err(fault(format!("negative size in shape {sizes:?}")));
    };
    let too_large = || fault(format!("shape {sizes:?} is larger than the address space"));
    let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).ok_or_else(too_large)?;
    let element = dtype.size_in_bytes();
    count.checked_mul(element).filter(|&n| isize::try_from(n).is_ok()).ok_or_else(too_large)?;
    if count > 0 && dl.data.is_null() {
        return Err(fault("the data pointer is NULL"));
    }
    let strides = if rank == 0 || dl.strides.is_null() {
        row_major(&shape)
    } else {
        // SAFETY: not NULL, and the caller vouches for `rank` steps there.
        unsafe { std::slice::from_raw_parts(dl.strides, rank) }.to_vec()
    };
    let reach = shape.iter().zip(&strides).try_fold(0_i64, |sum, (&d, &s)| {
        sum.checked_add(s.checked_abs()?.checked_mul(d.saturating_sub(1) as i64)?)
    });
    if reach.and_then(|r| r.checked_mul(element as i64)).is_none() {
        return Err(fault(format!("strides {strides:?} reach beyond the address space")));
    }
    // SAFETY: the caller vouches for everything within shape, strides and offset; they were checked not to
    // wrap around.
    unsafe {
        let base = dl.data.cast::<u8>().cast_const().wrapping_add(dl.byte_offset as usize);
        match dtype {
            DType::F32 => gather::<f32>(base, &shape, &strides, count),
            DType::F64 => gather::<f64>(base, &shape, &strides, count),
            DType::F16 => gather::<f16>(base, &shape, &strides, count),
            DType::BF16 => gather::<bf16>(base, &shape, &strides, count),
            DType::U8 => gather::<u8>(base, &shape, &strides, count),
            DType::U32 => gather::<u32>(base, &shape, &strides, count),
            _ => gather::<i64>(base, &shape, &strides, count),
        }
    }
}

fn elsewhere(what: &str, id: i32) -> Error {
    Error::Device(format!("a tensor in {what} memory (device {id}) arrived; only host memory can be read"))
}

fn row_major(shape: &[usize]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1) as i64;
    }
    strides
}

/// Copies strided memory, in runs as long as the strides allow. Alignment does not matter.
///
/// # Safety
/// `base`, `shape` and `strides` describe readable elements of type `T`; `count` is the product of `shape`.
unsafe fn gather<T: WithDType>(
    base: *const u8,
    shape: &[usize],
    strides: &[i64],
    count: usize,
) -> Result<Tensor> {
    let mut data: Vec<T> = Vec::new();
    if data.try_reserve_exact(count).is_err() {
        let bytes = count * size_of::<T>();
        return Err(Error::Device(format!("out of host memory: no {bytes} bytes for a tensor {shape:?}")));
    }
    // Trailing axes that are row-major without gaps form one run.
    let compact = row_major(shape);
    let outer =
        (0..shape.len()).rev().find(|&a| shape[a] > 1 && strides[a] != compact[a]).map_or(0, |a| a + 1);
    let run: usize = shape[outer..].iter().product();
    let mut index = vec![0_usize; outer];
    let runs = if count == 0 { 0 } else { count / run };
    for r in 0..runs {
        let offset: i64 = index.iter().zip(strides).map(|(&i, &s)| i as i64 * s).sum();
        // SAFETY: within the described memory by the caller's word; the vector has room for `count` elements,
        // of which `r · run` are filled. Bytes are copied, so alignment does not matter.
        unsafe {
            let from = base.offset(offset as isize * size_of::<T>() as isize);
            std::ptr::copy_nonoverlapping(from, data.as_mut_ptr().add(r * run).cast(), run * size_of::<T>());
        }
        for axis in (0..outer).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    // SAFETY: `count` elements were copied.
    unsafe { data.set_len(count) };
    Ok(Tensor::from_vec(data, shape, &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(tensor: &Tensor) {
        let owned = export(tensor).unwrap();
        let back = import_owned(&owned).unwrap();
        let mut lent = Lent::new(tensor).unwrap();
        let seen = import_view(&lent.view()).unwrap();
        for other in [back, seen] {
            assert_eq!((other.dims(), other.dtype()), (tensor.dims(), tensor.dtype()));
            let flat =
                |t: &Tensor| t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(flat(&other), flat(tensor));
        }
    }

    #[test]
    fn every_layout_survives() {
        let t = Tensor::arange(0_f32, 60.0, &Device::Cpu).unwrap().reshape((3, 4, 5)).unwrap();
        round(&t);
        round(&t.transpose(0, 2).unwrap());
        round(&t.transpose(1, 2).unwrap());
        round(&t.narrow(1, 1, 2).unwrap());
        round(&t.narrow(2, 3, 2).unwrap().transpose(0, 1).unwrap());
        round(&t.narrow(0, 2, 1).unwrap());
        round(&t.narrow(0, 0, 0).unwrap());
        round(&Tensor::new(2.5_f32, &Device::Cpu).unwrap());
        round(&Tensor::new(&[1_f32, 2.0], &Device::Cpu).unwrap().broadcast_as((3, 2)).unwrap());
    }

    #[test]
    fn every_element_type_survives() {
        let t = Tensor::new(&[0_f32, 1.0, 2.5, 200.0], &Device::Cpu).unwrap();
        for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16, DType::U8, DType::U32, DType::I64] {
            round(&t.to_dtype(dtype).unwrap());
        }
    }

    #[test]
    fn a_result_outlives_the_tensor_and_its_thread() {
        let t = Tensor::arange(0_u32, 7, &Device::Cpu).unwrap();
        let owned = export(&t).unwrap();
        drop(t);
        let back = std::thread::spawn(move || import_owned(&owned).unwrap()).join().unwrap();
        assert_eq!(back.to_vec1::<u32>().unwrap(), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn an_exported_variable_is_a_snapshot() {
        let var =
            candle_core::Var::from_tensor(&Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap()).unwrap();
        let owned = export(var.as_tensor()).unwrap();
        var.set(&Tensor::ones(3, DType::F32, &Device::Cpu).unwrap()).unwrap();
        assert_eq!(import_owned(&owned).unwrap().to_vec1::<f32>().unwrap(), [0.0; 3]);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let data = [0_f32; 6];
        let good_shape = [2_i64, 3];
        let message = |change: fn(&mut DlTensor), mut shape: [i64; 2], mut strides: [i64; 2]| {
            let mut dl = DlTensor {
                data: data.as_ptr().cast_mut().cast(),
                device: DlDevice::CPU,
                ndim: 2,
                dtype: DlDataType::F32,
                shape: shape.as_mut_ptr(),
                strides: strides.as_mut_ptr(),
                byte_offset: 0,
            };
            change(&mut dl);
            // SAFETY: the memory is as described, or the description is refused before it is read.
            unsafe { import(&dl) }.map(|_| ()).unwrap_err().to_string()
        };
        let all = [
            (message(|d| d.data = std::ptr::null_mut(), good_shape, [3, 1]), "data pointer is NULL"),
            (message(|d| d.shape = std::ptr::null_mut(), good_shape, [3, 1]), "shape is NULL"),
            (message(|_| (), [-2, 3], [3, 1]), "negative size in shape [-2, 3]"),
            (message(|d| d.ndim = -1, good_shape, [3, 1]), "-1 dimensions"),
            (message(|d| d.dtype.lanes = 4, good_shape, [3, 1]), "code 2, 32 bits, 4 lanes"),
            (message(|d| d.device.ty = device::CUDA, good_shape, [3, 1]), "CUDA memory (device 0)"),
            (message(|_| (), [i64::MAX, 3], [3, 1]), "larger than the address space"),
            (message(|_| (), good_shape, [i64::MAX, 1]), "reach beyond the address space"),
        ];
        for (message, part) in all {
            assert!(message.contains(part), "{message:?} should contain {part:?}");
        }
    }
}
