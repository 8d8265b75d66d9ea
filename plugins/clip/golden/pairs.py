"""Golden files of CLIP's vectors and text tower: transformers, small and odd. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
import make  # noqa: E402


VOCAB, CONTEXT = 99, 17
TEXT = dict(embed_dim=28, depth=3, num_heads=4, mlp_dim=44, vocab=VOCAB, context=CONTEXT, project=24)


@torch.no_grad()
def hugging_face():
    from libraries import saved
    from transformers import CLIPConfig, CLIPModel

    arch = make.ARCH
    model = common.randomise(CLIPModel(CLIPConfig(
        projection_dim=24, attn_implementation="eager",
        vision_config=dict(
            hidden_size=arch["embed_dim"], intermediate_size=arch["mlp_dim"], num_hidden_layers=arch["depth"],
            num_attention_heads=arch["num_heads"], patch_size=arch["patch_size"], image_size=arch["image_size"]),
        text_config=dict(
            hidden_size=28, intermediate_size=44, num_hidden_layers=3, num_attention_heads=4, vocab_size=VOCAB,
            max_position_embeddings=CONTEXT, bos_token_id=97, eos_token_id=98, pad_token_id=98))), 31)
    model.logit_scale.fill_(2.7)
    weights = common.write_weights(HERE, "pair", saved(model))
    pixels = common.pixels(3, 35, 35, 32)
    ids = common.texts(4, CONTEXT, VOCAB, 33, end=98)

    def images(pixels):
        return model.visual_projection(model.vision_model(pixels).pooler_output)

    def texts(ids):
        return model.text_projection(model.text_model(ids).pooler_output)

    out = model(pixel_values=pixels, input_ids=ids)
    reference = "transformers CLIPModel"
    common.write_vector_case(
        HERE, "pair-images", encoder="clip", architecture="clip-vit", arch={**arch, "project": 24}, weights=weights,
        model=model, pixels=pixels, embed=images, reference=reference)
    common.write_text_case(
        HERE, "pair-texts", text="clip", architecture="clip-text", arch=TEXT, weights=weights, model=model, ids=ids,
        embed=texts, images=images(pixels), logits=out.logits_per_image, reference=reference)


if __name__ == "__main__":
    hugging_face()
