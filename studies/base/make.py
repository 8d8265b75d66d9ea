"""Makes the tokenizer of this folder from a set of the world:

    zoo data synth set --train 2500 --size 48 --write captions,instruct --seed 5
    python make.py set

Byte-level BPE as Llama 3's, of whatever the world says; needs the package tokenizers."""

import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
SPECIAL = ["<s>", "</s>", "[INST]", "[/INST]"]
SIZE = 768


def texts(folder):
    for name in ["captions.jsonl", "instruct.jsonl"]:
        for line in (folder / "train" / name).read_text().splitlines():
            for turn in json.loads(line)["conversations"]:
                yield turn["value"].replace("<image>", "").strip()


def main(folder):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts(folder), trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=[AddedToken(name, special=True, normalized=False) for name in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.save(str(HERE / "tokenizer.json"))


main(Path(sys.argv[1]))
