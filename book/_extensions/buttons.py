"""Sphinx extension: what the theme's buttons above a page lead to.

A chapter's source, which has no results in it, can be downloaded beside the executed notebook. A
run beside its chapter has no notebook elsewhere, so that it has no buttons to Colab and Binder.
"""

from pathlib import Path
from typing import Any


def mend_buttons(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Change the theme's groups of buttons, which come as a list of dictionaries."""
    groups = {group.get("label"): group for group in context.get("header_buttons", [])}
    source = Path(app.srcdir, "book", "_static", "notebooks", f"{Path(pagename).name}.md")
    if "download-buttons" in groups and pagename.startswith("notebooks/") and source.is_file():
        url = f"{context['pathto']('_static', 1)}/notebooks/{source.name}"
        button = {"type": "link", "url": url, "text": ".md", "icon": "fas fa-file"}
        button |= {"tooltip": "Download the source", "label": "download-markdown-button"}
        groups["download-buttons"]["buttons"].insert(1, button)
    if "launch-buttons" in groups and "point" in (context.get("meta") or {}):
        context["header_buttons"].remove(groups["launch-buttons"])


def setup(app: Any) -> dict[str, Any]:
    """After the theme has made its buttons."""
    app.connect("html-page-context", mend_buttons, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
