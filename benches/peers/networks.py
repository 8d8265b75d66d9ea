"""The five networks: reference modules in PyTorch, random weights under the published keys, exported graphs.

`python networks.py NETWORK FOLDER` makes `FOLDER/NETWORK/`: `model.safetensors` (what Zoo and PyTorch load),
`model.onnx` (ONNX Runtime) and `model.xml` (OpenVINO). Each runs in a process of its own, so that its memory is
given back.
"""

import dataclasses
import pathlib
import sys

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEIGHTS = "model.safetensors"


@dataclasses.dataclass(frozen=True)
class Network:
    """One network: how people call it, the registry id by which Zoo knows it, and how it is run."""

    title: str
    encoder: str
    pixels: int
    # Multiply-accumulates of one image, in units of 1e9: for the estimate of how long a run takes.
    gmacs: float
    norm: bool
    build: object
    prefix: str = ""


class Tokens(torch.nn.Module):
    """Pixels [B, 3, H, W] to patch tokens [B, N, C], and nothing that the tokens do not need."""

    def __init__(self, module, tokens):
        super().__init__()
        self.module = module
        self.tokens = tokens

    def forward(self, pixels):
        return self.tokens(self.module, pixels)


def hidden(module, pixels):
    """The last hidden state without the class token."""
    return module(pixels).last_hidden_state[:, 1:]


def timm_model(name, **options):
    """A timm model with its weights from `folder`, or with no weights at all."""

    def build(folder, prefix):
        import timm
        from safetensors.torch import load_file

        if folder is None:
            return timm.create_model(name, pretrained=False, **options)
        with torch.device("meta"):
            module = timm.create_model(name, pretrained=False, **options)
        state = {k.removeprefix(prefix): v for k, v in load_file(folder / WEIGHTS).items()}
        module.load_state_dict(state, assign=True)
        return module

    return build


def transformers_model(model, config, **numbers):
    """As `timm_model`, for a class of transformers."""

    def build(folder, _prefix):
        import transformers

        if folder is None:
            return getattr(transformers, model)(getattr(transformers, config)(**numbers))
        return getattr(transformers, model).from_pretrained(folder)

    return build


VIT_L = dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, patch_size=14)

# In the order of their cost, so that a short run has measured something of everything.
NETWORKS = {
    "vit-b-16-224": Network(
        "ViT-B/16 @224", "vit-b-16-224", 224, 17.5, True,
        lambda f, p: Tokens(timm_model("vit_base_patch16_224")(f, p), lambda m, x: m.forward_features(x)[:, 1:])),
    "convnext-l-320": Network(
        "OpenCLIP ConvNeXt-L @320", "openclip-convnext-l", 320, 70, False,
        lambda f, p: Tokens(timm_model("convnext_large_mlp", num_classes=0)(f, p),
                            lambda m, x: m.stages(m.stem(x)).flatten(2).transpose(1, 2)),
        "visual.trunk."),
    "clip-vit-l-14-336": Network(
        "CLIP ViT-L/14 @336", "clip-vit-l-14-336", 336, 191, False,
        lambda f, p: Tokens(transformers_model("CLIPVisionModel", "CLIPVisionConfig", **VIT_L, intermediate_size=4096,
                                               image_size=336)(f, p), hidden)),
    "siglip-so400m-14-384": Network(
        "SigLIP SO400M/14 @384", "siglip-so400m-14-384", 384, 333, True,
        lambda f, p: Tokens(timm_model("vit_so400m_patch14_siglip_384")(f, p), lambda m, x: m.forward_features(x)),
        "visual.trunk."),
    "dinov2-vit-l-14-518": Network(
        "DINOv2 ViT-L/14 @518", "dinov2-vit-l-14", 518, 507, True,
        lambda f, p: Tokens(transformers_model("Dinov2Model", "Dinov2Config", **VIT_L, image_size=518)(f, p), hidden)),
}


def load(name, folder):
    """The module with the weights of `folder/name`."""
    network = NETWORKS[name]
    return network.build(folder / name, network.prefix).eval()


def files(name, folder):
    """What `make` leaves."""
    return [folder / name / file for file in (WEIGHTS, "model.onnx", "model.xml", "reference.safetensors")]


def photo(path):
    """A JPEG of 12 megapixels with coarse structure and noise, as large in bytes as photos are."""
    from PIL import Image

    coarse = torch.rand(1, 3, 30, 40, generator=torch.Generator("cpu").manual_seed(3))
    image = torch.nn.functional.interpolate(coarse, (3000, 4000), mode="bicubic").clamp(0, 1)[0]
    image += 0.04 * torch.randn(image.shape, generator=torch.Generator("cpu").manual_seed(4))
    pixels = (image.clamp(0, 1) * 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    Image.fromarray(pixels).save(path, quality=90)


def pixels(name, batch):
    """The input that everybody gets; its first image is the same in every batch."""
    common, side = reference_helpers(), NETWORKS[name].pixels
    first = common.pixels(1, side, side, 7)
    return first if batch == 1 else torch.cat([first, common.pixels(batch - 1, side, side, 8)])


def reference_helpers():
    """tests/reference/common.py, which wants one thread and deterministic kernels: not for timed processes."""
    sys.path.insert(0, str(ROOT / "tests" / "reference"))
    import common

    return common


@torch.no_grad()
def weights(name, folder):
    """Random weights of which none is neutral, under the published keys."""
    from safetensors.torch import save_file

    common, network, place = reference_helpers(), NETWORKS[name], folder / name
    place.mkdir(parents=True, exist_ok=True)
    module = network.build(None, network.prefix)
    common.randomise(module.module, 11)
    if hasattr(module.module, "save_pretrained"):
        module.module.save_pretrained(place)
    else:
        state = {network.prefix + k: v.contiguous() for k, v in module.module.state_dict().items()}
        save_file(state, place / WEIGHTS)


@torch.no_grad()
def make(name, folder):
    """Weights; the graphs; and f32 features of eager PyTorch to compare with."""
    from safetensors.torch import save_file

    weights(name, folder)
    place = folder / name
    module = load(name, folder)
    for batch in (1, 8):
        save_file({"pixels": pixels(name, batch)}, place / f"pixels-{batch}.safetensors")
    example = pixels(name, 1)
    save_file({"tokens": module(example).contiguous()}, place / "reference.safetensors")
    for step in (openvino_graph, onnx_graph):
        try:
            step(module, example, place)
        except Exception as error:  # the others can still be compared
            print(f"{name}: {step.__name__}: {type(error).__name__}: {error}", file=sys.stderr)


def openvino_graph(module, example, place):
    import openvino

    graph = openvino.convert_model(module, example_input=example)
    openvino.save_model(graph, place / "model.xml", compress_to_fp16=False)


def onnx_graph(module, example, place):
    # Two images, so that the exporter does not take the one for a constant.
    example = torch.cat([example, example])
    torch.onnx.export(module, (example,), place / "model.onnx", dynamo=True, external_data=True,
                      input_names=["pixels"], output_names=["tokens"],
                      dynamic_shapes=({0: torch.export.Dim("batch")},))


if __name__ == "__main__":
    make(sys.argv[1], pathlib.Path(sys.argv[2]).resolve())
