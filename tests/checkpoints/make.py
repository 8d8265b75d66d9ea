"""Tiny checkpoints in the layouts of released models, and what the reference does with them.

Every folder is a model folder as the program reads it: `config.json`, tokenizer, weights, `zoo.toml` for the tiny
encoders in `encoders/`. `traces/<case>.json` says what is asked, `traces/<case>.safetensors` holds the answer of
tests/reference/cambrian.py: ids, image tokens, logits, eight greedy tokens. Weights are random and nowhere neutral,
rounded to bfloat16 unless the released ones are in f32.

    python tests/checkpoints/make.py [FAMILY ...]
"""

import json
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))

import cambrian  # noqa: E402
import common  # noqa: E402
import torch  # noqa: E402
import toy_tokenizers as toys  # noqa: E402
from PIL import Image, ImageDraw  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

ENCODERS = {
    "siglip-so400m-14-384": ("siglip", dict(embed_dim=32, depth=2, num_heads=4, mlp_dim=48, image_size=384)),
    "clip-vit-l-14-336": ("clip", dict(embed_dim=32, depth=3, num_heads=4, mlp_dim=48, image_size=336)),
    # transformers fixes the gated width: ((int(2 · 32 · 2 / 3) + 7) // 8) · 8.
    "dinov2-vit-g-14": ("dinov2", dict(embed_dim=32, depth=2, num_heads=4, mlp_dim=48, image_size=518)),
    "openclip-convnext-xxl": ("convnext", dict(depths=[1, 1, 2, 1], dims=[8, 12, 16, 24])),
}
TOWERS = ["siglip/CLIP-ViT-SO400M-14-384", "openai/clip-vit-large-patch14-336", "facebook/dinov2-giant-res378",
          "clip-convnext-XXL-multi-stage"]
# Landscape, portrait, square, and so thin that no row of the grid shows the image.
IMAGES = {"landscape": (120, 90), "portrait": (70, 110), "square": (64, 64), "thin": (240, 8)}
QUESTIONS = ["What is unusual here?", "How many circles are there, and which colour has the largest one?", "Why?"]

LLM = dict(hidden_size=64, intermediate_size=112, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
           max_position_embeddings=2048, rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu",
           tie_word_embeddings=False)


def aggregator(side, after=None, towers=TOWERS):
    """The connector's half of a config. `after`: (start, stride, count) of the layers inside the language model."""
    cells = side * side
    start, stride, count = after or (0, 1, 0)
    lens = [cells * 16 if "convnext" in tower else cells for tower in towers]
    return dict(
        mm_projector_type="sva", mm_vision_tower_aux_list=towers, mm_vision_tower_aux_token_len_list=lens,
        vision_tower_aux_token_len_list=lens, image_token_len=cells, num_query_group=1, query_num_list=[cells],
        connector_depth=2, connector_only=after is None, num_of_vision_sampler_layers=count,
        start_of_vision_sampler_layers=start, stride_of_vision_sampler_layers=stride, vision_hidden_size=32,
        image_aspect_ratio="pad", mm_vision_select_layer=-2, mm_vision_select_feature="patch",
        mm_use_im_start_end=False, mm_use_im_patch_token=False, mm_patch_merge_type="flat",
        tokenizer_model_max_length=2048, tokenizer_padding_side="right")


LLAVA = dict(mm_projector_type="mlp2x_gelu", mm_vision_tower="openai/clip-vit-large-patch14-336", mm_hidden_size=32,
             image_aspect_ratio="pad", mm_vision_select_layer=-2, mm_vision_select_feature="patch",
             mm_use_im_start_end=False, mm_use_im_patch_token=False, tokenizer_model_max_length=2048,
             tokenizer_padding_side="right")
ALL = [("landscape", 0), ("portrait", 1), ("square", 2), ("thin", 0), (None, 0)]
FEW = [("landscape", 1), ("thin", 2), (None, 2)]
ONE = [("portrait", 0), (None, 1)]


def llama_3(folder):
    """A literal begin-of-text in the template and none by the tokenizer; stored in f32, as the released ones are."""
    end = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|start_header_id|>",
           "<|end_header_id|>", "<|eot_id|>"]
    n = toys.byte_level(folder / "tokenizer.json", end)
    ids = {token: n - len(end) + i for i, token in enumerate(end)}
    stops = [ids["<|end_of_text|>"], ids["<|eot_id|>"]]
    write_json(folder / "generation_config.json", dict(
        _from_model_config=True, bos_token_id=ids["<|begin_of_text|>"], eos_token_id=stops, do_sample=True))
    return LLM | aggregator(24, (0, 2, 2)) | dict(
        model_type="cambrian_llama", architectures=["CambrianLlamaForCausalLM"], vocab_size=n,
        rope_theta=500000.0, bos_token_id=ids["<|begin_of_text|>"], eos_token_id=stops[0], torch_dtype="float32")


def vicuna(folder):
    """`tokenizer.model`, every head with its own keys, and the wrong model type that the released file once had."""
    n = sentencepiece(folder, toys.pieces(), fast=False)
    return LLM | aggregator(12, (1, 1, 2)) | dict(
        model_type="llava_llama", architectures=["LlavaLlamaForCausalLM"], vocab_size=n, num_key_value_heads=4,
        num_hidden_layers=3, bos_token_id=1, eos_token_id=2, torch_dtype="bfloat16")


def chatml(folder):
    """As on Yi: the template's tokens inside the vocabulary, no begin-of-text at all."""
    model = toys.pieces(first=("<unk>", "<|startoftext|>", "<|endoftext|>"), user=["<|im_start|>", "<|im_end|>"])
    n = toys.written_over(model, folder / "tokenizer.json", ["<|im_start|>", "<|im_end|>"], bos=False)
    return LLM | aggregator(12, (0, 3, 1)) | dict(
        model_type="cambrian_llama", architectures=["CambrianLlamaForCausalLM"], vocab_size=n, rope_theta=5000000.0,
        bos_token_id=1, eos_token_id=4, torch_dtype="bfloat16")


def phi3(folder):
    """Packed matrices, a table of embeddings that is longer than the tokenizer, an end mark that swallows the white
    space behind it."""
    tokens = ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]
    n = toys.written_over(toys.pieces(), folder / "tokenizer.json", tokens, rstrip=["<|end|>"])
    end = n - 2
    write_json(folder / "generation_config.json", dict(
        bos_token_id=1, eos_token_id=[n - 5, n - 4, end], pad_token_id=n - 5))
    return LLM | aggregator(12, (0, 2, 2)) | dict(
        model_type="cambrian_phi3", architectures=["CambrianPhi3ForCausalLM"], vocab_size=n + 17, sliding_window=2047,
        num_key_value_heads=4, num_hidden_layers=3, bos_token_id=1, eos_token_id=end, torch_dtype="bfloat16")


def mistral(folder):
    """A window that the prompt outgrows."""
    n = sentencepiece(folder, toys.pieces(), fast=True)
    return LLM | aggregator(12) | dict(
        model_type="cambrian_mistral", architectures=["CambrianMistralForCausalLM"], vocab_size=n, sliding_window=48,
        num_hidden_layers=2, bos_token_id=1, eos_token_id=2, torch_dtype="bfloat16")


def qwen2(folder):
    """Biases on queries, keys and values; one table for both ends; two towers."""
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    n = toys.byte_level(folder / "tokenizer.json", tokens, digits="1")
    write_json(folder / "generation_config.json", dict(bos_token_id=n - 3, eos_token_id=[n - 1, n - 3]))
    return LLM | aggregator(12, towers=TOWERS[:1] + TOWERS[3:]) | dict(
        model_type="cambrian_qwen2", architectures=["CambrianQwen2ForCausalLM"], vocab_size=n + 9,
        num_hidden_layers=2, tie_word_embeddings=True, rope_theta=1000000.0, rms_norm_eps=1e-6, bos_token_id=n - 3,
        eos_token_id=n - 1, use_sliding_window=False, sliding_window=32, torch_dtype="bfloat16")


def gemma(folder):
    """Scaled embeddings, heads wider than their share, one table for both ends."""
    tokens = ["<start_of_turn>", "<end_of_turn>"]
    model = toys.pieces(dummy=False, first=("<unk>", "<bos>", "<eos>"), user=tokens)
    n = toys.written_over(model, folder / "tokenizer.json", tokens, dummy=False)
    return LLM | aggregator(12, towers=TOWERS[:2]) | dict(
        model_type="cambrian_gemma", architectures=["CambrianGemmaForCausalLM"], vocab_size=n, num_hidden_layers=2,
        num_key_value_heads=1, head_dim=24, hidden_act="gelu_pytorch_tanh", tie_word_embeddings=True,
        rms_norm_eps=1e-6, bos_token_id=1, eos_token_id=2, torch_dtype="bfloat16")


def llava(folder):
    """CLIP and an MLP: no newline, no unpadding; shards of pickles in f16, as released."""
    n = sentencepiece(folder, toys.pieces(), fast=True)
    return LLM | LLAVA | dict(
        model_type="llava_llama", architectures=["LlavaLlamaForCausalLM"], vocab_size=n, num_hidden_layers=2,
        bos_token_id=1, eos_token_id=2, torch_dtype="float16")


def stage_1(folder):
    """What the first stage of training leaves: the connector alone, beside the language model that it was trained
    on."""
    n = sentencepiece(folder, toys.pieces(), fast=False)
    return LLM | aggregator(12, (0, 1, 1)) | dict(
        model_type="cambrian_llama", architectures=["CambrianLlamaForCausalLM"], vocab_size=n, num_hidden_layers=2,
        bos_token_id=1, eos_token_id=2, torch_dtype="bfloat16")


# Family: its maker, template, dtype of the weights, number of shards, cases.
FAMILIES = {
    "cambrian-llama3": (llama_3, "llama_3", torch.float32, 2, ALL),
    "cambrian-vicuna": (vicuna, "vicuna_v1", torch.bfloat16, 2, ALL),
    "cambrian-chatml": (chatml, "chatml_direct", torch.bfloat16, 1, ALL),
    "cambrian-phi3": (phi3, "phi3", torch.bfloat16, 2, ALL),
    "cambrian-mistral": (mistral, "mistral_instruct", torch.bfloat16, 1, FEW),
    "cambrian-qwen2": (qwen2, "mpt", torch.bfloat16, 1, FEW),
    "cambrian-gemma": (gemma, "conv_gemma", torch.bfloat16, 1, FEW),
    "cambrian-stage1": (stage_1, "vicuna_v1", torch.bfloat16, 1, ONE),
    "llava-1.5": (llava, "vicuna_v1", torch.float16, 2, ONE),
}


def sentencepiece(folder, model, fast):
    write_json(folder / "tokenizer_config.json", dict(
        add_bos_token=True, add_eos_token=False, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        tokenizer_class="LlamaTokenizer", legacy=True, model_max_length=2048))
    if fast:
        return toys.written_over(model, folder / "tokenizer.json")
    (folder / "tokenizer.model").write_bytes(model)
    return 368


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def picture(name, size):
    """Shapes over a slow change of colour: something for every encoder to see, in few bytes."""
    width, height = size
    image = Image.new("RGB", size)
    for y in range(height):
        for x in range(width):
            image.putpixel((x, y), (x * 160 // width + 40, y * 120 // height + 60, 200 - (x + y) % 64))
    draw = ImageDraw.Draw(image)
    draw.ellipse([width // 8, height // 6, width // 2, height * 2 // 3], fill=(220, 60, 40))
    draw.rectangle([width // 2, height // 2, width * 7 // 8, height * 7 // 8], fill=(30, 90, 200))
    draw.line([0, height - 1, width - 1, 0], fill=(250, 240, 120), width=max(1, height // 24))
    image.save(HERE / "images" / f"{name}.png", optimize=True)


def encoders():
    """Writes the tiny encoders and gives them ready to look."""
    eyes = {}
    for seed, (id, (name, arch)) in enumerate(ENCODERS.items(), 40):
        eye = cambrian.Eye(id, arch)
        common.randomise(eye.tower, seed)
        state = {k: v.bfloat16() for k, v in eye.tower.public().items()}
        save(state, HERE / "encoders" / f"{name}.safetensors")
        write_json(HERE / "encoders" / f"{name}.json", arch)
        eye.tower.load({k: v.float() for k, v in state.items()}).eval()
        eyes[id] = eye
    return eyes


def save(state, path):
    state = {k: v.detach().contiguous() for k, v in state.items()}
    if path.suffix == ".bin":
        torch.save(state, path)
    else:
        save_file(state, path, metadata={"format": "pt"})


def shards(state, folder, count, extension):
    """One file, or several with their index."""
    stem, suffix = ("pytorch_model", "bin") if extension == "bin" else ("model", "safetensors")
    if count == 1:
        return save(state, folder / f"{stem}.{suffix}")
    keys, where = sorted(state), {}
    for i in range(count):
        file = f"{stem}-{i + 1:05}-of-{count:05}.{suffix}"
        part = {k: state[k] for k in keys[i * len(keys) // count:(i + 1) * len(keys) // count]}
        save(part, folder / file)
        where |= {k: file for k in part}
    size = sum(v.numel() * v.element_size() for v in state.values())
    write_json(folder / f"{stem}.{suffix}.index.json", dict(metadata=dict(total_size=size), weight_map=where))


def padded(state):
    """Views into storages that are longer than they: what saving a part of a sharded model leaves."""
    out = {}
    for i, (key, value) in enumerate(state.items()):
        storage = torch.full((value.numel() + 24,), 9.0, dtype=value.dtype)
        view = storage[i % 3:i % 3 + value.numel()].view(value.shape)
        view.copy_(value)
        out[key] = view
    return out


def towers_of(config):
    names = {tower: id for tower, id in zip(TOWERS, ENCODERS)}
    return [names[t] for t in config.get("mm_vision_tower_aux_list", [config.get("mm_vision_tower")])]


def family(name, seed, eyes):
    make, template, dtype, count, cases = FAMILIES[name]
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "traces").mkdir(parents=True)
    config = make(folder)
    ids = towers_of(config)
    write_json(folder / "config.json", config | dict(transformers_version="4.40.1", use_cache=True))
    write_plan(folder, template, ids)
    model = cambrian.Cambrian(config, [eyes[id] for id in ids], tokenizer(folder), template, config["bos_token_id"])
    common.randomise(model.connector, seed)
    common.randomise(model.llm, seed + 1)
    if config["tie_word_embeddings"]:
        # Else the table that is the head too would answer with the last token, whatever the layers do.
        with torch.no_grad():
            model.llm.get_input_embeddings().weight.mul_(0.05 if name == "cambrian-gemma" else 0.15)
    state = {k: v.detach().to(dtype) for k, v in model.state_dict().items()}
    if name == "cambrian-stage1":
        apart = {k: state.pop(k) for k in model.connector_state()}
        torch.save(padded(apart), folder / "mm_projector.bin")
    shards(state, folder, count, "bin" if name.startswith("llava") else "safetensors")
    # From the files, so that what was written is what was traced.
    model = cambrian.open_folder(folder)
    for image, question in cases:
        for newline in ["keep", "drop"] if template == "llama_3" and image == "thin" else ["keep"]:
            trace(model, folder, image, QUESTIONS[question], template, newline)


def tokenizer(folder):
    slow = folder / "tokenizer.model"
    return cambrian.prompts.SentencePiece(slow) if slow.exists() else \
        cambrian.prompts.JsonTokenizer(folder / "tokenizer.json")


def write_plan(folder, template, ids):
    lines = ["# Where the tiny encoders are, in tower order.", f'template = "{template}"']
    for id in ids:
        name = ENCODERS[id][0]
        lines += ["", "[[encoder]]", f'id = "{id}"', f'weights = "../encoders/{name}.safetensors"',
                  f'arch_override = "../encoders/{name}.json"']
    (folder / "zoo.toml").write_text("\n".join(lines) + "\n")


def trace(model, folder, image, question, template, newline):
    path = HERE / "images" / f"{image}.png" if image else None
    tensors = model.trace(path, question, drop=newline == "drop")
    case = f"{image or 'text'}{'-drop' if newline == 'drop' else ''}"
    write_json(folder / "traces" / f"{case}.json", dict(
        image=f"../../images/{image}.png" if image else None, question=question, template=template, newline=newline))
    save(tensors, folder / "traces" / f"{case}.safetensors")
    stops = model.config["eos_token_id"]
    assert stops not in tensors["generated"].tolist(), f"{folder.name} {case}: ends early"
    print(folder.name, case, list(tensors["input_ids"].shape), list(tensors["image_tokens"].shape),
          tensors["generated"].tolist())


def main():
    for folder in ["images", "encoders"]:
        (HERE / folder).mkdir(exist_ok=True)
    for name, size in IMAGES.items():
        picture(name, size)
    eyes = encoders()
    for seed, name in enumerate(FAMILIES):
        if not sys.argv[1:] or name in sys.argv[1:]:
            family(name, 60 + 2 * seed, eyes)


if __name__ == "__main__":
    main()
