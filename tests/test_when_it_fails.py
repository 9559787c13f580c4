"""The page on errors: each message that it explains is one that the code says."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "book" / "when-it-fails.md"
GAP = "…"
EXPLAINED = re.findall(r"^`+(.+?)`+\n: ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def said() -> list[str]:
    """Every text of the code, a gap for what is put in."""
    found = []
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "workflow").rglob("*.py")]:
        inner = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                inner |= {id(part) for part in ast.walk(node)} - {id(node)}
                parts = (getattr(each, "value", GAP) for each in node.values)
                found.append("".join(part if isinstance(part, str) else GAP for part in parts))
            elif isinstance(node, ast.Constant) and id(node) not in inner:
                found.append(str(node.value))
    return found


SAID = said()


@pytest.mark.parametrize("message", EXPLAINED)
def test_a_message_that_is_explained_is_one_that_is_said(message):
    """Its fixed parts, in their order, within one text."""
    parts = [part.strip() for part in message.split(GAP) if part.strip()]
    assert max(map(len, parts)) >= 8
    pattern = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
    assert any(pattern.search(text) for text in SAID)


def test_a_message_that_nobody_says_is_found_out():
    assert len(EXPLAINED) > 30
    assert not any("the model is tired" in text for text in SAID)
