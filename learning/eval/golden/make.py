"""Verdicts of the other harnesses' own code, for tests/harnesses.rs.

    python make.py CAMBRIAN LMMS_EVAL VLMEVALKIT

with a checkout of cambrian-mllm/cambrian, an unpacked lmms-eval (0.7.3) and a checkout of open-compass/VLMEvalKit. Only
their scoring functions run; what they import besides (datasets, loggers, model clients) is replaced by dummies. Writes
harnesses.json: the replies, and per case a rule's name, what is right, and one verdict per reply.
"""

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import io
import json
import os
import random
import sys
import tempfile
import types
from pathlib import Path
from unittest.mock import MagicMock

HERE = Path(__file__).resolve().parent
cambrian, lmms, vlm = (Path(p).resolve() for p in sys.argv[1:4])


os.chdir(tempfile.mkdtemp())  # some write where they stand


class Dummy(types.ModuleType):
    """Stands for a module that scoring does not need."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=name)


class Missing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives a dummy for whatever is not installed."""

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Dummy(spec.name)

    def exec_module(self, module):
        module.__path__ = []


import numpy as np  # really needed, so before the dummies

sys.meta_path.append(Missing())
for name in ["torch", "transformers", "datasets", "accelerate", "huggingface_hub", "requests", "loguru", "pandas"]:
    sys.modules[name] = Dummy(name)
    sys.modules[name].__path__ = []
bars = types.ModuleType("tqdm")
bars.tqdm = lambda items, **_: items
sys.modules["tqdm"] = bars
# Their packages import everything at once; only what is asked for below is really read.
for package, folder in [("lmms_eval", lmms / "lmms_eval"), ("vlmeval", vlm / "vlmeval")]:
    for sub in ["", ".tasks", ".dataset", ".smp", ".utils"]:
        where = folder / sub[1:] if sub else folder
        if where.is_dir():
            module = types.ModuleType(package + sub)
            module.__path__ = [str(where)]
            sys.modules[package + sub] = module


def file_module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------------------------------------------------- replies

rng = random.Random(20240624)
LETTERS = list("ABCD") + list("abcd")
TEXTS = ["a cat", "The dog", "2", "3", "left", "Above", "below", "Beach scene", "yes", "No", "unanswerable", "12.5", "5%", "0", "1,000",
         "New York", "don't", "dont", "A red car", "bus", "cab", "Apple", "stop", "3 books", "Eyes", "Now", "nothing", "no one", "it's", "1990s"]
FORMS = ["{}", "{}.", "({})", "({}).", "[{}]", "**{}**", " {} ", "{}\n", "{},", "{}:", "{})", "\"{}\"", "The answer is {}", "The answer is {}.",
         "The answer is ({}).", "the answer is: {}", "Answer: {}", "Answer:{}", "Answer is **{}**.", "The correct answer is ({}) because it is so.",
         "I think it is {}", "Option {}", "option ({})", "I choose {}.", "It is {}, not A.", "A or {}", "{} is the answer", "({}) a cat",
         "{}. a cat", "{}: a cat", "{} a cat", "My choice is {}!", "the answer is A. No, the answer is {}", "答案是{}", "选{}", "정답은 {}",
         "答えは{}", "Die Antwort ist {}", "La réponse est {}.", "Ответ: {}", "Let me see.\nThe answer is {}\nDone.", "{}\n\nBecause.", "- {}\n- x",
         "1. {}", "Sorry, I can't help with images of people yet. {}", "I'm sorry, but without the image provided {}", "Cannot determine the answer {}",
         "<answer>{}</answer>", "\\boxed{{{}}}", "The object is {} in the image, which is closer than all of the others", "best option is {}", "i pick {}",
         "answers {}", "Answers: {}", "answer {}", "ANSWER IS {}", "{}?", "{}!", "{};", "{} ", "'{}'", "It's {}", "#{}", "{}/{}", "{} and {}"]
ODD = ["", " ", ".", "...", "(", ")", "()", ":", "answer is", "answer:", "The answer is", "Z", "E", "(E)", "none", "None of the above", "I don't know",
       "I cannot answer.", "Unanswerable", "نعم", "はい", "да", "是", "否", "Ja", "Nein", "oui", "Yes, it is", "yes.", "Yes .", "YES", "y", "n", "Y.", "no.",
       "No, there is not", "yes and no", "Not really", "Snow", "Yesterday", "know", "ye s", "n.o", "y e s", "no no", "Yes!", "No?", "nope", "yeah",
       "The image shows yes", "A", "B", "A B", "A and B", "both", "ABCD", "A, B, C, D", "B B B", "A\nB", "\u3000B\u3000", "Ｂ", "（B）", "\u00a0A", "\x1cA",
       "104.9", "105", "105.1", "95", "94.9", "100", "100.0", "1e2", "1_00", "１００", "١٠٠", "inf", "-inf", "nan", "NaN", "infinity", "0", "0.0", "-0",
       "0%", "50%", "0.5", "50", "5 %", "-100", "+100", "100 dollars", "$100", "1,00", "1,000", "1000", "3.", "3.0", "3.14", ".5", "5.", "1.000.000",
       "two", "ten", "zero", "none", "the", "a", "an", "a the an", "the cat", "a cat.", "Cat", "CAT", "cats", "a  cat", "a\tcat", "a\ncat", "a-cat", "a - cat",
       "cat!", "cat?", "cat's", "cat 's", "x/y", "x / y", "wont", "won't", "somebody'd", "somebodyd've", "Im", "Id've", "youre here", "hello, world",
       "hello,world", "1,2", "1, 2", "a,b", "..", ". .", "3..5", "e.g. this", "U.S.A.", "@home", "at @ home", "back`tick", "under_score", "{brace}",
       "new york", "New York City", "NEW YORK", "new\nyork", "newyork", "n e w y o r k", "straße", "STRASSE", "Straße 5", "ﬁsh", "İstanbul", "é", "e\u0301",
       "x^2+y^2", "x ^ 2 + y ^ 2", "X^2+Y^2", "\\frac{a}{b}", "\\frac {a} {b}", "ＮＥＷ ＹＯＲＫ", "０", "1", "2", "3", "4", "option b", "Option A.", "answer b",
       "a dog", "A dog", "dog", "the Dog", "dog.", "a big dog", "the dog and a cat", "left", "to the left", "right", "above", "Above", "beach", "Beach scene",
       "beachscene", "beach  scene", "beach-scene", "cab", "abc", "bcd", "below", "Because", "Definitely A", "definitely a", "It is A", "it is a", "A is right"]


def replies():
    out = list(ODD)
    for form in FORMS:
        for letter in LETTERS:
            out.append(form.replace("{}", letter) if form.count("{}") > 1 or "{{" not in form else form.format(letter))
        for text in TEXTS:
            out.append(form.replace("{}", text) if "{{" not in form else form.format(text))
    words = TEXTS + ODD[60:] + ["is", "the", "answer", "of", "which", "and", "A", "B", "(C)", "D.", "answer is", "Answer:", "not", ",", ".", "it"]
    while len(out) < 3200:
        out.append(rng.choice(["", " ", "The "]) + rng.choice([" ", ", ", ". ", "\n"]).join(rng.choice(words) for _ in range(rng.randint(1, 9))))
    # As they are stored: without outer white space. Equal ones once.
    return list(dict.fromkeys(r.strip() for r in out))


REPLIES = replies()
cases = []


def case(harness, rule, target, judge):
    """Adds a case. `judge` gives a score, or raises as the script would."""
    verdicts = []
    for reply in REPLIES:
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                verdicts.append(float(judge(reply)))
        except (IndexError, ZeroDivisionError):
            verdicts.append(None)
    if all(v in (0.0, 1.0, None) for v in verdicts):
        verdicts = "".join("x" if v is None else str(int(v)) for v in verdicts)
    else:
        # Few of the shares and similarities are not 0 or 1.
        verdicts = [v if v is None or v % 1 else int(v) for v in verdicts]
    cases.append({"harness": harness, "rule": rule, "target": target, "verdicts": verdicts})
    print(f"{harness:10} {rule:18} {str(target)[:80]}", file=sys.stderr)


def choice(letter, options, **more):
    return {"letter": letter, "options": options, **more}


def answers(*texts, **more):
    return {"answers": list(texts), **more}


ANIMALS = ["a cat", "The dog", "a cat and a dog", "bus"]
WORDS = ["left", "Above"]
CHARS = ["a", "3", "B", "2"]
NUMBERS = ["2", "3", "12.5", "100"]

# ------------------------------------------------------------------------------------------- Cambrian-1's scripts

scripts = cambrian / "eval" / "eval"
work = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))


def script(name):
    """The scorer of a benchmark: lines of an answer file in, the row of its CSV out."""
    folder = scripts / name
    sys.path.insert(0, str(folder))
    sys.modules.pop("m4c_evaluator", None)
    module = file_module(f"cambrian_{name}", folder / f"{name}_test.py")
    sys.path.remove(str(folder))
    rows = []
    module.add_data_to_csv = lambda path, row: rows.append(row)
    source = work / "answers.jsonl"

    def score(lines, *more):
        rows.clear()
        source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            module.compute_metrics(str(source), str(work / "wrong.jsonl"), str(work / "out.csv"), *more)
        return rows[0]

    return module, score


def one(name, line, read, rule, target, *more):
    """A case of one line at a time."""
    _, score = script(name)
    case("cambrian", rule, target, lambda reply: read(score([{**line, "answer": reply, "prediction": reply}], *more)))


def cambrian_cases():
    accuracy = lambda row: row["accuracy"]
    for letter, options in [("B", ANIMALS), ("A", WORDS), ("D", CHARS)]:
        low = letter.lower()
        gt = f"({letter})"
        one("ade", {"gt_answer": gt, "category": "x"}, accuracy, "mcq", choice(letter, options))
        one("omni", {"gt_answer": gt, "category": "x", "options": options}, accuracy, "mcq-option", choice(letter, options))
        one("mmbench_cn", {"gt_answer": letter, "category": "x", "source_id": 1}, accuracy, "first-word", choice(letter, options))
        one("blink", {"gt_answer": gt, "category": "x"}, accuracy, "blink", choice(letter, options))
        one("qbench", {"gt_answer": letter, "type": 0}, accuracy, "before-dot", choice(letter, options))
        text = options["ABCD".index(letter)]
        one("scienceqa", {"gt_answer": letter, "text_answer": text, "type": True, "category": "x"}, lambda row: row["is_multimodal"]["accuracy"],
            "science-qa", choice(letter, options))
        one("mmmu", {"gt_answer": letter, "type": "multiple-choice", "category": "x"}, accuracy, "mmmu", choice(letter, options, kind="multiple-choice"))
        one("ai2d", {"gt_answer": str("ABCD".index(letter))}, percent_or_accuracy, "mcq-index", choice(letter, options))
        one("mmstar", {"gt_answer": letter, "category": "x"}, percent_or_accuracy, "first-word", choice(letter, options))
    # The verdict of MMVP's and MME's scripts shows in the first line's count.
    for letter, options in [("B", WORDS), ("A", ["a cat", "The dog"])]:
        line = {"gt_answer": f"({letter.lower()})", "text_options": options}
        module, _ = script("mmvp")

        def judge(reply, line=line, letter=letter, options=options, module=module):
            read = module.extract_mcq_answer(reply)
            gt = line["gt_answer"].lower()[1]
            return gt == read or read == [x.lower() for x in options][ord(gt) - ord("a")]

        case("cambrian", "mcq-whole", choice(letter, options), judge)
    for word in ["Yes", "No"]:
        one("mme", {"gt_answer": word, "category": "count"}, lambda row: row["accuracy"] / 100, "exact", answers(word))
        one("pope", {"gt_answer": word.lower()}, percent_or_accuracy, "first-word", answers(word.lower()))
    for text in ["cat", "New York", "left"]:
        one("gqa", {"gt_answer": text}, percent_or_accuracy, "exact", answers(text))
        one("realworldqa", {"gt_answer": text}, percent_or_accuracy, "single-word", answers(text))
    for text in ["100", "0", "New York", "nan", "50%", "12.5"]:
        one("chartqa", {"gt_answer": text}, percent_or_accuracy, "chartqa", answers(text))
        one("mathvista", {"gt_answer": text, "type": "free_form", "category": "x"}, accuracy, "mathvista", answers(text))
        one("mmmu", {"gt_answer": text, "type": "open", "category": "x"}, accuracy, "mmmu", answers(text, kind="open"))
    hme = "Handwritten Mathematical Expression Recognition"
    for gt, kind in [(["New York", "cab"], "Scene Text-centric VQA"), (["x^2 + y^2"], hme), (["ＮＥＷ", "straße"], "Doc-oriented VQA")]:
        read = lambda row: row["total_accuracy"]["accuracy"] / 100
        line = {"gt_answer": gt, "category": kind}
        one("ocrbench", line, read, "ocrbench", answers(*gt, kind=kind), None, False)
        one("ocrbench", line, read, "cambrian-exact", answers(*gt, kind=kind), None, True)
    one("synthdog", {"gt_answer": "The dog and a cat"}, lambda row: row["accuracy_edit_distance_10"]["accuracy"] / 100, "synthdog", answers("The dog and a cat"))
    module, _ = script("textvqa")
    evaluator = sys.modules["m4c_evaluator"].TextVQAAccuracyEvaluator()
    for ten in VQA:
        case("cambrian", "cambrian-vqa", answers(*ten), lambda reply, ten=ten: evaluator.eval_pred_list(
            [{"pred_answer": reply.lower(), "gt_answers": [t.lower() for t in ten]}]))
    anls = sys.modules["m4c_evaluator"].STVQAANLSEvaluator
    anls.__init__ = lambda self: setattr(self, "get_edit_distance", script("ocrbench")[0].edit_distance)
    for texts in TEXTS_ANLS:
        judge = anls()
        case("cambrian", "cambrian-anls", answers(*texts), lambda reply, texts=texts, judge=judge: judge.eval_pred_list([{"pred_answer": reply, "gt_answers": texts}]))


def percent_or_accuracy(row):
    """The one number of a row that is the accuracy, whatever it is called."""
    for key in ["accuracy", "Accuracy", "overall_accuracy"]:
        if key in row:
            value = row[key]
            return value / 100 if value > 1 else value
    raise KeyError(list(row))


VQA = [["cat"] * 3 + ["dog"] * 2 + ["a cat", "the dog", "2", "two", "New York"], ["unanswerable"] * 9 + ["don't"],
       ["it's", "its", "won't", "wont", "1,000", "1000", "3.", "3", "x/y", "x y"], ["a"] * 2 + ["."] * 2 + ["none"] * 2 + ["0"] * 2 + ["U.S.A.", "usa"]]
TEXTS_ANLS = [["New York"], ["straße", "STRASSE 5"], ["a cat", "the dog"], ["12.5"], [""]]

# --------------------------------------------------------------------------------------------------------- lmms-eval


def lmms_cases():
    task = lambda name, file="utils": importlib.import_module(f"lmms_eval.tasks.{name}.{file}")
    cv, mmvp, mme, pope = task("cv_bench"), task("mmvp"), task("mme"), task("pope")
    for letter, options in [("B", ANIMALS), ("A", WORDS), ("D", CHARS)]:
        gt = f"({letter})"
        doc = {"answer": gt, "idx": 0, "type": "2D", "task": "Count", "source": "COCO", "choices": options, "sub_task": "x"}
        target = choice(letter, options)
        case("lmms-eval", "lmms-cv-bench", target, lambda r: cv.cv_bench_process_results(doc, [r])["cv_bench_acc"]["is_correct"])
        blink = task("blink")
        case("lmms-eval", "lmms-blink", target, lambda r: blink.blink_process_results(doc, [r])["blink_acc"]["is_correct"])
        seed = task("seedbench")
        case("lmms-eval", "lmms-seed", target, lambda r: seed.seed_aggregation_result(
            [{"pred": seed.seed_process_result({"answer": letter, "data_type": "x", "question_id": 0}, [r])["seed_all"]["pred"], "answer": letter}]))
        ai2d, metrics = task("ai2d"), importlib.import_module("lmms_eval.api.metrics")
        only = ai2d.MultiChoiceRegexFilter.__new__(ai2d.MultiChoiceRegexFilter)
        case("lmms-eval", "lmms-ai2d", target, lambda r: metrics.exact_match_hf_evaluate(
            only.apply([[r]], [doc])[:1], [letter], ignore_case=True, ignore_punctuation=True)["exact_match"])
        sqa = task("scienceqa")
        sqa_doc = {"choices": options, "answer": "ABCD".index(letter)}
        case("lmms-eval", "lmms-science-qa", target, lambda r: sqa.sqa_process_results(sqa_doc, [r])["exact_match"])
        star = task("mmstar")
        case("lmms-eval", "lmms-ranked", target, lambda r: star.exact_match(r, letter))
        real = task("realworldqa")
        case("lmms-eval", "lmms-realworldqa", target, lambda r: real.realworldqa_process_results({"answer": letter}, [r])["exact_match"])
    for letter in "AB":
        doc = {"Correct Answer": f"({letter.lower()})", "Index": 1}
        case("lmms-eval", "lmms-mmvp", choice(letter, WORDS), lambda r: mmvp.mmvp_process_results(doc, [r])["mmvp_accuracy"]["is_correct"])
    for word in ["Yes", "No"]:
        doc = {"answer": word, "category": "count", "question_id": 0}
        case("lmms-eval", "lmms-mme", answers(word), lambda r: mme.mme_process_results(doc, [r])["mme_perception_score"]["score"])
        case("lmms-eval", "lmms-pope", answers(word.lower()), lambda r: pope.pope_process_results({**doc, "answer": word.lower()}, [r])["pope_accuracy"]["score"])
    chart, real = task("chartqa"), task("realworldqa")
    for text in ["100", "0", "New York", "nan", "50%", "12.5"]:
        case("lmms-eval", "lmms-chartqa", answers(text), lambda r: chart.relaxed_correctness(r, text))
        case("lmms-eval", "lmms-realworldqa", answers(text), lambda r: real.realworldqa_process_results({"answer": text}, [r])["exact_match"])
    metrics = importlib.import_module("lmms_eval.api.metrics")
    for text in ["cat", "New York", "left", "it's"]:
        case("lmms-eval", "lmms-exact", answers(text), lambda r: metrics.exact_match_hf_evaluate([r], [text], ignore_case=True, ignore_punctuation=True)["exact_match"])
    for texts in TEXTS_ANLS:
        case("lmms-eval", "lmms-anls", answers(*texts), lambda r: metrics.anls(texts, [r])["anls"])
    text_vqa, ocr = task("textvqa"), task("ocrbench")
    for ten in VQA:
        case("lmms-eval", "lmms-vqa", answers(*ten), lambda r: text_vqa.textvqa_process_results({"answers": list(ten), "question_id": 0}, [r])["exact_match"])
    for gt, kind in [(["New York", "cab"], "x"), (["x^2 + y^2"], "HME100k"), (["ＮＥＷ", "straße"], "x")]:
        doc = {"answer": gt, "dataset": kind, "question_type": "x"}
        case("lmms-eval", "lmms-ocrbench", answers(*gt, kind=kind), lambda r: ocr.ocrbench_process_results(doc, [r])["ocrbench_accuracy"]["score"])


# -------------------------------------------------------------------------------------------------------- VLMEvalKit


def vlm_cases():
    misc = file_module("vlm_misc", vlm / "vlmeval" / "smp" / "misc.py")
    smp = sys.modules["vlmeval.smp"]
    smp.process_punctuation = misc.process_punctuation
    smp.__getattr__ = lambda name: MagicMock(name=name)
    matching = file_module("vlm_matching", vlm / "vlmeval" / "utils" / "matching_util.py")
    vqa = file_module("vlm_vqa", vlm / "vlmeval" / "dataset" / "utils" / "vqa_eval.py")
    vqa.listinstr = misc.listinstr
    vqa.istype = lambda text, kind: text.startswith("[") and text.endswith("]")
    yorn = file_module("vlm_yorn", vlm / "vlmeval" / "dataset" / "utils" / "yorn.py")
    for letter, options in [("B", ANIMALS), ("A", WORDS), ("D", CHARS), ("C", NUMBERS)]:
        by_letter = dict(zip("ABCD", options))
        case("vlmeval", "vlm-mcq", choice(letter, options), lambda r: matching.can_infer(r, dict(by_letter)) == letter)
    for word in ["Yes", "No"]:
        case("vlmeval", "vlm-yes-no", answers(word), lambda r: yorn.YOrN_Extraction(r) == word)
    line = lambda r, a: {"prediction": r, "answer": a}
    for ten in VQA:
        case("vlmeval", "vlm-vqa", answers(*ten), lambda r: np.mean(vqa.process_line(line(r, repr(ten)), method="vqa_score")["match"]))
    for texts in TEXTS_ANLS:
        case("vlmeval", "anls", answers(*texts), lambda r: vqa.hit_calculate([vqa.process_line(line(r, repr(texts)), method="anls")], "DocVQA")[0])
    for text in ["100", "0", "New York", "nan", "50%", "12.5", "['100', 'New York']"]:
        case("vlmeval", "vlm-chartqa", answers(text), lambda r: np.max(vqa.process_line(line(r, text), method="relaxed_accuracy")["match"]))
    for text in ["cat", "New York", " left"]:
        case("vlmeval", "vlm-exact", answers(text), lambda r: np.mean(vqa.process_line(line(r, text), method="accuracy")["match"]))


# -------------------------------------------------------------------------- what a file of answers adds up to, by lines


def files():
    """MME, MMVP and MMBench of the reference over whole files of right and wrong answers."""
    out = []
    _, mme = script("mme")
    mmvp_module, _ = script("mmvp")
    _, bench = script("mmbench_en")
    for size in [2, 7, 40, 61]:
        for _ in range(6):
            right = [rng.random() < 0.6 for _ in range(size)]
            categories = [rng.choice(["count", "OCR", "code_reasoning"]) if size == 61 else "count" for _ in range(size)]
            row = mme([{"answer": "Yes" if r else "No", "gt_answer": "Yes", "category": c} for r, c in zip(right, categories)])
            pairs = mmvp_score(mmvp_module, [{"answer": "A" if r else "B", "gt_answer": "(a)", "text_options": ["x", "y"]} for r in right])
            sources = [rng.randint(0, size // 2) for _ in range(size)]
            circular = bench([{"prediction": "A" if r else "B", "gt_answer": "A", "category": c, "source_id": s} for r, c, s in zip(right, categories, sources)])
            out.append({"right": "".join(str(int(r)) for r in right), "categories": categories, "groups": sources,
                        "mme": [row["Perception"], row["Cognition"]], "mmvp": pairs,
                        "accuracy": circular["accuracy"], "circular": circular["circular_accuracy"]})
    return out


def mmvp_score(module, lines):
    rows = []
    module.add_data_to_csv = lambda path, row: rows.append(row)
    source = work / "answers.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with contextlib.redirect_stdout(io.StringIO()):
        module.compute_metrics(str(source), str(work / "wrong.jsonl"), str(work / "out.csv"))
    return percent_or_accuracy(rows[0])


cambrian_cases()
lmms_cases()
vlm_cases()
golden = {"replies": REPLIES, "cases": cases, "files": files()}
(HERE / "harnesses.json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n")
print(len(REPLIES), "replies,", len(cases), "cases,", len(REPLIES) * len(cases), "verdicts", file=sys.stderr)
