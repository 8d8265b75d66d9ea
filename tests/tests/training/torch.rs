//! Steps beside torch's: losses, norms, gradients and parameters (`tests/reference/training.py`).

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::{CONNECTOR, EVERYTHING, PROJECTOR, run, support, train};

/// Numbers at even distances, as `tests/reference/training.py` takes them.
fn sampled(tensor: &Tensor, count: usize) -> Vec<f32> {
    let flat = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (0..count).map(|i| flat[i * flat.len() / count]).collect()
}

fn rms(tensor: &Tensor) -> f64 {
    let flat = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (flat.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / flat.len() as f64).sqrt()
}

/// Two steps of a stage against torch's: losses, norms, gradients and parameters.
#[track_caller]
fn steps_of(family: &str, stage: &str) {
    let checkpoints = support::checkpoints();
    let golden = checkpoints.join(family).join(format!("training/stage-{stage}.safetensors"));
    let golden: BTreeMap<String, Tensor> =
        candle_core::safetensors::load(golden, &Device::Cpu).unwrap().into_iter().collect();
    let numbers = |name: &str| golden[name].to_vec1::<f32>().unwrap();
    let aggregates = golden.contains_key("value:model.vision_query");
    let windows = golden.keys().any(|key| key.contains("pos_emb"));
    let connector = match (aggregates, windows) {
        (true, true) => CONNECTOR.to_owned(),
        // Where each encoder gives one token to a query, no window has positions.
        (true, false) => CONNECTOR.replace(", \"*pos_emb*\"", ""),
        (false, _) => PROJECTOR.to_owned(),
    };
    // All cases show the same images to the same encoders.
    let seen = format!("features = {:?}\n", support::folder().join("seen"));
    let adapter = checkpoints.join(family).join("training/adapter");
    let lora = format!("lora = {{ rank = 4, alpha = 6, dropout = 0.0, adapter = {adapter:?} }}\n");
    let sampler =
        "[[group]]\nname = \"sampler\"\nmatch = [\"*vision_sampler*\", \"*vision_query*\"]\nrate = 1e-4\n";
    let tower = "[[group]]\nname = \"tower\"\nmatch = [\"*vision_tower*\"]\nrate = 2e-5\n";
    let (train_keys, rate, more, group) = match stage {
        "1" => (connector.as_str(), 2e-4, seen, if aggregates { sampler } else { "" }),
        "2-unfrozen" => (EVERYTHING, 4e-5, "unfreeze = [\"*\"]\n".to_owned(), tower),
        "2-lora" => (connector.as_str(), 4e-5, lora + &seen, ""),
        _ => (EVERYTHING, 4e-5, seen, ""),
    };
    let folder = tempfile::tempdir().unwrap();
    let recipe = format!(
        "model = {model:?}\nout = \"out\"\ntrain = {train_keys}\nsteps = 2\n\
         {more}[[data]]\nrecords = {records:?}\nimages = {images:?}\n\
         [batch]\nsize = 2\naccumulate = 2\norder = \"file\"\n\
         [optimizer]\nrate = {rate}\n{group}\
         [schedule]\nshape = \"constant\"\nwarmup = 0.0\n[checkpoints]\nevery = 1\nkeep = 2\n",
        model = checkpoints.join(family),
        records = checkpoints.join("training.json"),
        images = checkpoints.join("images"),
    );
    let mut run = run(&recipe, folder.path());
    let steps = train(&mut run);
    for (step, (loss, norm)) in steps.iter().zip(numbers("losses").into_iter().zip(numbers("norms"))) {
        let (loss, norm) = (f64::from(loss), f64::from(norm));
        let got = step.loss.unwrap();
        assert!((got - loss).abs() < 1e-5 * loss, "{family} {stage}: loss {got}, torch {loss}");
        let got = step.gradient_norm;
        assert!((got - norm).abs() < 1e-4 * norm, "{family} {stage}: norm {got}, torch {norm}");
    }
    // After one step the first moment is a tenth of the clipped gradient.
    let moments = folder.path().join("out/checkpoints/step-00000001/first-moments.safetensors");
    let moments = candle_core::safetensors::load(moments, &Device::Cpu).unwrap();
    let scale = 10.0 / (1.0 / (steps[0].gradient_norm + 1e-6)).min(1.0);
    let values = run.optimiser().values(candle_core::DType::F32).unwrap();
    let keys: Vec<&str> = golden.keys().filter_map(|key| key.strip_prefix("value:")).collect();
    let other: Vec<&str> = values.keys().map(String::as_str).filter(|key| !keys.contains(key)).collect();
    assert!(other.is_empty(), "{family} {stage}: {other:?} are not trained there");
    let (mut left_out, mut compared, mut worst) = (0, 0, [0f64; 2]);
    let largest = keys.iter().map(|key| numbers(&format!("size:{key}"))[0]).fold(0f32, f32::max);
    for key in keys {
        let gradients = numbers(&format!("gradient:{key}"));
        let size = f64::from(numbers(&format!("size:{key}"))[0]);
        let moved = f64::from(numbers(&format!("moved:{key}"))[0]);
        let ours = sampled(&moments[key], gradients.len());
        let (value, expected) = (sampled(&values[key], gradients.len()), numbers(&format!("value:{key}")));
        // An aggregation layer behind the last decoder layer, whose tokens nobody asks about.
        if size == 0.0 {
            assert!(ours.iter().all(|x| *x == 0.0) && value == expected, "{family} {stage} {key} moved");
            continue;
        }
        // What is zero in exact arithmetic is rounding in both.
        if size < 1e-6 * f64::from(largest) {
            let of_keys = ["k_proj.bias", "key.bias"].iter().any(|end| key.ends_with(end));
            assert!(of_keys, "{family} {stage} {key}: a gradient of {size:.1e}");
            continue;
        }
        for i in 0..gradients.len() {
            let gradient = f64::from(gradients[i]);
            // Rows of the embedding table that nobody read.
            if gradient == 0.0 {
                assert!(ours[i] == 0.0 && value[i] == expected[i], "{family} {stage} {key}[{i}] moved");
                continue;
            }
            let apart = (f64::from(ours[i]) * scale - gradient).abs() / size;
            worst[0] = worst[0].max(apart);
            assert!(
                apart < 1e-4,
                "{family} {stage} {key}[{i}]: gradient {apart:.1e} of its size from torch's"
            );
            compared += 1;
            // Adam divides by the size of each gradient, so rounding decides where there is hardly one.
            if gradient.abs() < 1e-3 * size {
                left_out += 1;
                continue;
            }
            let apart = (f64::from(value[i]) - f64::from(expected[i])).abs();
            worst[1] = worst[1].max(apart / moved);
            assert!(
                apart < 1e-4 * rms(&values[key]),
                "{family} {stage} {key}[{i}]: {apart:.1e} from torch's"
            );
        }
    }
    println!(
        "{family}, stage {stage}: gradients within {:.1e} of their size, updates within {:.1e} of theirs",
        worst[0], worst[1]
    );
    assert!(left_out * 50 < compared, "{family} {stage}: {left_out} of {compared} were left out");
}

/// All decoders, with matrices apart and packed, with aggregation inside them and without, and LLaVA's connector.
#[test]
fn steps_are_those_of_torch() {
    for family in [
        "cambrian-llama3",
        "cambrian-vicuna",
        "cambrian-phi3",
        "cambrian-mistral",
        "cambrian-qwen2",
        "cambrian-gemma",
        "cambrian-stage1",
        "llava-1.5",
    ] {
        for stage in ["1", "2"] {
            steps_of(family, stage);
        }
    }
}

/// Through the library, as nobody linked the encoders in.
#[test]
fn steps_with_encoders_are_those_of_torch() {
    for family in ["cambrian-llama3", "cambrian-stage1", "llava-1.5"] {
        steps_of(family, "2-unfrozen");
    }
}

/// From differences that the Python package peft made, to matrices apart and packed.
#[test]
fn steps_with_low_rank_differences_are_those_of_torch() {
    for family in ["cambrian-llama3", "cambrian-phi3"] {
        steps_of(family, "2-lora");
    }
}
