"""Prompts and token ids as the reference makes them: strings first, `<image>` found in them afterwards."""

import json
import pathlib

IMAGE_ID = -200

CURIOUS = ("A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
           "detailed, and polite answers to the user's questions.")
CAMBRIAN = [
    "You are Cambrian, a highly intelligent multimodal AI trained by NYU Vision X.",
    "As a multimodal AI, you have the ability to process and analyze images. Whenever an image is present in the "
    "conversation, very carefully examine it and consider its content when formulating your response.",
    "You should give concise responses to very simple questions, but provide thorough responses to more complex and "
    "open-ended questions.",
]
MPT = ("A conversation between a user and an LLM-based AI assistant. The assistant gives helpful and honest "
       "answers.")


def header(role):
    return f"<|start_header_id|>{role}<|end_header_id|>"


def llama_3(question):
    # The line breaks and spaces of a Python string that was indented in the source.
    system = CAMBRIAN[0] + " \n    " + CAMBRIAN[1] + "\n    " + CAMBRIAN[2] + " "
    return (f"<|begin_of_text|>{header('system')}{system}<|eot_id|>{header('user')}{question}<|eot_id|>"
            f"{header('assistant')}")


def chatml(system):
    return lambda question: (f"<|im_start|>system\n{system}<|im_end|><|im_start|>user\n{question}<|im_end|>"
                             "<|im_start|>assistant\n")


def phi3(question):
    return (f"<|system|>\nYou are a helpful AI assistant.<|end|>\n<|user|>\n{question}<|end|>\n<|assistant|>\n")


def gemma(question):
    # The separator after an empty system text comes first.
    return f"<end_of_turn>\n<start_of_turn>user\n{question}<end_of_turn>\n<start_of_turn>model\n"


TEMPLATES = {
    "llama_3": llama_3,
    "vicuna_v1": lambda question: f"{CURIOUS} USER: {question} ASSISTANT:",
    "chatml_direct": chatml(" ".join(CAMBRIAN)),
    "mpt": chatml(MPT),
    "phi3": phi3,
    "mistral_instruct": lambda question: f"[INST] {question} [/INST]",
    "mistral_v2": lambda question: f"[INST] {question} [/INST]",
    "conv_gemma": gemma,
}


# What stands before an answer and behind it, both trained with it, and what follows untrained.
ANSWERS = {
    "llama_3": ("", "<|eot_id|>", ""),
    "vicuna_v1": (" ", "</s>", ""),
    "chatml_direct": ("", "<|im_end|>", ""),
    "mpt": ("", "<|im_end|>", ""),
    "phi3": ("", "<|end|>", ""),
    "mistral_instruct": (" ", " </s>", ""),
    "conv_gemma": ("", "<end_of_turn>", "\n"),
}


def prompt(template, question, image):
    return TEMPLATES[template](f"<image>\n{question}" if image else question)


def token_ids(text, encode, bos, drop=True):
    """Ids of a prompt with -200 for `<image>`. `encode` gives the ids of a stretch with whatever the tokenizer puts
    before it by itself; `bos` is begin-of-text. The reference expects one before every stretch if there is one
    before the first, and cuts all but the first off. With `drop` it does so even where the template wrote the
    begin-of-text into the first stretch and the others have none, so that their first real token goes."""
    stretches = [encode(part) for part in text.split("<image>")]
    offset = 1 if stretches[0] and stretches[0][0] == bos else 0
    by_tokenizer = encode("a")[:1] == [bos]
    ids = list(stretches[0])
    for stretch in stretches[1:]:
        ids.append(IMAGE_ID)
        ids += stretch[offset:] if drop or by_tokenizer else stretch
    return ids


class JsonTokenizer:
    """A `tokenizer.json`."""

    def __init__(self, path):
        from tokenizers import Tokenizer

        content = json.loads(pathlib.Path(path).read_text())
        # Merges in the form that every version of the package reads.
        merges = content["model"].get("merges", [])
        content["model"]["merges"] = [m if isinstance(m, str) else " ".join(m) for m in merges]
        self.inner = Tokenizer.from_str(json.dumps(content))

    def encode(self, text):
        return self.inner.encode(text).ids

    def known(self):
        return set(self.inner.get_vocab(with_added_tokens=True).values())


class SentencePiece:
    """A `tokenizer.model` as Llama's first tokenizer class reads it: begin-of-text, then the pieces with a dummy
    space in front."""

    def __init__(self, path):
        import sentencepiece

        self.inner = sentencepiece.SentencePieceProcessor(model_file=str(path))

    def encode(self, text):
        # As the slow class of transformers: what is spelled like the end mark is the end mark.
        texts = text.split("</s>")
        ids = [self.inner.bos_id()] + self.inner.encode(texts[0])
        for part in texts[1:]:
            ids += [self.inner.eos_id()] + self.inner.encode(part)
        return ids

    def known(self):
        return set(range(self.inner.get_piece_size()))
