"""Golden files of the plain ViT plugin: timm and transformers, small and odd. See tests/reference/common.py."""

import pathlib
import sys
from functools import partial

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import features, prefixed, saved, whole_patches  # noqa: E402

# 31 is no multiple of 7, as 384 is none of 14: the last rows and columns are not seen.
ARCH = dict(embed_dim=36, depth=3, num_heads=3, mlp_dim=62, patch_size=7, image_size=31)
SO400M = dict(embed_dim=1152, depth=27, num_heads=16, mlp_dim=4304, patch_size=14)
BASE = dict(embed_dim=768, depth=12, num_heads=12, mlp_dim=3072, patch_size=16)
LARGE = dict(embed_dim=1024, depth=24, num_heads=16, mlp_dim=4096, patch_size=16)
HUGE = dict(embed_dim=1280, depth=32, num_heads=16, mlp_dim=5120, patch_size=14)
CLASS = dict(image_size=224, class_token=True)
TIPS = dict(image_size=448, class_token=True, class_pos=False, registers=1, layer_scale=True)
# Row: architecture, timm's name, analytic GMACs.
ROWS = {
    "siglip-so400m-14-384": ({**SO400M, "image_size": 384}, "vit_so400m_patch14_siglip_384", 333),
    "siglip-so400m-14-224": ({**SO400M, "image_size": 224}, "vit_so400m_patch14_siglip_224", None),
    "siglip-vit-l-16-384": ({**LARGE, "image_size": 384}, "vit_large_patch16_siglip_384", 191),
    "siglip-vit-l-16-256": ({**LARGE, "image_size": 256}, "vit_large_patch16_siglip_256", None),
    **{f"siglip-vit-b-16-{size}": ({**BASE, "image_size": size}, f"vit_base_patch16_siglip_{size}", None)
       for size in (224, 256, 384, 512)},
    "mae-vit-b-16": ({**BASE, **CLASS}, "vit_base_patch16_224.mae", None),
    "mae-vit-l-16": ({**LARGE, **CLASS}, "vit_large_patch16_224.mae", 62),
    "mae-vit-h-14": ({**HUGE, **CLASS}, "vit_huge_patch14_224.mae", 167),
    "supvit-l-16-in21k": ({**LARGE, **CLASS}, "vit_large_patch16_224.orig_in21k", 62),
    "supvit-h-14-in21k": ({**HUGE, **CLASS}, "vit_huge_patch14_224.orig_in21k", 167),
    "siglip2-g-opt-16-256": (dict(embed_dim=1536, depth=40, num_heads=16, mlp_dim=6144, patch_size=16, image_size=256,
                                  act="gelu_tanh"), "vit_giantopt_patch16_siglip_256.v2_webli", None),
    "siglip2-g-opt-16-384": (dict(embed_dim=1536, depth=40, num_heads=16, mlp_dim=6144, patch_size=16, image_size=384,
                                  act="gelu_tanh"), "vit_giantopt_patch16_siglip_384.v2_webli", None),
    "tipsv2-b-14": ({**BASE, **TIPS, "patch_size": 14}, "vit_base_patch14_reg1_tipsv2.webli", None),
    "tipsv2-l-14": ({**LARGE, **TIPS, "patch_size": 14}, "vit_large_patch14_reg1_tipsv2.webli", None),
    "tipsv2-so400m-14": ({**SO400M, **TIPS}, "vit_so400m_patch14_reg1_tipsv2.webli", None),
    "tipsv2-g-14": (dict(embed_dim=1536, depth=40, num_heads=24, mlp_dim=4096, patch_size=14, act="swiglu", **TIPS),
                    "vit_giant_patch14_reg1_tipsv2.webli", None),
}
# Row: architecture, the same network in timm, analytic GMACs. Their makers' files have other prefixes (`originals`).
ORIGINAL = {
    "moco-v3-vit-s-16": (dict(embed_dim=384, depth=12, num_heads=12, mlp_dim=1536, patch_size=16, **CLASS),
                         "vit_small_patch16_224", None),
    "moco-v3-vit-b-16": ({**BASE, **CLASS}, "vit_base_patch16_224", 18),
    "moco-v3-vit-l-16": ({**LARGE, **CLASS}, "vit_large_patch16_224", 62),
    "maws-mae-l-16": ({**LARGE, **CLASS}, "vit_large_patch16_224", 62),
    "maws-mae-h-14": ({**HUGE, **CLASS}, "vit_huge_patch14_224", 167),
    "maws-maws-l-16": ({**LARGE, **CLASS}, "vit_large_patch16_224", 62),
    "maws-maws-h-14": ({**HUGE, **CLASS}, "vit_huge_patch14_224", 167),
    "ijepa-vit-h-14.original": ({**HUGE, "image_size": 224}, "vit_huge_patch14_gap_224", 167),
    "ijepa-vit-g-16.original": (dict(embed_dim=1408, depth=40, num_heads=16, mlp_dim=6144, patch_size=16,
                                     image_size=224), "vit_giant_patch16_gap_224", None),
}
# Row: architecture, under the names of Hugging Face's SigLIP.
SIGLIP2 = {
    **{f"siglip2-b-16-{size}": {**BASE, "image_size": size} for size in (224, 256, 384, 512)},
    **{f"siglip2-l-16-{size}": {**LARGE, "image_size": size} for size in (256, 384, 512)},
    **{f"siglip2-so400m-14-{size}": {**SO400M, "image_size": size} for size in (224, 384)},
    **{f"siglip2-so400m-16-{size}": {**SO400M, "patch_size": 16, "image_size": size} for size in (256, 384, 512)},
}


def write(case, **kwargs):
    common.write_encoder_case(HERE, case, encoder="siglip", architecture="timm-vit", **kwargs)


def timm_tower(seed, act_layer=torch.nn.GELU, **kwargs):
    from timm.models.vision_transformer import VisionTransformer

    options = dict(class_token=False, global_pool="map", num_classes=0, mlp_ratio=62 / 36)
    model = VisionTransformer(img_size=31, patch_size=7, embed_dim=36, depth=3, num_heads=3,
                              act_layer=act_layer, **{**options, **kwargs})
    return common.randomise(model, seed)


@torch.no_grad()
def siglip():
    # Native size, through open_clip's prefix, with the other tower in the same file.
    model = timm_tower(1)
    pixels = common.pixels(2, 31, 31, 2)
    state = {f"visual.trunk.{k}": v for k, v in model.state_dict().items()}
    state["text.token_embedding.weight"] = torch.ones(2, 2)

    def expect(pixels):
        return [(model.forward_features(pixels), -1, True), (features(model, pixels, 1, False)[0], -2, False),
                (features(model, pixels, 0, True)[0], 0, True)]

    write("open-clip", arch=ARCH, weights=common.write_weights(HERE, "open-clip", state), model=model, pixels=pixels,
          expect=expect, reference="timm VisionTransformer in open_clip")
    for case, act, layer in [("leaning-gelu-erf", "gelu_erf", torch.nn.GELU),
                             ("leaning-gelu-tanh", "gelu_tanh", partial(torch.nn.GELU, approximate="tanh"))]:
        model = timm_tower(9, layer)
        common.lean([(block.mlp.fc1, block.mlp.fc2) for block in model.blocks], 10)
        write(case, arch={**ARCH, "act": act}, weights=common.write_weights(HERE, "leaning", model.state_dict()),
              model=model, pixels=pixels, expect=expect, reference="timm VisionTransformer")

    # Other sizes: bicubic with antialiasing.
    model = timm_tower(3, dynamic_img_size=True)
    weights = common.write_weights(HERE, "timm", model.state_dict())
    for case, size in [("timm-larger", (59, 44)), ("timm-smaller", (15, 23))]:
        write(case, arch=ARCH, weights=weights, model=model, pixels=common.pixels(2, *size, 4),
              reference="timm VisionTransformer",
              expect=lambda x: [(features(model, whole_patches(model, x), 2, True)[0], -1, True),
                                (features(model, whole_patches(model, x), 1, False)[0], 1, False)])


@torch.no_grad()
def class_token():
    """A plain ViT with a class token, as MAE's and the supervised ones."""
    model = timm_tower(5, class_token=True, global_pool="token", dynamic_img_size=True)
    weights = common.write_weights(HERE, "class-token", model.state_dict())

    def expect(pixels):
        seen = whole_patches(model, pixels)
        tokens, prefix = features(model, seen, 2, True)
        return [(tokens, -1, True), (prefix, -1, True, True), (features(model, seen, 0, False)[0], 0, False)]

    for case, size in [("class-token", (31, 31)), ("class-token-larger", (36, 50))]:
        write(case, arch={**ARCH, "class_token": True}, weights=weights, model=model,
              pixels=common.pixels(2, *size, 6), expect=expect, reference="timm VisionTransformer")


@torch.no_grad()
def registers():
    """A class token and a register without positions, layer scale, and a gated network, as TIPSv2 has them."""
    from timm.layers import SwiGLUPacked

    for case, seed, act, options in [("registers", 11, "gelu_erf", {}),
                                     ("registers-gated", 12, "swiglu", dict(mlp_layer=SwiGLUPacked, mlp_ratio=2 * 40 / 36))]:
        layer = torch.nn.SiLU if options else torch.nn.GELU
        model = timm_tower(seed, layer, class_token=True, global_pool="token", reg_tokens=1, no_embed_class=True,
                           init_values=1e-5, dynamic_img_size=True, **options)
        weights = common.write_weights(HERE, case, model.state_dict())
        arch = {**ARCH, "mlp_dim": 40 if options else 62, "act": act, "class_token": True, "class_pos": False,
                "registers": 1, "layer_scale": True}

        def expect(pixels):
            seen = whole_patches(model, pixels)
            tokens, prefix = features(model, seen, 2, True)
            return [(tokens, -1, True), (prefix, -1, True, True), (features(model, seen, 1, False)[0], 1, False)]

        for suffix, size in [("", (31, 31)), ("-larger", (36, 50))]:
            write(case + suffix, arch=arch, weights=weights, model=model, pixels=common.pixels(2, *size, 13),
                  expect=expect, reference="timm VisionTransformer with registers")


@torch.no_grad()
def originals():
    """The files of the makers of MoCo v3 and I-JEPA, who keep more than one encoder in them."""
    for case, seed, prefix, wrap, options in [
        ("moco-v3", 14, "module.base_encoder.",
         lambda state, others: {"epoch": 300, "arch": "vit_base", "state_dict": {**state, **others}},
         dict(class_token=True, global_pool="token")),
        ("ijepa-original", 15, "module.",
         lambda state, others: {"encoder": state, "target_encoder": others, "epoch": 900, "loss": 0.25},
         dict(class_token=False, global_pool="avg")),
    ]:
        model = timm_tower(seed, fc_norm=False, **options)
        state = {f"{prefix}{k}": v for k, v in model.state_dict().items()}
        other = "module.momentum_encoder." if "moco" in case else "module."
        others = {f"{other}{k}": v + 1 for k, v in model.state_dict().items()}
        file = f"{case}.pth.tar"
        torch.save(wrap(state, others), HERE / file)
        arch = {**ARCH, **({"class_token": True} if options["class_token"] else {})}
        prefix_tokens = model.num_prefix_tokens
        write(case, arch=arch, weights=file, model=model, pixels=common.pixels(2, 31, 31, 16),
              expect=lambda x: [(model.forward_features(x)[:, prefix_tokens:], -1, True)],
              reference="timm VisionTransformer")


def ijepa_tower(**kwargs):
    from transformers import IJepaConfig, IJepaModel

    return IJepaModel(IJepaConfig(layer_norm_eps=1e-6, attn_implementation="eager", **kwargs), add_pooling_layer=False)


def public_ijepa(state):
    """The published names of what transformers 5 holds in memory."""
    names = [("layers.", "encoder.layer."), (".attention.o_proj.", ".attention.output.dense."),
             (".mlp.fc1.", ".intermediate.dense."), (".mlp.fc2.", ".output.dense."),
             *((f".attention.{name[0]}_proj.", f".attention.attention.{name}.") for name in ("query", "key", "value"))]
    for held, name in names:
        state = {k.replace(held, name): v for k, v in state.items()}
    return state


@torch.no_grad()
def ijepa():
    model = common.randomise(ijepa_tower(hidden_size=36, intermediate_size=62, num_hidden_layers=3,
                                         num_attention_heads=3, patch_size=7, image_size=28), 17)
    weights = common.write_weights(HERE, "ijepa", saved(model))
    assert saved(model).keys() == public_ijepa(model.state_dict()).keys()
    write("ijepa", arch={**ARCH, "image_size": 28}, weights=weights, model=model, pixels=common.pixels(2, 28, 28, 18),
          expect=lambda x: [(model(x).last_hidden_state, -1, True)], reference="transformers IJepaModel")


def transformers_tower(**kwargs):
    from transformers import SiglipVisionConfig, SiglipVisionModel

    return SiglipVisionModel(SiglipVisionConfig(attn_implementation="eager", **kwargs))


@torch.no_grad()
def hugging_face():
    model = common.randomise(transformers_tower(
        hidden_size=36, intermediate_size=62, num_hidden_layers=3, num_attention_heads=3, patch_size=7,
        image_size=31), 7)

    def expect(pixels):
        out = model(pixels, output_hidden_states=True)
        return [(out.last_hidden_state, -1, True), (out.hidden_states[-2], -2, False)]

    weights = common.write_weights(HERE, "hf", prefixed(model.state_dict(), "vision_model."))
    write("hf", arch={**ARCH, "act": "gelu_tanh"}, weights=weights, model=model, pixels=common.pixels(2, 31, 31, 8),
          expect=expect, reference="transformers SiglipVisionModel (gelu_tanh)")


def manifests():
    import timm

    for row, (arch, name, gmacs) in (ROWS | ORIGINAL).items():
        options = dict(num_classes=0) if row in ORIGINAL else {}
        with torch.device("meta"):
            state = timm.create_model(name, pretrained=False, **options).state_dict()
        state = {f"visual.trunk.{k}": v for k, v in state.items()}
        common.write_manifest(HERE, row, state, architecture="timm-vit", arch=arch, layout="timm",
                              reference=f"timm {name}", unused=["visual.trunk.attn_pool.*"],
                              pixels=arch["image_size"], gmacs=gmacs)
    for row, arch in SIGLIP2.items():
        with torch.device("meta"):
            state = transformers_tower(
                hidden_size=arch["embed_dim"], intermediate_size=arch["mlp_dim"], num_hidden_layers=arch["depth"],
                num_attention_heads=arch["num_heads"], patch_size=arch["patch_size"], image_size=arch["image_size"],
            ).state_dict()
        common.write_manifest(HERE, row, prefixed(state, "vision_model."), architecture="timm-vit",
                              arch={**arch, "act": "gelu_tanh"}, layout="hf", reference="transformers SiglipVisionModel",
                              unused=["vision_model.head.*"])
    for row in ("ijepa-vit-h-14", "ijepa-vit-g-16"):
        arch = ORIGINAL[f"{row}.original"][0]
        with torch.device("meta"):
            model = ijepa_tower(hidden_size=arch["embed_dim"], intermediate_size=arch["mlp_dim"],
                                num_hidden_layers=arch["depth"], num_attention_heads=arch["num_heads"],
                                patch_size=arch["patch_size"], image_size=224)
        common.write_manifest(HERE, row, public_ijepa(model.state_dict()), architecture="timm-vit", arch=arch,
                              layout="hf-vit", reference="transformers IJepaModel", pixels=224)
    row = "siglip-so400m-14-384"
    with torch.device("meta"):
        state = transformers_tower(
            hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16, patch_size=14,
            image_size=384).state_dict()
    common.write_manifest(HERE, f"{row}.hf", prefixed(state, "vision_model."), architecture="timm-vit", arch=ROWS[row][0],
                          layout="hf", reference="transformers SiglipVisionModel",
                          unused=["vision_model.head.*"])


if __name__ == "__main__":
    siglip()
    class_token()
    registers()
    originals()
    ijepa()
    hugging_face()
    manifests()
