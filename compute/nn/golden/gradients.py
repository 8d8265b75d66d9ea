"""Golden file of gradients: a small ViT and a small ConvNeXt of timm, a small Llama of transformers, in f64."""

import pathlib

import torch
from safetensors.torch import save_file
from timm.models.convnext import ConvNeXt
from timm.models.vision_transformer import VisionTransformer
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
# Two sequences that stand one behind the other in Zoo's row.
LENGTHS = [11, 19]


def randomise(module, seed):
    """No parameter neutral, and each a number that f32 holds."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        fan = parameter[0].numel() if parameter.dim() > 1 else 4
        centre = 1.0 if parameter.dim() == 1 and name.endswith("weight") else 0.0
        parameter.data = (centre + noise / fan**0.5).float()
    return module.double()


def encoder(name, module, side, features, tensors, seed):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(2, 3, side, side, generator=generator)
    tensors |= {f"{name}.weight.{key}": value.detach().float() for key, value in module.named_parameters()}
    inputs = pixels.double().requires_grad_()
    out = features(module, inputs)
    cotangent = torch.randn(out.shape, generator=generator)
    (out * cotangent.double()).sum().backward()
    tensors |= {f"{name}.pixels": pixels, f"{name}.cotangent": cotangent, f"{name}.gradient.pixels": inputs.grad.float()}
    for key, value in module.named_parameters():
        # What comes after the features has none.
        if value.grad is not None:
            tensors[f"{name}.gradient.{key}"] = value.grad.float()


def llama(tensors):
    config = LlamaConfig(hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, vocab_size=50, max_position_embeddings=64, rms_norm_eps=1e-5,
                         rope_theta=10000.0, tie_word_embeddings=False)
    model = randomise(LlamaForCausalLM(config), 3)
    generator = torch.Generator().manual_seed(4)
    ids = [torch.randint(0, 50, (length,), generator=generator) for length in LENGTHS]
    logits = [model(input_ids=part[None]).logits[0, :-1] for part in ids]
    targets = [part[1:] for part in ids]
    loss = torch.nn.functional.cross_entropy(torch.cat(logits), torch.cat(targets))
    loss.backward()
    tensors |= {"llama.ids": torch.cat(ids).to(torch.int64), "llama.loss": loss.detach().float()[None]}
    for key, value in model.named_parameters():
        tensors |= {f"llama.weight.{key}": value.detach().float(), f"llama.gradient.{key}": value.grad.float()}


def main():
    tensors = {}
    vit = VisionTransformer(img_size=20, patch_size=4, embed_dim=24, depth=2, num_heads=3, mlp_ratio=2, num_classes=0,
                            init_values=1.0, global_pool="")
    encoder("vit", randomise(vit, 1), 20, lambda m, x: m.forward_features(x)[:, 1:], tensors, 5)
    convnext = ConvNeXt(depths=(1, 1, 1, 1), dims=(8, 12, 12, 20), num_classes=0)
    encoder("convnext", randomise(convnext, 2), 64, lambda m, x: m.stages(m.stem(x)).flatten(2).mT, tensors, 6)
    llama(tensors)
    save_file({key: value.contiguous() for key, value in tensors.items()}, HERE / "gradients.safetensors")


if __name__ == "__main__":
    main()
