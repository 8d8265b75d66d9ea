"""The typefaces of the world: `python make.py FOLDER` with npm's packages of `@fontsource` unpacked in FOLDER.

Keeps the characters that the world prints and drops hinting, kerning and names that no reader needs. Needs fonttools and
brotli. The licences are those of the packages: OFL.txt for Arimo, Tinos and Cousine (no reserved names), the Apache
License 2.0, as this repository carries it, for the others.
"""

import pathlib
import string
import sys

from fontTools import subset
from fontTools.ttLib import TTFont

HERE = pathlib.Path(__file__).resolve().parent
TEXT = string.ascii_letters + string.digits + " .,%-:'/+$?!"
# Name here: package, weight. Versions 5.3.0 of the packages.
FACES = {
    "sans": ("arimo", 400), "bold": ("arimo", 700), "serif": ("tinos", 400), "mono": ("cousine", 700),
    "slab": ("roboto-slab", 400), "marker": ("permanent-marker", 400), "hand": ("schoolbell", 400),
}


def main():
    packages = pathlib.Path(sys.argv[1])
    for name, (package, weight) in FACES.items():
        font = TTFont(packages / package / "files" / f"{package}-latin-{weight}-normal.woff")
        font.flavor = None
        options = subset.Options(hinting=False, layout_features=[], name_IDs=[0, 1, 2, 13, 14], notdef_outline=False,
                                 drop_tables=["GSUB", "GPOS", "GDEF", "DSIG", "kern", "STAT", "gasp", "hdmx", "VDMX"])
        subsetter = subset.Subsetter(options)
        subsetter.populate(text=TEXT)
        subsetter.subset(font)
        font.save(HERE / f"{name}.ttf", reorderTables=False)


if __name__ == "__main__":
    main()
