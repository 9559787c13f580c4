"""What a chapter came out with on the tiny model, as text that a later run is compared with.

`outputs` is what a reader sees, with every number masked; `tables` and `plotted` are what was
measured and drawn, with sums in place of the values. Both leave out what differs from run to run
of the same code: identities, paths, times, memory. The references stand in ``tests/kept``;
``pytest tests/test_runner.py -k whole_chapter --keep`` writes them anew.
"""

import base64
import difflib
import hashlib
import io
import math
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import nbformat
import pandas as pd
import pyarrow.parquet as pq
from bs4 import BeautifulSoup, Tag

TIMED = ("running_cost",)  # measurements of time and memory, of which each run gives others
FEW = 8  # so many different texts are written out, more become a hash
KNOWN = (  # parts of a figure that have a line of their own, or are its drawing
    ".figure-title, .figure-key, .figure-interactive, .figure-static, figcaption, "
    "table, option, .token"
)
MASKS = [
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?\S*", "TIME"),
    (r"(?<![\w</:.])/(?:[\w.+-]+/)+[\w.+-]*", "PATH"),
    (r"(?<!\w)(?=[a-f]*\d)[0-9a-f]{7,64}(?!\w)", "#"),  # identities, commits, fingerprints
    # a number, but no name such as MC2 or Drop-1A
    (r"(?<![\w.])(?<![A-Za-z]-)[+±−-]?\d+(?:[.,:]\d+)*(?:e[+−-]?\d+)?(?:[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)?", "#"),
    (r"(# ?)(?:[KMGT]i?B|bytes)\b", r"\1MEMORY"),
    (r"(# ?)(?:ms|µs|s|seconds?|min|minutes?|h|hours?)\b", r"\1TIME"),
    (r"# threads? \([^)]*\)", "# threads (PROCESSOR)"),
]


def masked(text: str) -> str:
    """``text`` on one line, without numbers and whatever else a second run may have otherwise."""
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return " ".join(text.split())


def outputs(notebook: Path) -> str:
    """All that the cells of an executed notebook show, in their order, one sentence a line."""
    blocks = []
    for data in _shown(notebook):
        if "text/markdown" in data:
            blocks.append(["markdown", *_sentences(data["text/markdown"])])
        elif "text/html" in data:
            page = BeautifulSoup(data["text/html"], "html.parser")
            blocks.append(_figure(page.figure) if page.figure else _table(page))
        elif "text/plain" in data:
            blocks.append(["text", *_sentences(data["text/plain"])])
    return "\n\n".join("\n  ".join(_counted(lines)) for lines in blocks) + "\n"


def tables(results: Path) -> str:
    """The tables of all measurements, each column with its type and its sum or its texts."""
    found = []
    for manifest in results.glob("measurements/*/*/manifest.json"):
        lines = [manifest.parts[-3]]
        for path in sorted(manifest.parent.glob("*.parquet")):
            table = pq.read_table(path)
            types = {field.name: str(field.type) for field in table.schema}
            summary = _summary(path.stem, table.to_pandas(), types)
            lines += summary[:1] if lines[0] in TIMED else summary
        found.append(lines)
    found.sort(key=lambda lines: ([_skeleton(line) for line in lines], lines))
    return "".join("\n  ".join(lines) + "\n" for lines in found)


def plotted(notebook: Path) -> str:
    """The data behind every figure that offers them, in the same form as `tables`."""
    lines = []
    for data in _shown(notebook):
        figure = BeautifulSoup(data.get("text/html", ""), "html.parser").figure
        frame = None if figure is None else _download(figure)
        if frame is not None:
            types = {name: str(kind) for name, kind in frame.dtypes.items()}
            lines += ["\n  ".join(_summary(f"plotted {figure['id']}", frame, types))]
    return "".join(f"{line}\n" for line in lines)


def difference(kept: str, found: str) -> str:
    """Unified diff, empty if all is the same but for the last digits of the sums marked ≈."""
    old, new = kept.splitlines(), found.splitlines()
    pairs = difflib.SequenceMatcher(
        None, [_skeleton(line) for line in old], [_skeleton(line) for line in new], autojunk=False
    )
    for block in pairs.get_matching_blocks():
        for step in range(block.size):
            if _close(old[block.a + step], new[block.b + step]):
                new[block.b + step] = old[block.a + step]
    return "\n".join(difflib.unified_diff(old, new, "kept", "found", lineterm="", n=2))


def _shown(notebook: Path) -> Iterator[dict[str, str]]:
    for cell in nbformat.read(notebook, 4).cells:
        for output in cell.get("outputs", []):
            if "data" in output:
                yield output["data"]


def _sentences(text: str) -> list[str]:
    lines = re.split(r"\n\s*\n|\n(?=\s*(?:[-*|>]|\d+\.) ?)", text)
    return [
        sentence for line in lines for sentence in re.split(r"(?<=[.!?]) (?=[A-Z#*])", masked(line))
    ]


def _counted(lines: list[str]) -> list[str]:
    """Lines that stand there several times in a row, once, with how often."""
    runs = [(line, len(list(same))) for line, same in groupby(lines)]
    return [line if count == 1 else f"{line} [{count} times]" for line, count in runs]


def _figure(figure: Tag) -> list[str]:
    lines = [f"figure {figure['id'].removeprefix('fig-')}"]
    frame = _download(figure)
    drawn = figure.select_one(".figure-interactive")
    alt = drawn["aria-label"] if drawn else ""
    for name, selector in (("title", ".figure-title"), ("caption", "figcaption > p")):
        lines += [f"{name}: {masked(each.get_text())}" for each in figure.select(selector)]
    lines += [f"alt: {sentence}" for sentence in _sentences(str(alt))] if alt else []
    keys = [masked(each.get_text()) for each in figure.select(".figure-key li")]
    lines += ["key: " + " | ".join(keys)] if keys else []
    facts = [each.get_text() for each in figure.select("dt")]
    lines += ["run: " + ", ".join(facts)] if facts else []
    if frame is not None:
        lines += [f"data: {', '.join(frame.columns)} ({len(frame)} rows)"]
    lines += _rows(figure)
    options = [masked(option.get_text()) for option in figure.select("option")]
    lines += ["options: " + " | ".join(options)] if options else []
    tokens = figure.select("span.token")
    for known in figure.select(KNOWN):
        known.decompose()
    lines += [f"{len(tokens)} tokens"] if tokens else []
    rest = [masked(text) for text in figure.get_text("\n").split("\n")]
    return lines + [line for line in rest if line]


def _table(page: BeautifulSoup) -> list[str]:
    caption = [masked(each.get_text()) for each in page.select(".table-caption")]
    rows = _rows(page)
    for known in page.select(".table-caption, table"):
        known.decompose()
    rest = masked(page.get_text(" "))
    return ["table " + " ".join(caption) if rows else "html", *rows, *([rest] if rest else [])]


def _rows(page: Tag) -> list[str]:
    return [
        " | ".join(masked(cell.get_text(" ")) for cell in row.select("th, td"))
        for row in page.select("tr")
    ]


def _download(figure: Tag) -> pd.DataFrame | None:
    link = figure.select_one("a.figure-download")
    if link is None:
        return None
    text = base64.b64decode(str(link["href"]).partition(",")[2]).decode()
    head = re.match(r"(?:# .*\n)*", text)
    return pd.read_csv(io.StringIO(text[head.end() :])) if head else None


def _summary(name: str, frame: pd.DataFrame, types: dict[str, str]) -> list[str]:
    """A heading, and a line for each column but the one that holds the run's identity."""
    lines = [f"{name}: {len(frame)} rows"]
    for column in frame.columns.drop("run", errors="ignore"):
        kind = re.sub(r"^(object|str|string|dictionary<.*>)$", "text", types[column])
        lines.append(f"  {column} {kind} {_contents(frame[column])}".rstrip())
    return lines


def _contents(values: pd.Series) -> str:
    there = values.dropna()
    gaps = f" ({len(values) - len(there)} missing)" if len(there) < len(values) else ""
    if pd.api.types.is_bool_dtype(there) or pd.api.types.is_integer_dtype(there):
        return f"sum {int(there.sum())}, absolute {int(there.abs().sum())}{gaps}"
    if pd.api.types.is_float_dtype(there):
        finite = there[there.abs() < math.inf]
        infinite = f" ({len(there) - len(finite)} infinite)" if len(finite) < len(there) else ""
        return f"sum ≈{finite.sum():.6g}, absolute ≈{finite.abs().sum():.6g}{infinite}{gaps}"
    texts = [" ".join(str(value).split()) for value in there]
    different = sorted({re.sub(MASKS[1][0], "PATH", text) for text in texts})
    if len(different) <= FEW and sum(map(len, different)) < 100:
        return " | ".join(different) + gaps
    code = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]
    return f"{len(different)} different, {code}{gaps}"


def _skeleton(line: str) -> str:
    return re.sub(r"≈\S+?(?=[, (]|$)", "≈", line)


def _close(old: str, new: str) -> bool:
    """Are both sums the same to a ten thousandth of the sum of absolute values?"""
    numbers = [[float(text) for text in re.findall(r"≈([^\s,(]+)", line)] for line in (old, new)]
    allowed = 1e-4 * max([1e-2, *map(abs, numbers[0])])
    return all(abs(a - b) <= allowed for a, b in zip(*numbers, strict=True))
