"""The book elsewhere: where its repository is, and its notebooks as Colab and Binder open them.

Neither reads MyST Markdown, so each chapter stands as ``.ipynb`` on a branch of the repository that
is made anew at each deploy. Its first cell, which only this copy has, fetches the book at one
commit and installs what is not there.

    PYTHONPATH=src:workflow .venv/bin/python -m pages.elsewhere FOLDER
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import yaml

from helpers.errors import InputError
from runs.profiles import NOTEBOOKS, ROOT

BRANCH = "notebooks"
GITHUB = "https://github.com/"
COLAB, BINDER = "https://colab.research.google.com", "https://mybinder.org"
BINDER_PYTHON = "python-3.11"
# Elsewhere pip may take a build of torch with several GB of CUDA; Binder has no GPU.
TORCH_FOR_CPU = "https://download.pytorch.org/whl/cpu"
CHAPTER = re.compile(r"\]\(([\w-]+)\.md(#[\w-]*)?\)")
FOLD = re.compile(r"^( *)(`{3,})\{dropdown\} (.*?)\n(.*?)^\1\2$", re.MULTILINE | re.DOTALL)
HTML_FOLD = r"\1<details><summary>\3</summary>\n\n\4\n\1</details>"
CITED = re.compile(r"\{cite\}`([\w, -]+)`")
FIRST_CELL = """\
# Only the copies for Colab and Binder have this cell. It fetches the book and installs, at fixed
# versions, what this machine lacks: once, about two minutes.
import importlib.util
import os
import subprocess
import sys
from pathlib import Path


def fetch_the_book(repository, commit):
    project = Path("when-pruning-works").resolve()
    project.mkdir(exist_ok=True)
    git = ["git", "-C", project]
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    for step in (
        [*git, "init", "--quiet"],
        [*git, "fetch", "--quiet", "--depth", "1", repository, commit],
        [*git, "checkout", "--quiet", "--force", "FETCH_HEAD"],
        [*pip, "-r", project / "requirements" / "colab.txt"],
        [*pip, "--no-deps", "--require-hashes", "-r", project / "requirements" / "bundled.txt"],
        [*pip, "--no-deps", "--editable", project],
    ):
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
    sys.path.insert(0, str(project / "src"))
    os.chdir(project)


if importlib.util.find_spec("chapters") is None:
    fetch_the_book("{repository}", "{commit}")
"""


def repository() -> str:
    """Address of the book's repository: as CITATION.cff names it, else where a deploy runs; empty
    if nobody says."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    if address := str(cited.get("repository-code", "")):
        return address.removesuffix(".git").rstrip("/")
    name = os.environ.get("GITHUB_REPOSITORY", "")
    return f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}" if name else ""


def with_buttons(config: dict[str, Any], address: str) -> dict[str, Any]:
    """Jupyter Book's settings with buttons to the repository, and for each notebook to Colab and
    Binder; as they are if ``address`` is not on GitHub, which all of them need.

    They are the theme's own options: those that the settings name replace all that Jupyter Book
    makes of its own keys."""
    if not address.startswith(GITHUB):
        return config
    sphinx = config["sphinx"]["config"]
    buttons = {"notebook_interface": "jupyterlab", "binderhub_url": BINDER, "colab_url": COLAB}
    options = {
        **sphinx["html_theme_options"],
        "repository_url": address,
        "repository_branch": BRANCH,
        "use_repository_button": True,
        "launch_buttons": buttons,
    }
    told = {**config["sphinx"], "config": {**sphinx, "html_theme_options": options}}
    return {**config, "sphinx": told}


def places(chapter: str, address: str) -> dict[str, str]:
    """Where a chapter opens in the browser, by the place's name; nowhere if not from GitHub."""
    if not address.startswith(GITHUB):
        return {}
    name, file = address.removeprefix(GITHUB), f"notebooks/{chapter}.ipynb"
    return {
        "Colab": f"{COLAB}/github/{name}/blob/{BRANCH}/{file}",
        "Binder": f"{BINDER}/v2/gh/{name}/{BRANCH}?urlpath=lab/tree/{file}",
    }


def portable(source: Path, address: str, commit: str) -> Any:
    """A notebook (MyST Markdown) as one that runs where only its own file is. Links lead to the
    other copies; folds are HTML, and citations, which only the site resolves, their keys."""
    node = jupytext.read(source)
    node.metadata.pop("jupytext", None)  # else Binder's editor would pair the copy with Markdown
    for cell in node.cells:
        if cell.cell_type == "markdown":
            text = FOLD.sub(HTML_FOLD, CITED.sub(r"[\1]", cell.source))
            cell.source = CHAPTER.sub(r"](\1.ipynb\2)", text)
    first = FIRST_CELL.format(repository=address, commit=commit)
    node.cells.insert(1, nbformat.v4.new_code_cell(first, id="elsewhere"))
    return node


def write_branch(folder: Path, address: str, commit: str) -> int:
    """Write what the branch holds besides the files of ``commit``: every notebook, and what Binder
    installs. The number of notebooks."""
    (folder / "notebooks").mkdir(parents=True)
    for source in (found := sorted(NOTEBOOKS.glob("*.md"))):
        node = portable(source, address, commit)
        nbformat.write(node, folder / "notebooks" / f"{source.stem}.ipynb")
    binder = folder / "binder"
    binder.mkdir()
    (binder / "runtime.txt").write_text(f"{BINDER_PYTHON}\n")
    lock = (ROOT / "requirements" / "lock.txt").read_text(encoding="utf-8")
    (binder / "requirements.txt").write_text(f"--extra-index-url {TORCH_FOR_CPU}\n{lock}")
    after = binder / "postBuild"
    after.write_text(
        "#!/bin/bash\nset -e\n"
        "pip install --no-deps --require-hashes -r requirements/bundled.txt\n"
        "pip install --no-deps --no-build-isolation --editable .\n"
    )
    after.chmod(0o755)
    return len(found)


def main() -> int:
    """Command line: write the branch's files into a new folder."""
    try:
        if len(sys.argv) != 2 or Path(sys.argv[1]).exists():
            raise InputError("give one folder, which does not exist yet")
        if not (address := repository()):
            raise InputError(
                "the repository's address is unknown: set GITHUB_REPOSITORY=owner/name, or "
                "repository-code in CITATION.cff"
            )
        git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
        count = write_branch(Path(sys.argv[1]), address, commit)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{count} notebooks of {address} at {commit[:12]} in {sys.argv[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
