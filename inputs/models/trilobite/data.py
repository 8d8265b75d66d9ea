"""From scenes to batches: pixels, token ids, who may look at whom."""

import functools
import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))

import cambrian  # noqa: E402
import model as trilobite  # noqa: E402
import sva  # noqa: E402
import world  # noqa: E402

BOS, EOS, INST, END_INST = "<s>", "</s>", "[INST]", "[/INST]"
SIDE = trilobite.SIDE


def tokenizer():
    """Byte-level BPE over the questions and answers of this world."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    texts = [text for seed in range(3000) for _, q, a in world.Scene(seed).questions(8)
             for text in (f" {q} ", f"\n{q} ", a)]
    out = Tokenizer(models.BPE())
    out.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    out.decoder = decoders.ByteLevel()
    special = [BOS, EOS, INST, END_INST]
    out.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=512, special_tokens=[AddedToken(s, normalized=False, special=True) for s in special],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    out.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, out.token_to_id(BOS))])
    return out


def targets(scene):
    """Per cell i64 [64, 4]: centre or not, shape, colour, large or not; -100 where there is no centre."""
    out = torch.full((SIDE * SIDE, 4), -100)
    out[:, 0] = 0
    for thing in scene.things:
        row, column = scene.cell(thing)
        out[row * SIDE + column] = torch.tensor(
            [1, world.SHAPES.index(thing.shape), list(world.COLOURS).index(thing.colour), int(thing.large)])
    return out


def places(scene):
    """Per cell i64 [64, 4]: row, column, and the thirds of the picture in which its centre is, from the top and from
    the left; -100 where padding is."""
    (rows, columns), _ = layout((scene.width, scene.height))
    side = max(scene.width, scene.height)
    out = torch.full((SIDE * SIDE, 4), -100)

    def third(cell, length):
        at = ((cell + 0.5) / SIDE * side - (side - length) / 2) / length
        return min(2, max(0, int(at * 3)))

    for r in rows:
        for c in columns:
            out[r * SIDE + c] = torch.tensor([r, c, third(r, scene.height), third(c, scene.width)])
    return out


@functools.cache
def layout(size):
    """Kept (rows, columns) of the grid and windowed masks of both encoders for a picture of that size."""
    masks = [sva.window_mask(side, SIDE, size) for side in (8, 16)]
    return sva.kept(SIDE, size), masks


def pixels(image):
    return [cambrian.preprocess(image, (122, 116, 104), cambrian.CLIP, size) for size in (96, 128)]


class Samples:
    """Batches out of seeds. `apart`: questions about one picture do not see each other."""

    def __init__(self, encode):
        self.encode = encode
        self.bos, self.eos = encode(BOS)[0], encode(EOS)[0]

    def sequence(self, scene, questions, apart):
        """Ids (-1 newline, -2 - cell for cells), labels, segment numbers (0: everybody sees it), positions, and the
        weight of each label: a long answer counts more than a short one, but not by its length."""
        (rows, columns), _ = layout((scene.width, scene.height))
        ids = [self.bos] + self.encode(f"{INST} ")
        head = len(ids)
        for r in rows:
            ids += [-2 - (r * SIDE + c) for c in columns] + [-1]
        labels, segments = [-100] * len(ids), [0] * len(ids)
        shared, weights = len(ids), [0.0] * len(ids)
        positions = list(range(shared))
        for number, (_, question, answer) in enumerate(questions, 1):
            first = number == 1 or apart
            ask = self.encode(f"\n{question} {END_INST}" if first else f"{INST} {question} {END_INST}")
            say = self.encode(answer) + [self.eos]
            start = shared if apart else len(ids)
            positions += range(start, start + len(ask) + len(say))
            ids += ask + say
            labels += [-100] * len(ask) + say
            segments += [number if apart else 0] * (len(ask) + len(say))
            weights += [0.0] * len(ask) + [len(say) ** -0.5] * len(say)
        assert head < len(ids)
        return ids, labels, segments, positions, weights

    def batch(self, seeds, count, apart):
        scenes = [world.Scene(seed) for seed in seeds]
        images = [pixels(scene.draw()) for scene in scenes]
        asked = [scene.questions(count) for scene in scenes]
        rows = [self.sequence(s, q, apart) for s, q in zip(scenes, asked)]
        length = max(len(r[0]) for r in rows)

        def table(column, fill):
            return torch.tensor([r[column] + [fill] * (length - len(r[column])) for r in rows])

        ids, segments = table(0, self.eos), table(2, -1)
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        seen = (segments[:, None, :] == 0) | (segments[:, None, :] == segments[:, :, None])
        attention = torch.zeros(len(rows), 1, length, length).masked_fill_(~(causal & seen)[:, None], float("-inf"))
        cells = (ids < -1).nonzero(as_tuple=True)
        masks = [layout((s.width, s.height))[1] for s in scenes]
        return {
            "pixels": [torch.cat([i[k] for i in images]) for k in range(2)], "ids": ids,
            "labels": table(1, -100), "weights": table(4, 0.0),
            "attention": attention, "positions": table(3, 0), "places": cells,
            "cells": -2 - ids[cells] + cells[0] * SIDE * SIDE, "newlines": (ids == -1).nonzero(as_tuple=True),
            "masks": [torch.cat([m[k] for m in masks]) for k in range(2)],
            "targets": torch.stack([targets(s) for s in scenes]),
            "where": torch.stack([places(s) for s in scenes]),
            "kinds": [[kind for kind, _, _ in q] for q in asked],
        }
