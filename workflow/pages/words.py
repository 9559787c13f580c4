"""Words that not everybody has met lead to the glossary, each at its first use on a page."""

import re
from collections.abc import Callable

from runs.profiles import ROOT

EXPLAINED = (  # entries of the glossary that are linked; the others are too common
    *("residual stream", "sublayer", "lens", "calibration text", "dequantized", "2:4", "4:8"),
    *("nats", "perplexity", "KL divergence", "rank correlation", "cumulant", "centred", "margin"),
    *("teacher-forced", "acc_norm", "nDCG@10", "flips", "noise floor", "floor", "bootstrap"),
    *("bfloat16", "fingerprint"),
)
SHORT = {"KL": "KL divergence"}  # other forms, and the entry that each is of
ENTRY = re.compile(r"^```\{glossary\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
KEPT = re.compile(  # code, formulas, links, tags, headings and tables stay as they are
    r"(`{3,}.*?`{3,}|:{3,}.*?:{3,}|`[^`]*`|\$\$.*?\$\$|\$[^$\n]*\$|!?\[[^\]]*\]\([^)]*\)"
    r"|<summary>.*?</summary>|<[^>]*>|^#.*?$|^\|.*?$|\\begin\{.*?\\end\{)",
    re.MULTILINE | re.DOTALL,
)
FORMS = "|".join(  # at the beginning of a sentence, too
    f"(?i:{re.escape(word[0])}){re.escape(word[1:])}" for word in (*EXPLAINED, *SHORT)
)
WORDS = re.compile(rf"(?<![\w-])(?:{FORMS})(?:s|es)?(?![\w@:-])")


def entries() -> set[str]:
    """Every word that the glossary explains."""
    text = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    lines = [line for block in ENTRY.findall(text) for line in block.splitlines()]
    return {line for line in lines if line and not line.startswith(" ")}


def anchor(word: str) -> str:
    """Where Sphinx puts an entry on the page of the glossary."""
    return "term-" + re.sub(r"[^a-zA-Z0-9._]+", "-", word).strip("-")


def explaining() -> Callable[[str], str]:
    """A function that leads from words of one page to the glossary, each once, in the order in
    which it is given the texts of that page."""
    seen: set[str] = set()

    def link(found: re.Match[str]) -> str:
        said = found[0].lower()
        form = next(one for one in (*EXPLAINED, *SHORT) if said.startswith(one.lower()))
        word = SHORT.get(form, form)
        if word in seen:
            return found[0]
        seen.add(word)
        return f'<a class="explained" href="../book/glossary.html#{anchor(word)}">{found[0]}</a>'

    def explain(text: str) -> str:
        parts = KEPT.split(text)
        return "".join(
            part if number % 2 else WORDS.sub(link, part) for number, part in enumerate(parts)
        )

    return explain
