"""Expected prompts, token ids, labels and sampling distributions, computed without any of our code.

Templates are spelled out here turn by turn, from the published descriptions of the reference's prompts; nothing is
shared with the Rust rows. Two small tokenizers are trained on a few sentences: a byte-level BPE with Llama-3's
special tokens, and a BPE with byte fallback and the dummy space of SentencePiece, with Llama-2's. Token ids follow
the reference's procedure (split at `<image>`, tokenise each piece, join with -200); labels are found from the
lengths of tokenised prefixes, which is another way than ours. Distributions are computed with numpy and compared
with the logits processors of transformers before they are written.

    python make.py        # versions: tests/reference/requirements.txt
"""

import json
import pathlib

import numpy as np
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).resolve().parent


def write(name, cases):
    """One case a line."""
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / name).write_text(f"[\n{lines}\n]\n")


# --------------------------------------------------------------------------------------------------- templates

CAMBRIAN_3 = "\n".join([
    "You are Cambrian, a highly intelligent multimodal AI trained by NYU Vision X. ",
    "    As a multimodal AI, you have the ability to process and analyze images. Whenever an image is present in "
    "the conversation, very carefully examine it and consider its content when formulating your response.",
    "    You should give concise responses to very simple questions, but provide thorough responses to more "
    "complex and open-ended questions. ",
])
CAMBRIAN_1 = " ".join(line.strip() for line in CAMBRIAN_3.split("\n"))
USER = ("A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the user's questions.")
HUMAN = USER.replace("user", "human")
VISUAL = ("A chat between a curious user and an artificial intelligence assistant. The assistant is able to "
          "understand the visual content that the user provides, and assist the user with a variety of tasks using "
          "natural language.The visual content will be provided with the following format: <Image>visual "
          "content</Image>.")
VISION = ("You are a helpful language and vision assistant. You are able to understand the visual content that the "
          "user provides, and assist the user with a variety of tasks using natural language.")
META = """You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, while being safe.  Your answers should not include any harmful, unethical, racist, sexist, toxic, dangerous, or illegal content. Please ensure that your responses are socially unbiased and positive in nature.

If a question does not make any sense, or is not factually coherent, explain why instead of answering something not correct. If you don't know the answer to a question, please don't share false information."""
MPT = ("A conversation between a user and an LLM-based AI assistant. The assistant gives helpful and honest "
       "answers.")
DEMO_Q = "What are the key differences between renewable and non-renewable energy sources?"
DEMO_A = """Renewable energy sources are those that can be replenished naturally in a relatively short amount of time, such as solar, wind, hydro, geothermal, and biomass. Non-renewable energy sources, on the other hand, are finite and will eventually be depleted, such as coal, oil, and natural gas. Here are some key differences between renewable and non-renewable energy sources:
1. Availability: Renewable energy sources are virtually inexhaustible, while non-renewable energy sources are finite and will eventually run out.
2. Environmental impact: Renewable energy sources have a much lower environmental impact than non-renewable sources, which can lead to air and water pollution, greenhouse gas emissions, and other negative effects.
3. Cost: Renewable energy sources can be more expensive to initially set up, but they typically have lower operational costs than non-renewable sources.
4. Reliability: Renewable energy sources are often more reliable and can be used in more remote locations than non-renewable sources.
5. Flexibility: Renewable energy sources are often more flexible and can be adapted to different situations and needs, while non-renewable sources are more rigid and inflexible.
6. Sustainability: Renewable energy sources are more sustainable over the long term, while non-renewable sources are not, and their depletion can lead to economic and social instability.
"""

# name: (before the first turn, a turn up to its answer, the answer and its end mark, what follows untrained)
HASH = ("###Human: {q}###Assistant:", " {a}", "")
TWO = ("USER: {q} ASSISTANT:", " {a}</s>", "")
CHATML = ("<|im_start|>user\n{q}<|im_end|><|im_start|>assistant\n", "{a}<|im_end|>", "")
TEMPLATES = {
    "llama_3": (
        f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>{CAMBRIAN_3}<|eot_id|>",
        "<|start_header_id|>user<|end_header_id|>{q}<|eot_id|><|start_header_id|>assistant<|end_header_id|>",
        "{a}<|eot_id|>", ""),
    "vicuna_v1": (f"{USER} ", *TWO),
    "chatml_direct": (f"<|im_start|>system\n{CAMBRIAN_1}<|im_end|>", *CHATML),
    "phi3": ("<|system|>\nYou are a helpful AI assistant.<|end|>", "\n<|user|>\n{q}<|end|>\n<|assistant|>\n",
             "{a}<|end|>", ""),
    "cohere_v1": (f"{HUMAN} ", "USER: {q} ASSISTANT:", " {a}<|END_OF_TURN_TOKEN|>", ""),
    "cambrian_v1": (f"{HUMAN} ", *TWO),
    "v1_mmtag": (f"{VISUAL} ", *TWO),
    "vicuna_cambrian": ("\n", "Human: {q}\nGPT:", " {a}\n\n", ""),
    "llama_2": ("[INST] <<SYS>>\n" + META + "\n<</SYS>>\n\n", "{q} [/INST]", " {a} </s>", "<s>[INST] "),
    "cambrian_llama_2": ("[INST] <<SYS>>\n" + VISION + "\n<</SYS>>\n\n", "{q} [/INST]", " {a} </s>", "<s>[INST] "),
    "mistral_instruct": ("", "[INST] {q} [/INST]", " {a} </s>", ""),
    "mistral_v2": ("", "[INST] {q} [/INST]", "{a}</s>", ""),
    "mpt": (f"<|im_start|>system\n{MPT}<|im_end|>", *CHATML),
    "qwen_2": ("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
               "<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n", "{a}<|im_end|>", "\n"),
    "conv_gemma": ("<end_of_turn>\n", "<start_of_turn>user\n{q}<end_of_turn>\n<start_of_turn>model\n",
                   "{a}<end_of_turn>", "\n"),
    # The mark that closes an answer is also the one that opens the next question.
    "cambrian_v0": (HUMAN, *HASH),
    "v0_mmtag": (VISUAL, *HASH),
    "vicuna_v0": (f"{HUMAN}###Human: {DEMO_Q}###Assistant: {DEMO_A}", *HASH),
}
SHARED_MARK = {"cambrian_v0": "###", "v0_mmtag": "###", "vicuna_v0": "###"}
# Between turns only: written after an answer when another turn follows.
BETWEEN_ONLY = {"llama_2", "cambrian_llama_2"}

TURNS = [
    ("<image>\nWhat is unusual here?", "A man irons  clothes on a car."),
    ("Why? \u00dcber naïve 犬 🦕", "Nobody knows.\nReally."),
    ("Sure?", "Yes"),
]


def parts(name, turns):
    """Alternating masked and trained texts; the last turn may have no answer."""
    begin, opening, answer, after = TEMPLATES[name]
    mark = SHARED_MARK.get(name)
    out, masked = [], begin
    for i, (q, a) in enumerate(turns):
        q = q.replace("<image>", "<Image><image></Image>") if name.endswith("_mmtag") else q
        text = opening.replace("{q}", q)
        # An answer before this one has already written the mark.
        masked += text.removeprefix(mark) if mark and i else text
        if a is None:
            break
        out.append((masked, False))
        out.append((answer.replace("{a}", a) + (mark or ""), True))
        masked = after if name not in BETWEEN_ONLY or i + 1 < len(turns) else ""
    if masked:
        out.append((masked, False))
    return out


def template_cases():
    cases = []
    for name in TEMPLATES:
        for n in (1, 2, 3):
            for answered in (False, True):
                turns = [list(t) for t in TURNS[:n]]
                if not answered:
                    turns[-1][1] = None
                cases.append({"template": name, "turns": turns,
                              "parts": [[t, trained] for t, trained in parts(name, turns)]})
    caption = "A dog.\nTwo cats"
    cases.append({"template": "plain", "turns": [["<image>\nDescribe it.", caption]],
                  "parts": [["<image>", False], [caption + "\n", True]]})
    cases.append({"template": "plain", "turns": [["<image>", None]], "parts": [["<image>", False]]})
    return cases


# --------------------------------------------------------------------------------------------------- tokenizers

SENTENCES = [
    CAMBRIAN_3, USER, HUMAN, VISUAL, META, "What is unusual here? A man irons clothes on a car.",
    "USER: What is this? ASSISTANT: Nobody knows. Really. Sure? Yes", "Answer with the letter. A B C D (A) (B)",
    # As in Llama 3's vocabulary, each name in a header is one token.
    *["system", "user", "assistant"] * 40,
]
LLAMA_3 = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
CHATML_TOKENS = ["<|im_start|>", "<|im_end|>"]
LLAMA_3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                 r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_level():
    """Like Llama 3's: nothing is added to a text by itself."""
    from tokenizers import Regex
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA_3_SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in LLAMA_3 + CHATML_TOKENS])
    return tokenizer


PHI_3 = ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]


def sentencepiece():
    """Like Llama 2's and Phi-3's: dummy space, byte fallback, begin-of-text added; Phi-3's marks swallow the
    white space after them."""
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    letters = [s.replace("\n", " ") for s in SENTENCES]
    trained.train_from_iterator(letters, trainers.BpeTrainer(vocab_size=160, special_tokens=["<unk>"],
                                                             show_progress=False))
    learnt = json.loads(trained.to_str())["model"]
    words = sorted((w for w in learnt["vocab"] if w != "<unk>"), key=learnt["vocab"].get)
    order = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + words
    tokenizer = Tokenizer(models.BPE(
        vocab={w: i for i, w in enumerate(order)}, merges=[tuple(m) for m in learnt["merges"]],
        unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in ["<unk>", "<s>", "</s>"]])
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True, rstrip=True) for t in PHI_3])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    return tokenizer


def reference_ids(tokenizer, prompt, bos, llama3_variant=False):
    """The reference's `tokenizer_image_token` and its training variant for Llama 3."""
    chunks = [tokenizer.encode(chunk).ids for chunk in prompt.split("<image>")]
    if llama3_variant or not chunks[0] or chunks[0][0] != bos:
        offset, ids = 0, []
    else:
        offset, ids = 1, chunks[0][:1]
    for i, chunk in enumerate(chunks):
        ids += ([-200] if i else []) + chunk[offset:]
    return ids


def labels(tokenizer, spans, ids, bos, llama3_variant):
    """A position is trained when the prefix up to its span's end has it and the one up to its start has not."""
    out, text, seen = [-100] * len(ids), "", 0
    for part, trained in spans:
        text += part
        upto = reference_ids(tokenizer, text, bos, llama3_variant)
        assert upto == ids[:len(upto)], (part, upto[-5:], ids[len(upto) - 5:len(upto)])
        if trained:
            out[seen:len(upto)] = ids[seen:len(upto)]
        seen = len(upto)
    assert seen == len(ids)
    return out


def token_cases(tokenizers):
    cases = []
    uses = [("tokenizer-bytelevel", "llama_3"), ("tokenizer-bytelevel", "chatml_direct"),
            ("tokenizer-sentencepiece", "vicuna_v1"), ("tokenizer-sentencepiece", "phi3"),
            ("tokenizer-sentencepiece", "llama_2"), ("tokenizer-sentencepiece", "mistral_v2")]
    for file, name in uses:
        tokenizer = tokenizers[file]
        bos = tokenizer.token_to_id("<|begin_of_text|>" if file == "tokenizer-bytelevel" else "<s>")
        conversations = [TURNS[:1], TURNS[:2], TURNS, [("<image>What?<image>\n\nB", "A")], [("No image", "a\n")]]
        for conversation in conversations:
            for answered in (False, True):
                turns = [list(t) for t in conversation]
                if not answered:
                    turns[-1][1] = None
                spans = parts(name, turns)
                prompt = "".join(t for t, _ in spans)
                # Keeping the newline is the training variant where the template writes begin-of-text itself.
                for newline, variant in (("keep", name == "llama_3"), ("drop", False)):
                    ids = reference_ids(tokenizer, prompt, bos, variant)
                    case = {"tokenizer": file, "template": name, "turns": turns, "newline": newline, "ids": ids,
                            "labels": labels(tokenizer, spans, ids, bos, variant)}
                    cases.append(case)
    return cases


# --------------------------------------------------------------------------------------------------- sampling

def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def distribution(logits, history, temperature=1.0, top_k=None, top_p=None, min_p=None, repetition_penalty=1.0,
                 banned=()):
    x = logits.astype(np.float64).copy()
    for i in sorted(set(history)):
        x[i] = x[i] * repetition_penalty if x[i] < 0 else x[i] / repetition_penalty
    x[list(banned)] = -np.inf
    x = x / temperature
    if top_k:
        x[x < np.sort(x)[-top_k]] = -np.inf
    if top_p:
        p, order = softmax(x), np.argsort(-x, kind="stable")
        above = np.cumsum(p[order]) - p[order]
        x[order[above >= top_p]] = -np.inf
    if min_p:
        p = softmax(x)
        x[p < min_p * p.max()] = -np.inf
    return softmax(x)


def transformers_distribution(logits, history, temperature=1.0, top_k=None, top_p=None, min_p=None,
                              repetition_penalty=1.0, banned=()):
    g = transformers.generation.logits_process
    steps = []
    if repetition_penalty != 1.0 and history:
        steps.append(g.RepetitionPenaltyLogitsProcessor(repetition_penalty))
    if banned:
        steps.append(g.SuppressTokensLogitsProcessor(list(banned)))
    if temperature != 1.0:
        steps.append(g.TemperatureLogitsWarper(temperature))
    if top_k:
        steps.append(g.TopKLogitsWarper(top_k))
    if top_p and top_p < 1.0:
        steps.append(g.TopPLogitsWarper(top_p))
    if min_p:
        steps.append(g.MinPLogitsWarper(min_p))
    x = torch.tensor(logits)[None]
    for step in steps:
        x = step(torch.tensor(history, dtype=torch.int64)[None], x)
    return torch.softmax(x.double(), -1)[0].numpy()


def sampling_cases():
    logits = np.random.default_rng(7).normal(0, 2.5, 24).astype(np.float32)
    settings = [
        {}, {"temperature": 0.2}, {"temperature": 1.7}, {"top_k": 1}, {"top_k": 5}, {"top_k": 24}, {"top_p": 0.3},
        {"top_p": 0.9}, {"top_p": 1.0}, {"min_p": 0.05}, {"min_p": 1.0}, {"repetition_penalty": 1.3},
        {"repetition_penalty": 0.8}, {"temperature": 0.7, "top_k": 10, "top_p": 0.8, "min_p": 0.1},
        {"temperature": 1.4, "top_p": 0.95, "min_p": 0.02, "repetition_penalty": 1.2},
        {"banned": [int(i) for i in np.argsort(-logits)[:3]], "top_k": 4, "temperature": 0.9},
    ]
    cases = []
    for s in settings:
        history = [int(np.argmax(logits)), 3, 3, int(np.argmin(logits))]
        expected = distribution(logits, history, **s)
        assert np.abs(expected - transformers_distribution(logits, history, **s)).max() < 1e-6, s
        cases.append({"settings": s, "logits": [float(v) for v in logits], "history": history,
                      "probabilities": [float(p) for p in expected]})
    return cases


if __name__ == "__main__":
    write("templates.json", template_cases())
    tokenizers = {"tokenizer-bytelevel": byte_level(), "tokenizer-sentencepiece": sentencepiece()}
    for name, tokenizer in tokenizers.items():
        (HERE / f"{name}.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False) + "\n")
    write("tokens.json", token_cases(tokenizers))
    write("sampling.json", sampling_cases())
