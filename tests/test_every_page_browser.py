"""Every page of the built site in Chromium: light and dark, on a laptop and on a phone."""

import gzip
import json
import re
from importlib import resources
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from test_browser import SITES, Silent, Visit, address, browser

__all__ = ["address", "browser"]  # fixtures
pytestmark = pytest.mark.browser
LOOKS = (("light", 1280), ("light", 390), ("dark", 1280), ("dark", 390))
HEAVIEST = 400  # KB, gzipped, of a page with all that it loads but what draws plots and formulas
FIRST_CONTENT = 1500  # milliseconds
PLOTLY, MATHJAX = "_static/plotly.min.js", "_static/mathjax/"  # once for the whole site
PAGES = {
    site: {
        name for page in folder.rglob("*.html") if (name := str(page.relative_to(folder)))[0] != "_"
    }
    for site, folder in SITES.items()
}
VISITS = [
    (site, page)
    for site, pages in PAGES.items()
    for page in sorted(pages)
    if 'http-equiv="refresh"' not in (SITES[site] / page).read_text(encoding="utf-8")
]
# What is wider than its place without a shadow at the edge that says so; code shows a scroll bar.
CUT_OFF = """() => [...document.querySelectorAll("article *")].filter((one) => {
    const { overflowX, backgroundImage, clipPath } = getComputedStyle(one);
    return one.checkVisibility() && one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1
      && overflowX !== "visible" && clipPath === "none" && backgroundImage === "none"
      && !one.closest("pre, svg, select, span.math, mjx-container *");
  }).map((one) => `${one.outerHTML.slice(0, 120)}: ${one.scrollWidth} > ${one.clientWidth}`)"""
UNNAMED = """() => [...document.querySelectorAll("article figure, article img")].filter((one) =>
    !(one.alt || one.querySelector("[aria-label], img[alt]:not([alt='']), svg title, table, pre")
      || one.querySelector(".text-blocks"))).map((one) => one.outerHTML.slice(0, 120))"""
FINDINGS = {"resultTypes": ["violations"], "preload": False}  # ask for no style anew
FIRST = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


@pytest.fixture(scope="module")
def axe():
    """axe-core as one script."""
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(("address", "name"), VISITS or [("none", "")], indirect=["address"])
def test_page(browser, address, axe, name, request):
    site = SITES[request.node.callspec.params["address"]]
    with Visit(browser, address, name, color_scheme="light") as visit:
        page = visit.page
        page.locator("#main-content :is(h1, h2):visible").first.wait_for()
        figures = page.locator("figure.book-figure .figure-interactive[data-figure]").count()
        if figures:
            page.wait_for_selector("html.figures-ready")
        first = page.evaluate(FIRST)
        plotted = figures or page.locator("[data-results], figure.book-panel").count()
        assert bool(figures) <= visit.loaded.count(PLOTLY) <= bool(plotted)
        assert sum(_weight(site, path) for path in set(visit.loaded)) < HEAVIEST * 1024
        assert page.evaluate(UNNAMED) == []
        page.evaluate(axe)
        for scheme, width in LOOKS:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function(
                "wanted => document.documentElement.dataset.theme === wanted", arg=scheme
            )
            for _ in range(20):  # figures are drawn anew
                page.wait_for_timeout(150)
                if not (cut := page.evaluate(CUT_OFF)):
                    break
            assert cut == [], (scheme, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            if (scheme, width) in (LOOKS[0], LOOKS[-1]):
                assert _violations(page, scheme) == [], (scheme, width)
        assert visit.complaints == visit.foreign == Silent.missing == []
        if first > FIRST_CONTENT:  # once more: the machine may have been busy
            page.reload()
            assert page.evaluate(FIRST) < FIRST_CONTENT


def _weight(site, path):
    """Bytes of a file of the site as a server would send it."""
    return (
        0 if path.startswith((PLOTLY, MATHJAX)) else len(gzip.compress((site / path).read_bytes()))
    )


def _violations(page, scheme):
    """What axe-core finds serious or critical; in the dark only what depends on colours."""
    rules = {"runOnly": ["color-contrast", "link-in-text-block"]} if scheme == "dark" else {}
    found = page.evaluate(f"axe.run({json.dumps({**FINDINGS, **rules})})")
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("site", SITES)
def test_every_link_and_anchor_of_the_site_resolves(site):
    folder = SITES[site]
    texts = {page: (folder / page).read_text(encoding="utf-8") for page in PAGES[site]}
    anchors = {
        page: set(re.findall(r'\b(?:id|name)="([^"]*)"', text)) for page, text in texts.items()
    }
    astray = set()
    for page, text in texts.items():
        for link in re.findall(r'<a\b[^>]*?\bhref="([^"]*)"', text):
            target = urlsplit(urljoin(f"site:///{page}", link.replace("&amp;", "&")))
            if target.scheme != "site":
                continue
            path, anchor = unquote(target.path).lstrip("/"), unquote(target.fragment)
            known = anchors.get(path, set())
            wanted = anchor and path in anchors and "=" not in anchor  # which a script reads
            if not (folder / path).is_file() or (wanted and anchor not in known):
                astray.add(f"{page}: {link}")
    assert astray == set()
