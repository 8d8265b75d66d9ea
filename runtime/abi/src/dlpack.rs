//! Tensors as DLPack 1.x describes them (`include/dlpack/dlpack.h` of dmlc/dlpack): a borrowed [`View`] for the
//! inputs of one call, an [`Owned`] tensor with its deleter for results.

use std::ffi::c_void;
use std::marker::PhantomData;

use abi_stable::StableAbi;

/// Device types of `DLDeviceType`.
pub mod device {
    /// Host memory.
    pub const CPU: i32 = 1;
    /// CUDA memory; the id is the driver's ordinal.
    pub const CUDA: i32 = 2;
    /// Metal buffers.
    pub const METAL: i32 = 8;
}

/// Bits of [`DlManaged::flags`].
pub mod flags {
    /// The consumer must not write.
    pub const READ_ONLY: u64 = 1;
    /// The consumer is the only owner.
    pub const IS_COPIED: u64 = 2;
}

/// `DLDevice`.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy, PartialEq, Eq)]
pub struct DlDevice {
    /// One of [`device`].
    pub ty: i32,
    /// Ordinal.
    pub id: i32,
}

impl DlDevice {
    /// Host memory.
    pub const CPU: Self = Self { ty: device::CPU, id: 0 };
}

/// `DLDataType`.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy, PartialEq, Eq)]
pub struct DlDataType {
    /// 0 signed, 1 unsigned, 2 float, 4 bfloat.
    pub code: u8,
    /// Bits of one lane.
    pub bits: u8,
    /// Lanes; 1 for everything that crosses here.
    pub lanes: u16,
}

impl DlDataType {
    /// IEEE single.
    pub const F32: Self = Self::new(2, 32);
    /// IEEE double.
    pub const F64: Self = Self::new(2, 64);
    /// IEEE half.
    pub const F16: Self = Self::new(2, 16);
    /// bfloat16.
    pub const BF16: Self = Self::new(4, 16);
    /// Unsigned byte.
    pub const U8: Self = Self::new(1, 8);
    /// Unsigned, 32 bits.
    pub const U32: Self = Self::new(1, 32);
    /// Signed, 64 bits.
    pub const I64: Self = Self::new(0, 64);

    const fn new(code: u8, bits: u8) -> Self {
        Self { code, bits, lanes: 1 }
    }
}

/// `DLPackVersion`.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy, PartialEq, Eq)]
pub struct DlVersion {
    /// Changes with the layout of the structs.
    pub major: u32,
    /// Changes with new constants.
    pub minor: u32,
}

impl DlVersion {
    /// What this crate speaks.
    pub const CURRENT: Self = Self { major: 1, minor: 1 };
}

/// `DLTensor`: a description of memory that somebody else keeps.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, Copy)]
pub struct DlTensor {
    /// Start of the allocation.
    pub data: *mut c_void,
    /// Where `data` points to.
    pub device: DlDevice,
    /// Number of dimensions.
    pub ndim: i32,
    /// Element type.
    pub dtype: DlDataType,
    /// `ndim` sizes.
    pub shape: *mut i64,
    /// `ndim` steps in elements; NULL for row-major without gaps.
    pub strides: *mut i64,
    /// Bytes from `data` to the first element.
    pub byte_offset: u64,
}

/// `DLManagedTensorVersioned`: a tensor that is handed over.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct DlManaged {
    /// Checked before any other field but the deleter.
    pub version: DlVersion,
    /// Belongs to the producer.
    pub manager_ctx: *mut c_void,
    /// Frees everything; to be called exactly once, from any thread, with the pointer to this struct. May be
    /// NULL. Must not unwind.
    pub deleter: Option<unsafe extern "C" fn(*mut DlManaged)>,
    /// See [`flags`].
    pub flags: u64,
    /// The tensor.
    pub dl: DlTensor,
}

/// A [`DlManaged`] that is ours to free: dropping it calls the deleter, once.
#[repr(transparent)]
#[derive(StableAbi, Debug)]
pub struct Owned(*mut DlManaged);

// SAFETY: DLPack demands that the deleter may be called from any thread, and between creation and deletion the
// struct is only read.
unsafe impl Send for Owned {}
// SAFETY: shared access only reads plain data.
unsafe impl Sync for Owned {}

impl Owned {
    /// Takes over a managed tensor.
    ///
    /// # Safety
    /// `raw` is NULL, or points to a valid `DlManaged` of the current major version that nobody else will free
    /// and whose pointers stay valid until its deleter runs.
    pub unsafe fn from_raw(raw: *mut DlManaged) -> Self {
        Self(raw)
    }

    /// The managed tensor; `None` when the producer handed over NULL.
    pub fn managed(&self) -> Option<&DlManaged> {
        // SAFETY: by the contract of `from_raw`, valid until our Drop.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(delete) = self.managed().and_then(|m| m.deleter) {
            // SAFETY: by the contract of `from_raw` this is the one and only call.
            unsafe { delete(self.0) }
        }
    }
}

/// A tensor that is lent for one call.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct View<'a> {
    dl: DlTensor,
    lent: PhantomData<&'a ()>,
}

impl View<'_> {
    /// Lends the memory that `dl` describes.
    ///
    /// # Safety
    /// All memory that `dl` describes stays valid and unwritten for the lifetime of the view.
    pub unsafe fn from_raw(dl: DlTensor) -> Self {
        Self { dl, lent: PhantomData }
    }

    /// The description.
    pub fn tensor(&self) -> &DlTensor {
        &self.dl
    }
}
