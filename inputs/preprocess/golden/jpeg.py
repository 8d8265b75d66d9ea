"""Makes jpeg/ and jpeg.json: JPEGs of many encoders and settings, and what Pillow makes of them.

    python jpeg.py                  # the small ones of the repository; needs Pillow, numpy, cjpeg and jpegtran
    python jpeg.py --many FOLDER    # thousands, by every encoder that is there: also ImageMagick, mozjpeg and FFmpeg
                                    # (pip install mozjpeg-lossless-optimization av)
    ZOO_JPEG_GOLDENS=FOLDER cargo test --release -p zoo-preprocess --lib jpeg

Each case has the SHA-256 of the RGB bytes at 1, 1/2, 1/4 and 1/8 of the size (Pillow's `draft`), `damaged` where the decoder
must complain, and then the bytes that Pillow gives with LOAD_TRUNCATED_IMAGES.
"""

import argparse
import io
import itertools
import json
import subprocess
import tempfile
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
from make import digest, encoded, oriented, photograph
from PIL import Image, ImageFile

HERE = Path(__file__).parent
SAMPLING = ["1x1", "2x1", "1x2", "2x2", "4x1", "1x4", "4x2", "2x4", "3x1", "1x3", "2x2,2x1,1x2", "1x1,2x2,2x2", "2x2,1x1,2x2"]
STYLES = [[], ["-progressive"], ["-restart", "1"], ["-optimize", "-restart", "3B"], ["-progressive", "-restart", "5B"]]
SIZES = [(1, 1), (3, 2), (7, 5), (8, 8), (17, 33), (33, 15), (50, 37), (64, 48), (203, 149)]


def run(command, data):
    done = subprocess.run(command, input=data, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr.decode()}")
    return done.stdout


def cjpeg(image, *options, scans=None):
    if scans is None:
        return run(["cjpeg", *options], encoded(image, "PPM"))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(scans)
        file.flush()
        return run(["cjpeg", *options, "-scans", file.name], encoded(image, "PPM"))


def jpegtran(data, *options):
    return run(["jpegtran", *options], data)


def jpeg(image, **options):
    return encoded(image, "JPEG", **options)


def segment(data, marker):
    """Where the segment of a marker begins, and its length."""
    at = 2
    while data[at + 1] != marker:
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at, 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def without(data, marker):
    """Without the segments of a marker."""
    while True:
        at, length = segment(data, 0xDA)
        try:
            at, length = segment(data[:at] + b"\xff\xda\xff", marker) if marker != 0xDA else (None, 0)
        except IndexError:
            return data
        data = data[:at] + data[at + length :]


def ycck(data):
    """A CMYK file that says to be YCCK."""
    at, length = segment(data, 0xEE)
    return data[: at + 15] + b"\2" + data[at + 16 :]


def restarts(data):
    """Where the restart markers are."""
    at, length = segment(data, 0xDA)
    return [i for i in range(at + length, len(data) - 1) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7]


def scan_start(data):
    at, length = segment(data, 0xDA)
    return at + length


def special(image):
    """Files that few encoders write."""
    grey, cmyk = image.convert("L"), image.convert("CMYK")
    wide = [[min(4 * (i + 1) * (2 + i // 8), 2000) for i in range(64)]] * 2
    plain = jpeg(image, quality=80)
    yield "grey", jpeg(grey)
    yield "grey-progressive", jpeg(grey, progressive=True)
    yield "grey-2x2", cjpeg(image, "-grayscale", "-sample", "2x2", "-restart", "3B")
    yield "cmyk", jpeg(cmyk)
    yield "cmyk-progressive", jpeg(cmyk, progressive=True)
    yield "cmyk-subsampled", jpeg(cmyk, subsampling="4:2:0")
    yield "ycck", ycck(jpeg(cmyk))
    yield "rgb", jpeg(image, keep_rgb=True)
    yield "rgb-by-name", without(cjpeg(image, "-rgb"), 0xEE)
    yield "no-jfif", without(plain, 0xE0)
    yield "wide-tables", jpeg(image, qtables=wide, quality=-1)
    yield "standard-tables-left-out", without(plain, 0xC4)
    yield "extended", plain.replace(b"\xff\xc0", b"\xff\xc1", 1)
    yield "three-scans", cjpeg(image, scans="0;1;2;")
    yield "two-scans", cjpeg(image, "-sample", "2x2", "-restart", "2B", scans="0;1 2;")
    yield "from-baseline", jpegtran(plain, "-progressive")
    yield "to-baseline", jpegtran(jpeg(image, progressive=True))
    yield "turned", jpegtran(jpeg(image, subsampling="4:2:2"), "-rotate", "90")
    yield "trailer", plain + b"tail of the file"
    yield "fill-bytes", plain[: scan_start(plain) - 14] + b"\xff\xff\xff" + plain[scan_start(plain) - 14 :]
    # Scans that stop early: blocks are smoothed.
    yield "dc-only", cjpeg(image, "-sample", "2x2", scans="0,1,2: 0-0, 0, 0;")
    yield "dc-in-part", cjpeg(image, scans="0,1,2: 0-0, 0, 1;")
    yield "some-ac", cjpeg(image, "-sample", "2x1", scans="0,1,2: 0-0, 0, 0; 0: 1-5, 0, 2; 1: 1-63, 0, 1; 2: 1-63, 0, 1;")
    yield "ac-in-part", cjpeg(image, scans="0,1,2: 0-0, 0, 1; 0: 1-63, 0, 1; 0,1,2: 0-0, 1, 0;")


def damaged(image):
    """Files that suffered."""
    plain, interlaced = jpeg(image, quality=85), jpeg(image, quality=85, progressive=True)
    marked = cjpeg(image, "-sample", "2x2", "-restart", "2B")
    at = lambda data, part: scan_start(data) + int((len(data) - scan_start(data)) * part)
    cut = lambda data, part: data[: at(data, part)]
    drop = lambda data, part, count: data[: at(data, part)] + data[at(data, part) + count :]
    flip = lambda data, part: data[: at(data, part)] + bytes([data[at(data, part)] ^ 0x55]) + data[at(data, part) + 1 :]
    lost = lambda i: marked[: restarts(marked)[i]] + marked[restarts(marked)[i] + 2 :]
    wrong = lambda i, n: marked[: restarts(marked)[i] + 1] + bytes([0xD0 + n]) + marked[restarts(marked)[i] + 2 :]
    yield "cut", cut(plain, 0.6)
    yield "cut-progressive", interlaced[: interlaced.rindex(b"\xff\xda") + 40]
    yield "cut-restarts", cut(marked, 0.5)
    yield "short-and-ended", cut(plain, 0.5) + b"\xff\xd9"
    yield "bytes-lost", drop(plain, 0.3, 40)
    yield "bytes-lost-restarts", drop(marked, 0.3, 25)
    yield "flip", flip(plain, 0.4)
    yield "flip-progressive", flip(interlaced, 0.2)
    yield "restart-lost", lost(2)
    yield "restart-early", wrong(2, 3)
    yield "restart-late", wrong(3, 1)
    yield "restart-far", wrong(1, 6)
    yield "other-marker", marked[: restarts(marked)[1] + 1] + b"\xfe\0\2" + marked[restarts(marked)[1] + 2 :]
    yield "left-over", plain[:-2] + bytes(range(1, 60)) + b"\xff\xd9"


def few():
    image = photograph(50, 37)
    for sampling in SAMPLING:
        for name, style in [("", []), ("-progressive", ["-progressive"])]:
            yield f"{sampling.replace(',', '-')}{name}", cjpeg(image, "-quality", "60", "-sample", sampling, *style), False
    for (w, h), sub in itertools.product([(1, 1), (3, 2), (17, 33)], ["4:4:4", "4:2:2", "4:2:0"]):
        yield f"{w}x{h}-{sub.replace(':', '')}", jpeg(photograph(w, h), quality=85, subsampling=sub), False
    for quality in [1, 100]:
        yield f"quality-{quality}", jpeg(photograph(33, 15), quality=quality), False
    for name, data in special(photograph(45, 37)):
        yield name, data, False
    for name, data in damaged(photograph(80, 61)):
        # Codes find their way again by themselves: such damage need not show.
        yield name, data, None if name in ("bytes-lost", "flip", "flip-progressive") else True


def many():
    """Everything that is installed, in every setting."""
    import av
    import mozjpeg_lossless_optimization as mozjpeg

    for w, h in SIZES:
        image = photograph(w, h)
        name = f"{w}x{h}"
        settings = itertools.product(["4:4:4", "4:2:2", "4:2:0"], [1, 30, 75, 95, 100], [False, True], [False, True])
        for sub, quality, progressive, optimize in settings:
            yield name, jpeg(image, quality=quality, subsampling=sub, progressive=progressive, optimize=optimize), False
        for sampling, style, quality in itertools.product(SAMPLING, STYLES, ["40", "90"]):
            yield name, cjpeg(image, "-quality", quality, "-sample", sampling, *style), False
        for style, method in itertools.product(STYLES, ["int", "fast", "float"]):
            yield name, cjpeg(image, "-dct", method, *style), False
        for sampling, extra in itertools.product(["4:4:4", "4:2:2", "4:2:0", "4:4:0", "4:1:1"], [[], ["-interlace", "JPEG"]]):
            options = ["-sampling-factor", sampling, "-quality", "83", *extra]
            yield name, run(["/usr/bin/convert", "ppm:-", *options, "jpg:-"], encoded(image, "PPM")), False
        yield name, run(["/usr/bin/convert", "ppm:-", "-colorspace", "CMYK", "jpg:-"], encoded(image, "PPM")), False
        yield name, run(["/usr/bin/convert", "ppm:-", "-colorspace", "Gray", "jpg:-"], encoded(image, "PPM")), False
        for quality, sub in itertools.product([20, 75, 97], ["4:4:4", "4:2:2", "4:2:0"]):
            yield name, mozjpeg.optimize(jpeg(image, quality=quality, subsampling=sub)), False
        if w > 1 and w % 2 == h % 2 == 0:
            for format in ["yuvj420p", "yuvj422p", "yuvj444p"]:
                codec = av.CodecContext.create("mjpeg", "w")
                codec.width, codec.height, codec.pix_fmt, codec.time_base = w, h, format, Fraction(1, 25)
                frame = av.VideoFrame.from_image(image).reformat(format=format)
                yield name, b"".join(bytes(p) for f in [frame, None] for p in codec.encode(f)), False
        yield from ((f"{name}-{kind}", data, False) for kind, data in special(image))
    yield from mutations()


def mutations():
    """Flips, losses and insertions at random. Whether each is damage that shows is not known."""
    random = np.random.default_rng(9)
    whole = [
        cjpeg(photograph(w, h), "-sample", sampling, *style)
        for (w, h), sampling, style in itertools.product([(33, 15), (90, 70)], ["1x1", "2x2", "2x1", "1x2"], STYLES)
    ]
    for number in range(3000):
        data = bytearray(whole[number % len(whole)])
        for _ in range(1 + random.integers(3)):
            at = int(random.integers(scan_start(data), len(data) - 2))
            kind, length = random.integers(4), int(random.integers(1, 20))
            if kind == 0:
                data[at] ^= 1 << int(random.integers(8))
            elif kind == 1:
                del data[at : at + length]
            elif kind == 2:
                data[at:at] = random.integers(0, 256, length, dtype=np.uint8).tobytes()
            else:
                places = restarts(data) or [at]
                data[places[int(random.integers(len(places)))] + 1] = 0xD0 + int(random.integers(8))
        yield "mutation", bytes(data), None


def pillow(data, by):
    """What Pillow gives at 1/by of the size."""
    image = Image.open(io.BytesIO(data))
    if by > 1:
        size = [-(-side // by) for side in image.size]
        image.draft(None, [side // by for side in image.size])
        assert list(image.size) == size
    return image.convert("RGB")


def cases(files, folder):
    for number, (name, data, harmed) in enumerate(files):
        file = f"{name}.jpg" if folder == HERE / "jpeg" else f"{number:05}-{name}.jpg"
        ImageFile.LOAD_TRUNCATED_IMAGES = bool(harmed)
        try:
            size = Image.open(io.BytesIO(data)).size
            # Numbers that no encoder writes overflow, and at the reduced sizes in ways of their own.
            by = [by for by in (1, 2, 4, 8) if min(size) >= by and (by == 1 or harmed is False)]
            sums = {str(n): digest(pillow(data, n).tobytes()) for n in by}
        except OSError:
            if harmed is None:
                continue  # Pillow gives up
            raise
        (folder / file).write_bytes(data)
        case = dict(file=file, size=size, sha256=sums)
        if harmed is not False:
            case["damaged"] = harmed
        yield case


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--many", type=Path, metavar="FOLDER")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    folder, files = (chosen.many, many()) if chosen.many else (HERE / "jpeg", few())
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.jpg"):
        old.unlink()
    lines = [json.dumps(case) for case in cases(files, folder)]
    list = folder / "jpeg.json" if chosen.many else HERE / "jpeg.json"
    list.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"{len(lines)} files, {sum(len(json.loads(line)['sha256']) for line in lines)} pictures")


if __name__ == "__main__":
    main()
