"""Golden files of the Phi-3 plugin: transformers, small and odd. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402

ARCH = dict(hidden_size=32, intermediate_size=52, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=97, rope_theta=10000.0, rms_norm_eps=1e-5, max_position_embeddings=64, sliding_window=7)
MINI = dict(hidden_size=3072, intermediate_size=8192, num_hidden_layers=32, num_attention_heads=32,
            num_key_value_heads=32, vocab_size=32064, rope_theta=10000.0, max_position_embeddings=4096,
            rms_norm_eps=1e-5, sliding_window=2047)


def phi3(arch):
    from transformers import Phi3Config, Phi3ForCausalLM

    arch = dict(arch)
    theta, partial = arch.pop("rope_theta"), arch.pop("partial_rotary_factor", 1.0)
    rope = dict(arch.pop("rope_scaling", None) or dict(type="default"))
    rope = dict(rope, rope_type={"su": "longrope"}.get(rope["type"], rope["type"]), rope_theta=theta,
                partial_rotary_factor=partial)
    return Phi3ForCausalLM(Phi3Config(**arch, rope_parameters=rope, attn_implementation="eager", pad_token_id=None,
                                      bos_token_id=1, eos_token_id=2))


@torch.no_grad()
def cases():
    every = {**ARCH, "num_key_value_heads": 4, "sliding_window": None}
    # Two sets of stretches, the second for sequences of more than 16 tokens.
    stretches = dict(type="longrope", short_factor=[1.0, 1.1, 1.25, 1.5], long_factor=[1.2, 2.0, 3.5, 4.0])
    long = {**ARCH, "sliding_window": None, "original_max_position_embeddings": 16, "rope_scaling": stretches}
    for case, weights, arch, length in [
        ("phi3", "phi3", ARCH, 13),
        ("every-head", "every-head", every, 13),
        ("longrope-short", "phi3", long, 7),
        ("longrope-long", "phi3", {**long, "rope_scaling": {**stretches, "type": "su"}}, 21),
        ("partial", "phi3", {**ARCH, "partial_rotary_factor": 0.75}, 13),
    ]:
        model = common.randomise(phi3(arch), len(weights))
        prompt = torch.randint(0, 97, (2, length), generator=common.generator(2))
        common.write_llm_case(HERE, case, llm="tiny", architecture="phi3", arch=arch, model=model, ids=prompt,
                              weights=common.write_weights(HERE, weights, model.state_dict()), layers=[0, 1],
                              reference="transformers Phi3ForCausalLM")


def manifests():
    with torch.device("meta"):
        state = phi3(MINI).state_dict()
    common.write_manifest(HERE, "phi-3-mini-4k-instruct", state, architecture="phi3", arch=MINI, layout="hf",
                          reference="transformers Phi3ForCausalLM")


if __name__ == "__main__":
    cases()
    manifests()
