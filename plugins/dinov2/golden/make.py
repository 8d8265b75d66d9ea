"""Golden files of the DINOv2 plugin: transformers and timm, small and odd. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import published, saved  # noqa: E402
from towers import offset_positions  # noqa: E402

ARCH = dict(embed_dim=36, depth=3, num_heads=3, mlp_dim=144, patch_size=7, image_size=35)
# transformers fixes the gated width: ((int(4 · 36 · 2 / 3) + 7) // 8) · 8.
GATED = {**ARCH, "mlp_dim": 96, "act": "swiglu"}
# Row: width, depth, heads, inner width, pixels and analytic GMACs there.
ROWS = {
    "dinov2-vit-s-14": (384, 12, 6, 1536, 518, None),
    "dinov2-vit-b-14": (768, 12, 12, 3072, 518, None),
    "dinov2-vit-l-14": (1024, 24, 16, 4096, 518, 507),
    "dinov2-vit-g-14": (1536, 40, 24, 4096, 378, 893),
}


def write(case, **kwargs):
    common.write_encoder_case(HERE, case, encoder="dinov2", architecture="dinov2", **kwargs)


def transformers_model(seed, registers=0, swiglu=False):
    import transformers as t

    options = dict(hidden_size=36, num_hidden_layers=3, num_attention_heads=3, patch_size=7, image_size=35,
                   use_swiglu_ffn=swiglu, attn_implementation="eager")
    if registers:
        model = t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(num_register_tokens=registers, **options))
    else:
        model = t.Dinov2Model(t.Dinov2Config(**options))
    return common.randomise(model, seed)


def expectations(model, prefix=1, count=4):
    """The model, and the first `count` of what it gives."""

    def expect(pixels):
        out = model(pixels, output_hidden_states=True)
        final, before, first = out.last_hidden_state, out.hidden_states[-2], out.hidden_states[1]
        return [(final[:, prefix:], -1, True), (final[:, :prefix], -1, True, True),
                (before[:, prefix:], -2, False), (first[:, prefix:], 0, False)][:count]

    return dict(model=model, expect=expect)


def hugging_face():
    model = transformers_model(1)
    weights = common.write_weights(HERE, "hf", saved(model))
    native, larger, smaller = (common.pixels(2, *size, 2) for size in [(35, 35), (63, 49), (21, 28)])
    reference = "transformers Dinov2Model"
    write("hf", arch=ARCH, weights=weights, pixels=native, reference=reference,
          **expectations(model))
    for case, pixels in [("larger", larger), ("smaller", smaller)]:
        write(f"hf-bicubic-{case}", arch={**ARCH, "pos_mode": "bicubic"}, weights=weights, pixels=pixels,
              reference=reference, **expectations(model, count=2))
    offset_positions(model.embeddings)
    for case, pixels in [("larger", larger), ("smaller", smaller)]:
        write(f"hf-offset-{case}", arch=ARCH, weights=weights, pixels=pixels,
              reference=f"{reference}, positions as in transformers 4.37", **expectations(model, count=2))
    model = transformers_model(11)
    common.lean([(m.fc1, m.fc2) for m in model.modules() if hasattr(m, "fc1")], 12)
    write("leaning", arch=ARCH, weights=common.write_weights(HERE, "leaning", saved(model)),
          pixels=common.pixels(2, 35, 35, 13), reference=reference, **expectations(model))


def gated():
    model = transformers_model(3, swiglu=True)
    state = saved(model)
    # The classifier repositories put everything under a prefix and add a head.
    prefixed = {f"dinov2.{k}": v for k, v in state.items()}
    prefixed["classifier.weight"] = torch.ones(2, 72)
    weights = common.write_weights(HERE, "hf-swiglu", prefixed)
    pixels = common.pixels(2, 42, 35, 4)
    write("hf-swiglu", arch={**GATED, "pos_mode": "bicubic"}, weights=weights, pixels=pixels,
          reference="transformers Dinov2Model (SwiGLU)", **expectations(model))


def registers():
    model = transformers_model(5, registers=2)
    weights = common.write_weights(HERE, "hf-registers", saved(model))
    arch = {**ARCH, "registers": 2, "pos_mode": "bicubic_antialias"}
    for case, size in [("hf-registers", (35, 35)), ("hf-registers-larger", (49, 42)),
                       ("hf-registers-smaller", (21, 28))]:
        pixels = common.pixels(2, *size, 6)
        write(case, arch=arch, weights=weights, pixels=pixels, reference="transformers Dinov2WithRegistersModel",
              **expectations(model, 3, 2))


@torch.no_grad()
def fused():
    """timm's layout and, with the names of the gated network and the mask token changed, the original one."""
    from timm.layers import SwiGLUPacked
    from timm.models.vision_transformer import VisionTransformer

    # timm counts both halves of the gated network.
    model = VisionTransformer(img_size=35, patch_size=7, embed_dim=36, depth=3, num_heads=3, init_values=1e-5,
                              num_classes=0, mlp_ratio=192 / 36, mlp_layer=SwiGLUPacked, act_layer=torch.nn.SiLU,
                              dynamic_img_size=True)
    common.randomise(model, 7)
    state = model.state_dict()
    pixels = common.pixels(2, 35, 35, 8)
    other = common.pixels(2, 42, 28, 8)

    def layer(pixels, index, norm):
        return model.forward_intermediates(pixels, indices=[index], norm=norm, output_fmt="NLC",
                                           intermediates_only=True)[0]

    def last(pixels):
        return [(layer(pixels, 2, True), -1, True)]

    reference = "timm VisionTransformer (SwiGLUPacked)"
    weights = common.write_weights(HERE, "timm", state)
    write("timm", arch=GATED, weights=weights, model=model, pixels=pixels, reference=reference,
          expect=lambda x: [*last(x), (layer(x, 1, False), -2, False)])
    write("timm-antialias", arch={**GATED, "pos_mode": "bicubic_antialias"}, weights=weights, model=model,
          pixels=other, expect=last, reference=reference)
    original = {k.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3"): v for k, v in state.items()}
    original["mask_token"] = torch.ones(1, 36)
    write("original", arch=GATED, weights=common.write_weights(HERE, "original", original), model=model,
          pixels=pixels, expect=last, layout="original", reference=f"{reference}, names of the original release")
    # With registers, timm folds the class token's position into the token: the table has patch rows only.
    model = common.randomise(
        VisionTransformer(img_size=35, patch_size=7, embed_dim=36, depth=2, num_heads=3, init_values=1e-5,
                          num_classes=0, mlp_ratio=2, reg_tokens=2, no_embed_class=True, dynamic_img_size=True), 9)
    arch = {**ARCH, "depth": 2, "mlp_dim": 72, "registers": 2, "class_pos": False, "pos_mode": "bicubic_antialias"}

    def all_tokens(pixels):
        tokens = model.forward_features(pixels)
        return [(tokens[:, 3:], -1, True), (tokens[:, :3], -1, True, True)]

    write("timm-registers", arch=arch, weights=common.write_weights(HERE, "timm-registers", model.state_dict()),
          model=model, pixels=other, expect=all_tokens, reference="timm VisionTransformer (registers)")


def manifests():
    import transformers as t

    for row, (width, depth, heads, inner, pixels, gmacs) in ROWS.items():
        swiglu = row == "dinov2-vit-g-14"
        config = t.Dinov2Config(hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads,
                                image_size=518, patch_size=14, use_swiglu_ffn=swiglu)
        with torch.device("meta"):
            model = t.Dinov2Model(config)
        arch = dict(embed_dim=width, depth=depth, num_heads=heads, mlp_dim=inner, patch_size=14, image_size=518)
        common.write_manifest(HERE, row, published(model), architecture="dinov2", layout="hf",
                              arch={**arch, "act": "swiglu"} if swiglu else arch,
                              reference="transformers Dinov2Model", unused=["embeddings.mask_token"],
                              pixels=pixels, gmacs=gmacs)
        config = t.Dinov2WithRegistersConfig(
            hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads, image_size=518, patch_size=14,
            use_swiglu_ffn=swiglu, num_register_tokens=4)
        with torch.device("meta"):
            model = t.Dinov2WithRegistersModel(config)
        arch = {**arch, "registers": 4, "pos_mode": "bicubic_antialias"}
        common.write_manifest(HERE, f"{row}-reg", published(model), architecture="dinov2", layout="hf",
                              arch={**arch, "act": "swiglu"} if swiglu else arch,
                              reference="transformers Dinov2WithRegistersModel", unused=["embeddings.mask_token"])


if __name__ == "__main__":
    hugging_face()
    gated()
    registers()
    fused()
    manifests()
