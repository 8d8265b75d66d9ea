"""Makes tests/fuzz/corpus/weights, gguf, pickle and json: files that lie about themselves. Standard library only.

    python make_weights.py
"""

import io
import json
import struct
import zipfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def safetensors(header, data=b"", length=None) -> bytes:
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"t": dict(dtype=dtype, shape=shape, data_offsets=offsets)}


def archive(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name.replace("__", "/")), data)
    return out.getvalue()


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def gguf(tensors=(), entries=(), data=b"", version=3, counts=None) -> bytes:
    """A header, padding, data; `tensors` are (name, axes, type, offset), `entries` (key, type, bytes)."""
    out = b"GGUF" + struct.pack("<IQQ", version, *(counts or (len(tensors), len(entries))))
    for key, kind, value in entries:
        out += string(key) + struct.pack("<I", kind) + value
    for name, axes, kind, offset in tensors:
        out += string(name) + struct.pack("<I", len(axes)) + struct.pack(f"<{len(axes)}Q", *axes)
        out += struct.pack("<IQ", kind, offset)
    return out + bytes(-len(out) % 32) + data


def gguf_files() -> dict[str, bytes]:
    f32, q8_0, q4_k = 0, 8, 12
    one = (b"t", (2,), f32, 0)
    alignment = b"general.alignment"
    array = struct.pack("<IQ", 9, 1)
    whole = gguf(
        [one, (b"blocks", (32, 2), q8_0, 32), (b"large", (256,), q4_k, 128)],
        [(b"general.architecture", 8, string(b"x")), (b"x.list", 9, struct.pack("<IQ2I", 4, 2, 1, 2))],
        bytes(32) + bytes(96) + bytes(144),
    )
    return {
        "whole": whole,
        "magic-alone": b"GGUF",
        "header-cut": whole[:60],
        "data-cut": whole[:-100],
        "version-1": gguf(version=1),
        "version-beyond": gguf(version=4),
        "tensors-of-exabytes": gguf(counts=(1 << 60, 0)),
        "entries-of-exabytes": gguf(counts=(0, 1 << 60)),
        "key-of-exabytes": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, (1 << 63) + 5) + bytes(32),
        "string-beyond": gguf(entries=[(b"k", 8, struct.pack("<Q", 1 << 20))]),
        "list-of-exabytes": gguf(entries=[(b"k", 9, struct.pack("<IQ", 0, 1 << 62))]),
        "list-deep": gguf(entries=[(b"k", 9, array * 1000)]),
        "value-unknown": gguf(entries=[(b"k", 99, bytes(8))]),
        "alignment-zero": gguf([one], [(alignment, 4, struct.pack("<I", 0))], bytes(8)),
        "alignment-odd": gguf([one], [(alignment, 4, struct.pack("<I", 33))], bytes(8)),
        "alignment-text": gguf([one], [(alignment, 8, string(b"32"))], bytes(8)),
        "axes-many": gguf([(b"t", (1,) * 9, f32, 0)], data=bytes(8)),
        "shape-overflows": gguf([(b"t", (1 << 62, 1 << 62), f32, 0)], data=bytes(8)),
        "shape-overflows-beside-zero": gguf([(b"t", (1 << 62, 1 << 62, 0), f32, 0)], data=bytes(8)),
        "blocks-overflow": gguf([(b"t", (1 << 62,), q8_0, 0)], data=bytes(8)),
        "row-of-no-blocks": gguf([(b"t", (100,), q4_k, 0)], data=bytes(144)),
        "type-unknown": gguf([(b"t", (2,), 77, 0)], data=bytes(8)),
        "offset-beyond": gguf([(b"t", (2,), f32, 1 << 40)], data=bytes(8)),
        "offset-overflows": gguf([(b"t", (2,), f32, (1 << 64) - 8)], data=bytes(8)),
        "name-twice": gguf([one, one], data=bytes(8)),
    }


def doubled(first: bytes, following) -> bytes:
    """A value that names the one before it twice, sixty times over."""
    return first + b"q\0" + b"".join(following(i) + bytes([ord("q"), i + 1]) for i in range(60)) + b"."


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def pickles() -> dict[str, bytes]:
    """What describes the tensors, alone: the target and the test put it into a file."""
    module = b"c__torch__\nM\n)\x81"
    attributes = lambda i: module + b"}(" + text("a") + bytes([ord("h"), i]) + text("b") + bytes([ord("h"), i]) + b"ub"
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x10tQ"
    view = lambda offset, shape, stride: (
        b"}" + text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + shape + stride + b"tRs."
    )
    files = {}
    for name in ["nested.pth.tar", "module.pt", "scripted.pt", "protocol-4.pt", "newer.pt"]:
        with zipfile.ZipFile(CORPUS.parents[2] / "core/tests/data" / name) as file:
            [pickle] = [entry for entry in file.namelist() if entry.endswith("/data.pkl")]
            files["whole-" + name.split(".")[0]] = file.read(pickle)
    return files | {
        "whole-view": view(b"K\x01", b"K\x02K\x02\x86", b"K\x00K\x01\x86"),
        "empty": b"",
        "stop-alone": b".",
        "lists-doubled": doubled(b"]", lambda i: bytes([*b"](h", i, ord("h"), i, ord("e")])),
        "tuples-doubled": doubled(b")", lambda i: bytes([ord("h"), i, ord("h"), i, 0x86])),
        "modules-doubled": doubled(module + b"}b", attributes),
        "module-in-itself": module + b"q\0}" + text("a") + b"h\0sb.",
        "list-in-itself": b"]q\0h\0a.",
        "dictionary-in-itself": b"}q\0" + text("model") + b"h\0s.",
        "tuples-deep": b")" + b"\x85" * 5000 + b".",
        "text-of-exabytes": b"\x8d" + b"\xff" * 8,
        "long-of-gigabytes": b"\x8b\xff\xff\xff\x7f",
        "memo-far": b"]" + b"r\xff\xff\xff\xff" + b"j\xff\xff\xff\xffa.",
        "below-the-mark": b"](N(a.",
        "no-mark": b"t.",
        "mark-twice": b"((tt.",
        "key-alone": b"}(Nu.",
        "protocol-0": b"(dp0\nS'a'\np1\nI1\ns.",
        "protocol-beyond": b"\x80\x09N.",
        "numbers-not-tensors": b"}" + text("w") + b"K\x01s.",
        "view-negative": view(b"J\xff\xff\xff\xff", b"K\x02\x85", b"K\x01\x85"),
        "view-of-many-axes": view(b"K\0", b"(" + b"K\x01" * 200 + b"t", b"(" + b"K\x01" * 200 + b"t"),
        "view-of-two-shapes": view(b"K\0", b"K\x02\x85", b")"),
        "view-overflows": view(b"K\0", b"\x8a\x08" + b"\xff" * 7 + b"\x7fK\x09\x86", b"K\x01K\x01\x86"),
        "storage-named-by-number": b"}" + text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n(K\x01QK\0))tRs.",
    }


def documents() -> dict[str, bytes]:
    return {
        "whole": b'{"a": [1, -2.5, "x", null, true], "b": {}}',
        "whole-marked": b'\xef\xbb\xbf{"a": 1}',
        "whole-of-python": b'{"a": NaN, "b": [Infinity, -Infinity], "NaN": "Infinity \\" NaN"}',
        "whole-twice": b'{"a": 1, "a": NaN}',
        "empty": b"",
        "mark-alone": b"\xef\xbb\xbf",
        "utf16": "{}".encode("utf-16"),
        "text-open": b'{"a": "NaN',
        "escape-at-end": b'"\\',
        "word-cut": b"[Infinit",
        "word-glued": b"[1NaN]",
        "minus-twice": b"[--Infinity]",
        "deep": b"[" * 5000,
        "no-utf8": b'{"\xff": NaN}',
        "surrogate-alone": b'"\\ud800"',
    }


def main():
    eight = bytes(8)
    pickle = b"\x80\x02}q\x00."  # an empty dictionary
    weights = {
        "empty": b"",
        "seven-bytes": bytes(7),
        "no-header": safetensors(b"", b""),
        "header-beyond-file": safetensors(tensor(), eight, length=1 << 20),
        "header-of-exabytes": safetensors(tensor(), eight, length=(1 << 63) + 5),
        "header-no-json": safetensors(b"not json", eight),
        "header-no-object": safetensors(b"[1, 2]", eight),
        "header-no-utf8": safetensors(b'{"\xff\xfe": 1}', eight),
        "header-deep": safetensors(b'{"t":' + b"[" * 3000 + b"]" * 3000 + b"}", eight),
        "data-cut": safetensors(tensor(), bytes(4)),
        "data-too-long": safetensors(tensor(), bytes(12)),
        "offsets-reversed": safetensors(tensor(offsets=(8, 0)), eight),
        "offsets-beyond": safetensors(tensor(offsets=(1 << 40, (1 << 40) + 8)), eight),
        "offsets-overlap": safetensors(
            {
                "a": dict(dtype="F32", shape=[2], data_offsets=[0, 8]),
                "b": dict(dtype="F32", shape=[2], data_offsets=[4, 12]),
            },
            bytes(12),
        ),
        "shape-other-than-data": safetensors(tensor(shape=(3,)), eight),
        "shape-overflows": safetensors(tensor(shape=(1 << 62, 1 << 62)), eight),
        "shape-negative": safetensors(tensor(shape=(-2,)), eight),
        "dtype-unknown": safetensors(tensor(dtype="F99"), eight),
        "whole": safetensors(tensor(), eight),
        "zip-empty": archive(),
        "zip-no-pickle": archive(readme=b"nothing"),
        "zip-pickle-cut": archive(archive__data_pkl=pickle[:3]).replace(b"data_pkl", b"data.pkl"),
        "zip-pickle-empty": archive(archive__data_pkl=pickle).replace(b"data_pkl", b"data.pkl"),
        "zip-cut": archive(archive__data_pkl=pickle)[:40],
        "pickle-alone": pickle,
    }
    for folder, files in [
        ("weights", weights),
        ("gguf", gguf_files()),
        ("pickle", pickles()),
        ("json", documents()),
    ]:
        (CORPUS / folder).mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (CORPUS / folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
