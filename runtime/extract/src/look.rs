//! From decoded pictures to the numbers that are kept: every encoder looks at the same decoded batch.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use image::RgbImage;
use zoo_host::{EyesRequest, Zoo};
use zoo_pipeline::Metadata;
use zoo_pipeline::look::{Encoders, Look, LookError, Rows, Seen, mean, to_unit};
use zoo_pipeline::read::{Batch, Item};
use zoo_preprocess::{DecodeOptions, Decoded, Format};

use crate::error::{Error, Result};

/// What is kept of an encoder's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// One vector a picture, `[C]`: the mean of all patch tokens.
    Mean,
    /// One vector a picture, `[C]`: the first prefix token.
    Cls,
    /// One vector a picture, `[D]`: the one that the network itself makes, as its reference does.
    Embedding,
    /// The map, `[N, C]`, and of an ensemble what its connector makes of it.
    Maps,
}

impl Keep {
    /// As it is recorded.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean of patch tokens",
            Self::Cls => "first prefix token",
            Self::Embedding => "embedding",
            Self::Maps => "maps",
        }
    }
}

/// Encoders that look at the same pictures.
pub struct Lookers<'z> {
    encoders: Vec<Encoders<'z>>,
    keep: Keep,
    unit: bool,
    /// Nanoseconds spent computing.
    busy: AtomicU64,
}

impl<'z> Lookers<'z> {
    /// Opens them; `unit` scales each vector to length 1.
    ///
    /// # Errors
    /// [`Error::Host`]; [`Error::Request`] for two of one name, or [`Keep::Cls`] or [`Keep::Embedding`] of what has
    /// none.
    pub fn open(zoo: &'z Zoo, requests: Vec<EyesRequest>, keep: Keep, unit: bool) -> Result<Self> {
        let mut encoders: Vec<Encoders<'z>> = Vec::new();
        for mut request in requests {
            match &mut request {
                EyesRequest::Encoder(request) => {
                    request.prefix = keep == Keep::Cls;
                    request.vectors = keep == Keep::Embedding;
                }
                EyesRequest::Ensemble(ensemble) if matches!(keep, Keep::Cls | Keep::Embedding) => {
                    let what = if keep == Keep::Cls { "prefix token" } else { "vector of its own" };
                    let message = format!("{}: an ensemble has no {what}; take the mean", ensemble.id);
                    return Err(Error::Request(message));
                }
                EyesRequest::Ensemble(_) => {}
            }
            let opened = Encoders::open(zoo, &request)?;
            if encoders.iter().any(|before| before.eyes().id() == opened.eyes().id()) {
                return Err(Error::Request(format!("`{}` is asked for twice", opened.eyes().id())));
            }
            encoders.push(opened);
        }
        if encoders.is_empty() {
            return Err(Error::Request("give an encoder or an ensemble".into()));
        }
        Ok(Self { encoders, keep, unit, busy: AtomicU64::new(0) })
    }

    /// Everything that decides the numbers.
    pub fn identity(&self) -> Metadata {
        let mut out = Metadata::new();
        for encoders in &self.encoders {
            out.insert(encoders.eyes().id().to_owned(), encoders.identity().clone().into());
        }
        out.insert("kept".into(), self.keep.name().into());
        out.insert("unit length".into(), self.unit.into());
        out
    }

    /// How pictures are decoded for all of them: at a reduced size only as far as the largest can bear.
    pub fn decode_options(&self, options: &DecodeOptions) -> DecodeOptions {
        let each = self.encoders.iter().map(|encoders| encoders.decode_options(options).reduce_for);
        let reduce_for = each.reduce(|a, b| Some(a?.max(b?))).flatten();
        DecodeOptions { reduce_for, ..options.clone() }
    }

    /// Whether any weights were never trained.
    pub fn untrained(&self) -> bool {
        self.encoders.iter().any(|encoders| encoders.eyes().untrained())
    }

    /// Time spent computing so far.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Ordering::Relaxed))
    }

    /// What a picture gives: names and shapes, from a look at a grey one.
    ///
    /// # Errors
    /// [`Error::Request`] for what does not work on any picture.
    pub fn probe(&self) -> Result<Seen> {
        let item =
            Item { input: 0, name: "a grey picture".into(), row: None, size: (64, 64), notes: Vec::new() };
        let grey = RgbImage::from_pixel(64, 64, image::Rgb([128; 3]));
        let batch = Batch::Images(vec![item], vec![Decoded::new(grey, Format::Png)]);
        let seen = self.look(&batch, &|_| {}).map_err(|error| Error::Request(error.to_string()))?;
        if seen.tensors.is_empty() {
            return Err(Error::Request("it has no class token; take the mean, or the maps".into()));
        }
        Ok(seen)
    }

    fn reduce(&self, rows: Rows) -> Option<Rows> {
        let (count, width) = match *rows.shape.as_slice() {
            [count, width] => (count, width),
            [width] => (1, width),
            _ => return None,
        };
        let (kind, label) =
            rows.name.split_once('.').map_or((&*rows.name, ""), |(kind, label)| (kind, label));
        let mut values: Vec<f32> = match (self.keep, kind) {
            (Keep::Maps, _) => return Some(rows),
            (Keep::Mean, "features" | "tokens") => {
                rows.values.chunks(count * width).flat_map(|map| mean(map, width)).collect()
            }
            (Keep::Embedding, "embedding") => rows.values,
            (Keep::Cls, "prefix") => {
                rows.values.chunks(count * width).flat_map(|map| map.iter().take(width).copied()).collect()
            }
            _ => return None,
        };
        if self.unit {
            values.chunks_mut(width).for_each(to_unit);
        }
        let name = match (kind, label) {
            ("tokens", _) => "vector.fused".to_owned(),
            (_, "") => "vector".to_owned(),
            (_, label) => format!("vector.{label}"),
        };
        Some(Rows { name, shape: vec![width], values })
    }
}

impl Look for Lookers<'_> {
    fn look(&self, batch: &Batch, part: &dyn Fn(&str)) -> Result<Seen, LookError> {
        let begun = Instant::now();
        let mut all = Seen { tensors: Vec::new(), record: Metadata::new() };
        for encoders in &self.encoders {
            let seen = encoders.look(batch, part)?;
            for rows in seen.tensors {
                let Some(mut rows) = self.reduce(rows) else { continue };
                if self.encoders.len() > 1 {
                    rows.name = format!("{}/{}", encoders.eyes().id(), rows.name);
                }
                all.tensors.push(rows);
            }
            all.record.insert(encoders.eyes().id().to_owned(), seen.record.into());
        }
        self.busy.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        Ok(all)
    }
}
