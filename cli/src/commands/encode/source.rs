//! From inputs to batches, read ahead of the computation.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors};
use zoo_preprocess::{DecodeOptions, Decoded, Note};

use super::ahead::Ahead;
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

/// What is encoded at once.
pub(super) enum Batch {
    /// Images.
    Images(Vec<Item>, Vec<Decoded>),
    /// Normalised pixels `[B, 3, H, W]`.
    Pixels(Vec<Item>, Tensor),
}

/// Something to do.
pub(super) enum Work {
    /// Rows to encode.
    Batch(Batch),
    /// An input that cannot be read.
    Bad(BadInput),
}

impl Work {
    /// Number of input files that end with it.
    pub fn files(&self) -> u64 {
        match self {
            Self::Batch(Batch::Images(items, _)) => items.len() as u64,
            // A file of pixels counts when its first rows are done.
            Self::Batch(Batch::Pixels(items, _)) => {
                u64::from(items.first().is_some_and(|i| i.row.unwrap_or(0) == 0))
            }
            Self::Bad(_) => 1,
        }
    }
}

/// An image, an error, or nothing where the input holds something else.
type Opened = Option<Result<Decoded, String>>;

/// Gives `each` everything that `inputs` hold, in order, at most `batch` rows at a time. While it is busy with a batch,
/// what the next one needs is opened with `open`, on so many threads.
pub(super) fn read(
    inputs: &[Input],
    batch: usize,
    threads: usize,
    open: impl Fn(&Input) -> Opened + Sync,
    each: impl FnMut(Work),
) {
    // Whatever goes wrong with one image must not end the thread that decodes others.
    let open = |input: &Input| {
        let opened = std::panic::catch_unwind(AssertUnwindSafe(|| open(input)));
        opened.unwrap_or_else(|_| Some(Err("the decoder failed on this image; please report it".into())))
    };
    let ahead = Ahead::of_batches(batch, threads);
    ahead.run(inputs, open, |opened| Batches::new(inputs, opened, batch).for_each(each));
}

/// Decodes an image. Files of pixels are not read ahead: they need no decoding, and one may hold a thousand images.
pub(super) fn open(input: &Input, options: &DecodeOptions) -> Opened {
    match input.contents {
        Contents::Image => Some(zoo_preprocess::open(&input.path, options).map_err(|e| e.to_string())),
        Contents::Pixels => None,
    }
}

/// Puts what was opened together.
struct Batches<'a, I> {
    inputs: std::iter::Enumerate<std::slice::Iter<'a, Input>>,
    opened: I,
    batch: usize,
    items: Vec<Item>,
    images: Vec<Decoded>,
    /// To be handed out before anything else is opened.
    ready: VecDeque<Work>,
}

impl<'a, I: Iterator<Item = Opened>> Batches<'a, I> {
    /// `opened` gives something for each of `inputs`.
    fn new(inputs: &'a [Input], opened: I, batch: usize) -> Self {
        Self {
            inputs: inputs.iter().enumerate(),
            opened,
            batch,
            items: Vec::new(),
            images: Vec::new(),
            ready: VecDeque::new(),
        }
    }

    /// The images that wait for others.
    fn flush(&mut self) {
        if !self.images.is_empty() {
            let (items, images) = (std::mem::take(&mut self.items), std::mem::take(&mut self.images));
            self.ready.push_back(Work::Batch(Batch::Images(items, images)));
        }
    }
}

impl<I: Iterator<Item = Opened>> Iterator for Batches<'_, I> {
    type Item = Work;

    fn next(&mut self) -> Option<Work> {
        while self.ready.is_empty() {
            let Some(((index, input), opened)) = self.inputs.next().zip(self.opened.next()) else {
                self.flush();
                break;
            };
            let works = match opened {
                Some(Ok(image)) => {
                    self.items.push(Item {
                        input: index,
                        name: input.path.display().to_string(),
                        row: None,
                        size: image.size,
                        notes: image.notes.clone(),
                    });
                    self.images.push(image);
                    if self.images.len() == self.batch {
                        self.flush();
                    }
                    continue;
                }
                Some(Err(error)) => vec![bad(input, error)],
                None => match pixels(&input.path) {
                    Ok(tensor) => split(index, input, &tensor, self.batch),
                    Err(error) => vec![bad(input, error)],
                },
            };
            // Images that were read before a file of another kind keep their place.
            self.flush();
            self.ready.extend(works);
        }
        self.ready.pop_front()
    }
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
                Ok(part) => Work::Batch(Batch::Pixels(items, part)),
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
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::thread::{self, ThreadId};

    use zoo_preprocess::Format;

    use super::*;
    use crate::commands::encode::ahead::tests::Meeting;
    use crate::output::{Metadata, Plain, write_safetensors};

    fn input(path: &Path) -> Input {
        let contents = if path.extension().is_some_and(|e| e == "safetensors") {
            Contents::Pixels
        } else {
            Contents::Image
        };
        Input { path: path.to_path_buf(), name: "x".into(), contents }
    }

    fn decoded() -> Opened {
        Some(Ok(Decoded::new(image::RgbImage::new(1, 1), Format::Png)))
    }

    fn collect(inputs: &[Input], batch: usize) -> Vec<String> {
        let (mut works, options) = (Vec::new(), DecodeOptions::default());
        let open = |input: &Input| open(input, &options);
        read(inputs, batch, 2, open, |work| {
            works.push(match work {
                Work::Batch(Batch::Images(items, images)) => {
                    format!("images {} {}", items.len(), images.len())
                }
                Work::Batch(Batch::Pixels(_, tensor)) => format!("pixels {:?}", tensor.dims()),
                Work::Bad(bad) => format!("bad {}", bad.error),
            });
        });
        works
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

    /// The computation of a batch ends only when the decoding of all of the next one has begun.
    #[test]
    fn the_next_batch_is_decoded_while_one_is_computed() {
        for (batch, threads) in [(1, 1), (1, 2), (4, 2), (3, 2), (4, 16)] {
            let inputs = vec![input(Path::new("x.png")); 11];
            let (meeting, mut seen) = (Meeting::default(), 0);
            let open = |_: &Input| {
                meeting.note(|(begun, _)| *begun += 1);
                decoded()
            };
            read(&inputs, batch, threads, open, |work| {
                let Work::Batch(Batch::Images(items, _)) = work else { panic!("not an image") };
                assert_eq!(items.len(), batch.min(inputs.len() - seen));
                seen += items.len();
                meeting.wait(|(begun, _)| begun >= (seen + batch).min(inputs.len()));
            });
            assert_eq!(seen, inputs.len());
        }
    }

    #[test]
    fn a_decoder_that_fails_costs_one_image() {
        let inputs: Vec<Input> = ["a", "b", "c"].iter().map(|name| input(Path::new(name))).collect();
        let open = |input: &Input| {
            assert!(!input.path.ends_with("a"), "as a broken decoder does");
            decoded()
        };
        let mut works = Vec::new();
        read(&inputs, 1, 1, open, |work| works.push(matches!(work, Work::Bad(_))));
        assert_eq!(works, [true, false, false]);
    }

    /// Each of the threads that are allowed has its turn, and no other, the one that computes least of all.
    #[test]
    fn as_many_threads_decode_as_are_allowed() {
        let inputs = vec![input(Path::new("x.png")); 7];
        for threads in [1, 2, 5] {
            let decoding = Mutex::new(HashSet::<ThreadId>::new());
            let open = |_: &Input| {
                decoding.lock().unwrap().insert(thread::current().id());
                decoded()
            };
            read(&inputs, 2, threads, open, |_| {});
            let decoding = decoding.into_inner().unwrap();
            assert_eq!(decoding.len(), threads);
            assert!(!decoding.contains(&thread::current().id()));
        }
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
