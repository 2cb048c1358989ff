"""The report in a headless Chromium: layout, keyboard, sorting, filtering, the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Page, executable, page
from fixtures import DATA

from autodas_dsl.language.library import load
from autodas_dsl.report.page import write_report
from autodas_dsl.report.parts import formula_math

pytestmark = pytest.mark.skipif(executable() is None, reason="Chromium is not installed")

ROWS = "[...document.querySelectorAll('.hall tbody tr')].filter(row => !row.hidden)"
SIZES = f"{ROWS}.map(row => row.cells[0].textContent)"
SORT = "[...document.querySelectorAll('.hall thead th')].map(th => th.getAttribute('aria-sort'))"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(DATA / "report" / "run", path)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with page() as found:
        yield found


@pytest.mark.parametrize(("width", "dark"), [(320, False), (375, True), (768, False), (1280, True)])
def test_nothing_is_wider_than_the_window(
    browser: Page, report: Path, width: int, dark: bool
) -> None:
    browser.open(report, width, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") <= width
    small = browser.run(
        "[...document.querySelectorAll('main p, main td, main th, main code, main button')]"
        ".filter(e => e.getClientRects().length && parseFloat(getComputedStyle(e).fontSize) < 11)"
        ".map(e => e.outerHTML)"
    )
    assert small == []


LONG = (
    "mean(abslog(abssqrt(symlog(|norm_inf[HW](minmax(A))|_1))))",
    "-(sum(|W|_F) - 3 * mean(|grad W|_1)) / (sum(mean(|A|)) + 2 * sum(mean(|grad A|)) + 1e-5)",
    "sum(sqrt(mean(W^2) + mean((grad W)^2) + mean(|W * grad W|)))^2",
    "rho_cnn_s0_aligned",
    "rho_vit_released",
)


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_formulas_wrap_instead_of_scrolling(
    browser: Page, report: Path, tmp_path: Path, width: int
) -> None:
    """Those of the run, and long ones in their places."""
    page = report.read_text(encoding="utf-8")
    start = page.index('class="math"')
    before, opened, rest = page[:start], *page[start:].partition(">")[::2]
    formulas = "<p>".join(formula_math(load(text), display=False) for text in LONG)
    crowded = tmp_path / "crowded.html"
    crowded.write_text(f"{before}{opened}>{formulas}{rest}", encoding="utf-8")
    browser.open(crowded, width)
    assert browser.run("document.querySelectorAll('.math math').length") > 30
    scrolled = browser.run(
        "[...document.querySelectorAll('.math, .formula')]"
        ".filter(e => e.scrollWidth > e.clientWidth).map(e => e.outerHTML)"
    )
    assert scrolled == []


def test_the_page_runs_without_errors_and_asks_the_network_nothing(
    browser: Page, report: Path
) -> None:
    browser.requests.clear()
    browser.errors.clear()
    browser.open(report)
    browser.run("new Promise(done => setTimeout(done, 100))")
    assert browser.requests == [report.resolve().as_uri()]
    assert browser.errors == []


def test_text_stands_out_in_light_and_dark(browser: Page, report: Path) -> None:
    """WCAG AA: 4.5 to 1 for text, 3 to 1 for marks."""
    contrast = """
      (() => {
        const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
            .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
          return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
        const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
          return (x + .05) / (y + .05); };
        const ground = e => { for (; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor;
            if (c !== 'rgba(0, 0, 0, 0)') return c; }
          return getComputedStyle(document.body).backgroundColor; };
        const bad = [];
        const texts = 'h1, h2, p, td, th, a, dt, dd, small, code, summary, button, .badge, .yes';
        for (const e of document.querySelectorAll(texts))
          if (ratio(getComputedStyle(e).color, ground(e)) < 4.5) bad.push(e.outerHTML.slice(0, 90));
        for (const e of document.querySelectorAll('.chart .mark'))
          if (e.getAttribute('class') !== 'mark invalid' &&
              ratio(getComputedStyle(e).fill, ground(e.closest('section'))) < 3) bad.push(e.outerHTML);
        return [...new Set(bad)];
      })()
    """
    for dark in (False, True):
        browser.open(report, dark=dark)
        assert browser.run(contrast) == []


def test_the_hall_of_fame_sorts_by_keyboard(browser: Page, report: Path) -> None:
    browser.open(report)
    assert browser.run(SIZES) == ["2", "3", "5", "7"]
    browser.run("document.querySelectorAll('.hall .sort')[2].focus()")
    browser.press("Enter", 13, "\r")
    assert browser.run(SIZES) == ["7", "3", "5", "2"]  # by tau, best first
    assert browser.run(SORT)[:3] == ["none", "none", "descending"]
    browser.press(" ", 32, " ")
    assert browser.run(SIZES) == ["2", "5", "3", "7"]
    assert browser.run(SORT)[:3] == ["none", "none", "ascending"]


def test_rows_without_a_number_come_last_when_rising(browser: Page, report: Path) -> None:
    browser.open(report)
    column = browser.run(
        "[...document.querySelectorAll('.hall .sort')].findIndex(b => b.textContent === 'τ held out')"
    )
    press = f"document.querySelectorAll('.hall .sort')[{column}].click()"
    browser.run(press)
    browser.run(press)
    assert browser.run(SIZES) == ["2", "3", "7", "5"]


def test_the_hall_of_fame_is_filtered(browser: Page, report: Path) -> None:
    browser.open(report)
    type_in = """(() => { const box = document.getElementById('hall-search'); box.value = %r;
        box.dispatchEvent(new Event('input')); })()"""
    browser.run(type_in % "grad MEAN")
    assert browser.run(SIZES) == ["3", "5", "7"]
    assert browser.run("document.getElementById('hall-count').textContent") == "3 of 4 formulas"
    browser.run("document.getElementById('hall-front').click()")
    assert browser.run(SIZES) == ["3", "7"]
    browser.run(type_in % "nothing like this")
    assert browser.run(SIZES) == []
    browser.run(type_in % "")
    browser.run("document.getElementById('hall-front').click()")
    assert browser.run(SIZES) == ["2", "3", "5", "7"]


def test_everything_that_can_be_used_is_reached_by_tab(browser: Page, report: Path) -> None:
    browser.open(report)
    seen: set[str] = set()
    while "<body" not in (here := _focused_after_tab(browser))[:5] and len(seen) < 200:
        seen.add(here)
    usable = browser.run(
        "[...document.querySelectorAll('a, button, input, summary')]"
        ".filter(e => e.getClientRects().length).map(e => e.outerHTML)"
    )
    assert set(usable) <= seen
    browser.run("document.querySelector('.skip').focus()")
    assert browser.run("document.querySelector('.skip').getBoundingClientRect().left") >= 0


def _focused_after_tab(browser: Page) -> str:
    browser.press("Tab", 9)
    return str(browser.run("document.activeElement.outerHTML"))


def test_without_scripts_the_page_still_shows_everything(browser: Page, report: Path) -> None:
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(report)
        assert browser.run(SIZES) == ["2", "3", "5", "7"]
        assert browser.run("document.querySelector('.tools').hidden")
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)
