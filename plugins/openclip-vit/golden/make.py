"""Golden files of the open_clip plugin: open_clip, transformers and timm, small and odd. See tests/reference/common.py."""

import pathlib
import sys
from functools import partial

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import features, prefixed, whole_patches  # noqa: E402

ARCH = dict(embed_dim=36, depth=3, num_heads=3, mlp_dim=60, patch_size=7, image_size=31)
BASE = dict(embed_dim=768, depth=12, num_heads=12, mlp_dim=3072, patch_size=16, image_size=224)
LARGE = dict(embed_dim=1024, depth=24, num_heads=16, mlp_dim=4096, patch_size=14, image_size=224)
HUGE = dict(embed_dim=1280, depth=32, num_heads=16, mlp_dim=5120, patch_size=14, image_size=224)
GIANT = dict(embed_dim=1408, depth=40, num_heads=16, mlp_dim=6144, patch_size=14, image_size=224)
GIGANTIC = dict(embed_dim=1664, depth=48, num_heads=16, mlp_dim=8192, patch_size=14, image_size=224)
QUICK = dict(act="quick_gelu")
# Row: architecture, open_clip's name of the model, analytic GMACs.
ROWS = {
    "dfn-clip-vit-b-16-224": ({**BASE, **QUICK}, "ViT-B-16-quickgelu", None),
    "dfn-clip-vit-l-14-224": ({**LARGE, **QUICK}, "ViT-L-14-quickgelu", 81),
    "dfn-clip-vit-h-14-224": ({**HUGE, **QUICK}, "ViT-H-14-quickgelu", None),
    "dfn-clip-vit-h-14-378": ({**HUGE, **QUICK, "image_size": 378}, "ViT-H-14-378-quickgelu", 503),
    "metaclip-vit-b-16-224": ({**BASE, **QUICK}, "ViT-B-16-quickgelu", None),
    "metaclip-vit-l-14-224": ({**LARGE, **QUICK}, "ViT-L-14-quickgelu", None),
    "metaclip-vit-h-14-224": ({**HUGE, **QUICK}, "ViT-H-14-quickgelu", None),
    "metaclip-vit-bigg-14-224": ({**GIGANTIC, **QUICK}, "ViT-bigG-14-quickgelu", None),
    "metaclip2-vit-h-14-224": ({**HUGE, **QUICK}, "ViT-H-14-worldwide-quickgelu", None),
    "metaclip2-vit-h-14-378": ({**HUGE, "image_size": 378}, "ViT-H-14-worldwide-378", None),
    "metaclip2-vit-bigg-14-224": (GIGANTIC, "ViT-bigG-14-worldwide", None),
    "metaclip2-vit-bigg-14-378": ({**GIGANTIC, "image_size": 378}, "ViT-bigG-14-worldwide-378", None),
    "laion2b-clip-vit-l-14-224": (LARGE, "ViT-L-14", None),
    "laion2b-clip-vit-h-14-224": (HUGE, "ViT-H-14", None),
    "laion2b-clip-vit-g-14-224": (GIANT, "ViT-g-14", None),
    "laion2b-clip-vit-bigg-14-224": (GIGANTIC, "ViT-bigG-14", None),
    "datacomp-clip-vit-l-14-224": (LARGE, "ViT-L-14", None),
}


def write(case, **kwargs):
    common.write_encoder_case(HERE, case, encoder="openclip", architecture="openclip-vit", **kwargs)


def tower(act_layer=torch.nn.GELU):
    from open_clip.transformer import VisionTransformer

    return VisionTransformer(image_size=31, patch_size=7, width=36, layers=3, heads=3, mlp_ratio=60 / 36, output_dim=24,
                             act_layer=act_layer, output_tokens=True)


@torch.no_grad()
def open_clip():
    from open_clip.transformer import QuickGELU

    for case, act, layer, seed in [("gelu", "gelu_erf", torch.nn.GELU, 1), ("quick-gelu", "quick_gelu", QuickGELU, 2)]:
        model = common.randomise(tower(layer), seed)
        seen = {}
        for i, block in enumerate(model.transformer.resblocks):
            block.register_forward_hook(lambda m, a, out, i=i: seen.__setitem__(i, out))

        def expect(pixels):
            tokens = model(pixels)[1]
            return [(tokens, -1, True), (seen[1][:, 1:], -2, False), (model.ln_post(seen[2])[:, :1], -1, True, True)]

        state = {f"visual.{k}": v for k, v in model.state_dict().items()}
        state["token_embedding.weight"] = torch.ones(2, 2)
        write(case, arch={**ARCH, "act": act}, weights=common.write_weights(HERE, case, state), model=model,
              pixels=common.pixels(2, 31, 31, 3), expect=expect, reference="open_clip VisionTransformer")


@torch.no_grad()
def timm():
    """Other sizes, which timm alone defines."""
    from timm.models.vision_transformer import VisionTransformer

    model = common.randomise(VisionTransformer(
        img_size=31, patch_size=7, embed_dim=36, depth=3, num_heads=3, mlp_ratio=60 / 36, num_classes=0, pre_norm=True,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-5), dynamic_img_size=True), 4)
    weights = common.write_weights(HERE, "timm", model.state_dict())

    def expect(pixels):
        seen = whole_patches(model, pixels)
        tokens, prefix = features(model, seen, 2, True)
        return [(features(model, seen, 1, False)[0], -2, False), (tokens, -1, True), (prefix, -1, True, True)]

    for case, size in [("timm-larger", (44, 59)), ("timm-smaller", (15, 23))]:
        write(case, arch=ARCH, weights=weights, model=model, pixels=common.pixels(2, *size, 5), expect=expect,
              reference="timm VisionTransformer (pre_norm)")


@torch.no_grad()
def hugging_face():
    """The same weights as CLIP of transformers, whose tokens have to be normalised by hand."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    model = common.randomise(CLIPVisionModel(CLIPVisionConfig(
        hidden_size=36, intermediate_size=60, num_hidden_layers=3, num_attention_heads=3, patch_size=7, image_size=28,
        attn_implementation="eager")), 6)
    post = [m for n, m in model.named_modules() if n.endswith("post_layernorm")][0]
    state = prefixed(model.state_dict(), "vision_model.")

    def expect(pixels):
        return [(post(model(pixels, output_hidden_states=True).hidden_states[-1])[:, 1:], -1, True)]

    write("hf", arch={**ARCH, **QUICK, "image_size": 28}, weights=common.write_weights(HERE, "hf", state), model=model,
          pixels=common.pixels(2, 28, 28, 7), expect=expect, reference="transformers CLIPVisionModel")


def manifests():
    import open_clip as library

    made = {}
    for row, (arch, name, gmacs) in ROWS.items():
        if name not in made:
            with torch.device("meta"):
                made[name] = library.create_model(name, device="meta").visual.state_dict()
        state = {f"visual.{k}": v for k, v in made[name].items()}
        common.write_manifest(HERE, row, state, architecture="openclip-vit", arch=arch, layout="open_clip",
                              reference=f"open_clip {name}", unused=["visual.proj"], pixels=arch["image_size"],
                              gmacs=gmacs)


if __name__ == "__main__":
    open_clip()
    timm()
    hugging_face()
    manifests()
