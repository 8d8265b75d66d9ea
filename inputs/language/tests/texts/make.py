"""Small tokenizers of CLIP's and of SigLIP's kind, and what independent code makes of hard strings with them.

CLIP: merges are learnt here, `open_clip.tokenizer.SimpleTokenizer` reads them, and `clip.tokenizer.json` holds the same in the
form that transformers publishes. SigLIP: a SentencePiece model is learnt here and read by `sentencepiece` after open_clip's
`canonicalize`; `siglip.tokenizer.json` is transformers' conversion of it.

    python make.py
"""

import gzip
import json
import pathlib
import tempfile

import sentencepiece
from open_clip.tokenizer import SimpleTokenizer, bytes_to_unicode, canonicalize_text
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.convert_slow_tokenizer import SpmConverter

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = """a photo of a cat . a photo of a dog on the green grass . two red cars in front of an old house
the quick brown fox jumps over the lazy dog . eine katze schläft auf dem sofa . un chien court sur la plage
кошка сидит на окне . 一只猫在窗台上 . 犬が公園で走っている . a painting of the sea at night with 12 boats and 3 birds
it's an x-ray , isn't it ? we're there , they've gone , i'm here , you'll see , she'd known . naïve café façade
""".strip().splitlines() * 3
STRINGS = [
    "a photo of a cat", "", " ", "A PHOTO OF A CAT!", "it's they've I'M you'll", "café façade naïve ÄÖÜ ß",
    "a cat 😀 and 👩‍👩‍👧 here", "кошка на окне", "一只猫在窗台上", "犬が公園で走っている", "القطة على السجادة", "नमस्ते दुनिया",
    "x" * 300, "a photo of a dog " * 40, "1234567890 3.14 50%", "under_score and-hyphen a/b c\\d", "tab\tand\nnew  line   spaces",
    "İstanbul ΣΟΦΟΣ", "…—«»", "<b>bold</b>", "\u200bzero\u00a0width",
]
CONTEXT = {"clip": 77, "siglip": 64}


def clip():
    """The alphabet as CLIP orders it, twice (within a word and at its end), then merges."""
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    before = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    normal = normalizers.Sequence([
        normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer, learner.pre_tokenizer = normal, before
    alphabet = list(bytes_to_unicode().values())
    learner.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=900, end_of_word_suffix="</w>", initial_alphabet=alphabet, show_progress=False))
    merges = [tuple(m) for m in json.loads(learner.to_str())["model"]["merges"]]
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/merges.txt.gz"
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.write("#version\n" + "\n".join(" ".join(m) for m in merges))
        reference = SimpleTokenizer(bpe_path=path, context_length=CONTEXT["clip"])
    vocab = reference.encoder
    start, end = "<start_of_text>", "<end_of_text>"
    model = models.BPE(vocab=vocab, merges=merges, continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=end)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = normal, before, decoders.ByteLevel()
    tokenizer.add_special_tokens([start, end])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[start, "$A", end], special_tokens=[(start, vocab[start]), (end, vocab[end])])
    tokenizer.save(str(HERE / "clip.tokenizer.json"), pretty=False)

    def ids(text):
        row = reference(text)[0].tolist()
        # It fills up with zeros.
        return row[:row.index(vocab[end]) + 1]

    write("clip", ids)


class Converter(SpmConverter):
    """As transformers' of T5: `</s>` ends a text."""

    def __init__(self, *args):
        super().__init__(*args)

    def vocab(self, proto):
        return [(piece.piece, piece.score) for piece in proto.pieces]

    def unk_id(self, proto):
        return proto.trainer_spec.unk_id

    def post_processor(self):
        return processors.TemplateProcessing(single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"],
                                             special_tokens=[("</s>", 1)])


def siglip():
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "corpus.txt").write_text("\n".join(map(canonicalize_text, CORPUS)))
        sentencepiece.SentencePieceTrainer.train(
            input=f"{folder}/corpus.txt", model_prefix=f"{folder}/spm", vocab_size=320, hard_vocab_limit=False,
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, byte_fallback=False, character_coverage=1.0, minloglevel=2)
        reference = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/spm.model")

        class Slow:
            vocab_file = f"{folder}/spm.model"

        tokenizer = Converter(Slow()).converted()
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.save(str(HERE / "siglip.tokenizer.json"), pretty=False)

    def ids(text):
        row = reference.encode(canonicalize_text(text))[:CONTEXT["siglip"] - 1] + [1]
        return row + [1] * (CONTEXT["siglip"] - len(row))

    write("siglip", ids)


def write(name, ids):
    cases = [{"text": text, "ids": ids(text)} for text in STRINGS]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / f"{name}.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    clip()
    siglip()
