"""Golden files of the SAM plugin: transformers and timm, small and odd. See tests/reference/common.py."""

import pathlib
import sys
from functools import partial

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import prefixed  # noqa: E402

# A grid of 11 cells and windows of 4: the last ones are filled with zeros.
ARCH = dict(embed_dim=36, depth=3, num_heads=3, mlp_dim=62, patch_size=4, image_size=44, window_size=4,
            global_attn_indexes=[1])
# Row: width, depth, heads, blocks that attend to all cells; the released Hugging Face repository and GMACs.
ROWS = {
    "sam-vit-b-16": (768, 12, 12, [2, 5, 8, 11]),
    "sam-vit-l-16": (1024, 24, 16, [5, 11, 17, 23]),
    "sam-vit-h-16": (1280, 32, 16, [7, 15, 23, 31]),
}


def write(case, **kwargs):
    common.write_encoder_case(HERE, case, encoder="sam", architecture="sam-vit", **kwargs)


def faint(model, seed):
    """Positions are parameters, whatever they are called."""
    common.randomise(model, seed)
    g = common.generator(seed + 100)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if "rel_pos" in name or name.endswith("pos_embed"):
                p.copy_(torch.randn(p.shape, generator=g) * 0.5)
    return model


def transformers_model(seed):
    from transformers import SamVisionConfig, SamVisionModel

    config = SamVisionConfig(hidden_size=36, num_hidden_layers=3, num_attention_heads=3, mlp_dim=62, patch_size=4,
                             image_size=44, window_size=4, global_attn_indexes=[1], output_channels=20,
                             attn_implementation="eager")
    return faint(SamVisionModel(config), seed)


def timm_model(seed):
    from timm.models.vision_transformer_sam import VisionTransformerSAM

    model = VisionTransformerSAM(img_size=44, patch_size=4, embed_dim=36, depth=3, num_heads=3, mlp_ratio=62 / 36,
                                 use_rel_pos=True, window_size=4, global_attn_indexes=(1,), neck_chans=20,
                                 num_classes=0, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6))
    return faint(model, seed)


def flat(maps):
    """[B, h, w, C] to tokens."""
    return maps.flatten(1, 2)


@torch.no_grad()
def hugging_face():
    model = transformers_model(1)
    state = prefixed(model.state_dict(), "vision_encoder.")
    # What else a whole checkpoint holds.
    state["mask_decoder.iou_token.weight"] = torch.ones(1, 2)
    weights = common.write_weights(HERE, "hf", state)

    def expect(pixels):
        out = model(pixels, output_hidden_states=True)
        neck = out.last_hidden_state.flatten(2).transpose(1, 2)
        return [(flat(out.hidden_states[3]), 2, False), (flat(out.hidden_states[1]), 0, False), (neck, 3, False)]

    write("hf-neck", arch={**ARCH, "neck": 20}, weights=weights, model=model, pixels=common.pixels(2, 44, 44, 2),
          expect=expect, reference="transformers SamVisionModel")
    write("hf", arch=ARCH, weights=weights, model=model, pixels=common.pixels(1, 44, 44, 3),
          expect=lambda x: expect(x)[:2], reference="transformers SamVisionModel")


@torch.no_grad()
def fused():
    """timm's layout, at other sizes too, and the original one, which differs from it in the names of the network."""
    model = timm_model(5)
    weights = common.write_weights(HERE, "timm", model.state_dict())

    def expect(pixels):
        maps = model.forward_intermediates(pixels, indices=[0, 1, 2], intermediates_only=True)
        tokens = [m.flatten(2).transpose(1, 2) for m in maps]
        return [(tokens[2], -1, False), (tokens[1], 1, False), (tokens[0], -3, False)]

    for case, size in [("timm", (44, 44)), ("timm-larger", (64, 52)), ("timm-smaller", (12, 32))]:
        write(case, arch=ARCH, weights=weights, model=model, pixels=common.pixels(2, *size, 6), expect=expect,
              reference="timm VisionTransformerSAM")
    model = timm_model(7)
    common.lean([(block.mlp.fc1, block.mlp.fc2) for block in model.blocks], 8)
    state = {f"image_encoder.{k.replace('mlp.fc', 'mlp.lin')}": v for k, v in model.state_dict().items()}
    state["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"] = torch.ones(2, 2)
    write("original", arch=ARCH, weights=common.write_weights(HERE, "original", state), model=model,
          pixels=common.pixels(1, 44, 44, 9), expect=expect,
          reference="timm VisionTransformerSAM, names of the original release")


def manifests():
    from transformers import SamVisionConfig, SamVisionModel

    for row, (width, depth, heads, everywhere) in ROWS.items():
        config = SamVisionConfig(hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads,
                                 mlp_dim=4 * width, global_attn_indexes=everywhere)
        with torch.device("meta"):
            state = SamVisionModel(config).state_dict()
        common.write_manifest(HERE, row, prefixed(state, "vision_encoder."), architecture="sam-vit", layout="hf",
                              arch=dict(embed_dim=width, depth=depth, num_heads=heads, mlp_dim=4 * width,
                                        patch_size=16, image_size=1024, global_attn_indexes=everywhere),
                              reference="transformers SamVisionModel", unused=["vision_encoder.neck.*"], pixels=1024)


if __name__ == "__main__":
    hugging_face()
    fused()
    manifests()
