"""Splits keep isomorphic architectures together and depend on the seed alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodas_dsl.evaluation.splits import isomorphism_classes, sample, split, stratified
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.spans import Source
from autodas_dsl.spaces.registry import get
from autodas_dsl.tables import load_table
from autodas_dsl.tables.read import read_table

seeds = st.integers(0, 2**32)
small_classes = st.lists(st.integers(1, 4), min_size=20, max_size=40).map(
    lambda sizes: [f"c{name}" for name, size in enumerate(sizes) for _ in range(size)]
)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"a{i}" for i in range(count))


def of(classes: list[str], rows: npt.NDArray[np.int64]) -> list[str]:
    return sorted(classes[i] for i in rows)


@given(small_classes, seeds)
def test_half_is_disjoint_complete_and_whole(classes: list[str], seed: int) -> None:
    found = split(classes, "half", seed)
    assert sorted([*found.selection, *found.report]) == list(range(len(classes)))
    assert not set(of(classes, found.selection)) & set(of(classes, found.report))
    assert len(found.selection) <= len(classes) // 2
    largest = 4
    assert len(found.selection) > len(classes) // 2 - largest
    assert list(found.selection) == sorted(found.selection)


@given(small_classes, seeds, st.randoms(use_true_random=False))
def test_row_order_does_not_matter(classes: list[str], seed: int, random: object) -> None:
    order = np.random.default_rng(seed).permutation(len(classes))
    shuffled = [classes[i] for i in order]
    one, other = split(classes, "half", seed), split(shuffled, "half", seed)
    assert of(classes, one.selection) == of(shuffled, other.selection)
    assert of(classes, one.report) == of(shuffled, other.report)


def test_another_seed_is_another_split() -> None:
    one, other = split(names(40), seed=0), split(names(40), seed=1)
    assert list(one.selection) != list(other.selection)
    assert list(one.selection) == list(split(names(40), seed=0).selection)


def test_the_split_of_a_seed_is_fixed() -> None:
    """Published results name a seed; these rows must never change."""
    assert list(split(names(12), seed=7).selection) == [1, 4, 7, 9, 10, 11]


@given(st.integers(0, 100))
def test_single_architectures_halve_exactly(seed: int) -> None:
    found = split(names(31), "half", seed)
    assert (len(found.selection), len(found.report)) == (15, 16)


def test_sizes() -> None:
    found = split(names(100), "30/50", seed=3)
    assert (len(found.selection), len(found.report), found.name) == (30, 50, "30/50")
    assert not set(found.selection) & set(found.report)


@given(small_classes, seeds)
def test_sizes_keep_classes_whole(classes: list[str], seed: int) -> None:
    found = split(classes, "9/10", seed)
    assert len(found.selection) <= 9
    assert len(found.report) <= 10
    for rows in (found.selection, found.report):
        for name in set(of(classes, rows)):
            assert of(classes, rows).count(name) == classes.count(name)
    assert not set(of(classes, found.selection)) & set(of(classes, found.report))


@pytest.mark.parametrize("how", ["", "third", "1", "1/2/3", "-1/5", "1.5/2", "half/half", "٣/٤"])
def test_not_a_split(how: str) -> None:
    with pytest.raises(InputError, match=r"E530.*is not a split"):
        split(names(40), how)


def test_too_small() -> None:
    with pytest.raises(InputError, match=r"E533.*needs 50 architectures, the table has 40"):
        split(names(40), "20/30")
    with pytest.raises(InputError, match=r"E531.*leaves 4 to select"):
        split(names(9))
    with pytest.raises(InputError, match=r"E531.*leaves 4 to report"):
        split(names(40), "20/4")
    with pytest.raises(InputError, match="E531"):
        split(["same"] * 40)


@given(st.integers(1, 60), seeds)
def test_sample_has_its_size(size: int, seed: int) -> None:
    rows = sample(names(40), size, seed)
    assert len(set(rows)) == len(rows) == min(size, 40)
    assert list(rows) == sorted(rows)


@given(st.integers(1, 30), seeds)
def test_a_larger_sample_holds_the_smaller(size: int, seed: int) -> None:
    assert set(sample(names(40), size, seed)) <= set(sample(names(40), size + 1, seed))


@given(st.integers(2, 40), seeds)
def test_stratified_takes_one_of_every_stratum(size: int, seed: int) -> None:
    accuracies = np.random.default_rng(seed).permutation(40).astype(float)
    rows = stratified(names(40), accuracies, size, seed)
    assert len(rows) == size
    ranks = np.sort(accuracies[rows])
    for i, rank in enumerate(ranks):
        assert i * 40 // size <= rank < (i + 1) * 40 // size


@given(seeds)
def test_stratified_ignores_row_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts, accuracies = list(names(30)), rng.integers(0, 5, 30).astype(float)
    order = rng.permutation(30)
    one = stratified(texts, accuracies, 10, seed)
    other = stratified([texts[i] for i in order], accuracies[order], 10, seed)
    assert sorted(texts[i] for i in one) == sorted(texts[order[i]] for i in other)


def test_stratified_of_few_is_all() -> None:
    assert list(stratified(names(4), np.arange(4.0), 9)) == [0, 1, 2, 3]


def test_isomorphic_cells_share_a_side(shared: Path) -> None:
    table = load_table(shared / "ground_truth" / "nasbench201.csv")
    classes = isomorphism_classes(table, get("nasbench201"))
    assert len(set(classes)) == 6466
    found = split(classes, "150/250", seed=0)
    assert (len(found.selection), len(found.report)) == (150, 250)
    assert not {classes[i] for i in found.selection} & {classes[i] for i in found.report}


def test_without_a_space_every_text_is_a_class() -> None:
    table = read_table(Source("t", "arch,acc\na,1\nb,2\n"), name="t")
    assert isomorphism_classes(table, None) == ("a", "b")
