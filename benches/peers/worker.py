"""One contestant: a process that stays, so that it can be timed in turns with the others.

`python worker.py RUNTIME NETWORK FOLDER DTYPE THREADS`. Requests and answers are those of `benches/src/bin/peer.rs`:
`{"input": file}`, `{"run": n}`, `{"output": file}`; what goes wrong is `{"error": text}`.
"""

import contextlib
import json
import os
import pathlib
import sys
import time
import warnings

warnings.filterwarnings("ignore")


class Eager:
    """PyTorch as it comes."""

    def __init__(self, network, folder, dtype, threads):
        import torch

        import networks

        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.torch, self.dtype = torch, {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
        self.module = networks.load(network, folder).to(self.dtype)

    def input(self, pixels):
        self.pixels = self.torch.from_numpy(pixels).to(self.dtype)

    def run(self):
        with self.torch.inference_mode():
            self.tokens = self.module(self.pixels)

    def output(self):
        return self.tokens.float().numpy()


class Compiled(Eager):
    """PyTorch through TorchInductor ahead of time, for this very shape: a package that later runs load again."""

    def __init__(self, network, folder, dtype, threads):
        super().__init__(network, folder, dtype, threads)
        self.packages = folder / network / f"compiled-{dtype}-{self.torch.__version__}-{threads}"

    def input(self, pixels):
        super().input(pixels)
        inductor = self.torch._inductor
        package = self.packages.with_name(f"{self.packages.name}-{pixels.shape[0]}.pt2")
        if not package.exists():
            part = package.with_suffix(".part.pt2")
            exported = self.torch.export.export(self.module, (self.pixels,))
            # Frozen: weights are packed once, as everywhere else here.
            inductor.aoti_compile_and_package(exported, package_path=str(part), inductor_configs={"freezing": True})
            part.replace(package)
        self.module = inductor.aoti_load_package(str(package))

    def run(self):
        with self.torch.no_grad():
            self.tokens = self.module(self.pixels)


class Onnx:
    """ONNX Runtime's own provider for processors; it has no bf16 there."""

    def __init__(self, network, folder, dtype, threads):
        if dtype != "f32":
            raise NotImplementedError("no bf16 on processors")
        self.path, self.threads, self.batch = folder / network / "model.onnx", threads, None

    def input(self, pixels):
        import onnxruntime

        if self.batch != pixels.shape[0]:
            self.batch = pixels.shape[0]
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
            options.add_free_dimension_override_by_name("batch", self.batch)
            self.session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        self.pixels = pixels

    def run(self):
        self.tokens = self.session.run(None, {"pixels": self.pixels})[0]

    def output(self):
        return self.tokens


class OpenVino:
    """OpenVINO, for this very shape, with the hint for latency and the wanted precision."""

    def __init__(self, network, folder, dtype, threads):
        import openvino

        self.core, self.path, self.shape = openvino.Core(), folder / network / "model.xml", None
        self.settings = {
            "INFERENCE_PRECISION_HINT": dtype,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }

    def input(self, pixels):
        if self.shape != pixels.shape:
            self.shape = pixels.shape
            model = self.core.read_model(self.path)
            model.reshape(list(self.shape))
            self.request = self.core.compile_model(model, "CPU", self.settings).create_infer_request()
        self.pixels = pixels

    def run(self):
        self.tokens = self.request.infer([self.pixels], share_inputs=True)[0]

    def output(self):
        import numpy

        return numpy.array(self.tokens, dtype=numpy.float32)


class Pillow:
    """Pillow and torchvision, the pixel pipeline of the released models: pad, resize, normalise."""

    def __init__(self, _network, _folder, _dtype, threads):
        import torch
        from torchvision import transforms

        torch.set_num_threads(threads)
        self.transform = transforms.Compose([
            transforms.Resize(336, transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        ])

    def input(self, photo):
        self.photo = photo

    def run(self):
        from PIL import Image

        photo = Image.open(self.photo).convert("RGB")
        side = max(photo.size)
        square = Image.new("RGB", (side, side), (122, 116, 104))
        square.paste(photo, ((side - photo.width) // 2, (side - photo.height) // 2))
        self.pixels = self.transform(square)[None]

    def output(self):
        return self.pixels.numpy()


RUNTIMES = {"eager": Eager, "compiled": Compiled, "onnx": Onnx, "openvino": OpenVino, "pillow": Pillow}


def serve(contestant, request):
    from safetensors.numpy import load_file, save_file

    if "input" in request:
        file = request["input"]
        contestant.input(load_file(file)["pixels"] if file.endswith(".safetensors") else file)
    elif "run" in request:
        seconds = []
        for _ in range(request["run"]):
            begun = time.perf_counter()
            contestant.run()
            seconds.append(time.perf_counter() - begun)
        return {"seconds": seconds}
    elif "output" in request:
        save_file({"output": contestant.output()}, request["output"])
    return {}


def main(runtime, network, folder, dtype, threads):
    # Whatever libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(work):
        try:
            result = work()
        except Exception as error:
            text = str(error).strip().splitlines()
            result = {"error": f"{type(error).__name__}: {text[0] if text else ''}"}
        answers.write(json.dumps(result) + "\n")
        return "error" not in result

    begun = time.perf_counter()
    made = []

    def make():
        made.append(RUNTIMES[runtime](network, pathlib.Path(folder), dtype, int(threads)))
        return {"ready": time.perf_counter() - begun}

    if answer(make):
        with contextlib.suppress(BrokenPipeError):
            for line in sys.stdin:
                answer(lambda: serve(made[0], json.loads(line)))


if __name__ == "__main__":
    main(*sys.argv[1:])
