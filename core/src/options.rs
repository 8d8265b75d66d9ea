//! Options of a call: what else than pixels decides what an encoder sees, such as the time step of a diffusion model and
//! its noise.
//!
//! **The one decision.** An encoder's descriptor lists them, with types, defaults and limits, and whoever asks may set
//! some by name. What is not listed is refused before the encoder is asked, and a default is always the same: nothing is
//! random because nobody spoke.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use zoo_core::{CallOptions, Extent, OptionInfo, OptionKind};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let listed = [
//!     OptionInfo::integer("step", "time step", 250, 0..=999),
//!     OptionInfo::tensor("noise", "normal numbers", &[Extent::Batch, Extent::Is(4), Extent::Height(8), Extent::Width(8)]),
//! ];
//! let mut options = CallOptions::default();
//! options.set("step", "100");
//! options.check("sd", &listed, [2, 64, 96])?;
//! assert_eq!(options.integer(&listed[0])?, 100);
//! options.put("noise", Tensor::zeros((2, 4, 8, 13), DType::F32, &Device::Cpu)?);
//! let message = options.check("sd", &listed, [2, 64, 96]).unwrap_err().to_string();
//! assert_eq!(message, "sd: option `noise` is [2, 4, 8, 13], and of these pixels must be [2, 4, 8, 12]");
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::descriptor::EncoderDescriptor;
use crate::{Error, Result};

/// An option that an encoder has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptionInfo {
    /// Its name, `[a-z0-9_]+`.
    pub name: String,
    /// What it is, in a few words.
    pub about: String,
    /// What it may be.
    #[serde(flatten)]
    pub kind: OptionKind,
}

/// What an option may be, and what it is when nobody sets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OptionKind {
    /// A whole number within limits.
    Integer {
        /// When nobody says otherwise.
        default: i64,
        /// The smallest.
        least: i64,
        /// The largest.
        most: i64,
    },
    /// One of these words.
    Choice {
        /// When nobody says otherwise.
        default: String,
        /// All of them.
        among: Vec<String>,
    },
    /// An f32 tensor, of which rows belong to images. When nobody gives one, the encoder makes one from a fixed seed.
    Tensor {
        /// One entry for each axis.
        shape: Vec<Extent>,
    },
}

/// The length of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// One for each image.
    Batch,
    /// This many.
    Is(usize),
    /// The pixels' height divided by this, remainders left out.
    Height(usize),
    /// The pixels' width divided by this, remainders left out.
    Width(usize),
}

impl Extent {
    /// For `[batch, height, width]`.
    pub fn of(self, [batch, height, width]: [usize; 3]) -> usize {
        match self {
            Self::Batch => batch,
            Self::Is(length) => length,
            Self::Height(cell) => height.checked_div(cell).unwrap_or(0),
            Self::Width(cell) => width.checked_div(cell).unwrap_or(0),
        }
    }
}

impl OptionInfo {
    /// A whole number.
    pub fn integer(name: &str, about: &str, default: i64, range: RangeInclusive<i64>) -> Self {
        let kind = OptionKind::Integer { default, least: *range.start(), most: *range.end() };
        Self { name: name.to_owned(), about: about.to_owned(), kind }
    }

    /// A tensor.
    pub fn tensor(name: &str, about: &str, shape: &[Extent]) -> Self {
        let kind = OptionKind::Tensor { shape: shape.to_vec() };
        Self { name: name.to_owned(), about: about.to_owned(), kind }
    }

    /// What cannot be true of it.
    pub(crate) fn fault(&self) -> Option<String> {
        let name = &self.name;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            return Some(format!("option `{name}` has a name that is not [a-z0-9_]+"));
        }
        match &self.kind {
            OptionKind::Integer { default, least, most } if !(least..=most).contains(&default) => {
                Some(format!("option `{name}` is {default} by default, which is not in {least}..={most}"))
            }
            OptionKind::Choice { default, among } if !among.contains(default) => Some(format!(
                "option `{name}` is `{default}` by default, which is none of {}",
                among.join(", ")
            )),
            OptionKind::Tensor { shape } if shape.first() != Some(&Extent::Batch) => {
                Some(format!("option `{name}` is a tensor without a row for each image"))
            }
            _ => None,
        }
    }
}

/// Options that somebody set. Those that nobody sets have their defaults.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    values: BTreeMap<String, Value>,
    tensors: BTreeMap<String, Tensor>,
}

impl CallOptions {
    /// Sets an option to what is written: a number, or a word.
    pub fn set(&mut self, name: &str, text: &str) {
        let value = text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from);
        self.values.insert(name.to_owned(), value);
    }

    /// Sets an option to a tensor, a row for each image.
    pub fn put(&mut self, name: &str, tensor: Tensor) {
        self.tensors.insert(name.to_owned(), tensor);
    }

    /// These, and those of `other` in the place of them.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        self.values.extend(other.values.clone());
        self.tensors.extend(other.tensors.clone());
        self
    }

    /// Numbers and words.
    pub fn values(&self) -> &BTreeMap<String, Value> {
        &self.values
    }

    /// Tensors.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// From numbers and words, and tensors.
    pub fn new(values: BTreeMap<String, Value>, tensors: BTreeMap<String, Tensor>) -> Self {
        Self { values, tensors }
    }

    /// The same on a device.
    ///
    /// # Errors
    /// [`Error::Tensor`] when copying failed.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        let moved = |(name, tensor): (&String, &Tensor)| Ok((name.clone(), tensor.to_device(device)?));
        Ok(Self {
            values: self.values.clone(),
            tensors: self.tensors.iter().map(moved).collect::<Result<_>>()?,
        })
    }

    /// The same for images `first..first + count` of the batch.
    ///
    /// # Errors
    /// [`Error::Tensor`] when a tensor has fewer rows.
    pub fn rows(&self, first: usize, count: usize) -> Result<Self> {
        let rows = |(name, tensor): (&String, &Tensor)| Ok((name.clone(), tensor.narrow(0, first, count)?));
        Ok(Self {
            values: self.values.clone(),
            tensors: self.tensors.iter().map(rows).collect::<Result<_>>()?,
        })
    }

    /// Whether the encoder `id` has these options, and what they are set to is possible for pixels of
    /// `[batch, height, width]`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the option and what it may be.
    pub fn check(&self, id: &str, listed: &[OptionInfo], pixels: [usize; 3]) -> Result<()> {
        for name in self.values.keys().chain(self.tensors.keys()) {
            let info = find(id, listed, name)?;
            let given = (self.values.get(name), self.tensors.get(name));
            match (&info.kind, given) {
                (OptionKind::Integer { .. }, (Some(_), None)) => drop(self.integer(info)?),
                (OptionKind::Choice { .. }, (Some(_), None)) => drop(self.choice(info)?),
                (OptionKind::Tensor { shape }, (None, Some(tensor))) => {
                    let wanted: Vec<usize> = shape.iter().map(|extent| extent.of(pixels)).collect();
                    if tensor.dims() != wanted {
                        return Err(Error::invalid(format!(
                            "{id}: option `{name}` is {:?}, and of these pixels must be {wanted:?}",
                            tensor.dims()
                        )));
                    }
                }
                (OptionKind::Tensor { .. }, _) => {
                    return Err(Error::invalid(format!(
                        "{id}: option `{name}` is a tensor: it stands beside `pixels` in a .safetensors file"
                    )));
                }
                (_, (_, Some(_))) => {
                    return Err(Error::invalid(format!("{id}: option `{name}` is no tensor")));
                }
                (_, (None, None)) => {}
            }
        }
        Ok(())
    }

    /// [`CallOptions::check`] for an encoder and its pixels `[B, 3, H, W]`.
    ///
    /// # Errors
    /// As [`CallOptions::check`]; [`Error::InvalidInput`] for pixels of another shape.
    pub fn check_on(&self, said: &EncoderDescriptor, pixels: &Tensor) -> Result<()> {
        match *pixels.dims() {
            [batch, 3, height, width] => self.check(&said.id, &said.options, [batch, height, width]),
            ref dims => {
                Err(Error::invalid(format!("{}: pixels must be [B, 3, H, W], got {dims:?}", said.id)))
            }
        }
    }

    /// Its value, or its default.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what it cannot be.
    pub fn integer(&self, info: &OptionInfo) -> Result<i64> {
        let OptionKind::Integer { default, least, most } = &info.kind else {
            return Err(Error::Internal(format!("option `{}` is no whole number", info.name)));
        };
        let Some(value) = self.values.get(&info.name) else { return Ok(*default) };
        value.as_i64().filter(|number| (least..=most).contains(&number)).ok_or_else(|| {
            Error::invalid(format!(
                "option `{}` ({}) is a whole number in {least}..={most}, not {value}",
                info.name, info.about
            ))
        })
    }

    /// Its value, or its default.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what it cannot be.
    pub fn choice<'a>(&'a self, info: &'a OptionInfo) -> Result<&'a str> {
        let OptionKind::Choice { default, among } = &info.kind else {
            return Err(Error::Internal(format!("option `{}` is no choice", info.name)));
        };
        let Some(value) = self.values.get(&info.name) else { return Ok(default) };
        value.as_str().filter(|word| among.iter().any(|other| other == word)).ok_or_else(|| {
            Error::invalid(format!(
                "option `{}` ({}) is one of {}, not {value}",
                info.name,
                info.about,
                among.join(", ")
            ))
        })
    }

    /// The tensor, where one was given.
    pub fn tensor(&self, info: &OptionInfo) -> Option<&Tensor> {
        self.tensors.get(&info.name)
    }
}

fn find<'a>(id: &str, listed: &'a [OptionInfo], name: &str) -> Result<&'a OptionInfo> {
    listed.iter().find(|info| info.name == name).ok_or_else(|| {
        let known: Vec<&str> = listed.iter().map(|info| info.name.as_str()).collect();
        Error::invalid(match known.as_slice() {
            [] => format!("{id} has no option `{name}`, nor any other"),
            known => format!("{id} has no option `{name}`; it has {}", known.join(", ")),
        })
    })
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;

    fn listed() -> Vec<OptionInfo> {
        let among = ["head".to_owned(), "tail".to_owned()].to_vec();
        let kind = OptionKind::Choice { default: "head".into(), among };
        vec![
            OptionInfo::integer("step", "time step", 250, 0..=999),
            OptionInfo { name: "end".into(), about: "which end".into(), kind },
            OptionInfo::tensor("noise", "numbers", &[Extent::Batch, Extent::Is(4), Extent::Height(8)]),
        ]
    }

    #[track_caller]
    fn refused(set: &[(&str, &str)], part: &str) {
        let mut options = CallOptions::default();
        set.iter().for_each(|(name, text)| options.set(name, text));
        let message = options.check("x", &listed(), [1, 64, 64]).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        refused(&[("stop", "1")], "x has no option `stop`; it has step, end, noise");
        refused(&[("step", "1000")], "`step` (time step) is a whole number in 0..=999, not 1000");
        refused(&[("step", "soon")], "not \"soon\"");
        refused(&[("end", "middle")], "`end` (which end) is one of head, tail, not \"middle\"");
        refused(&[("noise", "0")], "stands beside `pixels`");
        let options = CallOptions::new(BTreeMap::new(), BTreeMap::from([("step".into(), zeros(&[1]))]));
        assert!(options.check("x", &listed(), [1, 64, 64]).unwrap_err().to_string().contains("is no tensor"));
        let none = CallOptions::default();
        assert!(none.check("x", &[], [1, 64, 64]).is_ok());
        assert_eq!((none.integer(&listed()[0]).unwrap(), none.choice(&listed()[1]).unwrap()), (250, "head"));
    }

    fn zeros(shape: &[usize]) -> Tensor {
        Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap()
    }

    #[test]
    fn rows_belong_to_images_and_later_values_count() {
        let mut options = CallOptions::default();
        options.put("noise", zeros(&[3, 4, 8]));
        options.check("x", &listed(), [3, 64, 8]).unwrap();
        assert_eq!(options.rows(1, 2).unwrap().tensors()["noise"].dims(), [2, 4, 8]);
        let mut other = CallOptions::default();
        options.set("step", "1");
        other.set("step", "2");
        assert_eq!(options.with(&other).integer(&listed()[0]).unwrap(), 2);
    }

    #[test]
    fn descriptions_are_plain_data_and_held_against_themselves() {
        let text = serde_json::to_string(&listed()).unwrap();
        assert!(
            text.contains(r#""name":"step","about":"time step","type":"integer","default":250"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Vec<OptionInfo>>(&text).unwrap(), listed());
        assert!(listed().iter().all(|info| info.fault().is_none()));
        for (wrong, part) in [
            (OptionInfo::integer("Step", "", 0, 0..=1), "[a-z0-9_]+"),
            (OptionInfo::integer("step", "", 5, 0..=1), "not in 0..=1"),
            (OptionInfo::tensor("noise", "", &[Extent::Is(1)]), "row for each image"),
        ] {
            assert!(wrong.fault().is_some_and(|fault| fault.contains(part)), "{wrong:?}");
        }
    }
}
