"""Renders the pictures of this folder: a small path tracer and a procedural landscape, numpy only.

    python render.py [--samples N] [--out DIR]

Takes some minutes at the shipped quality (--samples 20). Needs numpy and Pillow.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

F = np.float32


# --- shared -----------------------------------------------------------------------------------------------------


def hash2(ix, iy, seed=0):
    """Uniform [0, 1) noise on an integer lattice."""
    with np.errstate(over="ignore"):
        h = ix.astype(np.uint32) * np.uint32(374761393) + iy.astype(np.uint32) * np.uint32(668265263)
        h = h + np.uint32(seed) * np.uint32(2246822519)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
        h = h ^ (h >> np.uint32(16))
    return h.astype(F) / F(2**32)


def value_noise(x, y, seed=0):
    ix, iy = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    fx, fy = (x - ix).astype(F), (y - iy).astype(F)
    fx, fy = fx * fx * fx * (fx * (fx * 6 - 15) + 10), fy * fy * fy * (fy * (fy * 6 - 15) + 10)
    a, b = hash2(ix, iy, seed), hash2(ix + 1, iy, seed)
    c, d = hash2(ix, iy + 1, seed), hash2(ix + 1, iy + 1, seed)
    return (a + (b - a) * fx) * (1 - fy) + (c + (d - c) * fx) * fy


def fbm(x, y, octaves=5, seed=0, gain=0.5, ridged=False):
    total, amplitude, norm = np.zeros(np.broadcast(x, y).shape, F), 1.0, 0.0
    for o in range(octaves):
        n = value_noise(x * 2**o + 17.3 * o, y * 2**o - 9.1 * o, seed + o)
        total += F(amplitude) * (1 - np.abs(2 * n - 1) if ridged else n)
        norm += amplitude
        amplitude *= gain
    return total / F(norm)


def smoothstep(a, b, x):
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def develop(linear, exposure=1.0, grain=0.012, vignette=0.25, seed=0):
    """Linear light to sRGB bytes through a film-like curve, with vignette, bloom and grain."""
    h, w, _ = linear.shape
    x = linear * exposure
    bright = np.clip(x - 1.0, 0, 4)
    for radius in (3, 9, 21):
        x = x + 0.06 * blur(bright, radius)
    yy, xx = np.mgrid[0:h, 0:w]
    r2 = ((xx - w / 2) ** 2 + (yy - h / 2) ** 2) / ((w**2 + h**2) / 4)
    x = x * (1 - vignette * r2[..., None])
    x = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)  # ACES fit
    x = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(np.maximum(x, 1e-8), 1 / 2.4) - 0.055)
    rng = np.random.default_rng(seed)
    noise = blur(rng.normal(0, 1, (h, w, 1)), 1) * 1.6 + 0.35 * rng.normal(0, 1, (h, w, 3))
    x = x + grain * noise * (1 - 0.6 * x)
    return (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)


def blur(x, radius):
    """Gaussian-like: three box blurs."""
    for axis in (0, 1):
        for _ in range(3):
            pad = [(0, 0)] * 3
            pad[axis] = (radius + 1, radius)
            c = np.cumsum(np.pad(x, pad, mode="edge"), axis)
            n = x.shape[axis]
            hi, lo = np.arange(n) + 2 * radius + 1, np.arange(n)
            x = (np.take(c, hi, axis) - np.take(c, lo, axis)) / (2 * radius + 1)
    return x


# --- still life: a path tracer over signed distances -------------------------------------------------------------

WINDOW = dict(x=-6.5, y=(1.0, 5.2), z=(-2.6, 2.4))  # a window in the left wall


def length(*c):
    return np.sqrt(sum(v * v for v in c))


def sd_round_box(p, center, half, r, turn=0.0):
    x, y, z = (p[:, i] - center[i] for i in range(3))
    c, s = np.cos(turn), np.sin(turn)
    x, z = c * x + s * z, -s * x + c * z
    qx, qy, qz = np.abs(x) - half[0] + r, np.abs(y) - half[1] + r, np.abs(z) - half[2] + r
    out = length(np.maximum(qx, 0), np.maximum(qy, 0), np.maximum(qz, 0))
    return out + np.minimum(np.maximum(qx, np.maximum(qy, qz)), 0) - r


def sd_revolved(p, center, profile, r):
    """A wall of thickness 2r along a polyline (radius, height) revolved about the vertical axis."""
    q = length(p[:, 0] - center[0], p[:, 2] - center[2])
    y = p[:, 1] - center[1]
    best = np.full(len(p), 1e9, F)
    for (ax, ay), (bx, by) in zip(profile, profile[1:]):
        dx, dy = bx - ax, by - ay
        t = np.clip(((q - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0, 1)
        best = np.minimum(best, length(q - ax - t * dx, y - ay - t * dy))
    return best - r


MUG = (-1.25, 0.0, 0.35)
VASE = (1.75, 0.0, -1.35)
VASE_PROFILE = [(0.0, 0.06), (0.42, 0.06), (0.62, 0.35), (0.74, 0.75), (0.68, 1.2), (0.42, 1.65), (0.26, 2.0), (0.27, 2.3), (0.38, 2.5)]
MUG_PROFILE = [(0.0, 0.07), (0.5, 0.07), (0.58, 0.16), (0.6, 1.15)]


def sd_mug(p):
    body = sd_revolved(p, MUG, MUG_PROFILE, F(0.05))
    x, y, z = p[:, 0] - MUG[0], p[:, 1] - 0.64, p[:, 2] - MUG[2]
    c, s = np.cos(-0.45), np.sin(-0.45)
    x, z = c * x + s * z, -s * x + c * z
    ring = length(np.maximum(x + 0.62, -10), y * 0.86)
    handle = length(ring - 0.3, z) - 0.065
    handle = np.maximum(handle, x + 0.56)
    k = F(0.06)
    h = np.clip(0.5 + 0.5 * (handle - body) / k, 0, 1)
    return handle * (1 - h) + body * h - k * h * (1 - h)


def sd_apple(p, center, size):
    x, y, z = (p[:, i] - center[i] for i in range(3))
    q = length(x, z)
    # A torus-like revolution gives the dimples at stalk and base.
    lobes = 1 + 0.025 * np.cos(5 * np.arctan2(z, x)) * np.clip(-y / size, -0.2, 1)
    return (length(q - 0.34 * size * lobes, (y - 0.04 * size) * (1.0 + 0.16 * y / size)) - 0.66 * size) * 0.85


def sd_stalk(p, center, size):
    y0, y1 = center[1] + 0.35 * size, center[1] + 0.95 * size
    t = np.clip((p[:, 1] - y0) / (y1 - y0), 0, 1)
    return length(p[:, 0] - center[0] - 0.12 * size * t * t, p[:, 1] - y0 - t * (y1 - y0), p[:, 2] - center[2]) - 0.035


APPLE, APPLE2 = (0.28, 0.57, 0.95), (1.22, 0.5, 0.35)
BOOKS = [
    ((-2.75, 0.17, -1.35), (1.15, 0.17, 0.8), 0.22, (0.10, 0.20, 0.26)),
    ((-2.65, 0.49, -1.3), (1.0, 0.15, 0.72), -0.06, (0.50, 0.13, 0.07)),
    ((-2.8, 0.75, -1.35), (0.88, 0.11, 0.66), 0.33, (0.62, 0.50, 0.30)),
]
LEMON = (-0.42, 0.36, 1.5)


def sd_lemon(p):
    x, y, z = (p[:, i] - LEMON[i] for i in range(3))
    c, s = np.cos(0.7), np.sin(0.7)
    x, z = c * x + s * z, -s * x + c * z
    tip = 0.10 * np.exp(-((np.abs(x) - 0.5) ** 2) / 0.008)
    return (length(x * 0.74, y, z) - 0.36 - 0.3 * tip * (length(y, z) < 0.2)) * 0.8


FLOOR, WALL, LEFT, MUGID, VASEID, APPLEID, STALK, LEMONID, BOOK, PAGES, BALL, TEA, STEM = range(13)


def scene(p):
    """Distance and material at points."""
    d = p[:, 1].copy()
    m = np.full(len(p), FLOOR, np.int8)

    def put(dist, material):
        nonlocal d
        closer = dist < d
        d = np.where(closer, dist, d)
        m[closer] = material

    put(p[:, 2] + F(3.6), WALL)
    put(sd_mug(p), MUGID)
    tea = np.maximum(length(p[:, 0] - MUG[0], p[:, 2] - MUG[2]) - 0.57, np.abs(p[:, 1] - 0.93) - 0.02)
    put(tea, TEA)
    put(sd_revolved(p, VASE, VASE_PROFILE, F(0.045)) * F(0.9), VASEID)
    for a, size in ((APPLE, 0.62), (APPLE2, 0.54)):
        put(sd_apple(p, a, size), APPLEID)
        put(sd_stalk(p, a, size), STALK)
    put(sd_lemon(p), LEMONID)
    for center, half, turn, _ in BOOKS:
        put(sd_round_box(p, center, half, F(0.03), turn), BOOK)
    put(length(p[:, 0] - 2.35, p[:, 1] - 0.3, p[:, 2] - 0.95) - F(0.3), BALL)
    for k in range(5):
        t = np.clip((p[:, 1] - 1.2) / (2.2 + 0.25 * (k % 3)), 0, 1)
        a = k * 1.257 + 0.4
        bend = 0.75 * t * t * (0.6 + 0.15 * k)
        cx, cz = VASE[0] + bend * np.cos(a), VASE[2] + 0.6 * bend * np.sin(a)
        cy = 1.2 + t * (2.2 + 0.25 * (k % 3))
        put(length(p[:, 0] - cx, p[:, 1] - cy, p[:, 2] - cz) - F(0.022), STEM)
        top = 1.2 + 2.2 + 0.25 * (k % 3)
        b = 0.75 * (0.6 + 0.15 * k)
        for j in range(9):
            s = 1 - j * 0.075
            lx = VASE[0] + b * s * s * np.cos(a) + 0.09 * np.cos(2.4 * j)
            lz = VASE[2] + 0.6 * b * s * s * np.sin(a) + 0.09 * np.sin(2.4 * j)
            ly = 1.2 + s * (top - 1.2) + 0.04
            put(length((p[:, 0] - lx), (p[:, 1] - ly) * 0.75, (p[:, 2] - lz)) - F(0.075 - 0.003 * j), PAGES)
    return d.astype(F), m


def distance(p):
    return scene(p)[0]


def normal(p):
    e = F(0.0015)
    k = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], F)
    n = sum(k[i] * distance(p + e * k[i])[:, None] for i in range(4))
    return n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-9)


def march(o, d, limit=14.0, steps=72):
    """Distance along each ray to the scene, or `limit`."""
    t = np.full(len(o), 0.01, F)
    active = np.arange(len(o))
    for _ in range(steps):
        if not len(active):
            break
        s = distance(o[active] + t[active, None] * d[active])
        t[active] += s * F(0.95)
        active = active[(s > 0.0008 * (1 + t[active])) & (t[active] < limit)]
    return np.minimum(t, F(limit))


def wood(p):
    plank = np.floor(p[:, 2] / 0.95)
    x = p[:, 0] + 7.7 * hash2(plank, plank, 5)
    z = p[:, 2]
    warp = fbm(x * 0.35, z * 1.2 + plank * 9, 4, 11)
    rings = 0.5 + 0.5 * np.sin(34 * (z * 0.55 + 0.9 * warp + 0.12 * x * 0.15))
    fine = fbm(x * 1.3, z * 42, 3, 23)
    tone = 0.55 * rings + 0.45 * fine
    dark, light = np.array([0.16, 0.075, 0.032], F), np.array([0.46, 0.26, 0.125], F)
    color = dark + (light - dark) * tone[:, None] * (0.75 + 0.4 * hash2(plank, plank, 9))[:, None]
    seam = smoothstep(0.0, 0.02, np.abs(z / 0.95 - plank - 0.5) * -1 + 0.5)
    return color * (0.25 + 0.75 * seam[:, None]), 0.34 + 0.22 * fine


def surface(p, n, m):
    """Base colour, roughness and specular reflectance."""
    color = np.full((len(p), 3), 0.5, F)
    rough, spec = np.full(len(p), 0.6, F), np.full(len(p), 0.04, F)

    def where(i):
        return np.nonzero(m == i)[0]

    i = where(FLOOR)
    color[i], rough[i] = wood(p[i])
    i = where(WALL)
    plaster = fbm(p[i, 0] * 1.1, p[i, 1] * 1.1, 5, 31)
    color[i] = np.array([0.36, 0.39, 0.37], F) * (0.86 + 0.26 * plaster[:, None])
    rough[i] = 0.95
    spec[i] = 0.02
    i = where(MUGID)
    glaze = smoothstep(0.42, 0.50, p[i, 1] + 0.05 * fbm(p[i, 0] * 5 + p[i, 2] * 3, p[i, 1] * 2, 3, 3))
    speckle = (fbm(np.arctan2(p[i, 2] - MUG[2], p[i, 0] - MUG[0]) * 22, p[i, 1] * 26, 2, 8) > 0.70)[:, None]
    teal, clay = np.array([0.035, 0.20, 0.22], F), np.array([0.42, 0.27, 0.17], F)
    color[i] = clay + (teal - clay) * glaze[:, None]
    color[i] *= np.where(speckle, 0.45, 1.0)
    rough[i] = 0.75 - 0.6 * glaze
    i = where(TEA)
    color[i], rough[i] = np.array([0.07, 0.022, 0.006], F), 0.04
    i = where(VASEID)
    band = 0.5 + 0.5 * np.sin(p[i, 1] * 46 + 0.6 * fbm(p[i, 0] * 4, p[i, 2] * 4, 3, 2))
    color[i] = np.array([0.70, 0.66, 0.58], F) * (0.88 + 0.12 * band[:, None])
    rough[i] = 0.5
    i = where(APPLEID)
    angle, y = np.arctan2(p[i, 2] - 0.6, p[i, 0] - 0.7), p[i, 1]
    blush = smoothstep(0.25, 0.62, fbm(angle * 3, y * 2.2, 4, 41) * 0.7 + 0.22 * smoothstep(0.7, -0.4, n[i, 0]))
    streak = 0.8 + 0.35 * fbm(angle * 22, y * 1.6, 3, 43)
    red, gold = np.array([0.46, 0.022, 0.020], F), np.array([0.62, 0.36, 0.06], F)
    color[i] = (gold + (red - gold) * blush[:, None]) * streak[:, None]
    rough[i] = 0.2
    i = where(STALK)
    color[i] = np.array([0.10, 0.06, 0.03], F)
    i = where(LEMONID)
    bump = fbm(p[i, 0] * 22, p[i, 1] * 22 + p[i, 2] * 18, 2, 51)
    color[i] = np.array([0.80, 0.56, 0.045], F) * (0.82 + 0.25 * bump[:, None])
    rough[i] = 0.38
    i = where(BOOK)
    if len(i):
        best, which = np.full(len(i), 1e9, F), np.zeros(len(i), int)
        for k, (center, half, turn, _) in enumerate(BOOKS):
            s = np.abs(sd_round_box(p[i], center, half, F(0.03), turn))
            which, best = np.where(s < best, k, which), np.minimum(best, s)
        for k, (center, half, turn, cover) in enumerate(BOOKS):
            j = i[which == k]
            x, z = p[j, 0] - center[0], p[j, 2] - center[2]
            c, s = np.cos(turn), np.sin(turn)
            lx, lz = c * x + s * z, -s * x + c * z
            y = (p[j, 1] - center[1]) / half[1]
            pages = (np.abs(y) < 0.72) & ((lx > half[0] - 0.05) | (lz < -half[2] + 0.05))
            lines = 0.72 + 0.28 * hash2(np.floor(p[j, 1] * 240), np.zeros(len(j)), 3)
            cloth = 0.85 + 0.3 * fbm(lx * 60, lz * 60 + p[j, 1] * 60, 2, 61 + k)
            gilt = (lz > half[2] - 0.04) & (np.abs(np.abs(lx) - 0.62 * half[0]) < 0.025) & (np.abs(y) < 0.9)
            color[j] = np.array(cover, F) * cloth[:, None]
            color[j[gilt]] = (0.75, 0.52, 0.2)
            color[j[pages]] = np.array([0.68, 0.60, 0.46], F) * lines[pages, None]
            rough[j] = 0.7
    i = where(BALL)
    color[i], rough[i], spec[i] = np.array([0.92, 0.72, 0.40], F), 0.08, 0.9
    i = where(STEM)
    color[i] = np.array([0.09, 0.16, 0.05], F)
    i = where(PAGES)  # buds
    tint = fbm(p[i, 0] * 5, p[i, 1] * 5, 2, 71)[:, None]
    color[i] = np.array([0.66, 0.42, 0.50], F) * (0.7 + 0.6 * tint)
    rough[i] = 0.8
    return color, rough, spec


def sky(o, d):
    """Light that arrives from outside the room along rays that hit nothing."""
    dx = np.where(np.abs(d[:, 0]) < 1e-6, -1e-6, d[:, 0])
    t = (WINDOW["x"] - o[:, 0]) / dx
    y, z = o[:, 1] + t * d[:, 1], o[:, 2] + t * d[:, 2]
    (y0, y1), (z0, z1) = WINDOW["y"], WINDOW["z"]
    inside = (t > 0) & (y > y0) & (y < y1) & (z > z0) & (z < z1)
    bars = (np.abs((y - y0) / (y1 - y0) - 0.5) < 0.02) | (np.abs((z - z0) / (z1 - z0) - 0.5) < 0.02)
    glow = np.where((inside & ~bars)[:, None], np.array([15.0, 15.6, 16.5], F) * (0.7 + 0.3 * (y - y0) / (y1 - y0))[:, None], 0)
    ambient = np.array([0.20, 0.18, 0.16], F) * (0.6 + 0.4 * np.clip(d[:, 1:2], -1, 1))
    warm = np.array([0.75, 0.52, 0.32], F) * smoothstep(0.55, 0.95, d[:, 0] * 0.9 + d[:, 1] * 0.3)[:, None]  # lamp, right
    return (glow + ambient + warm).astype(F)


SUN = np.array([-0.80, 0.46, 0.38])
SUN = (SUN / np.linalg.norm(SUN)).astype(F)


def cosine(n, rng):
    u, v = rng.random(len(n), F), rng.random(len(n), F)
    a, r = 2 * np.pi * u, np.sqrt(v)
    z = 2 * rng.random(len(n), F) - 1
    s = np.sqrt(np.maximum(0, 1 - z * z))
    d = n + np.stack([s * np.cos(a), s * np.sin(a), z], -1)
    return (d / np.maximum(np.linalg.norm(d, axis=1, keepdims=True), 1e-6)).astype(F)


def direct(p, n, rng):
    """Light straight from the window (area sample) and from the sun through it."""
    (y0, y1), (z0, z1) = WINDOW["y"], WINDOW["z"]
    target = np.stack([np.full(len(p), WINDOW["x"], F), y0 + (y1 - y0) * rng.random(len(p), F), z0 + (z1 - z0) * rng.random(len(p), F)], -1)
    v = target - p
    r2 = (v * v).sum(1)
    v = v / np.sqrt(r2)[:, None]
    cos, cos_window = (n * v).sum(1), -v[:, 0]
    lit = np.nonzero((cos > 0) & (cos_window > 0))[0]
    out = np.zeros((len(p), 3), F)
    t = march(p[lit] + 0.004 * n[lit], v[lit], 11, 40)
    free = t > 6.0
    reach = np.abs((WINDOW["x"] - p[lit, 0]) / np.minimum(v[lit, 0], -1e-4))
    free |= t > reach - 0.02
    j = lit[free]
    area = (y1 - y0) * (z1 - z0)
    out[j] = sky(p[j], v[j]) * (cos[j] * cos_window[j] * area / (r2[j] * np.pi))[:, None]

    d = SUN + 0.018 * rng.normal(size=(len(p), 3)).astype(F)
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    cos = (n * d).sum(1)
    through = np.nonzero((cos > 0) & (sky(p, d)[:, 0] > 4))[0]
    t = march(p[through] + 0.004 * n[through], d[through], 11, 40)
    j = through[t > np.minimum(10.9, np.abs((WINDOW["x"] - p[through, 0]) / d[through, 0]) - 0.02)]
    out[j] += np.array([5.2, 4.1, 2.7], F) * cos[j, None]
    return out


def radiance(o, d, rng, bounces=3):
    """Light along each ray, and what it met first: colour, normal and distance."""
    light, weight = np.zeros((len(o), 3), F), np.ones((len(o), 3), F)
    met = np.zeros((len(o), 7), F)
    alive, seen_window = np.arange(len(o)), np.ones(len(o), bool)
    for bounce in range(bounces):
        t = march(o, d, 14.0 if bounce == 0 else 11.0, 90 if bounce == 0 else 44)
        miss = t >= 10.99 if bounce else t >= 13.99
        leak = sky(o[miss], d[miss])
        # After a rough bounce the window was already sampled directly.
        leak = np.where(seen_window[miss, None], leak, np.minimum(leak, 0.9))
        light[alive[miss]] += weight[alive[miss]] * leak
        hit = ~miss
        if not hit.any():
            break
        o, d, t, alive = o[hit], d[hit], t[hit], alive[hit]
        p = o + t[:, None] * d
        n = normal(p)
        color, rough, spec = surface(p, n, scene(p)[1])
        if bounce == 0:
            met[alive] = np.concatenate([color, n, t[:, None] * F(0.2)], 1)
        cos = np.clip(-(n * d).sum(1), 0, 1)
        fresnel = spec + (1 - spec) * (1 - cos) ** 5 * (1 - rough) ** 1.5
        mirror = rng.random(len(p), F) < fresnel
        diffuse = ~mirror
        light[alive[diffuse]] += weight[alive[diffuse]] * color[diffuse] * direct(p[diffuse], n[diffuse], rng)
        weight[alive] *= np.where((mirror & (spec < 0.5))[:, None], 1, color)
        r = d - 2 * (d * n).sum(1)[:, None] * n
        r = r + (rough**2)[:, None] * 0.7 * rng.normal(size=r.shape).astype(F)
        r /= np.linalg.norm(r, axis=1, keepdims=True)
        below = (r * n).sum(1) < 0
        r[below] -= 2 * (r[below] * n[below]).sum(1)[:, None] * n[below]
        d = np.where(mirror[:, None], r, cosine(n, rng)).astype(F)
        # Sharp reflections show it as long as no rough bounce came before; caustics would only be noise.
        seen_window = seen_window[hit] & mirror & (rough < 0.3)
        o = (p + 0.004 * n).astype(F)
    return np.minimum(light, 4), met


def still_life(width, height, samples, seed=1):
    rng = np.random.default_rng(seed)
    eye, target = np.array([0.45, 2.30, 6.6]), np.array([-0.25, 1.20, -0.35])
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    zoom, aperture = 2.42, 0.055
    focus = np.linalg.norm(np.array([0.0, 0.6, 0.9]) - eye)
    total, guide = np.zeros((height * width, 3), np.float64), np.zeros((height * width, 7), np.float64)
    yy, xx = np.mgrid[0:height, 0:width]
    for s in range(samples):
        jx, jy = rng.random((height, width)), rng.random((height, width))
        u = (2 * (xx + jx) - width) / height
        v = (height - 2 * (yy + jy)) / height
        d = (u[..., None] * right + v[..., None] * up + zoom * forward).reshape(-1, 3)
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        point = eye + d * (focus / (d @ forward))[:, None]
        a, r = 2 * np.pi * rng.random(len(d)), aperture * np.sqrt(rng.random(len(d)))
        o = eye + (r * np.cos(a))[:, None] * right + (r * np.sin(a))[:, None] * up
        d = point - o
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        light, met = radiance(o.astype(F), d.astype(F), rng)
        total += light
        guide += met
        print(f"still life {s + 1}/{samples}", end="\r", flush=True)
    image, guide = (total / samples).reshape(height, width, 3), (guide / samples).reshape(height, width, 7)
    return denoise(image, guide)


def denoise(image, guide, radius=4):
    """Cross-bilateral filter: averages neighbours that show the same surface in similar light."""
    tone = np.sqrt(np.maximum(blur(image, 1), 0))
    features = np.concatenate([guide[..., :3] / 0.05, guide[..., 3:6] / 0.25, guide[..., 6:] / 0.06, tone / 0.16], -1)
    total, weights = np.zeros_like(image), np.zeros(image.shape[:2] + (1,))
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            moved = np.roll(features, (dy, dx), (0, 1))
            far = ((moved - features) ** 2).sum(-1, keepdims=True) + (dx * dx + dy * dy) / (0.5 * radius**2)
            weight = np.exp(-0.5 * far)
            total += weight * np.roll(image, (dy, dx), (0, 1))
            weights += weight
    return total / weights


# --- lake: procedural layers --------------------------------------------------------------------------------------


def lake(width, height):
    scale = 2  # supersampling
    w, h = width * scale, height * scale
    yy, xx = np.mgrid[0:h, 0:w].astype(F)
    x, y = xx / w, yy / h  # y downwards
    horizon, sun = 0.56, (0.635, 0.395)

    def air(x, y):
        t = np.clip(y / horizon, 0, 1)[..., None]
        top, mid, low = np.array([0.055, 0.12, 0.30]), np.array([0.30, 0.33, 0.50]), np.array([1.05, 0.52, 0.24])
        sky = top + (mid - top) * smoothstep(0.0, 0.7, t) + (low - mid) * smoothstep(0.40, 0.95, t)
        r = np.sqrt((x - sun[0]) ** 2 + ((y - sun[1]) * h / w) ** 2)[..., None]
        sky = sky + np.array([1.25, 0.62, 0.24]) * np.exp(-r * 6) + np.array([16, 11.5, 6.5]) * smoothstep(0.021, 0.012, r)
        return sky, r

    sky, r = air(x, y)
    depth = 1 / np.maximum(horizon + 0.06 - y, 0.03)
    cx, cy = (x - 0.5) * depth * 0.9, depth * 1.7
    cloud = fbm(cx * 1.5 + 3.1, cy * 1.5, 7, 100, 0.52)
    cover = smoothstep(0.48, 0.74, cloud + 0.06 * smoothstep(0.0, 0.4, y))
    lit = smoothstep(0.75, 0.35, fbm(cx * 1.5 + 3.25, cy * 1.5 + 0.12, 7, 100, 0.52))
    shade = np.array([0.30, 0.26, 0.36]) + lit[..., None] * (np.array([1.15, 0.72, 0.50]) + 1.1 * np.exp(-r * 5) * np.array([1.2, 0.8, 0.45]))
    image = sky + (shade - sky) * (cover * 0.85 * smoothstep(0.56, 0.30, y))[..., None]

    haze = np.array([0.72, 0.42, 0.30])
    columns = np.arange(w, dtype=F) / w
    crest_of = {}
    layers = [
        # base height, relief, frequency, distance haze, seed
        (0.46, 0.20, 2.3, 0.60, 7),
        (0.49, 0.17, 2.9, 0.40, 21),
        (0.525, 0.115, 4.1, 0.20, 33),
        (0.556, 0.065, 6.3, 0.07, 47),
    ]
    for base, relief, frequency, far, seed in layers:
        ridge = fbm(columns * frequency, np.full(w, seed * 1.7, F), 7, seed, 0.5, ridged=True)
        ridge = (ridge - 0.45) * 1.6 + 0.35 * (fbm(columns * 1.1, np.full(w, seed * 0.3, F), 2, seed + 50) - 0.5)
        crest = base - relief * ridge
        crest_of[seed] = crest
        below = smoothstep(-1.5, 1.5, (y - crest[None, :]) * h)
        drop = (y - crest[None, :]) / 0.2
        # Slope of a height field gives the light: a ridged pattern dragged downhill.
        u, v = x * frequency * 3.2 + 0.6 * drop, y * frequency * 5 + seed
        e = 0.03
        height_field = lambda a, b: fbm(a, b, 6, seed + 5, 0.55, ridged=True)
        slope = (height_field(u - e, v) - height_field(u + e, v)) / (2 * e)
        light = np.clip(0.40 + 0.30 * np.tanh(0.6 * slope * np.sign(x - sun[0])), 0.05, 1)
        rock = np.array([0.24, 0.19, 0.20]) * (0.6 + 0.8 * fbm(u * 3, v * 3, 4, seed + 9)[..., None])
        forest = np.array([0.045, 0.065, 0.050]) * (0.5 + fbm(x * 170, y * 240, 3, seed + 13)[..., None])
        snow = np.array([0.90, 0.84, 0.86])
        tree_line = smoothstep(0.30, 0.62, drop + 0.45 * (fbm(x * 9, y * 9, 4, seed + 2) - 0.5) + (0.35 if far < 0.4 else -0.12))
        body = rock + (forest - rock) * tree_line[..., None]
        white = smoothstep(0.44, 0.58, fbm(u * 1.3, v * 0.9, 5, seed + 17) - 0.55 * drop + 0.1) * (far > 0.5)
        body = body + (snow - body) * white[..., None]
        body = body * (np.array([0.20, 0.24, 0.38]) + light[..., None] ** 1.5 * np.array([1.5, 0.85, 0.45]))
        mist = far + (1 - far) * 0.40 * smoothstep(horizon - 0.06, horizon, y)
        glow = haze * (0.42 + 1.0 * np.exp(-r * 4.5)) + np.array([0.0, 0.015, 0.06])
        body = body + (glow - body) * mist[..., None]
        image = image + (body - image) * below[..., None]

    # Water: the picture above the shore mirrored, shaken by waves that grow towards the viewer.
    water = yy / h > horizon
    near = np.clip((y - horizon) / (1 - horizon), 1e-3, 1)
    z = 1 / (near + 0.04)
    waves = fbm((x - 0.5) * z * 9, z * 26, 5, 201) - 0.5
    long = fbm((x - 0.5) * z * 2.2, z * 7, 3, 211) - 0.5
    tilt = (0.55 * waves + 0.6 * long) * (0.015 + 0.16 * near)
    sy = np.clip(horizon - (y - horizon) * 0.86 - np.abs(tilt) * 0.9 + tilt * 0.5, 0, horizon - 0.002)
    sx = np.clip(x + 0.25 * tilt * near, 0, 1 - 1 / w)
    mirrored = image[(sy * h).astype(int), (sx * w).astype(int)]
    fresnel = np.clip(0.78 - 0.50 * near + 0.9 * tilt, 0.12, 0.95)[..., None]
    deep = np.array([0.020, 0.045, 0.060]) * (1 + 0.5 * waves[..., None])
    surface = mirrored * fresnel + deep * (1 - fresnel)
    path = np.exp(-(((x - sun[0]) / (0.020 + 0.10 * near)) ** 2)) * smoothstep(0.06, 0.26, waves + 0.12 * near)
    surface = surface + (path * (1.1 - 0.5 * near))[..., None] * np.array([5.0, 3.1, 1.5])
    image = np.where(water[..., None], surface, image)
    shore = np.exp(-(((y - horizon) * h / 2.2) ** 2))[..., None]
    image = image * (1 - 0.35 * shore) + 0.35 * shore * haze * 0.5

    # Foreground: conifers on both sides, then a bank of grass that hides their feet.
    image = foreground(image, x, y, w, h, sun)
    return image.reshape(height, scale, width, scale, 3).mean((1, 3))


def foreground(image, x, y, w, h, sun):
    rng = np.random.default_rng(5)
    trees = [(0.055, 0.19, 0.90), (0.175, 0.40, 0.92), (0.285, 0.565, 0.935), (-0.02, 0.47, 0.96), (0.985, 0.31, 0.93), (0.885, 0.545, 0.94), (1.03, 0.52, 0.95)]
    for k, (tx, top, foot) in enumerate(sorted(trees, key=lambda t: t[2])):
        foot += 0.035
        tall = foot - top
        t = np.clip((y - top) / tall, 0, 1)
        inside = (y > top) & (y < foot)
        dx = (x - tx) * w / h / tall
        side = np.sign(dx)
        rows = 26 + int(4 * rng.random())
        droop = t + 0.10 * np.abs(dx) / 0.2 * -1
        phase = droop * rows + 0.7 * hash2(np.floor(droop * rows), side, 401 + k) + 1.1 * fbm(x * 34, y * 34, 3, 431 + k)
        frac = phase - np.floor(phase)
        reach = (0.018 + 0.19 * t**0.85) * (0.62 + 0.42 * frac) * (0.72 + 0.5 * hash2(np.floor(phase), side, 411 + k))
        ragged = fbm(x * 210, y * 210, 4, 421 + k, 0.75)
        leaf = smoothstep(0.012, -0.012, np.abs(dx) - reach * (0.30 + 1.25 * ragged))
        trunk = smoothstep(0.002, -0.002, np.abs(dx) - 0.010 * (0.3 + t))
        cover = np.maximum(leaf, trunk) * inside
        tone = np.array([0.010, 0.016, 0.012]) * (0.30 + 1.9 * ragged[..., None] ** 2 * (0.6 + 0.6 * frac[..., None]))
        toward = np.sign(sun[0] - tx)
        edge = smoothstep(0.25, 1.0, np.abs(dx) / np.maximum(reach, 1e-3)) * (side == toward)
        tone = tone + (edge * ragged)[..., None] * np.array([0.16, 0.075, 0.022])
        image = image + (tone - image) * cover[..., None]

    bank = 0.93 - 0.10 * smoothstep(0.45, 0.0, x) - 0.065 * smoothstep(0.60, 1.0, x) + 0.03 * (fbm(x * 6, x * 0, 4, 301) - 0.5)
    blades = 0.016 * hash2(np.floor(x * w / 2.0), np.zeros_like(x), 303) * (0.4 + fbm(x * 30, x * 0, 2, 305))
    ground = smoothstep(-0.001, 0.001, y - bank + blades)
    drop = np.clip((y - bank) / 0.12, 0, 1)
    tuft = fbm(x * 170, y * 45, 4, 311, 0.65)
    grass = np.array([0.026, 0.030, 0.014]) * (0.25 + 1.3 * tuft[..., None])
    rim = np.exp(-drop * 9)[..., None] * np.array([0.40, 0.21, 0.07]) * (0.15 + tuft[..., None]) * np.exp(-np.abs(x - sun[0]) * 1.6)[..., None]
    grass = grass + rim
    image = image + (grass - image) * ground[..., None]
    return image


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", choices=["still-life", "lake"])
    args = parser.parse_args()
    size = lambda w, h: (int(w * args.scale), int(h * args.scale))
    if args.only != "still-life":
        picture = develop(lake(*size(480, 640)), exposure=0.80, grain=0.016, vignette=0.30, seed=2)
        Image.fromarray(picture).save(args.out / "lake.jpg", quality=90)
    if args.only != "lake":
        picture = develop(still_life(*size(640, 480), args.samples), exposure=0.85, grain=0.014, vignette=0.35, seed=3)
        Image.fromarray(picture).save(args.out / "still-life.jpg", quality=90)


if __name__ == "__main__":
    main()
