"""The pages of a grid as a person meets them: the switcher, and the figure of all results.

``make book PROFILE=tests/grid.yaml`` builds the grid's site; all results stand in every book.
"""

import csv
import functools
import http.server
import io
import json
import threading
import urllib.parse

import pytest
from bs4 import BeautifulSoup
from test_browser import ROOT, SITES, Silent, Visit, browser  # noqa: F401 (a fixture)

from runs import profiles

pytestmark = pytest.mark.browser

GRID = ROOT / "_build" / "grid" / "html"
CHAPTER = "05-hierarchical-effects"
LAST = f"{CHAPTER}--model-qwen2--sparsity-0-75"
SITES_WITH_RESULTS = {"grid": GRID, **SITES} if (GRID / "index.html").is_file() else SITES
WIDTHS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


def serving(folder):
    """A server over a folder, and its address."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Silent, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(scope="module")
def grid():
    """Address of the grid's site."""
    if not (GRID / "index.html").is_file():
        pytest.skip("no site of a grid to look at: run `make book PROFILE=tests/grid.yaml` first")
    server, address = serving(GRID)
    with server:
        yield address
        server.shutdown()


@pytest.fixture(scope="module", params=SITES_WITH_RESULTS or ["none"])
def results(request):
    """Address of the page of all results of each built site."""
    if not SITES_WITH_RESULTS:
        pytest.fail("no site to look at: run `make smoke` or `make book` first")
    server, address = serving(SITES_WITH_RESULTS[request.param])
    with server:
        yield address
        server.shutdown()


def heading_in_view(page):
    """The heading or figure that is read right under the switcher, and how far it is above."""
    return page.evaluate(
        """() => {
          const line = document.querySelector(".point-switcher").getBoundingClientRect().bottom;
          const marks = [...document.querySelectorAll(
            ".bd-article section[id], .bd-article figure[id]")];
          const top = (mark) => mark.getBoundingClientRect().top;
          const mark = marks.filter((one) => top(one) <= line + 1).at(-1);
          return [mark.id, Math.round(line - top(mark))];
        }"""
    )


def read_on(page):
    """Scroll into the middle of the chapter, when all is drawn."""
    page.wait_for_selector("html.figures-ready")
    page.evaluate(
        """() => document.querySelectorAll(".bd-article figure[id]")[1].scrollIntoView(
             {behavior: "instant"})"""
    )
    page.mouse.wheel(0, 120)
    page.wait_for_timeout(300)


@pytest.mark.parametrize(("width", "theme"), WIDTHS)
@pytest.mark.parametrize("how", ["click", "keyboard"])
def test_switcher_keeps_the_place(browser, grid, width, theme, how):  # noqa: F811
    path = f"notebooks/{CHAPTER}.html"
    with Visit(browser, grid, path, width=width, color_scheme=theme) as visit:
        page = visit.page
        read_on(page)
        before = heading_in_view(page)
        link = page.locator('.point-switcher a:text-is("75%")')
        if how == "click":
            link.click()
        else:
            link.focus()
            page.keyboard.press("Enter")
        page.wait_for_url("**/*sparsity-0-75.html")
        page.wait_for_selector("html.figures-ready")
        page.wait_for_timeout(500)
        place, below = heading_in_view(page)
        assert place == before[0]
        assert abs(below - before[1]) <= 3
        current = page.locator(".point-switcher [aria-current]").all()
        titles = [link.get_attribute("title") for link in current]
        assert titles == ["models/llama", "0.75"]
        focused = page.evaluate("document.activeElement.textContent")
        assert (focused.strip() == "75%") == (how == "keyboard")
        assert visit.complaints == []
        assert visit.foreign == []


@pytest.mark.parametrize(("width", "theme"), WIDTHS)
def test_switcher_fits_and_is_large_enough_to_touch(browser, grid, width, theme):  # noqa: F811
    with Visit(browser, grid, f"notebooks/{LAST}.html", width=width, color_scheme=theme) as visit:
        page = visit.page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for link in page.locator(".point-switcher a").all():
            box = link.bounding_box()
            assert box["height"] >= 44
            assert box["x"] + box["width"] <= width
        read_on(page)
        box = page.locator(".point-switcher").bounding_box()
        assert 0 <= box["y"] < 200  # it stays in view
        covered = page.evaluate(
            """() => {
              const box = document.querySelector(".point-switcher a").getBoundingClientRect();
              const at = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
              return at.closest(".point-switcher") === null;
            }"""
        )
        assert not covered


def test_switcher_works_without_scripts(browser, grid):  # noqa: F811
    with Visit(browser, grid, f"notebooks/{CHAPTER}.html", java_script_enabled=False) as visit:
        visit.page.locator('.point-switcher a[title="models/qwen2"]').click()
        assert visit.page.url.endswith("--model-qwen2.html")
        visit.page.locator('.point-switcher a:text-is("75%")').click()
        assert visit.page.url.endswith(f"{LAST}.html")


def test_every_run_has_a_page_and_only_first_ones_are_listed_and_searched(browser, grid):  # noqa: F811
    profile = profiles.read(str(ROOT / "tests" / "grid.yaml"))
    assert len(profile.runs) == 18
    index = (GRID / "searchindex.js").read_text()
    listed = BeautifulSoup((GRID / "book" / "index.html").read_text(), "html.parser")
    links = {link["href"].rsplit("/")[-1] for link in listed.select(".bd-sidebar a[href]")}
    found = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))
    names = found["docnames"]
    for run in profile.runs:
        page = BeautifulSoup((GRID / "notebooks" / f"{run.name}.html").read_text(), "html.parser")
        assert (f"{run.name}.html" in links) == run.first
        assert len(page.select(".point-switcher a")) == 5
        place = names.index(f"notebooks/{run.name}")
        for kind in ("terms", "titleterms"):
            pages = [at if isinstance(at, list) else [at] for at in found[kind].values()]
            assert any(place in at for at in pages) == run.first
    titles = {
        BeautifulSoup(
            (GRID / "notebooks" / f"{run.name}.html").read_text(), "html.parser"
        ).title.text
        for run in profile.runs
    }
    assert len(titles) == 18


def drawn(visit):
    """The figure's traces that hold values, and the rows of its download."""
    page = visit.page
    page.wait_for_selector("html.results-ready")
    page.wait_for_timeout(200)
    traces = page.evaluate(
        """() => document.querySelector("[data-results] .js-plotly-plot").data
             .filter((one) => one.meta).map((one) => ({name: one.name, y: one.y}))"""
    )
    link = page.locator(".all-results .figure-download").get_attribute("href")
    text = urllib.parse.unquote(link.partition(",")[2])
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return traces, list(csv.DictReader(io.StringIO(body)))


@pytest.mark.parametrize(("width", "theme"), WIDTHS)
def test_all_results_are_drawn(browser, results, width, theme):  # noqa: F811
    path = "book/all-results.html"
    with Visit(browser, results, path, width=width, color_scheme=theme) as visit:
        traces, rows = drawn(visit)
        assert traces
        assert len(rows) == sum(len(each["y"]) for each in traces)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        box = visit.page.locator("[data-results] .main-svg").first.bounding_box()
        assert box["width"] <= width
        assert box["height"] > 250
        assert visit.complaints == []
        assert visit.foreign == []


def test_the_address_keeps_the_choice(browser, results):  # noqa: F811
    with Visit(browser, results, "book/all-results.html") as visit:
        drawn(visit)
        page = visit.page
        page.get_by_label("Metric", exact=True).select_option("cosine")
        page.get_by_label("A line for each").select_option("category")
        page.wait_for_function("document.querySelector('.all-results').dataset.drawn.includes("
                               "'lines=category')")  # fmt: skip
        before, rows = drawn(visit)
        address = page.url
        assert "metric=cosine" in address
    with Visit(browser, results, address.removeprefix(f"{results}/")) as visit:
        after, again = drawn(visit)
        assert after == before
        assert again == rows
        assert visit.page.get_by_label("Metric", exact=True).input_value() == "cosine"


def test_every_choice_draws_something(browser, results):  # noqa: F811
    """Each kind of measurement over each axis, and each metric of it, by the keyboard alone."""
    with Visit(browser, results, "book/all-results.html") as visit:
        drawn(visit)
        page = visit.page
        measured = page.locator('[name="measured"]')
        for family in measured.locator("option").all():
            measured.select_option(family.get_attribute("value"))
            page.wait_for_timeout(150)
            for name in ("over", "metric"):
                lists = page.locator(f'[name="{name}"]')
                for _ in range(lists.locator("option").count() if lists.count() else 0):
                    traces, rows = drawn(visit)
                    assert traces, page.url
                    assert rows
                    lists.focus()
                    page.keyboard.press("ArrowDown")
                    page.wait_for_timeout(120)
        assert visit.complaints == []


def test_all_results_say_what_there_is_without_scripts(browser, results):  # noqa: F811
    with Visit(browser, results, "book/all-results.html", java_script_enabled=False) as visit:
        assert visit.page.locator(".book-table tbody tr").count() >= 2
        assert "Nothing is drawn without scripts" in visit.page.locator("article").inner_text()


@pytest.mark.parametrize("name", SITES_WITH_RESULTS)
def test_no_page_of_results_loads_a_megabyte(name):
    site = SITES_WITH_RESULTS[name]
    page = (site / "book" / "all-results.html").stat().st_size
    files = [path.stat().st_size for path in (site / "_static" / "all-results").glob("*.js")]
    assert page + max(files) < 1_000_000
