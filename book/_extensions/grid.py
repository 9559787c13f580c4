"""Sphinx extension: tell the windows of a chapter's runs apart by what they are called."""

from typing import Any


def name_point(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add where a run lies in its grid to the title of its window."""
    point = (context.get("meta") or {}).get("point")
    if point:
        context["title"] = f"{context['title']} ({point})"


def setup(app: Any) -> dict[str, Any]:
    """Before the theme reads the title."""
    app.connect("html-page-context", name_point, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
