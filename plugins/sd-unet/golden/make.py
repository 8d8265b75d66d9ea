"""Golden files of the diffusion plugin: diffusers and transformers, small. See tests/reference/common.py."""

import json
import pathlib
import sys

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))
import common  # noqa: E402
from libraries import prefixed  # noqa: E402

ARCH = dict(unet_channels=[8, 12, 16, 20], unet_heads=[2, 3, 4, 4], context_dim=12, vae_channels=[8, 8, 12, 12],
            text_depth=2, text_heads=3, text_mlp_dim=24, text_vocab=20, norm_groups=4, image_size=64)
FULL = dict(unet_channels=[320, 640, 1280, 1280], unet_heads=[5, 10, 20, 20], context_dim=1024,
            vae_channels=[128, 256, 512, 512], text_depth=23, text_heads=16, text_mlp_dim=4096, image_size=512)
SCALE = 0.18215


def networks(arch):
    """The three networks of a pipeline."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    groups, vocab = arch.get("norm_groups", 32), arch.get("text_vocab", 49408)
    unet = UNet2DConditionModel(
        sample_size=arch["image_size"] // 8, block_out_channels=tuple(arch["unet_channels"]),
        attention_head_dim=tuple(arch["unet_heads"]), cross_attention_dim=arch["context_dim"],
        use_linear_projection=True, upcast_attention=True, norm_num_groups=groups)
    vae = AutoencoderKL(
        block_out_channels=tuple(arch["vae_channels"]), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, latent_channels=4, norm_num_groups=groups)
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=vocab, hidden_size=arch["context_dim"], intermediate_size=arch["text_mlp_dim"],
        num_hidden_layers=arch["text_depth"], num_attention_heads=arch["text_heads"], max_position_embeddings=77,
        hidden_act="gelu", layer_norm_eps=1e-5, attn_implementation="eager", bos_token_id=vocab - 2,
        eos_token_id=vocab - 1, pad_token_id=0))
    return unet, vae, text


class Pipeline(torch.nn.Module):
    """What Cambrian-1 does with the networks, up to the maps of the up blocks."""

    def __init__(self, arch, seed):
        super().__init__()
        self.unet, self.vae, self.text = (common.randomise(net, seed + i) for i, net in enumerate(networks(arch)))
        g = common.generator(seed + 10)
        with torch.no_grad():
            for p in [self.text.get_parameter(name) for name, _ in self.text.named_parameters() if "embedding" in name]:
                p.copy_(torch.randn(p.shape, generator=g))
            for name, p in self.named_parameters():
                # Scales of latents that the schedule was made for.
                if name.startswith("vae.quant_conv.weight"):
                    p.mul_(3)
        vocab = arch["text_vocab"]
        self.ids = torch.tensor([[vocab - 2, vocab - 1] + [0] * 75])

    def context(self):
        return self.text(self.ids).last_hidden_state

    def forward(self, pixels, noise, step):
        from diffusers import DDIMScheduler

        latents = self.vae.encode(pixels).latent_dist.mode() * SCALE
        scheduler = DDIMScheduler(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012,
                                  beta_schedule="scaled_linear")
        at = torch.full((len(pixels),), step)
        noisy = scheduler.add_noise(latents, noise.to(latents.dtype), at)
        maps = []
        hooks = [block.register_forward_hook(lambda _, __, out: maps.append(out)) for block in self.unet.up_blocks]
        self.unet(noisy, at, encoder_hidden_states=self.context().expand(len(pixels), -1, -1))
        for hook in hooks:
            hook.remove()
        return [m.flatten(2).transpose(1, 2) for m in maps]


def save(folder, pipeline, old=False):
    """A folder as diffusers writes it; `old`: with the names that VAEs had."""
    from safetensors.torch import save_file

    vae = pipeline.vae.state_dict()
    if old:
        names = [("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")]
        for new, name in names:
            vae = {k.replace(f"attentions.0.{new}", f"attentions.0.{name}"): v for k, v in vae.items()}
    # The decoder is there and is not read.
    vae = {k: v for k, v in vae.items() if not k.startswith("decoder.") or k == "decoder.conv_in.bias"}
    for name, file, state in [
        ("unet", "diffusion_pytorch_model", pipeline.unet.state_dict()),
        ("vae", "diffusion_pytorch_model", vae),
        ("text_encoder", "model", prefixed(pipeline.text.state_dict(), "text_model.")),
    ]:
        (folder / name).mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous().clone() for k, v in state.items()}, folder / name / f"{file}.safetensors")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}) + "\n")
    return folder.name


@torch.no_grad()
def cases():
    def write(case, model, weights, size, seed, step, layers, noise=None, layout=None):
        pixels = common.pixels(*size, seed) * 0.5
        noise = torch.randn(size[0], 4, size[1] // 8, size[2] // 8, generator=common.generator(seed + 1))

        def expect(pixels):
            maps = model(pixels, noise, step)
            return [(maps[layer], layer, False) for layer in layers]

        common.write_encoder_case(
            HERE, case, encoder="sd", architecture="sd-unet", arch=ARCH, weights=weights, model=model, pixels=pixels,
            expect=expect, reference="diffusers UNet2DConditionModel, AutoencoderKL", layout=layout,
            options={"step": step} if step != 250 else None, option_tensors={"noise": noise})

    model = Pipeline(ARCH, 1)
    weights = save(HERE / "pipeline", model)
    write("sd", model, weights, (2, 64, 128), 20, 250, [0, 1, 2, 3])
    write("sd-early", model, weights, (1, 64, 64), 30, 17, [3, 1])
    model = Pipeline(ARCH, 40)
    write("sd-old", model, save(HERE / "pipeline-old", model, old=True), (1, 64, 64), 50, 250, [3, 0])
    # Without the text encoder, beside what it would make.
    state = {f"unet.{k}": v for k, v in model.unet.state_dict().items() if not k.startswith(("conv_out", "conv_norm"))}
    state |= {f"vae.{k}": v for k, v in model.vae.state_dict().items()
              if k.startswith(("encoder.", "quant_conv."))}
    state["empty_prompt_embeds"] = model.context()
    write("sd-embeds", model, common.write_weights(HERE, "embeds", state), (1, 128, 64), 60, 999, [2])


def manifests():
    with torch.device("meta"):
        unet, vae, text = networks(FULL)
    state = {f"unet/{k}": v for k, v in unet.state_dict().items()}
    state |= {f"vae/{k}": v for k, v in vae.state_dict().items()}
    state |= {f"text_encoder/{k}": v for k, v in prefixed(text.state_dict(), "text_model.").items()}
    common.write_manifest(
        HERE, "sd-2.1", state, architecture="sd-unet", arch=FULL, layout="diffusers",
        reference="diffusers UNet2DConditionModel, AutoencoderKL, transformers CLIPTextModel",
        unused=["vae/decoder.*", "vae/post_quant_conv.*", "unet/conv_norm_out.*", "unet/conv_out.*"], pixels=512)


if __name__ == "__main__":
    cases()
    manifests()
