"""Makes the files of tests/fuzz/corpus/images that no image program writes: cut, lying, mislabelled.

    python hostile.py
"""

import struct
import zlib
from pathlib import Path

from make import encoded, picture, png
from PIL import Image

OUT = Path(__file__).resolve().parents[3] / "tests" / "fuzz" / "corpus" / "images"


def main():
    image = Image.fromarray(picture(24, 16, 1))
    noise = Image.fromarray(picture(24, 16, 2)).resize((40, 40))
    whole_png, whole_jpeg = encoded(image, "PNG"), encoded(noise, "JPEG", quality=95)
    gif, webp = encoded(image.quantize(8), "GIF"), encoded(noise, "WEBP", lossless=True)
    bmp, tiff = encoded(image, "BMP"), encoded(image, "TIFF")
    sof = whole_jpeg.index(b"\xff\xc0")
    huge_jpeg = whole_jpeg[: sof + 5] + struct.pack(">HH", 65500, 65500) + whole_jpeg[sof + 9 :]
    zero_jpeg = whole_jpeg[: sof + 5] + struct.pack(">HH", 0, 40) + whole_jpeg[sof + 9 :]
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = lambda w, h, depth=8, color=2: chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, 0))
    signature, end = whole_png[:8], chunk(b"IEND", b"")
    bad_crc = bytearray(whole_png)
    bad_crc[29] ^= 0xFF
    files = {
        "empty.png": b"",
        "text.png": b"This is a note, not an image.\n",
        "page.jpg": b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n",
        "drawing.png": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>\n',
        "pointer.jpg": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        "photo.avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
        "photo.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "film.mp4": b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2",
        "photo.jxl": b"\xff\x0a\xfa\x1f",
        "page.pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        "zeros.bin": bytes(64),
        "signature-only.png": signature,
        "cut-header.png": whole_png[:20],
        "cut.png": whole_png[: len(whole_png) * 2 // 3],
        "huge.png": signature + header(100_000, 100_000) + chunk(b"IDAT", zlib.compress(b"")) + end,
        "largest.png": signature + header(2**31 - 1, 2**31 - 1) + chunk(b"IDAT", zlib.compress(b"")) + end,
        "zero-width.png": signature + header(0, 5) + chunk(b"IDAT", zlib.compress(b"")) + end,
        "no-data.png": signature + header(4, 4) + end,
        "wrong-depth.png": signature + header(4, 4, depth=3) + chunk(b"IDAT", zlib.compress(bytes(64))) + end,
        "wrong-checksum.png": bytes(bad_crc),
        "short-data.png": signature + header(8, 8) + chunk(b"IDAT", zlib.compress(bytes(30))) + end,
        "start-only.jpg": b"\xff\xd8\xff",
        "cut-header.jpg": whole_jpeg[: sof + 6],
        "cut.jpg": whole_jpeg[: len(whole_jpeg) * 2 // 3],
        "no-end.jpg": whole_jpeg[:-2],
        "huge.jpg": huge_jpeg,
        "zero-height.jpg": zero_jpeg,
        "no-frame.gif": gif[:13] + b";",
        "cut.gif": gif[: len(gif) // 2],
        "huge.gif": gif[:6] + struct.pack("<HH", 65535, 65535) + gif[10:],
        "cut.webp": webp[: len(webp) // 2],
        "header-only.webp": webp[:20],
        "cut.bmp": bmp[: len(bmp) // 2],
        "huge.bmp": bmp[:18] + struct.pack("<ii", 60_000, 60_000) + bmp[26:],
        "negative.bmp": bmp[:18] + struct.pack("<ii", -24, 16) + bmp[26:],
        "cut.tiff": tiff[: len(tiff) // 2],
        "header-only.tiff": b"II*\0\x08\0\0\0",
        "loop.tiff": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
        "floats.tiff": encoded(Image.new("F", (3, 2), 0.5), "TIFF"),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (OUT / name).write_bytes(data)


if __name__ == "__main__":
    main()
