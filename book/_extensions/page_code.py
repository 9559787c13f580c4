"""Sphinx extension: the code of a chapter stands in one fold at the end of its page.

A cell's output stays where it is; its hidden input moves, under a link to the heading it served.
Only what is drawn changes: the notebook that a page offers is as it was.
"""

from typing import Any

from docutils import nodes

BEGIN = '<details class="page-code" id="page-code">\n<summary>The code of this page</summary>\n'
END = "</details>\n"


def move_code(app: Any, page: nodes.document) -> None:
    """Take all hidden inputs of cells from where they stand, and put them at the page's end."""
    pieces: list[nodes.Node] = []
    heading = None
    for cell in list(page.findall(_hides_input)):
        section = cell.parent
        while not isinstance(section, nodes.section | nodes.document):
            section = section.parent
        if section is not heading and isinstance(section, nodes.section):
            title = [child.deepcopy() for child in section[0]]
            link = nodes.reference("", "", *title, refid=section["ids"][0], internal=True)
            pieces.append(nodes.paragraph("", "", link))
            heading = section
        pieces.append(cell[0])
        cell.remove(cell[0])
        if not cell.children:
            cell.parent.remove(cell)
    if pieces:
        begin, end = (nodes.raw("", text, format="html") for text in (BEGIN, END))
        next(page.findall(nodes.section), page).extend([begin, *pieces, end])


def _hides_input(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("hide_mode") == "input"


def setup(app: Any) -> dict[str, Any]:
    """When a page has been read."""
    app.connect("doctree-read", move_code)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
