"""Ranking a table: orientation, baselines, the store, halving, sensitivity."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from autodas_dsl import spaces
from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.data.batches import Batch
from autodas_dsl.evaluation.rank import rank
from autodas_dsl.evaluation.sensitivity import CHANGES, UNMOVED, _compare, sensitivity
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import INPUTS, Input, Statistic
from autodas_dsl.language.kinds import NUMBER
from autodas_dsl.language.library import load
from autodas_dsl.models.source import ModelSource
from autodas_dsl.models.spaces import space_source
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.scorer import Scorer
from autodas_dsl.scoring.setting import Data, Setting, Teacher, usual_setting
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
    with pytest.raises(InputError, match="E651"):
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


def test_memory_that_does_not_hold_a_formula_halves_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was once stored as an invalid score of a formula that does not fit the network."""
    evaluate = Engine._evaluate

    def tight(self: Engine, roots: Sequence[Node], every: bool) -> list[Outcome]:
        logits = self._collected[0].values.get(Statistic("P_s"))
        if logits is not None and len(logits) > 4:
            raise RuntimeError("DefaultCPUAllocator: not enough memory")
        return evaluate(self, roots, every)

    monkeypatch.setattr(Engine, "_evaluate", tight)
    found = rank(_table(), SPACE, [load("mean(P_s)")], setting=SMALL)
    assert any(
        "a formula on a batch of 8" in note and "halved to 4" in note for note in found.notes
    )
    assert not found.rows[0].invalid


def test_a_misfit_is_listed_with_its_requirement_and_not_ranked() -> None:
    setting = usual_setting(SPACE, Data("digits", 8))
    found = rank(_table(), SPACE, [load("rho_cnn"), load("snip")], setting=setting)
    assert "requires C_s = C_t" in found.unranked["rho_cnn"]
    assert {row.proxy for row in found.rows} == {"snip", "params", "flops"}
    with pytest.raises(InputError, match=r"E461.*`rho_cnn` fits no model: requires C_s = C_t"):
        rank(_table(), SPACE, [load("rho_cnn")], setting=setting)


def test_a_formula_of_a_statistic_that_no_network_has_is_listed_with_it() -> None:
    vit = spaces.get("digits-vit")
    architectures = tuple(vit.format(arch) for arch in itertools.islice(vit.enumerate(), 6))
    table = Table("vits", "digits-vit", architectures, {"kd": np.arange(6.0)})
    found = rank(table, vit, [load("zen"), load("snip")], setting=SMALL)
    assert "no BatchNorm layer" in found.unranked["zen"]
    assert {row.proxy for row in found.rows} == {"snip", "params", "flops"}


def test_a_formula_about_the_teacher_without_one_is_an_error() -> None:
    with pytest.raises(InputError, match="E444") as caught:
        rank(_table(), SPACE, [load("cc"), load("kd")], setting=SMALL)
    told = caught.value.render()
    assert "`cc` reads a teacher" in told
    assert "`kd` reads a teacher" in told
    assert told.count("add --teacher MODEL") == 2


def test_formulas_about_a_teacher_without_one_do_not_stop_the_others() -> None:
    found = rank(_table(), SPACE, [load("cc"), load("snip")], setting=SMALL)
    assert {row.proxy for row in found.rows} == {"snip", "params", "flops"}
    assert found.unranked == {"cc": "E_t: there is no teacher to take it from; add --teacher MODEL"}
    moved = sensitivity(_table(), SPACE, [load("cc"), load("snip")], setting=SMALL)
    assert {one.proxy for one in moved} == {"snip", "params", "flops"}


def test_a_stage_that_the_teacher_lacks_does_not_stop_the_others() -> None:
    setting = usual_setting(SPACE, Data("digits", 8))
    formulas = [load("|F_t[-9]|_F"), load("|F_t|_F * params")]
    found = rank(_table(), SPACE, formulas, setting=setting)
    assert "F_t[-9]: the network has 3 stage(s)" in found.unranked["|F_t[-9]|_F"]
    assert "|F_t|_F * params" in {row.proxy for row in found.rows}


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


NOTHING: set[str] = set()
BY_CONSTRUCTION = {
    "sum(|W|_F)": {"initial weights"},
    "own_images": {"batch", "noise images"},
    "own_labels": {"batch", "labels"},
    "sum(|V_t|)": {"teacher"},
    "own_teacher_t": {"teacher"},
    "params": NOTHING,
    "mean(sum[C](softmax[C](P_s)))": NOTHING,  # one, up to rounding
}


def _own(name: str, collect: Callable[[nn.Module, Batch], object]) -> Input:
    return Input(name, NUMBER, "", "", "user", collect=collect)


@pytest.fixture
def own_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics that read one thing each."""
    entries = (
        _own("own_images", lambda model, batch: batch.x.square().sum()),
        _own("own_labels", lambda model, batch: (batch.y * torch.arange(batch.size)).sum()),
        _own("own_teacher_t", lambda model, batch: sum(p.sum() for p in model.parameters())),
    )
    for entry in entries:
        monkeypatch.setitem(INPUTS, entry.name, entry)


def _dependence(formulas: Sequence[str], setting: Setting) -> dict[str, set[str]]:
    found = sensitivity(_table(), SPACE, [load(text) for text in formulas], setting=setting)
    assert {one.changed for one in found} == set(CHANGES)
    return {
        text: {one.changed for one in found if one.proxy == text and one.depends}
        for text in formulas
    }


@pytest.mark.usefixtures("own_statistics")
def test_sensitivity_of_formulas_that_read_one_thing_by_construction() -> None:
    trained = usual_setting(SPACE, Data("digits", 8))
    assert trained.teacher is not None
    assert trained.teacher.weights
    assert _dependence(tuple(BY_CONSTRUCTION), trained) == BY_CONSTRUCTION
    untrained = replace(trained, teacher=replace(trained.teacher, weights=""))
    assert _dependence(tuple(BY_CONSTRUCTION), untrained) == BY_CONSTRUCTION


def test_sensitivity_finds_a_new_order_behind_a_small_change() -> None:
    before = np.arange(100.0, 110.0)
    near = 100 + before / 100
    swapped = _compare("x", "batch", near, near[::-1].copy())
    assert swapped.change is not None
    assert swapped.change < UNMOVED
    assert swapped.agreement == pytest.approx(-1.0)
    assert swapped.depends
    rounding = 1 + before / 1e9
    assert not _compare("x", "batch", rounding, rounding[::-1].copy()).depends


def test_a_score_that_becomes_invalid_depends_on_what_was_changed() -> None:
    before = np.arange(1.0, 11.0)
    lost = np.where(before > 8, np.nan, before)
    assert _compare("x", "noise images", before, lost).depends
    assert _compare("x", "noise images", before, np.full(10, np.nan)).depends
    assert not _compare("x", "noise images", lost, lost).depends


def test_sensitivity_leaves_the_teacher_as_it_was() -> None:
    network = SPACE.build(SPACE.parse(ARCHITECTURES[0]))
    weights = [p.detach().clone() for p in network.parameters()]
    teacher = Teacher(ModelSource("mine", lambda: network))
    sensitivity(_table(), SPACE, [load("|F_t|_F")], setting=replace(SMALL, teacher=teacher))
    assert all(map(torch.equal, weights, network.parameters()))


def test_sensitivity_says_nothing_about_a_formula_without_a_score() -> None:
    setting = usual_setting(SPACE, Data("digits", 8))
    found = sensitivity(_table(), SPACE, [load("rho_cnn")], setting=setting)
    assert {one.proxy for one in found} == {"params", "flops"}


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
    source = space_source(SPACE, ARCHITECTURES[0])
    torch.manual_seed(5)
    first = source.build(3).state_dict()
    torch.manual_seed(6)
    assert all(torch.equal(v, first[k]) for k, v in source.build(3).state_dict().items())
