"""The picture of the README: the lesson's ladder, from the results that come with the book."""

import re

from pages.lesson import ladder
from runs.files import write_whole
from runs.profiles import ROOT

PICTURE = ROOT / "book" / "_static" / "ladder.svg"


def picture() -> str:
    """The drawing as a file of its own, on white: where it is shown nobody tells it the colour of
    the page."""
    drawn = re.search(r"<svg.*</svg>", ladder(), re.DOTALL)
    if drawn is None:
        raise ValueError("the lesson's ladder has no drawing")
    look = "background:#fff;color:#222;font-family:sans-serif"
    return drawn[0].replace('style="', f'style="{look};', 1) + "\n"


if __name__ == "__main__":
    write_whole(PICTURE, picture())
    print(f"Wrote {PICTURE.relative_to(ROOT)}")
