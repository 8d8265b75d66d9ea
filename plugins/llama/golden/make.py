"""Golden files of the Llama plugin: transformers, small and odd. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402

ARCH = dict(hidden_size=36, intermediate_size=52, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2,
            vocab_size=97, rope_theta=10000.0, rms_norm_eps=1e-5, max_position_embeddings=64)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
# Row: architecture of the language models under the released checkpoints.
ROWS = {
    "llama-3-8b-instruct": dict(
        hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, vocab_size=128256, rope_theta=500000.0, max_position_embeddings=8192,
        rms_norm_eps=1e-5),
    "vicuna-13b-v1.5": dict(
        hidden_size=5120, intermediate_size=13824, num_hidden_layers=40, num_attention_heads=40,
        num_key_value_heads=40, vocab_size=32000, rope_theta=10000.0, max_position_embeddings=4096,
        rms_norm_eps=1e-5),
    "nous-hermes-2-yi-34b": dict(
        hidden_size=7168, intermediate_size=20480, num_hidden_layers=60, num_attention_heads=56,
        num_key_value_heads=8, vocab_size=64000, rope_theta=5000000.0, max_position_embeddings=4096,
        rms_norm_eps=1e-5),
}


def build(cls, config, arch, **more):
    """A model of transformers from the keys of a registry row."""
    arch = dict(arch)
    theta, scaling = arch.pop("rope_theta"), arch.pop("rope_scaling", None) or dict(rope_type="default")
    return cls(config(**arch, rope_parameters=dict(scaling, rope_theta=theta), attn_implementation="eager",
                      pad_token_id=None, bos_token_id=1, eos_token_id=2, **more))


def llama(arch, **more):
    from transformers import LlamaConfig, LlamaForCausalLM

    return build(LlamaForCausalLM, LlamaConfig, arch, **more)


def ids(batch, length, seed):
    return torch.randint(0, 97, (batch, length), generator=common.generator(seed))


def write(case, model, arch, prompt, reference, weights="llama.safetensors"):
    common.write_llm_case(HERE, case, llm="tiny", architecture="llama", arch=arch, weights=weights, model=model,
                          ids=prompt, layers=[0, 1], reference=reference)


@torch.no_grad()
def cases():
    # Grouped queries; the file also holds what a multimodal checkpoint does, and stored frequencies.
    model = common.randomise(llama(ARCH), 1)
    state = dict(model.state_dict())
    for key in ["mm_projector.0.weight", "mm_projector_aux_2.0.bias", "vision_query", "image_newline",
                "vision_sampler_layers.3.layers.0.norm.weight", "layers.1.self_attn.rotary_emb.inv_freq"]:
        state[f"model.{key}"] = torch.ones(2)
    common.write_weights(HERE, "llama", state)
    write("llama", model, ARCH, ids(2, 11, 2), "transformers LlamaForCausalLM")

    # The same weights with stretched positions, well beyond the original length, ...
    arch = {**ARCH, "rope_scaling": LLAMA3}
    write("llama3-rope", common.randomise(llama(arch), 1), arch, ids(1, 40, 6), "transformers LlamaForCausalLM")
    arch = {**ARCH, "rope_scaling": dict(rope_type="linear", factor=4.0)}
    write("linear-rope", common.randomise(llama(arch), 1), arch, ids(1, 20, 8), "transformers LlamaForCausalLM")

    # ... which changes nothing up to the length that they are stretched from, ...
    arch = {**ARCH, "rope_scaling": dict(rope_type="dynamic", factor=4.0)}
    write("dynamic-rope", common.randomise(llama(arch), 1), arch, ids(1, 40, 6), "transformers LlamaForCausalLM")
    arch = {**ARCH, "rope_scaling": dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16,
                                         beta_fast=4.0)}
    write("yarn-rope", common.randomise(llama(arch), 1), arch, ids(1, 40, 7), "transformers LlamaForCausalLM")

    # ... and with a window that both the prompt and the answer outgrow.
    from transformers import MistralConfig, MistralForCausalLM

    arch = {**ARCH, "sliding_window": 5}
    model = common.randomise(build(MistralForCausalLM, MistralConfig, arch), 1)
    write("mistral", model, arch, ids(2, 12, 10), "transformers MistralForCausalLM")

    # Every head its own keys, heads wider than their share, biases, one table for both ends.
    arch = {**ARCH, "num_key_value_heads": 6, "head_dim": 10, "attention_bias": True, "tie_word_embeddings": True,
            "rope_theta": 500000.0}
    model = common.randomise(llama(arch), 3)
    write("tied", model, arch, ids(1, 9, 4), "transformers LlamaForCausalLM",
          common.write_weights(HERE, "tied", model.state_dict()))


def manifests():
    for row, arch in ROWS.items():
        with torch.device("meta"):
            state = llama(arch).state_dict()
        common.write_manifest(HERE, row, state, architecture="llama", arch=arch, layout="hf",
                              reference="transformers LlamaForCausalLM")


if __name__ == "__main__":
    cases()
    manifests()
