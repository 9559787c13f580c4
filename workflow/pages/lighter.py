"""Make the built pages light: a page loads what it shows, and the rest when it is asked for.

The plotted values under a figure, which a notebook carries within itself, become files; so do the
plots of a chooser other than the one shown first. A script of one kind of page, and the search
index, are loaded by such pages alone. Of the theme's 2,000 icons those are kept that are shown.
"""

import base64
import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

from reporting.figures.interactive import script_text

DATA = re.compile(r'download="([^"]+)" href="data:text/csv;base64,([^"]+)"')
CHOOSER = re.compile(
    r'(data-figure="([^"]+)"[^>]*>)<script type="application/json">(\{"choices":.*?)</script>',
    re.DOTALL,
)
SEARCH = re.compile(
    r'\s*<script src="[./]*(?:_static/searchtools|_static/language_data|searchindex)\.js"></script>'
)
SCRIPTS = {  # and what a page has in it that needs them
    "formulas": "mathjax/startup.js",
    "pictures": "figure-interactive",
    "panel-model": "book-panel",
    "panel": "book-panel",
    "points": "point-switcher",
    "all-results": "data-results",
    "ledger": "ledger-filter",
}
PICTURE = re.compile(r"<svg xmlns.*?</svg>", re.DOTALL)
PLACED = re.compile(r'\b(?:d|x|y)="[^"]*"')
ICON = re.compile(r'"?([a-z0-9-]+)"?:\[\d+,\d+,\[[^\]]*\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\],?')
SHOWN = re.compile(r"\bfa-([a-z0-9-]+)")
RULE = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"[^"]*"[^}]*\}')
SIGN = re.compile("[\ue000-\uf8ff]|(?<=\\\\)f[0-9a-f]{3}")  # as itself, or written as its number
WOFF2 = re.compile(r'url\([^)]*\.woff2\) format\("woff2"\),')


def lighten(site: Path) -> None:
    """Change the pages of a built site in place."""
    pages = [page for page in site.rglob("*.html") if "_static" not in page.parts]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        lighter = _without_data(site, page, _without_plots(site, page, text))
        lighter = PICTURE.sub(_rounded, lighter)
        if page.name != "search.html":
            lighter = SEARCH.sub("", lighter)
        for name, mark in SCRIPTS.items():
            if mark not in lighter:
                lighter = re.sub(
                    rf'\s*<script src="[./]*_static/{name}\.js[^>]*></script>', "", lighter
                )
        page.write_text(lighter, encoding="utf-8")
    _icons(site, pages)


def _without_data(site: Path, page: Path, text: str) -> str:
    """The page with links to files in place of links that hold the plotted values."""

    def moved(found: re.Match[str]) -> str:
        name, data = unescape(found[1]), base64.b64decode(found[2])
        address = _write(site, page, name, data)
        return f'download="{found[1]}" href="{address}"'

    return DATA.sub(moved, text)


def _without_plots(site: Path, page: Path, text: str) -> str:
    """The page with the first plot of each chooser; `figures.js` loads the others when one is
    chosen, as a script, since that works from a disk too."""

    def moved(found: re.Match[str]) -> str:
        start, name, content = found.groups()
        stored = json.loads(content)
        plots = [each.pop("plot") for each in stored["choices"]]
        stored["choices"][stored["default"]]["plot"] = plots[stored["default"]]
        script = f"bookFigures.more({json.dumps(name)},{script_text(plots)});"
        stored["more"] = _write(site, page, f"{name}.js", script.encode())
        return f'{start}<script type="application/json">{script_text(stored)}</script>'

    return CHOOSER.sub(moved, text)


def _write(site: Path, page: Path, name: str, content: bytes) -> str:
    """Write a file that belongs to a page; its address as seen from there."""
    path = site / "_static" / "figures" / page.stem / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return f"{'../' * len(page.parent.relative_to(site).parts)}{path.relative_to(site)}"


def _rounded(picture: re.Match[str]) -> str:
    """A picture with its places to a tenth of a pixel."""
    return PLACED.sub(lambda one: re.sub(r"(\.\d)\d+", r"\1", one.group()), picture.group())


def _icons(site: Path, pages: list[Path]) -> None:
    """Drop the icons that neither a page nor a style or a script of the theme shows: from the
    theme's script, which draws them, from its style, and from the font that the style uses."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    folder = site / "_static"
    script, style = folder / "scripts/fontawesome.js", folder / "styles/pydata-sphinx-theme.css"
    shown = [*pages, *script.parent.glob("*theme.js")]
    wanted = {name for path in shown for name in SHOWN.findall(path.read_text(encoding="utf-8"))}

    def kept(found: re.Match[str]) -> str:
        return found.group() if wanted.intersection(SHOWN.findall(found[1])) else ""

    _change(script, lambda text: ICON.sub(lambda one: one.group() * (one[1] in wanted), text))
    _change(style, lambda text: WOFF2.sub("", RULE.sub(kept, text)))
    styles = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.css"))
    signs = [ord(sign) if len(sign) == 1 else int(sign, 16) for sign in SIGN.findall(styles)]
    for path in (folder / "vendor/fontawesome/webfonts").iterdir():
        if path.suffix == ".ttf":
            font = TTFont(path)
            subset = Subsetter(Options(notdef_outline=True))
            subset.populate(unicodes=signs)
            subset.subset(font)
            font.save(path)
        else:
            path.unlink()


def _change(path: Path, changed: Callable[[str], str]) -> None:
    path.write_text(changed(path.read_text(encoding="utf-8")), encoding="utf-8")
