"""The built site as a person meets it: headless Chromium, nothing but localhost."""

import functools
import http.server
import os
import shutil
import threading
import typing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SITES = {
    name: folder
    for name, folder in {
        "default": ROOT / "_build" / "html",
        "smoke": ROOT / "_build" / "smoke" / "html",
    }.items()
    if (folder / "index.html").is_file()
}
CHAPTER = "notebooks/05-hierarchical-effects.html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [
    "index",
    TOC["root"],
    *(item["file"] for part in TOC["parts"] for item in part["chapters"]),
]
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.browser


class Silent(http.server.SimpleHTTPRequestHandler):
    missing: typing.ClassVar[list[str]] = []

    def log_message(self, *_args: object) -> None:
        pass

    def send_error(self, code, *args, **kwargs):
        """Note what was asked for in vain: an icon's request is hidden from the page's events."""
        self.missing.append(f"{code} {self.path}")
        super().send_error(code, *args, **kwargs)


@pytest.fixture(scope="module", params=SITES or ["none"])
def address(request):
    """Address of a local server over a built site."""
    if not SITES:
        pytest.fail("no site to look at: run `make smoke` or `make book` first")
    handler = functools.partial(Silent, directory=str(SITES[request.param]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    """Chromium of the system; its place can be given in CHROMIUM."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        pytest.fail("no Chromium: install the package chromium, or set CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which(found), args=QUIET)
        yield chromium
        chromium.close()


class Visit:
    """An open page, with all that it complained about and asked for."""

    def __init__(self, browser, address, path=CHAPTER, width=1280, **context):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **context)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.loaded: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._request)
        self.page.on("response", self._response)
        self.address = address
        self.page.goto(f"{address}/{path}")
        self.page.wait_for_load_state("networkidle")

    def _console(self, message):
        if message.type == "error":
            self.complaints.append(message.text)

    def _request(self, request):
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.foreign.append(request.url)
        elif request.url.startswith(self.address):
            self.loaded.append(urlsplit(request.url).path.lstrip("/"))

    def _response(self, response):
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.context.close()


def test_chapter_draws_its_figures_and_formulas(browser, address):
    with Visit(browser, address) as visit:
        page = visit.page
        page.wait_for_selector("html.figures-ready")
        figures = page.locator("figure.book-figure")
        assert figures.count() == 3
        for number in range(3):
            plot = figures.nth(number).locator(".figure-interactive .main-svg").first
            box = plot.bounding_box()
            assert box
            assert box["height"] > 200
            traces = figures.nth(number).locator(".scatterlayer .trace")
            assert traces.count() >= 6
            drawn = traces.last.locator("path").first.get_attribute("d") or ""
            assert len(drawn) > 100
        assert page.locator("mjx-container").count() > 10
        assert page.locator("mjx-container mjx-math").first.is_visible()
        assert page.locator(".math, .output").filter(has_text="\\lVert").count() == 0
        assert visit.complaints == []
        assert visit.foreign == []


def test_contents_lead_to_every_page(browser, address):
    with Visit(browser, address, "book/index.html") as visit:
        links = visit.page.locator("nav.bd-links a").evaluate_all("all => all.map(a => a.href)")
        for name in PAGES[2:]:
            assert any(link.endswith(f"{name}.html") for link in links), name


def test_panel_answers_to_its_sliders(browser, address):
    """The panel of the real chapter: keyboard only, words and picture follow."""
    with Visit(browser, address, "notebooks/06-representation-analysis.html", 390) as visit:
        page = visit.page
        page.wait_for_selector(".panel-live:not([hidden])")
        words = page.locator(".panel-live [aria-live]").first
        before = words.inner_text()
        page.locator(".panel-live input[type=range]").first.focus()
        for _ in range(8):
            page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "before => document.querySelector('.panel-live [aria-live]').innerText !== before",
            arg=before,
        )
        assert visit.complaints == []


def test_every_layer_can_be_chosen(browser, address):
    with Visit(browser, address, "notebooks/i-supplementary.html", 390) as visit:
        page = visit.page
        page.wait_for_selector("html.figures-ready")
        figure = page.locator("#fig-figures-14-19")
        title = figure.locator(".figure-title")
        choices = figure.locator("select option").all_inner_texts()
        seen = set()
        for choice in (choices[0], choices[-1]):
            figure.locator("select").select_option(label=choice)
            layer = choice.rsplit(" ", 1)[-1]
            title.filter(has_text=f"layer {layer}").wait_for()  # its values come from a file
            seen.add(title.inner_text())
        assert len(seen) == 2
        assert len(choices) >= 8
        assert visit.complaints == []


def test_matrices_are_even_grids(browser, address):
    """Every cell of a matrix is as wide as the others, also where a whole column is removed."""
    with Visit(browser, address, "notebooks/pruning-by-hand.html", 390) as visit:
        methods = visit.page.locator(".matrix-methods > label")
        assert methods.count() == 4
        for method in range(4):
            methods.nth(method).click()
            tables = visit.page.locator("table.matrix:visible")
            assert tables.count() == 4
            for number in range(4):
                widths = (
                    tables.nth(number)
                    .locator("tr:first-child td")
                    .evaluate_all("cells => cells.map(cell => cell.getBoundingClientRect().width)")
                )
                assert len(widths) == 8
                assert max(widths) - min(widths) < 1.5
                assert min(widths) > 10


def test_without_scripts_the_static_picture_stands(browser, address):
    with Visit(browser, address, java_script_enabled=False) as visit:
        picture = visit.page.locator("figure.book-figure .figure-static svg").first
        box = picture.bounding_box()
        assert box
        assert box["height"] > 200
        assert visit.page.locator(".figure-interactive").first.is_hidden()


def test_print_shows_the_static_picture(browser, address):
    with Visit(browser, address) as visit:
        visit.page.wait_for_selector("html.figures-ready")
        visit.page.emulate_media(media="print")
        assert visit.page.locator("figure.book-figure .figure-static svg").first.is_visible()
        assert visit.page.locator(".figure-interactive").first.is_hidden()


def test_data_can_be_downloaded_with_the_runs_identity(browser, address, tmp_path):
    with Visit(browser, address, accept_downloads=True) as visit:
        link = visit.page.locator("a.figure-download").first
        with visit.page.expect_download() as waiting:
            link.click()
        path = tmp_path / "data.csv"
        waiting.value.save_as(path)
        text = path.read_text()
        run = next(line for line in text.splitlines() if line.startswith("# run: "))
        assert run.removeprefix("# run: ") in waiting.value.suggested_filename
        assert "choice,panel,series,x,point,y,low,high,n" in text


def test_figure_links_to_its_notebook(browser, address):
    with Visit(browser, address) as visit:
        link = visit.page.locator(".figure-provenance a", has_text="notebook").first
        target = link.evaluate("node => node.href")
        response = visit.page.request.get(target)
        assert response.ok
        assert '"cells"' in response.text()


def test_verdicts_carry_the_size_of_the_model(browser, address):
    with Visit(browser, address) as visit:
        text = visit.page.locator("article").inner_text()
        assert "measured at 135M" in text
        assert "reported, 7B" in text


def test_the_ledger_shows_one_verdict_by_keyboard_and_by_its_address(browser, address):
    with Visit(browser, address, "book/ledger.html#verdict=untested") as visit:
        page = visit.page
        shown = page.locator(".ledger-table tbody:not([hidden])")
        every = page.locator(".ledger-table tbody").count()
        assert 0 < shown.count() < every
        assert set(shown.evaluate_all("all => all.map(one => one.dataset.verdicts)")) == {
            "untested"
        }
        page.locator("input[value=untested]").focus()
        page.keyboard.press("ArrowRight")  # round to the first: all
        assert (shown.count(), page.url.rpartition("#")[2]) == (every, "claims")
    with Visit(browser, address, "book/ledger.html", java_script_enabled=False) as visit:
        closed = visit.page.locator(".ledger-part:not([open]) > summary")
        while closed.count():
            closed.first.click()
        assert visit.page.locator(".ledger-table tbody:visible").count() == every
        assert not visit.page.locator(".ledger-filter").is_visible()


def test_texts_are_marked_where_they_part_and_open_by_keyboard(browser, address):
    with Visit(browser, address, "notebooks/04-inconsistent-effects.html") as visit:
        page = visit.page
        blocks = page.locator("#fig-texts .text-block")
        assert blocks.count() >= 6
        for number in range(6):
            block = blocks.nth(number)
            assert block.locator(".text-spoken").first.text_content().strip()
            assert block.locator(".text-tokens").first.get_attribute("aria-hidden") == "true"
            assert block.locator(".first-different").count() <= 1
        assert page.locator("#fig-texts .first-different").count() >= 1
        opened = page.locator("#fig-texts details.text-more[open]")
        before = opened.count()
        page.locator("#fig-texts details.text-more:not([open]) > summary").first.focus()
        page.keyboard.press("Enter")
        assert opened.count() == before + 1
