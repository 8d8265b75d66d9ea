//! How the numbers of a tensor are stored.

use candle_core::DType;
use candle_core::quantized::GgmlDType;

use crate::Quantisation;

/// `ggml_type`: a number format or a block format, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorKind(pub(super) u32);

/// Number, name, weights and bytes of a block, of every format that is read.
const KINDS: [(u32, &str, usize, usize); 14] = [
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (30, "BF16", 1, 2),
];

impl TensorKind {
    /// Single precision.
    pub const F32: Self = Self(0);

    /// The upper half of single precision.
    pub const BF16: Self = Self(30);
    /// Half precision.
    pub const F16: Self = Self(1);

    /// Its name, as GGML has it.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|kind| kind.0 == self.0).map_or("unknown", |kind| kind.1)
    }

    /// Bytes of a tensor of this shape, or what is wrong with it.
    pub fn bytes(self, shape: &[usize]) -> Result<usize, String> {
        let known = KINDS.iter().find(|kind| kind.0 == self.0);
        let &(_, name, length, bytes) = known.ok_or_else(|| {
            let names: Vec<_> = KINDS.iter().map(|kind| kind.1).collect();
            format!("is of type {}, which is not read; known: {}", self.0, names.join(", "))
        })?;
        let row = shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(length) {
            return Err(format!("is {shape:?} in {name}: rows are not whole blocks of {length}"));
        }
        // Strides are products of some of the axes: an axis of nothing must not hide that the others are too large.
        let product =
            |least: usize| shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n.max(least)));
        let count = product(1).and_then(|_| product(0));
        let size = count.and_then(|count| (count / length).checked_mul(bytes));
        size.ok_or_else(|| format!("is absurdly large: {shape:?}"))
    }

    /// The plain number format.
    pub(super) fn dtype(self) -> Option<DType> {
        match self.0 {
            0 => Some(DType::F32),
            1 => Some(DType::F16),
            30 => Some(DType::BF16),
            _ => None,
        }
    }

    /// The block format, where there are products with it.
    pub(super) fn quantisation(self) -> Option<Quantisation> {
        Quantisation::ALL.into_iter().find(|&q| Self::from(q) == self)
    }

    /// For the formats that are only decoded.
    pub(super) fn candle(self) -> Result<GgmlDType, String> {
        Ok(match self.0 {
            2 => GgmlDType::Q4_0,
            3 => GgmlDType::Q4_1,
            6 => GgmlDType::Q5_0,
            7 => GgmlDType::Q5_1,
            10 => GgmlDType::Q2K,
            11 => GgmlDType::Q3K,
            13 => GgmlDType::Q5K,
            15 => GgmlDType::Q8K,
            other => return Err(format!("is of type {other}, which is not read")),
        })
    }
}

impl From<Quantisation> for TensorKind {
    fn from(format: Quantisation) -> Self {
        Self(match format {
            Quantisation::Q8_0 => 8,
            Quantisation::Q6K => 14,
            Quantisation::Q4K => 12,
        })
    }
}
