"""The functions of the package itself."""

from __future__ import annotations

import doctest
import subprocess
import sys

import pytest
import torch
from torch import nn

import autodas_dsl
from autodas_dsl import api
from autodas_dsl.language.errors import InputError
from autodas_dsl.tables.read import load_table


def _network(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(width, 3),
    )  # fmt: skip


SAMPLES = (torch.randn(6, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2]))


def test_networks_at_hand_are_scored_on_samples_at_hand() -> None:
    networks = {"narrow": _network(4), "wide": _network(16)}
    result = autodas_dsl.score(networks, ["params", "snip"], data=SAMPLES)
    first = [row for row in result.scores if row.proxy == "params"]
    assert [(row.model, row.rank) for row in first] == [("wide", 1), ("narrow", 2)]
    assert all(row.valid for row in result.scores)


def test_a_teacher_may_be_a_network_too() -> None:
    result = autodas_dsl.score(_network(4), "cc", teacher=_network(4), data=SAMPLES)
    assert result.scores[0].valid


def test_a_formula_without_its_teacher_is_an_error() -> None:
    with pytest.raises(InputError, match="--teacher"):
        autodas_dsl.score(_network(4), "cc", data=SAMPLES)


def test_a_formula_that_cannot_be_scored_takes_no_other_with_it() -> None:
    result = autodas_dsl.score(_network(4), ["cc", "zen", "snip"], data=SAMPLES)
    assert {row.proxy for row in result.scores if row.valid} == {"snip"}
    assert "add --teacher MODEL" in result.unscored["cc"]
    assert "no BatchNorm layer" in result.unscored["zen"]
    with pytest.raises(InputError) as caught:
        autodas_dsl.score(_network(4), ["cc", "zen"], data=SAMPLES)
    assert [one.code for one in caught.value.diagnostics] == ["E461", "E461"]


def test_rank_takes_names() -> None:
    small = load_table("digits-resnet").rows(range(6))
    found = autodas_dsl.rank(small, "l2_norm", batch_size=4)
    assert {row.proxy for row in found.rows} == {"l2_norm", "params", "flops"}


def test_evolve_returns_a_run_and_calls_back() -> None:
    seen: list[int] = []
    small = load_table("digits-resnet").rows(range(14))
    run = autodas_dsl.evolve(
        small, population=4, elite=2, iterations=2,
        progress=lambda progress: seen.append(progress.generation),
    )  # fmt: skip
    assert seen
    assert run.best.check().ok
    assert len(run.hall_of_fame) >= 1
    assert run.pareto


def test_an_unknown_choice_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        autodas_dsl.evolve("digits-resnet", generations=3)


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(api).failed == 0


def test_importing_the_package_loads_neither_torch_nor_sympy() -> None:
    code = "import sys, autodas_dsl; autodas_dsl.parse('W'); print({'torch', 'sympy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        autodas_dsl.nothing  # noqa: B018
