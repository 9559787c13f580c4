"""Sphinx extension: keep other hosts out of every page.

The theme's live-code feature is switched off, yet its scripts and the address that they would
load from still reach each page, twice. They are dropped here.
"""

from typing import Any

UNWANTED = "thebe"


def drop_live_code(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Remove scripts and styles of the unwanted feature from a page's head."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, []) if not _unwanted(file)]


def _unwanted(file: Any) -> bool:
    attributes = getattr(file, "attributes", {})
    text = f"{getattr(file, 'filename', file) or ''} {attributes.get('body') or ''}"
    return UNWANTED in text.lower()


def setup(app: Any) -> dict[str, Any]:
    """Run after the extensions that add the files."""
    app.connect("html-page-context", drop_live_code, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
