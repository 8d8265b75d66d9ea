"""Small SentencePiece models and how the `sentencepiece` package cuts text with them.

Three folders as models are released in: like Llama 2's (BPE, bytes, dummy space, white space kept), like Gemma's
(BPE, bytes, user-defined pieces, no dummy space) and like T5's (Unigram, NFKC rules, white space squeezed). Texts with
special tokens are cut at them first and each stretch is encoded by itself, which is what the slow tokenizers of
transformers do with `legacy` behaviour; without it, only what begins the text gets a dummy space.

    python make_sentencepiece.py        # versions: tests/reference/requirements.txt, and sentencepiece 0.2
"""

import io
import json
import pathlib
import re

import sentencepiece

HERE = pathlib.Path(__file__).resolve().parent / "sentencepiece"

LINES = [
    "What is unusual here? A man irons clothes on a car.",
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions.",
    "USER: What is this? ASSISTANT: Nobody knows. Really. Sure? Yes",
    "Answer with the option's letter from the given choices directly.",
    "How many dogs are in the image? Select from the following choices. (A) 3 (B) 2 (C) 1",
    "    def look(image):   return  image", "banana bandana ananas abab aabb anna", "naïve café über 北京 犬",
] * 4

TEXTS = [
    "", " ", "  ", "\n", "\nWhat is unusual here?", "What is unusual here?", " leading", "trailing ", "a  b   c    d",
    "tab\there\r\nand there", "banana anana aaaa abab bababa", "犬 means dog 🦕", "\u00a0odd\u2003spaces\u3000", "ﬁ Ⅷ ＡＢＣ ½",
    "é e\u0301 \u202e", "<0x41> is no byte", "▁already▁visible", "zzzqqq §§", "A chat between a curious user and an",
    "\n\nUSER:\n  indented\n", "x" * 40, "0123456789 (A) (B)", "assistant" * 5,
]
SPECIAL = [
    "Hello</s>USER: Why?", "</s>", "<s>A</s> B", "<unk> here", "one</s></s> two", "A<|end|> B<|end|>\n C", "A<pad>B",
]


def train(name, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=model, hard_vocab_limit=False, minloglevel=2, num_threads=1, **options)
    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def encode(model, text, added, legacy=True):
    """Ids of `text`, cut at special tokens; `added` is {text: (id, swallows white space after it)}."""
    known = {model.id_to_piece(i): (i, False) for i in range(model.get_piece_size())
             if model.is_control(i) or model.is_unknown(i)} | added
    pattern = "|".join(re.escape(t) + (r"\s*" if rstrip else "") for t, (_, rstrip) in known.items())
    ids, at = [], 0

    def cut(part, first):
        if legacy:
            return model.encode(part)
        return with_one_space(model, part) if first else without_dummy(model, part)

    for match in re.finditer(pattern, text):
        ids += cut(text[at:match.start()], at == 0 and match.start() > 0)
        ids.append(known[match.group().rstrip()][0])
        at = match.end()
    return ids + cut(text[at:], at == 0)


def with_one_space(model, text):
    """As the fast tokenizers of transformers do it: a space that is there already is the dummy space."""
    if text[:1] not in (" ", "\u2581"):
        return model.encode(text)
    return model.encode(text[1:]) or [model.piece_to_id("\u2581")]


def without_dummy(model, text):
    """As transformers does it: a token is put before the text and taken away again."""
    if not text:
        return []
    mark = model.encode("<unk>")
    ids = model.encode("<unk>" + text)
    assert ids[:len(mark)] == mark, (text, ids)
    return ids[len(mark):]


def cases(name, model, texts, added=(), legacy=True):
    out = []
    for text in texts:
        ids = encode(model, text, dict(added), legacy)
        out.append({"folder": name, "text": text, "ids": ids})
    return out


if __name__ == "__main__":
    llama = train("llama", model_type="bpe", vocab_size=420, byte_fallback=True, normalization_rule_name="identity",
                  remove_extra_whitespaces=False, character_coverage=0.995, split_digits=True,
                  allow_whitespace_only_pieces=True)
    added = {"<pad>": (llama.get_piece_size(), False), "<|end|>": (llama.get_piece_size() + 3, True)}
    (HERE / "llama/added_tokens.json").write_text(json.dumps({"<pad>": added["<pad>"][0]}) + "\n")
    row = {"content": "<|end|>", "lstrip": False, "rstrip": True, "normalized": False, "single_word": False,
           "special": True}
    (HERE / "llama/tokenizer_config.json").write_text(json.dumps({
        "add_bos_token": True, "bos_token": {"__type": "AddedToken", "content": "<s>"}, "eos_token": "</s>",
        "added_tokens_decoder": {str(added["<|end|>"][0]): row}}, indent=1) + "\n")
    gemma = train("gemma", model_type="bpe", vocab_size=420, byte_fallback=True, normalization_rule_name="identity",
                  remove_extra_whitespaces=False, add_dummy_prefix=False, split_digits=True,
                  user_defined_symbols=["<start_of_turn>", "<end_of_turn>", "\n\n", "\u2581\u2581"], pad_id=0, eos_id=1,
                  bos_id=2, unk_id=3)
    t5 = train("t5", model_type="unigram", vocab_size=160, character_coverage=0.98)
    (HERE / "t5/tokenizer_config.json").write_text(json.dumps({"add_bos_token": False}) + "\n")
    turns = ["<start_of_turn>user\nWhat is  this?<end_of_turn>\n\n<start_of_turn>model\n"]
    everything = (cases("llama", llama, TEXTS + SPECIAL, added) + cases("gemma", gemma, TEXTS + turns)
                  + cases("t5", t5, [t for t in TEXTS if t != "<0x41> is no byte"]))
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in everything)
    (HERE / "cases.json").write_text(f"[\n{lines}\n]\n")
    decoded = [{"folder": name, "ids": ids, "text": model.decode(ids)}
               for name, model in (("llama", llama), ("gemma", gemma), ("t5", t5))
               for text in ("What is  unusual here?", "犬 means 🦕", "\nA b") for ids in [model.encode(text)]]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in decoded)
    (HERE / "decoded.json").write_text(f"[\n{lines}\n]\n")
    # The dummy space of texts after special tokens, without `legacy`.
    lines = ",\n".join(json.dumps(case, ensure_ascii=False)
                       for case in cases("llama", llama, TEXTS + [t for t in SPECIAL if "<unk>" not in t], added, legacy=False))
    (HERE / "modern.json").write_text(f"[\n{lines}\n]\n")
