//! What folders mean, and what is said of those that cannot be meant. No weights are needed beyond headers.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]
#![recursion_limit = "256"] // a configuration as one `json!`

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};
use zoo_registry::Registry;
use zoo_release::Release;

/// Cambrian-8B's configuration, as it is published.
fn cambrian_8b() -> Value {
    json!({
        "architectures": ["CambrianLlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 128000, "connector_depth": 3, "connector_only": false, "eos_token_id": 128001,
        "freeze_mm_mlp_adapter": false, "hidden_act": "silu", "hidden_size": 4096, "image_aspect_ratio": "pad",
        "image_position": 91, "image_token_len": 576, "initializer_range": 0.02, "intermediate_size": 14336,
        "max_position_embeddings": 8192, "mm_hidden_size": 1024, "mm_patch_merge_type": "flat",
        "mm_projector_lr": null, "mm_projector_type": "sva", "mm_use_im_patch_token": false,
        "mm_use_im_start_end": false, "mm_vision_select_feature": "patch", "mm_vision_select_layer": -2,
        "mm_vision_tower_aux_list": [
            "siglip/CLIP-ViT-SO400M-14-384", "openai/clip-vit-large-patch14-336", "facebook/dinov2-giant-res378",
            "clip-convnext-XXL-multi-stage"
        ],
        "mm_vision_tower_aux_token_len_list": [576, 576, 576, 9216], "model_type": "cambrian_llama",
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
        "num_of_vision_sampler_layers": 10, "num_query_group": 1, "pretraining_tp": 1, "query_num_list": [576],
        "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 500000.0, "spmd_debug": null,
        "start_of_vision_sampler_layers": 0, "stride_of_vision_sampler_layers": 3, "tie_word_embeddings": false,
        "tokenizer_model_max_length": 2048, "tokenizer_padding_side": "right", "torch_dtype": "float32",
        "transformers_version": "4.40.1", "tune_mm_mlp_adapter": false, "unfreeze_mm_vision_tower": false,
        "use_cache": false, "use_mm_proj": true, "vision_hidden_size": 1024,
        "vision_tower_aux_token_len_list": [576, 576, 576, 9216], "vocab_size": 128256
    })
}

/// LLaVA-1.5-7B's.
fn llava() -> Value {
    json!({
        "architectures": ["LlavaLlamaForCausalLM"], "hidden_size": 4096, "image_aspect_ratio": "pad",
        "intermediate_size": 11008, "max_position_embeddings": 4096, "mm_hidden_size": 1024,
        "mm_projector_type": "mlp2x_gelu", "mm_vision_select_feature": "patch", "mm_vision_select_layer": -2,
        "mm_vision_tower": "openai/clip-vit-large-patch14-336", "model_type": "llava",
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32, "pad_token_id": 0,
        "rms_norm_eps": 1e-05, "rope_scaling": null, "vocab_size": 32000
    })
}

struct Folder(tempfile::TempDir);

impl Folder {
    /// A model folder with this configuration and a checkpoint of the marks that tell what it holds.
    fn new(config: &Value) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("config.json", &config.to_string());
        folder.write("tokenizer.json", "{}");
        folder.tensors("model.safetensors", &["model.mm_projector.0.weight", "model.norm.weight"]);
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path().join(name)).unwrap();
    }

    fn tensors(&self, name: &str, keys: &[&str]) {
        let zero = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
        let all: HashMap<&str, Tensor> = keys.iter().map(|key| (*key, zero.clone())).collect();
        candle_core::safetensors::save(&all, self.path().join(name)).unwrap();
    }

    fn read(&self, name: Option<&str>) -> zoo_release::Result<Release> {
        Release::read(self.path(), name, &Registry::shipped().unwrap())
    }
}

fn with(mut config: Value, key: &str, value: Value) -> Value {
    config[key] = value;
    config
}

fn without(mut config: Value, key: &str) -> Value {
    config.as_object_mut().unwrap().remove(key);
    config
}

/// The folder of `config`, changed by `change`, is refused with a message that holds all of `parts`.
#[track_caller]
fn refused(config: &Value, change: impl FnOnce(&Folder), parts: &[&str]) {
    let folder = Folder::new(config);
    change(&folder);
    let message = match folder.read(None).and_then(|release| release.template(None).map(|_| ())) {
        Ok(()) => panic!("{parts:?} was accepted"),
        Err(error) => error.to_string(),
    };
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

/// The folder of `config` is accepted with one warning that holds `part`.
#[track_caller]
fn warned(config: &Value, part: &str) -> Release {
    let release = Folder::new(config).read(None).unwrap();
    assert_eq!(release.warnings.len(), 1, "{:?}", release.warnings);
    assert!(release.warnings[0].contains(part), "{:?}", release.warnings);
    release
}

#[test]
fn cambrian_8b_is_what_the_registry_says_of_it() {
    let registry = Registry::shipped().unwrap();
    let release = Folder::new(&cambrian_8b()).read(Some("cambrian-8b")).unwrap();
    assert_eq!(release.warnings, Vec::<String>::new());

    let row = registry.model("cambrian-8b").unwrap();
    let ensemble = registry.ensemble(&row.ensemble).unwrap();
    let mut inputs = Vec::new();
    for (choice, member) in release.encoders.iter().zip(&ensemble.members) {
        let member = registry.member(member).unwrap();
        assert_eq!((&choice.id, &choice.layers), (&member.row.id, &member.layers));
        assert_eq!((choice.tokens, choice.norm), (member.tokens, member.norm));
        let resolution = choice.resolution.unwrap_or(member.row.resolution);
        assert_eq!(resolution, member.resolution, "{}", choice.id);
        inputs.push((member.channels(), member.grid().cells()));
    }
    assert_eq!(inputs.len(), 4);
    let connector = release.connector.as_ref().unwrap();
    assert_eq!((connector.plugin.as_str(), connector.architecture.as_str()), ("sva", "sva"));
    assert_eq!(connector.arch(&inputs), registry.connector(&row.connector).unwrap().arch);

    let llm = registry.llm(&row.llm).unwrap();
    assert_eq!((&release.decoder.plugin, &release.decoder.architecture), (&llm.plugin, &llm.architecture));
    for (key, value) in &llm.arch {
        assert_eq!(&release.decoder.arch[key], value, "{key}");
    }
    assert_eq!(release.template(None).unwrap().name, row.template);
    assert_eq!(release.eos, [128001]);
    assert_eq!(release.tokenizer_model_max_length, Some(2048));
}

#[test]
fn llava_is_the_simplest_member() {
    let release = Folder::new(&llava()).read(Some("llava-v1.5-7b")).unwrap();
    assert_eq!(release.warnings, Vec::<String>::new());
    assert_eq!(release.encoders.len(), 1);
    assert_eq!(release.encoders[0].layers, [-2]);
    let connector = release.connector.as_ref().unwrap();
    assert_eq!((connector.plugin.as_str(), connector.architecture.as_str()), ("projectors", "mlp_gelu"));
    let arch = Value::Object(connector.arch(&[(1024, 576)]));
    let expected = json!({
        "inputs": [1024], "token_len": 576, "output": 4096, "depth": 2, "newline": false, "unpad": false
    });
    assert_eq!(arch, expected);
    assert_eq!(release.template(None).unwrap().name, "vicuna_v1");
}

/// The configuration of the same model as transformers publishes it; what is left out is as in `LlamaConfig`.
#[test]
fn a_nested_llava_is_the_flat_one() {
    let vision = json!({
        "hidden_size": 1024, "image_size": 336, "intermediate_size": 4096, "model_type": "clip_vision_model",
        "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768
    });
    let nested = json!({
        "architectures": ["LlavaForConditionalGeneration"], "image_token_index": 32000, "model_type": "llava",
        "projector_hidden_act": "gelu", "vision_feature_layer": -2, "vision_feature_select_strategy": "default",
        "text_config": {
            "model_type": "llama", "max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "vocab_size": 32000,
            "num_key_value_heads": 32
        },
        "vision_config": vision
    });
    let (nested, flat) =
        (Folder::new(&nested).read(None).unwrap(), Folder::new(&llava()).read(None).unwrap());
    assert_eq!(nested.encoders, flat.encoders);
    assert_eq!(nested.decoder.arch, flat.decoder.arch);
    assert_eq!(nested.template(None).unwrap(), flat.template(None).unwrap());
    assert_eq!(nested.warnings, Vec::<String>::new());
    let arch = |r: &Release| r.connector.as_ref().unwrap().arch(&[(1024, 576)]);
    assert_eq!(arch(&nested), arch(&flat));
}

#[test]
fn the_layer_of_the_configuration_is_that_of_the_tower_that_reads_it() {
    let config = with(cambrian_8b(), "mm_vision_select_layer", json!(-3));
    let layers: Vec<_> =
        Folder::new(&config).read(None).unwrap().encoders.into_iter().map(|e| e.layers).collect();
    assert_eq!(layers, [vec![-1], vec![-3], vec![-1], vec![0, 1, 2, 3]]);
    // What the training script assumes.
    let config = without(cambrian_8b(), "mm_vision_select_layer");
    assert_eq!(Folder::new(&config).read(None).unwrap().encoders[1].layers, [-1]);
}

#[test]
fn every_projector_type_has_its_architecture() {
    for (kind, architecture, depth) in [
        ("linear", "linear", None),
        ("mlp2x_gelu", "mlp_gelu", Some(2)),
        ("mlp4x_gelu", "mlp_gelu", Some(4)),
        ("identity", "identity", None),
        ("se_mlp", "se_mlp", None),
        ("CAbstractor", "c_abstractor_released", None),
    ] {
        let config = with(cambrian_8b(), "mm_projector_type", json!(kind));
        let config = with(config, "mm_vision_tower_aux_token_len_list", json!([576, 576, 576, 576]));
        let connector = Folder::new(&config).read(None).unwrap().connector.unwrap();
        let arch = connector.arch(&[(1, 576), (2, 576), (3, 576), (4, 576)]);
        assert_eq!(connector.architecture, architecture);
        assert_eq!(arch.get("depth").and_then(Value::as_u64), depth, "{kind}");
        assert_eq!((&arch["newline"], &arch["unpad"]), (&json!(true), &json!(true)), "{kind}");
        assert_eq!(arch["token_len"], json!(576), "{kind}");
    }
}

#[test]
fn absent_fields_have_the_defaults_of_the_training_script() {
    let mut config = with(cambrian_8b(), "connector_only", json!(false));
    for key in [
        "connector_depth",
        "query_num_list",
        "num_query_group",
        "vision_hidden_size",
        "image_token_len",
        "num_of_vision_sampler_layers",
        "start_of_vision_sampler_layers",
        "stride_of_vision_sampler_layers",
    ] {
        config = without(config, key);
    }
    let arch = Folder::new(&config).read(None).unwrap().connector.unwrap().arch(&[(8, 576); 4]);
    for (key, value) in [
        ("connector_depth", json!(1)),
        ("query_num_list", json!([576])),
        ("vision_hidden_size", json!(1024)),
        ("image_token_len", json!(576)),
        ("num_of_vision_sampler_layers", json!(10)),
        ("start_of_vision_sampler_layers", json!(16)),
        ("stride_of_vision_sampler_layers", json!(1)),
    ] {
        assert_eq!(arch[key], value, "{key}");
    }
    let arch = Folder::new(&without(cambrian_8b(), "connector_only")).read(None).unwrap().connector.unwrap();
    assert_eq!(arch.arch(&[(8, 576); 4])["connector_only"], json!(true));
}

#[test]
fn known_mistakes_are_read_as_what_was_meant() {
    let release = warned(&with(cambrian_8b(), "model_type", json!("llava_llama")), "read as Cambrian-1");
    assert_eq!(release.encoders.len(), 4);
    warned(&without(cambrian_8b(), "image_aspect_ratio"), "padded to a square");
    warned(&with(cambrian_8b(), "start_of_vision_sampler_layers", json!(10)), "never used");
    let release = Folder::new(&cambrian_8b());
    release.tensors("model.safetensors", &["model.mm_projector.0.weight", "model.embed_tokens.weight"]);
    let release = release.read(None).unwrap();
    assert!(release.warnings[0].contains("the stored embedding table has 1 rows"), "{:?}", release.warnings);
    assert_eq!((release.decoder.vocab, &release.decoder.arch["vocab_size"]), (1, &json!(1)));
}

#[test]
fn numbers_of_new_configurations_are_found() {
    let config = without(without(cambrian_8b(), "rope_theta"), "rope_scaling");
    let config = with(config, "rope_parameters", json!({"rope_theta": 7e5, "rope_type": "default"}));
    let arch = Folder::new(&config).read(None).unwrap().decoder.arch;
    assert_eq!((arch["rope_theta"].as_f64(), arch.get("rope_scaling")), (Some(7e5), None));
}

#[test]
fn the_template_follows_from_the_strongest_sign() {
    let name = |config: &Value, name: Option<&str>, toml: &str| {
        let folder = Folder::new(config);
        folder.write("zoo.toml", toml);
        folder.read(name).unwrap().template(None).map(|t| t.name).ok()
    };
    let unsigned = without(cambrian_8b(), "image_position");
    assert_eq!(name(&unsigned, None, ""), None);
    assert_eq!(name(&unsigned, Some("cambrian-34b"), ""), Some("chatml_direct"));
    assert_eq!(name(&unsigned, Some("cambrian-34b"), "template = \"mpt\""), Some("mpt"));
    assert_eq!(name(&cambrian_8b(), None, ""), Some("llama_3"));
    assert_eq!(name(&with(cambrian_8b(), "image_position", json!(87)), None, ""), Some("chatml_direct"));
    assert_eq!(name(&with(unsigned.clone(), "model_type", json!("cambrian_phi3")), None, ""), Some("phi3"));
    // 35 is also the default of the training script; the vocabulary decides.
    let vicuna = with(unsigned, "image_position", json!(35));
    assert_eq!(name(&vicuna, None, ""), None);
    assert_eq!(name(&with(vicuna, "vocab_size", json!(32000)), None, ""), Some("vicuna_v1"));
    assert_eq!(name(&llava(), None, ""), Some("vicuna_v1"));
}

#[test]
fn zoo_toml_points_at_local_files() {
    let folder = Folder::new(&cambrian_8b());
    folder.write("clip.json", r#"{"depth": 3}"#);
    let encoder = |id: &str, rest: &str| format!("[[encoder]]\nid = \"{id}\"\n{rest}\n");
    let toml = [
        "template = \"mpt\"\nnewline_after_image = \"drop\"\n".to_owned(),
        encoder("siglip-so400m-14-384", "weights = \"siglip.safetensors\""),
        encoder("clip-vit-l-14-336", "arch_override = \"clip.json\""),
        encoder("dinov2-vit-g-14", ""),
        encoder("openclip-convnext-xxl", ""),
        "[llm]\nweights = \"../decoder.gguf\"\n".to_owned(),
    ];
    folder.write("zoo.toml", &toml.concat());
    let release = folder.read(None).unwrap();
    assert_eq!(release.encoders[0].weights, Some(folder.path().join("siglip.safetensors")));
    assert_eq!(release.encoders[1].arch_override.as_ref().unwrap()["depth"], json!(3));
    // What the tower's name says stays, though the file names only the encoder.
    assert_eq!(release.encoders[2].resolution, Some(378));
    assert_eq!(release.encoders[3].layers, [0, 1, 2, 3]);
    assert_eq!(release.decoder.weights, [folder.path().join("../decoder.gguf")]);
    assert_eq!(release.connector.unwrap().weights, [folder.path().join("model.safetensors")]);
    assert_eq!(release.newline, zoo_language::tokens::NewlineAfterImage::Drop);
    assert_eq!(release.warnings, Vec::<String>::new());
}

#[test]
fn a_part_that_zoo_toml_gives_replaces_that_part_only() {
    let folder = Folder::new(&cambrian_8b());
    let ids =
        ["siglip-so400m-14-384", "clip-vit-l-14-336", "dinov2-vit-g-14@518", "openclip-convnext-xxl@512"];
    let toml: String = ids.map(|id| format!("[[encoder]]\nid = \"{id}\"\n")).concat();
    folder.write("zoo.toml", &toml);
    let release = folder.read(None).unwrap();
    let read = |k: usize| (release.encoders[k].resolution, release.encoders[k].layers.as_slice());
    // `-res378` of the tower gives way to 518 pixels, which is the encoder's own; `-multi-stage` stays.
    assert_eq!(read(2), (None, &[-1][..]));
    assert_eq!(read(3), (Some(512), &[0, 1, 2, 3][..]));
}

/// What Python writes and reads, and JSON is not.
#[test]
fn configurations_with_marks_and_numbers_of_python_are_read() {
    let folder = Folder::new(&cambrian_8b());
    let text = cambrian_8b().to_string();
    let text = text.replacen('{', r#"{"time_step_limit": [0.0, Infinity], "z_loss": NaN, "#, 1);
    folder.write("config.json", &format!("\u{feff}{text}"));
    folder.write("generation_config.json", "\u{feff}{\"eos_token_id\": [1, 2], \"penalty\": -Infinity}");
    assert_eq!(folder.read(None).unwrap().eos, [1, 2]);
    // A number that is asked for must be one.
    let text = text.replace("\"hidden_size\":4096", "\"hidden_size\":NaN");
    folder.write("config.json", &text);
    let message = folder.read(None).unwrap_err().to_string();
    assert!(message.contains("config.json: `hidden_size` is \"NaN\"; a whole number"), "{message}");
}

#[test]
fn a_checkpoint_in_parts_needs_no_index() {
    let folder = Folder::new(&cambrian_8b());
    folder.remove("model.safetensors");
    folder.tensors("model-00001-of-00002.safetensors", &["model.mm_projector.0.weight"]);
    let message = folder.read(None).unwrap_err().to_string();
    assert!(message.contains("number 2 is missing"), "{message}");
    folder.tensors("model-00002-of-00002.safetensors", &["model.norm.weight"]);
    // Beside them other files may lie, as the weights of encoders.
    folder.tensors("eye.safetensors", &["w"]);
    let release = folder.read(None).unwrap();
    assert_eq!(release.decoder.weights, [folder.path()]);
    assert_eq!(release.connector.unwrap().weights, [folder.path()]);
}

#[test]
fn an_adapter_is_told_from_a_model() {
    let describe = |folder: &Folder| {
        folder.write("adapter_config.json", "{\"base_model_name_or_path\": \"org/base\"}");
    };
    let parts = ["LoRA adapter of `org/base`", "merge_and_unload"];
    for missing in ["config.json", "model.safetensors"] {
        refused(
            &cambrian_8b(),
            |folder| {
                describe(folder);
                folder.remove(missing);
            },
            &parts,
        );
    }
    let folder = Folder::new(&cambrian_8b());
    describe(&folder);
    assert!(folder.read(None).unwrap().warnings[0].contains("LoRA adapter beside the weights"));
}

#[test]
fn a_connector_beside_a_base_model_is_a_model() {
    let folder = Folder::new(&cambrian_8b());
    folder.tensors("model.safetensors", &["model.norm.weight"]);
    fs::write(folder.path().join("mm_projector.bin"), "").unwrap();
    let release = folder.read(None).unwrap();
    assert_eq!(release.connector.unwrap().weights, [folder.path().join("mm_projector.bin")]);
    assert_eq!(release.decoder.weights, [folder.path().join("model.safetensors")]);
}

#[test]
fn what_is_no_model_folder_says_what_it_lacks() {
    let good = cambrian_8b();
    refused(&good, |f| f.remove("config.json"), &["this is no model folder", "config.json"]);
    refused(&good, |f| f.remove("tokenizer.json"), &["tokenizer.json (or tokenizer.model)"]);
    refused(&good, |f| f.remove("model.safetensors"), &["no weights here", "model.safetensors"]);
    let only_connector = |f: &Folder| {
        f.remove("model.safetensors");
        f.write("mm_projector.bin", "");
    };
    refused(&good, only_connector, &["mm_projector.bin", "no language model", "[llm]", "weights = "]);
    refused(&good, |f| f.write("config.json", "{"), &["config.json", "no JSON"]);
    refused(&good, |f| f.write("config.json", "[]"), &["config.json", "no object"]);
    let message = Release::read("no/such/folder".as_ref(), None, &Registry::shipped().unwrap()).unwrap_err();
    assert!(message.to_string().contains("there is no such folder"), "{message}");
    let index = r#"{"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}"#;
    let shard = |f: &Folder| f.write("model.safetensors.index.json", index);
    refused(&good, shard, &["shard `model-00001-of-00002.safetensors` is not there"]);
}

#[test]
fn configurations_that_cannot_be_meant_name_the_key() {
    let good = cambrian_8b();
    let keep = |_: &Folder| {};
    refused(&without(good.clone(), "model_type"), keep, &["config.json", "no `model_type`"]);
    refused(
        &with(good.clone(), "model_type", json!("cambrian_cohere")),
        keep,
        &["config.json", "no decoder for language models of type `cambrian_cohere`", "cambrian_llama"],
    );
    refused(&without(good.clone(), "hidden_size"), keep, &["config.json", "no `hidden_size`"]);
    refused(
        &with(good.clone(), "connector_depth", json!("three")),
        keep,
        &["`connector_depth` is \"three\"; a whole number is expected there"],
    );
    refused(
        &with(good.clone(), "mm_vision_tower_aux_list", json!(["openai/clip-vit-large-patch14-335"])),
        keep,
        &["`mm_vision_tower_aux_token_len_list` has 4 numbers for 1 towers"],
    );
    let towers = json!(["siglip/CLIP-ViT-SO400M-14-384", "openai/clip-vit-large-patch14-335", "a", "b"]);
    refused(
        &with(good.clone(), "mm_vision_tower_aux_list", towers),
        keep,
        &["config.json", "there is no encoder `openai/clip-vit-large-patch14-335`", "did you mean"],
    );
    refused(
        &with(good.clone(), "mm_projector_type", json!("qformer")),
        keep,
        &[
            "`mm_projector_type`: there is no projector for connectors of type `qformer`",
            "known are sva, mlp{depth}",
        ],
    );
    refused(
        &with(good.clone(), "mm_projector_type", json!("linear")),
        keep,
        &["must give equally many tokens", "[576, 576, 576, 9216]"],
    );
    refused(&with(good.clone(), "num_query_group", json!(2)), keep, &["`num_query_group` is 2"]);
    refused(&with(good.clone(), "image_aspect_ratio", json!("anyres")), keep, &["tiles are not supported"]);
    refused(&with(good.clone(), "mm_use_im_start_end", json!(true)), keep, &["marks around images"]);
    refused(
        &with(good.clone(), "mm_vision_select_feature", json!("cls_patch")),
        keep,
        &["only \"patch\" is supported"],
    );
    refused(
        &without(good, "image_position"),
        keep,
        &["nothing here tells the conversation template", "--template", "vicuna_v1"],
    );
}

#[test]
fn mistakes_in_zoo_toml_are_shown_in_their_line() {
    let good = cambrian_8b();
    let toml = |text: &'static str| move |f: &Folder| f.write("zoo.toml", text);
    refused(
        &good,
        toml("template = \"llama_3\"\ntemplat = 1\n"),
        &["zoo.toml:2:1: unknown key `templat`", "template"],
    );
    refused(&good, toml("newline_after_image = \"maybe\"\n"), &["zoo.toml:1:", "unknown value `maybe`"]);
    refused(&good, toml("[[encoder]]\nweights = \"a\"\n"), &["zoo.toml:1:", "the key `id` is missing"]);
    refused(&good, toml("[[encoder]]\nid = \"clip-vit-l-14-336\"\n"), &["1 `[[encoder]]` for 4 towers"]);
    refused(&good, toml("template = \"llama3\"\n"), &["no conversation template `llama3`", "`llama_3`"]);
    let text_only = json!({"model_type": "llama", "hidden_size": 8, "vocab_size": 8});
    refused(&text_only, toml("[[encoder]]\nid = \"x\"\n"), &["config.json names no tower"]);
}
