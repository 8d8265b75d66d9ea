"""Two steps of AdamW on every tiny checkpoint, in torch: the goldens `training/` beside the traces.

    python tests/reference/training.py [FAMILY ...]

Conversations are `tests/checkpoints/training.json`, four samples in two batches of two, so that a step accumulates.
Stage 1 trains the connector, its aggregation layers at a rate of their own; stage 2 trains everything but the
encoders; with `unfrozen` the encoders are trained as well, at a rate of their own; with `lora` the connector and
low-rank differences to the language model. Written for clarity: samples go
through the model one by one, and the loss of a batch is the mean over all its trained tokens.
"""

import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cambrian  # noqa: E402
import prompts  # noqa: E402

CHECKPOINTS = pathlib.Path(__file__).resolve().parent.parent / "checkpoints"
FAMILIES = ["cambrian-llama3", "cambrian-vicuna", "cambrian-phi3", "cambrian-mistral", "cambrian-qwen2",
            "cambrian-gemma", "cambrian-stage1", "llava-1.5"]
# With aggregation inside the language model, without, and with one encoder alone.
UNFROZEN = ["cambrian-llama3", "cambrian-stage1", "llava-1.5"]
# With matrices apart and packed.
LORA = ["cambrian-llama3", "cambrian-phi3"]
# What stands around an answer: before it and trained, after it and trained.
ANSWER = {"llama_3": ("", "<|eot_id|>"), "vicuna_v1": (" ", "</s>"), "phi3": ("", "<|end|>"),
          "mistral_instruct": (" ", " </s>"), "mpt": ("", "<|im_end|>"), "conv_gemma": ("", "<end_of_turn>")}
CONNECTOR = ["mm_projector", "pos_emb", "vision_sampler", "vision_query", "image_newline"]
RATES = {1: dict(base=2e-4, sampler=1e-4), 2: dict(base=4e-5, tower=2e-5)}
TOWER = "model.vision_tower_aux_list"
STEPS = 2
SAMPLES = 24


def conversation(model, record):
    """Ids, with -200 for the image, and how many of the last of them are trained."""
    question, answer = (m["value"] for m in record["conversations"])
    prompt = prompts.TEMPLATES[model.template](question)
    before, after = ANSWER[model.template]

    def ids(text):
        # A token, however the tokenizer would write its name.
        if not text.endswith("</s>"):
            return prompts.token_ids(text, model.tokenizer.encode, model.bos, drop=False)
        return ids(text.removesuffix("</s>")) + [model.config["eos_token_id"]]

    asked, whole = ids(prompt), ids(prompt + before + answer + after)
    assert whole[:len(asked)] == asked, "the answer joins the prompt"
    return whole, len(whole) - len(asked)


def logits(model, ids, block, features, size):
    """[T, V] over the whole sequence, and which place of it each id has."""
    parts, places, start, length = [], [], None, 0
    for id in ids:
        if id == prompts.IMAGE_ID:
            start = length
            gemma = model.config["model_type"] == "cambrian_gemma"
            parts.append(block * model.config["hidden_size"] ** 0.5 if gemma else block)
            length += len(block)
            places.append(length - 1)
        else:
            parts.append(model.llm.get_input_embeddings()(torch.tensor([id])))
            places.append(length)
            length += 1
    hooks = [] if start is None else [
        model.llm.model.layers[layer].register_forward_hook(model.refiner(step, start, features, size))
        for step, layer in enumerate(model.after)]
    try:
        return model.llm(inputs_embeds=torch.cat(parts)[None], use_cache=False).logits[0].float(), places
    finally:
        for hook in hooks:
            hook.remove()


def look(model, record):
    """What the encoders see of the image of a record, and its size."""
    picture = Image.open(CHECKPOINTS / "images" / record["image"]).convert("RGB")
    return [eye(picture, n) for eye, n in zip(model.eyes, model.lens)], picture.size


def batch_loss(model, batch, seen):
    total, count = 0.0, 0
    for record in batch:
        ids, trained = conversation(model, record)
        features, size = seen(record) if "image" in record else (None, None)
        block = None
        if features is not None:
            tokens, _ = model.connector(features, [size])
            block = model.connector.block(tokens[0], size)
        out, places = logits(model, ids, block, features, size)
        asked = [places[i - 1] for i in range(len(ids) - trained, len(ids))]
        total = total + F.cross_entropy(out[asked], torch.tensor(ids[-trained:]), reduction="sum")
        count += trained
    return total / count


def parameters(model):
    """By published key."""
    out = {f"model.{k}": p for k, p in model.connector.named_parameters()} | dict(model.llm.named_parameters())
    return {k: p for k, p in out.items() if not (model.config.get("tie_word_embeddings") and k == "lm_head.weight")}


def towers(model):
    """Parameters of the encoders, by tower and published key: the parts, along the rows, of which each consists."""
    out = {}
    for k, eye in enumerate(model.eyes):
        own = list(eye.tower.model.parameters())
        for key, value in eye.tower.public().items():
            # It stands for masked patches while DINOv2 is trained, and nothing reads it here.
            if key == "embeddings.mask_token":
                continue
            # transformers may call it otherwise in memory, and hold a gated network's halves apart. No two are alike.
            parts, row = [], 0
            while row < len(value):
                same = [p for p in own if p.shape[1:] == value.shape[1:]
                        and torch.equal(p.detach(), value[row:row + len(p)])]
                assert len(same) == 1, key
                parts += same
                row += len(same[0])
            out[f"{TOWER}.{k}.vision_tower.{key}"] = parts
    return out


def rate(stage, key):
    sampler = "vision_sampler" in key or "vision_query" in key
    kind = "sampler" if sampler else "tower" if key.startswith(TOWER) else "base"
    return RATES[stage].get(kind, RATES[stage]["base"])


def train(name, stage, unfrozen=False, lora=False):
    model = cambrian.open_folder(CHECKPOINTS / name)
    which = f"stage-{stage}" + "-unfrozen" * unfrozen + "-lora" * lora
    folder = CHECKPOINTS / name / "training"
    folder.mkdir(exist_ok=True)
    records = json.loads((CHECKPOINTS / "training.json").read_text())
    everything = {k: [p] for k, p in parameters(model).items()}
    trained = {k: p for k, p in everything.items() if stage == 2 or any(part in k for part in CONNECTOR)}
    if unfrozen:
        trained |= towers(model)
    if lora:
        everything |= adapters(model, folder / "adapter")
        trained = {k: p for k, p in everything.items() if "lora_" in k or any(part in k for part in CONNECTOR)}
    for key, parts in everything.items():
        for parameter in parts:
            parameter.requires_grad_(key in trained)
    with torch.set_grad_enabled(unfrozen):
        looked = {record["image"]: look(model, record) for record in records if "image" in record}
    seen = (lambda record: look(model, record)) if unfrozen else (lambda record: looked[record["image"]])
    # A published tensor is one parameter, or several along its rows.
    join = lambda key, of: torch.cat([of(p) for p in trained[key]]) if len(trained[key]) > 1 else of(trained[key][0])  # noqa: E731
    optimiser = torch.optim.AdamW([dict(params=p, lr=rate(stage, k)) for k, p in sorted(trained.items())],
                                  betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    before = {k: join(k, lambda p: p.detach().clone()) for k in trained}
    out, losses, norms = {}, [], []
    for step in range(STEPS):
        optimiser.zero_grad()
        loss = sum(batch_loss(model, records[i:i + 2], seen) for i in (0, 2)) / 2
        loss.backward()
        # What is not on the way to the loss has none: the last block of a CLIP of which the layer before is taken.
        for parameter in (p for parts in trained.values() for p in parts):
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        if step == 0:
            out |= {f"gradient:{k}": sampled(join(k, lambda p: p.grad)) for k in trained}
            out |= {f"size:{k}": join(k, lambda p: p.grad).square().mean().sqrt()[None] for k in trained}
        norms.append(torch.nn.utils.clip_grad_norm_([p for parts in trained.values() for p in parts], 1.0).item())
        losses.append(loss.item())
        optimiser.step()
    out |= {f"value:{k}": sampled(join(k, lambda p: p)) for k in trained}
    out |= {f"moved:{k}": (join(k, lambda p: p) - v).square().mean().sqrt()[None].detach() for k, v in before.items()}
    out |= {"losses": torch.tensor(losses), "norms": torch.tensor(norms)}
    print(name, which, losses, norms, len(trained), "tensors")
    save_file({k: v.contiguous() for k, v in out.items()}, folder / f"{which}.safetensors")


def adapters(model, folder):
    """Random low-rank differences to every map of the decoder's layers, by the package peft, saved in `folder`."""
    import peft

    torch.manual_seed(3)
    config = peft.LoraConfig(r=4, lora_alpha=6, lora_dropout=0.0, target_modules="all-linear",
                             init_lora_weights=False, task_type="CAUSAL_LM")
    wrapped = peft.get_peft_model(model.llm, config)
    wrapped.save_pretrained(folder)
    (folder / "README.md").unlink()
    return {k.replace(".default", ""): [p] for k, p in wrapped.named_parameters() if "lora_" in k}


def sampled(tensor):
    """Numbers at even distances."""
    flat = tensor.detach().flatten()
    count = min(SAMPLES, len(flat))
    return flat[torch.arange(count) * len(flat) // count].clone()


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    for family in sys.argv[1:] or FAMILIES:
        for stage in (1, 2):
            train(family, stage)
        if family in UNFROZEN:
            train(family, 2, unfrozen=True)
        if family in LORA:
            train(family, 2, lora=True)
