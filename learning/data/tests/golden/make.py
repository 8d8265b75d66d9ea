"""Hashes of odd pictures by the package imagehash. Run: `python make.py`; needs imagehash and Pillow."""

import json
import pathlib
import random

import imagehash
from PIL import Image, ImageDraw

here = pathlib.Path(__file__).parent
random.seed(11)


def noise(mode, size, step=40):
    """Blocks of random colours: neither flat nor as large as noise when it is stored."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    small = Image.new(mode, (max(1, size[0] // step + 1), max(1, size[1] // step + 1)))
    value = lambda: random.randrange(256) if channels == 1 else tuple(random.randrange(256) for _ in range(channels))
    for x in range(small.width):
        for y in range(small.height):
            small.putpixel((x, y), value())
    return small.resize(size, Image.Resampling.NEAREST)


drawn = Image.new("RGB", (321, 123), (200, 180, 30))
pen = ImageDraw.Draw(drawn)
pen.ellipse((20, 10, 150, 110), fill=(10, 90, 200))
pen.line((0, 122, 320, 0), fill=(255, 255, 255), width=5)

pictures = {
    "rgb.png": noise("RGB", (301, 203)),
    "grey.png": noise("L", (64, 333), 20),
    "alpha.png": noise("RGBA", (100, 80), 10),
    "grey-alpha.png": noise("LA", (97, 101), 10),
    "palette.png": noise("RGB", (128, 50), 7).quantize(17),
    "bits.png": noise("L", (90, 60), 4).convert("1"),
    "small.png": noise("RGB", (5, 3), 1),
    "exact.png": noise("RGB", (9, 8), 1),
    "row.png": noise("RGB", (200, 1), 3),
    "column.png": noise("RGB", (1, 200), 3),
    "drawn.png": drawn,
    "drawn.jpg": drawn,
    "drawn-grey.jpg": drawn.convert("L"),
    "drawn.webp": drawn,
    "drawn.gif": drawn.quantize(32),
}
hashes = {}
for name, picture in pictures.items():
    path = here / name
    if name.endswith(".webp"):
        picture.save(path, lossless=True)
    else:
        picture.save(path)
    read = Image.open(path)
    # The hashes are of the decoded pixels; a palette with transparency would be another matter.
    hashes[name] = {"dhash": str(imagehash.dhash(read)), "phash": str(imagehash.phash(read))}
(here / "hashes.json").write_text(json.dumps(hashes, indent=1) + "\n")
