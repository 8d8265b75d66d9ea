"""Golden files of the DPT plugin: transformers and timm, small and odd. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import published, saved  # noqa: E402

ARCH = dict(embed_dim=36, depth=3, num_heads=3, mlp_dim=62, patch_size=4, image_size=28)
LARGE = dict(embed_dim=1024, depth=24, num_heads=16, mlp_dim=4096, patch_size=16)


def write(case, architecture, **kwargs):
    common.write_encoder_case(HERE, case, encoder="dpt", architecture=architecture, **kwargs)


def randomise(model, seed):
    """Tables of distances vary like positions, layer scales around 1."""
    common.randomise(model, seed)
    g = common.generator(seed + 100)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if "relative_position_bias_table" in name:
                p.copy_(torch.randn(p.shape, generator=g))
            elif "lambda_" in name:
                p.copy_(1 + torch.randn(p.shape, generator=g) * 0.2)
    return model


def vit(seed):
    from transformers import DPTConfig, DPTForDepthEstimation

    config = DPTConfig(hidden_size=36, num_hidden_layers=3, num_attention_heads=3, intermediate_size=62, patch_size=4,
                       image_size=28, backbone_out_indices=[0, 1, 2], neck_hidden_sizes=[4, 4, 4], reassemble_factors=[4, 2, 1],
                       fusion_hidden_size=4, layer_norm_eps=1e-12, attn_implementation="eager")
    return randomise(DPTForDepthEstimation(config), seed)


def beit(seed):
    from transformers import BeitConfig, DPTConfig, DPTForDepthEstimation

    backbone = BeitConfig(hidden_size=36, num_hidden_layers=3, num_attention_heads=3, intermediate_size=62,
                          patch_size=4, image_size=28, use_relative_position_bias=True, layer_scale_init_value=0.1,
                          use_mask_token=False, use_absolute_position_embeddings=False, layer_norm_eps=1e-12,
                          out_features=["stage1", "stage2", "stage3"], reshape_hidden_states=False)
    config = DPTConfig(backbone_config=backbone, neck_hidden_sizes=[4, 4, 4], fusion_hidden_size=4,
                       reassemble_factors=[4, 2, 1], attn_implementation="eager")
    return randomise(DPTForDepthEstimation(config), seed)


@torch.no_grad()
def hugging_face():
    # MiDaS 3.0. Its neck takes square images only, which is why the backbone is asked.
    model = vit(1)
    weights = common.write_weights(HERE, "vit", saved(model))

    def expect(pixels):
        hidden = model.dpt(pixels, output_hidden_states=True).hidden_states
        return [(hidden[-1][:, 1:], -1, False), (hidden[-1][:, :1], -1, False, True), (hidden[1][:, 1:], 0, False),
                (model.dpt.layernorm(hidden[-1])[:, 1:], 2, True)]

    for case, size in [("vit", (28, 28)), ("vit-larger", (44, 36)), ("vit-smaller", (16, 20))]:
        count = 4 if case == "vit" else 1
        write(case, "dpt-vit", arch=ARCH, weights=weights, model=model, pixels=common.pixels(2, *size, 2),
              expect=lambda x: expect(x)[:count], reference="transformers DPTForDepthEstimation")
    # The first norm, of numbers so small that 1e-6 in the place of 1e-12 would show.
    model = vit(3)
    common.lean([(layer.mlp.fc1, layer.mlp.fc2) if hasattr(layer, "mlp") else
                 (layer.intermediate.dense, layer.output.dense) for layer in layers(model.dpt)], 4)
    with torch.no_grad():
        for name, p in model.dpt.embeddings.named_parameters():
            p.mul_(0.003)
    write("vit-faint", "dpt-vit", arch=ARCH, weights=common.write_weights(HERE, "vit-faint", saved(model)),
          model=model, pixels=common.pixels(1, 28, 28, 5),
          expect=lambda x: [(model.dpt(x, output_hidden_states=True).hidden_states[-1][:, 1:], -1, False)],
          reference="transformers DPTForDepthEstimation")
    # MiDaS 3.1.
    model = beit(5)
    state = saved(model)
    state["backbone.encoder.layer.0.attention.attention.relative_position_bias.relative_position_index"] = \
        torch.ones(50, 50)
    weights = common.write_weights(HERE, "beit", state)

    def seen(pixels):
        return model.backbone(pixels, output_hidden_states=True).hidden_states

    for case, size in [("beit", (28, 28)), ("beit-larger", (36, 44)), ("beit-smaller", (16, 20))]:
        write(case, "dpt-beit", arch=ARCH, weights=weights, model=model, pixels=common.pixels(2, *size, 6),
              expect=lambda x: [(seen(x)[-1][:, 1:], -1, False), (seen(x)[-1][:, :1], -1, False, True),
                                (seen(x)[1][:, 1:], 0, False)],
              reference="transformers DPTForDepthEstimation on BeitBackbone")


def layers(model):
    encoder = model.encoder
    return encoder.layer if hasattr(encoder, "layer") else encoder.layers


@torch.no_grad()
def fused():
    """timm's layout, as in the original release."""
    from timm.models.beit import Beit

    model = Beit(img_size=28, patch_size=4, embed_dim=36, depth=3, num_heads=3, mlp_ratio=62 / 36, init_values=0.1,
                 use_abs_pos_emb=False, use_rel_pos_bias=True, num_classes=0)
    common.randomise(model, 7)
    g = common.generator(8)
    for name, p in sorted(model.named_parameters()):
        if "relative_position_bias_table" in name:
            p.copy_(torch.randn(p.shape, generator=g))
    eps = {m.eps for m in model.modules() if isinstance(m, torch.nn.LayerNorm)}
    assert eps == {1e-6}, eps
    state = {f"pretrained.model.{k}": v for k, v in model.state_dict().items()}
    state["scratch.layer1_rn.weight"] = torch.ones(2, 2)

    def expect(pixels):
        maps = model.forward_intermediates(pixels, indices=[2, 0], output_fmt="NLC", intermediates_only=True)
        first, last = maps
        return [(last, -1, False), (first, 0, False)]

    write("beit-original", "dpt-beit", arch={**ARCH, "norm_eps": 1e-6}, model=model,
          weights=common.write_weights(HERE, "beit-original", state), pixels=common.pixels(2, 28, 28, 9),
          expect=expect, reference="timm Beit")
    from timm.models.vision_transformer import VisionTransformer

    model = common.randomise(VisionTransformer(img_size=28, patch_size=4, embed_dim=36, depth=3, num_heads=3,
                                               mlp_ratio=62 / 36, num_classes=0), 11)
    state = {f"pretrained.model.{k}": v for k, v in model.state_dict().items()}
    write("vit-original", "dpt-vit", arch={**ARCH, "norm_eps": 1e-6}, model=model,
          weights=common.write_weights(HERE, "vit-original", state), pixels=common.pixels(1, 28, 28, 12),
          expect=lambda x: [(model.forward_features(x)[:, 1:], -1, True)], reference="timm VisionTransformer")


def manifests():
    from transformers import BeitConfig, DPTConfig, DPTForDepthEstimation

    config = DPTConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
                       image_size=384, backbone_out_indices=[5, 11, 17, 23], neck_hidden_sizes=[256, 512, 1024, 1024])
    with torch.device("meta"):
        model = DPTForDepthEstimation(config)
    common.write_manifest(HERE, "midas-dpt-large-384", published(model), architecture="dpt-vit", layout="hf",
                          arch={**LARGE, "image_size": 384}, reference="transformers DPTForDepthEstimation",
                          unused=["neck.*", "head.*", "dpt.pooler.*"], pixels=384, gmacs=191)
    backbone = BeitConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
                          image_size=512, patch_size=16, use_relative_position_bias=True, layer_scale_init_value=0.1,
                          use_mask_token=False, out_features=["stage6", "stage12", "stage18", "stage24"],
                          reshape_hidden_states=False)
    with torch.device("meta"):
        model = DPTForDepthEstimation(DPTConfig(backbone_config=backbone, neck_hidden_sizes=[256, 512, 1024, 1024]))
    common.write_manifest(HERE, "midas-dpt-beit-large-512", published(model), architecture="dpt-beit", layout="hf",
                          arch={**LARGE, "image_size": 512},
                          reference="transformers DPTForDepthEstimation on BeitBackbone",
                          unused=["neck.*", "head.*", "backbone.layernorm*"], pixels=512, gmacs=362)


if __name__ == "__main__":
    hugging_face()
    fused()
    manifests()
