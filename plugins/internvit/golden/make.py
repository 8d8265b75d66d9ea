"""Golden files of the InternViT plugin: timm and transformers, small and odd. See tests/reference/common.py."""

import pathlib
import sys
from functools import partial

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import three_layers  # noqa: E402

ARCH = dict(embed_dim=48, depth=3, num_heads=3, mlp_dim=80, patch_size=7, image_size=31)
SMALL = dict(embed_dim=1024, depth=24, num_heads=16, mlp_dim=4096, patch_size=14, image_size=448)
LARGE = dict(embed_dim=3200, depth=45, num_heads=25, mlp_dim=12800, patch_size=14, image_size=448)
RMS = dict(norm="rms", qk_norm=True, qkv_bias=False)
UNUSED = ["embeddings.mask_token", "layernorm.*"]


def write(case, **kwargs):
    common.write_encoder_case(HERE, case, encoder="internvit", architecture="internvit", **kwargs)


def originals(state):
    """The makers' names of what timm holds."""
    names = {"cls_token": "embeddings.class_embedding", "pos_embed": "embeddings.position_embedding"}

    def name(k):
        if k.startswith("blocks."):
            return k.replace("blocks.", "encoder.layers.").removesuffix(".gamma")
        return names.get(k, k.replace("patch_embed.proj", "embeddings.patch_embedding"))

    return {name(k): v for k, v in state.items()}


@torch.no_grad()
def timm():
    from timm.models.vision_transformer import VisionTransformer

    model = common.randomise(VisionTransformer(
        img_size=31, patch_size=7, embed_dim=48, depth=3, num_heads=3, mlp_ratio=80 / 48, init_values=0.1,
        final_norm=False, num_classes=0, dynamic_img_size=True), 1)
    weights = common.write_weights(HERE, "timm", model.state_dict())
    for case, size in [("timm", (31, 31)), ("timm-larger", (44, 59))]:
        write(case, arch=ARCH, weights=weights, model=model, pixels=common.pixels(2, *size, 2),
              expect=three_layers(model, norm=False), reference="timm VisionTransformer")
    state = {f"vision_model.{k}": v for k, v in originals(model.state_dict()).items()}
    state["language_model.norm.weight"] = torch.ones(3)
    write("original", arch=ARCH, weights=common.write_weights(HERE, "original", state), model=model,
          pixels=common.pixels(2, 31, 31, 3), expect=three_layers(model, norm=False), reference="timm VisionTransformer")


def transformers_tower(arch, **kwargs):
    from transformers import InternVLVisionConfig, InternVLVisionModel

    size, patch = arch["image_size"], arch["patch_size"]
    return InternVLVisionModel(InternVLVisionConfig(
        hidden_size=arch["embed_dim"], intermediate_size=arch["mlp_dim"], num_hidden_layers=arch["depth"],
        num_attention_heads=arch["num_heads"], patch_size=[patch, patch], image_size=[size, size], layer_norm_eps=1e-6,
        attn_implementation="eager", **kwargs))


@torch.no_grad()
def hugging_face():
    """Both kinds: LayerNorm with biases, and RMSNorm with normalised q and k."""
    for case, seed, numbers, options in [
        ("hf", 4, dict(qkv_bias=True), dict(attention_bias=True, norm_type="layer_norm")),
        ("hf-rms", 5, RMS, dict(attention_bias=False, norm_type="rms_norm", use_qk_norm=True)),
    ]:
        arch = {**ARCH, "image_size": 28, **numbers}
        model = common.randomise(transformers_tower(arch, **options), seed)
        seen = {}
        for i, block in enumerate(model.encoder.layer):
            block.register_forward_hook(
                lambda m, a, out, i=i: seen.__setitem__(i, out[0] if isinstance(out, tuple) else out))

        def expect(pixels):
            model(pixels)
            return [(seen[2][:, 1:], -1, False), (seen[2][:, :1], -1, False, True), (seen[0][:, 1:], 0, False)]

        write(case, arch=arch, weights=common.write_weights(HERE, case, model.state_dict()), model=model,
              pixels=common.pixels(2, 28, 28, 6), expect=expect, reference="transformers InternVLVisionModel")


def manifests():
    import timm as library

    for row, name in [("internvit-300m-14-448", "vit_intern300m_patch14_448"),
                      ("internvit-300m-14-448-v2.5", "vit_intern300m_patch14_448")]:
        with torch.device("meta"):
            state = library.create_model(name, pretrained=False, num_classes=0).state_dict()
        common.write_manifest(HERE, row, originals(state), architecture="internvit", arch=SMALL, layout="original",
                              reference=f"timm {name}")
    for row in ("internvit-6b-14-448-v1.5", "internvit-6b-14-448-v2.5"):
        with torch.device("meta"):
            model = transformers_tower(LARGE, attention_bias=False, norm_type="rms_norm", use_qk_norm=True)
        common.write_manifest(HERE, row, model.state_dict(), architecture="internvit", arch={**LARGE, **RMS}, layout="hf",
                              reference="transformers InternVLVisionModel", unused=UNUSED)


if __name__ == "__main__":
    timm()
    hugging_face()
    manifests()
