"""Small PyTorch files for the tests of weight reading, written by torch itself (2.15)."""

import pathlib
from collections import OrderedDict

import torch

HERE = pathlib.Path(__file__).resolve().parent
base = torch.arange(24, dtype=torch.float32)

# What training scripts save: weights under a key, other things beside them, views of shared storages.
torch.save(
    {
        "epoch": 3,
        "arch": "vit",
        "state_dict": OrderedDict(
            plain=base.reshape(4, 6),
            transposed=base.reshape(4, 6).t(),
            permuted=base.reshape(2, 3, 4).permute(1, 2, 0),
            slice=base.reshape(4, 6)[1:3, 2:5],
            tail=base[20:],
            expanded=base[:2].reshape(2, 1).expand(2, 3),
            scalar=torch.tensor(7.5),
            half=base[:4].half(),
            brain=base[:4].bfloat16(),
            long=torch.arange(3),
            flags=torch.tensor([True, False]),
        ),
        "optimizer": {"param_groups": [{"lr": 0.1, "params": [0, 1]}], "state": {}},
    },
    HERE / "nested.pth.tar",
)
torch.save({"weight": torch.nn.Parameter(base[:6].reshape(2, 3))}, HERE / "parameter.bin")
torch.save({"args": {"lr": 0.1}, "step": 4}, HERE / "no-tensors.pt")
torch.save({"weight": base}, HERE / "legacy.pth", _use_new_zipfile_serialization=False)

# The same under other protocols of pickle: protocols 4 and 5 have frames, short texts and another memo.
views = {"whole": base.reshape(4, 6), "turned": base.reshape(4, 6).t(), "tail": base[20:].half(), "step": 3}
for protocol in 3, 4, 5:
    torch.save({"model": views}, HERE / f"protocol-{protocol}.pt", pickle_protocol=protocol)
torch.save({"model": views}, HERE / "legacy-views.pth", _use_new_zipfile_serialization=False, pickle_protocol=4)


class Inner(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(base[:4].clone())
        self.register_buffer("kept", base[4:6].clone())
        self.register_buffer("dropped", base[6:8].clone(), persistent=False)

    def forward(self, x):
        return x @ self.weight + self.kept.sum() + self.dropped.sum()


class Outer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList([Inner(), Inner()])
        self.scale = torch.nn.Parameter(base[8:9].clone())

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
        return x * self.scale


# Whole modules: as Python pickles them, and as TorchScript does (whose code is compressed when it is long).
torch.save({"model": Outer(), "epoch": 1}, HERE / "module.pt")
torch.jit.script(Outer()).save(str(HERE / "scripted.pt"))
# An element type that came after the classes of storages.
newer = {"eight": base[:3].to(torch.float8_e4m3fn), "sixteen": torch.tensor([1, 2, 3], dtype=torch.uint16)}
torch.save(newer, HERE / "newer.pt")
