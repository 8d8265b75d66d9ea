"""Golden files of the Qwen 2 plugin: transformers, small and odd. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402

ARCH = dict(hidden_size=32, intermediate_size=52, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=97, rope_theta=1000000.0, rms_norm_eps=1e-6, max_position_embeddings=64)
ROWS = {
    "qwen2-7b-instruct": dict(
        hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28,
        num_key_value_heads=4, vocab_size=152064, rope_theta=1000000.0, max_position_embeddings=32768,
        rms_norm_eps=1e-6),
}


def qwen2(arch):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    arch = dict(arch)
    theta, scaling = arch.pop("rope_theta"), arch.pop("rope_scaling", None) or dict(rope_type="default")
    return Qwen2ForCausalLM(Qwen2Config(**arch, rope_parameters=dict(scaling, rope_theta=theta),
                                        attn_implementation="eager", pad_token_id=None, bos_token_id=1,
                                        eos_token_id=2))


@torch.no_grad()
def cases():
    yarn = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)
    for case, weights, arch, length in [
        # A window that counts for nothing, as in most released files, ...
        ("qwen2", "qwen2", {**ARCH, "use_sliding_window": False, "sliding_window": 3, "max_window_layers": 0}, 13),
        # ... one in the last layer alone, one in the layers that are listed, positions stretched by YaRN ...
        ("last-window", "qwen2", {**ARCH, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 2},
         13),
        ("listed-window", "qwen2", {**ARCH, "use_sliding_window": True, "sliding_window": 4,
                                    "layer_types": ["full_attention", "sliding_attention", "full_attention"]}, 13),
        ("yarn", "qwen2", {**ARCH, "rope_scaling": yarn}, 30),
        # ... and one table for both ends.
        ("tied", "tied", {**ARCH, "tie_word_embeddings": True}, 9),
    ]:
        model = common.randomise(qwen2(arch), len(weights))
        prompt = torch.randint(0, 97, (2, length), generator=common.generator(2))
        common.write_llm_case(HERE, case, llm="tiny", architecture="qwen2", arch=arch, model=model, ids=prompt,
                              weights=common.write_weights(HERE, weights, model.state_dict()), layers=[0, 1],
                              reference="transformers Qwen2ForCausalLM")


def manifests():
    for row, arch in ROWS.items():
        with torch.device("meta"):
            state = qwen2(arch).state_dict()
        common.write_manifest(HERE, row, state, architecture="qwen2", arch=arch, layout="hf",
                              reference="transformers Qwen2ForCausalLM")


if __name__ == "__main__":
    cases()
    manifests()
