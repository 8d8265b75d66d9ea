//! Image blocks, shares and faults.

use serde_json::json;
use zoo_core::{Connector, Grid, ImageBlock};

use crate::common::{bits, inputs, load, noise, spec, tensors};

/// One encoder of 24×24 tokens under 24×24 queries.
fn blocks(sizes: &[(u32, u32)]) -> (Vec<ImageBlock>, Vec<u32>, Vec<Vec<u32>>) {
    let spec = spec(json!({
        "inputs": [4], "token_lens": [576], "query_num_list": [576], "image_token_len": 576, "output": 4
    }));
    let tensors = tensors(&spec);
    let sva = load(&spec, &tensors);
    let fused = sva.forward(&inputs(&spec, sizes)).unwrap();
    let tokens = (0..sizes.len()).map(|row| bits(&fused.tokens.get(row).unwrap())).collect();
    let blocks = (0..sizes.len()).map(|row| sva.block(&fused, row).unwrap()).collect();
    (blocks, bits(&tensors["model.image_newline"]), tokens)
}

#[test]
fn blocks_of_known_images() {
    let sizes = [(640, 480), (480, 640), (336, 336), (1000, 10)];
    let (blocks, newline, tokens) = blocks(&sizes);
    let shapes: Vec<_> = blocks.iter().map(|b| (b.grid, b.tokens.dim(0).unwrap())).collect();
    let expected = [
        (Grid { h: 18, w: 24 }, 450),
        (Grid { h: 24, w: 18 }, 456),
        (Grid { h: 24, w: 24 }, 600),
        (Grid { h: 2, w: 24 }, 50),
    ];
    assert_eq!(shapes, expected);
    for (row, block) in blocks.iter().enumerate() {
        let states = bits(&block.tokens);
        let (top, left) = ((24 - block.grid.h) / 2, (24 - block.grid.w) / 2);
        for (i, state) in states.chunks(4).enumerate() {
            let (line, col) = (i / (block.grid.w + 1), i % (block.grid.w + 1));
            if col == block.grid.w {
                assert_eq!(state, newline, "image {row}: row {line} does not end with the newline");
            } else {
                let cell = (top + line) * 24 + left + col;
                assert_eq!(state, &tokens[row][4 * cell..4 * cell + 4], "image {row}: cell {line}, {col}");
            }
        }
    }
}

#[test]
fn without_newline_only_cells() {
    let spec = spec(json!({"newline": false}));
    let tensors = tensors(&spec);
    assert!(!tensors.contains_key("model.image_newline"));
    let sva = load(&spec, &tensors);
    let fused = sva.forward(&inputs(&spec, &[(300, 100)])).unwrap();
    let block = sva.block(&fused, 0).unwrap();
    assert_eq!((block.grid, block.newline), (Grid { h: 2, w: 4 }, false));
    assert_eq!(block.tokens.dims(), [8, 12]);
}

#[test]
fn shares_sum_to_one_in_every_arrangement() {
    for change in [
        json!({"connector_depth": 3}),
        json!({"layer_type": "sep", "connector_depth": 2}),
        json!({"query_num_list": [4, 16], "image_token_len": 36}),
    ] {
        let spec = spec(change.clone());
        let fused = load(&spec, &tensors(&spec)).forward(&inputs(&spec, &[(640, 200), (50, 60)])).unwrap();
        assert_eq!(fused.attention.len(), 2);
        let sum = (&fused.attention[0] + &fused.attention[1]).unwrap();
        assert_eq!(sum.dims(), [2, fused.grid.cells()]);
        for value in sum.flatten_all().unwrap().to_vec1::<f32>().unwrap() {
            assert!((value - 1.0).abs() < 1e-5, "{change}: {value}");
        }
    }
}

#[test]
fn a_batch_is_its_images() {
    let spec = spec(json!({"query_num_list": [4, 16]}));
    let sva = load(&spec, &tensors(&spec));
    let sizes = [(640, 200), (50, 60), (1, 700)];
    let together = inputs(&spec, &sizes);
    let all = sva.forward(&together).unwrap().tokens;
    for (row, &size) in sizes.iter().enumerate() {
        let mut alone = together.clone();
        alone.features = alone.features.iter().map(|f| f.narrow(0, row, 1).unwrap()).collect();
        alone.image_sizes = vec![size];
        let one = sva.forward(&alone).unwrap().tokens;
        let gap = (one.get(0).unwrap() - all.get(row).unwrap()).unwrap().abs().unwrap();
        let gap: f32 = gap.flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap();
        assert!(gap < 1e-5, "image {row}: {gap}");
    }
}

#[test]
fn zeroed_outputs_make_layers_the_identity() {
    let spec = spec(json!({"connector_depth": 3}));
    let mut tensors = tensors(&spec);
    for (key, tensor) in &mut tensors {
        if key.ends_with("proj_out.linear_2.weight") {
            *tensor = tensor.zeros_like().unwrap();
        }
    }
    let sva = load(&spec, &tensors);
    let fused = sva.forward(&inputs(&spec, &[(640, 200)])).unwrap();
    // Every query stays what it was, so every token is the projection of the same query.
    let states = bits(&fused.tokens);
    assert!(states.chunks(12).all(|token| token == &states[..12]));
    // And the layers would do something otherwise.
    tensors.insert("model.vision_sampler_0.layers.1.proj_out.linear_2.weight".into(), noise(&[16, 16], 7));
    let moved = load(&spec, &tensors).forward(&inputs(&spec, &[(640, 200)])).unwrap();
    assert_ne!(bits(&moved.tokens), states);
}

#[test]
fn wrong_inputs_are_named() {
    let spec = spec(json!({}));
    let sva = load(&spec, &tensors(&spec));
    let good = inputs(&spec, &[(64, 48)]);
    let message = |inputs| sva.forward(&inputs).unwrap_err().to_string();
    let mut few = good.clone();
    few.features.pop();
    assert_eq!(message(few), "demo: features of 1 encoders; this connector fuses 2");
    let mut wide = good.clone();
    wide.features[1] = noise(&[1, 64, 11], 1);
    assert_eq!(
        message(wide),
        "demo: features of encoder 1 are [1, 64, 11]; expected [1, 64, 10] for 1 image sizes"
    );
    let mut flat = good.clone();
    flat.image_sizes[0] = (0, 5);
    assert_eq!(message(flat), "demo: an image of 0×5 pixels");
    let fused = sva.forward(&good).unwrap();
    assert_eq!(sva.block(&fused, 1).unwrap_err().to_string(), "image 1 of a batch of 1");
}
