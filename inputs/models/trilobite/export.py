"""Makes the model folder out of a checkpoint of train.py, and measures what was made.

    python inputs/models/trilobite/export.py CHECKPOINT [--batches N]

Writes configuration, tokenizer, weights in bfloat16, `holdout/` (pictures, questions, right answers and those of the
model in torch), `traces/` (as in tests/checkpoints/) and `accuracy.json`; prints the table of README.md.
"""

import argparse
import json
import pathlib
import shutil

import data
import torch
import world
from model import EYES, HERE, Trilobite, all_heads, cambrian, sva
from safetensors.torch import save_file
from train import BATCH, evaluate

# No file of the repository is larger than this, in bytes.
SHARD = 1_250_000
MINI, PER_SCENE = 24, 5
# Far from the scenes that `evaluate` draws.
FIRST = world.HELD_OUT + (1 << 30)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def shards(state):
    """One after the other until full."""
    parts, room = [{}], SHARD
    for key, value in sorted(state.items()):
        size = value.numel() * value.element_size()
        if size > room and parts[-1]:
            parts.append({})
            room = SHARD
        parts[-1][key] = value
        room -= size
    where = {}
    for i, part in enumerate(parts, 1):
        file = f"model-{i:05}-of-{len(parts):05}.safetensors"
        save_file(part, HERE / file, metadata={"format": "pt"})
        where |= {key: file for key in part}
    size = sum(v.numel() * v.element_size() for v in state.values())
    write_json(HERE / "model.safetensors.index.json", dict(metadata=dict(total_size=size), weight_map=where))


def half(state):
    return {k: v.detach().bfloat16().contiguous() for k, v in state.items()}


def folder(model, tokenizer):
    for old in [*HERE.glob("*.safetensors"), HERE / "model.safetensors.index.json"]:
        old.unlink(missing_ok=True)
    ids = {name: tokenizer.token_to_id(name) for name in (data.BOS, data.EOS)}
    write_json(HERE / "config.json", model.config | dict(
        bos_token_id=ids[data.BOS], eos_token_id=ids[data.EOS], torch_dtype="bfloat16"))
    write_json(HERE / "generation_config.json", dict(
        bos_token_id=ids[data.BOS], eos_token_id=ids[data.EOS], do_sample=False, max_new_tokens=64))
    tokenizer.save(str(HERE / "tokenizer.json"))
    write_json(HERE / "tokenizer_config.json", dict(
        bos_token=data.BOS, eos_token=data.EOS, tokenizer_class="PreTrainedTokenizerFast", model_max_length=512))
    state = dict(model.llm.state_dict())
    del state["lm_head.weight"]
    shards(half(state | {f"model.{k}": v for k, v in model.connector.state_dict().items()}))
    lines = ['# The eyes, in tower order, and how the model was trained to be spoken to.', 'template = "mistral_v2"']
    for id, tower in zip(EYES, model.towers):
        file = f"{id.removeprefix('trilobite-')}.safetensors"
        save_file(half(tower.public()), HERE / file, metadata={"format": "pt"})
        lines += ["", "[[encoder]]", f'id = "{id}"', f'weights = "{file}"']
    (HERE / "zoo.toml").write_text("\n".join(lines) + "\n")


def holdout(reference, tokenizer):
    """Pictures with questions of as many types as there are; how many of them the model answers right. A question
    at which two tokens are equally probable is left out: there the answer hangs on rounding."""
    out = HERE / "holdout"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    rows, right = [], 0
    for i in range(MINI):
        scene, name = world.Scene(FIRST + i), f"{i:02}.png"
        scene.draw().save(out / name, optimize=True)
        for kind, question, answer in scene.questions(PER_SCENE):
            try:
                said = tokenizer.decode(reference.answer(out / name, question, tokenizer.token_to_id(data.EOS)))
            except AssertionError as tie:
                print(f"left out: {name} {question}: {tie}")
                continue
            right += said == answer
            rows.append(dict(image=name, type=kind, question=question, answer=answer, reference=said))
    (out / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"holdout/: {right} of {len(rows)}")


def traces(reference):
    out = HERE / "traces"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    for case, image, question in [("first", "00.png", "How many shapes are there?"),
                                  ("second", "07.png", "Describe the picture."), ("text", None, "What is a star?")]:
        path = f"../holdout/{image}" if image else None
        write_json(out / f"{case}.json", dict(image=path, question=question, template="mistral_v2", newline="keep"))
        tensors = reference.trace(HERE / "holdout" / image if image else None, question)
        save_file({k: v.contiguous() for k, v in tensors.items()}, out / f"{case}.safetensors")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--batches", type=int, default=16)
    given = parser.parse_args()
    torch.set_num_threads(1)
    from tokenizers import Tokenizer

    saved = torch.load(given.checkpoint, weights_only=True)
    tokenizer = Tokenizer.from_str(saved["tokenizer"])
    model = Trilobite(tokenizer.get_vocab_size())
    model.load_state_dict({k: v.bfloat16().float() for k, v in saved["model"].items()})
    model.eval()
    folder(model, tokenizer)
    reference = cambrian.open_folder(HERE)
    holdout(reference, tokenizer)
    traces(reference)
    sva.Attention.forward = all_heads
    samples = data.Samples(lambda text: tokenizer.encode(text, add_special_tokens=False).ids)
    table, mean = evaluate(model, samples, given.batches)
    write_json(HERE / "accuracy.json", dict(
        scenes=given.batches * BATCH, all=round(mean, 4),
        types={kind: dict(accuracy=round(hit, 4), questions=n) for kind, (hit, n) in table.items()}))
    for kind, (hit, n) in table.items():
        print(f"| {kind} | {100 * hit:.1f} % | {n} |")
    print(f"| all | {100 * mean:.1f} % | |")


if __name__ == "__main__":
    main()
