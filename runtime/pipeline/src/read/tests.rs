use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

use candle_core::Tensor;
use zoo_preprocess::{Decoded, Format};

use super::ahead::tests::Meeting;
use super::pixels::{pixels, rows};
use super::*;
use crate::Metadata;
use crate::write::{Plain, Replace, write_safetensors};

fn input(path: &Path) -> Input {
    Input::file(path, Contents::of(path))
}

fn decoded() -> Opened {
    Some(Ok(Decoded::new(::image::RgbImage::new(1, 1), Format::Png)))
}

fn reading(batch: usize, threads: usize) -> Reading {
    Reading::new(batch, threads, DecodeOptions::default())
}

fn save(path: &Path, name: &str, shape: &[usize]) {
    let values = (0..shape.iter().product()).map(|i| i as f32).collect();
    let tensor = Plain::F32(name.to_owned(), shape.to_vec(), values);
    write_safetensors(path, Replace::Always, &mut [tensor], &Metadata::new()).unwrap();
}

fn collect(inputs: &[Input], batch: usize, start: Position) -> Vec<String> {
    let mut works = Vec::new();
    read(&Files, inputs, &reading(batch, 2), start, |work| {
        works.push(match work {
            Work::Batch(Batch::Images(items, images)) => format!("images {} {}", items.len(), images.len()),
            Work::Batch(Batch::Pixels(items, tensor)) => {
                format!("pixels {:?} from {:?}", tensor.pixels.dims(), items[0].row)
            }
            Work::Bad(_, bad) => format!("bad {}", bad.error),
        });
        ControlFlow::Continue(())
    });
    works
}

#[test]
fn everything_comes_in_order_and_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["a.png", "b.png", "c.png"] {
        ::image::RgbImage::new(3, 2).save(path(name)).unwrap();
    }
    std::fs::write(path("bad.png"), "").unwrap();
    save(&path("p.safetensors"), "pixels", &[5, 3, 2, 2]);
    let inputs: Vec<Input> = ["a.png", "b.png", "c.png", "bad.png", "p.safetensors", "a.png"]
        .iter()
        .map(|name| input(&path(name)))
        .collect();
    let works = collect(&inputs, 2, Position::default());
    assert_eq!(works[..2], ["images 2 2", "images 1 1"]);
    assert!(works[2].starts_with("bad") && works[2].contains("empty"), "{works:?}");
    let pixels = |rows: usize, from: usize| format!("pixels [{rows}, 3, 2, 2] from Some({from})");
    assert_eq!(works[3..6], [pixels(2, 0), pixels(2, 2), pixels(1, 4)]);
    assert_eq!(works[6..], ["images 1 1"]);
    // From somewhere in the middle.
    assert_eq!(collect(&inputs, 2, Position { input: 5, row: 0 }), ["images 1 1"]);
    let rest = collect(&inputs, 2, Position { input: 4, row: 3 });
    assert_eq!(rest, [pixels(2, 3), "images 1 1".to_owned()]);
    assert!(collect(&inputs, 2, Position { input: 9, row: 0 }).is_empty());
}

#[test]
fn who_breaks_off_gets_nothing_more() {
    let inputs = vec![input(Path::new("x.png")); 100];
    let mut seen = 0;
    read_with(
        &inputs,
        &reading(2, 2),
        Position::default(),
        |_| decoded(),
        |_| {
            seen += 1;
            if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    assert_eq!(seen, 3);
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
        read_with(&inputs, &reading(batch, threads), Position::default(), open, |work| {
            let Work::Batch(Batch::Images(items, _)) = work else { panic!("not an image") };
            assert_eq!(items.len(), batch.min(inputs.len() - seen));
            seen += items.len();
            meeting.wait(|(begun, _)| begun >= (seen + batch).min(inputs.len()));
            ControlFlow::Continue(())
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
    read_with(&inputs, &reading(1, 1), Position::default(), open, |work| {
        works.push(matches!(work, Work::Bad(..)));
        ControlFlow::Continue(())
    });
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
        read_with(&inputs, &reading(2, threads), Position::default(), open, |_| ControlFlow::Continue(()));
        let decoding = decoding.into_inner().unwrap();
        assert_eq!(decoding.len(), threads);
        assert!(!decoding.contains(&thread::current().id()));
    }
}

#[test]
fn pixel_files_that_cannot_be_meant_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let error = |name: &str, shape: &[usize]| {
        save(&path, name, shape);
        pixels(&path).unwrap_err().to_string()
    };
    assert!(error("features", &[1, 3, 2, 2]).contains("only: features"));
    assert!(error("pixels", &[3, 2, 2]).contains("must be f32 [B,3,H,W]"));
    assert!(error("pixels", &[1, 4, 2, 2]).contains("[1, 4, 2, 2]"));
    assert_eq!(rows(&path), Some(1));
    std::fs::write(&path, "junk").unwrap();
    assert!(pixels(&path).unwrap_err().to_string().contains("no safetensors file"));
    assert_eq!(rows(&path), None);
}

#[test]
fn a_batch_falls_into_its_rows() {
    let item = |row| Item { input: 0, name: "x".into(), row: Some(row), size: (1, 1), notes: Vec::new() };
    let pixels =
        Tensor::arange(0_f32, 9.0, &candle_core::Device::Cpu).unwrap().reshape((3, 3, 1, 1)).unwrap();
    let noise = Tensor::arange(0_f32, 3.0, &candle_core::Device::Cpu).unwrap();
    let rows = PixelRows { pixels, beside: [("noise".to_owned(), noise)].into() };
    let singles = Batch::Pixels((0..3).map(item).collect(), rows).singles();
    let first = |batch: &Batch| match batch {
        Batch::Pixels(items, PixelRows { pixels, beside }) => {
            assert_eq!(beside["noise"].to_vec1::<f32>().unwrap(), [items[0].row.unwrap() as f32]);
            (items[0].row, pixels.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0])
        }
        Batch::Images(..) => panic!("not pixels"),
    };
    assert_eq!(
        singles.iter().map(first).collect::<Vec<_>>(),
        [(Some(0), 0.0), (Some(1), 3.0), (Some(2), 6.0)]
    );
}
