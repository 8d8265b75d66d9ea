"""Zoo beside PyTorch, ONNX Runtime and OpenVINO: the same random weights, input, precision and number of threads.

    python benches/peers/peers.py                    everything, and the tables of docs/performance.md
    python benches/peers/peers.py --quick            two networks, one image, three rounds
    python benches/peers/peers.py --minutes 30       as much as fits, the most important first

Contestants run in turns, round after round, and a ratio is the median over rounds of two times that were measured
within the same round: what else the machine does falls on all alike. Every cell is saved when it is done; the tables
show all that was saved, of this run and earlier ones.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import networks  # noqa: E402
import table  # noqa: E402
from processes import Field  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS = ["zoo", "eager", "compiled", "onnx", "openvino"]
# A turn lasts at least this long, so that a short call is timed more than once.
TURN = 0.4
# Threads that wait for work in a loop have gone to sleep after this.
PAUSE = 0.15


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    several = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--models", type=several, default=list(networks.NETWORKS), metavar="A,B")
    parser.add_argument("--peers", type=several, default=PEERS, metavar="A,B", help=",".join(PEERS))
    parser.add_argument("--batch", type=several, default=["1", "8"], metavar="N,M", help="1,8")
    parser.add_argument("--dtype", type=several, default=["f32", "bf16"], metavar="A,B", help="f32,bf16")
    parser.add_argument("--rounds", type=int, default=7, help="with one image; half as many with more")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start nothing that does not fit")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs saved")
    parser.add_argument("--no-build", action="store_true", help="measure Zoo's side as it was built before")
    parser.add_argument("--make", action="store_true", help="only make weights, graphs and compiled code")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "target" / "peers",
                        help="weights, graphs, compiled code and results: 25 GB for all networks")
    parser.add_argument("--document", type=pathlib.Path, default=ROOT / "docs" / "performance.md")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.models, chosen.batch, chosen.rounds = chosen.models[:2], ["1"], min(chosen.rounds, 3)
    for name in set(chosen.models) - set(networks.NETWORKS):
        parser.error(f"there is no network `{name}`; there are: {', '.join(networks.NETWORKS)}")
    for name in set(chosen.peers) - set(PEERS):
        parser.error(f"there is no peer `{name}`; there are: {', '.join(PEERS)}")
    chosen.batch = [int(b) for b in chosen.batch]
    chosen.folder = chosen.folder.resolve()
    return chosen


def peer_program(build):
    """Builds Zoo's side."""
    command = ["cargo", "build", "--release", "--package", "zoo-benches", "--bin", "peer"]
    if build and subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise SystemExit("Zoo's side cannot be built; --no-build measures what was built before")
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "peer"


def make(chosen):
    """Weights and graphs that are not there yet, each network in a process of its own."""
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for name in chosen.models:
        if not all(file.exists() for file in networks.files(name, chosen.folder)):
            print(f"{name}: making weights and graphs", file=sys.stderr)
            subprocess.run([sys.executable, HERE / "networks.py", name, chosen.folder], check=False)
    photo = chosen.folder / "photo.jpg"
    if not photo.exists():
        networks.photo(photo)


def environment(chosen, threads):
    return {
        **{name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS",
                                           "CANDLE_NUM_THREADS")},
        "TORCHINDUCTOR_CACHE_DIR": str(chosen.folder / "inductor"),
        "HF_HUB_OFFLINE": "1",
    }


def commands(chosen, program, name, dtype):
    """How each contestant of a cell is started."""
    network = networks.NETWORKS[name]
    weights = chosen.folder / name / networks.WEIGHTS
    norm = "norm" if network.norm else "raw"
    found = {"zoo": [program, "encode", HERE / "registry.toml", network.encoder, weights, dtype, norm]}
    for peer in ("eager", "compiled", "onnx", "openvino"):
        if (peer, dtype) != ("onnx", "bf16"):  # it has none on processors
            found[peer] = [sys.executable, HERE / "worker.py", peer, name, chosen.folder, dtype, str(chosen.threads)]
    return {peer: [str(part) for part in found[peer]] for peer in chosen.peers if peer in found}


def measure(field, rounds, deadline, long):
    """Times by contestant and round, of each turn the median call; and the machine's peaks. Stops early at the
    deadline, but not before the end of the first round. `long` calls need not be repeated within a turn."""
    # The first call compiles, packs and allocates; the second says how long a call takes.
    once = field.each(lambda c: c.ask(900, run=1)["seconds"][0])
    if not long:
        once = field.each(lambda c: c.ask(600, run=1)["seconds"][0])
    times = {name: 1 if long else max(1, min(50, math.ceil(TURN / seconds))) for name, seconds in once.items()}
    seconds, peaks = {}, {}
    for index in range(rounds):
        if index >= 1 and time.monotonic() > deadline:
            break

        def turn(contestant):
            time.sleep(PAUSE)
            if contestant.name == "zoo":
                peaks.update(contestant.ask(60, peak={}))
            taken = contestant.ask(900, run=times[contestant.name])["seconds"]
            return table.quartiles(taken)[1]

        for name, value in field.each(turn).items():
            seconds.setdefault(name, []).append(value)
        field.rotate()
    return seconds, peaks


def agreement(field, folder, name):
    """Each contestant's first image beside eager PyTorch in f32: the greatest difference in units of the features'
    root mean square, and the mean and least cosine over tokens."""
    import numpy
    from safetensors.numpy import load_file

    reference = load_file(folder / name / "reference.safetensors")["tokens"][0].astype(numpy.float64)
    found = {}
    for peer, file in outputs(field, folder).items():
        ours = next(iter(load_file(file).values()))[0].astype(numpy.float64)
        norms = numpy.linalg.norm(ours, axis=-1) * numpy.linalg.norm(reference, axis=-1)
        cosines = (ours * reference).sum(-1) / norms
        found[peer] = {
            "difference": float(abs(ours - reference).max() / numpy.sqrt((reference**2).mean())),
            "cosine": float(cosines.mean()),
            "least_cosine": float(cosines.min()),
        }
    return found


def outputs(field, folder):
    """What everybody computed last, as files."""
    def output(contestant):
        file = folder / f"output-{contestant.name}.safetensors"
        contestant.ask(120, output=str(file))
        return file

    return field.each(output)


def cell(chosen, program, name, dtype, batch, deadline):
    """Measures one network in one precision and batch."""
    with Field(commands(chosen, program, name, dtype), environment(chosen, chosen.threads),
               chosen.folder / "log.txt") as field:
        load = field.each(lambda c: c.answer(600)["ready"])
        pixels = str(chosen.folder / name / f"pixels-{batch}.safetensors")
        field.each(lambda c: c.ask(900, input=pixels))
        rounds = chosen.rounds if batch == 1 else max(2, chosen.rounds // 2)
        long = networks.NETWORKS[name].gmacs * batch > 150
        seconds, peaks = measure(field, 0 if chosen.make else rounds, deadline, long)
        agrees = agreement(field, chosen.folder, name)
        memory = field.each(lambda c: c.ask(60, memory={})["peak"] if c.name == "zoo" else None)
        return {
            "network": name, "dtype": dtype, "batch": batch, "seconds": seconds, "peak": peaks, "load": load,
            "memory": memory.get("zoo"), "agreement": agrees, "failed": field.failed,
        }


def photo_cell(chosen, program, deadline):
    """Measures the preparation of a photo, on one core."""
    contestants = {
        "pillow": [sys.executable, HERE / "worker.py", "pillow", "-", "-", "-", "1"],
        "exact": [program, "prepare", "clip-vit-l-14-336", "336", "exact"],
        "fast": [program, "prepare", "clip-vit-l-14-336", "336", "fast"],
    }
    contestants = {name: [str(part) for part in command] for name, command in contestants.items()}
    with Field(contestants, environment(chosen, 1), chosen.folder / "log.txt") as field:
        field.each(lambda c: c.answer(120))
        field.each(lambda c: c.ask(60, input=str(chosen.folder / "photo.jpg")))
        seconds, _ = measure(field, 2 * chosen.rounds, deadline, long=False)
        return {"seconds": seconds, "failed": field.failed, "agreement": photo_agreement(field, chosen.folder)}


def photo_agreement(field, folder):
    """Mean and greatest difference to Pillow's pixels, in 1/255."""
    from safetensors.numpy import load_file

    seen = {name: next(iter(load_file(file).values())) for name, file in outputs(field, folder).items()}
    # Normalised pixels are about 1/0.27 of those in 0..1.
    unit = 255 * 0.27
    return {name: [float(abs(pixels - seen["pillow"]).mean() * unit), float(abs(pixels - seen["pillow"]).max() * unit)]
            for name, pixels in seen.items() if "pillow" in seen}


def machine():
    """The processor, as Linux names it."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions():
    from importlib.metadata import version

    names = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
    return ", ".join(f"{title} {version(package).split('+')[0].split('-')[0]}" for package, title in names.items())


def save(results, path):
    """Under a temporary name first: an interrupted run leaves what was measured."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    temporary.replace(path)


def main():
    chosen = arguments()
    end = time.monotonic() + 60 * chosen.minutes
    program = peer_program(not chosen.no_build)
    make(chosen)
    path = chosen.folder / "results.json"
    results = {"cells": {}}
    if path.exists() and not chosen.fresh:
        results = json.loads(path.read_text())
    results |= {"machine": machine(), "versions": versions(), "threads": chosen.threads}
    wanted = [(name, dtype, batch) for batch in chosen.batch for name in chosen.models for dtype in chosen.dtype]
    skipped = []
    try:
        if not chosen.make:
            results["cells"]["photo"] = photo_cell(chosen, program, end)
            save(results, path)
        for name, dtype, batch in wanted:
            # All contestants together take about 0.06 s per GMAC and image in f32, and half a minute to start. One
            # call to begin with and one round are the least.
            least = 30 + 2 * (0.06 if dtype == "f32" else 0.03) * networks.NETWORKS[name].gmacs * batch
            if time.monotonic() + least > end:
                skipped.append(f"{name}/{dtype}/{batch}")
                continue
            begun = time.monotonic()
            print(f"{name}, {dtype}, batch {batch}", file=sys.stderr)
            found = cell(chosen, program, name, dtype, batch, end)
            if not chosen.make:
                results["cells"][f"{name}/{dtype}/{batch}"] = found
                save(results, path)
            summary = {peer: table.spread(table.ratios(found, peer)) for peer in found["seconds"]
                       if "zoo" in found["seconds"] and peer != "zoo"}
            print(f"    {time.monotonic() - begun:.0f} s {summary}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted: the tables show what was measured", file=sys.stderr)
    if skipped:
        print(f"no time for: {', '.join(skipped)}", file=sys.stderr)
    if not chosen.make:
        table.write(results, chosen.document)


if __name__ == "__main__":
    main()
