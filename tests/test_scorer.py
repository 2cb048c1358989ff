"""Which statistics are held together while a network is scored."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch import nn

from autodas_dsl.data.batches import Batch
from autodas_dsl.language.library import load
from autodas_dsl.scoring import scorer
from autodas_dsl.statistics.collect import Collected


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)
    )


def _scorer(*names: str) -> scorer.Scorer:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, 8, 8, generator=generator)
    batch = Batch(x, torch.tensor([0, 1, 2, 0]), 3, "noise")
    return scorer.Scorer([scorer.bind(load(name)) for name in names], batch)


def _asked(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[set[str]]:
    """The statistics of each collection, none of which is alive at the next."""
    asked: list[set[str]] = []
    held: list[weakref.ref[Collected]] = []
    collect = scorer.collect

    def watched(network: nn.Module, batch: Batch, wanted: Any, **options: Any) -> Collected:
        assert not [one for one in held if one() is not None]
        found = collect(network, batch, wanted, **options)
        asked.append({str(statistic) for statistic in wanted})
        held.append(weakref.ref(found))
        return found

    monkeypatch.setattr(scorer, "collect", watched)
    _scorer(*names)(_network())
    return asked


def test_statistics_are_gone_before_those_of_another_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _asked(monkeypatch, "synflow", "snip", "epsinas", "plain")
    assert asked == [
        {"W", "grad[flow] W"}, {"P_s[tiny]", "P_s[unit]"}, {"W", "grad W"},
    ]  # fmt: skip


def test_formulas_that_share_a_pass_through_another_are_scored_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = _asked(
        monkeypatch, "synflow", "sum(|grad W|_F)", "sum(|grad W|_F) * sum(|grad[flow] W|_F)"
    )
    assert asked == [{"W", "grad W", "grad[flow] W"}]


def test_nothing_is_collected_for_a_formula_without_its_teacher(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _asked(monkeypatch, "rho_cnn", "params") == [{"params"}]
    unmet, size = _scorer("rho_cnn", "params")(_network())
    assert unmet.unmet
    assert "there is no teacher" in unmet.reason
    assert size.valid


def test_scores_do_not_depend_on_what_is_scored_beside_them() -> None:
    names = ("synflow", "snip", "grasp", "jacob_cov", "fisher", "params", "epsinas", "plain")
    together = _scorer(*names)(_network())
    assert together == [_scorer(name)(_network())[0] for name in names]
