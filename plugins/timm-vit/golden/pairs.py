"""Golden files of SigLIP's vectors and text tower, and of other plain ViTs' vectors. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
import make  # noqa: E402


VOCAB, CONTEXT = 99, 12
TEXT = dict(embed_dim=36, depth=3, num_heads=3, mlp_dim=62, vocab=VOCAB, context=CONTEXT, project=36)


def vectors(case, **kwargs):
    common.write_vector_case(HERE, case, encoder="siglip", architecture="timm-vit", **kwargs)


@torch.no_grad()
def hugging_face():
    from libraries import saved
    from transformers import SiglipConfig, SiglipModel

    sizes = dict(hidden_size=36, intermediate_size=62, num_hidden_layers=3, num_attention_heads=3)
    model = common.randomise(SiglipModel(SiglipConfig(
        attn_implementation="eager", vision_config=dict(**sizes, patch_size=7, image_size=31),
        text_config=dict(**sizes, vocab_size=VOCAB, max_position_embeddings=CONTEXT, projection_size=36))), 31)
    model.logit_scale.fill_(1.9)
    model.logit_bias.fill_(-3.25)
    weights = common.write_weights(HERE, "pair", saved(model))
    pixels, ids = common.pixels(3, 31, 31, 32), common.texts(4, CONTEXT, VOCAB, 33)

    def images(pixels):
        return model.vision_model(pixels).pooler_output

    def texts(ids):
        return model.text_model(ids).pooler_output

    out = model(pixel_values=pixels, input_ids=ids)
    act, reference = dict(act="gelu_tanh"), "transformers SiglipModel"
    vectors("pair-images", arch={**make.ARCH, **act, "pool": "attention"}, weights=weights, model=model, pixels=pixels,
            embed=images, reference=reference)
    common.write_text_case(
        HERE, "pair-texts", text="siglip", architecture="siglip-text", arch={**TEXT, **act}, weights=weights, model=model,
        ids=ids, embed=texts, images=images(pixels), logits=out.logits_per_image, reference=reference)


@torch.no_grad()
def open_clip():
    from open_clip.transformer import TextTransformer

    tower = make.timm_tower(34)
    text = common.randomise(TextTransformer(
        context_length=CONTEXT, vocab_size=VOCAB, width=36, heads=3, layers=3, mlp_ratio=62 / 36, output_dim=36,
        no_causal_mask=True, proj_bias=True, pool_type="last", norm_layer=torch_norm), 35)
    scale, bias = torch.tensor(1.9), torch.tensor(-3.25)
    model = torch.nn.ModuleDict(dict(visual=tower, text=text))
    state = {f"visual.trunk.{k}": v for k, v in tower.state_dict().items()}
    state |= {f"text.{k}": v for k, v in text.state_dict().items()}
    state |= {"logit_scale": scale, "logit_bias": bias}
    weights = common.write_weights(HERE, "pair-open-clip", state)
    pixels, ids = common.pixels(3, 31, 31, 36), common.texts(4, CONTEXT, VOCAB, 37)
    images, texts = (torch.nn.functional.normalize(x, dim=-1) for x in (tower(pixels), text(ids)))
    reference = "timm VisionTransformer and open_clip TextTransformer"
    vectors("pair-open-clip-images", arch={**make.ARCH, "pool": "attention"}, weights=weights, model=model,
            pixels=pixels, embed=tower, reference=reference)
    common.write_text_case(
        HERE, "pair-open-clip-texts", text="siglip", architecture="siglip-text", arch=TEXT, weights=weights, model=model,
        ids=ids, embed=text, images=tower(pixels), logits=images @ texts.T * scale.exp() + bias, reference=reference)


def torch_norm(width):
    return torch.nn.LayerNorm(width, eps=1e-6)


@torch.no_grad()
def pools():
    """timm's class token and mean, as MAE and I-JEPA have them."""
    for case, pool, options in [("vector-class", "class", dict(class_token=True, global_pool="token")),
                                ("vector-mean", "mean", dict(global_pool="avg", fc_norm=False))]:
        model = make.timm_tower(38, **options)
        arch = {**make.ARCH, "pool": pool, "class_token": options.get("class_token", False)}
        vectors(case, arch=arch, weights=common.write_weights(HERE, case, model.state_dict()), model=model,
                pixels=common.pixels(2, 31, 31, 39), embed=model, reference="timm VisionTransformer")


if __name__ == "__main__":
    hugging_face()
    open_clip()
    pools()
