//! One joint layer spelled out with numbers: one query, two encoders, one and four keys.

use serde_json::json;
use zoo_core::Connector;

use crate::common::{Tensors, inputs, load, spec, tensors};

type Vector = Vec<f64>;

const HEADS: usize = 16;

struct Numbers<'a>(&'a Tensors);

impl Numbers<'_> {
    fn vector(&self, name: &str) -> Vector {
        let flat = self.0[&format!("model.{name}")].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        flat.into_iter().map(f64::from).collect()
    }

    /// `W x`, and `+ b` if there is one.
    fn linear(&self, name: &str, x: &[f64]) -> Vector {
        let weight = self.vector(&format!("{name}.weight"));
        let mut y: Vector = weight.chunks(x.len()).map(|w| dot(w, x)).collect();
        if self.0.contains_key(&format!("model.{name}.bias")) {
            add(&mut y, &self.vector(&format!("{name}.bias")));
        }
        y
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vector {
        let (weight, bias) = (self.vector(&format!("{name}.weight")), self.vector(&format!("{name}.bias")));
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let unit = |i: usize| (x[i] - mean) / (variance + 1e-5).sqrt();
        (0..x.len()).map(|i| unit(i) * weight[i] + bias[i]).collect()
    }

    fn norm_linear(&self, name: &str, x: &[f64]) -> Vector {
        self.linear(&format!("{name}.1"), &self.norm(&format!("{name}.0"), x))
    }

    fn mlp(&self, first: &str, second: &str, x: &[f64]) -> Vector {
        self.linear(second, &self.linear(first, x).into_iter().map(gelu).collect::<Vector>())
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(a: &mut [f64], b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}

/// `x Φ(x)`, with Φ by Simpson's rule.
fn gelu(x: f64) -> f64 {
    let density = |t: f64| (-t * t / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let steps = 200;
    let h = x / f64::from(steps);
    let weight = |i: i32| if i == 0 || i == steps { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
    let integral: f64 = (0..=steps).map(|i| weight(i) * density(f64::from(i) * h)).sum::<f64>() * h / 3.0;
    x * (0.5 + integral)
}

#[test]
fn a_joint_layer() {
    let spec = spec(json!({
        "vision_hidden_size": 32, "inputs": [6, 10], "token_lens": [1, 4], "image_token_len": 1,
        "query_num_list": [1]
    }));
    let tensors = tensors(&spec);
    let inputs = inputs(&spec, &[(50, 50)]);
    let fused = load(&spec, &tensors).forward(&inputs).unwrap();
    let numbers = Numbers(&tensors);

    // Five keys in width 32.
    let mut keys: Vec<(usize, Vector)> = Vec::new();
    for (k, features) in inputs.features.iter().enumerate() {
        for token in features.get(0).unwrap().to_vec2::<f32>().unwrap() {
            let token: Vector = token.into_iter().map(f64::from).collect();
            let name = format!("mm_projector_aux_{k}");
            let token = numbers.mlp(&format!("{name}.0"), &format!("{name}.2"), &token);
            keys.push((k, numbers.norm(&format!("{name}.3"), &token)));
        }
    }
    let context = keys[0].1.clone();
    let positions = numbers.vector("vision_sampler_0.layers.0.pos_embed_1");
    for (key, position) in keys[1..].iter_mut().zip(positions.chunks(32)) {
        add(&mut key.1, position);
    }

    let layer = |part: &str| format!("vision_sampler_0.layers.0.{part}");
    let query = numbers.vector("vision_query");
    let context = numbers.linear(&layer("proj_context"), &context);
    let mut h = numbers.linear(&layer("proj_in"), &[query.clone(), context].concat());
    let q = numbers.norm_linear(&layer("cross_attn.q_proj"), &h);
    let projected = |which: &str| -> Vec<Vector> {
        let name = |k: &usize| layer(&format!("cross_attn.{which}_proj_{k}"));
        keys.iter().map(|(k, key)| numbers.norm_linear(&name(k), key)).collect()
    };
    let (ks, vs) = (projected("k"), projected("v"));
    let (mut mixed, mut share) = (vec![0.0; 32], 0.0);
    for head in 0..HEADS {
        let part = 2 * head..2 * head + 2;
        let scores: Vector =
            ks.iter().map(|k| (dot(&q[part.clone()], &k[part.clone()]) / 2f64.sqrt()).exp()).collect();
        let sum: f64 = scores.iter().sum();
        share += scores[0] / sum / HEADS as f64;
        for (score, v) in scores.iter().zip(&vs) {
            part.clone().for_each(|i| mixed[i] += score / sum * v[i]);
        }
    }
    add(&mut h, &numbers.linear(&layer("cross_attn.o_proj"), &mixed));
    let h = numbers.norm(&layer("norm"), &h);
    let mut x = numbers.mlp(&layer("proj_out.linear_1"), &layer("proj_out.linear_2"), &h);
    add(&mut x, &query);
    let expected = numbers.mlp("mm_projector.0", "mm_projector.2", &x);

    let got = fused.tokens.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (got, expected) in got.into_iter().zip(&expected) {
        assert!((f64::from(got) - expected).abs() < 1e-5, "{got} instead of {expected}");
    }
    let shares = [share, 1.0 - share];
    for (attention, share) in fused.attention.iter().zip(shares) {
        let got = f64::from(attention.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]);
        assert!((got - share).abs() < 1e-6, "{got} instead of {share}");
    }
}
