"""Zero-shot classification from files to percentages by open_clip's pixels and transformers' CLIP, on random weights.

    python make.py
"""

import json
import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "reference"))
import common  # noqa: E402
from libraries import saved  # noqa: E402

IMAGES = ["lake.jpg", "still-life.jpg", "circles.png"]
LABELS = ["a cat", "Two RED cars", "a painting of the sea at night", "犬"]
TEMPLATES = ["{}", "a photo of {} .", "it's {}!"]
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def ids(texts):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(ROOT / "inputs/language/tests/texts/clip.tokenizer.json"))
    rows = [tokenizer.encode(text).ids[:77] for text in texts]
    longest = max(map(len, rows))
    return torch.tensor([row + [row[-1]] * (longest - len(row)) for row in rows])


@torch.no_grad()
def main():
    from open_clip.transform import image_transform
    from PIL import Image
    from transformers import CLIPConfig, CLIPModel

    model = common.randomise(CLIPModel(CLIPConfig(
        projection_dim=24, attn_implementation="eager",
        vision_config=dict(hidden_size=32, intermediate_size=56, num_hidden_layers=3, num_attention_heads=4, patch_size=7,
                           image_size=35),
        text_config=dict(hidden_size=28, intermediate_size=44, num_hidden_layers=3, num_attention_heads=4, vocab_size=734,
                         max_position_embeddings=77, bos_token_id=732, eos_token_id=733, pad_token_id=733))), 41)
    model.logit_scale.fill_(2.0)
    common.write_weights(HERE, "clip", saved(model))
    transform = image_transform(35, is_train=False, mean=MEAN, std=STD)
    pixels = torch.stack([transform(Image.open(ROOT / "examples/images" / name)) for name in IMAGES])
    plain = model(pixel_values=pixels, input_ids=ids(LABELS)).logits_per_image.softmax(-1)

    unit = torch.nn.functional.normalize
    sentences = [template.replace("{}", label) for label in LABELS for template in TEMPLATES]
    texts = unit(model.text_projection(model.text_model(ids(sentences)).pooler_output), dim=-1)
    texts = unit(texts.view(len(LABELS), len(TEMPLATES), -1).mean(1), dim=-1)
    images = unit(model.visual_projection(model.vision_model(pixels).pooler_output), dim=-1)
    templates = (model.logit_scale.exp() * images @ texts.T).softmax(-1)
    expected = {"images": IMAGES, "labels": LABELS, "templates": TEMPLATES, "plain": plain.tolist(),
                "with_templates": templates.tolist()}
    (HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
