"""Trains trilobite: first its encoders on what stands in each cell, then everything on questions.

    python inputs/models/trilobite/train.py CHECKPOINT [--eyes STEPS] [--steps STEPS]

One thread, fixed seeds, no data but that of world.py. `export.py` makes the model folder out of the checkpoint.
"""

import argparse
import collections
import math
import pathlib
import time

import data
import torch
import torch.nn.functional as F
import world
from model import SIDE, Trilobite, all_heads, sva

BATCH = 32


def probe_loss(probed, targets, where):
    """Cross entropies of the probes: centre, shape, colour, size, of both encoders and of the image tokens, for
    which place, a sum over four, stands last; [8] or [13]."""
    parts = []
    there = targets[..., 0] > 0
    for full in probed:
        out = full
        parts.append(F.binary_cross_entropy_with_logits(out[..., 0], there.float(), pos_weight=torch.tensor(4.0)))
        out, wanted = out[there], targets[there]
        parts += [F.cross_entropy(out[:, 1:6], wanted[:, 1]), F.cross_entropy(out[:, 6:14], wanted[:, 2]),
                  F.binary_cross_entropy_with_logits(out[:, 14], wanted[:, 3].float())]
    if len(probed) == 3:
        split = full[..., 15:].transpose(1, 2).split([SIDE, SIDE, 3, 3], 1)
        parts.append(sum(F.cross_entropy(x, where[..., i], ignore_index=-100) for i, x in enumerate(split)))
    return torch.stack(parts)


def answer_loss(logits, labels, weights):
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], ignore_index=-100, reduction="none")
    return (losses * weights[:, 1:]).sum() / weights.sum()


def right(logits, labels):
    """Per row whether each answer would be what greedy decoding gives, in order."""
    best, wanted = logits[:, :-1].argmax(-1), labels[:, 1:]
    out = []
    for guess, truth in zip(best, wanted):
        answers, good = [], None
        for g, t in zip(guess.tolist(), truth.tolist()):
            if t == -100:
                if good is not None:
                    answers.append(good)
                good = None
            else:
                good = (g == t) and good is not False
        out.append(answers + ([good] if good is not None else []))
    return out


@torch.no_grad()
def evaluate(model, samples, batches, count=8):
    """Exact answers by type on held-out scenes, each question asked by itself."""
    model.eval()
    hits, total = collections.Counter(), collections.Counter()
    for i in range(batches):
        first = world.HELD_OUT + i * BATCH
        batch = samples.batch(range(first, first + BATCH), count, apart=True)
        logits = model(batch, *model.see(model.features(batch["pixels"])[1], batch["masks"]))
        for answers, kinds in zip(right(logits, batch["labels"]), batch["kinds"]):
            assert len(answers) == len(kinds)
            for good, kind in zip(answers, kinds):
                hits[kind] += good
                total[kind] += 1
    model.train()
    table = {kind: (hits[kind] / max(1, total[kind]), total[kind]) for kind in world.TYPES}
    return table, sum(hits.values()) / sum(total.values())


def initial(model):
    """Torch's own defaults, except what would start too loud."""
    torch.nn.init.normal_(model.llm.get_input_embeddings().weight, std=0.05)
    for name, p in model.connector.named_parameters():
        if "vision_query" in name or "image_newline" in name:
            torch.nn.init.normal_(p, std=p.shape[-1] ** -0.5)
        if "pos_embed" in name:
            torch.nn.init.normal_(p, std=0.5)
    tell_places_apart(model.towers[0])
    for name, p in model.towers[1].named_parameters():
        if name.endswith("gamma"):
            # timm starts it at a millionth, for hundreds of epochs.
            torch.nn.init.constant_(p, 0.2)


@torch.no_grad()
def tell_places_apart(vit):
    """Adds sines and cosines of row and column to the position table. It starts at a fiftieth of what the patches
    are, what stands in a cell can be learnt without it, and then nothing downstream can tell where anything is."""
    table = vit.model.embeddings.position_embedding.weight
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    rates = 1.5 * 0.7 ** torch.arange(table.shape[1] // 4)
    angles = torch.cat([x.flatten()[:, None] * rates for x in (rows, columns)], 1)
    table[1:] += 0.6 * torch.cat([angles.sin(), angles.cos()], 1)


def groups(model, decay):
    """Matrices decay, vectors do not; `eyes` says which parameters are those of the encoders."""
    eyes = {id(p) for p in model.towers.parameters()}
    out = {}
    for p in model.parameters():
        out.setdefault((p.dim() > 1, id(p) in eyes), []).append(p)
    return [dict(params=params, weight_decay=decay if matrix else 0.0, eyes=eye)
            for (matrix, eye), params in out.items()]


def schedule(step, steps, warm=60):
    return min(1, (step + 1) / warm) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--eyes", type=int, default=1200)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--resume", type=pathlib.Path, help="checkpoint to start from")
    parser.add_argument("--seed", type=int, default=0, help="of the first scene")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(541)
    sva.Attention.forward = all_heads
    tokenizer = data.tokenizer()
    samples = data.Samples(lambda text: tokenizer.encode(text, add_special_tokens=False).ids)
    model = Trilobite(tokenizer.get_vocab_size()).train()
    initial(model)
    if given.resume:
        model.load_state_dict(torch.load(given.resume, weights_only=True)["model"], strict=False)
    print({n: sum(p.numel() for p in m.parameters()) for n, m in model.named_children()}, flush=True)
    start, seed, average = time.time(), given.seed, None
    optimiser = torch.optim.AdamW(groups(model, 0.02), lr=given.rate, betas=(0.9, 0.98))
    for step in range(given.eyes + given.steps):
        eyes_only = step < given.eyes
        at, of = (step, given.eyes * 2) if eyes_only else (step - given.eyes, given.steps)
        for group in optimiser.param_groups:
            # Once they can see, they only adjust.
            slower = 1.5 if eyes_only else 0.7 if group["eyes"] else 1.0
            group["lr"] = given.rate * slower * schedule(at, of)
        # Half of the time turns of one dialogue, half of the time questions that each stand first.
        batch = samples.batch(range(seed, seed + BATCH), 1 if eyes_only else 6, apart=step % 2 == 0)
        seed += BATCH
        maps, tokens = model.features(batch["pixels"])
        if eyes_only:
            cells, answers = None, torch.zeros(())
        else:
            cells, memory = model.see(tokens, batch["masks"])
            answers = answer_loss(model(batch, cells, memory), batch["labels"], batch["weights"])
        probes = probe_loss(model.probed(maps, cells), batch["targets"], batch["where"])
        loss = probes.sum() if eyes_only else answers + 0.1 * probes.sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        seen = torch.cat([probes.detach(), answers.detach()[None]])
        average = seen if average is None or step == given.eyes else 0.95 * average + 0.05 * seen
        if step % 50 == 49:
            print(f"{step + 1} {time.time() - start:.0f} s probes and answers "
                  + " ".join(f"{v:.2f}" for v in average.tolist()), flush=True)
        if not eyes_only and (at + 1) % 200 == 0 or step + 1 == given.eyes + given.steps:
            torch.save(dict(model=model.state_dict(), tokenizer=tokenizer.to_str()), given.checkpoint)
            table, mean = evaluate(model, samples, 4)
            print(f"   held out {mean:.3f} " + " ".join(f"{k} {v[0]:.2f}" for k, v in table.items()), flush=True)


if __name__ == "__main__":
    main()
