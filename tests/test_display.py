"""Results of Python calls show themselves: as a table, as a frame, as a figure."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from evolution_tables import fake_task
from matplotlib.figure import Figure
from torch import nn

import autodas_dsl
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.run import evolve
from autodas_dsl.evolution.run_records import Null
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.shown import Shown
from autodas_dsl.report.display import figure, sheet

TINY = str(Path(__file__).with_name("tiny_space.py"))
SMALL, LARGE = "digits-resnet:depth=1-1-1,width=4-4-4", "digits-resnet:depth=1-1-1,width=8-8-8"


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return {
        "score": autodas_dsl.score([SMALL, LARGE], ["params", "snip"], data="digits"),
        "rank": autodas_dsl.rank("digits-resnet", "params", limit=6),
        "evolve": replace(evolve(Config(iterations=3), [fake_task()]), null=Null((0.25,))),
        "search": autodas_dsl.find_student(TINY, "params", budget=4, top=2),
    }  # fmt: skip


def cells(html: str, row: str) -> list[str]:
    """The cells of the first line of a table that says `row`."""
    lines = re.findall(r"<tr>(.*?)</tr>", html, re.S)
    found = next(line for line in lines if row in line and "<td" in line)
    return re.findall(r"<td[^>]*>(.*?)</td>", found, re.S)


@pytest.mark.parametrize("name", ["score", "rank", "evolve", "search"])
def test_a_result_shows_its_rows_everywhere(results: dict[str, Any], name: str) -> None:
    result = results[name]
    html, frame = result._repr_html_(), result.to_pandas()
    assert html.count("<tr>") == 1 + len(frame)
    assert len(frame) == len(sheet(result).rows)
    assert "nan" not in html
    assert isinstance(result.plot(), Figure)


def test_scores_are_shown_as_the_command_prints_them(results: dict[str, Any]) -> None:
    html = results["score"]._repr_html_()
    assert cells(html, "width=8-8-8") == ["1", LARGE, "params", "3,890"]
    assert "<th>std</th>" not in html  # one seed has none
    assert "data: digits" in html


def test_a_ranking_has_the_parameter_count_beside_it(results: dict[str, Any]) -> None:
    shown, frame = results["rank"]._repr_html_(), results["rank"].to_pandas()
    assert {"params", "flops"} == set(frame["proxy"])
    assert cells(shown, "params")[1] == "6"
    assert {"spearman_low", "ndcg_10", "split"} <= set(frame.columns)


def test_a_search_shows_its_formula_and_the_null_level(results: dict[str, Any]) -> None:
    html = results["evolve"]._repr_html_()
    assert html.startswith("<div><math")
    assert "null level" in html
    assert [cells(html, name)[0] for name in ("best", "params")] == ["best", "params"]


def test_students_stand_beside_the_largest_network(results: dict[str, Any]) -> None:
    found = results["search"]
    assert [*found.to_pandas()["role"]] == ["student", "student", "largest"]
    assert cells(found._repr_html_(), "largest")[2] == found.largest.architecture


def test_texts_of_users_are_escaped() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    data = (torch.ones(4, 1, 2, 2), torch.tensor([0, 1, 0, 1]))
    html = autodas_dsl.score({"<b>": net}, "params", data=data)._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


def test_what_is_no_result_is_not_shown() -> None:
    class Other(Shown):
        pass

    for show in (sheet, figure):
        with pytest.raises(TypeError, match="Other is no result"):
            show(Other())


def test_a_frame_without_pandas_says_what_to_install(
    results: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(InputError, match="pandas"):
        results["score"].to_pandas()
