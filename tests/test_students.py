"""Training-free student search."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_space import Tiny, TinyArch, Unlisted
from torch import nn

import autodas_dsl
from autodas_dsl.language.errors import InputError
from autodas_dsl.models.source import ModelSource
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.setting import Data, Teacher
from autodas_dsl.spaces.base import Space
from autodas_dsl.students.find import Students, find_student
from autodas_dsl.students.sizes import Limits, Sizes

NOISE = Data("noise", 4)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[ScoreBook]:
    with ScoreBook(tmp_path / "scores.sqlite") as held:
        yield held


def params_of(width: tuple[int, int]) -> int:
    """Two convolutions of 3x3 with bias, and a Linear to three classes."""
    return 10 * sum(width) + 3 * sum(width) + 3


def teacher(channels: int) -> Teacher:
    def make() -> nn.Module:
        return Tiny().build(TinyArch((1, channels - 1)))

    return Teacher(ModelSource("teacher", make, (1, 8, 8), 3))


def find(book: ScoreBook, space: Space[Any] | None = None, proxy: str = "params",
         **more: Any) -> Students:  # fmt: skip
    given = {"data": NOISE, "budget": 100, **more}
    return find_student(space or Tiny(), proxy, book=book, **given)


# --- sizes --------------------------------------------------------------------------------------


def test_sizes_are_counted_without_scores() -> None:
    sizes = Sizes(Tiny(), Limits())
    assert sizes.params("2-3") == params_of((2, 3))
    assert sizes.flops("2-3") == 5 * 9 * 64 + 5 * 3


def test_an_architecture_is_counted_once() -> None:
    space = Tiny()
    built = []

    class Counting(Tiny):
        def build(self, arch: TinyArch, classes: int | None = None) -> nn.Module:
            built.append(arch)
            return space.build(arch, classes)

    sizes = Sizes(Counting(), Limits(params=50))
    assert not sizes.fits("8-8")
    assert sizes.fits("1-2")
    assert sizes.fits("1-2")
    assert len(built) == 2


# --- small spaces -------------------------------------------------------------------------------


def test_a_small_space_is_scored_whole_and_isomorphic_networks_once(book: ScoreBook) -> None:
    found = find(book, top=3)
    assert found.exhaustive
    assert found.scored == 36
    assert [one.architecture for one in found.best] == ["8-8", "7-8", "6-8"]
    assert [one.rank for one in found.best] == [1, 2, 3]
    assert found.best[0].params == found.best[0].score == params_of((8, 8))
    assert found.size_agreement == pytest.approx(1.0)
    assert not found.invalid


def test_lower_is_better_where_the_document_says_so(book: ScoreBook, tmp_path: Path) -> None:
    path = tmp_path / "smallest.proxy"
    path.write_text("proxy/1 smallest\n\nbetter: lower\ninputs: params\n\nscore = params\n")
    found = find(book, proxy=str(path))
    assert found.best[0].architecture == "1-1"
    assert found.best[0].score == params_of((1, 1))
    assert found.size_agreement == pytest.approx(-1.0)
    assert found.largest.rank == 36


@pytest.mark.parametrize("proxy", ["-params", "snip"])
def test_limits_hold_and_the_largest_stands_beside(book: ScoreBook, proxy: str) -> None:
    limit = params_of((3, 4))
    found = find(book, proxy=proxy, max_params=limit)
    assert all(one.params <= limit for one in found.best)
    assert found.largest.params == limit
    assert found.scored == sum(1 for a in range(1, 9) for b in range(a, 9) if a + b <= 7)
    again = find(book, proxy=proxy, max_flops=found.largest.flops)
    assert again.largest.params == limit


def test_a_budget_below_the_space_is_kept(book: ScoreBook) -> None:
    found = find(book, budget=12)
    assert not found.exhaustive
    assert 12 <= found.scored <= 13
    assert found.largest.architecture == "8-8"


# --- spaces too large to list -------------------------------------------------------------------


def test_evolution_respects_the_limits_and_finds_the_best(book: ScoreBook) -> None:
    limit = params_of((3, 4))
    found = find(book, Unlisted(), max_params=limit, budget=20)
    assert not found.exhaustive
    assert found.best[0].params == limit
    assert all(one.params <= limit for one in found.best)


def test_evolution_goes_beyond_random_samples(book: ScoreBook) -> None:
    found = find(book, Unlisted(), proxy="-params", budget=25)
    assert found.best[0].architecture == "1-1"


def test_evolution_scores_isomorphic_networks_once(book: ScoreBook) -> None:
    found = find(book, Unlisted(), budget=500, top=100)
    canonical = [tuple(sorted(one.architecture.split("-"))) for one in found.best]
    assert len(set(canonical)) == len(canonical)
    assert found.scored <= 36 + 1


def test_the_seed_decides(book: ScoreBook, tmp_path: Path) -> None:
    with ScoreBook(tmp_path / "other.sqlite") as other:
        first = find(book, Unlisted(), proxy="snip", budget=10)
        assert find(other, Unlisted(), proxy="snip", budget=10) == first
        assert find(other, Unlisted(), proxy="snip", budget=10, seed=1) != first


def test_stored_scores_are_served(book: ScoreBook, monkeypatch: pytest.MonkeyPatch) -> None:
    first = find(book, proxy="snip")
    monkeypatch.setattr("autodas_dsl.scoring.table.Scorer", None)
    assert find(book, proxy="snip") == first


# --- what cannot be -----------------------------------------------------------------------------


def diagnostic(error: InputError) -> tuple[str, str]:
    first = error.diagnostics[0]
    return first.code, f"{first.message} {first.help}"


@pytest.mark.parametrize("space", [Tiny(), Unlisted()])
def test_limits_that_nothing_meets_say_what_is_smallest(book: ScoreBook, space: Space[Any]) -> None:
    with pytest.raises(InputError) as caught:
        find(book, space, max_params=10)
    code, said = diagnostic(caught.value)
    assert code == "E750"
    assert "at most 10 parameters" in said
    assert f"has {params_of((1, 1))} parameters (1-1)" in said


def test_both_limits_are_named(book: ScoreBook) -> None:
    with pytest.raises(InputError) as caught:
        find(book, max_params=1000, max_flops=5)
    code, said = diagnostic(caught.value)
    assert code == "E750"
    assert "at most 1,000 parameters and at most 5 flops" in said
    assert "flops (1-1)" in said


def test_a_formula_that_fits_nothing_shows_its_requirement(book: ScoreBook) -> None:
    with pytest.raises(InputError) as caught:
        find(book, proxy="|E_s - E_t|_F", teacher=teacher(64))
    code, said = diagnostic(caught.value)
    assert code == "E751"
    assert "requires D_s = D_t" in said


def test_what_fits_some_networks_is_counted_for_the_others(book: ScoreBook) -> None:
    found = find(book, proxy="|E_s - E_t|_F", teacher=teacher(8))
    assert all(sum(map(int, one.architecture.split("-"))) == 8 for one in found.best)
    assert sum(found.invalid.values()) == 36 - 4
    assert all("requires D_s = D_t" in reason for reason in found.invalid)
    assert found.largest.rank is None
    assert math.isnan(found.largest.score)
    assert "requires" in found.largest.reason


def test_a_formula_without_one_valid_score(book: ScoreBook) -> None:
    with pytest.raises(InputError) as caught:
        find(book, proxy="log(params - params - 1)")
    assert diagnostic(caught.value)[0] == "E752"


def test_a_teacher_that_is_missing(book: ScoreBook) -> None:
    with pytest.raises(InputError) as caught:
        find(book, proxy="|F_t|_F")
    assert diagnostic(caught.value)[0] == "E444"


def test_an_unknown_space(book: ScoreBook) -> None:
    with pytest.raises(InputError) as caught:
        find_student("digits-resent", "params", book=book)
    assert diagnostic(caught.value)[0] == "E710"


@pytest.mark.parametrize("wrong", [{"budget": 0}, {"top": 0}, {"max_params": 0}, {"max_flops": -1}])
def test_numbers_below_one(book: ScoreBook, wrong: dict[str, int]) -> None:
    with pytest.raises(InputError) as caught:
        find(book, **wrong)
    assert diagnostic(caught.value)[0] == "E755"


# --- the public name ----------------------------------------------------------------------------


def test_it_is_a_name_of_the_package() -> None:
    assert autodas_dsl.find_student is find_student
    assert "find_student" in dir(autodas_dsl)


def test_networks_and_random_state_are_left_alone(book: ScoreBook) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    find(book, proxy="snip", budget=3)
    assert torch.equal(torch.random.get_rng_state(), before)
