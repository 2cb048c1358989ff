"""The report of a run: what it reads, what it refuses, and the page it writes."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import Golden
from evolution_tables import Fake, fake_task
from fixtures import DATA

from autodas_dsl.cli.entry import cli
from autodas_dsl.evaluation.sensitivity import Sensitivity
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.measure import TableScores
from autodas_dsl.evolution.run import evolve
from autodas_dsl.evolution.run_folder import RunFolder, SavedRun
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.library import load
from autodas_dsl.report.charts import Point, Scale, number, scale, scatter, search_curve
from autodas_dsl.report.graph import draw
from autodas_dsl.report.html import Markup, tag
from autodas_dsl.report.page import PARTS, report, write_report
from autodas_dsl.report.parts import shown
from autodas_dsl.report.repetition import python_call, rank_commands

RUN = DATA / "report" / "run"


def read_run(path: Path) -> SavedRun:
    return RunFolder(path).read()


VOID = frozenset({"br", "input", "link", "meta"})


class Outline(HTMLParser):
    """Tags with their attributes; fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    def values(self, attribute: str) -> list[str]:
        return [a[attribute] or "" for _, a in self.tags if attribute in a]


@pytest.fixture(scope="module")
def page() -> str:
    return report(read_run(RUN))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of the run, to be damaged."""
    return shutil.copytree(RUN, tmp_path / "run")


def refused(path: Path) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        read_run(path)
    found = caught.value.diagnostics[0]
    return found.code, found.message


# --- the page ---------------------------------------------------------------------------------


def test_the_page_is_as_it_was(page: str, golden: Golden) -> None:
    main = page[page.index("<main") : page.index("</main>")]
    golden("report/main.html", main.replace(str(RUN), "RUN") + "\n")


def test_the_page_is_well_formed_and_loads_nothing(page: str) -> None:
    found = Outline(page)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert not found.all("link") + found.all("img") + found.all("iframe") + found.all("object")
    assert found.values("src") == []
    assert all(href.startswith("#") for href in found.values("href"))
    assert not re.search(r"url\(|@import|//(?!www\.w3\.org/)\w+\.\w", page)
    (policy,) = (a["content"] for a in found.all("meta") if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not any(name.startswith("on") or name == "style" for _, a in found.tags for name in a)


def test_landmarks_headings_and_names(page: str) -> None:
    found = Outline(page)
    counts = Counter(tag for tag, _ in found.tags)
    assert (counts["main"], counts["nav"], counts["header"], counts["footer"]) == (1, 1, 1, 1)
    assert (counts["h1"], counts["h2"]) == (1, len(PARTS))
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    for attribute in ("aria-labelledby", "data-search", "data-front", "data-status"):
        for value in found.values(attribute):
            assert set(value.split()) <= set(ids)
    assert {href[1:] for href in found.values("href")} <= set(ids)
    assert counts["caption"] == counts["table"]
    assert all(a.get("scope") for a in found.all("th"))
    assert all("role" in a for tag, a in found.tags if a.get("tabindex") == "0")
    assert [a["class"] for a in found.all("svg") if a.get("role") == "img" and "class" in a]
    headings = [a["aria-sort"] for a in found.all("th") if "aria-sort" in a]
    assert headings.count("ascending") == 1
    assert set(headings) == {"ascending", "none"}


def test_what_a_user_named_is_text_and_not_markup(page: str) -> None:
    assert "<b>" not in page
    assert "&lt;b&gt;odd&lt;/b&gt;" in page
    assert "`log` gave &lt;nan&gt;" in page


def test_the_same_run_gives_the_same_page(page: str) -> None:
    assert report(read_run(RUN)) == page


def test_every_formula_correlation_and_command_is_there(page: str) -> None:
    run = read_run(RUN)
    text = "".join(Outline(page).texts)
    for one in run.hall_of_fame:
        assert one.formula in text
        assert shown(one.tau) in text
    for expected in ("0.600", "−0.100 to 1.000", "−0.200", "another teacher",
                     run.command, "23 formulas"):  # fmt: skip
        assert expected in text
    assert page.count('class="formula"') + page.count('class="math"') == 1 + len(run.pareto)
    assert page.count("<math") > 1 + len(run.pareto)  # they wrap between their parts


def test_a_run_without_scores_sensitivity_or_command_says_so(run: Path) -> None:
    for name in ("scores.csv", "sensitivity.csv", "command.txt"):
        (run / name).unlink()
    text = "".join(Outline(report(read_run(run))).texts)
    assert "kept no scores" in text
    assert "--sensitivity" in text
    assert "The run keeps no command." in text
    assert (
        "evolve(Config(population=20, iterations=3, strategy='adaptive-elite', seed=7, "
        "inputs=('W', 'grad W', 'F_s', 'F_t')), tasks)" in text
    )


def test_a_null_test_is_called_one(run: Path) -> None:
    data = json.loads((run / "run.json").read_text())
    data["run"]["options"]["null"] = True
    (run / "run.json").write_text(json.dumps(data))
    assert "A null test." in report(read_run(run))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "autodas-dsl rank made-up -p RUN/best.proxy --target kd --split half --seed 7"),
        ("autodas-dsl evolve", "autodas-dsl rank made-up -p RUN/best.proxy --target kd"),
        ("autodas-dsl evolve --gradient-free 'a b.csv' --data x.npz --seed 7 --batch-size=8",
         "autodas-dsl rank 'a b.csv' -p RUN/best.proxy --target kd --data x.npz --batch-size=8"),
        ("autodas-dsl evolve one.csv two.csv", "autodas-dsl rank made-up -p"),
    ],
)  # fmt: skip
def test_measuring_again_happens_under_the_conditions_of_the_run(
    run: Path, words: str, expected: str
) -> None:
    (run / "command.txt").write_text(words)
    (found,) = rank_commands(read_run(run))
    assert found.replace(str(run), "RUN").startswith(expected)
    assert found.endswith("--split half --seed 7")


def test_without_held_out_architectures_all_are_measured(run: Path) -> None:
    data = json.loads((run / "run.json").read_text())
    data["run"]["tables"][0]["held_out"] = 0
    (run / "run.json").write_text(json.dumps(data))
    assert rank_commands(read_run(run), "--sensitivity")[0].endswith("--target kd --sensitivity")


def test_the_null_level_stands_beside_the_result(run: Path) -> None:
    assert "null level" not in report(read_run(run))
    (run / "null.json").write_text('{"taus": [0.25, 0.5]}')
    text = "".join(Outline(report(read_run(run))).texts)
    assert "null level0.375τ of 2 searches on shuffled accuracies, highest 0.500" in text
    assert report(read_run(run)).count('class="line null"') == 4  # two charts and their legends
    (run / "null.json").write_text('{"taus": ["high"]}')
    assert refused(run)[0] == "E642"


def test_the_call_in_python_names_what_is_not_default() -> None:
    call = python_call(read_run(RUN))
    assert eval(call[call.index("Config(") : call.index(", tasks")]) == Config(
        population=20, strategy="adaptive-elite", iterations=3, seed=7,
        inputs=("W", "grad W", "F_s", "F_t"),
    )  # fmt: skip


def test_the_report_of_a_search_that_was_run(tmp_path: Path) -> None:
    """The files that a search writes are the files that a report reads."""
    folder = tmp_path / "run"
    found = evolve(Config(iterations=12, population=8), [fake_task()], folder=folder)
    n = 80
    scores = {"best": np.linspace(0, 1, n), "params": np.full(n, np.nan)}
    halves = np.arange(n) >= n // 2
    kept = TableScores(
        "fake", "kd", tuple(map(str, range(n))), halves, np.linspace(1, 2, n), scores
    )
    RunFolder(folder).save_scores([kept])
    run = read_run(folder)
    assert run.best == found.best
    assert run.pareto == found.pareto
    assert [one.complexity for one in run.hall_of_fame] == [
        entry.individual.complexity for entry in found.entries
    ]
    assert [(step.generation, step.evaluations) for step in run.history] == [
        (step.generation, step.evaluations) for step in found.steps
    ]
    assert run.found.counts.evaluations == found.counts.evaluations
    assert (
        run.found.measured["best"][0].agreement.kendall
        == found.champion.selection[0].agreement.kendall
    )
    assert run.found.measured["params"][1].agreement.intervals == {}
    text = "".join(Outline(report(run)).texts)
    assert "It has no valid score on any of these architectures." in text


def test_searches_on_several_tables_and_on_shuffled_accuracies(tmp_path: Path) -> None:
    config = Config(iterations=4, population=6)
    tasks = [fake_task("one"), fake_task("two", Fake(start=3))]
    evolve(config, tasks, folder=tmp_path / "two")
    page = report(read_run(tmp_path / "two"))
    text = "".join(Outline(page).texts)
    for expected in ("Search on one, two", "two, held out: 40 architectures", "τ held out two"):
        assert expected in text
    assert "--keep" not in text  # one file cannot hold what two tables say
    evolve(replace(config, null=True), tasks[:1], folder=tmp_path / "null")
    text = "".join(Outline(report(read_run(tmp_path / "null"))).texts)
    assert "A null test." in text
    assert "one, selection: 40 architectures" in text
    assert "one, held out" not in text


def test_writing_never_replaces_a_file_unasked(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report(RUN, out)
    first = out.read_text(encoding="utf-8")
    with pytest.raises(InputError, match="--force"):
        write_report(RUN, out)
    write_report(RUN, out, force=True)
    assert out.read_text(encoding="utf-8") == first
    with pytest.raises(InputError):
        write_report(RUN, tmp_path / "nowhere" / "report.html")


# --- reading ----------------------------------------------------------------------------------


def test_sensitivity_and_command_are_kept_beside_a_run(run: Path) -> None:
    rows = [Sensitivity("best", "batch", 0.5, None, True)]
    RunFolder(run).save_sensitivity(rows)
    (run / "command.txt").write_text("autodas-dsl evolve 'a table.csv'\n")
    found = read_run(run)
    assert found.sensitivity == tuple(rows)
    assert found.command == "autodas-dsl evolve 'a table.csv'"
    with pytest.raises(InputError, match="no run"):
        RunFolder(run / "pareto").save_sensitivity(rows)


def test_rank_keeps_sensitivity_in_a_run_only(tmp_path: Path) -> None:
    words = ["rank", "digits-resnet", "-p", "params", "--keep", str(tmp_path)]
    alone = CliRunner().invoke(cli, words)
    assert alone.exit_code == 2
    assert "--keep needs --sensitivity" in alone.output
    refused = CliRunner().invoke(cli, [*words, "--sensitivity"])
    assert refused.exit_code == 1
    assert "E640" in refused.stderr


def test_folders_without_a_run_are_refused(tmp_path: Path, run: Path) -> None:
    assert refused(tmp_path / "nowhere")[0] == "E640"
    assert "there is no run" in refused(tmp_path / "nowhere")[1]
    assert "is no folder" in refused(run / "run.json")[1]
    assert refused(tmp_path)[0] == "E640"
    assert refused(run / "run.json")[0] == "E640"


def test_the_command_says_that_there_is_no_run(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["report", str(tmp_path / "nothing")])
    assert result.exit_code == 1
    assert f"error[E640]: there is no run {tmp_path / 'nothing'}" in result.stderr


def test_a_run_that_has_not_finished_is_refused(run: Path) -> None:
    data = json.loads((run / "run.json").read_text())
    del data["outcome"]
    (run / "run.json").write_text(json.dumps(data))
    assert refused(run)[0] == "E641"


def test_a_run_of_a_newer_version_is_refused(run: Path) -> None:
    data = json.loads((run / "run.json").read_text())
    data["run"]["format"] = 2
    (run / "run.json").write_text(json.dumps(data))
    assert refused(run) == ("E643", f"{run / 'run.json'} has format 2")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("run.json", "{", "line 1"),
        ("run.json", "[]", "`run` is missing"),
        ("run.json", '{"run": {"format": "1"}}', "`format` is not what it should be"),
        ("run.json", "\udcff", "decode"),
        ("hall_of_fame.csv", "complexity,formula\n1,params\n", "column `tau` is missing"),
        ("hall_of_fame.csv", "complexity,tau,formula\n1,0.5\n", "line 2 has another number"),
        ("hall_of_fame.csv", "complexity,tau,formula\nx,0.5,params\n", "`x` is not a number"),
        ("history.csv", "generation\n1\n", "column `evaluations` is missing"),
        ("scores.csv", "table,target,architecture,half,accuracy,best\na,b,c,d,e,1\n",
         "`e` is not a number"),
        ("history.csv", None, "No such file"),
    ],
)  # fmt: skip
def test_damaged_files_are_named(run: Path, name: str, text: str | None, message: str) -> None:
    if text is None:
        (run / name).unlink()
    else:
        (run / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    code, said = refused(run)
    assert code == "E642"
    assert name in said
    assert message in said


def test_a_missing_or_broken_formula_is_refused(run: Path) -> None:
    (run / "best.proxy").write_text("proxy/1 best\nscore = (\n")
    assert refused(run)[0] == "E108" or refused(run)[0] == "E109"
    (run / "best.proxy").unlink()
    assert refused(run)[0] == "E301"


# --- charts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [[0.0], [5.0], [-3.0, -3.0], [1e-12, 2e-12], [1e300, -1e300], [1.0, 1e9], [0.1, 0.3],
     [1e-320, 2e-320], [-1.7e308, 1.7e308]],
)  # fmt: skip
def test_scales_hold_their_values_and_have_round_ticks(values: list[float]) -> None:
    found = scale(values, 50, 350)
    assert all(50 <= found(value) <= 350 for value in values)
    ticks = found.ticks()
    assert 1 <= len(ticks) <= 12
    assert all(50 - 1e-6 <= found(tick) <= 350 + 1e-6 for tick in ticks)


def test_counts_get_whole_ticks() -> None:
    assert scale([2.0, 3.0], 0, 100, whole=True).ticks() == [2.0, 3.0]
    assert not scale([1.0, 1e6], 0, 100, whole=True).log
    assert scale([1.0, 1e6], 0, 100).log
    assert Scale(1.0, 1e4, 0, 100, log=True).ticks() == [1.0, 10.0, 100.0, 1000.0, 10000.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-0.5, "−0.5"), (1e6, "10⁶"), (-2.5e-7, "−2.5·10⁻⁷"), (12000.0, "12000")],
)
def test_ticks_are_written_short(value: float, text: str) -> None:
    assert number(value) == text


def test_a_search_of_one_generation_and_a_plot_of_invalid_scores_can_be_drawn() -> None:
    run = read_run(RUN)
    assert "<path" in search_curve(run.history[:1], "one")
    drawn = scatter([Point(float("nan"), 0.5, "selection", "a")], "title", "kd", "none")
    assert drawn.count('class="mark invalid"') == 1
    Outline(drawn)


def test_html_is_escaped_unless_it_is_markup() -> None:
    assert tag("p", "<&>", Markup("<b>x</b>"), None) == "<p>&lt;&amp;&gt;<b>x</b></p>\n"
    assert tag("td", "a", class_='"', data_x=1.5, hidden=True, role=None) == (
        '<td class="&quot;" data-x="1.5" hidden>a</td>'
    )


# --- graphs as files --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "start"),
    [
        (".svg", "<svg "),
        (".dot", "digraph "),
        (".graphml", "<?xml"),
        (".json", "{"),
        (".SVG", "<svg "),
    ],
)
def test_the_graph_is_written_in_the_form_of_its_suffix(
    tmp_path: Path, suffix: str, start: str
) -> None:
    path = tmp_path / f"graph{suffix}"
    draw(load("rho_cnn"), path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith(start)
    assert "logsoftmax" in text


def test_a_graph_needs_a_known_suffix_and_a_free_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="graphml") as caught:
        draw(load("snip"), tmp_path / "graph.png")
    assert caught.value.diagnostics[0].code == "E661"
    path = tmp_path / "graph.svg"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists"):
        draw(load("snip"), path)
    assert path.read_text() == "mine"
    draw(load("snip"), path, force=True)
    assert path.read_text().startswith("<svg")
