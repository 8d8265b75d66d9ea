"""Golden files of the CLIP plugin: transformers, open_clip and timm, small and odd. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import features, prefixed, whole_patches  # noqa: E402

ARCH = dict(embed_dim=32, depth=3, num_heads=4, mlp_dim=56, patch_size=7, image_size=35)
FULL = dict(embed_dim=1024, depth=24, num_heads=16, mlp_dim=4096, patch_size=14, image_size=336)


def write(case, **kwargs):
    common.write_encoder_case(HERE, case, encoder="clip", architecture="clip-vit", **kwargs)


def transformers_tower(arch):
    from transformers import CLIPVisionConfig, CLIPVisionModel

    return CLIPVisionModel(CLIPVisionConfig(
        hidden_size=arch["embed_dim"], intermediate_size=arch["mlp_dim"], num_hidden_layers=arch["depth"],
        num_attention_heads=arch["num_heads"], patch_size=arch["patch_size"], image_size=arch["image_size"],
        attn_implementation="eager"))


@torch.no_grad()
def hugging_face():
    model = common.randomise(transformers_tower(ARCH), 1)
    state = prefixed(model.state_dict(), "vision_model.")
    post = [m for n, m in model.named_modules() if n.endswith("post_layernorm")][0]
    pixels = common.pixels(2, 35, 35, 2)

    def expect(pixels):
        hidden = model(pixels, output_hidden_states=True).hidden_states
        return [
            (hidden[-2][:, 1:], -2, False),
            (hidden[-2][:, :1], -2, False, True),
            (hidden[1][:, 1:], 0, False),
            (hidden[-1][:, 1:], -1, False),
            (post(hidden[-1])[:, 1:], -1, True),
            (post(hidden[2])[:, :1], 1, True, True),
        ]

    def first(pixels):
        return expect(pixels)[:1]

    common_args = dict(arch=ARCH, model=model, pixels=pixels, reference="transformers CLIPVisionModel")
    # Other parts of the model stand in the same file and are nobody's concern.
    other = {"text_model.final_layer_norm.bias": torch.ones(3), "logit_scale": torch.ones(())}
    write("hf", weights=common.write_weights(HERE, "hf", {**state, **other}), expect=expect, **common_args)
    bare = {k.removeprefix("vision_model."): v for k, v in state.items()}
    write("hf-bare", weights=common.write_weights(HERE, "hf-bare", bare), expect=first, layout="hf",
          **common_args)
    # The same as a pickle, as the public file is.
    torch.save({**state, **other, "vision_model.embeddings.position_ids": torch.arange(26)[None]},
               HERE / "pytorch_model.bin")
    write("hf-bin", weights="pytorch_model.bin", expect=first, **common_args)


@torch.no_grad()
def open_clip():
    from open_clip.transformer import QuickGELU, VisionTransformer

    model = VisionTransformer(
        image_size=35, patch_size=7, width=32, layers=3, heads=4, mlp_ratio=56 / 32, output_dim=24,
        act_layer=QuickGELU, output_tokens=True)
    common.randomise(model, 3)
    seen = {}
    for i, block in enumerate(model.transformer.resblocks):
        block.register_forward_hook(lambda m, a, out, i=i: seen.__setitem__(i, out))

    def expect(pixels):
        tokens = model(pixels)[1]
        return [(tokens, -1, True), (seen[1][:, 1:], -2, False), (model.ln_post(seen[2])[:, :1], -1, True, True)]

    state = {f"visual.{k}": v for k, v in model.state_dict().items()}
    state["token_embedding.weight"] = torch.ones(2, 2)
    write("open-clip", arch=ARCH, weights=common.write_weights(HERE, "open-clip", state), model=model,
          pixels=common.pixels(2, 35, 35, 4), expect=expect, reference="open_clip VisionTransformer")


@torch.no_grad()
def timm():
    from functools import partial

    from timm.layers import QuickGELU
    from timm.models.vision_transformer import VisionTransformer

    # Only timm defines sizes other than the native one for CLIP: bicubic with antialiasing.
    for case, act, layer, size in [
        ("timm", "quick_gelu", QuickGELU, (35, 35)),
        ("timm-larger", "gelu_erf", torch.nn.GELU, (52, 43)),
        ("timm-smaller", "gelu_tanh", partial(torch.nn.GELU, approximate="tanh"), (21, 34)),
    ]:
        model = VisionTransformer(
            img_size=35, patch_size=7, embed_dim=32, depth=3, num_heads=4, mlp_ratio=56 / 32, num_classes=0,
            pre_norm=True, norm_layer=partial(torch.nn.LayerNorm, eps=1e-5), act_layer=layer,
            dynamic_img_size=True)
        common.randomise(model, 5)
        weights = common.write_weights(HERE, "timm", model.state_dict())
        write_timm(case, model, act, weights, common.pixels(2, *size, 6))
        if case != "timm":
            common.lean([(block.mlp.fc1, block.mlp.fc2) for block in model.blocks], 7)
            weights = common.write_weights(HERE, "leaning", model.state_dict())
            write_timm(f"leaning-{act.replace('_', '-')}", model, act, weights, common.pixels(2, 35, 35, 8))


def write_timm(case, model, act, weights, pixels):
    def expect(pixels):
        seen = whole_patches(model, pixels)
        tokens, prefix = features(model, seen, 2, True)
        return [(features(model, seen, 1, False)[0], -2, False), (tokens, -1, True), (prefix, -1, True, True)]

    write(case, arch={**ARCH, "act": act}, weights=weights, model=model, pixels=pixels, expect=expect,
          reference="timm VisionTransformer (pre_norm)")


def manifests():
    base = dict(embed_dim=768, depth=12, num_heads=12, mlp_dim=3072, patch_size=16, image_size=224)
    for row, arch, gmacs in [("clip-vit-l-14-336", FULL, 191), ("clip-vit-l-14-224", {**FULL, "image_size": 224}, None),
                             ("clip-vit-b-16-224", base, None)]:
        with torch.device("meta"):
            state = prefixed(transformers_tower(arch).state_dict(), "vision_model.")
        common.write_manifest(HERE, row, state, architecture="clip-vit", arch=arch, layout="hf",
                              reference="transformers CLIPVisionModel", pixels=arch["image_size"], gmacs=gmacs)


if __name__ == "__main__":
    hugging_face()
    open_clip()
    timm()
    manifests()
