"""The built site: its links lead somewhere, and a browser asks no other host for anything."""

import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

pytestmark = pytest.mark.site

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None
)
VIEWS = [((360, 740), "light"), ((360, 740), "dark"), ((1280, 900), "light"), ((1280, 900), "dark")]


class Page(HTMLParser):
    """Collects what a page links to, what it loads, and the anchors in it."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        loaded = values.get("src") or (values.get("href") if tag == "link" else None)
        if loaded and values.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(loaded)


@pytest.fixture(scope="module")
def pages(site):
    found = {path.relative_to(site).as_posix(): path for path in site.rglob("*.html")}
    return {name: Page(path.read_text(encoding="utf-8")) for name, path in found.items()}


def test_pages_of_every_kind_are_there(pages):
    for name in ("index", "get_started", "faq", "glossary", "method", "api/verifying"):
        assert f"{name}.html" in pages
    commands = [name for name in pages if name.startswith("commands/pams-")]
    assert len(commands) == len(list(Path(__file__).parents[2].glob("tools/*.py")))


def test_internal_links_lead_to_a_page_and_an_anchor_on_it(pages, site):
    broken = []
    for name, page in pages.items():
        if name == "404.html":  # its links are absolute, for whatever address was asked for
            continue
        for link in page.links + page.loads:
            if urlsplit(link).scheme:
                continue
            path, anchor = urldefrag(urljoin(f"/{name}", unquote(link)))
            target = path.lstrip("/") or "index.html"
            there = (site / target).is_file()
            anchors = pages[target].anchors if target in pages else {anchor}
            if not there or (anchor and anchor not in anchors):
                broken.append((name, link))
    assert broken == []


def test_nothing_is_loaded_from_another_host(pages):
    loads = {load for page in pages.values() for load in page.loads}
    assert {load for load in loads if urlsplit(load).netloc} == set()


def test_equations_are_rendered(site):
    text = (site / "method.html").read_text(encoding="utf-8")
    assert text.count("<math") > 10
    assert "arithmatex" not in text


def test_no_command_of_an_equation_is_unknown_to_the_renderer(site):
    """What latex2mathml does not know, it shows as it is."""
    left = {
        (path.name, *found)
        for path in site.rglob("*.html")
        for math in re.findall(r"<math.*?</math>", path.read_text(encoding="utf-8"), re.DOTALL)
        if (found := re.findall(r"\\[A-Za-z]+", math))
    }
    assert left == set()


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("no Chromium here; mobile/web/tools.sh chromium installs it on Debian")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        yield chromium
        chromium.close()


@pytest.mark.parametrize(("size", "scheme"), VIEWS, ids=lambda value: str(value))
def test_every_page_in_a_browser(size, scheme, browser, address, pages):
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    tab = context.new_page()
    foreign, troubles = set(), []
    tab.on("request", lambda asked: foreign.add(asked.url) if address not in asked.url else None)
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.on("response", lambda answer: troubles.append(answer.url) if answer.status >= 400 else None)
    wide = {}
    for name in sorted(set(pages) - {"404.html"}):
        tab.goto(f"{address}/{name}")
        if (seen := tab.evaluate("document.documentElement.scrollWidth")) > width:
            wide[name] = seen
        shown = tab.evaluate("document.body.getAttribute('data-md-color-scheme')")
        assert shown == ("slate" if scheme == "dark" else "default"), name
    context.close()
    assert {url for url in foreign if not url.startswith(("data:", "blob:"))} == set()
    assert troubles == []
    assert wide == {}


def test_the_search_finds_words_of_the_pages(browser, address):
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.goto(f"{address}/index.html")
    box = tab.locator(".md-search__input")
    box.click()  # the index is loaded when the box is used
    box.press_sequentially("receptive field")
    result = tab.locator(".md-search-result__item").first
    result.wait_for()
    assert "receptive" in result.inner_text().lower()
    tab.close()
