"""Golden files of the Perception Encoder plugin: timm, small and odd. See tests/reference/common.py."""

import pathlib
import sys
from functools import partial

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import three_layers  # noqa: E402

# The grid of training is 3 × 3, that of the image 4 × 4.
ARCH = dict(embed_dim=48, depth=3, num_heads=3, mlp_dim=80, patch_size=7, image_size=31, rope_reference=3)
GIANT = dict(embed_dim=1536, num_heads=16, mlp_dim=8960, patch_size=14, image_size=448, rope_reference=32, class_token=False)
LARGE = dict(embed_dim=1024, num_heads=16, mlp_dim=4096, patch_size=14)
TINY = dict(embed_dim=192, depth=12, num_heads=3, mlp_dim=768, patch_size=16)
SMALL = dict(embed_dim=384, depth=12, num_heads=6, mlp_dim=1536, patch_size=16)
BASE = dict(embed_dim=768, depth=12, num_heads=12, mlp_dim=3072, patch_size=16)
SPATIAL = dict(image_size=512, rope_reference=32, final_norm=False)
MIDDLE = dict(image_size=448, rope_reference=32, final_norm=False)
# Row: architecture, timm's name.
ROWS = {
    "pe-core-t-16-384": ({**TINY, "image_size": 384, "rope_reference": 24}, "core_tiny_patch16_384"),
    "pe-core-s-16-384": ({**SMALL, "image_size": 384, "rope_reference": 24}, "core_small_patch16_384"),
    "pe-core-b-16-224": ({**BASE, "image_size": 224, "rope_reference": 14}, "core_base_patch16_224"),
    "pe-core-l-14-336": ({**LARGE, "depth": 24, "image_size": 336, "rope_reference": 24}, "core_large_patch14_336"),
    "pe-core-g-14-448": ({**GIANT, "depth": 50}, "core_gigantic_patch14_448"),
    "pe-lang-l-14-448": ({**LARGE, **MIDDLE, "depth": 23, "layer_scale": True}, "lang_large_patch14_448"),
    "pe-lang-g-14-448": ({**GIANT, **MIDDLE, "depth": 47, "layer_scale": True}, "lang_gigantic_patch14_448"),
    "pe-spatial-t-16-512": ({**TINY, **SPATIAL}, "spatial_tiny_patch16_512"),
    "pe-spatial-s-16-512": ({**SMALL, **SPATIAL}, "spatial_small_patch16_512"),
    "pe-spatial-b-16-512": ({**BASE, **SPATIAL}, "spatial_base_patch16_512"),
    "pe-spatial-l-14-448": ({**LARGE, **MIDDLE, "depth": 24}, "spatial_large_patch14_448"),
    "pe-spatial-g-14-448": ({**GIANT, **MIDDLE, "depth": 50, "layer_scale": True}, "spatial_gigantic_patch14_448"),
}


def write(case, **kwargs):
    common.write_encoder_case(HERE, case, encoder="pe", architecture="pe", **kwargs)


def tower(seed, **kwargs):
    from timm.models.eva import Eva

    options = dict(rope_grid_offset=1.0, use_post_transformer_norm=True, dynamic_img_size=True, num_classes=0)
    return common.randomise(Eva(
        img_size=31, patch_size=7, embed_dim=48, depth=3, num_heads=3, mlp_ratio=80 / 48, attn_type="rope",
        use_pre_transformer_norm=True, use_rot_pos_emb=True, ref_feat_shape=(3, 3), rope_grid_indexing="xy",
        use_fc_norm=False, norm_layer=partial(torch.nn.LayerNorm, eps=1e-5), **{**options, **kwargs}), seed)


def originals(name):
    """The makers' names, which are open_clip's."""
    if name.startswith("blocks."):
        name = name.replace("blocks.", "transformer.resblocks.").replace("norm", "ln_").replace("attn.qkv.", "attn.in_proj_")
        name = name.replace("attn.proj", "attn.out_proj").replace("mlp.fc1", "mlp.c_fc").replace("mlp.fc2", "mlp.c_proj")
        return name.replace("gamma_1", "ls_1.gamma").replace("gamma_2", "ls_2.gamma")
    names = {"cls_token": "class_embedding", "pos_embed": "positional_embedding", "patch_embed.proj.weight": "conv1.weight"}
    return names.get(name, name.replace("norm_pre", "ln_pre").replace("norm", "ln_post"))


@torch.no_grad()
def cases():
    model = tower(1)
    write("core", arch=ARCH, weights=common.write_weights(HERE, "core", model.state_dict()), model=model,
          pixels=common.pixels(2, 31, 31, 2), expect=three_layers(model), reference="timm Eva (PE core)")
    original = {f"visual.{originals(k)}": v.squeeze() if k in ("cls_token", "pos_embed") else v
                for k, v in model.state_dict().items()}
    original["visual.proj"] = torch.ones(48, 5)
    original["visual.attn_pool.probe"] = torch.ones(1, 1, 48)
    write("original", arch=ARCH, weights=common.write_weights(HERE, "original", original), model=model,
          pixels=common.pixels(2, 31, 31, 3), expect=three_layers(model), reference="timm Eva (PE core)")
    weights = "core.safetensors"
    for case, size in [("core-larger", (36, 50)), ("core-smaller", (15, 23))]:
        write(case, arch=ARCH, weights=weights, model=model, pixels=common.pixels(2, *size, 5),
              expect=three_layers(model), reference="timm Eva (PE core)")
    # Without class token the rotary positions begin at 0; lang and spatial have no final norm, and some layer scale.
    model = tower(6, class_token=False, rope_grid_offset=0.0, use_post_transformer_norm=False, init_values=0.1,
                  global_pool="avg")
    arch = {**ARCH, "class_token": False, "layer_scale": True, "final_norm": False}
    weights = common.write_weights(HERE, "spatial", model.state_dict())
    for case, size in [("spatial", (31, 31)), ("spatial-wide", (22, 50))]:
        write(case, arch=arch, weights=weights, model=model, pixels=common.pixels(2, *size, 7),
              expect=three_layers(model, norm=False), reference="timm Eva (PE spatial)")


def manifests():
    import timm

    for row, (arch, name) in ROWS.items():
        with torch.device("meta"):
            state = timm.create_model(f"vit_pe_{name}", pretrained=False).state_dict()
        common.write_manifest(HERE, row, state, architecture="pe", arch=arch, layout="timm",
                              reference=f"timm vit_pe_{name}", unused=["head.*", "attn_pool.*"])


if __name__ == "__main__":
    cases()
    manifests()
