"""Golden files of the Gemma plugin: transformers, small and odd. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402

ARCH = dict(hidden_size=28, intermediate_size=52, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=1,
            head_dim=12, vocab_size=97, rope_theta=10000.0, rms_norm_eps=1e-6, max_position_embeddings=64)
ROWS = {
    "gemma-7b-it": ("gemma", dict(
        hidden_size=3072, intermediate_size=24576, num_hidden_layers=28, num_attention_heads=16,
        num_key_value_heads=16, head_dim=256, vocab_size=256000, rope_theta=10000.0, max_position_embeddings=8192,
        rms_norm_eps=1e-6)),
    "gemma-2-9b-it": ("gemma2", dict(
        hidden_size=3584, intermediate_size=14336, num_hidden_layers=42, num_attention_heads=16,
        num_key_value_heads=8, head_dim=256, vocab_size=256000, rope_theta=10000.0, max_position_embeddings=8192,
        rms_norm_eps=1e-6, query_pre_attn_scalar=256, sliding_window=4096, attn_logit_softcapping=50.0,
        final_logit_softcapping=30.0)),
}


def build(architecture, arch):
    import transformers

    name = {"gemma": "Gemma", "gemma2": "Gemma2"}[architecture]
    arch = dict(arch)
    theta = arch.pop("rope_theta")
    config = getattr(transformers, f"{name}Config")(
        **arch, rope_parameters=dict(rope_type="default", rope_theta=theta), attn_implementation="eager",
        pad_token_id=None, bos_token_id=2, eos_token_id=1)
    return getattr(transformers, f"{name}ForCausalLM")(config)


@torch.no_grad()
def cases():
    for case, architecture, arch, length in [
        # All queries share one head of keys; heads are wider than their share.
        ("gemma", "gemma", {**ARCH, "hidden_act": "gelu"}, 13),
        # A head of its own, which no released file has.
        ("untied", "gemma", {**ARCH, "num_key_value_heads": 2, "tie_word_embeddings": False}, 9),
        # Windows that the prompt outgrows, caps that bite, a scale that is not that of the heads.
        ("gemma2", "gemma2", {**ARCH, "num_key_value_heads": 2, "query_pre_attn_scalar": 7, "sliding_window": 5,
                              "attn_logit_softcapping": 2.0, "final_logit_softcapping": 10.0}, 13),
    ]:
        model = common.randomise(build(architecture, arch), len(case))
        prompt = torch.randint(0, 97, (2, length), generator=common.generator(2))
        # The state has the head, too, which is the embedding table where they are tied.
        common.write_llm_case(HERE, case, llm="tiny", architecture=architecture, arch=arch, model=model, ids=prompt,
                              weights=common.write_weights(HERE, case, model.state_dict()), layers=[0, 1],
                              reference=f"transformers {type(model).__name__}")


def manifests():
    for row, (architecture, arch) in ROWS.items():
        with torch.device("meta"):
            model = build(architecture, arch)
        state = model.state_dict()
        # Safetensors hold a shared tensor once.
        state.pop("lm_head.weight")
        common.write_manifest(HERE, row, state, architecture=architecture, arch=arch, layout="hf",
                              reference=f"transformers {type(model).__name__}")


if __name__ == "__main__":
    cases()
    manifests()
