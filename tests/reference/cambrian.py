"""Cambrian-1 in torch, from a model folder to logits: the reference of the golden traces in tests/checkpoints/.

Built from other people's modules where there are any (Pillow, transformers, timm, tokenizers, sentencepiece) and
from sva.py. One image, prefill only, no cache: every new token reads the whole sequence again.

    python tests/reference/cambrian.py FOLDER IMAGE QUESTION [--template NAME] [--drop-newline]
"""

import json
import math
import pathlib
import sys

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import prompts  # noqa: E402
import sva  # noqa: E402
import towers  # noqa: E402

CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
HALF = ([0.5] * 3, [0.5] * 3)
# What is not in an arch file: per encoder the architecture, layers, pad colour, mean and deviation, pixels.
ENCODERS = {
    "siglip-so400m-14-384": ("timm-vit", [-1], (122, 116, 104), HALF, 384),
    "clip-vit-l-14-336": ("clip-vit", [-2], (122, 116, 104), CLIP, 336),
    "dinov2-vit-g-14": ("dinov2", [-1], (123, 116, 103), IMAGENET, 378),
    "openclip-convnext-xxl": ("convnext", [0, 1, 2, 3], (122, 116, 104), CLIP, 1024),
}
# Keys of a registry row that an arch file leaves alone.
FIXED = {
    "siglip-so400m-14-384": dict(patch_size=14),
    "clip-vit-l-14-336": dict(patch_size=14),
    "dinov2-vit-g-14": dict(patch_size=14, act="swiglu"),
    "openclip-convnext-xxl": dict(norm_eps=1e-5),
}


def preprocess(image, pad, statistics, size):
    """An RGB image of Pillow to pixels [1, 3, size, size]."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), pad)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    square = square.resize((size, size), Image.BICUBIC)
    pixels = torch.frombuffer(bytearray(square.tobytes()), dtype=torch.uint8).reshape(size, size, 3)
    mean, std = (torch.tensor(s)[:, None, None] for s in statistics)
    return ((pixels.permute(2, 0, 1).float() / 255 - mean) / std)[None]


def resample(stage, side):
    if stage.shape[-1] == side:
        return stage
    return F.interpolate(stage.float(), (side, side), mode="bilinear", align_corners=False)


class Eye:
    """One encoder with its share of the pixel pipeline."""

    def __init__(self, id, arch, tower=None, pixels=None):
        architecture, self.layers, self.pad, self.statistics, size = ENCODERS[id]
        self.size = pixels or size
        self.tower = (tower or towers.ARCHITECTURES[architecture]({**FIXED[id], **arch})).eval()

    def __call__(self, image, tokens=None):
        """[1, N, C]; on its own grid where no number of tokens is given."""
        maps = self.tower.features(preprocess(image, self.pad, self.statistics, self.size), self.layers)
        side = math.isqrt(tokens) if tokens else maps[0].shape[-1]
        return torch.cat([resample(m, side) for m in maps], 1).flatten(2).transpose(1, 2)


class Projector(nn.Module):
    """LLaVA-1.5's connector: no newline, no unpadding."""

    def __init__(self, inputs, output):
        super().__init__()
        self.mm_projector = nn.Sequential(nn.Linear(inputs, output), nn.GELU(), nn.Linear(output, output))

    def forward(self, features, sizes):
        return self.mm_projector(torch.cat(features, -1)), None

    def block(self, tokens, size):
        return tokens


def connector(config, channels):
    """The connector that a `config.json` asks for; `channels` of each encoder."""
    if config["mm_projector_type"] == "mlp2x_gelu":
        return Projector(sum(channels), config["hidden_size"]), []
    keys = ["vision_hidden_size", "image_token_len", "query_num_list", "connector_depth", "connector_only",
            "num_of_vision_sampler_layers"]
    arch = {key: config[key] for key in keys if key in config}
    arch |= dict(inputs=channels, output=config["hidden_size"],
                 token_lens=config["mm_vision_tower_aux_token_len_list"])
    after = []
    if not config["connector_only"]:
        start, stride = config["start_of_vision_sampler_layers"], config["stride_of_vision_sampler_layers"]
        after = [start + n * stride for n in range(config["num_of_vision_sampler_layers"])]
    return sva.Sva(arch), after


def language_model(config):
    """A causal language model of transformers for the text half of a `config.json`."""
    import transformers as t

    kind = config["model_type"].removeprefix("cambrian_").removeprefix("llava_")
    classes = {
        "llama": (t.LlamaConfig, t.LlamaForCausalLM),
        "phi3": (t.Phi3Config, t.Phi3ForCausalLM),
        "qwen2": (t.Qwen2Config, t.Qwen2ForCausalLM),
        "gemma": (t.GemmaConfig, t.GemmaForCausalLM),
        "mistral": (t.MistralConfig, t.MistralForCausalLM),
    }
    keys = ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
            "vocab_size", "max_position_embeddings", "rms_norm_eps", "head_dim", "sliding_window",
            "tie_word_embeddings", "hidden_act"]
    options = {key: config[key] for key in keys if key in config}
    if kind == "qwen2":
        options["use_sliding_window"] = config.get("use_sliding_window", False)
    cls_config, cls = classes[kind]
    return cls(cls_config(**options, rope_parameters=dict(rope_type="default", rope_theta=config["rope_theta"]),
                          pad_token_id=None, bos_token_id=None, eos_token_id=None, attn_implementation="eager"))


class Cambrian:
    """A whole model: encoders, connector, language model, tokenizer."""

    def __init__(self, config, eyes, tokenizer, template, bos):
        self.config, self.eyes, self.tokenizer, self.template, self.bos = config, eyes, tokenizer, template, bos
        probe = Image.new("RGB", (8, 8))
        with torch.no_grad():
            self.lens = config.get("mm_vision_tower_aux_token_len_list", [None] * len(eyes))
            channels = [eye(probe, n).shape[-1] for eye, n in zip(eyes, self.lens)]
        self.connector, self.after = connector(config, channels)
        self.connector.eval()
        self.llm = language_model(config).eval()

    def state_dict(self):
        """As in a released checkpoint: the connector inside the model, encoders left out."""
        state = dict(self.llm.state_dict())
        if self.config.get("tie_word_embeddings"):
            del state["lm_head.weight"]
        return state | self.connector_state()

    def connector_state(self):
        return {f"model.{k}": v for k, v in self.connector.state_dict().items()}

    def load(self, state):
        names = set(self.connector_state())
        self.connector.load_state_dict({k.removeprefix("model."): state[k].float() for k in names})
        own = {k: v.float() for k, v in state.items() if k not in names}
        if self.config.get("tie_word_embeddings"):
            own["lm_head.weight"] = own["model.embed_tokens.weight"]
        self.llm.load_state_dict(own)
        return self

    def ids(self, question, image, drop):
        text = prompts.prompt(self.template, question, image)
        return prompts.token_ids(text, self.tokenizer.encode, self.bos, drop)

    def look(self, image):
        """What `logits` needs of an image at `image`, a path or None: block, features, size."""
        if image is None:
            return torch.zeros(0, self.config["hidden_size"]), None, None
        picture = Image.open(image).convert("RGB")
        features = [eye(picture, n) for eye, n in zip(self.eyes, self.lens)]
        tokens, _ = self.connector(features, [picture.size])
        return self.connector.block(tokens[0], picture.size), features, picture.size

    @torch.no_grad()
    def trace(self, image, question, drop=False, new=8):
        """The four tensors of `zoo trace`; `image` is a path or None."""
        ids, seen = self.ids(question, image is not None, drop), self.look(image)
        generated, logits = [], None
        for _ in range(new):
            last = self.logits(ids + generated, *seen)
            logits = last if logits is None else logits
            generated.append(self.best(last))
        return {"input_ids": torch.tensor(ids), "image_tokens": seen[0].contiguous(), "logits": logits,
                "generated": torch.tensor(generated)}

    @torch.no_grad()
    def answer(self, image, question, end, most=64):
        """Greedy ids up to, without, the id `end`."""
        ids, seen, generated = self.ids(question, image is not None, True), self.look(image), []
        while len(generated) < most:
            generated.append(self.best(self.logits(ids + generated, *seen)))
            if generated[-1] == end:
                return generated[:-1]
        return generated

    def best(self, logits):
        return best(logits, self.tokenizer)

    def logits(self, ids, block, features, size):
        """[V] at the last position."""
        parts, start = [], None
        for id in ids:
            if id == prompts.IMAGE_ID:
                start = sum(len(p) for p in parts)
                # Cambrian's code runs on a transformers that scales whatever enters a Gemma, image tokens too; newer
                # ones scale the embeddings of text alone.
                gemma = self.config["model_type"] == "cambrian_gemma"
                parts.append(block * self.config["hidden_size"] ** 0.5 if gemma else block)
            else:
                parts.append(self.llm.get_input_embeddings()(torch.tensor([id])))
        hooks = [] if start is None else [
            self.llm.model.layers[layer].register_forward_hook(self.refiner(step, start, features, size))
            for step, layer in enumerate(self.after)]
        try:
            return self.llm(inputs_embeds=torch.cat(parts)[None], use_cache=False).logits[0, -1].float()
        finally:
            for hook in hooks:
                hook.remove()

    def refiner(self, step, start, features, size):
        rows, cols = sva.kept(self.connector.side, size)

        def hook(module, args, output):
            hidden = output[0] if isinstance(output, tuple) else output
            assert hidden.dim() == 3
            hidden = hidden.clone()
            # Cells only: each row ends with a newline.
            places = [start + r * (len(cols) + 1) + c for r in range(len(rows)) for c in range(len(cols))]
            hidden[0, places] = self.connector.refine(step, hidden[0, places], features, 0, size)
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return hook


def read_weights(path):
    path = pathlib.Path(path)
    state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    return {k: v.float() for k, v in state.items()}


def best(logits, tokenizer):
    """The greedy choice among ids that the tokenizer has a token for."""
    known = torch.tensor(sorted(i for i in tokenizer.known() if i < len(logits)))
    top = logits[known].topk(2)
    assert top.values[0] - top.values[1] > 1e-3, "the choice of a token hangs on rounding"
    return int(known[top.indices[0]])


def parts(folder):
    """(`config.json`, `zoo.toml`, encoders, tokenizer) of a model folder."""
    import tomllib

    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    plan = tomllib.loads((folder / "zoo.toml").read_text())
    eyes = []
    for row in plan["encoder"]:
        smaller = json.loads((folder / row["arch_override"]).read_text()) if "arch_override" in row else {}
        eye = Eye(row["id"], smaller)
        eye.tower.load(read_weights(folder / row["weights"])).eval()
        eyes.append(eye)
    slow = folder / "tokenizer.model"
    tokenizer = prompts.SentencePiece(slow) if slow.exists() else prompts.JsonTokenizer(folder / "tokenizer.json")
    return config, plan, eyes, tokenizer


def weights(folder):
    """All tensors of a model folder, in float32."""
    shards = sorted([*folder.glob("model*.safetensors"), *folder.glob("pytorch_model*.bin"),
                     *folder.glob("mm_projector.bin")])
    return {k: v for shard in shards for k, v in read_weights(shard).items()}


def open_folder(folder, template=None):
    """A model folder as the program reads it, encoders by the `zoo.toml` beside it."""
    folder = pathlib.Path(folder)
    config, plan, eyes, tokenizer = parts(folder)
    model = Cambrian(config, eyes, tokenizer, template or plan["template"], config["bos_token_id"])
    return model.load(weights(folder))


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("image")
    parser.add_argument("question")
    parser.add_argument("--template")
    parser.add_argument("--drop-newline", action="store_true")
    given = parser.parse_args()
    trace = open_folder(given.folder, given.template).trace(given.image, given.question, given.drop_newline)
    for name, value in trace.items():
        print(name, list(value.shape), value.flatten()[:8].tolist())
