"""Golden file of decomposed relative positions: SAM's attention in transformers, at its own grid and at another."""

import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionAttention

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402

WIDTH, HEADS, SIDE = 36, 3, 5


def main():
    config = SamVisionConfig(hidden_size=WIDTH, num_attention_heads=HEADS, attn_implementation="eager")
    attention = common.randomise(SamVisionAttention(config, SIDE), 1).double()
    generator = torch.Generator().manual_seed(2)
    tensors = {name: value.float() for name, value in attention.state_dict().items()}
    for name, (h, w) in {"native": (SIDE, SIDE), "other": (4, 7)}.items():
        x = torch.randn(2, h, w, WIDTH, generator=generator)
        with torch.no_grad():
            out, _ = attention(x.double())
        tensors |= {f"{name}.x": x, f"{name}.out": out.float().contiguous()}
    save_file(tensors, HERE / "relative.safetensors")


if __name__ == "__main__":
    main()
