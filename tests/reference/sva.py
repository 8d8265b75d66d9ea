"""The Spatial Vision Aggregator in plain torch, with the released key names.

Written for clarity rather than speed, and on purpose in another way than the Rust code: windows, masks and
unpadding are loops over rows and columns, and every window is gathered before it is projected.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

HEADS = 16


# Padding, by looking at pixels of the image's longer side.

def padded_lines(side, size):
    """(rows, columns) at each edge of a square grid that show padding only."""
    width, height = size
    if width / height > side / side:
        new = int(height * (side / width))
        return (side - new) // 2, 0
    new = int(width * (side / height))
    return 0, (side - new) // 2


def kept(side, size):
    """Row and column numbers left after unpadding: those in the middle if none would be."""
    rows, cols = padded_lines(side, size)
    middle = [(side - 1) // 2, side // 2] if side % 2 == 0 else [side // 2]
    return list(range(rows, side - rows)) or middle, list(range(cols, side - cols)) or middle


def cell_mask(side, size):
    rows, cols = padded_lines(side, size)
    mask = torch.ones(side, side, dtype=torch.bool)
    for i in range(side):
        for j in range(side):
            if i < rows or i >= side - rows or j < cols or j >= side - cols:
                mask[i, j] = False
    return mask


def windows(grid, queries):
    """[s, s, C] to [q * q, m * m, C], one loop per query."""
    side = grid.shape[0]
    m = side // queries
    out = []
    for i in range(queries):
        for j in range(queries):
            out.append(grid[i * m:(i + 1) * m, j * m:(j + 1) * m].reshape(m * m, -1))
    return torch.stack(out)


def window_mask(side, queries, size):
    mask = windows(cell_mask(side, size)[..., None].float(), queries)[..., 0] > 0
    for row in mask:
        if not row.any():
            row[:] = True
    return mask


# Modules, named as in the released checkpoints.

class Mlp(nn.Module):
    def __init__(self, a, b, c):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(a, b, bias=False), nn.Linear(b, c, bias=False)

    def forward(self, x):
        return self.linear_2(F.gelu(self.linear_1(x)))


def norm_linear(width):
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width, bias=False))


class Attention(nn.Module):
    """Heads one by one; `names` are the suffixes of the key and value projections."""

    def __init__(self, width, names):
        super().__init__()
        self.names, self.head = names, width // HEADS
        self.q_proj = norm_linear(width)
        for name in names:
            self.add_module(f"k_proj{name}", norm_linear(width))
            self.add_module(f"v_proj{name}", norm_linear(width))
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, h, kvs, masks):
        q = self.q_proj(h)
        k = torch.cat([getattr(self, f"k_proj{n}")(kv) for n, kv in zip(self.names, kvs)], 1)
        v = torch.cat([getattr(self, f"v_proj{n}")(kv) for n, kv in zip(self.names, kvs)], 1)
        mask = torch.cat(masks, 1)
        outs, weights = [], []
        for i in range(HEADS):
            part = slice(i * self.head, (i + 1) * self.head)
            scores = torch.einsum("rd,rsd->rs", q[:, part], k[..., part]) / math.sqrt(self.head)
            w = scores.masked_fill(~mask, float("-inf")).softmax(-1)
            weights.append(w)
            outs.append(torch.einsum("rs,rsd->rd", w, v[..., part]))
        return self.o_proj(torch.cat(outs, -1)), torch.stack(weights).mean(0)


class Aggregate(nn.Module):
    def __init__(self, width, m):
        super().__init__()
        self.attention_layer = Attention(width, [""]) if m > 1 else Mlp(width, width, width)


class Layer(nn.Module):
    def __init__(self, q_dim, width, ms, kind):
        super().__init__()
        self.kind, self.ms = kind, ms
        self.proj_context = nn.Linear(width, width, bias=False)
        self.proj_in = nn.Linear(q_dim + width, width, bias=False)
        self.proj_out = Mlp(width, width, q_dim)
        self.norm = nn.LayerNorm(width)
        for k, m in enumerate(ms):
            if m > 1:
                self.register_parameter(f"pos_embed_{k}", nn.Parameter(torch.randn(m * m, width)))
        if kind == "joint":
            self.cross_attn = Attention(width, [f"_{k}" for k in range(len(ms))])
        else:
            if len(ms) > 1:
                self.weight_mlp = Mlp(q_dim + width, width, len(ms))
            for k, m in enumerate(ms):
                self.add_module(f"aggregate_{k}", Aggregate(width, m))

    def forward(self, x, g, kvs, masks):
        """x [R, q_dim], g [R, C], kvs [R, m * m, C] each. Also gives the share of each encoder [R]."""
        both = torch.cat([x, self.proj_context(g)], -1)
        h = self.proj_in(both)
        kvs = [kv + getattr(self, f"pos_embed_{k}") if m > 1 else kv
               for k, (kv, m) in enumerate(zip(kvs, self.ms))]
        if self.kind == "joint":
            seen, weights = self.cross_attn(h, kvs, masks)
            shares = [w.sum(-1) for w in weights.split([m * m for m in self.ms], -1)]
        else:
            shares = [torch.ones(len(x), dtype=x.dtype)]
            if len(kvs) > 1:
                shares = list(self.weight_mlp(both).softmax(-1).unbind(-1))
            seen = 0
            for k, m in enumerate(self.ms):
                layer = getattr(self, f"aggregate_{k}").attention_layer
                one = layer(h, [kvs[k]], [masks[k]])[0] if m > 1 else layer(kvs[k][:, 0])
                seen = seen + shares[k][:, None] * one
        return self.proj_out(self.norm(h + seen)) + x, shares


class Sampler(nn.Module):
    def __init__(self, q_dim, width, ms, depth, kind="joint"):
        super().__init__()
        self.layers = nn.ModuleList([Layer(q_dim, width, ms, kind) for _ in range(depth)])

    def forward(self, x, g, kvs, masks):
        total = None
        for layer in self.layers:
            x, shares = layer(x, g, kvs, masks)
            total = shares if total is None else [a + b for a, b in zip(total, shares)]
        return x, [t / len(self.layers) for t in total]


class Sva(nn.Module):
    def __init__(self, arch):
        super().__init__()
        self.arch = a = arch
        width, out = a["vision_hidden_size"], a["output"]
        self.sides = [math.isqrt(n) for n in a["token_lens"]]
        self.side = math.isqrt(a["image_token_len"])
        self.query_sides = [math.isqrt(n) for n in a["query_num_list"]]
        for k, c in enumerate(a["inputs"]):
            self.add_module(f"mm_projector_aux_{k}", nn.Sequential(
                nn.Linear(c, width), nn.GELU(), nn.Linear(width, width), nn.LayerNorm(width)))
        self.vision_query = nn.Parameter(torch.randn(len(self.query_sides), width))
        for j, q in enumerate(self.query_sides):
            self.add_module(f"vision_sampler_{j}", Sampler(
                width, width, [s // q for s in self.sides], a["connector_depth"], a.get("layer_type", "joint")))
        self.mm_projector = nn.Sequential(
            nn.Linear(width * len(self.query_sides), out), nn.GELU(), nn.Linear(out, out))
        if a.get("newline", True):
            self.image_newline = nn.Parameter(torch.randn(out))
        if not a.get("connector_only", True):
            self.vision_sampler_layers = nn.ModuleList([
                Sampler(out, width, [s // self.side for s in self.sides], 1)
                for _ in range(a["num_of_vision_sampler_layers"])])

    def project(self, features, row):
        """Projected grids [s, s, C] of one image and its global context [C]."""
        grids = []
        for k, (x, s) in enumerate(zip(features, self.sides)):
            grids.append(getattr(self, f"mm_projector_aux_{k}")(x[row]).reshape(s, s, -1))
        return grids, grids[0].mean((0, 1))

    def resize(self, x, q):
        """[q * q, C] to [side * side, C]."""
        if q == self.side:
            return x
        x = x.reshape(1, q, q, -1).permute(0, 3, 1, 2)
        x = F.interpolate(x, (self.side, self.side), mode="bilinear", align_corners=False)
        return x[0].flatten(1).T

    def image(self, features, row, size):
        """Tokens [side * side, H] and shares of one image."""
        grids, g = self.project(features, row)
        parts, shares = [], []
        for j, q in enumerate(self.query_sides):
            kvs = [windows(grid, q) for grid in grids]
            masks = [window_mask(s, q, size) for s in self.sides]
            x = self.vision_query[j].expand(q * q, -1)
            x, share = getattr(self, f"vision_sampler_{j}")(x, g.expand(q * q, -1), kvs, masks)
            parts.append(self.resize(x, q))
            shares.append([self.resize(s[:, None], q)[:, 0] for s in share])
        tokens = self.mm_projector(torch.cat(parts, -1))
        return tokens, [torch.stack(s).mean(0) for s in zip(*shares)]

    def forward(self, features, sizes):
        images = [self.image(features, b, size) for b, size in enumerate(sizes)]
        tokens = torch.stack([t for t, _ in images])
        return tokens, [torch.stack(s) for s in zip(*(shares for _, shares in images))]

    def block(self, tokens, size):
        """[side * side, H] of one image to its sequence."""
        rows, cols = kept(self.side, size)
        out = []
        for i in rows:
            out += [tokens[i * self.side + j] for j in cols]
            if self.arch.get("newline", True):
                out.append(self.image_newline)
        return torch.stack(out)

    def refine(self, step, hidden, features, row, size):
        """[h * w, H] in and out."""
        grids, g = self.project(features, row)
        rows, cols = kept(self.side, size)
        cells = [i * self.side + j for i in rows for j in cols]
        kvs = [windows(grid, self.side)[cells] for grid in grids]
        masks = [window_mask(s, self.side, size)[cells] for s in self.sides]
        return self.vision_sampler_layers[step](hidden, g.expand(len(cells), -1), kvs, masks)[0]
