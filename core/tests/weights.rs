//! Reading weight files: containers, shards, layouts, and what is said when they do not fit.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use half::bf16;
use tempfile::TempDir;
use zoo_core::weights::{Checkpoint, Init, Layout, Piece, TensorSource, Weights, WeightsReport};
use zoo_core::{Error, Result};

const INIT: Init = Init::Uniform { bound: 0.5 };

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn ramp(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    Tensor::arange(0f32, count as f32, &Device::Cpu).unwrap().reshape(shape).unwrap()
}

fn save(path: &Path, tensors: &[(&str, &[usize])]) {
    let tensors = tensors.iter().map(|(name, shape)| (*name, ramp(shape))).collect();
    candle_core::safetensors::save(&tensors, path).unwrap();
}

fn open(path: &Path) -> Result<Checkpoint> {
    Checkpoint::open(&[path.to_owned()])
}

#[track_caller]
fn refused(path: &Path, parts: &[&str]) {
    let Err(error) = open(path) else { panic!("{} was opened", path.display()) };
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

// Containers.

#[test]
fn safetensors_keep_names_shapes_and_dtype() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("model.safetensors");
    let tensors = [("a", ramp(&[2, 3])), ("b", ramp(&[4]).to_dtype(DType::BF16).unwrap())].into();
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let file = open(&path).unwrap();
    assert_eq!(file.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(file.shape("a"), Some(&[2, 3][..]));
    assert_eq!(values(&file.load("a").unwrap()), [0., 1., 2., 3., 4., 5.]);
    assert_eq!(file.load("b").unwrap().dtype(), DType::BF16);
    assert!(file.load("c").unwrap_err().to_string().contains("there is no tensor `c`"));
}

#[test]
fn pickles_are_found_in_their_nest_and_views_are_honoured() {
    let file = open(&data("nested.pth.tar")).unwrap();
    let read = |key: &str| (file.shape(key).unwrap().to_vec(), values(&file.load(key).unwrap()));
    assert_eq!(read("plain"), (vec![4, 6], (0..24).map(|i| i as f32).collect()));
    let transposed = (0..24).map(|i| (i % 4 * 6 + i / 4) as f32).collect();
    assert_eq!(read("transposed"), (vec![6, 4], transposed));
    let permuted = ramp(&[2, 3, 4]).permute((1, 2, 0)).unwrap();
    assert_eq!(read("permuted"), (vec![3, 4, 2], values(&permuted)));
    assert_eq!(read("slice"), (vec![2, 3], vec![8., 9., 10., 14., 15., 16.]));
    assert_eq!(read("tail"), (vec![4], vec![20., 21., 22., 23.]));
    assert_eq!(read("expanded"), (vec![2, 3], vec![0., 0., 0., 1., 1., 1.]));
    assert_eq!(read("scalar"), (vec![], vec![7.5]));
    assert_eq!(file.load("half").unwrap().dtype(), DType::F16);
    assert_eq!(file.load("brain").unwrap().dtype(), DType::BF16);
    assert_eq!(file.load("long").unwrap().dtype(), DType::I64);
    // An element type that nobody reads is an error of that tensor, not of the file.
    assert!(file.load("flags").unwrap_err().to_string().contains("BoolStorage"));
    assert!(!file.contains("epoch"));
}

#[test]
fn pickled_parameters_are_tensors() {
    let file = open(&data("parameter.bin")).unwrap();
    assert_eq!(values(&file.load("weight").unwrap()), [0., 1., 2., 3., 4., 5.]);
}

#[test]
fn other_pickles_say_what_they_are() {
    refused(&data("no-tensors.pt"), &["no tensors found", "`args`", "`step`"]);
}

#[test]
fn a_file_cut_short_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("model.safetensors");
    save(&path, &[("a", &[64, 64])]);
    let whole = std::fs::read(&path).unwrap();
    for length in [whole.len() - 1, whole.len() / 2, 40, 9, 3] {
        std::fs::write(&path, &whole[..length]).unwrap();
        refused(&path, &["model.safetensors", "cut short"]);
    }
    let pickle = dir.path().join("pytorch_model.bin");
    let whole = std::fs::read(data("nested.pth.tar")).unwrap();
    std::fs::write(&pickle, &whole[..whole.len() / 2]).unwrap();
    refused(&pickle, &["pytorch_model.bin", "download it again"]);
}

#[test]
fn damaged_pickles_never_panic() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("x.bin");
    let whole = std::fs::read(data("nested.pth.tar")).unwrap();
    for i in (0..whole.len()).step_by(3) {
        let mut bytes = whole.clone();
        bytes[i] ^= 0xff;
        std::fs::write(&path, bytes).unwrap();
        if let Ok(file) = open(&path) {
            for key in file.keys() {
                let _ = file.load(key);
            }
        }
    }
}

#[test]
fn files_that_are_no_weights_say_what_they_are() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("model.safetensors");
    let cases: [(&[u8], &str); 6] = [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"just a text file that somebody renamed", "no safetensors file"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", "header"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x00[]", "no valid safetensors"),
    ];
    for (bytes, part) in cases {
        std::fs::write(&path, bytes).unwrap();
        refused(&path, &["model.safetensors", part]);
    }
    refused(&dir.path().join("nowhere.bin"), &["nowhere.bin"]);
}

// Folders and shards.

fn index(dir: &Path, map: &[(&str, &str)]) -> PathBuf {
    let map: serde_json::Map<_, _> = map.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
    let path = dir.join("model.safetensors.index.json");
    std::fs::write(&path, serde_json::json!({ "weight_map": map }).to_string()).unwrap();
    path
}

#[test]
fn shards_are_one_checkpoint() {
    let dir = TempDir::new().unwrap();
    save(&dir.path().join("one.safetensors"), &[("a", &[2])]);
    save(&dir.path().join("two.safetensors"), &[("b", &[3])]);
    let index = index(dir.path(), &[("a", "one.safetensors"), ("b", "two.safetensors")]);
    for path in [index.as_path(), dir.path()] {
        let file = open(path).unwrap();
        assert_eq!(file.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(values(&file.load("b").unwrap()), [0., 1., 2.]);
    }
    std::fs::remove_file(dir.path().join("two.safetensors")).unwrap();
    refused(&index, &["index.json", "shard `two.safetensors` is not there"]);
}

#[test]
fn shards_stay_in_their_folder() {
    let dir = TempDir::new().unwrap();
    for file in ["../secret.safetensors", "/etc/secret", "a/../../b", ".", ""] {
        refused(&index(dir.path(), &[("a", file)]), &[&format!("`{file}` lies outside")]);
    }
}

#[test]
fn an_index_names_files_in_any_way_and_decides_between_them() {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir(dir.path().join("parts")).unwrap();
    save(&dir.path().join("parts/base.safetensors"), &[("a", &[2]), ("b", &[3]), ("c", &[1])]);
    save(&dir.path().join("over.safetensors"), &[("b", &[4])]);
    let map =
        [("a", "./parts/base.safetensors"), ("b", "./over.safetensors"), ("c", "parts//base.safetensors")];
    let path = index(dir.path(), &map);
    let marked = [b"\xef\xbb\xbf".to_vec(), std::fs::read(&path).unwrap()].concat();
    std::fs::write(&path, marked).unwrap();
    let file = open(dir.path()).unwrap();
    assert_eq!(file.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(file.shape("b"), Some(&[4][..]));
    // Beside some of its shards an index only decides.
    let given = [path, dir.path().join("over.safetensors")];
    assert_eq!(Checkpoint::open(&given).unwrap().keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn numbered_files_without_an_index_are_one_checkpoint() {
    let dir = TempDir::new().unwrap();
    save(&dir.path().join("model-00001-of-00002.safetensors"), &[("a", &[2])]);
    refused(dir.path(), &["of the 2 parts of `model`", "number 2 is missing"]);
    save(&dir.path().join("model-00002-of-00002.safetensors"), &[("b", &[3])]);
    assert_eq!(open(dir.path()).unwrap().keys().collect::<Vec<_>>(), ["a", "b"]);
    // The conventional name counts, whatever lies beside it; of two others neither does.
    save(&dir.path().join("other-00001-of-00001.safetensors"), &[("c", &[3])]);
    save(&dir.path().join("eye.safetensors"), &[("d", &[3])]);
    assert_eq!(open(dir.path()).unwrap().keys().collect::<Vec<_>>(), ["a", "b"]);
    for part in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
        std::fs::remove_file(dir.path().join(part)).unwrap();
    }
    refused(dir.path(), &["several weight files"]);
    std::fs::remove_file(dir.path().join("eye.safetensors")).unwrap();
    assert_eq!(open(dir.path()).unwrap().keys().collect::<Vec<_>>(), ["c"]);
}

#[test]
fn an_adapter_says_what_it_is() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("adapter_model.safetensors");
    save(
        &file,
        &[("base_model.model.q.lora_A.weight", &[2, 2]), ("base_model.model.q.lora_B.weight", &[2, 2])],
    );
    let config = "{\"base_model_name_or_path\": \"org/base\", \"peft_type\": \"LORA\"}";
    std::fs::write(dir.path().join("adapter_config.json"), config).unwrap();
    refused(dir.path(), &["LoRA adapter of `org/base`", "merge_and_unload"]);
    let alone = Weights::open(&[file], DType::F32).unwrap();
    let message = read(&alone).err().unwrap().to_string();
    assert!(message.contains("LoRA adapter") && message.contains("merge_and_unload"), "{message}");
    // Beside a whole model it is not what is read.
    save(&dir.path().join("whole.safetensors"), &[("a", &[2])]);
    assert_eq!(open(dir.path()).unwrap().keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn folders_are_searched_by_convention() {
    let dir = TempDir::new().unwrap();
    refused(dir.path(), &["no weight file here", "model.safetensors"]);
    save(&dir.path().join("odd.safetensors"), &[("odd", &[1])]);
    assert!(open(dir.path()).unwrap().contains("odd"));
    save(&dir.path().join("other.safetensors"), &[("other", &[1])]);
    refused(dir.path(), &["several weight files", "`odd.safetensors`", "`other.safetensors`"]);
    std::fs::copy(data("parameter.bin"), dir.path().join("pytorch_model.bin")).unwrap();
    assert!(open(dir.path()).unwrap().contains("weight"));
    save(&dir.path().join("open_clip_model.safetensors"), &[("clip", &[1])]);
    assert!(open(dir.path()).unwrap().contains("clip"));
}

#[test]
fn one_tensor_in_two_files_is_refused() {
    let dir = TempDir::new().unwrap();
    let paths = ["one.safetensors", "two.safetensors"].map(|n| dir.path().join(n));
    paths.iter().for_each(|p| save(p, &[("a", &[2])]));
    let message = Checkpoint::open(&paths).err().unwrap().to_string();
    assert!(
        message.contains("tensor `a` also stands in") && message.contains("one.safetensors"),
        "{message}"
    );
}

// Layouts.

fn split(name: &str) -> TensorSource {
    match name {
        "attn.qkv.weight" => TensorSource::concat(["q.weight", "k.weight", "v.weight"]),
        "attn.qkv.bias" => {
            let key = |name: &str| Piece::Key(name.to_owned());
            TensorSource::Concat(vec![key("q.bias"), Piece::Zeros, key("v.bias")])
        }
        "token" => TensorSource::squeezed("cls"),
        _ => TensorSource::key(name),
    }
}

static LAYOUTS: [Layout; 2] = [
    Layout {
        name: "split",
        prefixes: &["vision.", ""],
        marker: "q.weight",
        map: split,
        ignored: &["head.*", "ids"],
    },
    Layout {
        name: "fused",
        prefixes: &["", "trunk."],
        marker: "attn.qkv.weight",
        map: |n| TensorSource::key(n),
        ignored: &[],
    },
];

#[test]
fn rows_of_a_matrix_are_those_of_the_tensor_in_any_pieces() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("model.safetensors");
    save(&path, &[("q.weight", &[3, 2]), ("k.weight", &[3, 2]), ("v.weight", &[3, 2]), ("cls", &[2])]);
    let open = |dtype| Weights::open(std::slice::from_ref(&path), dtype).unwrap();
    let weights = open(DType::F32);
    let params = weights.params(&LAYOUTS, &Device::Cpu).unwrap();
    let rows = params.pp("attn").pp("qkv").rows("weight", (9, 2), INIT).unwrap();
    let whole: Vec<f32> = [0., 1., 2., 3., 4., 5.].repeat(3);
    for first in 0..9 {
        for count in 0..=9 - first {
            let mut part = vec![f32::NAN; 2 * count];
            rows.read(first, &mut part);
            assert_eq!(part, whole[2 * first..2 * (first + count)]);
        }
    }
    // Twice: what was mapped comes back.
    drop(rows);
    assert_eq!(values(&params.pp("attn").get("qkv.weight", (9, 2), Init::fan_in(2)).unwrap()), whole);
    // What is misshapen, missing or to be trained is a matter for `get`, which reports it.
    assert!(params.rows("attn.qkv.weight", (9, 3), INIT).is_none());
    assert!(params.rows("more", (1, 1), INIT).is_none());
    let trainable = open(DType::F32).trainable(true);
    let params = trainable.params(&LAYOUTS, &Device::Cpu).unwrap();
    assert!(params.rows("attn.qkv.weight", (9, 2), INIT).is_none());
}

#[test]
fn seeded_rows_are_those_of_the_tensor_in_any_pieces_dtype_and_order() {
    let get = |weights: Weights| {
        let params = weights.params(&LAYOUTS, &Device::Cpu).unwrap();
        values(&params.get("attn.qkv.weight", (9, 2), INIT).unwrap())
    };
    let whole = get(Weights::random(3, DType::F32));
    let pieces: Vec<&[f32]> = whole.chunks(6).collect();
    assert!(pieces[0] != pieces[1] && pieces[1] != pieces[2], "each stored tensor has numbers of its own");
    assert_eq!(get(Weights::random(3, DType::F32).trainable(true)), whole);
    assert_eq!(get(Weights::random(3, DType::F64)), whole);

    let params = Weights::random(3, DType::BF16).params(&LAYOUTS, &Device::Cpu).unwrap();
    let rows = params.rows("attn.qkv.weight", (9, 2), INIT).unwrap();
    for first in (0..9).rev() {
        for count in 0..=9 - first {
            let expected: Vec<bf16> =
                whole[2 * first..2 * (first + count)].iter().map(|&x| bf16::from_f32(x)).collect();
            let mut part = vec![bf16::NAN; 2 * count];
            rows.read(first, &mut part);
            assert_eq!(part, expected);
        }
    }
    assert!(rows.stored().is_none());
    assert_eq!(params.finish().unwrap().parameters, 18);

    let trainable = Weights::random(3, DType::F32).trainable(true);
    let params = trainable.params(&LAYOUTS, &Device::Cpu).unwrap();
    assert!(params.rows("attn.qkv.weight", (9, 2), INIT).is_none());
}

/// What a model would ask for.
fn read(weights: &Weights) -> Result<(Vec<Tensor>, u64, &'static str)> {
    let params = weights.params(&LAYOUTS, &Device::Cpu)?;
    let attn = params.pp("attn").pp("qkv");
    let tensors = vec![
        attn.get("weight", (6, 2), Init::fan_in(2))?,
        attn.get("bias", 6, Init::Const(0.0))?,
        params.get("token", (1, 1, 2), Init::Const(0.0))?,
    ];
    let loaded = params.finish()?;
    Ok((tensors, loaded.parameters, loaded.layout))
}

const SPLIT: [(&str, &[usize]); 6] = [
    ("vision.q.weight", &[2, 2]),
    ("vision.k.weight", &[2, 2]),
    ("vision.v.weight", &[2, 2]),
    ("vision.q.bias", &[2]),
    ("vision.v.bias", &[2]),
    ("vision.cls", &[2]),
];

fn weights(dir: &TempDir, tensors: &[(&str, &[usize])]) -> Weights {
    let path = dir.path().join("model.safetensors");
    save(&path, tensors);
    Weights::open(&[path], DType::F32).unwrap()
}

fn report(weights: &Weights) -> WeightsReport {
    match read(weights) {
        Err(Error::Weights(report)) => *report,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was read"),
    }
}

#[test]
fn layouts_are_told_by_their_keys_and_parts_are_joined() {
    let dir = TempDir::new().unwrap();
    let other: [(&str, &[usize]); 3] =
        [("text.bias", &[9]), ("vision.head.bias", &[1]), ("vision.ids", &[1])];
    let (tensors, parameters, layout) = read(&weights(&dir, &[&SPLIT[..], &other].concat())).unwrap();
    // Biases of keys, which this layout leaves out, are no parameters.
    assert_eq!((layout, parameters), ("split", 18));
    assert_eq!(values(&tensors[0]), [0., 1., 2., 3.].repeat(3));
    assert_eq!(values(&tensors[1]), [0., 1., 0., 0., 0., 1.]);
    assert_eq!(tensors[2].dims(), [1, 1, 2]);

    let fused: [(&str, &[usize]); 3] =
        [("trunk.attn.qkv.weight", &[6, 2]), ("trunk.attn.qkv.bias", &[6]), ("trunk.token", &[1, 1, 2])];
    assert_eq!(read(&weights(&dir, &fused)).unwrap().2, "fused");
}

#[test]
fn what_wrappers_add_to_names_is_passed_over() {
    for wrap in ["module.{}", "_orig_mod.{}", "model.{}", "module._orig_mod.{}", "_orig_mod.module.model.{}"]
    {
        let dir = TempDir::new().unwrap();
        let names: Vec<(String, &[usize])> =
            SPLIT.iter().map(|(name, shape)| (wrap.replace("{}", name), *shape)).collect();
        let mut wrapped: Vec<(&str, &[usize])> = names.iter().map(|(n, s)| (n.as_str(), *s)).collect();
        wrapped.push(("optimizer.step", &[1]));
        assert_eq!(read(&weights(&dir, &wrapped)).unwrap().2, "split", "{wrap}");
    }
    // Wrappers of parts stand in the middle.
    let dir = TempDir::new().unwrap();
    let parts: [(&str, &[usize]); 3] = [
        ("trunk.attn._orig_mod.qkv.weight", &[6, 2]),
        ("trunk.attn._fsdp_wrapped_module._checkpoint_wrapped_module.qkv.bias", &[6]),
        ("trunk.token", &[1, 1, 2]),
    ];
    assert_eq!(read(&weights(&dir, &parts)).unwrap().2, "fused");
}

#[test]
fn weights_that_stand_twice_are_not_chosen_from() {
    let dir = TempDir::new().unwrap();
    let both: Vec<(String, &[usize])> =
        ["module.", "model."].iter().flat_map(|p| SPLIT.map(|(n, s)| (format!("{p}{n}"), s))).collect();
    let both: Vec<(&str, &[usize])> = both.iter().map(|(n, s)| (n.as_str(), *s)).collect();
    let message = read(&weights(&dir, &both)).err().unwrap().to_string();
    for part in ["twice", "`module.vision.`", "`model.vision.`"] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    let twice: [(&str, &[usize]); 2] = [("a.b", &[1]), ("a._orig_mod.b", &[1])];
    let path = dir.path().join("twice.safetensors");
    save(&path, &twice);
    refused(&path, &["tensor `a.b` also stands in"]);
}

#[test]
fn a_model_behind_a_wrapper_is_reloaded_behind_it() {
    let dir = TempDir::new().unwrap();
    let names: Vec<(String, &[usize])> = SPLIT.map(|(n, s)| (format!("module.{n}"), s)).into();
    let wrapped: Vec<(&str, &[usize])> = names.iter().map(|(n, s)| (n.as_str(), *s)).collect();
    let weights = weights(&dir, &wrapped).trainable(true);
    let params = weights.params(&LAYOUTS, &Device::Cpu).unwrap();
    for (name, shape) in [("attn.qkv.weight", &[6, 2][..]), ("attn.qkv.bias", &[6]), ("token", &[1, 1, 2])] {
        params.get(name, shape, Init::Const(0.0)).unwrap();
    }
    let loaded = params.finish().unwrap();
    let tensors = loaded.vars.iter().map(|(key, var)| (key.clone(), var.as_tensor().clone())).collect();
    assert_eq!(read(&Weights::reload(&loaded, tensors, DType::F32)).unwrap().1, 18);
}

#[test]
fn everything_that_does_not_fit_is_listed_at_once() {
    let dir = TempDir::new().unwrap();
    let mut tensors: Vec<(&str, &[usize])> =
        SPLIT.iter().filter(|(n, _)| *n != "vision.k.weight").copied().collect();
    tensors.retain(|(n, _)| *n != "vision.cls");
    tensors.extend([("vision.cls", &[3][..]), ("vision.surprise", &[1]), ("text.bias", &[1])]);
    let report = report(&weights(&dir, &tensors));
    assert_eq!(report.missing, ["vision.k.weight"]);
    assert_eq!(report.misshapen, ["vision.cls: the file has [3], expected [2]"]);
    assert_eq!(report.extra, ["vision.surprise"]);
    let message = report.to_string();
    for part in ["model.safetensors", "layout `split`", "missing (1)", "wrong shape (1)", "not expected (1)"]
    {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

#[test]
fn unknown_layouts_say_what_was_looked_for() {
    let dir = TempDir::new().unwrap();
    let message = read(&weights(&dir, &[("conv1.weight", &[1])])).err().unwrap().to_string();
    for part in [
        "split (`vision.q.weight` or `q.weight`)",
        "fused (`attn.qkv.weight` or `trunk.attn.qkv.weight`)",
        "1 tensors",
        "`conv1.weight`",
    ] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    let wrong = weights(&dir, &SPLIT).with_layout(Some("timm".to_owned()));
    let message = read(&wrong).err().unwrap().to_string();
    assert!(message.contains("no layout `timm`; known: split, fused"), "{message}");
}

#[test]
fn recording_lists_what_a_checkpoint_must_hold() {
    let recorder = Weights::record(DType::F32);
    assert_eq!(read(&recorder).unwrap().1, 18);
    let mut listed: Vec<_> = recorder.manifest().into_iter().map(|t| (t.key, t.shape)).collect();
    listed.sort();
    let mut expected: Vec<_> = SPLIT.iter().map(|(k, s)| ((*k).to_owned(), s.to_vec())).collect();
    expected.sort();
    assert_eq!(listed, expected);

    let fused = Weights::record(DType::F32).with_layout(Some("fused".to_owned()));
    read(&fused).unwrap();
    assert_eq!(fused.manifest()[0].key, "attn.qkv.weight");
}

#[test]
fn trainable_weights_are_variables_by_published_name() {
    let dir = TempDir::new().unwrap();
    let params = weights(&dir, &SPLIT).trainable(true).params(&LAYOUTS, &Device::Cpu).unwrap();
    let joined = params.get("attn.qkv.weight", (6, 2), Init::Const(0.0)).unwrap();
    params.get("attn.qkv.bias", 6, Init::Const(0.0)).unwrap();
    params.get("token", (1, 1, 2), Init::Const(0.0)).unwrap();
    let loaded = params.finish().unwrap();
    assert_eq!(loaded.vars.len(), 6);
    let gradients = joined.sum_all().unwrap().backward().unwrap();
    assert!(gradients.get(loaded.vars["vision.k.weight"].as_tensor()).is_some());
}

/// What diffusers saves: networks whose tensors have equal names, in folders beside one another.
#[test]
fn files_of_several_folders_are_several_networks() {
    let dir = TempDir::new().unwrap();
    for (folder, length) in [("unet", 2), ("vae", 3)] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
        let file = format!("{folder}/diffusion_pytorch_model.safetensors");
        save(&dir.path().join(file), &[("conv_in.bias", &[length])]);
    }
    std::fs::create_dir(dir.path().join("tokenizer")).unwrap();
    std::fs::write(dir.path().join("tokenizer/vocab.json"), "{}").unwrap();
    let whole = [dir.path().to_owned()];
    let message = Checkpoint::open(&whole).err().unwrap().to_string();
    assert!(message.contains("no weight file here"), "{message}");
    std::fs::write(dir.path().join("model_index.json"), "{}").unwrap();
    let parts = ["unet", "vae"].map(|folder| dir.path().join(folder));
    let files = parts.clone().map(|folder| folder.join("diffusion_pytorch_model.safetensors"));
    for paths in [&whole[..], &parts, &files] {
        let checkpoint = Checkpoint::open(paths).unwrap();
        assert_eq!(checkpoint.keys().collect::<Vec<_>>(), ["unet/conv_in.bias", "vae/conv_in.bias"]);
        assert_eq!(checkpoint.load("vae/conv_in.bias").unwrap().dims(), [3]);
        assert!(checkpoint.rows("unet/conv_in.bias").is_some());
    }
    // One folder is one network, and its names are those of its files.
    let alone = Checkpoint::open(&parts[..1]).unwrap();
    assert_eq!(alone.keys().collect::<Vec<_>>(), ["conv_in.bias"]);
}
