"""The world that trilobite knows: flat shapes in eight colours on quiet backgrounds, and questions about them.

Everything follows from a seed. Training draws seeds below `HELD_OUT`, evaluation draws from it upwards.
"""

import random

from PIL import Image, ImageDraw

HELD_OUT = 1 << 40
SHAPES = ["circle", "square", "triangle", "star", "cross"]
COLOURS = {
    "red": (214, 39, 40), "orange": (255, 140, 20), "yellow": (250, 220, 60), "green": (44, 150, 60),
    "blue": (40, 90, 210), "purple": (140, 60, 170), "white": (248, 248, 246), "black": (22, 22, 24),
}
BACKGROUNDS = [(196, 178, 150), (150, 160, 168), (120, 112, 104), (170, 190, 200), (176, 168, 184), (150, 172, 150)]
STAR = [(0.0, -1.0), (0.235, -0.324), (0.951, -0.309), (0.38, 0.124), (0.588, 0.809), (0.0, 0.4), (-0.588, 0.809),
        (-0.38, 0.124), (-0.951, -0.309), (-0.235, -0.324)]
CROSS = [(-0.32, -1), (0.32, -1), (0.32, -0.32), (1, -0.32), (1, 0.32), (0.32, 0.32), (0.32, 1), (-0.32, 1),
         (-0.32, 0.32), (-1, 0.32), (-1, -0.32), (-0.32, -0.32)]
TRIANGLE = [(0, -1), (0.92, 0.75), (-0.92, 0.75)]
# How many cells the model's grid has on a side: no two shapes have their centres in one.
GRID = 8
TYPES = ["existence", "count", "colour", "shape", "position", "relation", "size", "caption"]


class Thing:
    """One shape; places and radius in pixels of its image."""

    def __init__(self, shape, colour, x, y, radius, large):
        self.shape, self.colour, self.x, self.y, self.radius, self.large = shape, colour, x, y, radius, large

    @property
    def size(self):
        return "large" if self.large else "small"


class Scene:
    """A picture of `width` by `height` and what is on it."""

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        side = rng.randint(96, 200)
        short = int(side * rng.choice([1, rng.uniform(0.5, 1)]))
        self.width, self.height = (side, short) if rng.random() < 0.5 else (short, side)
        shapes = rng.sample(SHAPES, rng.randint(1, 4))
        colours = rng.sample(list(COLOURS), rng.randint(1, 4))
        self.things = []
        for _ in range(rng.randint(1, 6)):
            self.place(rng.choice(shapes), rng.choice(colours))

    def place(self, shape, colour):
        """Somewhere free, or nowhere."""
        rng, side = self.rng, max(self.width, self.height)
        large = rng.random() < 0.5
        radius = side * (rng.uniform(0.11, 0.15) if large else rng.uniform(0.055, 0.075))
        for _ in range(40):
            x = rng.uniform(radius + 2, self.width - radius - 2)
            y = rng.uniform(radius + 2, self.height - radius - 2)
            thing = Thing(shape, colour, x, y, radius, large)
            if all((t.x - x) ** 2 + (t.y - y) ** 2 > (t.radius + radius + side * 0.02) ** 2
                   and self.cell(t) != self.cell(thing) for t in self.things):
                self.things.append(thing)
                return

    def cell(self, thing):
        """(row, column) of its centre on the grid over the square that the picture is padded to."""
        side = max(self.width, self.height)
        x = thing.x + (side - self.width) // 2
        y = thing.y + (side - self.height) // 2
        return int(y * GRID / side), int(x * GRID / side)

    def draw(self):
        """The picture, drawn at twice its size and made smaller."""
        rng, k = self.rng, 2
        base = rng.choice(BACKGROUNDS)
        other = tuple(min(255, max(0, c + rng.randint(-40, 40))) for c in base)
        ramp = Image.linear_gradient("L") if rng.random() < 0.5 else Image.radial_gradient("L")
        ramp = ramp.rotate(rng.choice([0, 90, 180, 270])).resize((self.width * k, self.height * k))
        image = Image.composite(Image.new("RGB", ramp.size, base), Image.new("RGB", ramp.size, other), ramp)
        draw = ImageDraw.Draw(image)
        if rng.random() < 0.3:
            line = tuple(max(0, c - 14) for c in base)
            step = rng.randint(24, 60)
            for at in range(0, self.width * k + self.height * k, step):
                draw.line([at, 0, at - self.height * k, self.height * k], fill=line, width=3)
        for thing in self.things:
            colour = tuple(min(255, max(0, c + rng.randint(-14, 14))) for c in COLOURS[thing.colour])
            x, y, r = thing.x * k, thing.y * k, thing.radius * k
            if thing.shape == "circle":
                draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)
            elif thing.shape == "square":
                r *= 0.84
                draw.rectangle([x - r, y - r, x + r, y + r], fill=colour)
            else:
                points = {"star": STAR, "cross": CROSS, "triangle": TRIANGLE}[thing.shape]
                draw.polygon([(x + a * r, y + b * r) for a, b in points], fill=colour)
        return image.resize((self.width, self.height), Image.BOX)

    def ask(self, kind):
        """(question, answer) of that kind, or None where the scene allows none."""
        return getattr(self, f"ask_{kind}")()

    def name(self, thing):
        """What tells a thing from all others, or None."""
        if sum(t.shape == thing.shape for t in self.things) == 1:
            return thing.shape if self.rng.random() < 0.5 else f"{thing.colour} {thing.shape}"
        alike = sum(t.shape == thing.shape and t.colour == thing.colour for t in self.things)
        return f"{thing.colour} {thing.shape}" if alike == 1 else None

    def named(self):
        """Things that a question can point at, in random order."""
        things = [(t, self.name(t)) for t in self.things]
        self.rng.shuffle(things)
        return [(t, n) for t, n in things if n]

    def ask_existence(self):
        rng = self.rng
        what = rng.choice(["both", "both", "shape", "colour"])
        true = rng.random() < 0.5
        there = {"both": {(t.colour, t.shape) for t in self.things}, "shape": {t.shape for t in self.things},
                 "colour": {t.colour for t in self.things}}[what]
        every = {"both": [(c, s) for c in COLOURS for s in SHAPES], "shape": SHAPES, "colour": list(COLOURS)}[what]
        if what == "both" and not true and rng.random() < 0.7:
            # The hard ones: something has that colour or that shape.
            every = [(c, s) for c, s in every if any(t.colour == c or t.shape == s for t in self.things)]
        pool = [e for e in every if (e in there) == true]
        if not pool:
            return None
        pick = rng.choice(pool)
        phrase = " ".join(pick) if what == "both" else pick if what == "shape" else f"{pick} shape"
        article = "an" if phrase[0] in "aeiou" else "a"
        form = rng.choice(["Is there {} {}?", "Can you see {} {}?", "Is there {} {} in the picture?"])
        return form.format(article, phrase), "yes" if true else "no"

    def ask_count(self):
        rng = self.rng
        what = rng.choice(["all", "shape", "shape", "colour", "colour", "both"])
        thing = rng.choice(self.things)
        shape, colour = thing.shape, thing.colour
        if rng.random() < 0.12:
            shape, colour = rng.choice(SHAPES), rng.choice(list(COLOURS))
        plural = shape + ("es" if shape == "cross" else "s")
        phrase = {"all": "shapes", "shape": plural, "colour": f"{colour} shapes", "both": f"{colour} {plural}"}[what]
        n = sum((what in ("all", "colour") or t.shape == shape) and (what in ("all", "shape") or t.colour == colour)
                for t in self.things)
        form = rng.choice(["How many {} are there?", "How many {} are in the picture?", "Count the {}."])
        return form.format(phrase), str(n)

    def ask_colour(self):
        things = [t for t in self.things if sum(o.shape == t.shape for o in self.things) == 1]
        if not things:
            return None
        thing = self.rng.choice(things)
        form = self.rng.choice(["What colour is the {}?", "What color is the {}?", "Which colour does the {} have?"])
        return form.format(thing.shape), thing.colour

    def ask_shape(self):
        things = [t for t in self.things if sum(o.colour == t.colour for o in self.things) == 1]
        if not things:
            return None
        thing = self.rng.choice(things)
        form = self.rng.choice(["What is the {} shape?", "What shape is {}?", "Which shape is the {} one?"])
        return form.format(thing.colour), thing.shape

    def ask_position(self):
        for thing, name in self.named():
            x, y = thing.x / self.width, thing.y / self.height
            if any(abs(v - edge) < 0.03 for v in (x, y) for edge in (1 / 3, 2 / 3)):
                continue
            row = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
            column = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
            return f"Where is the {name}?", f"{row} {column}".strip() or "middle"
        return None

    def ask_relation(self):
        named = self.named()
        for (a, first), (b, second) in zip(named, named[1:]):
            if first == second:
                continue
            words = []
            if abs(a.x - b.x) > 0.12 * self.width:
                words += [("left of", a.x < b.x), ("right of", a.x > b.x)]
            if abs(a.y - b.y) > 0.12 * self.height:
                words += [("above", a.y < b.y), ("below", a.y > b.y)]
            if words:
                word, true = self.rng.choice(words)
                return f"Is the {first} {word} the {second}?", "yes" if true else "no"
        return None

    def ask_size(self):
        named = self.named()
        if not named:
            return None
        pairs = [(a, b) for a, b in zip(named, named[1:]) if a[0].large != b[0].large and a[1] != b[1]]
        if pairs and self.rng.random() < 0.5:
            (a, first), (b, second) = self.rng.choice(pairs)
            return f"Which is larger, the {first} or the {second}?", first if a.large else second
        thing, name = named[0]
        return f"Is the {name} large or small?", thing.size

    def ask_caption(self):
        if len(self.things) > 4:
            return None
        things = sorted(self.things, key=lambda t: t.x)
        phrases = [f"a {t.size} {t.colour} {t.shape}" for t in things]
        text = phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]
        form = self.rng.choice(["Describe the picture.", "What is in the picture?", "Describe the image."])
        return form, text[0].upper() + text[1:] + "."

    def questions(self, count):
        """Up to `count` of (type, question, answer), of different types first."""
        kinds = self.rng.sample(TYPES, len(TYPES)) * 2
        out = []
        for kind in kinds:
            asked = self.ask(kind)
            if asked and asked[0] not in [q for _, q, _ in out]:
                out.append((kind, *asked))
            if len(out) == count:
                break
        return out


def main():
    """`python inputs/models/trilobite/world.py NUMBER FILE`: the held-out scene of that number, and questions about it."""
    import sys

    scene = Scene(HELD_OUT + (1 << 31) + int(sys.argv[1]))
    scene.draw().save(sys.argv[2], optimize=True)
    for _, question, answer in scene.questions(12):
        print(f"{question}  {answer}")


if __name__ == "__main__":
    main()
