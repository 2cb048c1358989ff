"""From a real table to a task: halves, screens and worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import autodas_dsl
from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.shelf import Shelf
from autodas_dsl.evolution import prepare as module
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.prepare import Prepared, prepare
from autodas_dsl.evolution.run import evolve
from autodas_dsl.evolution.vocabulary import chosen_statistics
from autodas_dsl.execution.executors import local
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.parse import parse
from autodas_dsl.models.load import load_models
from autodas_dsl.scoring.setting import Data, Setting, Teacher
from autodas_dsl.scoring.stored import Stored, _shelved, collect_table
from autodas_dsl.scoring.thinning import (
    LADDER,
    WHOLE,
    Sample,
    level_within,
    size_of,
    sizes_at,
    thinned,
)
from autodas_dsl.spaces import get
from autodas_dsl.statistics.collect import Collected
from autodas_dsl.tables.read import load_table
from autodas_dsl.tables.table import Table

INPUTS = ("W", "grad W", "F_s", "F_t", "P_s", "P_t", "params", "flops")
TEXTS = ("params", "sum(|grad W|_F)", "mean(mean(softmax(W)))", "CKA([F_s, F_t])", "sum(sum(log(W)))",
         "L2([F_s, F_t])")  # fmt: skip


@pytest.fixture(scope="module")
def table() -> Table:
    whole = load_table("digits-resnet")
    rows = 14
    return replace(
        whole,
        architectures=whole.architectures[:rows],
        columns={name: values[:rows] for name, values in whole.columns.items()},
        seeds={name: values[:rows] for name, values in whole.seeds.items()},
        spreads={name: values[:rows] for name, values in whole.spreads.items()},
        seed_counts={name: values[:rows] for name, values in whole.seed_counts.items()},
    )


def setting() -> Setting:
    return Setting(
        Data("digits", 8), Teacher(load_models("digits-resnet:depth=1-1-1,width=32-64-64")[0])
    )


@contextmanager
def prepared(
    table: Table, workers: int = 1, screening: bool = False, inputs: tuple[str, ...] = INPUTS,
    memory: int = module.MEMORY, thin: int = 0,
) -> Iterator[Prepared]:  # fmt: skip
    with local(workers) as executor:
        yield prepare(
            table, get("digits-resnet"), chosen_statistics(inputs), setting(), executor,
            screening=screening, memory=memory, thin=thin,
        )  # fmt: skip


def collected(table: Table, inputs: tuple[str, ...], thin: int | None = None) -> Stored:
    space, wanted = get("digits-resnet"), chosen_statistics(inputs)
    return collect_table(table.architectures, space, wanted, setting(), thin=thin)


def test_halves_are_apart_and_complete(table: Table) -> None:
    with prepared(table) as found:
        task = found.task
        assert task.report is not None
        assert task.screens == ()
        assert len(task.selection) + len(task.report) == len(table)
        (outcome,) = task.selection.evaluate([to_ir(parse("params"))])
        (other,) = task.report.evaluate([to_ir(parse("params"))])
    space = get("digits-resnet")
    networks = [space.build(space.parse(name)) for name in found.known.architectures]
    expected = [sum(p.numel() for p in network.parameters()) for network in networks]
    assert list(np.concatenate([outcome.scores, other.scores])) == expected
    accuracy = dict(zip(table.architectures, table.columns["kd"], strict=True))
    measured = [accuracy[name] for name in found.known.architectures]
    assert list(np.concatenate([task.selection.accuracies, task.report.accuracies])) == measured


def test_workers_change_nothing(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shards a half, so that two workers have something to share."""
    monkeypatch.setattr("autodas_dsl.evolution.shards._PER_SHARD", 3)
    nodes = [to_ir(parse(text)) for text in TEXTS]
    found = []
    for workers in (1, 2):
        with prepared(table, workers) as one:
            assert one.task.report is not None
            found.append(one.task.selection.evaluate(nodes) + one.task.report.evaluate(nodes))
    for one, two in zip(*found, strict=True):
        assert np.array_equal(one.scores, two.scores, equal_nan=True)
        assert one.reasons == two.reasons
    assert "requires" in found[0][5].reasons[0]
    assert not found[0][4].valid.any()
    assert found[0][1].valid.all()


def test_how_far_statistics_are_thinned_does_not_depend_on_workers(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autodas_dsl.evolution.shards._PER_SHARD", 3)
    nodes = [to_ir(parse("sum(mean(A * grad A))"))]
    found, inputs = [], ("A", "grad A", "W", "P_t")
    memory = size_of(collected(table, inputs).collected)
    for workers in (1, 3):
        with prepared(table, workers, inputs=inputs, thin=memory) as one:
            found.append((one.known.sample, one.task.selection.evaluate(nodes)[0].scores.tolist()))
    assert found[0] == found[1]
    assert found[0][0] in LADDER[1:]


def test_statistics_on_disk_give_the_same_bits_for_any_number_of_workers(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCREENED_ON", 5)
    monkeypatch.setattr("autodas_dsl.evolution.shards._PER_SHARD", 3)
    inputs = (*INPUTS, "A", "grad A", "E_s", "chancov(A)", "fan_in", "Y")
    texts = (*TEXTS, "sum(mean(A * grad A))", "mean(first(A))", "sum(log(sum(W)))", "mean(Y * P_s)",
             "sum(erank(chancov(A)))", "KL(softmax([P_s, P_t]))")  # fmt: skip
    nodes, found = [to_ir(parse(text)) for text in texts], []
    for memory, workers in ((module.MEMORY, 1), (1 << 20, 1), (1 << 20, 2)):
        with prepared(table, workers, True, inputs, memory) as one:
            assert any("on disk" in note for note in one.known.notes) == (memory < module.MEMORY)
            task = one.task
            assert task.report is not None
            halves = (task.selection, task.report, *task.screens)
            found.append((task.fingerprint, [half.evaluate(nodes) for half in halves]))
    for fingerprint, outcomes in found[1:]:
        assert fingerprint == found[0][0]
        for half, expected in zip(outcomes, found[0][1], strict=True):
            for mine, theirs in zip(half, expected, strict=True):
                assert mine.scores.tobytes() == theirs.scores.tobytes()
                assert mine.reasons == theirs.reasons


def test_numbers_beside_statistics_on_disk_keep_no_file_in_memory(tmp_path: Path) -> None:
    variances, maps = Statistic("S"), Statistic("F_s")
    one = Collected({variances: torch.rand(4000)[:3], maps: torch.rand(4, 2, 8, 8)}, {})
    shelved = _shelved(one, Shelf(tmp_path)).values
    assert torch.equal(shelved[variances], one.values[variances])
    assert shelved[variances].untyped_storage().nbytes() == 12
    assert shelved[maps].is_meta


def test_memory_that_ends_stops_the_search_and_makes_no_formula_invalid(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [to_ir(parse(text)) for text in ("params", "sum(|W|_F)", "flops")]
    evaluate = Engine._evaluate

    def tight(self: Engine, roots: Sequence[Node], every: bool) -> list[Outcome]:
        if nodes[1] in roots:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return evaluate(self, roots, every)

    monkeypatch.setattr(Engine, "_evaluate", tight)
    with prepared(table, inputs=("W", "params", "flops")) as one:
        assert one.task.selection.evaluate(nodes[::2])[0].valid.all()
        with pytest.raises(InputError, match=r"E445.*a formula on 7 networks.*\n.*--resume"):
            one.task.selection.evaluate(nodes)


def test_a_teacher_that_does_not_fit_is_refused(table: Table) -> None:
    with (
        pytest.raises(InputError, match=r"E612.*statistics of the teacher"),
        prepared(table, memory=1 << 10),
    ):
        pass


def test_large_selections_are_raced_on_a_part(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RACED_FROM", 7)
    monkeypatch.setattr(module, "RACED_ON", 5)
    with prepared(table) as found:
        (screen,) = found.task.screens
        assert len(screen) == 5
        assert set(screen.accuracies) <= set(found.task.selection.accuracies)
        (outcome,) = screen.evaluate([to_ir(parse("params"))])
        assert len(outcome.scores) == 5
        run = evolve(
            Config(inputs=("W", "grad W", "F_s", "F_t"), iterations=10, population=6, margin=0.0),
            [found.task], found.allowed,
        )  # fmt: skip
    assert run.counts.screened > 0
    assert run.champion.held_out


def test_thinned_statistics_of_the_same_networks(table: Table) -> None:
    whole = collected(table, INPUTS).collected
    thin = thinned(whole, Sample(4, share=3))
    before, after = whole[0].values, thin[0].values
    by_name = {str(statistic): statistic for statistic in before}
    weights, slopes, maps, logits = (by_name[n] for n in ("W", "grad W", "F_s", "P_t"))
    for one, other, slope in zip(before[weights], after[weights], after[slopes], strict=True):
        kept = max(min(4, one.shape[1]), one.shape[1] // 3)
        assert other.shape == slope.shape == (len(one), kept)
    assert after[maps].shape == (4, *before[maps].shape[1:])
    assert after[logits].shape == (4, 10)
    assert thin[1].values[logits] is after[logits], "the teacher is thinned once"


def test_nothing_thinned_keeps_a_file_or_a_larger_tensor_in_memory() -> None:
    weights, logits = Statistic("W"), Statistic("P_s")
    own = torch.rand(4, 16)
    one = Collected({weights: (own,), logits: torch.rand(64, 10)}, {})
    (whole,) = thinned([one], WHOLE)
    assert whole.values[weights][0] is own
    level = level_within(sizes_at(one), size_of([one]) // 2)
    assert LADDER[level].samples == 16
    ((kept,),) = (small.values[weights] for small in thinned([one], LADDER[level]))
    assert torch.equal(kept, own)
    assert kept.data_ptr() != own.data_ptr()


def test_sizes_are_told_without_thinning(table: Table) -> None:
    one = collected(table.rows([3]), ("A", "grad A", "W", "F_s", "P_s", "P_t")).collected
    assert sizes_at(one[0]) == tuple(size_of(thinned(one, level)) for level in LADDER)
    assert [level_within((9, 5, 2), budget) for budget in (10, 9, 8, 2)] == [0, 0, 1, 2]
    assert level_within(sizes_at(one[0]), 0) == len(LADDER) - 1, "the last where nothing fits"


def test_maps_are_thinned_by_rows_and_columns() -> None:
    maps, values = Statistic("F_s"), torch.rand(8, 3, 9, 4)
    one = Collected({maps: values}, {})

    def kept(sample: Sample) -> torch.Tensor:
        (found,) = thinned([one], sample)
        return found.values[maps]

    assert torch.equal(kept(Sample(stride=2)), values[:, :, ::2, ::2])
    assert torch.equal(kept(Sample(stride=100)), values[:, :, ::4, ::2]), "two of each at least"
    assert kept(WHOLE) is values
    assert str(Sample(8, stride=2)) == "1/2 of rows and columns and 8 samples"


def test_large_selections_are_screened_and_raced(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RACED_FROM", 7)
    monkeypatch.setattr(module, "RACED_ON", 6)
    monkeypatch.setattr(module, "SCREENED_ON", 5)
    with prepared(table, screening=True) as found:
        assert [len(screen) for screen in found.task.screens] == [5, 6]
        config = Config(inputs=("W", "F_s"), iterations=4, population=4, elite=2, margin=0)
        run = evolve(config, [found.task], found.allowed)
    assert run.counts.screened > 0


def test_thinning_step_by_step_is_thinning_at_once(table: Table) -> None:
    inputs = ("A", "grad A", "W", "P_s")
    whole = collected(table, inputs).collected
    steps: Sequence[Collected] = whole
    for earlier, later in pairwise(LADDER):
        steps = thinned(steps, later, earlier)
        at_once = thinned(whole, later)
        for one, other in zip(steps, at_once, strict=True):
            for statistic, value in one.values.items():
                pairs = zip(value, other.values[statistic], strict=True)
                assert all(torch.equal(a, b) for a, b in pairs), str(statistic)
    assert size_of(steps) < size_of(whole) / 2


def test_activations_are_thinned_until_they_fit(table: Table) -> None:
    inputs = ("A", "grad A", "W", "P_t")
    found = collected(table, inputs)
    whole = size_of(found.collected)
    assert (found.known.bytes, found.known.sample) == (whole, WHOLE)
    found = collected(table, inputs, thin=whole // 2)
    assert size_of(found.collected) == found.known.bytes <= whole // 2
    assert found.known.sample in LADDER[1:]
    assert any("thinned to" in note for note in found.known.notes)
    of_teacher = {id(one.values[Statistic("P_t")]) for one in found.collected}
    assert len(of_teacher) == 1, "in memory once"
    (outcome,) = found.evaluator(range(3))([to_ir(parse("sum(mean(A * grad A))"))])
    assert outcome.valid.all()


def test_a_screened_search(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCREENED_ON", 5)
    with prepared(table, screening=True) as found:
        (screen,) = found.task.screens
        assert len(screen) == 5
        assert found.task.fingerprint.endswith("screened")
        config = Config(inputs=("W", "F_s", "F_t"), iterations=8, population=4, elite=2, margin=0)
        run = evolve(config, [found.task], found.allowed)
    assert run.counts.screened > 0


def test_requirements_are_those_of_the_networks(table: Table) -> None:
    with prepared(table) as found:
        requirement = lambda text: found.allowed(_needed(text))  # noqa: E731
        assert requirement("P_s - P_t")
        assert not requirement("F_s - F_t")


def _needed(text: str) -> object:
    from autodas_dsl.language.check import kind_of_expression

    return kind_of_expression(parse(text)).requirements[0]


def test_a_search_in_one_call(table: Table, tmp_path: Path) -> None:
    found = autodas_dsl.evolve(
        table, inputs=["W", "P_s", "P_t"], iterations=3, population=4, elite=2, null_repeats=1,
        baselines=("params",), data="noise", run=tmp_path / "run",
    )  # fmt: skip
    assert found.folder == tmp_path / "run"
    assert found.best.measured
    assert found.null is not None
    assert len(found.hall_of_fame) == len(found.entries)
    assert (tmp_path / "run" / "null.json").exists()
    with pytest.raises(InputError, match="already holds a run"):
        autodas_dsl.evolve(table, run=tmp_path / "run")
