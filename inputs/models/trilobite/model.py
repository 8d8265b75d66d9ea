"""Trilobite in torch: two small encoders, the aggregator, a small Llama. The modules are those of tests/reference/;
here they run over a whole batch at once."""

import pathlib
import sys

import torch
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))

import cambrian  # noqa: E402
import sva  # noqa: E402

# As in registry.toml.
cambrian.ENCODERS |= {
    "trilobite-eye-vit": ("clip-vit", [-1], (122, 116, 104), cambrian.CLIP, 96),
    "trilobite-eye-convnext": ("convnext", [1, 2, 3], (122, 116, 104), cambrian.CLIP, 128),
}
EYES = {
    "trilobite-eye-vit": dict(embed_dim=96, depth=3, num_heads=4, mlp_dim=192, patch_size=12, image_size=96),
    "trilobite-eye-convnext": dict(depths=[1, 1, 2, 1], dims=[16, 32, 56, 80], image_size=128),
}
cambrian.FIXED |= EYES
SIDE = 8
CONFIG = dict(
    model_type="cambrian_llama", architectures=["CambrianLlamaForCausalLM"], hidden_size=256, intermediate_size=256,
    num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=1, max_position_embeddings=512,
    rms_norm_eps=1e-5, rope_theta=10000.0, rope_scaling=None, hidden_act="silu", tie_word_embeddings=True,
    mm_projector_type="sva", mm_vision_tower_aux_list=list(EYES), mm_vision_tower_aux_token_len_list=[64, 256],
    image_token_len=64, num_query_group=1, query_num_list=[64], connector_depth=2, connector_only=False,
    num_of_vision_sampler_layers=2, start_of_vision_sampler_layers=0, stride_of_vision_sampler_layers=1,
    vision_hidden_size=64, image_aspect_ratio="pad", tokenizer_model_max_length=512, tokenizer_padding_side="right")


def all_heads(attention, h, kvs, masks):
    """What `sva.Attention` does head by head."""
    rows, heads, head = len(h), sva.HEADS, attention.head
    q = attention.q_proj(h).view(rows, 1, heads, head)
    k = torch.cat([getattr(attention, f"k_proj{n}")(kv) for n, kv in zip(attention.names, kvs)], 1)
    v = torch.cat([getattr(attention, f"v_proj{n}")(kv) for n, kv in zip(attention.names, kvs)], 1)
    scores = (q * k.view(rows, -1, heads, head)).sum(-1) / head ** 0.5
    weights = scores.masked_fill(~torch.cat(masks, 1)[..., None], float("-inf")).softmax(1)
    seen = (weights[..., None] * v.view(rows, -1, heads, head)).sum(1).flatten(1)
    return attention.o_proj(seen), weights.mean(-1)


def windows(grid, queries):
    """[B, s, s, C] to [B * q * q, m * m, C]."""
    batch, side, _, channels = grid.shape
    m = side // queries
    cut = grid.view(batch, queries, m, queries, m, channels).transpose(2, 3)
    return cut.reshape(batch * queries * queries, m * m, channels)


class Trilobite(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.config = CONFIG | dict(vocab_size=vocab)
        self.eyes = [cambrian.Eye(id, {}) for id in EYES]
        self.towers = nn.ModuleList([eye.tower for eye in self.eyes])
        self.connector, self.after = cambrian.connector(self.config, [96, 168])
        self.llm = cambrian.language_model(self.config)
        self.llm.config._attn_implementation = "eager"
        # What the encoders and the connector are taught with beside the questions: what stands in each cell, and,
        # for the connector, which cell it is.
        self.probes = nn.ModuleList([nn.Linear(96, 15), nn.Linear(56 + 80, 15), nn.Linear(256, 15 + 22)])

    def features(self, pixels):
        """Maps of both encoders, [B, C, s, s] each, and their tokens."""
        maps = [tower.features(x, eye.layers) for tower, eye, x in zip(self.towers, self.eyes, pixels)]
        tokens = []
        for stages, n in zip(maps, self.config["mm_vision_tower_aux_token_len_list"]):
            side = int(n ** 0.5)
            tokens.append(torch.cat([cambrian.resample(s, side) for s in stages], 1).flatten(2).transpose(1, 2))
        return maps, tokens

    def probed(self, maps, cells=None):
        """[B, 64, 15] of each encoder: a centre in the cell or not, its shape, colour, large or small. Of the image
        tokens `cells` [B, 64, 37]: also its row, its column, and the thirds of the picture that these are in."""
        conv = torch.cat([maps[1][1], cambrian.resample(maps[1][2], SIDE)], 1)
        grids = [maps[0][0], conv]
        seen = [grid.flatten(2).transpose(1, 2) for grid in grids] + ([] if cells is None else [cells])
        return [probe(x) for probe, x in zip(self.probes, seen)]

    def see(self, tokens, masks):
        """Image tokens [B, 64, H], and what the layers inside the language model need again."""
        connector = self.connector
        grids = []
        for k, (x, side) in enumerate(zip(tokens, connector.sides)):
            grids.append(getattr(connector, f"mm_projector_aux_{k}")(x).unflatten(1, (side, side)))
        context = grids[0].mean((1, 2)).repeat_interleave(SIDE * SIDE, 0)
        kvs = [windows(grid, SIDE) for grid in grids]
        query = connector.vision_query[0].expand(len(context), -1)
        seen, _ = connector.vision_sampler_0(query, context, kvs, masks)
        return connector.mm_projector(seen).unflatten(0, (-1, SIDE * SIDE)), (context, kvs, masks)

    def refiner(self, step, places, cells, memory):
        """After a layer: the states at `places` (rows, positions) look at the windows `cells` again."""
        context, kvs, masks = memory
        sampler = self.connector.vision_sampler_layers[step]
        context, kvs, masks = context[cells], [kv[cells] for kv in kvs], [mask[cells] for mask in masks]

        def hook(module, args, output):
            with torch.autocast("cpu", enabled=False):
                refined, _ = sampler(output[places].float(), context, kvs, masks)
            return output.index_put(places, refined.to(output.dtype))

        return hook

    def forward(self, batch, cells, memory):
        """Logits [B, T, V] of a batch of data.py and what was seen of it."""
        states = self.llm.get_input_embeddings()(batch["ids"].clamp_min(0))
        states = states.index_put(batch["places"], cells.flatten(0, 1)[batch["cells"]].to(states.dtype))
        states = states.index_put(batch["newlines"], self.connector.image_newline)
        hooks = [self.llm.model.layers[layer].register_forward_hook(
            self.refiner(step, batch["places"], batch["cells"], memory)) for step, layer in enumerate(self.after)]
        try:
            # Products in bfloat16 while training: twice as fast where the processor has them.
            with torch.autocast("cpu", torch.bfloat16, enabled=self.training):
                return self.llm(inputs_embeds=states, attention_mask=batch["attention"],
                                position_ids=batch["positions"], use_cache=False).logits.float()
        finally:
            for hook in hooks:
                hook.remove()
