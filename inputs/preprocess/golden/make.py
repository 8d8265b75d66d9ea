"""Makes the golden files of zoo-preprocess with Pillow and torchvision-style arithmetic.

    python make.py        # writes sources/, decode/, reduced/, resize.json, pipeline.json, decode.json beside itself

Versions: see tests/reference/requirements.txt. Needs Pillow, numpy and torch.
"""

import hashlib
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
SOURCES, DECODE, REDUCED = HERE / "sources", HERE / "decode", HERE / "reduced"
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
CLIP = dict(mean=[0.48145466, 0.4578275, 0.40821073], std=[0.26862954, 0.26130258, 0.27577711])
IMAGENET = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
HALF = dict(mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])
PLAIN = dict(mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0])
SAM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def picture(width: int, height: int, seed: int) -> np.ndarray:
    """Smooth waves, hard edges and a patch of full-range noise: everything that rounds and clips."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for c in range(3):
        fx, fy, phase = rng.uniform(0.02, 0.12, 2).tolist() + [rng.uniform(0, 6.28)]
        planes.append(127.5 + 127.5 * np.sin(fx * x + fy * y + phase))
    image = np.stack(planes, -1).round().astype(np.uint8)
    image[: height // 3, : width // 4] = (255, 0, 128)
    h, w = -(-height // 3), -(-width // 3)
    image[height - h :, width - w :] = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    return image


def sources() -> dict[str, Image.Image]:
    sizes = [(1, 1), (5, 2), (1, 7), (7, 1), (37, 23), (64, 64), (90, 131), (300, 200)]
    out = {}
    for seed, (w, h) in enumerate(sizes):
        name = f"{w}x{h}.png"
        Image.fromarray(picture(w, h, seed)).save(SOURCES / name, optimize=True)
        out[name] = Image.open(SOURCES / name).convert("RGB")
    return out


def resize_cases(images):
    for source, image in images.items():
        for filter in FILTERS:
            for size in [(1, 1), (14, 14), (28, 20), (56, 56), (64, 23), (37, 64), (224, 224)]:
                # Two calls fix the order: since version 13 Pillow goes vertically first where that is cheaper. For
                # a square to a square, all that an encoder ever needs, every version goes horizontally first.
                resized = image.resize((size[0], image.height), FILTERS[filter]).resize(size, FILTERS[filter])
                yield dict(source=source, size=size, filter=filter, sha256=digest(resized.tobytes()))


def expand_to_square(image: Image.Image, color) -> Image.Image:
    w, h = image.size
    if w == h:
        return image
    square = Image.new("RGB", (max(w, h),) * 2, color)
    square.paste(image, ((max(w, h) - w) // 2, (max(w, h) - h) // 2))
    return square


def center_crop(image: Image.Image, size: int) -> Image.Image:
    w, h = image.size
    left, top = int(round((w - size) / 2.0)), int(round((h - size) / 2.0))
    return image.crop((left, top, left + size, top + size))


def pipeline_cases(images):
    import torch  # the other scripts do without

    pipelines = [
        dict(size=56, pad=[122, 116, 104], **CLIP),
        dict(size=42, pad=[123, 116, 103], filter="bicubic", **IMAGENET),
        dict(size=64, pad=[255, 255, 255], raw=True, **SAM),
        dict(size=33, pad=[127, 127, 127], filter="bilinear", **HALF),
        dict(size=224, pad=[122, 116, 104], then=dict(resize=256, filter="bilinear"), **IMAGENET),
        dict(size=224, pad=[122, 116, 104], then=dict(resize=248), **HALF),
        dict(size=224, pad=[122, 116, 104], then=dict(resize=248, filter="bicubic"), **IMAGENET),
        dict(size=448, pad=[123, 116, 103], **PLAIN),
        dict(size=28, pad=[122, 116, 104], then=dict(resize=31, filter="bicubic"), **IMAGENET),
    ]
    for source, image in images.items():
        for p in pipelines:
            seen = expand_to_square(image, tuple(p["pad"]))
            seen = seen.resize((p["size"],) * 2, FILTERS[p.get("filter", "bicubic")])
            if then := p.get("then"):
                seen = seen.resize((then["resize"],) * 2, FILTERS[then.get("filter", "bicubic")])
                seen = center_crop(seen, p["size"])
            x = torch.from_numpy(np.array(seen)).permute(2, 0, 1).to(torch.float32)
            x = x if p.get("raw") else x.div(255)
            x = x.sub(torch.tensor(p["mean"])[:, None, None]).div(torch.tensor(p["std"])[:, None, None])
            yield dict(
                source=source,
                pipeline=p,
                seen=digest(seen.tobytes()),
                pixels=digest(x.contiguous().numpy().astype("<f4").tobytes()),
            )


def png(width, height, depth, color, rows: bytes, *chunks) -> bytes:
    """A PNG of any colour type and depth; `rows` without filter bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    stride = len(rows) // height
    lines = b"".join(b"\0" + rows[i * stride : (i + 1) * stride] for i in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(k, d) for k, d in body)


def encoded(image: Image.Image, format: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def oriented(tag: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif.tobytes()


def decode_files() -> dict[str, bytes]:
    rgb = picture(31, 17, 100)
    alpha = np.linspace(0, 255, 31 * 17).astype(np.uint8).reshape(17, 31)
    image = Image.fromarray(rgb)
    grey = image.convert("L")
    rgba = Image.fromarray(np.dstack([rgb, alpha]))
    rng = np.random.default_rng(7)
    wide = lambda channels: rng.integers(0, 65536, (9, 13, channels)).astype(">u2").tobytes()
    dim = (np.arange(9 * 13) * 5).astype(">u2").tobytes()  # grey on both sides of 255
    palette = image.quantize(16)
    smooth = Image.fromarray(picture(48, 40, 101)).resize((48, 40)).crop((0, 0, 30, 26))
    files = {
        # PNG: all colour types and depths.
        "rgb8.png": encoded(image, "PNG"),
        "rgba8.png": encoded(rgba, "PNG"),
        "grey8.png": encoded(grey, "PNG"),
        "grey-alpha8.png": encoded(Image.merge("LA", [grey, Image.fromarray(alpha)]), "PNG"),
        "grey1.png": png(8, 4, 1, 0, bytes([0b10110010, 0b01010101, 0xFF, 0])),
        "grey2.png": png(8, 2, 2, 0, bytes([0b00011011, 0b11100100] * 2)),
        "grey4.png": png(4, 2, 4, 0, bytes([0x01, 0x8F, 0xF0, 0x7A])),
        "grey16.png": png(13, 9, 16, 0, dim),
        "grey16-trns.png": png(13, 9, 16, 0, dim, (b"tRNS", struct.pack(">H", 100))),
        "grey8-trns.png": png(4, 1, 8, 0, bytes([0, 50, 100, 255]), (b"tRNS", struct.pack(">H", 50))),
        "rgb16.png": png(13, 9, 16, 2, wide(3)),
        "rgb16-trns.png": png(13, 9, 16, 2, wide(3), (b"tRNS", struct.pack(">HHH", 1, 2, 3))),
        "grey-alpha16.png": png(13, 9, 16, 4, wide(2)),
        "rgba16.png": png(13, 9, 16, 6, wide(4)),
        "palette.png": encoded(palette, "PNG"),
        "palette-bits1.png": encoded(image.quantize(2), "PNG", bits=1),
        "palette-beyond.png": png(4, 1, 8, 3, bytes([0, 1, 2, 200]), (b"PLTE", bytes(range(6)))),
        "palette-transparent.png": encoded(palette, "PNG", transparency=bytes(range(0, 160, 10))),
        "gamma.png": png(2, 1, 8, 2, bytes(range(6)), (b"gAMA", struct.pack(">I", 100000))),
        "turned.png": encoded(image, "PNG", exif=oriented(6)),
        # Others without loss.
        "lossless.webp": encoded(image, "WEBP", lossless=True),
        "lossless-alpha.webp": encoded(rgba, "WEBP", lossless=True, exact=True),
        "plain.gif": encoded(palette, "GIF"),
        "grey.gif": encoded(grey, "GIF"),
        "transparent.gif": encoded(palette, "GIF", transparency=3),
        "animated.gif": encoded(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]),
        "rgb.bmp": encoded(image, "BMP"),
        "palette.bmp": encoded(palette, "BMP"),
        "grey.bmp": encoded(grey, "BMP"),
        "bits1.bmp": encoded(image.convert("1"), "BMP"),
        "rgba.bmp": encoded(rgba, "BMP"),
        "rgb.tiff": encoded(image, "TIFF"),
        "lzw.tiff": encoded(image, "TIFF", compression="tiff_lzw"),
        "deflate.tiff": encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        "rgba.tiff": encoded(rgba, "TIFF"),
        "grey.tiff": encoded(grey, "TIFF"),
        "bits1.tiff": encoded(image.convert("1"), "TIFF"),
        "grey16.tiff": encoded(Image.fromarray(np.frombuffer(dim, ">u2").astype("<u2").reshape(9, 13)), "TIFF"),
        "cmyk.tiff": encoded(image.convert("CMYK"), "TIFF"),
        "turned.tiff": encoded(image, "TIFF", exif=oriented(6)),
        # With loss. More of JPEG: see jpeg.py.
        "baseline.jpg": encoded(smooth, "JPEG", quality=92, subsampling=0),
        "subsampled.jpg": encoded(smooth, "JPEG", quality=92, subsampling=2),
        "progressive.jpg": encoded(smooth, "JPEG", quality=92, subsampling=0, progressive=True),
        "grey.jpg": encoded(smooth.convert("L"), "JPEG", quality=92),
        "cmyk.jpg": encoded(smooth.convert("CMYK"), "JPEG", quality=92),
        "turned.jpg": encoded(smooth, "JPEG", quality=92, subsampling=0, exif=oriented(8)),
        "lossy.webp": encoded(smooth, "WEBP", quality=92),
        "lossy-alpha.webp": encoded(rgba.resize((30, 26)), "WEBP", quality=92),
    }
    return files


def decode_cases():
    for name, data in decode_files().items():
        (DECODE / name).write_bytes(data)
        image = Image.open(DECODE / name).convert("RGB")
        yield dict(file=name, size=image.size, sha256=digest(image.tobytes()))


def photograph(width: int, height: int) -> Image.Image:
    """Light and colour that change slowly, edges, and a texture as fine as pixels."""
    rng = np.random.default_rng(55)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    image = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.float64)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    image += (20 * np.sin(2.1 * x + 0.3 * y) * (x > width / 2))[..., None]
    image += rng.normal(0, 12, image.shape) * (y > height / 2)[..., None]
    image[height // 4 : height // 3, width // 8 : width // 2] = (230, 40, 60)
    return Image.fromarray(image.clip(0, 255).round().astype(np.uint8))


def reduced_files() -> dict[str, bytes]:
    """JPEGs of every kind, of sides that no block divides, to be decoded at a reduced size."""
    image = photograph(203, 149)
    coarse_table = [[min(4 * (i + 1) * (2 + i // 8), 2000) for i in range(64)]] * 2
    jpeg = lambda image, **options: encoded(image, "JPEG", **{"quality": 90, **options})
    return {
        "420.jpg": jpeg(image, subsampling="4:2:0"),
        "422.jpg": jpeg(image, subsampling="4:2:2"),
        "444.jpg": jpeg(image, subsampling="4:4:4"),
        "portrait.jpg": jpeg(image.transpose(Image.Transpose.ROTATE_90)),
        "progressive.jpg": jpeg(image, progressive=True),
        "restarts.jpg": jpeg(image, restart_marker_blocks=3),
        "rgb.jpg": jpeg(image, keep_rgb=True),
        "wide-tables.jpg": jpeg(image, qtables=coarse_table, quality=-1),
        "grey.jpg": jpeg(image.convert("L")),
        "cmyk.jpg": jpeg(image.convert("CMYK")),
        "turned.jpg": jpeg(image, exif=oriented(6)),
        "turned-whole.jpg": jpeg(image.crop((0, 0, 200, 144)), exif=oriented(6)),
    }


def write(name, cases):
    lines = ",\n".join(json.dumps(c) for c in cases)
    (HERE / name).write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    SOURCES.mkdir(exist_ok=True)
    DECODE.mkdir(exist_ok=True)
    REDUCED.mkdir(exist_ok=True)
    for name, data in reduced_files().items():
        (REDUCED / name).write_bytes(data)
    images = sources()
    write("resize.json", resize_cases(images))
    write("pipeline.json", pipeline_cases(images))
    write("decode.json", decode_cases())
