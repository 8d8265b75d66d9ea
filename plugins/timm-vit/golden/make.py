"""Golden files of the plain ViT plugin: timm and transformers, small and odd. See tests/reference/common.py."""

import pathlib
import sys
from functools import partial

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402

# 31 is no multiple of 7, as 384 is none of 14: the last rows and columns are not seen.
ARCH = dict(embed_dim=36, depth=3, num_heads=3, mlp_dim=62, patch_size=7, image_size=31)
SO400M = dict(embed_dim=1152, depth=27, num_heads=16, mlp_dim=4304, patch_size=14)
LARGE = dict(embed_dim=1024, depth=24, num_heads=16, mlp_dim=4096, patch_size=16)
# Row: architecture, timm's name, analytic GMACs.
ROWS = {
    "siglip-so400m-14-384": ({**SO400M, "image_size": 384}, "vit_so400m_patch14_siglip_384", 333),
    "siglip-so400m-14-224": ({**SO400M, "image_size": 224}, "vit_so400m_patch14_siglip_224", None),
    "siglip-vit-l-16-384": ({**LARGE, "image_size": 384}, "vit_large_patch16_siglip_384", 191),
}


def write(case, **kwargs):
    common.write_encoder_case(HERE, case, encoder="siglip", architecture="timm-vit", **kwargs)


def timm_tower(seed, act_layer=torch.nn.GELU, **kwargs):
    from timm.models.vision_transformer import VisionTransformer

    options = dict(class_token=False, global_pool="map", num_classes=0)
    model = VisionTransformer(img_size=31, patch_size=7, embed_dim=36, depth=3, num_heads=3, mlp_ratio=62 / 36,
                              act_layer=act_layer, **{**options, **kwargs})
    return common.randomise(model, seed)


def features(model, pixels, index, norm):
    """(patch tokens, prefix tokens or None) of a block of a timm model."""
    out = model.forward_intermediates(pixels, indices=[index], return_prefix_tokens=True, norm=norm,
                                      output_fmt="NLC", intermediates_only=True)[0]
    return out if isinstance(out, tuple) else (out, None)


def whole_patches(pixels):
    """Without the rows and columns beyond the last whole patch, which some references insist on."""
    return pixels[:, :, : pixels.shape[2] // 7 * 7, : pixels.shape[3] // 7 * 7]


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
              expect=lambda x: [(features(model, whole_patches(x), 2, True)[0], -1, True),
                                (features(model, whole_patches(x), 1, False)[0], 1, False)])


@torch.no_grad()
def class_token():
    """A plain ViT with a class token, as MAE's and the supervised ones."""
    model = timm_tower(5, class_token=True, global_pool="token", dynamic_img_size=True)
    weights = common.write_weights(HERE, "class-token", model.state_dict())

    def expect(pixels):
        seen = whole_patches(pixels)
        tokens, prefix = features(model, seen, 2, True)
        return [(tokens, -1, True), (prefix, -1, True, True), (features(model, seen, 0, False)[0], 0, False)]

    for case, size in [("class-token", (31, 31)), ("class-token-larger", (36, 50))]:
        write(case, arch={**ARCH, "class_token": True}, weights=weights, model=model,
              pixels=common.pixels(2, *size, 6), expect=expect, reference="timm VisionTransformer")


def transformers_tower(**kwargs):
    from transformers import SiglipVisionConfig, SiglipVisionModel

    return SiglipVisionModel(SiglipVisionConfig(attn_implementation="eager", **kwargs))


def prefixed(state):
    """The public key layout: transformers 5 drops `vision_model.` in memory."""
    return {k if k.startswith("vision_model.") else f"vision_model.{k}": v for k, v in state.items()
            if not k.endswith("position_ids")}


@torch.no_grad()
def hugging_face():
    model = common.randomise(transformers_tower(
        hidden_size=36, intermediate_size=62, num_hidden_layers=3, num_attention_heads=3, patch_size=7,
        image_size=31), 7)

    def expect(pixels):
        out = model(pixels, output_hidden_states=True)
        return [(out.last_hidden_state, -1, True), (out.hidden_states[-2], -2, False)]

    weights = common.write_weights(HERE, "hf", prefixed(model.state_dict()))
    write("hf", arch={**ARCH, "act": "gelu_tanh"}, weights=weights, model=model, pixels=common.pixels(2, 31, 31, 8),
          expect=expect, reference="transformers SiglipVisionModel (gelu_tanh)")


def manifests():
    import timm

    for row, (arch, name, gmacs) in ROWS.items():
        with torch.device("meta"):
            state = timm.create_model(name, pretrained=False).state_dict()
        state = {f"visual.trunk.{k}": v for k, v in state.items()}
        common.write_manifest(HERE, row, state, architecture="timm-vit", arch=arch, layout="timm",
                              reference=f"timm {name}", unused=["visual.trunk.attn_pool.*"],
                              pixels=arch["image_size"], gmacs=gmacs)
    row = "siglip-so400m-14-384"
    with torch.device("meta"):
        state = transformers_tower(
            hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16, patch_size=14,
            image_size=384).state_dict()
    common.write_manifest(HERE, f"{row}.hf", prefixed(state), architecture="timm-vit", arch=ROWS[row][0],
                          layout="hf", reference="transformers SiglipVisionModel",
                          unused=["vision_model.head.*"])


if __name__ == "__main__":
    siglip()
    class_token()
    hugging_face()
    manifests()
