"""A whole search on the built-in table, in small."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autodas_dsl import spaces
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.prepare import prepare
from autodas_dsl.evolution.run_folder import free_folder
from autodas_dsl.evolution.session import Session, search, simplified
from autodas_dsl.execution.jobs import InProcess
from autodas_dsl.language.documents import read_document
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.library import load
from autodas_dsl.report.pictures import Painter
from autodas_dsl.report.run_plots import pictures
from autodas_dsl.scoring import collecting
from autodas_dsl.scoring.setting import Data, usual_setting
from autodas_dsl.tables.read import load_table

SMALL = load_table("digits-resnet").rows(range(20))
CONFIG = Config(
    population=4, elite=2, iterations=3, data=(Data("digits", 8),),
    baselines=("params", "snip", "rho_cnn"), null_repeats=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return search([SMALL], CONFIG, folder=tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="module")
def folder(session: Session) -> Path:
    assert session.run.folder is not None
    with Painter() as painter:
        painter.paint(pictures(session.run, session.scores), session.run.folder / "plots")
        painter.painted()
    return session.run.folder


def test_a_run_folder_holds_everything(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} >= {
        "best.proxy", "hall_of_fame.csv", "journal.txt", "run.json", "scores.csv", "plots", "pareto",
    }  # fmt: skip
    names = {path.name for path in (folder / "plots").iterdir()}
    assert {"search_curve.svg", "pareto.png", "scatter.svg", "comparison.png"} <= names


def test_each_of_several_tables_has_the_data_that_was_given_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str]] = []
    batch = collecting.table_batch

    def noted(space: Any, setting: Any, *rest: Any) -> Any:
        asked.append((space.name, setting.data.spec))
        return batch(space, setting, *rest)

    monkeypatch.setattr(collecting, "table_batch", noted)
    tables = [SMALL, load_table("digits-vit").rows(range(20))]
    quick = replace(CONFIG, iterations=1, null_repeats=0, baselines=("params",), inputs=("P_s",))
    search(tables, replace(quick, data=(Data("digits", 8), Data("noise", 8))))
    assert asked == [("digits-resnet", "digits"), ("digits-vit", "noise")]
    asked.clear()
    search(tables, quick)
    assert {spec for _, spec in asked} == {"digits"}
    with pytest.raises(InputError, match=r"E671.*3 sources of data for 2 tables"):
        search(tables, replace(quick, data=(Data("digits", 8),) * 3))


def test_the_best_formula_is_a_document_with_its_held_out_numbers(folder: Path) -> None:
    best = read_document(folder / "best.proxy")
    assert best.check().ok
    assert "half=held-out n=10" in best.measured[0]
    assert "params=" in best.measured[0]


def test_scores_stand_for_every_architecture(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "scores.csv").open(encoding="utf-8")))
    assert len(rows) == 20
    assert sum(row["half"] == "held-out" for row in rows) == 10
    assert all(row["rho_cnn"] == "" for row in rows)  # the teacher is wider


@pytest.mark.usefixtures("plain_runs")
def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    search([SMALL], CONFIG, folder=tmp_path / "again")
    for name in ("best.proxy", "hall_of_fame.csv", "scores.csv", "run.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.usefixtures("plain_runs")
def test_a_second_search_collects_nothing(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "collect", _never)
    again = search([SMALL], CONFIG)
    assert again.run.best == session.run.best


def _never(*args: object, **more: object) -> None:
    raise AssertionError("a network was run again")


@pytest.mark.usefixtures("plain_runs")
def test_another_seed_splits_otherwise(session: Session) -> None:
    sessions = [session, search([SMALL], replace(CONFIG, seed=1))]
    halves = [
        {a for a, held in zip(s.scores[0].architectures, s.scores[0].held_out, strict=True) if held}
        for s in sessions
    ]
    assert halves[0] != halves[1]


def test_baselines_that_do_not_fit_are_told_with_the_requirement(session: Session) -> None:
    rows = session.scores[0].compared(held_out=True)
    assert rows["rho_cnn"].kendall is None
    assert rows["rho_cnn"].reason.startswith("requires C_s = C_t")
    assert rows["params"].kendall is not None


@pytest.mark.usefixtures("plain_runs")
def test_the_sum_and_the_ten_best_stand_beside_the_formula() -> None:
    session = search([load_table("digits-resnet").rows(range(30))], replace(CONFIG, iterations=8))
    scores = session.scores[0]
    assert session.run.sum is not None
    assert list(scores.scores)[:2] == ["best", "sum"]
    kendall = scores.compared(held_out=True)["sum"].kendall
    assert kendall == session.run.sum.held_out[0].agreement.kendall
    ten = scores.best_ten(held_out=True)
    assert 0 < (ten["sum"]["ndcg_10"] or 0) <= 1
    assert ten["rho_cnn"] == {"ndcg_10": None, "top_10": None}


def test_a_table_without_a_space_is_refused() -> None:
    with pytest.raises(InputError, match="--space"):
        search([replace(SMALL, space=None)], CONFIG)


def test_equal_accuracies_are_refused() -> None:
    flat = replace(SMALL, columns={"kd": np.ones(20)})
    with pytest.raises(InputError, match="equal"):
        search([flat], CONFIG)


def test_memory_changes_no_byte_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for memory, copies in ((4.0, 2), (0.01, 100)):  # 100 KiB, less than one network takes
        monkeypatch.setattr("autodas_dsl.evolution.prepare._COPIES", copies)
        folder = tmp_path / str(memory)
        config = replace(
            CONFIG, inputs=("W", "grad W", "A", "P_s"), terms="instinct", iterations=4, memory=memory,
            null_repeats=0, baselines=("params", "snip"),
        )  # fmt: skip
        session = search([SMALL], config, folder=folder)
        assert any("on disk" in note for note in session.notes) == (memory < 1)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        found.append([(path.relative_to(folder), path.read_bytes()) for path in files])
    assert found[0] == found[1]


def test_run_folders_are_numbered(tmp_path: Path) -> None:
    assert free_folder(tmp_path, ["digits-resnet"]).name == "digits-resnet-1"
    (tmp_path / "digits-resnet-1").mkdir()
    assert free_folder(tmp_path, ["digits-resnet"]).name == "digits-resnet-2"


@pytest.mark.usefixtures("plain_runs")
def test_tables_share_the_memory_and_keep_their_halves_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What one table selects on, no other reports on."""
    shares = []

    def noting(*given: Any, memory: int, **more: Any) -> Any:
        shares.append(memory)
        return prepare(*given, memory=memory, **more)

    monkeypatch.setattr("autodas_dsl.evolution.session.prepare", noting)
    whole = load_table("digits-resnet").rows(range(24))
    fewer = load_table("digits-resnet").rows(range(3, 24))
    fewer = replace(fewer, name="fewer", columns={"other": fewer.columns["vanilla"]})
    session = search([whole, fewer], replace(CONFIG, target="kd,other"))
    assert [one.target for one in session.scores] == ["kd", "other"]
    assert shares == [int(4 * 2**30 * rows / 45) for rows in (24, 21)]
    sides = [
        {name: held for name, held in zip(one.architectures, one.held_out, strict=True)}
        for one in session.scores
    ]
    assert all(sides[0][name] == held for name, held in sides[1].items() if name in sides[0])


def test_the_best_formula_is_simplified_where_that_is_proved() -> None:
    space = spaces.get("digits-resnet")
    wanted = load("l2_norm").check().statistics
    setting = usual_setting(space, Data("digits", 4))
    with InProcess() as executor:
        task = prepare(SMALL, space, wanted, setting, executor).task
        found = simplified(load("exp(log(sum(|W|_F))) + 0"), [task], seed=0)
    assert format_expression(found.proxy.expression) == "sum(|W|_F)"
    assert found.proxy.name == "simplified"


def test_what_cannot_be_made_smaller_stays(session: Session) -> None:
    simple = session.simpler
    assert bool(simple.steps) or simple.proxy == session.run.best


@pytest.mark.usefixtures("plain_runs")
def test_the_number_of_threads_changes_nothing_and_is_given_back() -> None:
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(search([SMALL], CONFIG))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found[0].run.best == found[1].run.best
    assert np.array_equal(found[0].scores[0].scores["best"], found[1].scores[0].scores["best"])


@pytest.mark.usefixtures("plain_runs")
def test_precision_is_part_of_the_run(tmp_path: Path) -> None:
    config = replace(CONFIG, baselines=("snip",), null_repeats=0)
    single, double = (
        search([SMALL], replace(config, dtype=dtype), folder=tmp_path / dtype)
        for dtype in ("float32", "float64")
    )
    one, two = (session.scores[0].scores["snip"] for session in (single, double))
    assert not np.array_equal(one, two)
    assert np.allclose(one, two, rtol=1e-4)
    with pytest.raises(InputError, match=r"E603.*fingerprint"):
        search(
            [SMALL], replace(config, dtype="float64"), folder=tmp_path / "float32", resume=True
        )  # fmt: skip
