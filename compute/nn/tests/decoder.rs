//! The shared decoder: positions, padding, chunks, hooks, gradients. Values are compared with reference
//! implementations in the plugins.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;

use candle_core::{D, DType, Device, Tensor, Var};
use serde_json::json;
use zoo_core::weights::Weights;
use zoo_core::{Cache, CallContext, Error, LanguageModel, LayerHook, NoHook, Result, Spec};
use zoo_nn::autograd::backward;
use zoo_nn::decoder::{Decoder, DecoderConfig, DecoderStyle};
use zoo_tests::noise::{self, normal};

const STYLE: DecoderStyle = DecoderStyle { qkv_bias: true, ..DecoderStyle::LLAMA };
const LIMIT: u32 = 32;

fn config(extra: &[(&str, serde_json::Value)]) -> Result<DecoderConfig> {
    let mut arch = json!({
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 19, "max_position_embeddings": LIMIT, "rms_norm_eps": 1e-5
    });
    for (key, value) in extra {
        arch[key] = value.clone();
    }
    let spec: Spec =
        serde_json::from_value(json!({"id": "tiny", "architecture": "decoder", "arch": arch})).unwrap();
    DecoderConfig::from_spec(&spec, STYLE)
}

/// Random weights of a model, by key.
fn weights(config: &DecoderConfig) -> BTreeMap<String, Tensor> {
    let record = Weights::record(DType::F32);
    Decoder::open("tiny", config.clone(), &record, &Device::Cpu).unwrap();
    noise::weights(record.manifest())
}

fn open(config: &DecoderConfig, dtype: DType, tensors: BTreeMap<String, Tensor>) -> Decoder {
    Decoder::open("tiny", config.clone(), &Weights::tensors(tensors, dtype), &Device::Cpu).unwrap()
}

fn model(extra: &[(&str, serde_json::Value)]) -> Decoder {
    let config = config(extra).unwrap();
    open(&config, DType::F32, weights(&config))
}

fn table(rows: &[&[u32]]) -> Tensor {
    Tensor::from_vec(rows.concat(), (rows.len(), rows[0].len()), &Device::Cpu).unwrap()
}

fn ids(length: usize, seed: u32) -> Vec<u32> {
    (0..length as u32).map(|i| (i * i * 7 + i * 3 + seed * 5) % 19).collect()
}

fn range(from: usize, to: usize) -> Vec<u32> {
    (from as u32..to as u32).collect()
}

fn run(model: &Decoder, ids: &[&[u32]], positions: &[&[u32]], cache: &mut Cache) -> Tensor {
    let embedded = model.embed(&table(ids)).unwrap();
    model.prefill(&embedded, &table(positions), cache, &mut NoHook).unwrap()
}

fn far(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

fn close(a: &Tensor, b: &Tensor) {
    let far = far(a, b);
    assert!(far < 2e-5, "{far} apart");
}

fn bits(t: &Tensor) -> Vec<u32> {
    t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

/// Rows of length 7 and 4 in one batch, padded on either side, then decoded, against each on its own.
#[test]
fn rows_of_a_batch_are_as_on_their_own() {
    for window in [json!(null), json!(3)] {
        let model = model(&[("sliding_window", window)]);
        let (long, short) = (ids(7, 1), ids(4, 2));
        let next = [3u32, 11, 5];
        let alone = |prompt: &[u32]| {
            let mut cache = model.cache(1).unwrap();
            let hidden = run(&model, &[prompt], &[&range(0, prompt.len())], &mut cache);
            let decoded = next.iter().zip(prompt.len()..).map(|(&id, at)| {
                model.decode(&table(&[&[id]]), &table(&[&[at as u32]]), &mut cache).unwrap()
            });
            let decoded: Vec<_> = decoded.collect();
            (hidden, Tensor::cat(&decoded, 1).unwrap())
        };
        let (long_alone, short_alone) = (alone(&long), alone(&short));

        let right = [short.clone(), vec![9, 9, 9]].concat();
        let left = [vec![9, 9, 9], short.clone()].concat();
        let left_positions = [vec![0; 3], range(0, 4)].concat();
        for (padded, positions, start) in [(right, range(0, 7), 0), (left, left_positions, 3)] {
            let mut cache = model.cache(2).unwrap();
            let hidden = run(&model, &[&long, &padded], &[&range(0, 7), &positions], &mut cache);
            assert!(hidden.sum_all().unwrap().to_scalar::<f32>().unwrap().is_finite());
            close(&hidden.narrow(0, 0, 1).unwrap(), &long_alone.0);
            close(&hidden.narrow(0, 1, 1).unwrap().narrow(1, start, 4).unwrap(), &short_alone.0);
            for (i, &id) in next.iter().enumerate() {
                let at = table(&[&[7 + i as u32], &[4 + i as u32]]);
                let logits = model.decode(&table(&[&[id], &[id]]), &at, &mut cache).unwrap();
                close(&logits.get(0).unwrap(), &long_alone.1.get(0).unwrap().narrow(0, i, 1).unwrap());
                close(&logits.get(1).unwrap(), &short_alone.1.get(0).unwrap().narrow(0, i, 1).unwrap());
            }
        }
    }
}

#[test]
fn a_prompt_in_chunks_is_the_whole_prompt() {
    for window in [json!(null), json!(4)] {
        let model = model(&[("sliding_window", window)]);
        let prompt = ids(13, 3);
        let whole = run(&model, &[&prompt], &[&range(0, 13)], &mut model.cache(1).unwrap());
        for size in [1, 4, 5, 12] {
            let mut cache = model.cache(1).unwrap();
            let parts: Vec<_> = (0..13)
                .step_by(size)
                .map(|at| (at, (at + size).min(13)))
                .map(|(at, end)| run(&model, &[&prompt[at..end]], &[&range(at, end)], &mut cache))
                .collect();
            close(&Tensor::cat(&parts, 1).unwrap(), &whole);
        }
        // The cache can be turned back: what follows position 6 is forgotten.
        let mut cache = model.cache(1).unwrap();
        run(&model, &[&ids(20, 8)], &[&range(0, 20)], &mut cache);
        run(&model, &[&prompt[..6]], &[&range(0, 6)], &mut cache);
        close(&run(&model, &[&prompt[6..]], &[&range(6, 13)], &mut cache), &whole.narrow(1, 6, 7).unwrap());
    }
}

/// Beyond the length that stretches change at, keys that are in the cache already follow. In a single layer nothing
/// else depends on the stretches.
#[test]
fn keys_are_turned_over_when_a_sequence_becomes_long() {
    let scaling = json!({"type": "longrope", "short_factor": [1.0, 2.0], "long_factor": [1.5, 8.0], "attention_factor": 1.2});
    let model = model(&[
        ("num_hidden_layers", json!(1)),
        ("original_max_position_embeddings", json!(8)),
        ("rope_scaling", scaling),
    ]);
    let prompt = ids(12, 3);
    let whole = |length: usize| {
        let hidden = run_one(&model, &prompt[..length], 0, &mut model.cache(1).unwrap());
        hidden.narrow(1, 5, length - 5).unwrap()
    };
    let mut cache = model.cache(1).unwrap();
    run_one(&model, &prompt[..5], 0, &mut cache);
    close(&run_one(&model, &prompt[5..8], 5, &mut cache), &whole(8));
    let after = run_one(&model, &prompt[8..], 8, &mut cache);
    close(&after, &whole(12).narrow(1, 3, 4).unwrap());
    // The two sets of stretches are far from one another.
    assert!(far(&whole(8), &whole(12).narrow(1, 0, 3).unwrap()) > 1e-3);
}

fn run_one(model: &Decoder, ids: &[u32], at: usize, cache: &mut Cache) -> Tensor {
    run(model, &[ids], &[&range(at, at + ids.len())], cache)
}

/// More queries than are attended to at a time.
#[test]
fn a_long_prompt_is_the_same_in_pieces() {
    for window in [json!(null), json!(40)] {
        let model = model(&[("max_position_embeddings", json!(1024)), ("sliding_window", window)]);
        let prompt = ids(600, 6);
        let whole = run(&model, &[&prompt], &[&range(0, 600)], &mut model.cache(1).unwrap());
        let mut cache = model.cache(1).unwrap();
        for at in (0..600).step_by(75) {
            let part = run(&model, &[&prompt[at..at + 75]], &[&range(at, at + 75)], &mut cache);
            close(&part, &whole.narrow(1, at, 75).unwrap());
        }
    }
}

/// The first product moves the table into panels; rows are the same from there.
#[test]
fn a_tied_table_is_read_from_the_heads_panels() {
    let config = config(&[("tie_word_embeddings", json!(true))]).unwrap();
    let tensors = weights(&config);
    let prompt = table(&[&ids(6, 4), &ids(6, 9)]);
    for dtype in [DType::F32, DType::BF16] {
        let model = open(&config, dtype, tensors.clone());
        let embed = || model.embed(&prompt).unwrap();
        let (before, logits) = (embed(), model.logits(&embed()).unwrap());
        let after = embed();
        assert_eq!((after.dtype(), after.dims()), (dtype, &[2, 6, 16][..]));
        let wide = |t: &Tensor| bits(&t.to_dtype(DType::F32).unwrap());
        assert_eq!(wide(&before), wide(&after));
        assert_eq!(bits(&logits), bits(&model.logits(&after).unwrap()));
    }
}

/// Doubles what comes out of layers 0 and 1 and remembers it.
struct Double(Vec<(usize, usize, Tensor)>);

impl LayerHook for Double {
    fn after(&self) -> Vec<usize> {
        vec![0, 1]
    }

    fn call(&mut self, step: usize, layer: usize, hidden: Tensor) -> Result<Tensor> {
        self.0.push((step, layer, hidden.clone()));
        Ok((hidden * 2.0)?)
    }
}

#[test]
fn a_hook_stands_between_layers() {
    let model = model(&[]);
    let (prompt, positions) = (table(&[&ids(6, 4)]), table(&[&range(0, 6)]));
    let embedded = model.embed(&prompt).unwrap();
    let (mut hooked, mut manual) = (model.cache(1).unwrap(), model.cache(1).unwrap());
    let mut hook = Double(Vec::new());
    let out = model.prefill(&embedded, &positions, &mut hooked, &mut hook).unwrap();

    let first = model.layers(0..1, &embedded, &positions, &mut manual).unwrap();
    let second = model.layers(1..2, &(&first * 2.0).unwrap(), &positions, &mut manual).unwrap();
    let third = model.layers(2..3, &(&second * 2.0).unwrap(), &positions, &mut manual).unwrap();
    assert_eq!(bits(&out), bits(&third));
    let seen: Vec<_> = hook.0.iter().map(|(step, layer, hidden)| (*step, *layer, bits(hidden))).collect();
    assert_eq!(seen, [(0, 0, bits(&first)), (1, 1, bits(&second))]);

    // Decoding sees the replaced states through the cache, and differs from what it would be without the hook.
    let step = |cache: &mut Cache| model.decode(&table(&[&[5]]), &table(&[&[6]]), cache).unwrap();
    let decoded = step(&mut hooked);
    assert_eq!(bits(&decoded), bits(&step(&mut manual)));
    let mut plain = model.cache(1).unwrap();
    let whole = run(&model, &[&ids(6, 4)], &[&range(0, 6)], &mut plain);
    assert!(far(&step(&mut plain), &decoded) > 1e-3);

    // Without replacing anything, stopping changes nothing.
    let mut cache = model.cache(1).unwrap();
    let cut = model.layers(0..2, &embedded, &positions, &mut cache).unwrap();
    assert_eq!(bits(&model.layers(2..3, &cut, &positions, &mut cache).unwrap()), bits(&whole));
}

/// `Σ logits · cotangent` of hidden states that go in at `positions` in two chunks.
fn loss(model: &Decoder, hidden: &Tensor, positions: &Tensor, cut: usize) -> Tensor {
    let (batch, length, _) = hidden.dims3().unwrap();
    let mut cache = model.cache(batch).unwrap();
    let chunks: Vec<Tensor> = [(0, cut), (cut, length - cut)]
        .into_iter()
        .filter(|(_, length)| *length > 0)
        .map(|(start, length)| {
            let part = hidden.narrow(1, start, length).unwrap();
            model.layers(0..3, &part, &positions.narrow(1, start, length).unwrap(), &mut cache).unwrap()
        })
        .collect();
    let logits = model.logits(&Tensor::cat(&chunks, 1).unwrap()).unwrap();
    (&logits * normal(logits.dims(), 77)).unwrap().sum_all().unwrap()
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let config = config(&[("sliding_window", json!(4))]).unwrap();
    let tensors = weights(&config);
    let name = "model.layers.1.self_attn.k_proj.weight";
    let value = |t: &Tensor| f64::from(t.to_scalar::<f32>().unwrap());
    let (even, ragged) = (range(0, 5), vec![0, 0, 0, 1, 2]);
    for (second, cut) in [(&even, 5), (&even, 2), (&ragged, 2)] {
        let positions = table(&[&even, second]);
        let start = normal(&[2, 5, 16], 5);
        let at = |hidden: &Tensor, weight: &Tensor| {
            let mut tensors = tensors.clone();
            tensors.insert(name.into(), weight.clone());
            loss(&open(&config, DType::F32, tensors), hidden, &positions, cut)
        };
        let (input, weight) = (Var::from_tensor(&start).unwrap(), Var::from_tensor(&tensors[name]).unwrap());
        let total = at(input.as_tensor(), weight.as_tensor());
        assert!((value(&total) - value(&at(&start, &tensors[name]))).abs() < 1e-3);
        let gradients = total.backward().unwrap();
        for (var, which) in [(&input, 0), (&weight, 1)] {
            let gradient = gradients.get(var.as_tensor()).unwrap();
            let direction = normal(var.dims(), 9);
            let step = 4e-3;
            let moved = |by: f64| {
                let moved = (var.as_detached_tensor() + (&direction * by).unwrap()).unwrap();
                value(&if which == 0 { at(&moved, &tensors[name]) } else { at(&start, &moved) })
            };
            let numeric = (moved(step) - moved(-step)) / (2.0 * step);
            let exact = value(&(gradient * &direction).unwrap().sum_all().unwrap());
            assert!((numeric - exact).abs() < 5e-3 * exact.abs().max(1.0), "{numeric} against {exact}");
        }
    }
}

#[test]
fn half_precision_stays_half_inside_and_logits_do_not() {
    let config = config(&[]).unwrap();
    let exact = model(&[]);
    let positions = table(&[&range(0, 9)]);
    for (dtype, bound) in [(DType::BF16, 0.999), (DType::F16, 0.99999)] {
        let model = open(&config, dtype, weights(&config));
        assert_eq!(model.descriptor().cache_bytes_per_position, 3 * 2 * 8 * 2);
        let embedded = model.embed(&table(&[&ids(9, 1)])).unwrap();
        let hidden = model.layers(0..3, &embedded, &positions, &mut model.cache(1).unwrap()).unwrap();
        assert_eq!((embedded.dtype(), hidden.dtype()), (dtype, dtype));
        let logits = model.logits(&hidden).unwrap();
        assert_eq!(logits.dtype(), DType::F32);
        let reference = run(&exact, &[&ids(9, 1)], &[&range(0, 9)], &mut exact.cache(1).unwrap());
        let reference = exact.logits(&reference).unwrap();
        let dot = |a: &Tensor, b: &Tensor| (a * b).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        let cosine = dot(&logits, &reference) / (dot(&logits, &logits) * dot(&reference, &reference)).sqrt();
        assert!(cosine > bound, "{dtype:?}: {cosine}");
    }
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let model = model(&[]);
    let embedded = model.embed(&table(&[&[1, 2]])).unwrap();
    let mut cache = model.cache(1).unwrap();
    let fault = |range, hidden: &Tensor, positions: &[u32], cache: &mut Cache| match model
        .layers(range, hidden, &table(&[positions]), cache)
        .unwrap_err()
    {
        Error::InvalidInput(message) => message,
        other => panic!("{other:?}"),
    };
    let message = fault(0..3, &embedded, &[31, 32], &mut cache);
    assert_eq!(message, "position 32 is beyond the context of 32 tokens; shorten the prompt or the answer");
    let message = fault(0..3, &embedded, &[1, 2], &mut cache);
    assert_eq!(
        message,
        "row 0 goes on at position 1 while position 0 is empty; positions may not leave gaps"
    );
    let message = fault(0..4, &embedded, &[0, 1], &mut cache);
    assert_eq!(message, "tiny: layers 0..4 of a model of 3 layers");
    let message = fault(0..3, &embedded, &[0, 1, 2], &mut cache);
    assert_eq!(message, "positions [1, 3] for hidden states of 1 rows of 2 tokens");
    let message = fault(0..3, &embedded, &[0, 1], &mut model.cache(2).unwrap());
    assert_eq!(message, "tiny: 1 rows with a KV cache for 2");
    let other = open(&config(&[]).unwrap(), DType::F32, weights(&config(&[]).unwrap()));
    let message = fault(0..3, &embedded, &[0, 1], &mut other.cache(1).unwrap());
    assert!(message.contains("another language model"), "{message}");
    let message = fault(0..3, &embedded.narrow(D::Minus1, 0, 8).unwrap(), &[0, 1], &mut cache);
    assert_eq!(message, "tiny: hidden states must be [B, T, 16] and not empty, got [1, 2, 8]");
    let message = model.embed(&table(&[&[3, 19]])).unwrap_err().to_string();
    assert_eq!(message, "tiny: token id 19 is not in the vocabulary of 19");
    // A refused call leaves the cache as it was.
    let whole = run(&model, &[&[1, 2]], &[&[0, 1]], &mut cache);
    close(&whole, &run(&model, &[&[1, 2]], &[&[0, 1]], &mut model.cache(1).unwrap()));

    for (key, value, expected) in [
        ("hiden_act", json!("silu"), "unknown field `hiden_act`"),
        ("hidden_act", json!("relu"), "`hidden_act` = \"relu\" is not implemented"),
        ("mlp_bias", json!(true), "`mlp_bias` = true is not implemented"),
        ("partial_rotary_factor", json!(0.75), "must leave a whole number of pairs"),
        ("layer_types", json!(["full_attention"]), "`layer_types` has 1 entries"),
        ("num_key_value_heads", json!(3), "no multiple of `num_key_value_heads` = 3"),
        ("num_attention_heads", json!(5), "there is no `head_dim`"),
        ("sliding_window", json!(0), "`sliding_window` must not be 0"),
        (
            "rope_scaling",
            json!({"type": "longrope", "long_factor": [1.0], "short_factor": [1.0]}),
            "`rope_scaling.short_factor` has 1 numbers for 2 channel pairs",
        ),
        ("rope_scaling", json!({"type": "linear"}), "needs `factor`"),
        ("rope_scaling", json!({"type": "spiral"}), "type `spiral` is not implemented"),
    ] {
        let message = config(&[(key, value)]).unwrap_err().to_string();
        assert!(message.starts_with("tiny: architecture: ") && message.contains(expected), "{message}");
    }
}

/// Three sequences in one row against each on its own, with what is learnt from them.
#[test]
fn packed_sequences_are_as_on_their_own() {
    for window in [json!(null), json!(3)] {
        let config = config(&[("sliding_window", window)]).unwrap();
        let trained = || {
            let keys = weights(&config).into_keys().filter(|key| key.contains("_proj.")).collect();
            let weights = Weights::tensors(weights(&config), DType::F32).train(keys);
            Decoder::open("tiny", config.clone(), &weights, &Device::Cpu).unwrap()
        };
        for model in [model(&[("sliding_window", json!(config.sliding_window))]), trained()] {
            let sequences = [ids(7, 1), ids(1, 2), ids(12, 3)];
            let alone = sequences.each_ref().map(|sequence| {
                let mut cache = model.cache(1).unwrap();
                run(&model, &[sequence], &[&range(0, sequence.len())], &mut cache)
            });
            let alone = Tensor::cat(&alone, 1).unwrap();
            let positions = sequences.each_ref().map(|sequence| range(0, sequence.len())).concat();
            let mut cache = model.packed(1).unwrap();
            let packed = run(&model, &[&sequences.concat()], &[&positions], &mut cache);
            close(&packed, &alone);

            let Some(trainable) = model.trainable() else { continue };
            assert_eq!(trainable.variables().len(), 3 * 10);
            let again = CallContext::new()
                .recomputing(true)
                .scope(|| run(&model, &[&sequences.concat()], &[&positions], &mut model.packed(1).unwrap()));
            let [gradients @ .., same] = [&packed, &alone, &again]
                .map(|out| backward(&out.sqr().unwrap().sum_all().unwrap()).unwrap());
            for (key, var) in trainable.variables() {
                let [a, b] = [&gradients[0], &same].map(|gradients| gradients.get(var).unwrap());
                let (apart, size) = (far(a, b), far(b, &b.zeros_like().unwrap()));
                assert!(
                    apart < 1e-5 * size,
                    "{key} when layers are computed a second time: {apart} of {size}"
                );
            }
            for (key, var) in trainable.group(&|key| key.contains("self_attn")) {
                let [a, b] = gradients.each_ref().map(|gradients| gradients.get(var).unwrap());
                let (apart, size) = (far(a, b), far(b, &b.zeros_like().unwrap()));
                assert!(apart < 1e-5 * size, "{key}: {apart} of {size}");
            }
        }
    }
}

/// What replaces a variable is what the next pass computes with, whatever family the norms are of.
#[test]
fn replaced_values_are_used() {
    for unit_offset in [false, true] {
        let mut config = config(&[]).unwrap();
        config.style = DecoderStyle { unit_offset, ..config.style };
        let all = weights(&config);
        let open = |tensors: BTreeMap<String, Tensor>, train| {
            let weights = Weights::tensors(tensors, DType::F32).trainable(train);
            Decoder::open("tiny", config.clone(), &weights, &Device::Cpu).unwrap()
        };
        let other: BTreeMap<_, _> = all.iter().map(|(k, v)| (k.clone(), (v * 0.5).unwrap())).collect();
        let model = open(all, true);
        let trainable = model.trainable().unwrap();
        trainable.replace(&other).unwrap();
        let logits = |model: &Decoder| {
            let hidden = run(model, &[&ids(5, 1)], &[&range(0, 5)], &mut model.cache(1).unwrap());
            model.logits(&hidden).unwrap()
        };
        close(&logits(&model), &logits(&open(other.clone(), false)));

        let key = "model.norm.weight".to_owned();
        let wrong = BTreeMap::from([(key.clone(), Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap())]);
        let message = trainable.replace(&wrong).unwrap_err().to_string();
        assert!(message.contains("`model.norm.weight` is [16] F32, not [3] F32"), "{message}");
    }
}
