"""Makes fuzz/corpus/weights: weights files that lie about themselves. Standard library only.

    python make_weights.py
"""

import io
import json
import struct
import zipfile
from pathlib import Path

OUT = Path(__file__).parent / "corpus" / "weights"


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


def main():
    eight = bytes(8)
    pickle = b"\x80\x02}q\x00."  # an empty dictionary
    files = {
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
    OUT.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (OUT / name).write_bytes(data)


if __name__ == "__main__":
    main()
