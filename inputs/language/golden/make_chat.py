"""Conversations written by chat templates, as `apply_chat_template` of transformers writes them.

The templates are our own, in the forms that model makers publish: Llama 3 (begin-of-text, trimmed messages), Qwen2
(ChatML with newlines and a default system text), Gemma (no system text, `model` for the assistant, alternation
enforced), Mistral (system text inside the first instruction, end-of-text after answers), Phi-3 (a loop without `else`).

    python make_chat.py        # versions: tests/reference/requirements.txt
"""

import json
import pathlib

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).resolve().parent / "chat"

TEMPLATES = {
    "llama-3": ("<|begin_of_text|>", "<|eot_id|>", """\
{%- set loop_messages = messages -%}
{%- for message in loop_messages -%}
    {%- set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' -%}
    {%- if loop.index0 == 0 -%}
        {%- set content = bos_token + content -%}
    {%- endif -%}
    {{- content -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
{%- endif -%}
"""),
    "qwen2": (None, "<|im_end|>", """\
{% for message in messages %}
{% if loop.first and messages[0]['role'] != 'system' %}
{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}
{%- endif %}
{%- if tools is not none and tools is defined %}{{ tools | tojson }}{% endif %}
{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}
{%- endfor %}
{% if add_generation_prompt %}
{{ '<|im_start|>assistant\n' }}
{%- endif %}
"""),
    "gemma": ("<bos>", "<eos>", """\
{{ bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {{- raise_exception('System role not supported') }}
{%- endif %}
{%- for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {%- endif %}
    {%- if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}
    {{- '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}
"""),
    "mistral": ("<s>", "</s>", """\
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('After the optional system message, roles must alternate.') }}
    {%- endif %}
    {%- if message.role == 'user' %}
        {%- if loop.first and system_message is defined %}
            {{- ' [INST] ' + system_message.strip() + '\n\n' + message.content + ' [/INST]' }}
        {%- else %}
            {{- ' [INST] ' + message.content + ' [/INST]' }}
        {%- endif %}
    {%- elif message.role == 'assistant' %}
        {{- ' ' + message.content + eos_token }}
    {%- else %}
        {{- raise_exception('Only user and assistant roles are supported, got ' ~ message.role ~ '.') }}
    {%- endif %}
{%- endfor %}
"""),
    "phi-3": ("<s>", "<|endoftext|>", """\
{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] == 'user' %}{{'<|user|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>
' + message['content'] + '<|end|>
'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>
' }}{% else %}{{ eos_token }}{% endif %}"""),
    "as-list": ("<s>", "</s>", [
        {"name": "tool_use", "template": "{{ raise_exception('not this one') }}"},
        {"name": "default", "template": "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
         "{{ ns.n }}:{{ m.role.upper()[:1] }} {{ m.content.replace('?', '!').split('\n')[-1] }}\n"
         "{% if m.role == 'assistant' %}{% continue %}{% endif %}{% endfor %}"}]),
}
# The mark that ends an answer and is trained with it.
ENDS = {"llama-3": "<|eot_id|>", "qwen2": "<|im_end|>", "gemma": "<end_of_turn>", "mistral": "</s>", "phi-3": "<|end|>"}
TRIMS = {"llama-3", "gemma"}

TURNS = [("<image>\nWhat is unusual here?", "A man irons clothes."), ("Why? 犬 <b>&", " Nobody knows.\nReally. "), ("Sure?", "Yes")]


def trained(name, text, answers):
    """What is trained of `text`: the answers, in order, each with its end mark."""
    if name not in ENDS:
        return []
    out, at = [], 0
    for answer in answers:
        span = (answer.strip() if name in TRIMS else answer) + ENDS[name]
        at = text.index(span, at) + len(span)
        out.append(span)
    return out


if __name__ == "__main__":
    cases = []
    for name, (bos, eos, template) in TEMPLATES.items():
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token=bos, eos_token=eos)
        named = template if isinstance(template, str) else {t["name"]: t["template"] for t in template}
        tokenizer.chat_template = named
        folder = HERE / name
        folder.mkdir(parents=True, exist_ok=True)
        config = {"bos_token": bos, "eos_token": {"__type": "AddedToken", "content": eos}, "chat_template": template,
                  "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1e30}
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n")
        for system in (None, "Be brief."):
            for count in (1, 2, 3):
                for answered in (False, True):
                    turns = [list(turn) for turn in TURNS[:count]]
                    if not answered:
                        turns[-1][1] = None
                    messages = [{"role": "system", "content": system}] if system else []
                    for q, a in turns:
                        messages.append({"role": "user", "content": q})
                        if a is not None:
                            messages.append({"role": "assistant", "content": a})
                    case = {"folder": name, "system": system, "turns": turns}
                    try:
                        case["text"] = tokenizer.apply_chat_template(
                            messages, tokenize=False, add_generation_prompt=not answered)
                        case["trained"] = trained(name, case["text"], [a for _, a in turns if a is not None])
                    except Exception as error:
                        case["error"] = str(error)
                    cases.append(case)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / "cases.json").write_text(f"[\n{lines}\n]\n")
