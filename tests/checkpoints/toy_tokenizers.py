"""Small real tokenizers for the tiny checkpoints, trained on a text of our own, in the layouts of the released ones:
byte-level BPE (Llama 3, Qwen2) and SentencePiece BPE with byte fallback (Llama 2, Phi-3, Mistral, Yi, Gemma), the
latter as `tokenizer.model` or written over into a `tokenizer.json`."""

import io
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))
import prompts  # noqa: E402

TEXT = [
    "The trilobite lay on the beach. It had three lobes, many legs and two eyes of calcite.",
    "What is in this picture? How many circles are there? Which colour is the largest square?",
    "A red boat, a green hill and a blue lake under a white sky; the boat is left of the hill.",
    "Describe the image in detail. Is there anything unusual? Answer with a single word or phrase.",
    "She counted 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and then 25, 100 and 1024 stones along the shore.",
    "Look at the left side, then at the right side, above the roof and below the window.",
    *prompts.CAMBRIAN, prompts.CURIOUS, prompts.MPT, "You are a helpful AI assistant.",
]
# As the pre-tokenizer of Llama 3 cuts; Qwen2's takes digits one by one.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{%s}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
         r"\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_level(path, special, digits="1,3", merges=64):
    """A `tokenizer.json` of byte-level BPE without automatic begin-of-text; `special` come after the vocabulary."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT % digits), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=256 + merges, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in special])
    tokenizer.save(str(path))
    return tokenizer.get_vocab_size()


def pieces(size=368, dummy=True, first=("<unk>", "<s>", "</s>"), user=()):
    """A SentencePiece model, as bytes; `first` are the names of unknown, begin- and end-of-text in this order."""
    import sentencepiece

    model = io.BytesIO()
    unk, bos, eos = first
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_writer=model, model_type="bpe", vocab_size=size, byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=dummy, split_digits=True, allow_whitespace_only_pieces=True, unk_id=0, bos_id=1, eos_id=2,
        pad_id=-1, unk_piece=unk, bos_piece=bos, eos_piece=eos, user_defined_symbols=list(user),
        num_threads=1, minloglevel=2)
    return model.getvalue()


def written_over(model, path, special=(), rstrip=(), dummy=True, bos=True, eos="</s>"):
    """The same tokenizer as a `tokenizer.json`; `special` come after the vocabulary, those in `rstrip` swallow the
    white space behind them."""
    import sentencepiece

    sp = sentencepiece.SentencePieceProcessor(model_proto=model)
    vocab = {sp.id_to_piece(i): i for i in range(sp.get_piece_size())}
    merges = []
    for piece in vocab:
        if sp.is_byte(vocab[piece]) or sp.is_control(vocab[piece]) or sp.is_unknown(vocab[piece]):
            continue
        splits = [(piece[:i], piece[i:]) for i in range(1, len(piece)) if piece[:i] in vocab and piece[i:] in vocab]
        merges += [(-sp.get_score(vocab[piece]), vocab[a], vocab[b], a, b) for a, b in splits]
    merges.sort(key=lambda m: m[:3])

    def added(id, content):
        return {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": content in rstrip,
                "normalized": False, "special": True}

    tokens = [sp.id_to_piece(i) for i in (sp.unk_id(), sp.bos_id(), sp.eos_id())]
    tokens = [added(i, t) for i, t in enumerate(tokens)]
    # Pieces that the user defined are special too where they are to be taken whole.
    places = [(vocab.get(s), s) for s in special]
    fresh = len(vocab)
    for place, content in places:
        if place is None:
            place, fresh = fresh, fresh + 1
        tokens.append(added(place, content))
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    prepend = {"type": "Prepend", "prepend": "▁"}
    back = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}]
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}]
    first = tokens[1]["content"]
    start = [{"SpecialToken": {"id": first, "type_id": 0}}] if bos else []
    processor = {
        "type": "TemplateProcessing",
        "single": [*start, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [*start, {"Sequence": {"id": "A", "type_id": 0}}, *start, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {first: {"id": first, "ids": [1], "tokens": [first]}} if bos else {},
    }
    pathlib.Path(path).write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens,
        "normalizer": {"type": "Sequence", "normalizers": [prepend, replace] if dummy else [replace]},
        "pre_tokenizer": None, "post_processor": processor,
        "decoder": {"type": "Sequence", "decoders": back + (strip if dummy else [])},
        "model": {"type": "BPE", "dropout": None, "unk_token": tokens[0]["content"],
                  "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": True,
                  "byte_fallback": True, "ignore_merges": False, "vocab": vocab,
                  "merges": [[a, b] for *_, a, b in merges]},
    }, ensure_ascii=False, indent=1) + "\n")
    agree(sp, path, dummy)
    return fresh


def agree(sp, path, dummy):
    """Both forms give the same ids, also for what the text does not hold."""
    from tokenizers import Tokenizer

    fast = Tokenizer.from_file(str(path))
    texts = [*TEXT, "\nWhat is it?", "  two  spaces ", "ÄÖ 漢字 🦀", "a\n\nb", "x" * 9 + " USER: ASSISTANT:"]
    for text in texts:
        assert sp.encode(text) == fast.encode(text, add_special_tokens=False).ids, text
