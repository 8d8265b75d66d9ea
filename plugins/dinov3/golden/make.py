"""Golden files of the DINOv3 plugin: transformers and timm, small and odd. See tests/reference/common.py."""

import pathlib
import sys
from functools import partial

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import three_layers  # noqa: E402

ARCH = dict(embed_dim=48, depth=3, num_heads=3, mlp_dim=64, patch_size=7, image_size=28, registers=4)
# Row: architecture.
ROWS = {
    "dinov3-vit-s-16": dict(embed_dim=384, depth=12, num_heads=6, mlp_dim=1536),
    "dinov3-vit-s-plus-16": dict(embed_dim=384, depth=12, num_heads=6, mlp_dim=1536, act="swiglu"),
    "dinov3-vit-b-16": dict(embed_dim=768, depth=12, num_heads=12, mlp_dim=3072),
    "dinov3-vit-l-16": dict(embed_dim=1024, depth=24, num_heads=16, mlp_dim=4096),
    "dinov3-vit-h-plus-16": dict(embed_dim=1280, depth=32, num_heads=20, mlp_dim=5120, act="swiglu"),
    "dinov3-vit-7b-16": dict(embed_dim=4096, depth=40, num_heads=32, mlp_dim=8192, act="swiglu", qkv_bias=False),
}


def write(case, **kwargs):
    common.write_encoder_case(HERE, case, encoder="dinov3", architecture="dinov3", **kwargs)


def transformers_tower(arch):
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    return DINOv3ViTModel(DINOv3ViTConfig(
        hidden_size=arch["embed_dim"], intermediate_size=arch["mlp_dim"], num_hidden_layers=arch["depth"],
        num_attention_heads=arch["num_heads"], patch_size=arch["patch_size"], image_size=arch["image_size"],
        num_register_tokens=4, use_gated_mlp=arch.get("act") == "swiglu",
        hidden_act="silu" if arch.get("act") == "swiglu" else "gelu", key_bias=False,
        query_bias=arch.get("qkv_bias", True), value_bias=arch.get("qkv_bias", True),
        attn_implementation="eager"))


def published(state):
    """transformers holds the blocks as a model of their own and writes them without its name."""
    return {k.replace("model.layer.", "layer."): v for k, v in state.items()}


@torch.no_grad()
def hugging_face():
    for case, seed, act in [("hf", 1, "gelu_erf"), ("hf-gated", 2, "swiglu")]:
        arch = {**ARCH, "act": act}
        model = common.randomise(transformers_tower(arch), seed)
        blocks = [m for n, m in model.named_modules() if n.split(".")[-2:-1] == ["layer"]]
        assert len(blocks) == 3
        seen = {}
        for i, block in enumerate(blocks):
            block.register_forward_hook(lambda m, a, out, i=i: seen.__setitem__(i, out))

        def expect(pixels):
            last = model(pixels).last_hidden_state
            return [(last[:, 5:], -1, True), (last[:, :5], -1, True, True), (seen[1][:, 5:], -2, False)]

        weights = common.write_weights(HERE, case, published(model.state_dict()))
        for suffix, size in [("", (28, 28)), ("-wide", (21, 49))]:
            write(case + suffix, arch=arch, weights=weights, model=model, pixels=common.pixels(2, *size, 3),
                  expect=expect, reference="transformers DINOv3ViTModel")


@torch.no_grad()
def timm():
    from timm.models.eva import Eva

    for case, seed, options in [("timm", 4, dict(qkv_bias=False)), ("timm-biases", 5, dict(qkv_bias=True)),
                                ("timm-gated", 6, dict(qkv_bias=False, swiglu_mlp=True, swiglu_align_to=8))]:
        model = common.randomise(Eva(
            img_size=28, patch_size=7, dynamic_img_size=True, embed_dim=48, depth=3, num_heads=3, mlp_ratio=64 / 48,
            init_values=1e-5, rope_type="dinov3", rope_temperature=100, rope_rotate_half=True, use_rot_pos_emb=True,
            use_abs_pos_emb=False, num_reg_tokens=4, use_fc_norm=False, num_classes=0,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-5), **options), seed)
        act = "swiglu" if "swiglu_mlp" in options else "gelu_erf"
        write(case, arch={**ARCH, "act": act}, weights=common.write_weights(HERE, case, model.state_dict()), model=model,
              pixels=common.pixels(2, 36, 50, 7), expect=three_layers(model), reference="timm Eva")


def manifests():
    for row, arch in ROWS.items():
        arch = {**arch, "patch_size": 16, "image_size": 224}
        with torch.device("meta"):
            state = published(transformers_tower(arch).state_dict())
        common.write_manifest(HERE, row, state, architecture="dinov3", arch=arch, layout="hf",
                              reference="transformers DINOv3ViTModel", unused=["embeddings.mask_token"])


if __name__ == "__main__":
    hugging_face()
    timm()
    manifests()
