"""Golden files of DINOv3's vectors. See tests/reference/common.py."""

import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
import make  # noqa: E402



@torch.no_grad()
def vectors():
    model = common.randomise(make.transformers_tower(make.ARCH), 31)
    common.write_vector_case(
        HERE, "vector", encoder="dinov3", architecture="dinov3", arch=make.ARCH,
        weights=common.write_weights(HERE, "vector", make.published(model.state_dict())), model=model,
        pixels=common.pixels(2, 28, 28, 32), embed=lambda pixels: model(pixels).pooler_output,
        reference="transformers DINOv3ViTModel")


if __name__ == "__main__":
    vectors()
