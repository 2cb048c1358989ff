"""Requirements against the sizes that networks really have."""

from __future__ import annotations

import pytest
import torch

from autodas_dsl.language.check import check
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.parse import parse
from autodas_dsl.scoring.bind import sizes_of, unmet
from autodas_dsl.statistics.collect import Collected

F_S, F_T = Statistic("F_s"), Statistic("F_t")
E_S, E_T = Statistic("E_s"), Statistic("E_t")
W, A = Statistic("W"), Statistic("A")


def _collected(teacher_channels: int = 8) -> Collected:
    return Collected(
        {
            F_S: torch.zeros(4, 8, 2, 2),
            F_T: torch.zeros(4, teacher_channels, 2, 2),
            E_S: torch.zeros(4, 8),
            E_T: torch.zeros(4, teacher_channels),
            W: (torch.zeros(4, 9), torch.zeros(6, 6)),
            A: (torch.zeros(4, 4, 9), torch.zeros(4, 6, 6)),
        }
    )


def _unmet(formula: str, collected: Collected) -> str:
    needed = check(parse(formula)).requirements
    return unmet(needed, sizes_of(collected))


def test_equal_sizes_meet_the_requirement() -> None:
    assert _unmet("KL(F_s, F_t)", _collected()) == ""


def test_unequal_maps_name_both_sizes_and_offer_align() -> None:
    found = _unmet("KL(F_s, F_t)", _collected(16))
    assert found == "requires C_s = C_t: student has 8, teacher 16; use align([F_s, F_t])"


def test_align_meets_the_requirement() -> None:
    assert _unmet("KL(align([F_s, F_t]))", _collected(16)) == ""


@pytest.mark.parametrize(
    ("formula", "fits"),
    [
        ("cond(last(W))", True),  # 6 by 6
        ("cond(first(W))", False),  # 4 by 9
        ("sum(sum(W * mean[B](A)))", True),  # equal in both layers
        ("sum(cond(W))", False),  # only the last layer is square
    ],
)
def test_sizes_of_layers_are_told_apart(formula: str, fits: bool) -> None:
    assert (_unmet(formula, _collected()) == "") == fits


def test_a_size_of_what_was_not_collected_is_not_taken_for_granted() -> None:
    without_teacher = Collected({F_S: torch.zeros(4, 8, 2, 2)})
    assert "do not show" in _unmet("KL(F_s, F_t)", without_teacher)
