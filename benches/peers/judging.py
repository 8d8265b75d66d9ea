"""Zoo beside lmms-eval: the same small LLaVA, the same questions about the same pictures, one after the other.

    cargo build --release -p zoo-learn && cargo xtask stage
    pip install -r benches/peers/requirements.txt lmms-eval==0.7.3
    python benches/peers/judging.py                  120 and 24 questions, three rounds
    python benches/peers/judging.py --quick          one round

The model is the checkpoint of the tests in LLaVA's layout, read by Zoo as it is and rewritten here for
`LlavaForConditionalGeneration`, which lmms-eval's `llava_hf` runs. Both write at most 16 tokens to each question. lmms-eval's
`llava_hf` asks one question at a time and refuses batches; Zoo asks as it does by itself (`--batch 4`). What counts is the time between a run of few questions
and one of many, so that nobody pays for starting; whole times are printed, too. Both programs have as many threads; time of processors
says what a machine that others use cannot change.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "tests/checkpoints/llava-1.5"
ENCODER = ROOT / "tests/checkpoints/encoders"
HOLDOUT = ROOT / "inputs/models/trilobite/holdout"
TOKENS = 16

TASK = """
name = "shapes-short"
title = "Shapes"
prompt = "{{ question }}"
source = { files = ["questions.jsonl"] }
image = { column = "image" }
answer = { column = "answer", form = "text" }
rules = { paper = "equal" }
generation = { max-new-tokens = %d }
""" % TOKENS

YAML = """task: zoo_shapes
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: generate_until
doc_to_visual: !function utils.visual
doc_to_text: !function utils.text
doc_to_target: answer
generation_kwargs: {max_new_tokens: %d, temperature: 0, do_sample: false}
process_results: !function utils.results
metric_list:
  - metric: shapes
    aggregation: mean
    higher_is_better: true
metadata: [{version: 0.0}]
"""

UTILS = """import os

from PIL import Image

FOLDER = %r


def visual(doc):
    return [Image.open(os.path.join(FOLDER, doc["image"])).convert("RGB")]


def text(doc, lmms_eval_specific_kwargs=None):
    return doc["question"]


def results(doc, results):
    return {"shapes": float(results[0].strip() == doc["answer"])}
"""


def questions(folder, count):
    """The first `count` of the held-out questions, again from the beginning when they end."""
    lines = (HOLDOUT / "questions.jsonl").read_text().splitlines()
    rows = [json.loads(lines[i % len(lines)]) for i in range(count)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def model(folder):
    """The checkpoint as transformers has it."""
    import torch
    from safetensors.torch import load_file
    from transformers import (CLIPImageProcessor, CLIPVisionConfig, LlamaConfig, LlavaConfig,
                              LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast)

    ours = json.loads((CHECKPOINT / "config.json").read_text())
    eye = json.loads((ENCODER / "clip.json").read_text())
    keys = ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
            "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings"]
    image = ours["vocab_size"]
    text = LlamaConfig(vocab_size=image + 1, **{key: ours[key] for key in keys})
    vision = CLIPVisionConfig(hidden_size=eye["embed_dim"], intermediate_size=eye["mlp_dim"], patch_size=14,
                              num_hidden_layers=eye["depth"], num_attention_heads=eye["num_heads"],
                              image_size=eye["image_size"], projection_dim=eye["embed_dim"])
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=image, vision_feature_layer=-2)
    network = LlavaForConditionalGeneration(config)

    weights = {}
    for path in sorted(CHECKPOINT.glob("*.bin")):
        weights |= torch.load(path)
    own = {name: value for name, value in network.state_dict().items()}
    clip = load_file(ENCODER / "clip.safetensors")
    renamed = {"model.multi_modal_projector.linear_1": "model.mm_projector.0",
               "model.multi_modal_projector.linear_2": "model.mm_projector.2"}
    for name, value in own.items():
        source = next((new + name[len(old):] for old, new in renamed.items() if name.startswith(old)), None)
        if source is None and ".vision_tower." in name:
            rest = name.split(".vision_tower.")[1]
            found = clip.get(rest, clip.get("vision_model." + rest))
        else:
            found = weights[source or name.replace("model.language_model.", "model.")]
        with torch.no_grad():
            value[: found.shape[0]].copy_(found)
    network.float().save_pretrained(folder)

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(CHECKPOINT / "tokenizer.json"), bos_token="<s>",
                                        eos_token="</s>", unk_token="<unk>", pad_token="<unk>")
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    assert tokenizer.convert_tokens_to_ids("<image>") == image
    pictures = CLIPImageProcessor(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
    template = ("{% for message in messages %}USER: {% for part in message['content'] %}"
                "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}ASSISTANT:")
    LlavaProcessor(pictures, tokenizer, patch_size=14, vision_feature_select_strategy="default", image_token="<image>",
                   num_additional_image_tokens=1, chat_template=template).save_pretrained(folder)


def timed(command, environment):
    """Seconds, and seconds of processors."""
    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    begun, before = time.monotonic(), used()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}")
    return time.monotonic() - begun, used() - before


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "target/peers/judging")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/zoo-learn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--few", type=int, default=24)
    parser.add_argument("--many", type=int, default=120)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    rounds = 1 if args.quick else 3
    theirs, tasks = args.folder / "model", args.folder / "tasks"
    if not theirs.exists():
        theirs.mkdir(parents=True)
        model(theirs)
    environment = dict(os.environ, HF_HUB_OFFLINE="1", OMP_NUM_THREADS=str(args.threads), CUDA_VISIBLE_DEVICES="",
                       HF_HOME=str(args.folder / "hf"), TOKENIZERS_PARALLELISM="false")
    times = {}
    for count in [args.few, args.many]:
        data = args.folder / f"data-{count}"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(HOLDOUT, data)
        questions(data, count)
        (data / "shapes-short.toml").write_text(TASK)
        own = tasks / str(count)
        own.mkdir(parents=True, exist_ok=True)
        (own / "zoo_shapes.yaml").write_text(YAML % (data / "questions.jsonl", TOKENS))
        (own / "utils.py").write_text(UTILS % str(data))
    for _ in range(rounds):
        for count in [args.few, args.many]:
            data, out = args.folder / f"data-{count}", args.folder / "out"
            shutil.rmtree(out, ignore_errors=True)
            zoo = [args.program, "eval", "--model", CHECKPOINT, "--tasks", data / "shapes-short.toml", "--data", data,
                   "--out", out / "zoo", "--threads", args.threads, "--quiet"]
            times.setdefault(("zoo", count), []).append(timed(list(map(str, zoo)), environment))
            peer = [sys.executable, "-m", "lmms_eval", "--model", "llava_hf", "--model_args",
                    f"pretrained={theirs},device=cpu,device_map=cpu,dtype=float32,attn_implementation=sdpa",
                    "--include_path", tasks / str(count), "--tasks", "zoo_shapes", "--batch_size", "1",
                    "--output_path", out / "lmms"]
            times.setdefault(("lmms-eval", count), []).append(timed(list(map(str, peer)), environment))
    print(f"{args.threads} thread(s), {rounds} round(s), medians")
    print(f"| program | {args.few} questions | {args.many} questions | questions a second, once begun | a processor's second |")
    print("| --- | ---: | ---: | ---: | ---: |")
    speeds = {}
    for name in dict.fromkeys(name for name, _ in times):
        few, many = times[name, args.few], times[name, args.many]
        speeds[name] = [statistics.median((args.many - args.few) / (b[which] - a[which]) for a, b in zip(few, many))
                        for which in [0, 1]]
        whole = [statistics.median(seconds for seconds, _ in runs) for runs in [few, many]]
        print(f"| {name} | {whole[0]:.1f} s | {whole[1]:.1f} s | {speeds[name][0]:.1f} | {speeds[name][1]:.1f} |")
    ratios = [zoo / peer for zoo, peer in zip(speeds["zoo"], speeds["lmms-eval"])]
    print(f"\nZoo beside lmms-eval: {ratios[0]:.1f} x by the clock, {ratios[1]:.1f} x by processor time")


if __name__ == "__main__":
    main()
