"""Goldens by the released implementation itself: the reference of our references.

    python tests/reference/released.py CHECKOUT

CHECKOUT is a checkout of github.com/cambrian-mllm/cambrian. Its classes run as they are (aggregator, unpadding, masks,
the decoder that stops for the aggregator), with the transformers that it pins, 4.37.0, which wants an environment of
its own beside the newer packages of requirements.txt. Nothing of its code is kept here; what it gives is, in

* plugins/sva/golden/released*       the aggregator before and inside a language model, two groups of queries; and its
                                     other kind of layer, before one;
* tests/checkpoints/*/traces/released*   whole models, from pixels to greedy tokens;
* tests/checkpoints/*/released-loss.json   their loss on a few records, and the norms of its gradients.

It also fails where cambrian.py, which made the other goldens of whole models, differs from it.

The towers are stand-ins that hand on features which others computed: what the release does with them is under test.
"""

import contextlib
import functools
import importlib
import importlib.util
import json
import logging
import pathlib
import sys
import types

import torch
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
import common  # noqa: E402

REFERENCE = "the released implementation"


class Given(nn.Module):
    """A tower that gives what it is shown."""

    def __init__(self, channels):
        super().__init__()
        self.hidden_size = channels

    def forward(self, features):
        return features


def load_release(checkout):
    """The release's package, without what its `__init__` would pull in: towers and their dependencies."""
    root = pathlib.Path(checkout) / "cambrian"
    assert (root / "model" / "vision_sampler.py").is_file(), f"{checkout} is no checkout of the release"
    for name, folder in [("cambrian", root), ("cambrian.model", root / "model"),
                         ("cambrian.model.language_model", root / "model" / "language_model")]:
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    with contextlib.suppress(ImportError):
        import ezcolorlog  # noqa: F401
    sys.modules.setdefault("ezcolorlog", types.SimpleNamespace(root_logger=logging.getLogger("release")))
    builder = types.ModuleType("cambrian.model.multimodal_encoder.builder")
    builder.build_vision_tower_aux_list = lambda config, **_: [Given(c) for c in config.tower_channels]
    package = types.ModuleType("cambrian.model.multimodal_encoder")
    package.__path__ = []
    sys.modules |= {package.__name__: package, builder.__name__: builder}
    return importlib.import_module("cambrian.model.cambrian_arch")


def language_model(kind):
    """Configuration and model of a family as the release names them."""
    module = importlib.import_module(f"cambrian.model.language_model.cambrian_{kind}")
    (cls,) = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, nn.Module)
              and c.__module__ == module.__name__ and c.__name__.endswith("ForCausalLM")]
    return cls.config_class, cls


@contextlib.contextmanager
def sampler_layers(arch, kind):
    """The release builds `joint` layers only, though its class knows the others."""
    cls = arch.VisionTokenSampler
    arch.VisionTokenSampler = functools.partial(cls, layer_type=kind)
    try:
        yield
    finally:
        arch.VisionTokenSampler = cls


class Model:
    """A released model with features for eyes."""

    def __init__(self, kind, config, channels):
        cls_config, cls = language_model(kind)
        self.config = cls_config(**config, tower_channels=channels, attn_implementation="eager")
        self.inner = cls(self.config).eval()

    def embed(self, ids, features, sizes, labels=None):
        """Embeddings of rows `ids` [B, T] with one image each, or of text alone; keeps the labels that go with them."""
        inner, self.labels = self.inner, labels
        if features is None:
            embeddings = inner.get_model().embed_tokens(ids)
            seen = (None,) * 4
        else:
            at = (ids == -200).nonzero()[:, 1]
            assert (at == at[0]).all(), "the release has one place for images in all rows"
            self.config.image_position = int(at[0])
            _, _, _, _, embeddings, self.labels, *seen = inner.prepare_inputs_labels_for_multimodal(
                ids, None, None, None, labels, features, image_sizes=sizes)
        # As `generate` of the release does.
        for name, value in zip(SEEN, seen):
            setattr(inner, name, value)
        self.grids = inner.final_vision_feature_size
        return embeddings

    @torch.no_grad()
    def run(self, ids, features, sizes):
        """Embeddings, and logits [B, T, V]. Rows are as long as the longest, without a mask of what is padding: nothing
        here looks at what comes behind the end of a row."""
        embeddings = self.embed(ids, features, sizes)
        return embeddings, self.inner(inputs_embeds=embeddings, use_cache=False, return_dict=True).logits


SEEN = ["vision_tower_aux_feature_list", "vision_tower_aux_attention_masks_list", "final_vision_feature_size",
        "global_context_feature"]


# The aggregator.

SIZES = [(640, 400), (333, 500), (336, 336)]
TINY = dict(
    hidden_size=48, intermediate_size=56, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
    vocab_size=64, mm_projector_type="sva", mm_vision_tower_aux_list=["a", "b", "c"], image_token_len=64,
    mm_vision_tower_aux_token_len_list=[64, 256, 576], num_query_group=2, query_num_list=[64, 16], connector_depth=2,
    connector_only=False, num_of_vision_sampler_layers=2, start_of_vision_sampler_layers=0,
    stride_of_vision_sampler_layers=2, vision_hidden_size=32)
CHANNELS = [12, 20, 10]


@torch.no_grad()
def aggregator(release, case, kind, seed):
    # Nothing of it says how layers of the other kind would stand inside a language model.
    config = TINY | dict(connector_only=kind != "joint")
    with sampler_layers(release, kind):
        model = Model("llama", config, CHANNELS)
    common.randomise(model.inner, seed)
    g = common.generator(seed + 100)
    features = [torch.randn(len(SIZES), n, c, generator=g)
                for n, c in zip(TINY["mm_vision_tower_aux_token_len_list"], CHANNELS)]
    ids = torch.randint(0, TINY["vocab_size"], (len(SIZES), 12), generator=g)
    ids[:, 5] = -200
    inner, start, width = model.inner.get_model(), 5, TINY["hidden_size"]
    calls, tokens = [], []
    hooks = [inner.mm_projector.register_forward_hook(lambda m, a, out: tokens.append(out))]
    for sampler in getattr(inner, "vision_sampler_layers", []):
        hooks.append(sampler.register_forward_hook(lambda m, a, out: calls.append((m, a, out))))
    model.run(ids, features, SIZES)
    cells = [h * w for h, w in model.grids]
    extra = {f"hidden.{step}.{row}": part for step, (_, args, _) in enumerate(calls)
             for row, part in enumerate(args[0][:, 0].split(cells))}
    for hook in hooks[1:]:
        hook.remove()

    def expect(features, extra):
        """The decoder has shown what it hands to the aggregator; alone, that gives the same."""
        dtype = features[0].dtype
        embeddings = model.embed(ids, features, SIZES)
        rows = [{"tensor": "tokens", "what": "tokens", "value": tokens.pop()}]
        for row, (h, w) in enumerate(model.grids):
            rows.append({"tensor": f"block.{row}", "what": "block", "row": row,
                         "value": embeddings[row, start:start + h * (w + 1)]})
        for step, (sampler, (_, *args), seen) in enumerate(calls):
            hidden = torch.cat([extra[f"hidden.{step}.{row}"] for row in range(len(SIZES))])[:, None]
            out = sampler(hidden, *(a.to(dtype) if a.is_floating_point() else a for a in args))
            assert dtype != torch.float32 or torch.equal(out, seen)
            for row, part in enumerate(out[:, 0].split(cells)):
                rows.append({"tensor": f"refine.{step}.{row}", "what": "refine", "step": step, "row": row,
                             "hidden": f"hidden.{step}.{row}", "value": part})
        return rows

    keys = ["vision_hidden_size", "image_token_len", "query_num_list", "connector_depth", "connector_only",
            "num_of_vision_sampler_layers", "start_of_vision_sampler_layers", "stride_of_vision_sampler_layers"]
    arch = {key: config[key] for key in keys} | dict(
        inputs=CHANNELS, output=width, token_lens=TINY["mm_vision_tower_aux_token_len_list"],
        layer_type=kind)
    connector = {k: v for k, v in model.inner.state_dict().items()
                 if any(word in k for word in ("mm_projector", "vision_", "image_newline"))}
    # The language model around it, as a stub.
    connector |= {"model.embed_tokens.weight": torch.zeros(2, 2), "lm_head.weight": torch.zeros(2, 2)}
    folder = ROOT / "plugins" / "sva" / "golden"
    common.write_connector_case(
        folder, case, connector=f"sva-{case}", architecture="sva", arch=arch,
        weights=common.write_weights(folder, case, connector), model=model.inner, features=features, image_sizes=SIZES, expect=expect,
        extra=extra, reference=REFERENCE)
    print(case, model.grids)


# Whole models.

FAMILIES = {"cambrian-llama3": "llama", "cambrian-vicuna": "llama", "cambrian-chatml": "llama",
            "cambrian-stage1": "llama", "cambrian-mistral": "mistral", "cambrian-phi3": "phi3"}
QUESTION = "What stands beside the circle?"


def load_ours():
    """cambrian.py beside this file, under another name than the release's package."""
    spec = importlib.util.spec_from_file_location("ours", HERE / "cambrian.py")
    ours = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ours)
    return ours


@torch.no_grad()
def traces(ours, name, kind):
    from PIL import Image

    folder = ROOT / "tests" / "checkpoints" / name
    config, plan, eyes, tokenizer = ours.parts(folder)
    lens = config["mm_vision_tower_aux_token_len_list"]
    probe = Image.new("RGB", (8, 8))
    channels = [eye(probe, n).shape[-1] for eye, n in zip(eyes, lens)]
    keys = {k: v for k, v in config.items() if k not in ("model_type", "architectures", "torch_dtype")}
    keys["pad_token_id"] = None
    model = Model(kind, keys, channels)
    model.inner.load_state_dict(ours.weights(folder))

    def trace(image, question, drop, new=8):
        text = ours.prompts.prompt(plan["template"], question, image is not None)
        ids = ours.prompts.token_ids(text, tokenizer.encode, config["bos_token_id"], drop)
        features = sizes = None
        if image is not None:
            picture = Image.open(image).convert("RGB")
            features, sizes = [eye(picture, n) for eye, n in zip(eyes, lens)], [picture.size]
        generated, logits, block = [], None, torch.zeros(0, config["hidden_size"])
        for _ in range(new):
            embeddings, scores = model.run(torch.tensor([ids + generated]), features, sizes)
            last = scores[0, -1].float()
            if logits is None:
                logits = last
                if features is not None:
                    at, (h, w) = ids.index(-200), model.grids[0]
                    block = embeddings[0, at:at + h * (w + 1)]
            generated.append(ours.best(last, tokenizer))
        return {"input_ids": torch.tensor(ids), "image_tokens": block.contiguous(), "logits": logits.contiguous(),
                "generated": torch.tensor(generated)}

    # What cambrian.py traced, again; but for an image of which no row remains, which the release cannot unpad.
    for path in sorted((folder / "traces").glob("*.json")):
        case = json.loads(path.read_text())
        if path.stem.startswith("released") or case["image"] and "thin" in case["image"]:
            continue
        image = path.parent / case["image"] if case["image"] else None
        got, known = trace(image, case["question"], case["newline"] == "drop"), ours.load_file(
            path.with_suffix(".safetensors"))
        for key in ("input_ids", "generated"):
            assert torch.equal(got[key], known[key]), (name, path.stem, key)
        for key in ("image_tokens", "logits"):
            if known[key].numel():
                off = (got[key] - known[key]).abs().max() / known[key].square().mean().sqrt()
                print(f"{name}/{path.stem} {key}: max|Δ|/rms {off:.1e}")
                assert off < 1e-4, "cambrian.py is not what the release does"
    loss(ours, folder, model, plan["template"], tokenizer.encode, config["bos_token_id"],
         lambda picture: [eye(picture, n) for eye, n in zip(eyes, lens)])
    # And one that only the release has seen.
    image = "portrait"
    path = folder / "traces" / "released.json"
    common.write_json(path.parent, path.stem, dict(
        image=f"../../images/{image}.png", question=QUESTION, template=plan["template"], newline="drop"))
    common.write_weights(path.parent, path.stem, trace(HERE.parent / "checkpoints" / "images" / f"{image}.png",
                                                       QUESTION, True))


# Image or none, question, answer: one micro-batch.
RECORDS = [("landscape", "What stands left?", "A red circle."), (None, "Why?", "Nobody knows."),
           ("portrait", "How many circles are there?", "One.")]
IGNORED = -100


@torch.enable_grad()
def loss(ours, folder, model, template, encode, bos, look):
    """`released-loss.json`: the loss of a micro-batch, the mean over its trained tokens, and the norms of the gradients of
    all parameters but the encoders'; with ids and labels of each record."""
    lead, end, tail = ours.prompts.ANSWERS[template]
    inner, total, trained, records = model.inner, 0, 0, []
    inner.zero_grad()
    for image, question, answer in RECORDS:
        asked = ours.prompts.prompt(template, question, image is not None)
        # Training never drops what follows the image.
        before, until, whole = (ours.prompts.token_ids(asked + more, encode, bos, False)
                                for more in ("", lead + answer + end, lead + answer + end + tail))
        # An answer must not change the tokens of its prompt.
        assert until[:len(before)] == before and whole[:len(until)] == until, template
        labels = [IGNORED] * len(before) + until[len(before):] + [IGNORED] * (len(whole) - len(until))
        features = sizes = None
        if image:
            picture = ours.Image.open(HERE.parent / "checkpoints" / "images" / f"{image}.png").convert("RGB")
            with torch.no_grad():
                features, sizes = look(picture), [picture.size]
        embeddings = model.embed(torch.tensor([whole]), features, sizes, torch.tensor([labels]))
        out = inner(inputs_embeds=embeddings, labels=model.labels, use_cache=False, return_dict=True)
        # The release gives the mean of what it is handed.
        total, trained = total + out.loss * len(until[len(before):]), trained + len(until) - len(before)
        records.append(dict(image=f"../images/{image}.png" if image else None, question=question, answer=answer,
                            input_ids=whole, labels=labels))
    (total / trained).backward()
    norms = {k: p.grad.norm() for k, p in sorted(inner.named_parameters()) if p.grad is not None}
    golden = dict(
        template=template, records=records, trained_tokens=trained,
        loss=common.figure((total / trained).detach(), 8),
        gradient_norm=common.figure(torch.stack([*norms.values()]).norm(), 7),
        gradient_norms={k: common.figure(v, 7) for k, v in norms.items()})
    (folder / "released-loss.json").write_text(json.dumps(golden, ensure_ascii=False) + "\n")
    inner.zero_grad()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    release = load_release(sys.argv[1])
    aggregator(release, "released", "joint", 7)
    aggregator(release, "released-separate", "sep", 8)
    ours = load_ours()
    for name, kind in FAMILIES.items():
        traces(ours, name, kind)


if __name__ == "__main__":
    main()
