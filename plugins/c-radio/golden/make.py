"""Golden files of the C-RADIO plugin: timm through its conversion of the published names, small and odd. See
tests/reference/common.py."""

import pathlib
import sys
from functools import partial

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import three_layers  # noqa: E402

# A table of 9 × 9 positions, of which an image sees a part.
ARCH = dict(embed_dim=48, depth=3, num_heads=3, mlp_dim=80, patch_size=7, image_size=31, registers=7, pos_grid=9)
BASE = dict(embed_dim=768, depth=12, num_heads=12, mlp_dim=3072, layer_scale=True)
LARGE = dict(embed_dim=1024, depth=24, num_heads=16, mlp_dim=4096, layer_scale=True)
HUGE = dict(embed_dim=1280, depth=32, num_heads=16, mlp_dim=5120)
CORNERS = dict(pos_mode="bilinear_cropped_corners")
# Row: architecture, timm's name.
ROWS = {
    "c-radio-v3-b": ({**BASE, **CORNERS, "registers": 7}, "vit_base_patch16_radio_v3"),
    "c-radio-v3-l": ({**LARGE, "registers": 7}, "vit_large_patch16_radio_v3"),
    "c-radio-v3-h": ({**HUGE, **CORNERS, "registers": 7}, "vit_huge_patch16_radio_v3"),
    "c-radio-v3-g": (dict(embed_dim=1536, depth=40, num_heads=24, mlp_dim=6144, registers=7), "vit_giant_patch16_radio_v3"),
    "c-radio-v4-so400m": (dict(embed_dim=1152, depth=27, num_heads=16, mlp_dim=4304, registers=9),
                          "vit_so400m_patch16_radio_v4"),
    "c-radio-v4-h": ({**HUGE, "registers": 9}, "vit_huge_patch16_radio_v4"),
}


def write(case, **kwargs):
    common.write_encoder_case(HERE, case, encoder="c-radio", architecture="c-radio", **kwargs)


def published(state, table, patch):
    """NVIDIA's names of what timm holds, with a table of positions of their size."""
    out = {}
    for k, v in state.items():
        if k.startswith("blocks."):
            out[f"radio_model.model.{k}".replace(".gamma", ".grandma")] = v
    weight = state["patch_embed.proj.weight"]
    out["radio_model.model.patch_generator.embedder.weight"] = weight.reshape(weight.shape[0], 3 * patch * patch)
    out["radio_model.model.patch_generator.pos_embed"] = table
    prefix = torch.cat([state["cls_token"], state["reg_token"]], 1)
    out["radio_model.model.patch_generator.cls_token.token"] = prefix[0]
    return out


def tower(height, width, **kwargs):
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=(height // 7 * 7, width // 7 * 7), patch_size=7, embed_dim=48, depth=3, num_heads=3, mlp_ratio=80 / 48, reg_tokens=7,
        no_embed_class=True, final_norm=False, num_classes=0, **kwargs).eval()


@torch.no_grad()
def cases():
    from timm.models.vision_transformer import _convert_radio

    for case, seed, mode, options in [("cropped", 1, "bilinear_cropped", {}),
                                      ("corners", 2, "bilinear_cropped_corners", dict(init_values=0.1))]:
        model = common.randomise(tower(31, 31, **options), seed)
        table = torch.randn(1, 81, 48, generator=common.generator(seed)) * 0.5
        state = published(model.state_dict(), table, 7)
        other = {"radio_model.input_conditioner.norm_mean": torch.ones(3, 1, 1), "radio_model.summary_idxs": torch.ones(2)}
        weights = common.write_weights(HERE, case, {**state, **other})
        arch = {**ARCH, "pos_mode": mode, **({"layer_scale": True} if options else {})}
        for suffix, (height, width) in [("", (31, 31)), ("-wide", (22, 50)), ("-larger", (75, 64)), ("-own", (63, 63))]:
            # timm has one grid for a model: it resamples the table when it reads the published file.
            sized = tower(height, width, **options)
            sized.load_state_dict(_convert_radio(state, sized, align_corners=mode.endswith("corners") or None))
            write(case + suffix, arch=arch, weights=weights, model=sized, pixels=common.pixels(2, height, width, 3),
                  expect=three_layers(sized, norm=False), reference="timm VisionTransformer (RADIO)")


def manifests():
    import timm

    for row, (arch, name) in ROWS.items():
        with torch.device("meta"):
            state = timm.create_model(name, pretrained=False).state_dict()
            table = torch.empty(1, 128 * 128, arch["embed_dim"])
            state = published(state, table, 16)
        common.write_manifest(HERE, row, state, architecture="c-radio",
                              arch={**arch, "patch_size": 16, "image_size": 512, "pos_grid": 128}, layout="original",
                              reference=f"timm {name}")


if __name__ == "__main__":
    cases()
    manifests()
