//! Reading inputs ahead of the computation.

use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::SyncSender;

use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors};
use zoo_preprocess::{DecodeOptions, Decoded, Note};

use crate::inputs::{BadInput, Contents, Input};

/// One row of a batch.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Which input it came from.
    pub input: usize,
    /// Name in messages and metadata.
    pub name: String,
    /// Which row of a file with several.
    pub row: Option<usize>,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// What was lost or decided while reading it.
    pub notes: Vec<Note>,
}

/// Something to do.
pub(super) enum Work {
    /// Images.
    Images(Vec<Item>, Vec<Decoded>),
    /// Normalised pixels `[B, 3, H, W]`.
    Pixels(Vec<Item>, Tensor),
    /// An input that cannot be read.
    Bad(BadInput),
    /// Nothing more will come.
    Done,
}

impl Work {
    /// Number of input files that end with it.
    pub fn files(&self) -> u64 {
        match self {
            Self::Images(items, _) => items.len() as u64,
            // A file of pixels counts when its first rows are done.
            Self::Pixels(items, _) => u64::from(items.first().is_some_and(|i| i.row.unwrap_or(0) == 0)),
            Self::Bad(_) => 1,
            Self::Done => 0,
        }
    }
}

/// Sends everything that `inputs` hold, in order, at most `batch` rows at a time; ends early when nobody listens.
/// Images are decoded a window of inputs at a time, each core at one of them.
pub(super) fn read(inputs: &[Input], options: &DecodeOptions, batch: usize, sender: SyncSender<Work>) {
    let (mut items, mut images) = (Vec::new(), Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let windows = inputs.chunks(cores).flat_map(|window| window.iter().zip(decode(window, options)));
    for (index, (input, decoded)) in windows.enumerate() {
        let works = match decoded {
            Some(Ok(decoded)) => {
                items.push(Item {
                    input: index,
                    name: input.path.display().to_string(),
                    row: None,
                    size: decoded.size,
                    notes: decoded.notes.clone(),
                });
                images.push(decoded);
                Vec::new()
            }
            Some(Err(error)) => vec![bad(input, error)],
            None => match pixels(&input.path) {
                Ok(tensor) => split(index, input, &tensor, batch),
                Err(error) => vec![bad(input, error)],
            },
        };
        // Images that were read before a file of another kind keep their place.
        if !images.is_empty() && (images.len() == batch || !works.is_empty()) {
            let work = Work::Images(std::mem::take(&mut items), std::mem::take(&mut images));
            if sender.send(work).is_err() {
                return;
            }
        }
        if works.into_iter().any(|work| sender.send(work).is_err()) {
            return;
        }
    }
    let rest = if images.is_empty() { Work::Done } else { Work::Images(items, images) };
    // Whoever stopped listening needs no rest.
    let _ = sender.send(rest);
}

/// The images of `window`, decoded beside one another; nothing where an input holds something else.
fn decode(window: &[Input], options: &DecodeOptions) -> Vec<Option<Result<Decoded, String>>> {
    let one = |input: &Input| match input.contents {
        Contents::Image => Some(zoo_preprocess::open(&input.path, options).map_err(|e| e.to_string())),
        Contents::Pixels => None,
    };
    std::thread::scope(|scope| {
        // The last one here, so that a single image needs no thread.
        let Some((last, others)) = window.split_last() else { return Vec::new() };
        let others: Vec<_> = others.iter().map(|input| scope.spawn(|| one(input))).collect();
        let last = one(last);
        let joined = others.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Some(Err("the decoder failed on this image; please report it".into())))
        });
        joined.chain([last]).collect()
    })
}

fn bad(input: &Input, error: String) -> Work {
    Work::Bad(BadInput { input: input.path.display().to_string(), error })
}

fn split(index: usize, input: &Input, tensor: &Tensor, batch: usize) -> Vec<Work> {
    let &[rows, _, height, width] = tensor.dims() else { return Vec::new() };
    let size = (width as u32, height as u32);
    let name = input.path.display().to_string();
    (0..rows)
        .step_by(batch)
        .map(|start| {
            let length = batch.min(rows - start);
            let items = (start..start + length)
                .map(|row| Item {
                    input: index,
                    name: if rows == 1 { name.clone() } else { format!("{name}[{row}]") },
                    row: (rows > 1).then_some(row),
                    size,
                    notes: Vec::new(),
                })
                .collect();
            match tensor.narrow(0, start, length) {
                Ok(part) => Work::Pixels(items, part),
                Err(error) => bad(input, error.to_string()),
            }
        })
        .collect()
}

/// `pixels` f32 `[B, 3, H, W]` of a safetensors file.
fn pixels(path: &Path) -> Result<Tensor, String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| format!("this is no safetensors file: {e}"))?;
    let tensor = file.tensor("pixels").map_err(|_| {
        let names = file.names().join(", ");
        format!("there is no tensor `pixels` in this file, only: {names}")
    })?;
    let shape = tensor.shape().to_vec();
    if tensor.dtype() != Dtype::F32 || !matches!(shape.as_slice(), [b, 3, h, w] if *b > 0 && *h > 0 && *w > 0)
    {
        return Err(format!("`pixels` must be f32 [B,3,H,W]; it is {:?} {shape:?}", tensor.dtype()));
    }
    let values: Vec<f32> =
        tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Metadata, Plain, write_safetensors};
    use std::sync::mpsc::sync_channel;

    fn input(path: &Path) -> Input {
        let contents = if path.extension().is_some_and(|e| e == "safetensors") {
            Contents::Pixels
        } else {
            Contents::Image
        };
        Input { path: path.to_path_buf(), name: "x".into(), contents }
    }

    fn collect(inputs: &[Input], batch: usize) -> Vec<String> {
        let (sender, receiver) = sync_channel(64);
        read(inputs, &DecodeOptions::default(), batch, sender);
        receiver
            .into_iter()
            .map(|work| match work {
                Work::Images(items, images) => format!("images {} {}", items.len(), images.len()),
                Work::Pixels(_, tensor) => format!("pixels {:?}", tensor.dims()),
                Work::Bad(bad) => format!("bad {}", bad.error),
                Work::Done => "done".into(),
            })
            .collect()
    }

    #[test]
    fn everything_comes_in_order_and_in_batches() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a.png", "b.png", "c.png"] {
            image::RgbImage::new(3, 2).save(path(name)).unwrap();
        }
        std::fs::write(path("bad.png"), "").unwrap();
        let tensor = Plain::F32("pixels".to_owned(), vec![5, 3, 2, 2], vec![0.0; 60]);
        write_safetensors(&path("p.safetensors"), &mut [tensor], &Metadata::new()).unwrap();
        let inputs: Vec<Input> = ["a.png", "b.png", "c.png", "bad.png", "p.safetensors", "a.png"]
            .iter()
            .map(|name| input(&path(name)))
            .collect();
        let works = collect(&inputs, 2);
        assert_eq!(works[..2], ["images 2 2", "images 1 1"]);
        assert!(works[2].starts_with("bad") && works[2].contains("empty"), "{works:?}");
        let rest = ["pixels [2, 3, 2, 2]", "pixels [2, 3, 2, 2]", "pixels [1, 3, 2, 2]", "images 1 1"];
        assert_eq!(works[3..], rest);
    }

    #[test]
    fn pixel_files_that_cannot_be_meant_say_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let error = |name: &str, shape: Vec<usize>| {
            let values = vec![0.0; shape.iter().product()];
            write_safetensors(&path, &mut [Plain::F32(name.to_owned(), shape, values)], &Metadata::new())
                .unwrap();
            pixels(&path).unwrap_err()
        };
        assert!(error("features", vec![1, 3, 2, 2]).contains("only: features"));
        assert!(error("pixels", vec![3, 2, 2]).contains("must be f32 [B,3,H,W]"));
        assert!(error("pixels", vec![1, 4, 2, 2]).contains("[1, 4, 2, 2]"));
        std::fs::write(&path, "junk").unwrap();
        assert!(pixels(&path).unwrap_err().contains("no safetensors file"));
    }
}
