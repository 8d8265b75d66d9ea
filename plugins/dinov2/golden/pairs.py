"""Golden files of DINOv2's vectors. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
import make  # noqa: E402

from libraries import saved  # noqa: E402


@torch.no_grad()
def vectors():
    model = make.transformers_model(31, registers=2)
    common.write_vector_case(
        HERE, "vector", encoder="dinov2", architecture="dinov2",
        arch={**make.ARCH, "registers": 2, "pos_mode": "bicubic_antialias"},
        weights=common.write_weights(HERE, "vector", saved(model)), model=model, pixels=common.pixels(2, 35, 35, 32),
        embed=lambda pixels: model(pixels).pooler_output, reference="transformers Dinov2WithRegistersModel")


if __name__ == "__main__":
    vectors()
