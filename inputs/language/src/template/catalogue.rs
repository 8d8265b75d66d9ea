//! The templates of the reference's `conversation.py`, and Qwen2's own, as rows.

use super::render::Style;
use super::{Template, texts};

/// Which template a released checkpoint was trained with.
pub(super) const RELEASED: &[(&str, &str)] = &[
    ("cambrian-phi3-3b", "phi3"),
    ("cambrian-8b", "llama_3"),
    ("cambrian-13b", "vicuna_v1"),
    ("cambrian-34b", "chatml_direct"),
    ("llava-v1.5-7b", "vicuna_v1"),
    ("llava-v1.5-13b", "vicuna_v1"),
    ("llava-1.5-7b-hf", "vicuna_v1"),
    ("llava-1.5-13b-hf", "vicuna_v1"),
];

/// What most rows leave as it is.
const ROW: Template = Template {
    name: "",
    aliases: &[],
    system: "",
    examples: &[],
    style: Style::Plain { end: "\n" },
    image: ["", ""],
    bos: None,
    stops: &[],
    tokens: &[],
};

const HASHES: Style = Style::Labelled { labels: ["Human", "Assistant"], gap: "###", end: "###" };
const VICUNA: Style = Style::Labelled { labels: ["USER", "ASSISTANT"], gap: " ", end: "</s>" };
const CHATML_HEADERS: [&str; 3] = ["<|im_start|>system\n", "<|im_start|>user\n", "<|im_start|>assistant\n"];
const CHATML: Style = Style::Headed { headers: CHATML_HEADERS, end: "<|im_end|>", tail: "" };
/// The tokenizer writes the first `<s>`, the template those between turns.
const LLAMA_2: Style = Style::Instruct { between: "<s>", lead: " ", end: " </s>" };
const MM_TAG: [&str; 2] = ["<Image>", "</Image>"];
const EOS: &[&str] = &["</s>"];

pub(super) static TEMPLATES: &[Template] = &[
    Template {
        name: "llama_3",
        aliases: &["llama_v3"],
        system: texts::CAMBRIAN_LINES,
        // Unlike Meta's own template: no blank line after a header.
        style: Style::Headed {
            headers: [
                "<|start_header_id|>system<|end_header_id|>",
                "<|start_header_id|>user<|end_header_id|>",
                "<|start_header_id|>assistant<|end_header_id|>",
            ],
            end: "<|eot_id|>",
            tail: "",
        },
        bos: Some("<|begin_of_text|>"),
        stops: &["<|eot_id|>", "<|end_of_text|>"],
        tokens: &["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        ..ROW
    },
    Template {
        name: "vicuna_v1",
        aliases: &["v1"],
        system: texts::CURIOUS_USER,
        style: VICUNA,
        stops: EOS,
        tokens: EOS,
        ..ROW
    },
    Template {
        name: "chatml_direct",
        aliases: &["cambrian_chatml", "mistral_direct"],
        system: texts::CAMBRIAN_LINE,
        style: CHATML,
        stops: &["<|im_end|>"],
        tokens: &["<|im_start|>", "<|im_end|>"],
        ..ROW
    },
    Template {
        name: "phi3",
        system: texts::PHI_3,
        style: Style::Headed {
            headers: ["<|system|>\n", "\n<|user|>\n", "\n<|assistant|>\n"],
            end: "<|end|>",
            tail: "",
        },
        stops: &["<|end|>", "<|endoftext|>"],
        tokens: &["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
        ..ROW
    },
    Template { name: "plain", aliases: &["v0_plain"], stops: &["\n"], ..ROW },
    Template {
        name: "vicuna_v0",
        aliases: &["default", "v0"],
        system: texts::CURIOUS_HUMAN,
        examples: &[texts::RENEWABLE],
        style: HASHES,
        stops: &["###"],
        ..ROW
    },
    Template { name: "cambrian_v0", system: texts::CURIOUS_HUMAN, style: HASHES, stops: &["###"], ..ROW },
    Template {
        name: "v0_mmtag",
        aliases: &["cambrian_v0_mmtag"],
        system: texts::VISUAL_CONTENT,
        style: HASHES,
        image: MM_TAG,
        stops: &["###"],
        ..ROW
    },
    Template {
        name: "cambrian_v1",
        system: texts::CURIOUS_HUMAN,
        style: VICUNA,
        stops: EOS,
        tokens: EOS,
        ..ROW
    },
    Template {
        name: "v1_mmtag",
        aliases: &["cambrian_v1_mmtag"],
        system: texts::VISUAL_CONTENT,
        style: VICUNA,
        image: MM_TAG,
        stops: EOS,
        tokens: EOS,
        ..ROW
    },
    Template {
        name: "vicuna_cambrian",
        style: Style::Labelled { labels: ["Human", "GPT"], gap: "\n", end: "\n\n" },
        stops: &["\n\n"],
        ..ROW
    },
    Template {
        name: "cohere_v1",
        system: texts::CURIOUS_HUMAN,
        style: Style::Labelled { labels: ["USER", "ASSISTANT"], gap: " ", end: "<|END_OF_TURN_TOKEN|>" },
        stops: &["<|END_OF_TURN_TOKEN|>"],
        tokens: &["<|END_OF_TURN_TOKEN|>"],
        ..ROW
    },
    Template {
        name: "llama_2",
        system: texts::LLAMA_2,
        style: LLAMA_2,
        stops: EOS,
        tokens: &["<s>", "</s>"],
        ..ROW
    },
    Template {
        name: "cambrian_llama_2",
        system: texts::LANGUAGE_AND_VISION,
        style: LLAMA_2,
        stops: EOS,
        tokens: &["<s>", "</s>"],
        ..ROW
    },
    Template {
        name: "mistral_instruct",
        style: Style::Instruct { between: "", lead: " ", end: " </s>" },
        stops: EOS,
        tokens: EOS,
        ..ROW
    },
    Template {
        name: "mistral_v2",
        style: Style::Instruct { between: "", lead: "", end: "</s>" },
        stops: EOS,
        tokens: EOS,
        ..ROW
    },
    Template {
        name: "mpt",
        system: texts::MPT,
        style: CHATML,
        stops: &["<|im_end|>"],
        tokens: &["<|im_start|>", "<|im_end|>"],
        ..ROW
    },
    Template {
        name: "qwen_2",
        aliases: &["qwen_1_5"],
        system: texts::QWEN,
        // As Qwen writes ChatML itself: a newline after each end mark.
        style: Style::Headed { headers: CHATML_HEADERS, end: "<|im_end|>", tail: "\n" },
        stops: &["<|im_end|>", "<|endoftext|>"],
        tokens: &["<|im_start|>", "<|im_end|>"],
        ..ROW
    },
    Template {
        name: "conv_gemma",
        aliases: &["gemma"],
        // No system header, but the end mark of the empty system text is there.
        style: Style::Headed {
            headers: ["", "<start_of_turn>user\n", "<start_of_turn>model\n"],
            end: "<end_of_turn>",
            tail: "\n",
        },
        stops: &["<end_of_turn>"],
        tokens: &["<start_of_turn>", "<end_of_turn>"],
        ..ROW
    },
];
