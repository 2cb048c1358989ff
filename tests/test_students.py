"""Training-free student search."""

from __future__ import annotations

import errno
import math
import operator
import os
import re
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from tiny_space import Tiny, TinyArch, Unlisted
from torch import nn

import autodas_dsl
from autodas_dsl import spaces
from autodas_dsl.language import files
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.library import load
from autodas_dsl.models.load import load_models
from autodas_dsl.models.source import ModelSource
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.scorer import Score, Scorer
from autodas_dsl.scoring.setting import Data, Teacher
from autodas_dsl.spaces.base import Space
from autodas_dsl.students import sizes as sizes_module
from autodas_dsl.students.export import export
from autodas_dsl.students.find import Students, find_student
from autodas_dsl.students.sizes import RUNS, WARM_UP, Latency, Limits, Sizes, measured

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


def find(book: ScoreBook, space: Space[Any] | None = None, proxy: Any = "params",
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


# --- several formulas, several seeds ------------------------------------------------------------


def test_several_formulas_are_combined_by_their_ranks(book: ScoreBook) -> None:
    names = ["params", "snip", "-grad_norm"]
    found = find(book, proxy=names, top=36)
    alone = [
        {one.architecture: one.score for one in find(book, proxy=n, top=36).best} for n in names
    ]
    texts = list(alone[0])
    expected = np.mean([rankdata([scores[t] for t in texts]) / 36 for scores in alone], axis=0)
    best = {one.architecture: one for one in found.best}
    for text, wanted in zip(texts, expected, strict=True):
        assert best[text].score == pytest.approx(wanted)
        assert list(best[text].scores.values()) == [scores[text] for scores in alone]
    assert [one.score for one in found.best] == sorted(expected, reverse=True)
    assert found.proxy.startswith("params, snip, ")
    assert find(book, proxy=["snip"], top=36) == find(book, proxy="snip", top=36)


def test_several_formulas_guide_evolution_too(book: ScoreBook) -> None:
    found = find(book, Unlisted(), proxy=["-params", "-l2_norm"], budget=30)
    assert found.best[0].params <= params_of((1, 2))


def test_one_formula_that_fits_nothing_is_named(book: ScoreBook) -> None:
    with pytest.raises(InputError, match=r"E751.*none of the 36 networks") as caught:
        find(book, proxy=["params", "|E_s - E_t|_F"], teacher=teacher(64))
    assert "requires D_s = D_t" in str(caught.value)


def test_scores_of_several_seeds_are_their_mean(book: ScoreBook) -> None:
    both = find(book, proxy="snip", seeds=2, seed=3, top=36)
    alone = [
        {one.architecture: one.score for one in find(book, proxy="snip", seed=s, top=36).best}
        for s in (3, 4)
    ]
    for one in both.best:
        assert one.score == pytest.approx(sum(a[one.architecture] for a in alone) / 2)
    assert any("mean of 2 initialisations" in note for note in both.notes)


# --- scores against sizes -----------------------------------------------------------------------


@pytest.mark.parametrize("proxy", ["snip", "-params"])
def test_the_front_is_what_nothing_beats(book: ScoreBook, proxy: str) -> None:
    found = find(book, proxy=proxy, pareto=True, top=36)
    cost = {o.architecture: (-o.score, o.params, o.flops) for o in found.best}

    def beaten(own: tuple[float, ...]) -> bool:
        return any(other != own and all(map(operator.le, other, own)) for other in cost.values())

    front = [one.architecture for one in found.front]
    assert {cost[text] for text in front} == {own for own in cost.values() if not beaten(own)}
    assert [one.params for one in found.front] == sorted(one.params for one in found.front)
    assert not find(book, proxy=proxy).front


def test_latency_is_a_limit_and_a_size(book: ScoreBook, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(network: nn.Module, x: torch.Tensor) -> Latency:
        assert x.shape == (1, 1, 8, 8)
        wide = network.get_submodule("wide").out_channels
        return Latency(wide * 1e-3, wide * 0.9e-3, wide * 1.2e-3)

    monkeypatch.setattr(sizes_module, "measured", slow)
    found = find(book, max_latency=0.004, pareto=True, top=36)
    assert found.scored == 10
    assert found.best[0].architecture == "4-4"
    assert str(found.best[0].latency) == "4 ms (3.6–4.8)"
    assert {one.architecture for one in found.front} >= {"1-1", "4-4"}
    with pytest.raises(InputError) as caught:
        find(book, max_latency=1e-4)
    code, said = diagnostic(caught.value)
    assert code == "E750"
    assert "at most 0.1 ms the nearest miss is 1-1 with 1 ms (0.9–1.2)" in said


def test_latency_is_measured_after_warming_up() -> None:
    calls = []

    class Counting(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append((self.training, torch.is_inference_mode_enabled()))
            return x

    found = measured(Counting(), torch.zeros(1, 1))
    assert set(calls) == {(False, True)}
    assert len(calls) == WARM_UP + RUNS
    assert 0 < found.low <= found.median <= found.high


# --- plain networks, memory, being stopped ------------------------------------------------------


def test_networks_at_hand_are_a_space(tmp_path: Path) -> None:
    made = {f"{n}": Tiny().build(TinyArch((1, n))) for n in (1, 2, 3)}
    x, y = torch.randn(6, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2])
    space = {**made, "made": lambda: Tiny().build(TinyArch((4, 4)))}
    found = find_student(space, ["params", "flops", "l2_norm"], data=(x, y), top=2)
    assert found.best[0].architecture == "made"
    assert found.scored == 4
    second = made[found.best[1].architecture]
    assert found.best[1].source.build() is second
    with torch.no_grad():
        second.get_submodule("fc").weight.zero_()
    again = find_student(space, ["params", "flops", "l2_norm"], data=(x, y), top=4)
    known = {one.architecture: one.scores for one in again.best}
    assert known[found.best[1].architecture] != found.best[1].scores
    with pytest.raises(InputError) as caught:
        export(found.best[0], found, [load("snip")], tmp_path)
    assert diagnostic(caught.value)[0] == "E728"


def test_a_search_that_was_stopped_goes_on(book: ScoreBook, tmp_path: Path) -> None:
    def stop(done: int, label: str) -> None:
        seen.append(label)
        if len(seen) == 7:
            raise KeyboardInterrupt

    seen: list[str] = []
    fresh: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        find(book, Unlisted(), proxy="snip", budget=12, progress=stop)

    real = Scorer.__call__

    def counted(self: Scorer, network: nn.Module) -> list[Score]:
        fresh.append("one")
        return real(self, network)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scorer, "__call__", counted)
        found = find(book, Unlisted(), proxy="snip", budget=12)
    assert len(fresh) == found.scored - 7
    with ScoreBook(tmp_path / "other.sqlite") as other:
        assert find(other, Unlisted(), proxy="snip", budget=12) == found


def test_no_more_than_a_few_networks_are_held(book: ScoreBook) -> None:
    alive: weakref.WeakSet[nn.Module] = weakref.WeakSet()
    most = []

    class Watched(Unlisted):
        def build(self, arch: TinyArch, classes: int | None = None) -> nn.Module:
            network = super().build(arch, classes)
            alive.add(network)
            return network

    def count(done: int, label: str) -> None:
        most.append(len(alive))

    find(book, Watched(), proxy="snip", budget=20, progress=count)
    assert len(most) >= 20
    assert max(most) <= 3


class Narrowing(Tiny):
    """One whose second branch, of width 8, cannot be built, and of width 7 not be run."""

    name = "narrowing"

    def build(self, arch: TinyArch, classes: int | None = None) -> nn.Module:
        if 8 in arch.width:
            raise ValueError("8 is too wide")
        network = super().build(arch, classes)
        return nn.Sequential(network, nn.Linear(2, 2)) if 7 in arch.width else network


@pytest.mark.parametrize("space", [Narrowing(), type("", (Narrowing,), {"listed_up_to": 0})()])
def test_networks_that_cannot_be_built_or_run_are_left_out(
    book: ScoreBook, space: Space[Any]
) -> None:
    found = find(book, space, proxy="snip", budget=30)
    assert not any(set("78") & set(one.architecture) for one in (*found.best, found.largest))
    (said,) = [note for note in found.notes if note.startswith("left out")]
    assert re.match(r"left out: \d+ networks that cannot be built and run; narrowing:", said)
    if space.listed_up_to:
        assert said.startswith("left out: 15 networks ")
    assert found.scored == 21 if space.listed_up_to else 0 < found.scored < 30
    assert not any("left out" in note for note in find(book, Tiny(), proxy="snip").notes)


def test_a_space_without_one_network_says_what_is_wrong_with_the_first(book: ScoreBook) -> None:
    class Wrong(Tiny):
        def build(self, arch: TinyArch, classes: int | None = None) -> nn.Module:
            raise ValueError("nothing works")

    for space in (Wrong(), type("", (Wrong,), {"listed_up_to": 0})()):
        with pytest.raises(InputError, match=r"error.E403.: tiny:1-1 cannot be built: .*nothing works"
                           if space.listed_up_to else "error.E403.: tiny:"):  # fmt: skip
            find(book, space)


# --- a student in a folder ----------------------------------------------------------------------


def test_an_exported_student_is_what_was_scored(book: ScoreBook, tmp_path: Path) -> None:
    space = spaces.load(Path(__file__).with_name("tiny_space.py"))
    found = find(book, space, proxy=["snip", "params"], seed=2)
    best = found.best[0]
    export(best, found, [load("snip"), load("params")], tmp_path / "out", seed=2)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["card.md", "student.py", "student.safetensors", "tiny_space.py"]
    (source,) = load_models(str(tmp_path / "out" / "student.py"))
    assert (source.input_shape, source.classes) == ((1, 8, 8), 3)
    states = source.build(7).state_dict(), best.source.build(2).state_dict()
    assert all(torch.equal(one, states[1][name]) for name, one in states[0].items())
    card = (tmp_path / "out" / "card.md").read_text(encoding="utf-8")
    assert f"* parameters: {best.params:,}\n" in card
    assert "rank 1 of 36 networks scored" in card
    assert "    snip = " in card


def test_a_text_in_an_architecture_stays_a_text(book: ScoreBook, tmp_path: Path) -> None:
    text = '"""\'); import os; os.abort() # {}\\'
    (tmp_path / "own.py").write_text(
        "from torch import nn\ninput_shape, classes = (1, 8, 8), 3\n"
        f"def archs():\n    return [{text!r}]\n"
        "def build(arch):\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))\n"
    )
    found = find(book, spaces.load(tmp_path / "own.py"))
    export(found.best[0], found, [load("params")], tmp_path / "out")
    (source,) = load_models(str(tmp_path / "out" / "student.py"))
    source.build()


def test_a_full_disk_while_exporting(
    book: ScoreBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    found = find(book, spaces.load(Path(__file__).with_name("tiny_space.py")))
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(InputError, match=r"E517.*No space left"):
            export(found.best[0], found, [load("params")], tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="E517"):
        export(found.best[0], found, [load("params")], tmp_path / "file" / "out")


# --- what cannot be -----------------------------------------------------------------------------


def diagnostic(error: InputError) -> tuple[str, str]:
    first = error.diagnostics[0]
    return first.code, f"{first.message} {first.help}"


@pytest.mark.parametrize("space", [Tiny(), Unlisted()])
def test_limits_that_nothing_meets_say_what_is_nearest(book: ScoreBook, space: Space[Any]) -> None:
    with pytest.raises(InputError) as caught:
        find(book, space, max_params=10)
    code, said = diagnostic(caught.value)
    assert code == "E750"
    assert "at most 10 parameters" in said
    assert f"nearest miss is 1-1 with {params_of((1, 1))} parameters" in said


def test_both_limits_are_named(book: ScoreBook) -> None:
    with pytest.raises(InputError) as caught:
        find(book, max_params=1000, max_flops=5)
    code, said = diagnostic(caught.value)
    assert code == "E750"
    assert "at most 1,000 parameters and at most 5 flops" in said
    assert "nearest miss is 1-1 with 29 parameters and 1,158 flops" in said


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


@pytest.mark.parametrize(
    "wrong",
    [
        {"budget": 0},
        {"top": 0},
        {"max_params": 0},
        {"max_flops": -1},
        {"seeds": 0},
        {"max_latency": 0.0},
        {"max_latency": math.nan},
    ],
)
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
