"""Sphinx extension: the list of references is no list to a program that reads aloud.

Its entries have a role of their own, which a list may not have among its children.
"""

from typing import Any

LIST, PLAIN = '<div role="list" class="citation-list">', '<div class="citation-list">'


def mend_citations(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Change the lists in a page's body."""
    if "body" in context:
        context["body"] = context["body"].replace(LIST, PLAIN)


def setup(app: Any) -> dict[str, Any]:
    """Before the theme reads the body."""
    app.connect("html-page-context", mend_citations, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
