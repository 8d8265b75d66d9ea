"""Golden files of the Spatial Vision Aggregator. Its reference is tests/reference/sva.py.

    python plugins/sva/golden/make.py
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tests" / "reference"))

import common  # noqa: E402
import torch  # noqa: E402
from sva import Sva, kept  # noqa: E402

BASE = {
    "vision_hidden_size": 32,
    "inputs": [12, 20, 16, 40],
    "token_lens": [16, 16, 16, 256],
    "output": 24,
    "image_token_len": 16,
    "query_num_list": [16],
    "connector_depth": 2,
}
IN_LLM = {
    "connector_only": False,
    "num_of_vision_sampler_layers": 2,
    "start_of_vision_sampler_layers": 0,
    "stride_of_vision_sampler_layers": 3,
}
# Landscape, portrait, square, and so thin that every row of the grid is padding.
SIZES = [(640, 400), (333, 500), (336, 336), (1000, 10)]

CASES = {
    "joint": (BASE | IN_LLM, SIZES, ""),
    "separate": (BASE | {"layer_type": "sep"}, SIZES, "model."),
    # Two groups, one of them coarser than the final grid, which is finer than either, and nothing after the rows.
    "groups": (BASE | {"inputs": [12, 40], "token_lens": [64, 256], "query_num_list": [16, 64],
                       "image_token_len": 36, "newline": False}, SIZES[:2], ""),
    # Odd grids and one encoder.
    "single": (BASE | {"inputs": [12], "token_lens": [225], "query_num_list": [25], "image_token_len": 25,
                       "layer_type": "sep", "connector_depth": 1}, [(1024, 300)], "model."),
    "fine": (BASE | IN_LLM | {"inputs": [12, 10], "token_lens": [36, 324], "query_num_list": [36],
                              "image_token_len": 36, "connector_depth": 1,
                              "num_of_vision_sampler_layers": 1}, [(500, 410), (77, 640)], ""),
    "leaning": (BASE | {"inputs": [12, 10], "token_lens": [64, 64], "query_num_list": [16], "connector_depth": 1},
                [(640, 400)], ""),
}


@torch.no_grad()
def main():
    for seed, (case, (arch, sizes, prefix)) in enumerate(CASES.items()):
        sva = common.randomise(Sva(arch), seed)
        if case == "leaning":
            projectors = [sva.mm_projector, *(getattr(sva, f"mm_projector_aux_{k}") for k in range(2))]
            common.lean([(p[0], p[2]) for p in projectors], seed)
        g = common.generator(100 + seed)
        features = [torch.randn(len(sizes), n, c, generator=g)
                    for n, c in zip(arch["token_lens"], arch["inputs"])]
        cells = [[len(lines) for lines in kept(sva.side, size)] for size in sizes]
        steps = 0 if arch.get("connector_only", True) else arch["num_of_vision_sampler_layers"]
        hidden = {f"hidden.{row}": torch.randn(h * w, arch["output"], generator=g)
                  for row, (h, w) in enumerate(cells) if steps}

        def expect(features, hidden):
            tokens, shares = sva(features, sizes)
            rows = [{"tensor": "tokens", "what": "tokens", "value": tokens}]
            for k, share in enumerate(shares):
                rows.append({"tensor": f"attention.{k}", "what": "attention", "index": k, "value": share})
            for row, size in enumerate(sizes):
                rows.append({"tensor": f"block.{row}", "what": "block", "row": row,
                             "value": sva.block(tokens[row], size)})
                for step in range(steps):
                    name = f"hidden.{row}"
                    rows.append({"tensor": f"refine.{step}.{row}", "what": "refine", "step": step, "row": row,
                                 "hidden": name, "value": sva.refine(step, hidden[name], features, row, size)})
            return rows

        state = {prefix + key: value for key, value in sva.state_dict().items()}
        if prefix:
            # A whole language model around it.
            state |= {"model.embed_tokens.weight": torch.zeros(2, 2), "model.layers.0.x.weight": torch.zeros(2),
                      "model.norm.weight": torch.zeros(2), "lm_head.weight": torch.zeros(2, 2)}
        common.write_connector_case(
            HERE, case, connector=f"sva-{case}", architecture="sva", arch=arch,
            weights=common.write_weights(HERE, case, state), model=sva, features=features, image_sizes=sizes,
            expect=expect, extra=hidden, reference="plain torch")


if __name__ == "__main__":
    main()
