"""Golden files of the ConvNeXt plugin: timm, small and odd. See tests/reference/common.py."""

import pathlib
import sys

import timm
import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import published  # noqa: E402

# Channels that fill no vector register evenly.
SMALL = dict(depths=[1, 2, 2, 1], dims=[10, 24, 36, 56])
LARGE = dict(depths=[3, 3, 27, 3], dims=[192, 384, 768, 1536], image_size=320, norm_eps=1e-6)
XXLARGE = dict(depths=[3, 4, 30, 3], dims=[384, 768, 1536, 3072], image_size=256, norm_eps=1e-5)


@torch.no_grad()
def model(name, seed, **kwargs):
    """A shrunk timm model. Its stem is made faint, so that the first norm shows which epsilon was used."""
    net = common.randomise(timm.create_model(name, pretrained=False, num_classes=5, **SMALL, **kwargs), seed)
    for p in net.stem[0].parameters():
        p.mul_(0.05)
    return net


@torch.no_grad()
def write(case, net, *, eps, weights, pixels, stages, reference):
    assert {m.eps for m in net.modules() if isinstance(m, torch.nn.LayerNorm)} == {eps}

    def expect(pixels):
        maps = net.forward_intermediates(pixels, indices=4, norm=False, intermediates_only=True)
        tokens = [m.flatten(2).transpose(1, 2) for m in maps]
        # Nothing but the stages runs: no norm, no head.
        last = net.stages(net.stem(pixels)).flatten(2).transpose(1, 2)
        assert torch.equal(last, tokens[-1])
        return [(tokens[s], s, False) for s in stages]

    common.write_encoder_case(
        HERE, case, encoder="convnext", architecture="convnext",
        arch={**SMALL, "image_size": 64, "norm_eps": eps}, weights=weights, model=net, pixels=pixels, expect=expect,
        reference=reference)


def small():
    net = model("convnext_large_mlp", 1, head_hidden_size=12)
    weights = common.write_weights(HERE, "timm", net.state_dict())
    for case, batch, height, width in [("timm", 2, 64, 96), ("timm-smallest", 1, 32, 32), ("timm-wide", 1, 32, 160)]:
        write(case, net, eps=1e-6, weights=weights, pixels=common.pixels(batch, height, width, 2),
              stages=[0, 1, 2, 3] if case == "timm" else [-4, -1], reference="timm convnext_large_mlp")
    net = model("convnext_large_mlp", 5, head_hidden_size=12)
    common.lean([(m.fc1, m.fc2) for m in net.stages.modules() if hasattr(m, "fc1")], 6)
    write("leaning", net, eps=1e-6, weights=common.write_weights(HERE, "leaning", net.state_dict()),
          pixels=common.pixels(1, 64, 64, 7), stages=[0, 1, 2, 3], reference="timm convnext_large_mlp")
    # The tower inside an open_clip checkpoint, beside parts that are nobody's concern.
    net = model("convnext_xxlarge", 3)
    state = {f"visual.trunk.{k}": v for k, v in net.state_dict().items()}
    state |= {"visual.head.proj.weight": torch.ones(4, 56), "logit_scale": torch.ones(())}
    write("open-clip", net, eps=1e-5, weights=common.write_weights(HERE, "open-clip", state),
          pixels=common.pixels(1, 96, 64, 4), stages=[-1, -2, -3, -4], reference="timm convnext_xxlarge")


@torch.no_grad()
def dinov3():
    """The layout of DINOv3's repositories, which adds pooling and a norm that are not features."""
    from transformers import DINOv3ConvNextConfig, DINOv3ConvNextModel

    net = common.randomise(
        DINOv3ConvNextModel(DINOv3ConvNextConfig(hidden_sizes=SMALL["dims"], depths=SMALL["depths"])), 8)
    for p in net.get_submodule("model.stages.0.downsample_layers.0" if hasattr(net, "model") else
                               "stages.0.downsample_layers.0").parameters():
        p.mul_(0.05)
    state = published(net)

    def expect(pixels):
        hidden = net(pixels, output_hidden_states=True).hidden_states
        return [(hidden[s + 1].flatten(2).transpose(1, 2), s, False) for s in range(4)]

    common.write_encoder_case(
        HERE, "dinov3", encoder="convnext", architecture="convnext", arch={**SMALL, "image_size": 64},
        weights=common.write_weights(HERE, "dinov3", state), model=net, pixels=common.pixels(1, 64, 96, 9),
        expect=expect, reference="transformers DINOv3ConvNextModel")


# Supervised and self-supervised sizes: depths and widths.
SIZES = {
    "t": ([3, 3, 9, 3], [96, 192, 384, 768], "tiny"),
    "s": ([3, 3, 27, 3], [96, 192, 384, 768], "small"),
    "b": ([3, 3, 27, 3], [128, 256, 512, 1024], "base"),
    "l": ([3, 3, 27, 3], [192, 384, 768, 1536], "large"),
    "xl": ([3, 3, 27, 3], [256, 512, 1024, 2048], "xlarge"),
}


def manifests():
    """Key lists of the full models, from the libraries that publish them."""
    import open_clip
    from transformers import DINOv3ConvNextConfig, DINOv3ConvNextModel

    large = dict(depths=SIZES["l"][0], dims=SIZES["l"][1], norm_eps=1e-6)
    base = dict(depths=SIZES["b"][0], dims=SIZES["b"][1], norm_eps=1e-6)
    for row, arch, config, pixels, gmacs in [
        ("openclip-convnext-b", {**base, "image_size": 224}, "convnext_base", 224, None),
        ("openclip-convnext-b-w", {**base, "image_size": 256}, "convnext_base_w", 256, None),
        ("openclip-convnext-b-w-320", {**base, "image_size": 320}, "convnext_base_w_320", 320, None),
        ("openclip-convnext-l-256", {**large, "image_size": 256}, "convnext_large_d", 256, None),
        ("openclip-convnext-l", LARGE, "convnext_large_d_320", 1024, 718),
        ("openclip-convnext-xxl", XXLARGE, "convnext_xxlarge", 1024, 3167),
    ]:
        vision = open_clip.get_model_config(config)["vision_cfg"]
        with torch.device("meta"):
            trunk = open_clip.timm_model.TimmModel(
                vision["timm_model_name"], embed_dim=open_clip.get_model_config(config)["embed_dim"],
                image_size=vision["image_size"], pool=vision["timm_pool"], proj=vision["timm_proj"]).trunk
        state = {f"visual.trunk.{k}": v for k, v in trunk.state_dict().items()}
        common.write_manifest(HERE, row, state, architecture="convnext", arch=arch, layout="open_clip",
                              reference="open_clip TimmModel", pixels=pixels, gmacs=gmacs,
                              unused=["visual.trunk.head.*"])
    for size, (depths, dims, name) in SIZES.items():
        with torch.device("meta"):
            state = timm.create_model(f"convnext_{name}", pretrained=False, num_classes=21841).state_dict()
        common.write_manifest(HERE, f"convnext-{size}-in22k", state, architecture="convnext", layout="timm",
                              arch=dict(depths=depths, dims=dims, image_size=224), reference=f"timm convnext_{name}",
                              unused=["head.*"], pixels=224)
        if size == "xl":
            continue
        with torch.device("meta"):
            model = DINOv3ConvNextModel(DINOv3ConvNextConfig(hidden_sizes=dims, depths=depths))
        common.write_manifest(HERE, f"dinov3-convnext-{size}", published(model), architecture="convnext",
                              layout="dinov3", arch=dict(depths=depths, dims=dims, image_size=224),
                              reference="transformers DINOv3ConvNextModel", unused=["layer_norm.*"], pixels=224)


if __name__ == "__main__":
    small()
    dinov3()
    manifests()
