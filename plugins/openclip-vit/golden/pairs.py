"""Golden files of the vectors and text towers of open_clip's models, small and odd. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
import make  # noqa: E402


VOCAB, CONTEXT = 99, 17
TEXT = dict(embed_dim=28, depth=3, num_heads=4, mlp_dim=112, vocab=VOCAB, context=CONTEXT, project=24)


@torch.no_grad()
def open_clip():
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    arch = make.ARCH
    for case, quick in [("pair", False), ("pair-quick", True)]:
        vision = CLIPVisionCfg(layers=3, width=36, head_width=12, mlp_ratio=60 / 36, patch_size=7, image_size=31)
        text = CLIPTextCfg(context_length=CONTEXT, vocab_size=VOCAB, width=28, heads=4, layers=3)
        model = common.randomise(CLIP(24, vision, text, quick_gelu=quick), 31)
        model.logit_scale.fill_(2.7)
        weights = common.write_weights(HERE, case, model.state_dict())
        pixels = common.pixels(3, 31, 31, 32)
        ids = common.texts(4, CONTEXT, VOCAB, 33, end=98)
        act = dict(act="quick_gelu" if quick else "gelu_erf")
        reference = "open_clip CLIP"
        common.write_vector_case(
            HERE, f"{case}-images", encoder="openclip", architecture="openclip-vit",
            arch={**arch, **act, "project": 24}, weights=weights, model=model, pixels=pixels,
            embed=model.encode_image, reference=reference)
        common.write_text_case(
            HERE, f"{case}-texts", text="openclip", architecture="openclip-text", arch={**TEXT, **act},
            weights=weights, model=model, ids=ids, embed=model.encode_text, images=model.encode_image(pixels),
            logits=model.get_logits(pixels, ids)[0], reference=reference)


if __name__ == "__main__":
    open_clip()
