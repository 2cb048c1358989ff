"""What a table holds, and how much of it is noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from autodas_dsl.language.spans import Source
from autodas_dsl.spaces.registry import get
from autodas_dsl.tables import load_table
from autodas_dsl.tables.info import describe, noise_ceiling
from autodas_dsl.tables.read import read_table


def test_counts_ranges_and_gaps() -> None:
    table = read_table(
        Source("t", "arch,acc,params\na,1,7\nb,3,7\nc,,7\nd,3,7\n"), name="t", space=None
    )
    acc, params = describe(table).columns
    assert (acc.known, acc.missing, acc.distinct) == (3, 1, 2)
    assert (acc.low, acc.high) == (1, 3)
    assert acc.mean == pytest.approx(7 / 3)
    assert acc.is_target
    assert not params.is_target
    assert acc.ceiling is None


def test_an_empty_column_has_no_range() -> None:
    table = read_table(Source("t", "arch,acc\na,\nb,\n"), name="t")
    (column,) = describe(table).columns
    assert (column.known, column.low, column.mean, column.high) == (0, None, None, None)


def test_isomorphic_cells_are_counted_once(shared: Path) -> None:
    table = load_table(shared / "ground_truth" / "nasbench201.csv")
    info = describe(table, get("nasbench201"))
    assert (info.architectures, info.classes, info.reachable) == (15625, 6466, 15284)
    assert describe(table).classes is None


def test_seeds_without_noise_have_ceiling_one() -> None:
    found = noise_ceiling(np.repeat(np.arange(10.0)[:, None], 4, axis=1))
    assert found is not None
    assert (found.halves, found.all_seeds) == pytest.approx((1.0, 1.0))
    assert (found.seeds, found.splits) == (4, 3)


def test_two_seeds_have_one_split_and_spearman_brown() -> None:
    seeds = np.random.default_rng(0).normal(size=(30, 1)) + np.random.default_rng(1).normal(
        size=(30, 2)
    )
    found = noise_ceiling(seeds)
    assert found is not None
    r = stats.spearmanr(seeds[:, 0], seeds[:, 1]).statistic
    assert found.splits == 1
    assert found.halves == pytest.approx(r)
    assert found.all_seeds == pytest.approx(2 * r / (1 + r))


def test_the_extrapolation_predicts_more_seeds() -> None:
    """All-seed reliability from 8 seeds is near what 8 against 8 other seeds really reach."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(2000, 1))
    seeds = truth + rng.normal(size=(2000, 16))
    found = noise_ceiling(seeds[:, :8])
    assert found is not None
    assert found.splits == 35
    reached = stats.spearmanr(seeds[:, :8].mean(1), seeds[:, 8:].mean(1)).statistic
    assert found.all_seeds == pytest.approx(reached, abs=0.02)
    assert found.halves < found.all_seeds


def test_halves_that_disagree_are_not_extrapolated() -> None:
    order = np.arange(8.0)
    found = noise_ceiling(np.stack([order, -order], axis=1))
    assert found is not None
    assert found.all_seeds == found.halves == pytest.approx(-1)


@given(st.integers(3, 20))
def test_many_or_odd_seeds(count: int) -> None:
    seeds = np.random.default_rng(count).normal(size=(6, count)) + 5 * np.arange(6)[:, None]
    found = noise_ceiling(seeds, splits=20)
    assert found is not None
    assert 1 <= found.splits <= 20
    assert found == noise_ceiling(seeds, splits=20)


def test_no_ceiling_from_one_seed_few_rows_or_constant_halves() -> None:
    rng = np.random.default_rng(0)
    assert noise_ceiling(rng.normal(size=(10, 1))) is None
    assert noise_ceiling(rng.normal(size=(4, 4))) is None
    assert noise_ceiling(np.ones((10, 4))) is None
    gaps = rng.normal(size=(6, 4))
    gaps[:2, 0] = np.nan
    assert noise_ceiling(gaps) is None
