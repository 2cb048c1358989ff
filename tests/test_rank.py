"""Ranking a table: orientation, baselines, the store, halving, sensitivity."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from autodas_dsl import spaces
from autodas_dsl.language.library import load
from autodas_dsl.language.spans import InputError
from autodas_dsl.scoring import rank as ranking
from autodas_dsl.scoring.rank import Setting, rank
from autodas_dsl.scoring.score import Data
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.scorer import Scorer
from autodas_dsl.scoring.sensitivity import sensitivity
from autodas_dsl.scoring.usual import usual_setting
from autodas_dsl.statistics.errors import OutOfMemory
from autodas_dsl.tables.table import Table

SPACE = spaces.get("digits-resnet")
ARCHITECTURES = tuple(
    f"depth=1-1-1,width={a}-{b}-{c}" for a, b, c in
    [(4, 4, 4), (4, 4, 8), (4, 8, 8), (8, 8, 8), (8, 8, 16), (8, 16, 16), (16, 16, 16)]
)  # fmt: skip
SMALL = Setting(Data("digits", 8))


def _table(accuracies: Sequence[float] = tuple(range(7))) -> Table:
    column = np.array(accuracies, dtype=np.float64)
    return Table("small", "digits-resnet", ARCHITECTURES, {"kd": column})


def test_params_and_flops_stand_beside_every_formula() -> None:
    found = rank(_table(), SPACE, [load("l2_norm")], setting=SMALL)
    assert {row.proxy for row in found.rows} == {"l2_norm", "params", "flops"}
    params = next(row for row in found.rows if row.proxy == "params")
    assert params.spearman == pytest.approx(1.0)  # wider is more accurate in this made-up table
    assert params.baseline


def test_a_formula_that_says_lower_is_turned_round() -> None:
    higher = load("-params")
    lower = load("params")
    turned = type(lower)(**{**_fields(lower), "name": "turned", "better": "lower"})
    found = {r.proxy: r for r in rank(_table(), SPACE, [higher, turned], setting=SMALL).rows}
    assert found["-params"].spearman == found["turned"].spearman == pytest.approx(-1.0)


def test_architectures_without_an_accuracy_are_left_out_aloud() -> None:
    found = rank(_table([0, 1, 2, 3, 4, 5, float("nan")]), SPACE, [], setting=SMALL)
    assert {row.n for row in found.rows} == {6}
    assert "1 of 7 architectures have no kd" in found.notes


def _fields(proxy: object) -> dict[str, object]:
    return {name: getattr(proxy, name) for name in proxy.__dataclass_fields__}  # type: ignore[attr-defined]


def test_the_store_serves_a_second_run_without_building_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScoreBook(tmp_path / "scores.sqlite") as book:
        first = rank(_table(), SPACE, [load("snip")], setting=SMALL, book=book)
        monkeypatch.setattr(Scorer, "__call__", _never)
        second = rank(_table(), SPACE, [load("snip")], setting=SMALL, book=book)
    assert first.rows == second.rows
    with pytest.raises(AssertionError):
        rank(_table(), SPACE, [load("snip")], setting=SMALL)


def _never(self: Scorer, network: nn.Module) -> list[object]:
    raise AssertionError("a network was scored again")


def test_a_store_that_is_no_database_is_a_diagnostic(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite"
    path.write_text("not a database, but long enough to be read as the header of one" * 10)
    with pytest.raises(InputError, match="E610"):
        ScoreBook(path)


def test_out_of_memory_halves_the_batch_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Scorer.__call__

    def tight(self: Scorer, network: nn.Module) -> list[object]:
        if self._batch.size > 4:
            raise OutOfMemory("no room")
        return list(plain(self, network))

    monkeypatch.setattr(Scorer, "__call__", tight)
    found = rank(_table(), SPACE, [load("snip")], setting=SMALL)
    assert any("halved to 4" in note for note in found.notes)


def test_a_misfit_is_listed_with_its_requirement_and_not_ranked() -> None:
    setting = usual_setting(SPACE, Data("digits", 8))
    found = rank(_table(), SPACE, [load("rho_cnn")], setting=setting)
    assert "requires C_s = C_t" in found.unranked["rho_cnn"]
    assert all(row.proxy != "rho_cnn" for row in found.rows)


def test_a_formula_of_a_statistic_that_no_network_has_is_listed_with_it() -> None:
    vit = spaces.get("digits-vit")
    architectures = tuple(vit.format(arch) for arch in itertools.islice(vit.enumerate(), 6))
    table = Table("vits", "digits-vit", architectures, {"kd": np.arange(6.0)})
    found = rank(table, vit, [load("zen"), load("snip")], setting=SMALL)
    assert "no BatchNorm layer" in found.unranked["zen"]
    assert {row.proxy for row in found.rows} == {"snip", "params", "flops"}


def test_a_formula_about_the_teacher_without_one_is_an_error() -> None:
    with pytest.raises(InputError, match="--teacher"):
        rank(_table(), SPACE, [load("cc")], setting=SMALL)


def test_a_split_reports_the_held_out_side_only() -> None:
    big = Table("all", "digits-resnet", tuple(_many()), {"kd": np.arange(12.0)})
    found = rank(big, SPACE, [load("l2_norm")], setting=SMALL, split="half")
    assert len(found.architectures) == 6
    assert found.rows[0].split == "half"


def _many() -> list[str]:
    return [f"depth={d}-1-1,width={a}-{b}-8" for d in (1, 2, 3) for a in (4, 8) for b in (4, 8)]


CELLS = tuple(
    f"|{first}~0|+|none~0|{second}~1|+|none~0|none~1|nor_conv_1x1~2|"
    for first in ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "none")
    for second in ("skip_connect", "nor_conv_1x1", "nor_conv_3x3")
)


def test_cells_that_ignore_their_input_are_ranked_with_and_without() -> None:
    """The three cells without an input beat the others in this made-up table."""
    space = spaces.get("nasbench201")
    table = Table("cells", "nasbench201", CELLS, {"acc": np.arange(12.0)})
    found = rank(table, space, [], setting=Setting(Data("noise", 2)))
    assert found.reachable is not None
    assert (len(found), len(found.reachable)) == (12, 9)
    assert {row.networks for row in found.rows} == {"all"}
    assert {(row.networks, row.n) for row in found.reachable.rows} == {("reachable", 9)}
    size = [one.rows[0].spearman or 0 for one in (found, found.reachable)]
    assert size[0] < 0.5
    assert size[1] > 0.85
    assert found.rows[0].top_10 is not None
    assert found.reachable.rows[0].top_10 is None  # nine architectures have no ten best


def test_spaces_without_such_cells_are_ranked_once() -> None:
    assert rank(_table(), SPACE, [], setting=SMALL).reachable is None
    few = Table("cells", "nasbench201", (*CELLS[-3:], *CELLS[:3]), {"acc": np.arange(6.0)})
    found = rank(few, spaces.get("nasbench201"), [], setting=Setting(Data("noise", 2)))
    assert found.reachable is None  # three are too few to speak of a correlation


def test_too_few_accuracies_are_refused() -> None:
    table = _table([np.nan] * 3 + [1.0] * 4)
    with pytest.raises(InputError, match="E513"):
        rank(table, SPACE, [load("snip")], setting=SMALL)


def test_sensitivity_finds_what_a_formula_reads() -> None:
    found = sensitivity(_table(), SPACE, [load("snip"), load("l2_norm")], setting=SMALL)
    moved = {(one.proxy, one.changed): one.depends for one in found}
    assert moved["snip", "labels"]
    assert moved["snip", "batch"]
    assert not moved["l2_norm", "batch"]
    assert not moved["l2_norm", "labels"]
    assert moved["l2_norm", "initial weights"]
    assert not moved["params", "initial weights"]


def test_several_seeds_give_a_spread() -> None:
    found = rank(_table(), SPACE, [load("grad_norm")], setting=SMALL, seeds=2)
    row = next(row for row in found.rows if row.proxy == "grad_norm")
    assert row.seeds == 2
    assert row.spearman_std is not None
    assert row.spearman_std >= 0


def test_scores_do_not_depend_on_what_else_is_scored() -> None:
    alone = rank(_table(), SPACE, [load("snip")], setting=SMALL).scores["snip"]
    among = rank(_table(), SPACE, [load("synflow"), load("snip")], setting=SMALL).scores["snip"]
    assert np.array_equal(alone, among)


def test_a_network_comes_from_the_seed_alone() -> None:
    source = ranking.source_of(SPACE, ARCHITECTURES[0])
    torch.manual_seed(5)
    first = source.build(3).state_dict()
    torch.manual_seed(6)
    assert all(torch.equal(v, first[k]) for k, v in source.build(3).state_dict().items())
