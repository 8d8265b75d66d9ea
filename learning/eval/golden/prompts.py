"""Prompts of the reference's own code, for tests/prompts.rs.

    python prompts.py CAMBRIAN

with a checkout of cambrian-mllm/cambrian. Its `process` functions run on rows in the public schema up to the template,
which records what it is given. Writes prompts.json: per task the rows and the questions.
"""

import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
sys.argv, (scripts,) = sys.argv[:1], [Path(sys.argv[1]).resolve() / "eval" / "eval"]
sys.path.insert(0, str(HERE))
sys.modules["make_dummies"] = dummies = importlib.util.module_from_spec(importlib.util.spec_from_loader("make_dummies", None))
source = (HERE / "make.py").read_text()
# The dummies of make.py, without what it does with them.
exec(source[source.index("import contextlib"):source.index("# Their packages")].replace("cambrian, lmms, vlm = (Path(p).resolve() for p in sys.argv[1:4])", ""), dummies.__dict__ | {"__file__": str(HERE / "make.py")})

import torch.utils.data  # a dummy

torch.utils.data.Dataset = object
os.chdir(tempfile.mkdtemp())
said = []


class Template:
    """Records the first message."""

    roles = ("user", "assistant")

    def copy(self):
        return self

    def append_message(self, role, text):
        if text is not None:
            said.append(text)

    def get_prompt(self):
        return said[-1]


class Any:
    """A picture, a tensor, whatever: every method gives itself."""

    size = (1, 1)

    def __getattr__(self, name):
        return lambda *args, **kwargs: self

    def __getitem__(self, index):
        return self

    def __str__(self):
        return "1"


def script(name):
    path = scripts / name / f"{name}_eval.py"
    spec = importlib.util.spec_from_file_location(f"prompt_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.conv_templates = {"t": Template()}
    module.DEFAULT_IMAGE_TOKEN = "<image>"
    module.tokenizer_image_token = module.process_images = lambda *a, **k: Any()
    module.hash_image = lambda image: ""
    module.Image = SimpleNamespace(open=lambda path: Any())
    module.hf_hub_download = lambda **k: "x"
    suffix = None
    for line in path.read_text().splitlines():
        line = line.strip()
        if line.startswith("parser.add_argument(\"--question_extension\""):
            suffix = eval(line.split("default=", 1)[1][:-1])
    return module, suffix


def ask(name, rows):
    """What the reference asks about each row."""
    module, suffix = script(name)
    args = SimpleNamespace(question_extension=suffix, conv_mode="t", images_path="")
    config = SimpleNamespace(mm_use_im_start_end=False)
    questions = []
    for row in rows:
        said.clear()
        line = {**row, **{key: Any() for key in ["image", "image_1", "decoded_image"] if row.get(key) == IMG or row.get(key) == [IMG]}}
        if "process" in vars(module):
            more = []
            if name in ["gqa", "mmvp"]:
                more = [{row.get("imageId"): Any()}]
            if name == "qbench":
                more = [{row["img_path"]: "x"}]
            module.process(line, args, Any(), Any(), config, *more)
        else:
            module.args = args
            module.CustomDataset(args, [line], Any(), Any(), config)[0]
        text = said[-1]
        assert text.startswith("<image>\n"), (name, text)
        questions.append(text[len("<image>\n"):])
    return questions


IMG = "x.png"
out = {}


def task(name, script_name, rows, theirs=None):
    """`theirs` are the rows as the script wants them, where it reads the files itself."""
    out[name] = [{"row": row, "prompt": prompt} for row, prompt in zip(rows, ask(script_name, theirs or rows))]


choices = ["a cat", "the dog's bed", "3"]
cv = lambda **more: {"idx": 1, "type": "2D", "task": "Count", "image": IMG, "question": "How many?", "choices": choices, "answer": "(B)",
                     "prompt": "How many organs are in the image? Select from the following choices. \n(A) 3\n(B) 2", "source": "COCO",
                     "source_dataset": "COCO 2017 Validation Set", "filename": "img/2D/count/coco_1.png", **more}
task("cv-bench", "ade", [cv(), cv(prompt="Which object is closer?\n(A) a\n(B) b\n(C) c", type="3D")])
dump = lambda **more: {"prompt": "How many?\n(A) 1\n(B) 2", "choices": ["1", "2"], "answer": "(A)", "sub_task": "Count", "img_name": "a.png", "image": IMG, **more}
task("ade", "ade", [dump()])
task("coco", "coco", [dump()])
task("omni", "omni", [{**dump(), "image_name": "a.png"}])
task("gqa", "gqa", [{"question": "Is it overcast?", "imageId": "n1", "answer": "no", "fullAnswer": "No.", "types": {"detailed": "x"}}])
ten = ["cat"] * 10
task("vizwiz", "vizwiz", [{"question": "What's this? ", "image": IMG, "answers": ten, "question_id": "VizWiz_val_00000000"}])
sqa = lambda **more: {"hint": "", "question": "Which one?", "choices": choices, "answer": 1, "image": IMG, "grade": "grade3", **more}
task("scienceqa-i", "scienceqa", [sqa(), sqa(hint="Look at the\npicture."), sqa(choices=["1", "2"])])
tv = lambda **more: {"question": "what does it say?", "ocr_tokens": ["STOP", "now", "a, b"], "answers": ten, "image": IMG, "question_id": 3, **more}
task("textvqa", "textvqa", [tv(), tv(ocr_tokens=[]), tv(ocr_tokens=["one"])])
task("pope", "pope", [{"question": "Is there a cat in the image?", "answer": "yes", "category": "adversarial", "image": IMG, "question_id": "1"}])
task("mme", "mme", [{"question": "Is this a cat? Please answer yes or no.", "answer": "Yes", "category": "count", "image": IMG, "question_id": "code/0.png"}])
mmb = lambda **more: {"index": 7, "question": "What is it?", "hint": "nan", "A": "x", "B": "y", "C": "nan", "D": "nan", "answer": "A", "category": "c",
                      "l2-category": "l", "source": "s", "image": IMG, **more}
for name, where in [("mmbench-en", "mmbench_en"), ("mmbench-cn", "mmbench_cn")]:
    task(name, where, [mmb(), mmb(hint="Passage:\nline"), mmb(C="z", D="w"), mmb(question="图中是什么？")])
task("seed-i", "seed", [{"question": "How many?", "choice_a": "One", "choice_b": "Two", "choice_c": "Three", "choice_d": "It's four", "answer": "B", "image": [IMG],
                         "question_type_id": 5, "question_id": "9"}])
mmmu = lambda **more: {"id": "validation_Art_Theory_3", "question": "See <image 1> and\nsay.", "options": "['a cat', 'two dogs', '<image 2>']", "answer": "B",
                       "question_type": "multiple-choice", "image_1": IMG, **more}
task("mmmu-v", "mmmu", [mmmu(), mmmu(question="<image 1> How much?"), mmmu(options="[]", answer="5.2", question_type="open", question="How much in <image 1>")])
mv = lambda **more: {"pid": "1", "query": "Hint: Please answer.\nQuestion: how many?", "decoded_image": IMG, "question_type": "free_form", "choices": None, "answer": "3",
                     "metadata": {"category": "general-vqa"}, **more}
task("mathvista", "mathvista", [mv(), mv(question_type="multi_choice", choices=["3", "4"])])
task("ai2d", "ai2d", [{"question": "Which eats?", "options": ["fox", "hare", "owl", "elk"], "answer": "2", "image": IMG}])
task("chartqa", "chartqa", [{"question": "What is the value?", "answer": "14", "type": "human_test", "image": IMG}])
for name, where in [("docvqa", "docvqa"), ("infovqa", "infovqa")]:
    task(name, where, [{"questionId": "12", "question": "What is the date?", "image": IMG}])
task("st-vqa", "stvqa", [{"question_id": 5, "question": "What is written?", "image": IMG}])
task("ocrbench", "ocrbench", [{"question": "what is written in the image?", "answer": ["CENTRE"], "question_type": "Regular Text Recognition", "image": IMG}])
task("mmstar", "mmstar", [{"index": 0, "question": "Which?\nOptions: A: x, B: y, C: z, D: w", "answer": "A", "category": "c", "l2_category": "l", "image": IMG}])
task("realworldqa", "realworldqa", [{"question": "Which?\nA. x\nB. y\nPlease answer directly with only the letter of the correct option and nothing else.", "answer": "A", "image": IMG}])
task("synthdog-en", "synthdog", [{"ground_truth": json.dumps({"gt_parse": {"text_sequence": "a b"}}), "image": IMG}])
task("q-bench", "qbench", [{"question": "Is it blurry?", "candidates": ["Yes", "No"], "correct_ans": "No", "type": "0", "concern": "1", "img_path": "a.jpg"}])
task("blink", "blink", [{"idx": "val_Counting_1", "sub_task": "Counting", "prompt": "How many?\n(A) 1\n(B) 2", "question": "How many?", "image_1": IMG, "choices": ["1", "2"], "answer": "(A)"}])
mmvp = [{"Index": 1, "Question": "Are they parallel?", "Options": "(a) Yes (b) No", "Correct Answer": "(a)"}, {"Index": 2, "Question": "Which?", "Options": "(a) Up  (b) Down", "Correct Answer": "(b)"}]
task("mmvp", "mmvp", mmvp, [{"question": r["Question"], "options": r["Options"], "imageId": r["Index"] - 1} for r in mmvp])
task("v-star", "vstar", [{"text": "What color?\n(A) red\n(B) blue\nAnswer with the option's letter from the given choices directly.", "image": "direct/a.jpg", "label": "A", "category": "direct_attributes"}])
task("mm-vet", "mmvet", [{"question_id": "v1_0", "question": "What is x?", "image": IMG}])
(HERE / "prompts.json").write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n")
print(sum(len(rows) for rows in out.values()), "prompts of", len(out), "tasks")
