"""Conversations written by chat templates, as `apply_chat_template` of transformers writes them.

The templates are our own, in the forms that model makers publish: Llama 3 (begin-of-text, trimmed messages), Qwen2
(ChatML with newlines and a default system text), Gemma (no system text, `model` for the assistant, alternation
enforced), Mistral (system text inside the first instruction, end-of-text after answers), Phi-3 (a loop without `else`).
Three want `content` as a list of parts, or take one: LLaVA (images first, `generation` around answers), Qwen2-VL (text
or parts, a token of its own for images) and SmolVLM (looks at the first part). `python` uses what Jinja2 takes from
Python. `files.json` says which file of a folder transformers takes the template from.

    python make_chat.py        # versions: tests/reference/requirements.txt
"""

import json
import pathlib
import tempfile

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.processing_utils import ProcessorMixin

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
    "llava": ("<s>", "</s>", """\
{% for message in messages %}
{%- if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}
{%- for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}
{%- for part in message['content'] | selectattr('type', 'equalto', 'text') %}
    {%- if message['role'] == 'assistant' %}
        {%- generation %}{{ part['text'] + '</s>' }}{% endgeneration %}
    {%- else %}
        {{- part['text'] + ' ' }}
    {%- endif %}
{%- endfor %}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"""),
    "qwen2-vl": (None, "<|im_end|>", [{"name": "default", "template": """\
{%- set seen = namespace(images=0) -%}
{%- for message in messages %}
    {%- if loop.first and message['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}
    {{- '<|im_start|>' ~ message['role'] ~ '\n' }}
    {%- if message['content'] is string %}{{ message['content'] }}
    {%- else %}
        {%- for part in message['content'] %}
            {%- if part['type'] == 'image' or 'image' in part %}
                {%- set seen.images = seen.images + 1 %}
                {%- if add_vision_id %}Picture {{ seen.images }}: {% endif %}
                {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
            {%- elif 'text' in part %}{{ part['text'] }}{% endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""}]),
    "smolvlm": ("<|im_start|>", "<end_of_utterance>", """\
<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\r
{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""),
    "python": ("<s>", "</s>", """\
{%- set facts = {'zebra': [1, 2.5, 1e-7, none, true, 'é"'], 'ape': {}, 'b': [], 7: 'x'} -%}
{{- bos_token + '%s of %03d, %.2f%%' % ('one', messages | length, 12.345) }} {{ 7 * 5 % 3 + -7 % 3 }} {{ '%(b)s-%(a)s' % {'a': 'x', 'b': 2} }}
{{ facts | tojson }}|{{ facts | tojson(indent=2) }}|{{ facts | tojson(true, none, [',', ':']) }}|{{ messages[0].keys() | list | tojson }}
{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ {'b': 1, 'a': 2} }} {{ ['x', none, true, 1.0] }} {{ none ~ true }}
{{ 'a=b=c'.partition('=')[2] }} {{ 'a=b=c'.rpartition('=')[0] }} {{ 'abc'.partition('-') }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }}
{{ ' a b  c '.rsplit(none, 1) }} {{ 'a,b,c'.rsplit(',', 1)[0] }} {{ 'abc'.index('c') }} {{ 'x'.center(4, '*') }}{{ 'ab'.center(5, '*') }} {{ '-7'.zfill(4) }} {{ 'x'.ljust(3) }}| {{ 'aB'.swapcase() }}
{{ 'text' is sequence }} {{ {} is sequence }} {{ 'text' is iterable }} {{ 3 is sequence }} {{ messages is sequence }} {{ 'ab'[::-1] }} {{ [1, 2, 3][::-1] }}
{% for message in messages %}
{% generation %}{% set inside = 'kept inside' %}{{ message.role }}: {{ message.content }}{{ eos_token if message.role == 'assistant' }}{% endgeneration %}{{ inside }}
{% if loop.index0 % 2 == 0 %}even{% else %}odd{% endif %}{{ '%d%s' % (loop.index, '!') ~ '\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"""),
}
# How an image stands in the prompt where `content` is a list of parts.
IMAGES = {"llava": "<image>", "qwen2-vl": "<|image_pad|>", "smolvlm": "<image>"}
# Where a template stands, if not in tokenizer_config.json.
FILES = {"llava": "chat_template.json", "smolvlm": "chat_template.jinja"}
# The mark that ends an answer and is trained with it.
ENDS = {"llama-3": "<|eot_id|>", "qwen2": "<|im_end|>", "gemma": "<end_of_turn>", "mistral": "</s>", "phi-3": "<|end|>",
        "llava": "</s>", "qwen2-vl": "<|im_end|>", "smolvlm": "<end_of_utterance>", "python": "</s>"}
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


def content(name, text):
    """What a message holds: text, or parts."""
    if name not in IMAGES:
        return text
    image, rest = [], text
    if text.startswith("<image>\n"):
        image, rest = [{"type": "image"}], text.removeprefix("<image>\n")
    return image + [{"type": "text", "text": rest}]


# Folders by what they hold; every template says where it stands.
LAYOUTS = [
    ["tokenizer_config.json"],
    ["tokenizer_config.json", "chat_template.jinja"],
    ["tokenizer_config.json", "chat_template.json"],
    ["chat_template.jinja", "chat_template.json"],
    ["chat_template.json", "processor_config.json"],
    ["tokenizer_config.json", "chat_template.jinja", "processor_config.json"],
    ["chat_template.jinja", "additional_chat_templates/tool_use.jinja"],
    ["tokenizer_config.json", "additional_chat_templates/default.jinja", "additional_chat_templates/rag.jinja"],
    ["tokenizer_config.json", "additional_chat_templates/rag.jinja"],
    [],
]


def taken(files):
    """The name of the file whose template transformers takes; none where it finds no default."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
        bare.save_pretrained(folder)
        (folder / "processor_config.json").write_text("{}")
        for name in files:
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            if name.endswith(".jinja"):
                path.write_text(name)
            else:
                config = json.loads(path.read_text()) if path.exists() else {}
                path.write_text(json.dumps({**config, "chat_template": name}))
        processor, _ = ProcessorMixin.get_processor_dict(folder)
        template = processor.get("chat_template") or PreTrainedTokenizerFast.from_pretrained(folder).chat_template
        return template.get("default") if isinstance(template, dict) else template


if __name__ == "__main__":
    (HERE / "files.json").write_text(json.dumps([{"files": f, "taken": taken(f)} for f in LAYOUTS], indent=1) + "\n")
    cases = []
    for name, (bos, eos, template) in TEMPLATES.items():
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token=bos, eos_token=eos)
        named = template if isinstance(template, str) else {t["name"]: t["template"] for t in template}
        tokenizer.chat_template = named
        folder = HERE / name
        folder.mkdir(parents=True, exist_ok=True)
        config = {"bos_token": bos, "eos_token": {"__type": "AddedToken", "content": eos}, "chat_template": template,
                  "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1e30}
        if name in FILES:
            del config["chat_template"]
            text = template if FILES[name].endswith(".jinja") else json.dumps({"chat_template": template}, indent=1) + "\n"
            (folder / FILES[name]).write_text(text, newline="")
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n")
        for system in (None, "Be brief."):
            for count in (1, 2, 3):
                for answered in (False, True):
                    turns = [list(turn) for turn in TURNS[:count]]
                    if not answered:
                        turns[-1][1] = None
                    messages = [{"role": "system", "content": content(name, system)}] if system else []
                    for q, a in turns:
                        messages.append({"role": "user", "content": content(name, q)})
                        if a is not None:
                            messages.append({"role": "assistant", "content": content(name, a)})
                    case = {"folder": name, "system": system, "turns": turns}
                    if name in IMAGES:
                        case["image"] = IMAGES[name]
                    try:
                        case["text"] = tokenizer.apply_chat_template(
                            messages, tokenize=False, add_generation_prompt=not answered)
                        case["trained"] = trained(name, case["text"], [a for _, a in turns if a is not None])
                    except Exception as error:
                        case["error"] = str(error)
                    cases.append(case)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / "cases.json").write_text(f"[\n{lines}\n]\n")
