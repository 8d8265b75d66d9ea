"""What every golden script shares: reproducible, non-degenerate weights and the files of a case.

A golden script builds small reference models (transformers, timm, open_clip, plain torch), gives them random
weights in which nothing is left at its neutral start, runs them in float32 and writes

* `<case>.json`                what to open and what to expect,
* `<weights>.safetensors`      weights in the public key layout,
* `<case>.data.safetensors`    inputs and expected outputs.

The model runs again with weights and inputs in bfloat16 and in float16, and what it loses by that stands beside each
expected output: so much may another implementation lose, and hardly more.

Use it from `plugins/<family>/golden/make.py`:

    import sys, pathlib
    HERE = pathlib.Path(__file__).resolve().parent
    sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
    import common

Versions are pinned in requirements.txt beside this file.
"""

import contextlib
import json
import math
import pathlib
import re

import torch
from safetensors.torch import save_file

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def generator(seed):
    """A generator that gives the same numbers on every machine."""
    return torch.Generator("cpu").manual_seed(seed)


def is_scale(name):
    """Whether a vector parameter multiplies a branch: norm weights, layer scale, ConvNeXt gamma."""
    leaf = name.rsplit(".", 1)[-1]
    return leaf in ("gamma", "gamma_1", "gamma_2", "lambda1", "weight")


def feeds_activation(name):
    """Whether a bias goes into an activation: the first layer of an MLP."""
    parts = name.split(".")
    return parts[-1] == "bias" and any(p in ("fc1", "c_fc", "weights_in", "w12") for p in parts)


@torch.no_grad()
def randomise(module, seed):
    """Random weights with nothing neutral: tokens, positions, norms, layer scales and biases all vary, and the
    biases into activations lean to the negative side, where the forms of GELU differ most."""
    g = generator(seed)
    for name, p in sorted(module.named_parameters()):
        noise = torch.randn(p.shape, generator=g)
        if p.squeeze().dim() <= 1 and not is_token(name):
            if feeds_activation(name):
                p.copy_(noise * 0.5 - 0.5)
            elif name.endswith("bias"):
                p.copy_(noise * 0.2)
            elif is_scale(name):
                p.copy_(1.0 + noise * 0.2)
            else:
                p.copy_(noise * 0.5)
        elif is_token(name):
            p.copy_(noise * 0.5)
        else:
            fan_in = math.prod(p.shape[1:])
            p.copy_(noise / math.sqrt(fan_in))
    for name, b in sorted(module.named_buffers()):
        if b.is_floating_point() and name.endswith(("running_mean", "running_var")):
            noise = torch.rand(b.shape, generator=g)
            b.copy_(noise + 0.5 if name.endswith("var") else noise - 0.5)
    return module.eval()


def is_token(name):
    """Whether a parameter is an embedding: class token, registers, position table, queries."""
    words = ("token", "embedding", "pos_embed", "position", "latent", "quer")
    leaf = ".".join(name.split(".")[-2:])
    return any(w in leaf for w in words) and not any(w in leaf for w in ("proj", "patch_embed"))


@torch.no_grad()
def lean(pairs, seed, at=-3):
    """Sets the first and second layers of MLPs so that the activation between them works where its forms are furthest
    apart in proportion, around `at`, and that much of what the branch gives hangs on it: there even bfloat16 tells the
    exact GELU from the tanh form, which are 10 % apart at -3, and rounding 1 %."""
    g = generator(seed)
    for first, second in pairs:
        first.weight.mul_(0.15)
        first.bias.copy_(torch.randn(first.bias.shape, generator=g) * 0.15 + at)
        second.weight.mul_(30)


HALVES = {"bf16": torch.bfloat16, "f16": torch.float16}


@contextlib.contextmanager
def cast(module, dtype):
    """A model in another dtype for a while. Frequencies of rotary positions stay as they are, as they do where
    transformers opens a checkpoint."""
    kept = ("inv_freq", "rope.")
    tensors = [*module.parameters(), *(b for n, b in module.named_buffers() if not any(k in n for k in kept))]
    before = [(t, t.data) for t in tensors if t.is_floating_point()]
    for tensor, data in before:
        tensor.data = data.to(dtype)
    yield
    for tensor, data in before:
        tensor.data = data


@torch.no_grad()
def losses(model, compute, exact):
    """What `compute(dtype)`, a list of tensors by `model`, loses of the list `exact` in half precision: one dict per
    tensor, with the largest difference and the root mean square of all, in units of the root mean square of the
    tensor."""
    out = [{} for _ in exact]
    for name, dtype in HALVES.items():
        with cast(model, dtype):
            rounded = compute(dtype)
        assert len(rounded) == len(exact)
        for row, got, expected in zip(out, rounded, exact):
            assert got.dtype == dtype and got.shape == expected.shape, (got.dtype, got.shape)
            off = (got.double() - expected.double()) / expected.double().square().mean().sqrt()
            row[name] = dict(max=figure(off.abs().max()), rms=figure(off.square().mean().sqrt()))
    return out


def figure(value, digits=3):
    return float(f"{float(value):.{digits}g}")


def pixels(batch, height, width, seed, channels=3):
    """Normalised pixels f32 [batch, channels, height, width] with both coarse structure and noise."""
    g = generator(seed)
    coarse = torch.randn(batch, channels, 4, 4, generator=g)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    return smooth + 0.5 * torch.randn(batch, channels, height, width, generator=g)


def write_weights(folder, name, tensors):
    """Writes `<name>.safetensors` and returns the file's name."""
    file = f"{name}.safetensors"
    flat = {k: v.detach().to("cpu").contiguous().clone() for k, v in tensors.items()}
    save_file(flat, str(pathlib.Path(folder) / file))
    return file


def write_data(folder, case, tensors):
    """Writes `<case>.data.safetensors` and returns the file's name."""
    return write_weights(folder, f"{case}.data", tensors)


def write_json(folder, name, value):
    """Writes `<name>.json`."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    # A loss is one line.
    text = re.sub(r'\{\s*("max": [^,\s]+),\s*("rms": [^\s}]+)\s*\}', r"{\1, \2}", text)
    (pathlib.Path(folder) / f"{name}.json").write_text(text)


def write_case(folder, case, subject, weights, tensors, expect, reference, options=None, option_tensors=()):
    """One case: `subject` says what is opened from `weights`, a file name or a list of them (see `write_weights`), and
    `expect` which of `tensors` it must give."""
    write_json(folder, case, {
        "case": case,
        **subject,
        "weights": [weights] if isinstance(weights, str) else list(weights),
        "data": write_data(folder, case, tensors),
        "expect": expect,
        "reference": reference,
        **({"options": options} if options else {}),
        **({"option_tensors": list(option_tensors)} if option_tensors else {}),
    })


@torch.no_grad()
def write_encoder_case(folder, case, *, encoder, architecture, arch, weights, model, pixels, expect, reference,
                       layout=None, options=None, option_tensors=None):
    """One encoder case, looked at with `options` (numbers and words) and `option_tensors`, both by name. `expect(pixels)` gives a list of `(tensor, layer, norm)` or `(tensor, layer, norm, prefix)`,
    computed by `model`, with tensors [B, N, C], patch tokens unless `prefix`."""
    exact = expect(pixels)
    lost = losses(model, lambda dtype: [row[0] for row in expect(pixels.to(dtype))], [row[0] for row in exact])
    tensors, rows = {"pixels": pixels, **(option_tensors or {})}, []
    for (tensor, layer, norm, *prefix), loses in zip(exact, lost):
        prefix = bool(prefix and prefix[0])
        name = f"layer{layer}{'.norm' if norm else ''}{'.prefix' if prefix else ''}"
        tensors[name] = tensor
        rows.append({"tensor": name, "layer": layer, "norm": norm, "prefix": prefix, "loses": loses})
    subject = {"encoder": encoder, "architecture": architecture, "arch": arch, "layout": layout}
    write_case(folder, case, subject, weights, tensors, rows, reference, options, sorted(option_tensors or {}))


@torch.no_grad()
def write_connector_case(folder, case, *, connector, architecture, arch, weights, model, features, image_sizes, expect,
                         reference, layout=None, extra=None):
    """One connector case. `features`: one tensor [B, N, C] per encoder; `image_sizes`: (width, height) per row;
    `extra`: further tensors that expectations name, such as hidden states; `expect(features, extra)`, computed by
    `model`: list of dicts as in the JSON, each with its tensor under "value"."""
    extra = extra or {}
    exact = expect(features, extra)

    def rounded(dtype):
        rows = expect([f.to(dtype) for f in features], {k: v.to(dtype) for k, v in extra.items()})
        return [row["value"] for row in rows]

    lost = losses(model, rounded, [row["value"] for row in exact])
    tensors = {f"features.{k}": f for k, f in enumerate(features)}
    tensors["image_sizes"] = torch.tensor(image_sizes, dtype=torch.int64)
    tensors.update(extra)
    rows = []
    for row, loses in zip(exact, lost):
        row = dict(row)
        tensors[row["tensor"]] = row.pop("value")
        rows.append({**row, "loses": loses})
    subject = {"connector": connector, "architecture": architecture, "arch": arch, "layout": layout}
    write_case(folder, case, subject, weights, tensors, rows, reference)


@torch.no_grad()
def write_llm_case(folder, case, *, llm, architecture, arch, weights, model, ids, layers, reference, layout=None,
                   greedy=8):
    """One language-model case: hidden states after `layers` (not the last, after which transformers returns normed
    ones), logits at all positions, and `greedy` tokens that `model` of transformers adds to `ids` [B, T]."""

    def outputs(_):
        out = model(ids, output_hidden_states=True)
        return [*(out.hidden_states[layer + 1] for layer in layers), out.logits]

    exact = outputs(torch.float32)
    *hidden, logits = losses(model, outputs, exact)
    tensors = {"ids": ids, "logits": exact[-1]}
    rows = []
    for layer, tensor, loses in zip(layers, exact, hidden):
        tensors[f"hidden.{layer}"] = tensor
        rows.append({"tensor": f"hidden.{layer}", "what": "hidden", "layer": layer, "loses": loses})
    rows.append({"tensor": "logits", "what": "logits", "loses": logits})
    tokens = ids
    for _ in range(greedy):
        # Without a cache: the whole sequence again for every token.
        best = model(tokens, use_cache=False).logits[:, -1].topk(2)
        assert (best.values[:, 0] - best.values[:, 1]).min() > 1e-3, f"{case}: the choice of a token hangs on rounding"
        tokens = torch.cat([tokens, best.indices[:, :1]], 1)
    tensors["greedy"] = tokens[:, ids.shape[1]:]
    rows.append({"tensor": "greedy", "what": "greedy"})
    subject = {"llm": llm, "architecture": architecture, "arch": arch, "layout": layout}
    write_case(folder, case, subject, weights, tensors, rows, reference)


def write_manifest(folder, row, tensors, *, architecture, arch, layout, reference, unused=(), pixels=None,
                   gmacs=None):
    """`manifest-<row>.txt`: what a full-size checkpoint of the public layout holds. The first line is a JSON
    comment, then one line `key shape` per tensor, sorted. `tensors` maps keys to anything with a `shape` (meta
    tensors will do); `unused` lists keys, or beginnings followed by `*`, that no feature needs; `gmacs` is the
    published cost of one image of `pixels` squared."""
    header = dict(architecture=architecture, arch=arch, layout=layout, reference=reference, unused=list(unused),
                  pixels=pixels, gmacs=gmacs)
    lines = [f"# {json.dumps(header)}"]
    lines += [f"{key} {'x'.join(map(str, t.shape)) or 'scalar'}" for key, t in sorted(tensors.items())]
    (pathlib.Path(folder) / f"manifest-{row}.txt").write_text("\n".join(lines) + "\n")


@torch.no_grad()
def write_vector_case(folder, case, *, encoder, architecture, arch, weights, model, pixels, embed, reference, layout=None):
    """One vector for each image: `embed(pixels)` [B, D], computed by `model`."""
    exact = embed(pixels)
    lost = losses(model, lambda dtype: [embed(pixels.to(dtype))], [exact])
    subject = {"encoder": encoder, "architecture": architecture, "arch": arch, "layout": layout}
    expect = [{"tensor": "embedding", "embedding": True, "loses": lost[0]}]
    write_case(folder, case, subject, weights, {"pixels": pixels, "embedding": exact}, expect, reference)


@torch.no_grad()
def write_text_case(folder, case, *, text, architecture, arch, weights, model, ids, embed, images, logits, reference,
                    layout=None):
    """A text tower: `embed(ids)` [B, D] of ids [B, T], computed by `model`, and `logits` [M, B] of image vectors `images`
    [M, D] and these texts as the whole model gives them."""
    exact = embed(ids)
    lost = losses(model, lambda dtype: [embed(ids)], [exact])
    subject = {"text": text, "architecture": architecture, "arch": arch, "layout": layout}
    expect = [{"tensor": "embedding", "what": "embedding", "loses": lost[0]},
              {"tensor": "logits", "what": "logits", "images": "images"}]
    tensors = {"ids": ids, "embedding": exact, "images": images, "logits": logits}
    write_case(folder, case, subject, weights, tensors, expect, reference)


def texts(batch, length, vocab, seed, end=None):
    """Ids [batch, length] of texts of several lengths, each ending in `end`, with which the rest is filled up; without `end`
    all of them are whole."""
    ids = torch.randint(1, vocab - 2, (batch, length), generator=generator(seed))
    if end is not None:
        for row in range(batch):
            ids[row, max(length - 1 - 3 * row, 1):] = end
    return ids
