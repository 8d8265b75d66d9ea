"""From measured cells to the tables of docs/performance.md."""

import statistics

from networks import NETWORKS

BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"
TITLES = {"eager": "PyTorch", "compiled": "PyTorch, compiled", "onnx": "ONNX Runtime", "openvino": "OpenVINO"}


def quartiles(values):
    """(lower quartile, median, upper quartile)."""
    if len(values) < 2:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def ratios(cell, peer, ours="zoo"):
    """How many times as long as `ours` a peer took, per round."""
    return [theirs / mine for theirs, mine in zip(cell["seconds"][peer], cell["seconds"][ours])]


def spread(values):
    low, middle, high = quartiles(values)
    return f"{middle:.2f} ({low:.2f}–{high:.2f})" if len(values) > 1 else f"{middle:.2f}"


def comparison(cell, peer):
    if peer in cell["failed"]:
        return f"failed: {cell['failed'][peer]}".replace("|", "/")[:120]
    if not cell["seconds"].get(peer):
        return "–"
    return spread(ratios(cell, peer))


def agreement(cell):
    seen = cell["agreement"].get("zoo")
    if seen is None:
        return "–"
    if cell["dtype"] == "f32":
        return f"{seen['difference']:.0e}" + ("" if seen["difference"] <= 1e-3 else " **differs**")
    return f"{seen['cosine']:.5f}"


def encoders(cells, dtype, batch):
    """One table."""
    peers = [p for p in TITLES if any(c["seconds"].get(p) or p in c["failed"] for c in cells) and
             not (dtype == "bf16" and p == "onnx")]
    last = "difference" if dtype == "f32" else "cosine"
    lines = [
        f"{dtype}, batch {batch}:",
        "",
        f"| | Zoo, images/s | GFLOP/s | of peak | of product | {' | '.join('÷ ' + TITLES[p] for p in peers)} | rounds | {last} |",
        f"| --- | --: | --: | --: | --: | {' | '.join('--:' for _ in peers)} | --: | --: |",
    ]
    for cell in cells:
        network = NETWORKS[cell["network"]]
        ours = cell["seconds"].get("zoo")
        if not ours:
            lines.append(f"| {network.title} | failed: {cell['failed'].get('zoo', 'not measured')} |")
            continue
        rate = batch / statistics.median(ours)
        speed = 2 * network.gmacs * rate
        peaks = cell["peak"].get(dtype, {})
        share = " | ".join(f"{100 * speed * 1e9 / peaks[of]:.0f} %" if peaks.get(of) else "–"
                           for of in ("instructions", "product"))
        others = " | ".join(comparison(cell, peer) for peer in peers)
        lines.append(f"| {network.title} | {rate:.2f} | {speed:.0f} | {share} | {others} | {len(ours)} | "
                     f"{agreement(cell)} |")
    return lines


def targets(cells):
    """What was aimed at, and where it was missed."""
    missed, met = [], 0
    for cell in cells:
        torch = 1.2 if cell.get("dtype") == "f32" else 1.4
        for peer, target in (("openvino", 1.0), ("eager", torch), ("compiled", torch)):
            if cell["seconds"].get(peer) and cell["seconds"].get("zoo"):
                ratio = quartiles(ratios(cell, peer))[1]
                met += ratio >= target
                if ratio < target:
                    missed.append(f"{NETWORKS[cell['network']].title} in {cell['dtype']}, batch {cell['batch']}, beside "
                                  f"{TITLES[peer]}: {ratio:.2f} of {target}")
    lines = ["Targets: 1.0 beside OpenVINO, and beside PyTorch 1.2 in f32 and 1.4 in bf16. "
             f"Met {met} times, missed {len(missed)} times" + (":" if missed else "."), ""]
    return lines + [f"- {miss}" for miss in missed] + ([""] if missed else [])


def photos(cell):
    lines = ["A photo of 12 megapixels (JPEG) to 336 px, decoded, padded, resized and normalised, on one core:", "",
             "| | photos/s | ÷ Pillow and torchvision | mean difference, 1/255 |", "| --- | --: | --: | --: |"]
    for name, title in [("exact", "Zoo, exact"), ("fast", "Zoo, fast")]:
        if cell["seconds"].get(name):
            rate = 1 / statistics.median(cell["seconds"][name])
            seen = cell["agreement"].get(name)
            difference = f"{seen[0]:.2f}" if seen else "–"
            lines.append(f"| {title} | {rate:.1f} | {spread(ratios(cell, 'pillow', name))} | {difference} |")
    return lines


def render(results):
    """All tables."""
    cells = results["cells"].values()
    lines = [f"{results['machine']}; {results['versions']}; {results['threads']} threads.", ""]
    for batch in sorted({c["batch"] for c in cells if c.get("batch")}):
        for dtype in ("f32", "bf16"):
            chosen = [results["cells"][key] for name in NETWORKS
                      if (key := f"{name}/{dtype}/{batch}") in results["cells"]]
            if chosen:
                lines += encoders(chosen, dtype, batch) + [""]
    lines += targets([c for c in cells if "network" in c])
    if "photo" in results["cells"]:
        lines += photos(results["cells"]["photo"]) + [""]
    return "\n".join(lines)


def write(results, document):
    """Replaces what stands between the markers of `document`."""
    text = document.read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{document}: the markers `{BEGIN}` and `{END}` are not there")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    document.write_text(f"{before}{BEGIN}\n{render(results)}{END}{after}")
