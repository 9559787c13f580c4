"""Write the lesson's slides, from the lesson's page: ``build/slides/lesson.html``."""

import sys
from pathlib import Path

from helpers.errors import InputError
from pages import lesson
from pages.contents import SiteError

ROOT = Path(__file__).resolve().parent.parent
SLIDES = ROOT / "build" / "slides" / "lesson.html"


def main() -> int:
    """Write the slides; 0 if all went well, 2 if something that they need is missing."""
    try:
        text = lesson.slides((ROOT / "book" / "lesson.md").read_text(encoding="utf-8"))
    except (InputError, SiteError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    SLIDES.parent.mkdir(parents=True, exist_ok=True)
    partial = SLIDES.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(SLIDES)
    print(f"Wrote {SLIDES.relative_to(ROOT)}: open it, S shows the notes, ?print-pdf prints it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
