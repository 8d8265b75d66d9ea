"""Golden files of Perception Encoder's vectors. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
import make  # noqa: E402


PUBLIC = [("latent", "probe"), ("norm.", "layernorm."), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"),
          ("attn_pool.proj", "attn_pool.attn.out_proj")]


@torch.no_grad()
def vectors():
    """Attention pooling over all tokens; the makers keep q, k and v of it in one tensor, and the projection turned."""
    model = make.tower(31, global_pool="map", num_classes=20, attn_pool_num_heads=6,
                       attn_pool_mlp_ratio=1.5)
    arch = {**make.ARCH, "pool": "attention", "pool_heads": 6, "pool_mlp": 72, "project": 20}
    pixels = common.pixels(2, 28, 35, 32)
    common.write_vector_case(
        HERE, "vector", encoder="pe", architecture="pe", arch={**arch, "project_bias": True},
        weights=common.write_weights(HERE, "vector", model.state_dict()), model=model, pixels=pixels, embed=model,
        reference="timm Eva (PE core)")
    model.head.bias.zero_()
    state = model.state_dict()
    pool = {k.removeprefix("attn_pool."): v for k, v in state.items() if k.startswith("attn_pool.")}
    original = {f"visual.{make.originals(k)}": v.squeeze() if k in ("cls_token", "pos_embed") else v
                for k, v in state.items() if not k.startswith(("attn_pool.", "head."))}
    for name, value in pool.items():
        if name.startswith(("q.", "kv.")):
            continue
        name = f"attn_pool.{name}"
        for held, public in PUBLIC:
            name = name.replace(held, public)
        original[f"visual.{name}"] = value
    for leaf in ("weight", "bias"):
        original[f"visual.attn_pool.attn.in_proj_{leaf}"] = torch.cat([pool[f"q.{leaf}"], pool[f"kv.{leaf}"]])
    original["visual.proj"] = state["head.weight"].T
    common.write_vector_case(
        HERE, "vector-original", encoder="pe", architecture="pe", arch=arch,
        weights=common.write_weights(HERE, "vector-original", original), model=model, pixels=pixels, embed=model,
        reference="timm Eva (PE core)")


if __name__ == "__main__":
    vectors()
