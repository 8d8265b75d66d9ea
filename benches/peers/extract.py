"""`zoo extract` beside an equal loop over a PyTorch DataLoader: the same pictures, weights, batch, precision and threads.

    python benches/peers/extract.py                      1 and 2 processes of Zoo, the loop with 0, 1 and 2 workers
    python benches/peers/extract.py --pictures 64 --rounds 1

Both sides read JPEG files, pad them to squares, resize them as Pillow's bicubic filter does, compute ViT-B/16 at 224 pixels in
f32, take the mean of the patch tokens and write vectors to files. A rate is pictures by the time from the first file that is
opened to the last one that is written; starting a program and loading weights count for nobody. Contestants take turns, and
vectors are compared: speeds of different numbers would say nothing.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
NETWORK, SIDE, BATCH = "vit-b-16-224", 224, 8


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of all processes of a contestant together")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "target" / "peers")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target" / "release" / "zoo-extract")
    # What this script asks of itself in a process of its own.
    parser.add_argument("--loop", type=int, metavar="WORKERS", help=argparse.SUPPRESS)
    return parser.parse_args()


def make(folder, count):
    """Weights, once, and pictures of 640 by 480 pixels that are as large in bytes as photographs of that size."""
    import numpy
    from PIL import Image

    if not (folder / NETWORK / "model.safetensors").exists():
        import networks

        networks.weights(NETWORK, folder)
    pictures = folder / f"pictures-{count}"
    if not pictures.exists():
        part = folder / "pictures.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        random = numpy.random.default_rng(3)
        for number in range(count):
            coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=numpy.uint8))
            fine = numpy.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC), dtype=numpy.float32)
            noisy = fine + random.normal(0, 8, fine.shape)
            Image.fromarray(noisy.clip(0, 255).astype(numpy.uint8)).save(part / f"{number:05}.jpg", quality=90)
        part.rename(pictures)
    return pictures


class Pictures:
    """A DataLoader's data set."""

    def __init__(self, folder):
        self.files = sorted(folder.glob("*.jpg"))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        import numpy
        import torch
        from PIL import Image

        image = Image.open(self.files[index]).convert("RGB")
        side = max(image.size)
        square = Image.new("RGB", (side, side), (128, 128, 128))
        square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
        pixels = numpy.asarray(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=numpy.float32)
        return torch.from_numpy((pixels / 255 - 0.5) / 0.5).permute(2, 0, 1)


def loop(chosen, pictures):
    """The loop that is compared with; prints its rate."""
    import networks
    import numpy
    import torch

    torch.set_num_threads(chosen.threads)
    module = networks.load(NETWORK, chosen.folder)
    loader = torch.utils.data.DataLoader(Pictures(pictures), batch_size=BATCH, num_workers=chosen.loop)
    vectors, begun = [], time.monotonic()
    with torch.inference_mode():
        for pixels in loader:
            vectors.append(module(pixels).double().mean(1).float().numpy())
    vectors = numpy.concatenate(vectors)
    numpy.save(chosen.folder / "loop.npy", vectors)
    print(json.dumps({"rate": len(vectors) / (time.monotonic() - begun)}))


def looped(chosen, workers):
    command = [sys.executable, __file__, "--loop", str(workers), "--folder", chosen.folder, "--threads",
               str(chosen.threads), "--pictures", str(chosen.pictures)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["rate"]


def zoo(chosen, pictures, processes):
    out = chosen.folder / "vectors"
    shutil.rmtree(out, ignore_errors=True)
    rows = -(-chosen.pictures // max(processes, 4))
    command = [chosen.program, "extract", pictures, "--registry", HERE / "registry.toml", "--encoder", NETWORK, "--weights",
               chosen.folder / NETWORK / "model.safetensors", "--out", out, "--element", "f32", "--format", "npy", "--batch",
               BATCH, "--threads", max(chosen.threads // processes, 1), "--rows", rows, "--device", "cpu", "--dtype", "f32",
               "--json", "--quiet"]
    parts = [[] if processes == 1 else ["--shard", f"{part}/{processes}"] for part in range(processes)]
    started = [subprocess.Popen([str(word) for word in command + part], stdout=subprocess.PIPE) for part in parts]
    told = [json.loads(process.communicate()[0]) for process in started]
    if any(process.returncode for process in started):
        raise SystemExit(f"zoo extract failed: {told}")
    # They run at the same time: the slowest decides.
    return sum(one["rows"] for one in told) / max(one["rows"] / one["images_per_second"] for one in told)


def differ(folder):
    """The smallest cosine between vectors of both sides."""
    import numpy

    files = sorted((folder / "vectors").glob("vector/*.npy"))
    ours, theirs = numpy.concatenate([numpy.load(file) for file in files]), numpy.load(folder / "loop.npy")
    norms = numpy.linalg.norm(ours, axis=1) * numpy.linalg.norm(theirs, axis=1)
    return float(((ours * theirs).sum(1) / norms).min())


def main():
    chosen = arguments()
    chosen.folder = chosen.folder.resolve()
    pictures = make(chosen.folder, chosen.pictures)
    if chosen.loop is not None:
        return loop(chosen, pictures)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"the load of this machine is {load:.1f}: these are not its figures", file=sys.stderr)
    contestants = {
        "zoo extract": lambda: zoo(chosen, pictures, 1),
        "zoo extract, two processes": lambda: zoo(chosen, pictures, 2),
        **{f"DataLoader, {n} workers": lambda n=n: looped(chosen, n) for n in (0, 1, 2)},
    }
    rates = {name: [] for name in contestants}
    order = list(contestants)
    for _ in range(chosen.rounds):
        for name in order:
            rates[name].append(contestants[name]())
        order = order[1:] + order[:1]
    best = max(statistics.median(rates[name]) for name in rates if name.startswith("DataLoader"))
    print(f"| {chosen.pictures} pictures, {chosen.threads} threads | images/s | ÷ the best loop |\n| --- | --: | --: |")
    for name, seen in rates.items():
        print(f"| {name} | {statistics.median(seen):.2f} | {statistics.median(seen) / best:.2f} |")
    print(f"\nsmallest cosine between vectors: {differ(chosen.folder):.6f}")


if __name__ == "__main__":
    main()
