//! PyTorch's zip pickles: `.bin`, `.pth`, `.pt`, `.pth.tar`.
//!
//! The archive's `data.pkl` is interpreted by candle's pickle machine, which builds plain values and executes
//! nothing; the storages beside it are stored uncompressed and are read in place. Which of the nested
//! dictionaries holds the tensors is found here, and so are views: parameters that share a storage, start in the
//! middle of it or are transposed.

use std::collections::BTreeMap;
use std::io::{BufReader, Cursor, Read};
use std::ops::Range;
use std::path::Path;

use candle_core::pickle::{Object, Stack};
use candle_core::{DType, Device, Tensor};
use zip::{CompressionMethod, ZipArchive};

use super::mapped::Mapped;
use crate::Result;

/// Keys under which training scripts put the weights, best first.
const NESTS: [&str; 8] =
    ["state_dict", "model", "encoder", "model_state_dict", "module", "model_ema", "teacher", "student"];

/// Longest `data.pkl` that is read; real ones have some hundred kilobytes.
const LONGEST_PICKLE: u64 = 256 << 20;

struct Entry {
    /// `None` for an element type that is not read; the tensor may still be one that nobody wants.
    dtype: Option<DType>,
    class: String,
    shape: Vec<usize>,
    stride: Vec<usize>,
    /// In elements.
    offset: usize,
    /// Name of the storage's file in the archive.
    storage: String,
}

/// A mapped archive with an interpreted `data.pkl`.
pub(super) struct TorchZip {
    file: Mapped,
    entries: BTreeMap<String, Entry>,
    storages: BTreeMap<String, Range<usize>>,
}

impl TorchZip {
    pub(super) fn parse(file: Mapped) -> Result<Self> {
        let broken = |e: zip::result::ZipError| {
            file.fault(format!("no readable zip archive ({e}); if it was downloaded, download it again"))
        };
        let mut archive = ZipArchive::new(Cursor::new(file.bytes())).map_err(broken)?;
        let mut storages = BTreeMap::new();
        let mut pickle = None;
        for i in 0..archive.len() {
            let entry = archive.by_index(i).map_err(broken)?;
            let name = entry.name().map_err(broken)?.into_owned();
            if entry.compression() != CompressionMethod::Stored {
                return Err(file.fault("a compressed archive, which torch.save never writes"));
            }
            if entry.size() > LONGEST_PICKLE && name.ends_with("data.pkl") {
                return Err(file.fault("its data.pkl is absurdly long"));
            }
            let start = entry.data_start().unwrap_or(0) as usize;
            let range = start..start.saturating_add(entry.size() as usize);
            let bytes = file
                .bytes()
                .get(range.clone())
                .ok_or_else(|| file.fault(format!("`{name}` lies outside the file; download it again")))?;
            if name.ends_with("/byteorder") && bytes != b"little" {
                return Err(file.fault("written on a big-endian machine, which is not read"));
            }
            if let Some(root) = name.strip_suffix("data.pkl") {
                pickle = Some((format!("{root}data/"), range.clone()));
            }
            storages.insert(name, range);
        }
        let Some((root, range)) = pickle else {
            return Err(file.fault("a zip archive, but not one of PyTorch: there is no data.pkl in it"));
        };
        let object = interpret(&file.bytes()[range])
            .map_err(|e| file.fault(format!("its data.pkl cannot be read: {e}")))?;
        let mut entries = BTreeMap::new();
        for (key, value) in state_dict(object).map_err(|message| file.fault(message))? {
            if let (Object::Unicode(key), Some(entry)) = (key, tensor(value, &root)) {
                entries.insert(key, entry);
            }
        }
        Ok(Self { file, entries, storages })
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    pub(super) fn shape(&self, key: &str) -> Option<&[usize]> {
        self.entries.get(key).map(|e| e.shape.as_slice())
    }

    pub(super) fn load(&self, key: &str) -> Result<Tensor> {
        let entry =
            self.entries.get(key).ok_or_else(|| self.file.fault(format!("there is no tensor `{key}`")))?;
        let dtype = entry.dtype.ok_or_else(|| {
            self.file.fault(format!("tensor `{key}` has storage type {}, which is not read", entry.class))
        })?;
        let storage = self
            .storages
            .get(&entry.storage)
            .and_then(|range| self.file.bytes().get(range.clone()))
            .ok_or_else(|| self.file.fault(format!("the data of tensor `{key}` are not in the archive")))?;
        let bytes = entry.gather(storage, dtype.size_in_bytes()).ok_or_else(|| {
            self.file.fault(format!("tensor `{key}` reaches beyond its data; download the file again"))
        })?;
        let tensor = Tensor::from_raw_buffer(&bytes, dtype, &entry.shape, &Device::Cpu)?;
        self.file.release(self.storages.get(&entry.storage).cloned().unwrap_or_default());
        Ok(tensor)
    }

    /// Where a tensor's numbers stand, if they do so without gaps.
    pub(super) fn place(&self, key: &str) -> Option<(DType, Range<usize>)> {
        let entry = self.entries.get(key)?;
        let dtype = entry.dtype?;
        let storage = self.storages.get(&entry.storage)?;
        let bytes = self.file.bytes().get(storage.clone())?;
        let range = entry.dense(dtype.size_in_bytes())?;
        bytes.get(range.clone()).map(|_| (dtype, storage.start + range.start..storage.start + range.end))
    }

    pub(super) fn mapped(&self) -> &Mapped {
        &self.file
    }
}

impl Entry {
    /// The bytes of the storage that hold this view, when it is row-major without gaps.
    fn dense(&self, size: usize) -> Option<Range<usize>> {
        let count = self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        let dense =
            self.shape.iter().zip(&self.stride).rev().try_fold(1usize, |expected, (&dim, &stride)| {
                (dim == 1 || stride == expected).then(|| expected.checked_mul(dim)).flatten()
            });
        let start = self.offset.checked_mul(size)?;
        let end = start.checked_add(count.checked_mul(size)?)?;
        (count == 0 || dense.is_some()).then_some(start..end)
    }

    /// The elements of this view of `storage` in row-major order; `None` when it reaches beyond the storage.
    fn gather<'a>(&self, storage: &'a [u8], size: usize) -> Option<std::borrow::Cow<'a, [u8]>> {
        if let Some(range) = self.dense(size) {
            return storage.get(range).map(std::borrow::Cow::Borrowed);
        }
        let count = self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        let start = self.offset.checked_mul(size)?;
        let span = self
            .shape
            .iter()
            .zip(&self.stride)
            .try_fold(0usize, |last, (&dim, &stride)| last.checked_add((dim - 1).checked_mul(stride)?))?;
        storage.get(start..start.checked_add(span.checked_add(1)?.checked_mul(size)?)?)?;
        // A view may be larger than its storage (stride 0), so the storage's size is no bound for it.
        let mut out = Vec::new();
        out.try_reserve_exact(count.checked_mul(size)?).ok()?;
        let mut index = vec![0usize; self.shape.len()];
        for _ in 0..count {
            let at: usize = index.iter().zip(&self.stride).map(|(i, stride)| i * stride).sum();
            out.extend_from_slice(&storage[start + at * size..start + (at + 1) * size]);
            for (i, &dim) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < dim {
                    break;
                }
                *i = 0;
            }
        }
        Some(std::borrow::Cow::Owned(out))
    }
}

fn interpret(pickle: &[u8]) -> candle_core::Result<Object> {
    let mut stack = Stack::empty();
    stack.read_loop(&mut BufReader::new(pickle.take(LONGEST_PICKLE)))?;
    stack.finalize()
}

type Pairs = Vec<(Object, Object)>;

/// The dictionary of tensors within whatever was saved.
fn state_dict(object: Object) -> std::result::Result<Pairs, String> {
    let Object::Dict(mut pairs) = strip_module(object) else {
        return Err("what was saved is not a dictionary of tensors".to_owned());
    };
    let holds_tensors = |pairs: &Pairs| pairs.iter().any(|(_, value)| is_tensor(value));
    for name in NESTS {
        let nested = pairs.iter().position(|(key, value)| {
            matches!(key, Object::Unicode(k) if k == name)
                && matches!(value, Object::Dict(inner) if holds_tensors(inner))
        });
        if let Some((_, Object::Dict(inner))) = nested.map(|i| pairs.swap_remove(i)) {
            return Ok(inner);
        }
    }
    if holds_tensors(&pairs) {
        return Ok(pairs);
    }
    let names: Vec<String> = pairs
        .iter()
        .filter_map(|(key, _)| match key {
            Object::Unicode(k) => Some(format!("`{k}`")),
            _ => None,
        })
        .take(8)
        .collect();
    Err(format!(
        "no tensors found: looked at the top and under {}; the file has {}",
        NESTS.join(", "),
        if names.is_empty() { "no names".to_owned() } else { names.join(", ") }
    ))
}

/// TorchScript archives wrap the dictionary in a module object.
fn strip_module(object: Object) -> Object {
    match object {
        Object::Build { callable, args } => match *callable {
            Object::Reduce { .. } => *args,
            other => Object::Build { callable: Box::new(other), args },
        },
        other => other,
    }
}

fn is_tensor(value: &Object) -> bool {
    matches!(value, Object::Reduce { callable, .. }
        if matches!(&**callable, Object::Class { module_name, class_name }
            if (module_name == "torch._utils" || module_name == "torch._tensor") && class_name.starts_with("_rebuild")))
}

/// The tensor that a value rebuilds, if it is one.
fn tensor(value: Object, root: &str) -> Option<Entry> {
    let Object::Reduce { callable, args } = value else { return None };
    let (_, class) = callable.class().ok()?;
    let mut args = args.tuple().ok()?.into_iter();
    match class.as_str() {
        "_rebuild_tensor_v2" => {}
        "_rebuild_parameter" | "_rebuild_parameter_with_state" => return tensor(args.next()?, root),
        "_rebuild_from_type_v2" => {
            let (function, args) = (args.next()?, args.nth(1)?);
            return tensor(Object::Reduce { callable: Box::new(function), args: Box::new(args) }, root);
        }
        _ => return None,
    }
    // storage, offset, size, stride, …
    let mut storage = args.next()?.persistent_load().ok()?.tuple().ok()?.into_iter().skip(1);
    let offset = usize::try_from(args.next()?.int_or_long().ok()?).ok()?;
    let (shape, stride) = (sizes(args.next()?)?, sizes(args.next()?)?);
    // "storage", class, key, …
    let (_, class) = storage.next()?.class().ok()?;
    let key = storage.next()?.unicode().ok()?;
    let dtype = match class.as_str() {
        "FloatStorage" => Some(DType::F32),
        "DoubleStorage" => Some(DType::F64),
        "HalfStorage" => Some(DType::F16),
        "BFloat16Storage" => Some(DType::BF16),
        "ByteStorage" => Some(DType::U8),
        "ShortStorage" => Some(DType::I16),
        "IntStorage" => Some(DType::I32),
        "LongStorage" => Some(DType::I64),
        _ => None,
    };
    (shape.len() == stride.len()).then(|| Entry {
        dtype,
        class,
        shape,
        stride,
        offset,
        storage: format!("{root}{key}"),
    })
}

fn sizes(object: Object) -> Option<Vec<usize>> {
    object.tuple().ok()?.into_iter().map(|o| usize::try_from(o.int_or_long().ok()?).ok()).collect()
}
