"""Beam search of transformers on the Llama plugin's tiny model (plugins/llama/golden/llama.safetensors).

    python make_beams.py        # versions: tests/reference/requirements.txt
"""

import json
import pathlib

import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).resolve().parent
PLUGIN = HERE.parent.parent / "plugins/llama/golden"


def model():
    arch = json.loads((PLUGIN / "llama.json").read_text())["arch"]
    theta = arch.pop("rope_theta")
    config = LlamaConfig(**arch, rope_parameters=dict(rope_type="default", rope_theta=theta), pad_token_id=0,
                         bos_token_id=None, eos_token_id=None, attn_implementation="eager")
    model = LlamaForCausalLM(config).eval()
    stored = load_file(PLUGIN / "llama.safetensors")
    model.load_state_dict({key: stored[key].float() for key in model.state_dict()})
    return model


@torch.no_grad()
def main():
    llama, cases = model(), []
    for prompt in ([5, 17, 80], [1, 2, 3, 4, 5, 6], [96]):
        for count, length_penalty, early, eos, most, penalty in [
                (2, 1.0, False, [7, 30], 8, 1.0), (4, 1.0, False, list(range(0, 97, 9)), 12, 1.0),
                (4, 0.0, False, list(range(0, 97, 9)), 12, 1.0), (4, 2.0, False, list(range(0, 97, 9)), 12, 1.0),
                (4, -1.0, False, list(range(0, 97, 9)), 12, 1.0), (3, 1.0, True, list(range(0, 97, 5)), 12, 1.0),
                (5, 0.6, False, [3], 10, 1.3), (3, 1.0, False, [50, 51, 52], 58, 1.0)]:
            # From embeddings, as multimodal prompts are: the history of the repetition penalty is the answer alone.
            out = llama.generate(
                inputs_embeds=llama.get_input_embeddings()(torch.tensor([prompt])), num_beams=count, num_return_sequences=count, do_sample=False,
                length_penalty=length_penalty, early_stopping=early, eos_token_id=eos, pad_token_id=96,
                max_new_tokens=most, repetition_penalty=penalty, return_dict_in_generate=True, output_scores=True)
            answers = []
            for row, score in zip(out.sequences, out.sequences_scores):
                ids = row.tolist()
                ends = [i for i, token in enumerate(ids) if token in eos]
                answers.append({"ids": ids[:ends[0] + 1] if ends else ids, "score": score.item()})
            cases.append({"prompt": prompt, "count": count, "length_penalty": length_penalty, "early_stopping": early,
                          "stop_ids": eos, "max_new_tokens": most,
                          "repetition_penalty": penalty, "answers": answers})
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "beams.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
