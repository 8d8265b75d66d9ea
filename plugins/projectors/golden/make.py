"""Golden files of the projectors: plain torch modules with the key names of the reference, and timm's RegNet stage for
the C-Abstractor.

    python plugins/projectors/golden/make.py
"""

import math
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))

import common  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402
from timm.layers import LayerNorm2d  # noqa: E402
from timm.models.regnet import RegStage  # noqa: E402
from torch import nn  # noqa: E402


class Maps(nn.Module):
    """Tokens as a square map and back."""

    def to_map(self, x):
        side = math.isqrt(x.shape[1])
        return x.transpose(1, 2).unflatten(2, (side, side))

    def to_tokens(self, x):
        return x.flatten(2).transpose(1, 2)


def mlp(a, b, depth, act=nn.GELU):
    layers = [nn.Linear(a, b)]
    for _ in range(depth - 1):
        layers += [act(), nn.Linear(b, b)]
    return nn.Sequential(*layers)


class SeMlp(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.se = nn.Sequential(
            nn.Linear(a, a, bias=False), nn.GELU(), nn.Linear(a, a, bias=False), nn.Sigmoid())
        self.proj = mlp(a, b, 2)

    def forward(self, x):
        return self.proj(x + x * self.se(x.mean(1, keepdim=True)))


class Downsampler(Maps):
    def __init__(self, a, hidden, b):
        super().__init__()
        self.downsamples = nn.Conv2d(a, hidden, 3, 2, 1, bias=False)
        self.readout = mlp(hidden, b, 2)

    def forward(self, x):
        return self.readout(self.to_tokens(self.downsamples(self.to_map(x))))


class CAbstractor(Maps):
    def __init__(self, tokens, a, hidden, b, side, depth, mlp_depth):
        super().__init__()
        self.pos_emb = nn.Parameter(torch.zeros(1, tokens, a))
        stage = dict(stride=1, dilation=1, act_layer=nn.SiLU, norm_layer=LayerNorm2d)
        self.net = nn.Sequential(
            RegStage(depth, a, hidden, **stage), nn.AdaptiveAvgPool2d(side), RegStage(depth, hidden, hidden, **stage))
        self.readout = mlp(hidden, b, mlp_depth, nn.SiLU)

    def forward(self, x):
        return self.readout(self.to_tokens(self.net(self.to_map(x + self.pos_emb))))


class Resampler(nn.Module):
    def __init__(self, a, queries, b, heads):
        super().__init__()
        self.query = nn.Parameter(torch.randn(queries, b))
        self.kv_proj = nn.Linear(a, b, bias=False)
        self.ln_q, self.ln_kv = nn.LayerNorm(b, eps=1e-6), nn.LayerNorm(b, eps=1e-6)
        self.attn = nn.MultiheadAttention(b, heads, batch_first=True)

    @staticmethod
    def positions(cells, unit, width):
        """One vector per cell, element by element."""
        table = torch.zeros(cells * cells, width, dtype=torch.float64)
        quarter = width // 4
        for row in range(cells):
            for col in range(cells):
                for half, line in enumerate((col, row)):
                    at = (line + 0.5) * unit / cells - 0.5
                    for i in range(quarter):
                        angle = at / 10000 ** (i / quarter)
                        cell = table[row * cells + col]
                        cell[half * 2 * quarter + i] = math.sin(angle)
                        cell[half * 2 * quarter + quarter + i] = math.cos(angle)
        return table.float()

    def forward(self, x):
        queries, width = self.query.shape
        side, cells = math.isqrt(queries), math.isqrt(x.shape[1])
        kv = self.ln_kv(self.kv_proj(x))
        q = self.ln_q(self.query) + self.positions(side, side, width).to(x.dtype)
        k = kv + self.positions(cells, side, width).to(x.dtype)
        return self.attn(q.expand(len(x), -1, -1), k, kv, need_weights=False)[0]


def block(tokens, size, newline, unpad):
    """[side * side, H] to the sequence of one image."""
    side = math.isqrt(len(tokens))
    width, height = size
    rows = cols = range(side)
    if unpad and width > height:
        p = (side - int(height * (side / width))) // 2
        rows = range(p, side - p)
    elif unpad:
        p = (side - int(width * (side / height))) // 2
        cols = range(p, side - p)
    out = []
    for i in rows:
        out += [tokens[i * side + j] for j in cols]
        if newline is not None:
            out.append(newline)
    return torch.stack(out)


SIZES = [(640, 400), (333, 500)]
PLAIN = "plain torch"
# Name, architecture, numbers, module, prefix of its keys, reference. Every case has 64 tokens per encoder.
CASES = [
    ("linear", "linear", {"inputs": [12], "output": 24, "newline": False, "unpad": False},
     lambda: nn.Linear(12, 24), "", PLAIN),
    ("concat", "mlp_gelu", {"inputs": [12, 20, 7], "token_len": 64, "output": 24},
     lambda: mlp(39, 24, 2), "model.", PLAIN),
    ("deep", "mlp_gelu", {"inputs": [12], "output": 24, "depth": 4, "newline": False},
     lambda: mlp(12, 24, 4), "", PLAIN),
    ("se", "se_mlp", {"inputs": [12, 10], "output": 24},
     lambda: SeMlp(22, 24), "", PLAIN),
    ("downsampler", "c_abstractor_released", {"inputs": [12, 10], "output": 24, "hidden": 16},
     lambda: Downsampler(22, 16, 24), "model.", PLAIN),
    ("c-abstractor", "c_abstractor",
     {"inputs": [12, 10], "token_len": 64, "image_token_len": 36, "output": 24, "hidden": 16, "depth": 2},
     lambda: CAbstractor(64, 22, 16, 24, 6, 2, 2), "", f"timm {timm.__version__} RegStage"),
    ("c-abstractor-wide", "c_abstractor",
     {"inputs": [16], "token_len": 64, "image_token_len": 9, "output": 24, "hidden": 16, "depth": 1, "mlp_depth": 3},
     lambda: CAbstractor(64, 16, 16, 24, 3, 1, 3), "", f"timm {timm.__version__} RegStage"),
    ("resampler", "resampler", {"inputs": [12, 10], "output": 24, "image_token_len": 25, "heads": 3},
     lambda: Resampler(22, 25, 24, 3), "", "torch MultiheadAttention"),
    ("leaning", "mlp_gelu", {"inputs": [12, 20], "token_len": 64, "output": 24},
     lambda: mlp(32, 24, 2), "", PLAIN),
]


@torch.no_grad()
def main():
    for seed, (case, architecture, arch, build, prefix, reference) in enumerate(CASES):
        module = nn.Module()
        module.mm_projector = build()
        if arch.get("newline", True):
            module.image_newline = nn.Parameter(torch.randn(arch["output"]))
        common.randomise(module, seed)
        if case == "leaning":
            # Nothing is added to this MLP: at -3, even float32 would lose 9e-5 of it.
            common.lean([module.mm_projector[::2]], seed, at=-2.7)
        g = common.generator(100 + seed)
        features = [torch.randn(len(SIZES), 64, c, generator=g) for c in arch["inputs"]]

        def expect(features, _):
            tokens = module.mm_projector(torch.cat(features, -1))
            rows = [{"tensor": "tokens", "what": "tokens", "value": tokens}]
            for row, size in enumerate(SIZES):
                newline = getattr(module, "image_newline", None)
                rows.append({"tensor": f"block.{row}", "what": "block", "row": row,
                             "value": block(tokens[row], size, newline, arch.get("unpad", True))})
            return rows

        state = {prefix + key: value for key, value in module.state_dict().items()}
        if prefix:
            state |= {"model.embed_tokens.weight": torch.zeros(2, 2), "lm_head.weight": torch.zeros(2, 2)}
        common.write_connector_case(
            HERE, case, connector=case, architecture=architecture, arch=arch,
            weights=common.write_weights(HERE, case, state), model=module, features=features, image_sizes=SIZES,
            expect=expect, reference=reference)


if __name__ == "__main__":
    main()
