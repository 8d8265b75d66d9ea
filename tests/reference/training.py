"""Two steps of AdamW on every tiny checkpoint, in torch: the goldens `training/` beside the traces.

    python tests/reference/training.py [FAMILY ...]

Conversations are `tests/checkpoints/training.json`, four samples in two batches of two, so that a step accumulates.
Stage 1 trains the connector, its aggregation layers at a rate of their own; stage 2 trains everything but the
encoders. Written for clarity: samples go through the model one by one, and the loss of a batch is the mean over all its
trained tokens.
"""

import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import cambrian  # noqa: E402
import prompts  # noqa: E402

CHECKPOINTS = pathlib.Path(__file__).resolve().parent.parent / "checkpoints"
FAMILIES = ["cambrian-llama3", "cambrian-vicuna", "cambrian-phi3", "cambrian-mistral", "cambrian-qwen2",
            "cambrian-gemma", "cambrian-stage1", "llava-1.5"]
# What stands around an answer: before it and trained, after it and trained.
ANSWER = {"llama_3": ("", "<|eot_id|>"), "vicuna_v1": (" ", "</s>"), "phi3": ("", "<|end|>"),
          "mistral_instruct": (" ", " </s>"), "mpt": ("", "<|im_end|>"), "conv_gemma": ("", "<end_of_turn>")}
CONNECTOR = ["mm_projector", "pos_emb", "vision_sampler", "vision_query", "image_newline"]
RATES = {1: dict(base=2e-4, sampler=1e-4), 2: dict(base=4e-5)}
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


def batch_loss(model, batch, seen):
    total, count = 0.0, 0
    for record in batch:
        ids, trained = conversation(model, record)
        features, size = seen[record["image"]] if "image" in record else (None, None)
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


def rate(stage, key):
    sampler = "vision_sampler" in key or "vision_query" in key
    return RATES[stage].get("sampler" if sampler else "base", RATES[stage]["base"])


def train(name, stage):
    model = cambrian.open_folder(CHECKPOINTS / name)
    records = json.loads((CHECKPOINTS / "training.json").read_text())
    seen = {}
    with torch.no_grad():
        for record in records:
            if "image" in record:
                _, features, size = model.look(CHECKPOINTS / "images" / record["image"])
                seen[record["image"]] = (features, size)
    everything = parameters(model)
    trained = {k: p for k, p in everything.items() if stage == 2 or any(part in k for part in CONNECTOR)}
    for key, parameter in everything.items():
        parameter.requires_grad_(key in trained)
    optimiser = torch.optim.AdamW([dict(params=[p], lr=rate(stage, k)) for k, p in sorted(trained.items())],
                                  betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    before = {k: p.detach().clone() for k, p in trained.items()}
    out, losses, norms = {}, [], []
    for step in range(STEPS):
        optimiser.zero_grad()
        loss = sum(batch_loss(model, records[i:i + 2], seen) for i in (0, 2)) / 2
        loss.backward()
        if step == 0:
            out |= {f"gradient:{k}": sampled(p.grad) for k, p in trained.items()}
            out |= {f"size:{k}": p.grad.square().mean().sqrt()[None] for k, p in trained.items()}
        norms.append(torch.nn.utils.clip_grad_norm_(trained.values(), 1.0).item())
        losses.append(loss.item())
        optimiser.step()
    out |= {f"value:{k}": sampled(p) for k, p in trained.items()}
    out |= {f"moved:{k}": (p - before[k]).square().mean().sqrt()[None].detach() for k, p in trained.items()}
    out |= {"losses": torch.tensor(losses), "norms": torch.tensor(norms)}
    print(name, stage, losses, norms, len(trained), "tensors")
    folder = CHECKPOINTS / name / "training"
    folder.mkdir(exist_ok=True)
    save_file({k: v.contiguous() for k, v in out.items()}, folder / f"stage-{stage}.safetensors")


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
