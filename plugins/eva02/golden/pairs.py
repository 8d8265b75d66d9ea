"""Golden files of EVA-CLIP-02's vectors. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
import make  # noqa: E402



@torch.no_grad()
def vectors():
    """The projection is timm's classifier."""
    from functools import partial

    from timm.models.eva import Eva

    model = common.randomise(Eva(
        img_size=31, patch_size=7, embed_dim=48, depth=3, num_heads=3, mlp_ratio=50 / 48 + 1e-6, qkv_fused=False,
        swiglu_mlp=True, scale_mlp=True, scale_attn_inner=True, use_rot_pos_emb=True, ref_feat_shape=(3, 3),
        global_pool="token", num_classes=20, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6)), 31)
    state = {f"visual.trunk.{k}": v for k, v in model.state_dict().items()}
    common.write_vector_case(
        HERE, "vector", encoder="eva02", architecture="eva02", arch={**make.ARCH, "project": 20},
        weights=common.write_weights(HERE, "vector", state), model=model, pixels=common.pixels(2, 31, 31, 32),
        embed=model, reference="timm Eva")


if __name__ == "__main__":
    vectors()
