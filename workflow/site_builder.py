"""Build the site: stage pages and executed notebooks, run Jupyter Book, check every page.

The finished site replaces the old one in one step, and only if every page that it should have is
there and has text. The workflow reads this module at every start, so that what is slow to import is
imported where it is needed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from pages.contents import SiteError, check_pages
from runs import profiles
from runs.profiles import Profile

ROOT = Path(__file__).resolve().parent.parent
MOVED = {
    "notebooks/02-pruning-by-hand": "notebooks/pruning-by-hand"
}  # old addresses, which lead on


def sources(root: Path) -> list[str]:
    """Files, relative to the root, that the site is made of besides what runs have written."""
    book = [path for path in sorted((root / "book").rglob("*")) if path.is_file()]
    named = (
        "_config.yml",
        "_toc.yml",
        "CITATION.cff",
        "workflow/site_builder.py",
        "src/reporting/overview.py",
        "src/reporting/verdicts.py",
        "src/reporting/reported/claims.yaml",
    )
    settings = [root / name for name in named]
    made = sorted((root / "workflow" / "pages").glob("*.py"))
    made += sorted((root / "src" / "course" / "tables").glob("*.csv"))  # the lesson shows them
    described = [path for path in (root / "src").rglob("*.py") if "Column(" in path.read_text()]
    return [str(path.relative_to(root)) for path in (*settings, *made, *sorted(described), *book)]


def site_folder(profile: str) -> Path:
    """Where the finished site of a profile stands."""
    build = ROOT / "_build"
    return build / "html" if profile == "default" else build / profile / "html"


def build(profile: Profile, results: Path = ROOT / "results") -> list[str]:
    """Build the site of ``profile`` from what its runs left in ``results``; the pages it has."""
    from pages import lighter, staging
    from pages.points import Grid

    name = profile.name
    print(f"Building the site of profile {name} …", flush=True)
    work = ROOT / "_build" / f".{name}"
    shutil.rmtree(work, ignore_errors=True)
    pages = staging.stage(work / "source", Grid.of(profile, results))
    log = ROOT / "_build" / f"{name}-site.log"
    program = Path(sys.executable).with_name("jupyter-book")  # has no python -m form
    command = [str(program), "build", str(work / "source")]
    command += ["--path-output", str(work), "-W", "--keep-going", "-n"]
    with log.open("w") as file:
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT).returncode
    if code:
        faults = [line for line in log.read_text().splitlines() if "WARN" in line or "ERR" in line]
        raise SiteError(f"Jupyter Book failed: {(faults or ['no message'])[0]} (see {log})")
    built = work / "_build" / "html"
    check_pages(built, pages)
    lighter.lighten(built)
    for old, new in {"index": pages[0], **moved(pages)}.items():
        (built / f"{old}.html").write_text(leading_on(old, new), encoding="utf-8")
    replace(built, site_folder(name))
    shutil.rmtree(work)
    return pages


def moved(pages: Iterable[str]) -> dict[str, str]:
    """The old address of every page whose chapter has another one now, with the new address."""
    return {
        name.replace(new, old, 1): name
        for old, new in MOVED.items()
        for name in pages
        if name == new or name.startswith(f"{new}--")
    }


def leading_on(old: str, new: str) -> str:
    """A page at one address of the site that leads on to another.

    So stands one at the root: Jupyter Book's own names no icon, and a browser asks for one that is
    not there.
    """
    up = "../" * old.count("/")
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>When Pruning Works</title>
<link rel="icon" href="{up}_static/favicon.svg">
<link rel="canonical" href="{up}{new}.html">
<meta http-equiv="refresh" content="0; url={up}{new}.html">
<p><a href="{up}{new}.html">When Pruning Works</a></p>
</html>
"""


def replace(new: Path, old: Path) -> None:
    """Put the new site where the old one stands; a reader never meets half a site."""
    old.parent.mkdir(parents=True, exist_ok=True)
    aside = old.with_name(f".{old.name}-{os.getpid()}")
    if old.exists():
        old.replace(aside)
    new.replace(old)
    shutil.rmtree(aside, ignore_errors=True)


def main() -> int:
    """Command line: build one profile's site and write a stamp when it stands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", required=True, help="a name, or a file PATH.yaml")
    parser.add_argument("--stamp", type=Path, required=True)
    given = parser.parse_args()
    begin = time.perf_counter()
    profile = profiles.read(given.profile)
    try:
        pages = build(profile)
    except SiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    seconds = round(time.perf_counter() - begin, 1)
    given.stamp.write_text(json.dumps({"pages": pages, "seconds": seconds}))
    print(f"Built {len(pages)} pages in {seconds} s: {site_folder(profile.name)}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
