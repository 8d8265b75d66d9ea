"""Vision towers of transformers and timm, built from the keys of a registry row's `arch`.

Each tower has `features(pixels, layers)`, which gives one map [B, C, h, w] per layer, and `public()`, its weights in
the published key layout.
"""

import tempfile

import libraries
import torch
from torch import nn


class Clip(nn.Module):
    """`hidden_states` of CLIP without the class token; -1 is the last block, before the norm behind it."""

    def __init__(self, arch):
        super().__init__()
        from transformers import CLIPVisionConfig, CLIPVisionModel

        self.model = CLIPVisionModel(CLIPVisionConfig(
            hidden_size=arch["embed_dim"], intermediate_size=arch["mlp_dim"], num_hidden_layers=arch["depth"],
            num_attention_heads=arch["num_heads"], patch_size=arch["patch_size"], image_size=arch["image_size"],
            attn_implementation="eager"))

    def features(self, pixels, layers):
        states = self.model(pixels, output_hidden_states=True).hidden_states
        return [to_map(states[layer][:, 1:]) for layer in layers]

    def public(self):
        return libraries.prefixed(self.model.state_dict(), "vision_model.")

    def load(self, state):
        own = self.model.state_dict()
        prefix = "" if any(k.startswith("vision_model.") for k in own) else "vision_model."
        self.model.load_state_dict({k.removeprefix(prefix): v for k, v in state.items()}, strict=False)
        return self


class TimmVit(nn.Module):
    """SigLIP in timm: every patch token after the last norm."""

    def __init__(self, arch):
        super().__init__()
        from timm.models.vision_transformer import VisionTransformer

        self.model = VisionTransformer(
            img_size=arch["image_size"], patch_size=arch["patch_size"], embed_dim=arch["embed_dim"],
            depth=arch["depth"], num_heads=arch["num_heads"], mlp_ratio=arch["mlp_dim"] / arch["embed_dim"],
            class_token=False, global_pool="map", num_classes=0)

    def features(self, pixels, layers):
        assert layers == [-1]
        return [to_map(self.model.forward_features(pixels))]

    def public(self):
        return {f"visual.trunk.{k}": v for k, v in self.model.state_dict().items()
                if not k.startswith("attn_pool.")}

    def load(self, state):
        return load_trunk(self, state, ["attn_pool."])


class Dinov2(nn.Module):
    """The last hidden state of DINOv2 without the class token, positions as in transformers 4.37."""

    def __init__(self, arch):
        super().__init__()
        import transformers as t

        gated = arch.get("act") == "swiglu"
        # transformers makes a gated network two thirds as wide, in multiples of 8.
        ratio = round(1.5 * arch["mlp_dim"] / arch["embed_dim"]) if gated else arch["mlp_dim"] // arch["embed_dim"]
        self.model = t.Dinov2Model(t.Dinov2Config(
            hidden_size=arch["embed_dim"], num_hidden_layers=arch["depth"], num_attention_heads=arch["num_heads"],
            mlp_ratio=ratio, patch_size=arch["patch_size"], image_size=arch["image_size"], use_swiglu_ffn=gated,
            attn_implementation="eager"))
        offset_positions(self.model.embeddings)

    def features(self, pixels, layers):
        assert layers == [-1]
        return [to_map(self.model(pixels).last_hidden_state[:, 1:])]

    def public(self):
        return libraries.saved(self.model)

    def load(self, state):
        import transformers as t
        from safetensors.torch import save_file

        with tempfile.TemporaryDirectory() as folder:
            self.model.config.save_pretrained(folder)
            save_file(dict(state), f"{folder}/model.safetensors", metadata={"format": "pt"})
            self.model = t.Dinov2Model.from_pretrained(folder, attn_implementation="eager").float()
        offset_positions(self.model.embeddings)
        return self


class ConvNext(nn.Module):
    """The raw stages of timm's ConvNeXt."""

    def __init__(self, arch):
        super().__init__()
        from timm.models.convnext import ConvNeXt

        self.model = ConvNeXt(depths=arch["depths"], dims=arch["dims"], num_classes=0,
                              norm_eps=arch.get("norm_eps", 1e-6))

    def features(self, pixels, layers):
        x, stages = self.model.stem(pixels), []
        for stage in self.model.stages:
            x = stage(x)
            stages.append(x)
        return [stages[layer] for layer in layers]

    def public(self):
        return {f"visual.trunk.{k}": v for k, v in self.model.state_dict().items() if not k.startswith("head.")}

    def load(self, state):
        return load_trunk(self, state, ["head."])


def load_trunk(tower, state, unused):
    trunk = {k.removeprefix("visual.trunk."): v for k, v in state.items()}
    report = tower.model.load_state_dict(trunk, strict=False)
    missing = [k for k in report.missing_keys if not k.startswith(tuple(unused))]
    assert not missing and not report.unexpected_keys, (missing, report.unexpected_keys)
    return tower


def to_map(tokens):
    """[B, N, C] on a square grid, row-major, to [B, C, s, s]."""
    batch, n, channels = tokens.shape
    side = round(n ** 0.5)
    return tokens.transpose(1, 2).reshape(batch, channels, side, side)


def offset_positions(embeddings):
    """Puts the resampling of the original code and of transformers 4.37 into a model of transformers 5: by scale
    factor, with 0.1 added to the target size."""

    def interpolate(tokens, height, width):
        table = embeddings.position_embeddings
        patch = embeddings.config.patch_size
        h, w = height // patch, width // patch
        side = int((table.shape[1] - 1) ** 0.5)
        if (h, w) == (side, side):
            return table
        grid = table[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        grid = torch.nn.functional.interpolate(
            grid, scale_factor=((h + 0.1) / side, (w + 0.1) / side), mode="bicubic", align_corners=False)
        assert grid.shape[2:] == (h, w)
        return torch.cat([table[:, :1], grid.permute(0, 2, 3, 1).reshape(1, h * w, -1)], 1)

    embeddings.interpolate_pos_encoding = interpolate


ARCHITECTURES = {"clip-vit": Clip, "timm-vit": TimmVit, "dinov2": Dinov2, "convnext": ConvNext}
