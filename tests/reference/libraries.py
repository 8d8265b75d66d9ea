"""What golden scripts ask of transformers and timm: keys as they are published, and the features of a block."""

import tempfile


def saved(model):
    """The weights of a transformers model in the published key layout, which transformers 5 only writes on saving."""
    from safetensors.torch import load_file

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(f"{folder}/model.safetensors")


def published(model):
    """Keys and shapes as `saved` would give them, without data."""
    from transformers.core_model_loading import revert_weight_conversion

    return revert_weight_conversion(model, model.state_dict())


def prefixed(state, prefix):
    """The public key layout of a part of a model, whose name transformers 5 drops in memory."""
    return {k if k.startswith(prefix) else f"{prefix}{k}": v for k, v in state.items() if not k.endswith("position_ids")}


def whole_patches(model, pixels):
    """Without the rows and columns beyond the last whole patch, which some of timm's models insist on."""
    rows, columns = model.patch_embed.patch_size
    return pixels[:, :, : pixels.shape[2] // rows * rows, : pixels.shape[3] // columns * columns]


def features(model, pixels, index, norm):
    """(patch tokens, prefix tokens or None) after a block of a timm model."""
    out = model.forward_intermediates(pixels, indices=[index], return_prefix_tokens=model.num_prefix_tokens > 0, norm=norm,
                                      output_fmt="NLC", intermediates_only=True)[0]
    return out if isinstance(out, tuple) else (out, None)


def three_layers(model, norm=True):
    """For `common.write_encoder_case`: what a timm model of three blocks gives after each, the last with its prefix tokens
    and, if asked for, the norm."""

    def expect(pixels):
        seen = whole_patches(model, pixels)
        tokens, prefix = features(model, seen, 2, norm)
        first = [(tokens, -1, norm), *([(prefix, -1, norm, True)] if prefix is not None else [])]
        return [*first, (features(model, seen, 1, False)[0], -2, False), (features(model, seen, 0, False)[0], 0, False)]

    return expect
