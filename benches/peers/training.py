"""Forward and backward passes beside PyTorch: the same sizes, batches and number of threads, in turns.

    cargo build --release -p zoo-benches
    python benches/peers/training.py                          every model, f32
    python benches/peers/training.py --models vit-s --rounds 3

What is compared: seconds of a pass forwards and backwards, and the memory that was resident at most. PyTorch runs
eagerly and compiled, with its own attention (SDPA), and in bf16 under autocast. A ratio is the median over rounds of two
times that were measured within the same round, with the smallest and the largest: what else the machine does falls on both
alike. Weights are random on
both sides and not the same: speed does not depend on what they say.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

TEXT, WIDTH, VOCABULARY = 128, 768, 32000
MODELS = ["vit-s", "vit-b", "stage-1", "stage-2"]


def vit(name, **options):
    import timm

    # Patches of the last layer, as Zoo's side takes them.
    return timm.create_model(name, pretrained=False, num_classes=0, global_pool="", **options)


def build(model):
    """A function that gives the loss, and what is trained."""
    import torch

    if model.startswith("vit"):
        if model == "vit-s":
            module = vit("vit_small_patch16_224", patch_size=14, init_values=1e-5)
        else:
            module = vit("vit_base_patch16_224")
        pixels = torch.randn(4, 3, 224, 224)
        return module, lambda: module(pixels)[:, 1:].float().square().mean()

    import transformers

    eyes = vit("vit_base_patch16_224").requires_grad_(False)
    projector = torch.nn.Sequential(torch.nn.Linear(WIDTH, WIDTH), torch.nn.GELU(), torch.nn.Linear(WIDTH, WIDTH))
    config = transformers.LlamaConfig(
        hidden_size=WIDTH, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12,
        num_key_value_heads=4, vocab_size=VOCABULARY, max_position_embeddings=2048, attn_implementation="sdpa")
    llm = transformers.LlamaForCausalLM(config)
    if model == "stage-1":
        llm.requires_grad_(False)
    pixels = torch.randn(2, 3, 224, 224)
    ids = torch.tensor([(i * i * 7 + i * 13 + 5) % VOCABULARY for i in range(2 * TEXT)]).reshape(2, TEXT)

    def loss():
        with torch.no_grad():
            seen = eyes(pixels)[:, 1:]
        row = torch.cat([projector(seen), llm.get_input_embeddings()(ids)], 1)
        hidden = llm.model(inputs_embeds=row, use_cache=False).last_hidden_state
        logits = llm.lm_head(hidden[:, seen.shape[1]:-1]).float()
        return torch.nn.functional.cross_entropy(logits.reshape(-1, VOCABULARY), ids[:, 1:].reshape(-1))

    return torch.nn.ModuleList([projector, llm]), loss


def worker(model, dtype, way, threads):
    import torch

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    module, loss = build(model)
    if way == "compiled":
        loss = torch.compile(loss)

    def step():
        module.zero_grad(set_to_none=True)
        begun = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
            value = loss()
        value.backward()
        return time.perf_counter() - begun, value.item()

    answers.write(json.dumps({"ready": 0}) + "\n")
    for line in sys.stdin:
        request = json.loads(line)
        if "run" in request:
            steps = [step() for _ in range(request["run"])]
            result = {"seconds": [seconds for seconds, _ in steps], "loss": steps[-1][1]}
        else:
            result = {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
        answers.write(json.dumps(result) + "\n")


def measure(chosen, model):
    from processes import Field

    python = [sys.executable, str(HERE / "training.py"), "--threads", str(chosen.threads), "--worker", model, chosen.dtype]
    zoo = [str(ROOT / "target" / "release" / "learner"), model, chosen.dtype]
    commands = {"zoo": [*zoo, "kept"], "torch": [*python, "eager"]}
    if chosen.recomputed:
        commands["zoo, recomputed"] = [*zoo, "recomputed"]
    if chosen.compiled:
        commands["torch, compiled"] = [*python, "compiled"]
    names = ("RAYON_NUM_THREADS", "CANDLE_NUM_THREADS", "OMP_NUM_THREADS")
    environment = {name: str(chosen.threads) for name in names}
    chosen.folder.mkdir(parents=True, exist_ok=True)
    seconds = {name: [] for name in commands}
    with Field(commands, environment, chosen.folder / "log.txt") as field:
        field.each(lambda one: one.answer(600))
        for _ in range(chosen.rounds + 1):
            for name, result in field.each(lambda one: one.ask(900, run=1)).items():
                seconds[name].append(result["seconds"][0])
            field.rotate()
        peaks = {name: result["peak"] for name, result in field.each(lambda one: one.ask(60, memory={})).items()}
        if field.failed:
            print(f"{model}: {field.failed}", file=sys.stderr)
    # The first round warms up.
    return {name: times[1:] for name, times in seconds.items() if name in peaks}, peaks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=lambda text: text.split(","), default=MODELS, metavar="A,B")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compiled", action="store_true", help="PyTorch compiled, too")
    parser.add_argument("--recomputed", action="store_true", help="blocks computed a second time, too")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "target" / "peers" / "training")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        worker(*chosen.worker, chosen.threads)
        return
    print(f"| {chosen.dtype} | seconds of a pass | torch's seconds by ours | peak memory | of torch's |")
    print("| --- | --- | --- | --- | --- |")
    for model in chosen.models:
        seconds, peaks = measure(chosen, model)
        for name, times in seconds.items():
            ratios = sorted(b / a for a, b in zip(times, seconds["torch"]))
            share = peaks[name] / peaks["torch"]
            print(f"| {model}, {name} | {statistics.median(times):.2f} "
                  f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) "
                  f"| {peaks[name] / 2**30:.2f} GiB | {share:.2f} |", flush=True)


if __name__ == "__main__":
    main()
