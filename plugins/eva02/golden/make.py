"""Golden files of the EVA-02 plugin: timm, small and odd. See tests/reference/common.py."""

import pathlib
import sys
from functools import partial

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import three_layers  # noqa: E402

# 40 / 3 is no whole number, as 1024 · 8 / 3 is none; the grid of pre-training is 3 × 3, that of the image 4 × 4.
ARCH = dict(embed_dim=48, depth=3, num_heads=3, mlp_dim=50, patch_size=7, image_size=31, rope_reference=3)
LARGE = dict(embed_dim=1024, depth=24, num_heads=16, mlp_dim=2730, patch_size=14)
# Row: architecture, timm's name, analytic GMACs.
ROWS = {
    "eva02-clip-vit-b-16-224": (dict(embed_dim=768, depth=12, num_heads=12, mlp_dim=2048, patch_size=16,
                                     image_size=224, rope_reference=16), "eva02_base_patch16_clip_224", None),
    "eva02-clip-vit-l-14-224": ({**LARGE, "image_size": 224}, "eva02_large_patch14_clip_224", None),
    "eva02-clip-vit-l-14-336": ({**LARGE, "image_size": 336}, "eva02_large_patch14_clip_336", 191),
}


def write(case, **kwargs):
    common.write_encoder_case(HERE, case, encoder="eva02", architecture="eva02", **kwargs)


def tower(seed, **kwargs):
    from timm.models.eva import Eva

    return common.randomise(Eva(
        img_size=31, patch_size=7, embed_dim=48, depth=3, num_heads=3, mlp_ratio=50 / 48 + 1e-6, qkv_fused=False,
        swiglu_mlp=True, scale_mlp=True, scale_attn_inner=True, use_rot_pos_emb=True, ref_feat_shape=(3, 3),
        global_pool="token", num_classes=0, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), **kwargs), seed)


@torch.no_grad()
def native():
    """Through open_clip's prefix, in fp16 as the public files are."""
    model = tower(1)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.half().float())
    state = {f"visual.trunk.{k}": v.half() for k, v in model.state_dict().items()}
    state["visual.trunk.head.weight"] = torch.ones(5, 48)
    state["text.token_embedding.weight"] = torch.ones(2, 2)

    def expect(pixels):
        tokens = model.forward_features(pixels)
        return [(tokens[:, 1:], -1, True), (tokens[:, :1], -1, True, True)]

    write("open-clip", arch=ARCH, weights=common.write_weights(HERE, "open-clip", state), model=model,
          pixels=common.pixels(2, 31, 31, 2), expect=expect, reference="timm Eva in open_clip")


@torch.no_grad()
def sizes():
    model = tower(3, dynamic_img_size=True)
    weights = common.write_weights(HERE, "timm", model.state_dict())
    for case, size in [("timm", (31, 31)), ("timm-larger", (36, 50)), ("timm-smaller", (15, 23))]:
        write(case, arch=ARCH, weights=weights, model=model, pixels=common.pixels(2, *size, 4),
              expect=three_layers(model), reference="timm Eva")


def manifests():
    import timm

    for row, (arch, name, gmacs) in ROWS.items():
        with torch.device("meta"):
            state = timm.create_model(name, pretrained=False).state_dict()
        state = {f"visual.trunk.{k}": v for k, v in state.items()}
        common.write_manifest(HERE, row, state, architecture="eva02", arch=arch, layout="timm",
                              reference=f"timm {name}", unused=["visual.trunk.head.*"], pixels=arch["image_size"],
                              gmacs=gmacs)


if __name__ == "__main__":
    native()
    sizes()
    manifests()
