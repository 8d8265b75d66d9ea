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
