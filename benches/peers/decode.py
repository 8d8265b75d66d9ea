"""Zoo beside llama.cpp: the same GGUF file, prompt and number of threads, in turns.

    cargo build --release -p zoo -p zoo-benches
    python benches/peers/decode.py                   everything, and the table of docs/quantisation.md
    python benches/peers/decode.py --quick           a small model, three rounds

The model is a random one of Llama's architecture, made here and quantised by `zoo quantize`. Speed does not depend on
what weights say; how many greedy tokens agree is counted too. A ratio is the median over rounds of two times that were
measured within the same round: what else the machine does falls on both alike.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
from processes import Field  # noqa: E402
from table import quartiles  # noqa: E402

BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
FORMATS = ["q8_0", "q6_k", "q4_k"]
SMALL = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8, "num_attention_heads": 16,
         "num_key_value_heads": 4, "vocab_size": 8000}
LARGE = {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 16, "num_attention_heads": 16,
         "num_key_value_heads": 4, "vocab_size": 32000}


def make(folder, sizes):
    """A model folder of random bf16 weights."""
    import ml_dtypes
    import numpy
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(7)
    width, inner, vocabulary = sizes["hidden_size"], sizes["intermediate_size"], sizes["vocab_size"]
    keys = width // sizes["num_attention_heads"] * sizes["num_key_value_heads"]

    def matrix(rows, columns):
        values = random.standard_normal((rows, columns), dtype=numpy.float32) / columns ** 0.5
        return values.astype(ml_dtypes.bfloat16)

    def norm():
        return (1 + 0.1 * random.standard_normal(width, dtype=numpy.float32)).astype(ml_dtypes.bfloat16)

    tensors = {"model.embed_tokens.weight": matrix(vocabulary, width), "lm_head.weight": matrix(vocabulary, width),
               "model.norm.weight": norm()}
    for layer in range(sizes["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        tensors |= {
            at + "self_attn.q_proj.weight": matrix(width, width), at + "self_attn.k_proj.weight": matrix(keys, width),
            at + "self_attn.v_proj.weight": matrix(keys, width), at + "self_attn.o_proj.weight": matrix(width, width),
            at + "mlp.gate_proj.weight": matrix(inner, width), at + "mlp.up_proj.weight": matrix(inner, width),
            at + "mlp.down_proj.weight": matrix(width, inner), at + "input_layernorm.weight": norm(),
            at + "post_attention_layernorm.weight": norm(),
        }
    config = {"model_type": "llama", "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
              "tie_word_embeddings": False, **sizes}
    tokenizer = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    save_file(tensors, folder / "model.safetensors")


class Peer:
    """llama.cpp with the answers of `benches/src/bin/decoder.rs`."""

    def __init__(self, file, threads):
        import ctypes

        import llama_cpp

        self.api, self.ctypes = llama_cpp, ctypes
        llama_cpp.llama_backend_init()
        model = llama_cpp.llama_model_default_params()
        self.model = llama_cpp.llama_model_load_from_file(file.encode(), model)
        if not self.model:
            raise RuntimeError(f"llama.cpp does not read {file}")
        context = llama_cpp.llama_context_default_params()
        context.n_ctx, context.n_batch, context.n_ubatch = 2048, 512, 512
        context.n_threads = context.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, context)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))

    def decode(self, ids):
        array = (self.api.llama_token * len(ids))(*ids)
        batch = self.api.llama_batch_get_one(array, len(ids))
        if self.api.llama_decode(self.context, batch):
            raise RuntimeError("llama_decode failed")
        import numpy

        logits = self.api.llama_get_logits_ith(self.context, -1)
        self.next = int(numpy.ctypeslib.as_array(logits, (self.vocabulary,)).argmax())

    def serve(self, request):
        begun = time.perf_counter()
        if "read" in request:
            self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
            begun = time.perf_counter()
            self.decode(request["read"])
            return {"seconds": time.perf_counter() - begun}
        ids = []
        for _ in range(request["write"]):
            ids.append(self.next)
            self.decode([self.next])
        return {"seconds": time.perf_counter() - begun, "ids": ids}


def worker(file, threads):
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(work):
        try:
            result = work()
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(result) + "\n")
        return "error" not in result

    made = []

    def start():
        made.append(Peer(file, threads))
        return {"ready": 0}

    if answer(start):
        for line in sys.stdin:
            answer(lambda: made[0].serve(json.loads(line)))


def measure(chosen, path, vocabulary):
    """Seconds per contestant and phase, round by round, and whether both wrote the same."""
    commands = {
        "zoo": [str(ROOT / "target" / "release" / "decoder"), str(path), chosen.dtype],
        "llama.cpp": [sys.executable, str(HERE / "decode.py"), "--worker", str(path), "--threads", str(chosen.threads)],
    }
    environment = {"RAYON_NUM_THREADS": str(chosen.threads), "OMP_NUM_THREADS": str(chosen.threads)}
    prompt = [(7 * i * i + 13 * i + 5) % vocabulary for i in range(chosen.prompt)]
    seconds = {phase: {name: [] for name in commands} for phase in ("read", "write")}
    texts = {}
    with Field(commands, environment, path.with_suffix(".log")) as field:
        field.each(lambda one: one.answer(600))
        for _ in range(chosen.rounds + 1):
            for phase, request in (("read", {"read": prompt}), ("write", {"write": chosen.tokens})):
                for name, result in field.each(lambda one: one.ask(600, **request)).items():
                    seconds[phase][name].append(result["seconds"])
                    if "ids" in result:
                        texts[name] = result["ids"]
                    time.sleep(0.1)
            field.rotate()
        if field.failed:
            raise SystemExit(f"{path.name}: {field.failed}")
    same = 0
    for ours, theirs in zip(texts["zoo"], texts["llama.cpp"]):
        if ours != theirs:
            break
        same += 1
    # The first round warms up.
    return {phase: {name: times[1:] for name, times in by.items()} for phase, by in seconds.items()}, same


def row(chosen, name, phases, same):
    cells = [name]
    for phase, tokens in (("write", chosen.tokens), ("read", chosen.prompt)):
        ours, theirs = phases[phase]["zoo"], phases[phase]["llama.cpp"]
        low, middle, high = quartiles([b / a for a, b in zip(ours, theirs)])
        cells += [f"{tokens / statistics.median(ours):.1f}", f"{tokens / statistics.median(theirs):.1f}",
                  f"{middle:.2f} ({low:.2f}–{high:.2f})"]
    return "| " + " | ".join(cells + [f"{same} of {chosen.tokens}"]) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formats", type=lambda text: text.split(","), default=FORMATS, metavar="A,B")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--prompt", type=int, default=512, help="tokens that are read")
    parser.add_argument("--tokens", type=int, default=32, help="tokens that are written in a round")
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"], help="Zoo's activations")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "target" / "peers" / "decode")
    parser.add_argument("--document", type=pathlib.Path, default=ROOT / "docs" / "quantisation.md")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        worker(chosen.worker, chosen.threads)
        return
    sizes = SMALL if chosen.quick else LARGE
    if chosen.quick:
        chosen.rounds = min(chosen.rounds, 3)
    folder = chosen.folder / ("small" if chosen.quick else "large")
    if not (folder / "model.safetensors").exists():
        make(folder, sizes)
    rows = []
    for name in chosen.formats:
        path = folder / f"{name}.gguf"
        if not path.exists():
            subprocess.run([str(ROOT / "target" / "release" / "zoo"), "quantize", str(folder), "--type", name, "--out",
                            str(path)], check=True)
        rows.append(row(chosen, name, *measure(chosen, path, sizes["vocab_size"])))
        print(rows[-1], flush=True)
    if chosen.quick:
        return
    from importlib.metadata import version

    parameters = sum(count(sizes))
    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                     platform.machine())
    lines = [
        f"{processor}, {chosen.threads} threads; llama-cpp-python {version('llama-cpp-python')}, built for this "
        f"processor; a random model of {parameters / 1e6:.0f} million parameters, {sizes['hidden_size']} wide, "
        f"{sizes['num_hidden_layers']} layers; {chosen.tokens} tokens written after a prompt of {chosen.prompt}; "
        f"activations of Zoo in {chosen.dtype}; {chosen.rounds} rounds. Tokens a second; a ratio above 1 means that "
        "Zoo is faster: median and quartiles.", "",
        "| | writing, Zoo | llama.cpp | ratio | reading, Zoo | llama.cpp | ratio | same tokens |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |", *rows, "",
    ]
    text = chosen.document.read_text()
    before, rest = text.split(BEGIN, 1)
    chosen.document.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"{END}{rest.split(END, 1)[1]}")


def count(sizes):
    """Parameters of embeddings and head, and of the layers."""
    width, inner = sizes["hidden_size"], sizes["intermediate_size"]
    keys = width // sizes["num_attention_heads"] * sizes["num_key_value_heads"]
    layer = 2 * width * width + 2 * width * keys + 3 * width * inner + 2 * width
    return 2 * sizes["vocab_size"] * width + width, sizes["num_hidden_layers"] * layer


if __name__ == "__main__":
    main()
