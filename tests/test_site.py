"""The documentation site: its pages show what commands print, and its generated parts say what
docs/results.md and the library say."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from conftest import REPOSITORY, Golden, own_language
from nbclient import NotebookClient

from autodas_dsl.cli.entry import COMMANDS, cli
from autodas_dsl.language.library import library_names, library_proxy

HOOKS = REPOSITORY / "docs" / "hooks"
sys.path.append(str(HOOKS))

import chart  # noqa: E402
import command_line  # noqa: E402
import cost  # noqa: E402
import gallery  # noqa: E402
import listings  # noqa: E402
import results  # noqa: E402
import which  # noqa: E402

PAGES = [path for folder in ("learn", "guides", "reference")
         for path in sorted((REPOSITORY / "docs" / folder).glob("*.md"))
         if "```console" in path.read_text(encoding="utf-8")]  # fmt: skip
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```\n', re.M | re.S)
SLOW = ("evolve", "search", "rank", "distill", "report", "latex", "table", "score")
"""Commands that run networks: pages show what they printed once."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_show_what_commands_print(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")

    def done(block: re.Match[str]) -> str:
        kind, title, body = block.groups()
        if title:
            (tmp_path / title).write_text(body, encoding="utf-8")
        command, _, before = body.partition("\n")
        if kind != "console":
            return block.group()
        words = shlex.split(command.removeprefix("$ autodas-dsl "))
        if any(word in SLOW for word in words[:3]):
            assert before.strip(), f"{command} shows nothing"
            return block.group()
        with own_language():
            printed = CliRunner().invoke(cli, words).output.strip()
        return f"```console\n{command}\n{printed}\n```\n"

    golden(page, BLOCK.sub(done, page.read_text(encoding="utf-8")))


# --- docs/results.md, read back -----------------------------------------------------------------


def test_every_listing_of_the_results_is_read() -> None:
    text = listings.RESULTS.read_text(encoding="utf-8")
    titles = re.findall(r"^[\w-]+, \w+(?:, all.*|: \d+ to select.*)$", text, re.M)
    assert len(listings.listings()) == len(titles) >= 20
    for one in listings.listings():
        assert one.line("params") is not None, one.title
        assert all(-1 <= line.spearman <= 1 for line in one.lines if line.spearman is not None)


def test_numbers_are_those_that_stand_in_the_listing() -> None:
    block = (
        "small, kd: 5 to select, 5 to report, 2 splits, 1 seeds\n"
        "                   Kendall           Spearman          95 % interval   lowest highest\n"
        "search             +0.705 ± 0.020   +0.883 ± 0.016   +0.853 +0.907   +0.853 +0.903\n"
        "sum(log(W) * 2)    -0.100 ± 0.020   -0.200 ± 0.016   -0.300 -0.100   -0.300 -0.100\n"
        "swap               +0.000 ± 0.000   +0.000 ± 0.000   +nan +nan   +0.000 +0.000\n"
    )
    (found,) = listings.listings_of(block)
    assert found.held_out
    assert (found.table, found.target) == ("small", "kd")
    first, second, equal = found.lines
    assert (first.spearman, first.spread, first.low, first.high) == (0.883, 0.016, 0.853, 0.907)
    assert (second.proxy, second.spearman) == ("sum(log(W) * 2)", -0.2)
    assert equal.spearman is None


def test_a_line_that_does_not_read_is_an_error() -> None:
    block = "small, kd: 5 to select, 5 to report, 2 splits, 1 seeds\n  Kendall\nsearch +0.7 0.8\n"
    with pytest.raises(ValueError, match=r"search \+0\.7 0\.8"):
        list(listings.listings_of(block))


def test_what_is_no_listing_is_left_alone() -> None:
    assert list(listings.listings_of("What the scores depend on\n proxy  changed\n")) == []


def test_results_have_pictures_and_lose_no_formula() -> None:
    text = listings.RESULTS.read_text(encoding="utf-8")
    page = results.page(text)
    assert page.count("<svg") == len(listings.listings())
    for number, one in enumerate(listings.listings()):
        assert results.csv_name(number, one) in page
        assert len(results.as_csv(one).splitlines()) == 1 + len(one.lines)
    assert {line.proxy for one in listings.listings() for line in one.lines} <= set(
        re.findall(r"`([^`\n]+)`", page)
    )


def test_what_stands_beside_a_listing_in_its_block_is_kept() -> None:
    text = listings.RESULTS.read_text(encoding="utf-8")
    assert "What the scores depend on" in text
    assert "What the scores depend on" in results.page(text)


def test_a_picture_leaves_out_what_has_no_correlation() -> None:
    lines = [
        listings.Line("a<b", 0.5, 0.4, 0.6, None, ()),
        listings.Line("swap", None, None, None, None, ()),
    ]
    svg = chart.intervals(lines, "t")
    assert "a&lt;b" in svg
    assert "swap" not in svg


# --- which formula ------------------------------------------------------------------------------


def listing(**spearman: tuple[float, float, float]) -> listings.Listing:
    lines = [listings.Line(name, *values, None, ()) for name, values in spearman.items()]
    return listings.Listing("t", "kd", "all", True, (), tuple(lines))


def test_a_formula_is_advised_only_where_its_interval_is_beyond_the_parameter_count() -> None:
    beyond = listing(snip=(0.9, 0.8, 0.95), params=(0.7, 0.6, 0.8))
    within = listing(snip=(0.9, 0.65, 0.95), params=(0.7, 0.6, 0.8))
    assert which.advice(beyond).proxy == "snip"
    assert which.advice(within).proxy == "params"


def test_every_table_with_halves_has_a_row_and_a_part() -> None:
    page = which.choices()
    held = {(one.table, one.target) for one in listings.listings() if one.held_out}
    assert page.count("\n### ") == len(held)
    assert page.partition("\n\n## ")[0].count("\n|") - 1 == len(held)


@pytest.mark.parametrize(
    ("name", "budget", "teacher"),
    [("params", 0, False), ("flops", 0, False), ("nwot", 1, False), ("snip", 2, False),
     ("grasp", 3, False), ("zen", 3, False), ("te_nas", 3, False), ("rkd", 1, True),
     ("rho_cnn", 2, True)],
)  # fmt: skip
def test_cost_of_a_formula(name: str, budget: int, teacher: bool) -> None:
    proxy = library_proxy(name)
    assert cost.budget(proxy) == budget
    assert cost.reads_teacher(proxy) is teacher
    assert ("the teacher's" in cost.in_words(proxy)) is teacher


# --- gallery ------------------------------------------------------------------------------------


def test_the_gallery_has_a_card_for_each_formula() -> None:
    page = gallery.cards()
    assert sorted(re.findall(r"^### (.*)$", page, re.M)) == sorted(library_names())
    assert page.count("<math") == page.count('<div class="proxy">') == len(library_names())


# --- parts of README.md -------------------------------------------------------------------------


def test_a_section_is_not_cut_at_a_comment_in_its_code() -> None:
    pytest.importorskip("mkdocs", reason="the site needs the extra docs")
    import hook

    tour = hook.MADE["readme-tour"]()
    assert tour.count("```") % 2 == 0
    assert "\ndef lin_0_2(" in tour
    assert "\n## The language" not in tour


# --- command line -------------------------------------------------------------------------------


def test_every_command_and_option_stands_on_the_page() -> None:
    page = command_line.reference()
    assert set(COMMANDS) <= set(re.findall(r"^## (\w+)$", page, re.M))
    assert re.findall(r"^### table (\w+)$", page, re.M) == ["build", "import", "info"]
    assert "| <code>--seeds N</code> |" in page
    assert "[float32&#124;float64]" in page
    assert r"\[default: 1; x>=1\]" in page
    assert page.count("--quiet") == page.count("--verbose") == 1


# --- notebook -----------------------------------------------------------------------------------


def test_the_tour_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    notebook = nbformat.read(REPOSITORY / "examples" / "tour.ipynb", as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, kernel_name="python3", timeout=120, resources=where).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    kinds = {kind for output in shown for kind in output.get("data", ())}
    assert {"text/latex", "text/html", "image/png"} <= kinds
    texts = "".join(output.get("text", "") for output in shown)
    assert "error[E202]: there is no operator `softmx`" in texts
    assert "of the held-out images after 40 steps" in texts
