"""Tables as others write them: pyarrow, pandas, tarfile. Run: `python make.py`; needs pyarrow, pandas and Pillow."""

import base64
import io
import json
import pathlib
import tarfile

import pandas
import pyarrow
import pyarrow.parquet
from PIL import Image

here = pathlib.Path(__file__).parent


def picture(value):
    out = io.BytesIO()
    Image.new("RGB", (4, 3), (value, 20, 200)).save(out, "PNG")
    return out.getvalue()


# A benchmark as the Hub has it: an image is a struct of bytes and path.
rows = [
    {
        "index": i,
        "question": f"Question {i}?",
        "choices": ["yes", "no"] if i % 2 else [],
        "answer": None if i == 2 else "A",
        "score": i / 3,
        "exact": i > 1,
        "image": {"bytes": picture(i), "path": f"{i}.png"},
        "nested": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}],
    }
    for i in range(5)
]
table = pyarrow.Table.from_pylist(rows)
for codec in ["snappy", "zstd", "lz4", "none"]:
    pyarrow.parquet.write_table(table, here / f"hub-{codec}.parquet", compression=codec, row_group_size=2)
# Types of their own: categories, large texts, small numbers; and one that is not read.
frame = pandas.DataFrame(
    {
        "kind": pandas.Categorical(["a", "b", "a"]),
        "small": pandas.array([1, None, 3], dtype="Int8"),
        "when": pandas.to_datetime(["2024-01-01"] * 3),
    }
)
frame.to_parquet(here / "pandas.parquet")

# MMBench's way: a tab-separated table with pictures in base64, and values that are quoted.
frame = pandas.DataFrame(
    {
        "index": [7, 8],
        "question": ['What does "it" say?\nA line', "Plain"],
        "A": ["one\ttab", "x"],
        "C": [None, "third"],
        "image": [base64.b64encode(picture(i)).decode() for i in range(2)],
    }
)
frame.to_csv(here / "bench.tsv", sep="\t", index=False)
frame.drop(columns="image").to_csv(here / "bench.csv.gz", index=False)

# WebDataset: files with one stem, names longer than 100 characters in both traditions.
for name, form in [("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)]:
    with tarfile.open(here / f"{name}.tar", "w", format=form) as tar:
        folder = tarfile.TarInfo("deep")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for i in range(3):
            key = "deep/" + ("long-" * 30 if i == 1 else "") + f"s{i}"
            parts = {"json": json.dumps({"id": i}).encode(), "png": picture(i), "txt": f"caption {i}".encode()}
            parts["mask.png"] = picture(9)
            for extension, data in parts.items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
