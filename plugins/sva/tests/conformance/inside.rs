//! Aggregation between the layers of a language model.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};
use zoo_core::{
    Cache, Connector, ConnectorInputs, Fused, ImageRefiner, LanguageModel, LayerHook, LlmDescriptor, NoHook,
    PlacedImage, Result,
};
use zoo_sva::Sva;

use crate::common::{Tensors, bits, inputs, load, noise, spec, tensors};

const HIDDEN: usize = 12;
const DEPTH: usize = 5;
const SIZES: [(u32, u32); 2] = [(640, 300), (100, 640)];

/// Layers that mix each position with the mean of those before it.
struct Tiny(LlmDescriptor);

fn tiny() -> Tiny {
    Tiny(LlmDescriptor {
        id: "tiny".into(),
        hidden: HIDDEN,
        layers: DEPTH,
        vocab: 7,
        max_positions: 1000,
        cache_bytes_per_position: 0,
        parameters: 0,
        quantised: Default::default(),
    })
}

impl LanguageModel for Tiny {
    fn descriptor(&self) -> &LlmDescriptor {
        &self.0
    }
    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        let (batch, length) = ids.dims2()?;
        let rows = noise(&[7, HIDDEN], 5).index_select(&ids.flatten_all()?, 0)?;
        Ok(rows.reshape((batch, length, HIDDEN))?)
    }
    fn cache(&self, _: usize) -> Result<Cache> {
        Ok(Cache::new(()))
    }
    fn layers(&self, range: Range<usize>, hidden: &Tensor, _: &Tensor, _: &mut Cache) -> Result<Tensor> {
        let length = hidden.dim(1)?;
        let causal = Tensor::tril2(length, DType::F32, &Device::Cpu)?;
        let causal = causal.broadcast_div(&causal.sum_keepdim(1)?)?;
        let mut x = hidden.clone();
        for layer in range {
            let mixed = causal.broadcast_matmul(&x)?;
            x = (x + mixed.broadcast_matmul(&noise(&[HIDDEN, HIDDEN], layer as u64))?.tanh()?)?;
        }
        Ok(x)
    }
    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(hidden.broadcast_matmul(&noise(&[HIDDEN, 7], 99))?)
    }
}

struct Scenario {
    sva: Sva,
    fused: Fused,
    /// Two sequences: two images with text around them, and text only.
    embeddings: Tensor,
    images: Vec<PlacedImage>,
}

fn scenario(change: Value, edit: impl Fn(&str, &mut Tensor)) -> Scenario {
    let spec = spec(change);
    let mut tensors: Tensors = tensors(&spec);
    for (key, tensor) in &mut tensors {
        edit(key, tensor);
    }
    let sva = load(&spec, &tensors);
    let fused = sva.forward(&ConnectorInputs { ..inputs(&spec, &SIZES) }).unwrap();
    let model = tiny();
    let text = |ids: &[u32]| {
        let ids = Tensor::from_slice(ids, (1, ids.len()), &Device::Cpu).unwrap();
        model.embed(&ids).unwrap().squeeze(0).unwrap()
    };
    let mut parts = vec![text(&[1, 2, 3])];
    let mut images = Vec::new();
    let mut position = 3;
    for image in 0..2 {
        let block = sva.block(&fused, image).unwrap();
        images.push(PlacedImage::new(&block, image, 0, position));
        position = images[image].end() + 2;
        parts.push(block.tokens);
        parts.push(text(&[4, 5]));
    }
    let first = Tensor::cat(&parts, 0).unwrap();
    let length = first.dim(0).unwrap();
    assert_eq!(length, position);
    let second = text(&(0..length as u32).map(|i| i % 7).collect::<Vec<_>>());
    Scenario { sva, fused, embeddings: Tensor::stack(&[first, second], 0).unwrap(), images }
}

fn logits(s: &Scenario, hook: &mut dyn LayerHook) -> Vec<u32> {
    let model = tiny();
    let (batch, length, _) = s.embeddings.dims3().unwrap();
    let positions = Tensor::zeros((batch, length), DType::U32, &Device::Cpu).unwrap();
    let mut cache = model.cache(batch).unwrap();
    let hidden = model.prefill(&s.embeddings, &positions, &mut cache, hook).unwrap();
    bits(&model.logits(&hidden).unwrap())
}

fn inside() -> Value {
    json!({
        "connector_only": false, "num_of_vision_sampler_layers": 2, "start_of_vision_sampler_layers": 1,
        "stride_of_vision_sampler_layers": 2
    })
}

#[test]
fn only_cells_change() {
    let s = scenario(inside(), |_, _| {});
    let mut hook = ImageRefiner::new(&s.sva, &s.fused, s.images.clone()).unwrap();
    assert_eq!(hook.after(), [1, 3]);
    let before = noise(s.embeddings.dims(), 42);
    let after = hook.call(0, 1, before.clone()).unwrap();
    assert_eq!(after.dims(), before.dims());
    let length = before.dim(1).unwrap();
    let (before, after) = (bits(&before), bits(&after));
    let mut cells = 0;
    for (i, (old, new)) in before.chunks(HIDDEN).zip(after.chunks(HIDDEN)).enumerate() {
        let (sequence, position) = (i / length, i % length);
        let is_cell = s.images.iter().any(|image| {
            let inside = image.sequence == sequence && (image.start..image.end()).contains(&position);
            inside && (position - image.start) % (image.grid.w + 1) != image.grid.w
        });
        assert_eq!(old != new, is_cell, "sequence {sequence}, position {position}");
        cells += usize::from(is_cell);
    }
    // 640×300 on 4×4 leaves ⌊4 · 300 / 640⌋ = 1 row, hence 2; 100×640 leaves two columns.
    assert_eq!(cells, 2 * 4 + 4 * 2);
}

#[test]
fn zeroed_layers_inside_are_as_if_they_were_not_there() {
    let s = scenario(inside(), |key, tensor| {
        if key.contains("vision_sampler_layers") && key.ends_with("linear_2.weight") {
            *tensor = tensor.zeros_like().unwrap();
        }
    });
    let mut hook = ImageRefiner::new(&s.sva, &s.fused, s.images.clone()).unwrap();
    let refined = logits(&s, &mut hook);
    assert_eq!(refined, logits(&s, &mut NoHook));

    let s = scenario(inside(), |_, _| {});
    let mut hook = ImageRefiner::new(&s.sva, &s.fused, s.images.clone()).unwrap();
    assert_ne!(logits(&s, &mut hook), logits(&s, &mut NoHook));
}

#[test]
fn a_cut_is_the_middle_of_the_whole() {
    // An image whose padding is cut sees, in the cells that are left, what it would see uncut: with a single query
    // for all cells, the fused tokens of a joint layer and those of the same layer inside must agree.
    let mut shared = inside();
    shared["output"] = json!(16);
    let samplers = "model.vision_sampler_0.layers.0.";
    let spec = spec(shared);
    let mut tensors = tensors(&spec);
    let before: Vec<_> =
        tensors.iter().filter_map(|(k, t)| Some((k.strip_prefix(samplers)?.to_owned(), t.clone()))).collect();
    for (name, tensor) in before {
        tensors.insert(format!("model.vision_sampler_layers.0.layers.0.{name}"), tensor);
    }
    let sva = load(&spec, &tensors);
    let fused = sva.forward(&inputs(&spec, &SIZES)).unwrap();
    let query = &tensors["model.vision_query"];
    for (row, kept) in [(0, 4..12), (1, 0..16)] {
        let grid = sva.block(&fused, row).unwrap().grid;
        let hidden = query.broadcast_as((grid.cells(), 16)).unwrap().contiguous().unwrap();
        let refined = sva.refine(0, &zoo_core::Cells { hidden, grid, row }, &fused).unwrap();
        let projected = project(&tensors, &refined);
        let tokens = fused.tokens.get(row).unwrap();
        let expected: Vec<Tensor> = kept
            .filter(|cell| row == 0 || (1..3).contains(&(cell % 4)))
            .map(|cell| tokens.get(cell).unwrap())
            .collect();
        let gap = (projected - Tensor::stack(&expected, 0).unwrap()).unwrap().abs().unwrap();
        let gap: f32 = gap.flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap();
        assert!(gap < 1e-4, "image {row}: {gap}");
    }
}

/// `mm_projector` on `[n, C]`.
fn project(tensors: &Tensors, x: &Tensor) -> Tensor {
    let layer = |x: &Tensor, i: usize| {
        let (w, b) = (
            &tensors[&format!("model.mm_projector.{i}.weight")],
            &tensors[&format!("model.mm_projector.{i}.bias")],
        );
        x.matmul(&w.t().unwrap()).unwrap().broadcast_add(b).unwrap()
    };
    layer(&layer(x, 0).gelu_erf().unwrap(), 2)
}

#[test]
fn blocks_that_do_not_fit_are_refused() {
    let s = scenario(inside(), |_, _| {});
    let refuse = |images| ImageRefiner::new(&s.sva, &s.fused, images).err().unwrap().to_string();
    let mut overlapping = s.images.clone();
    overlapping[1].start = overlapping[0].end() - 1;
    assert!(refuse(overlapping).starts_with("images 0 and 1 overlap in sequence 0"));
    let mut stray = s.images.clone();
    stray[1].image = 2;
    assert_eq!(refuse(stray), "image 2 of a batch of 2");
    let mut late = s.images.clone();
    late[1].start += 3;
    let mut hook = ImageRefiner::new(&s.sva, &s.fused, late).unwrap();
    let message = hook.call(0, 1, s.embeddings.clone()).unwrap_err().to_string();
    assert!(message.contains("does not fit into 2 sequences"), "{message}");
}

#[test]
fn a_connector_without_layers_inside_says_so() {
    let s = scenario(json!({}), |_, _| {});
    assert!(s.sva.descriptor().refine_after.is_empty() && s.fused.memory.is_empty());
    let grid = s.images[0].grid;
    let cells = zoo_core::Cells { hidden: noise(&[grid.cells(), HIDDEN], 1), grid, row: 0 };
    let message = s.sva.refine(0, &cells, &s.fused).unwrap_err().to_string();
    assert_eq!(message, "demo does not support aggregation inside the language model");
}
