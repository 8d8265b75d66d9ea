"""Golden files of the AIMv2 plugin: transformers and timm, small and odd. See tests/reference/common.py."""

import pathlib
import sys
from functools import partial

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import three_layers  # noqa: E402

ARCH = dict(embed_dim=48, depth=3, num_heads=3, mlp_dim=64, patch_size=7, image_size=31)
SIZES = {
    "l": (dict(embed_dim=1024, depth=24, num_heads=8, mlp_dim=2816), "large"),
    "h": (dict(embed_dim=1536, depth=24, num_heads=12, mlp_dim=4096), "huge"),
    "1b": (dict(embed_dim=2048, depth=24, num_heads=16, mlp_dim=5632), "1b"),
    "3b": (dict(embed_dim=3072, depth=24, num_heads=24, mlp_dim=8192), "3b"),
}


def write(case, **kwargs):
    common.write_encoder_case(HERE, case, encoder="aimv2", architecture="aimv2", **kwargs)


@torch.no_grad()
def timm():
    """In timm's names and, through the inverse of timm's conversion, in Apple's."""
    from timm.layers import RmsNorm, SwiGLU
    from timm.models.vision_transformer import VisionTransformer, _convert_aimv2

    rms = partial(RmsNorm, eps=1e-5)
    model = common.randomise(VisionTransformer(
        img_size=31, patch_size=7, embed_dim=48, depth=3, num_heads=3, class_token=False, fc_norm=False, mlp_ratio=64 / 48,
        global_pool="avg", qkv_bias=False, proj_bias=False, act_layer="silu", norm_layer=rms, mlp_layer=SwiGLU,
        embed_norm_layer=rms, num_classes=0, dynamic_img_size=True), 1)
    weights = common.write_weights(HERE, "timm", model.state_dict())
    for case, size in [("timm", (31, 31)), ("timm-larger", (44, 59)), ("timm-smaller", (15, 23))]:
        write(case, arch=ARCH, weights=weights, model=model, pixels=common.pixels(2, *size, 2),
              expect=three_layers(model), reference="timm VisionTransformer (RMSNorm)")
    original = {apples(k): v for k, v in model.state_dict().items()}
    assert _convert_aimv2(original, model).keys() == model.state_dict().keys()
    write("original", arch=ARCH, weights=common.write_weights(HERE, "original", original), model=model,
          pixels=common.pixels(2, 31, 31, 3), expect=three_layers(model), reference="timm VisionTransformer (RMSNorm)")


def apples(name):
    if name.startswith("blocks."):
        name = f"trunk.{name}".replace("norm1", "norm_1").replace("norm2", "norm_2")
        return name.replace("mlp.fc1_g", "mlp.fc1").replace("mlp.fc1_x", "mlp.fc3")
    if name.startswith("norm."):
        return f"trunk.post_trunk_{name}"
    return "preprocessor." + name.replace("patch_embed", "patchifier")


@torch.no_grad()
def hugging_face():
    from transformers import Aimv2VisionConfig, Aimv2VisionModel

    model = common.randomise(Aimv2VisionModel(Aimv2VisionConfig(
        hidden_size=48, intermediate_size=64, num_hidden_layers=3, num_attention_heads=3, patch_size=7, image_size=28,
        use_head=False, attn_implementation="eager")), 4)
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("position_ids")}

    def expect(pixels):
        out = model(pixels, output_hidden_states=True)
        return [(out.last_hidden_state, -1, True), (out.hidden_states[-2], -2, False)]

    write("hf", arch={**ARCH, "image_size": 28}, weights=common.write_weights(HERE, "hf", state), model=model,
          pixels=common.pixels(2, 28, 28, 5), expect=expect, reference="transformers Aimv2VisionModel")


def manifests():
    import timm as library

    for size, (arch, name) in SIZES.items():
        for pixels in (224, 336, 448):
            with torch.device("meta"):
                state = library.create_model(f"aimv2_{name}_patch14_{pixels}", pretrained=False, num_classes=0).state_dict()
            state = {apples(k): v for k, v in state.items()}
            common.write_manifest(HERE, f"aimv2-{size}-14-{pixels}", state, architecture="aimv2",
                                  arch={**arch, "patch_size": 14, "image_size": pixels}, layout="original",
                                  reference=f"timm aimv2_{name}_patch14_{pixels}")


if __name__ == "__main__":
    timm()
    hugging_face()
    manifests()
