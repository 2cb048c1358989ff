"""Bootstrap intervals: equal to drawing by hand, seeded, and of the right width."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from autodas_dsl.evaluation import bootstrap, correlations
from autodas_dsl.evaluation.bootstrap import (
    interval,
    resampled,
)
from autodas_dsl.evaluation.correlations import STATISTICS

Floats = npt.NDArray[np.float64]

BY_SCIPY: dict[str, Callable[[Floats, Floats], float]] = {
    "kendall": lambda x, y: stats.kendalltau(x, y).statistic,
    "spearman": lambda x, y: stats.spearmanr(x, y).statistic,
    "pearson": lambda x, y: stats.pearsonr(x, y).statistic,
}


def example(n: int, seed: int = 0, digits: int = 1) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    return (y + rng.normal(size=n)).round(digits), y.round(digits)


def draws(n: int, resamples: int, seed: int = 0) -> list[npt.NDArray[np.int64]]:
    """The rows of every resample, drawn as the module draws them, listed one by one."""
    counts = np.concatenate(list(bootstrap._draws(n, resamples, seed)))
    return [np.repeat(np.arange(n), row.astype(int)) for row in counts]


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("n", [5, 12, 60])
def test_every_resample_equals_scipy(statistic: str, n: int) -> None:
    x, y = example(n)
    found = resampled(x, y, statistic, seed=3, resamples=50)
    for value, rows in zip(found, draws(n, 50, 3), strict=True):
        if np.ptp(x[rows]) == 0 or np.ptp(y[rows]) == 0:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(BY_SCIPY[statistic](x[rows], y[rows]), abs=1e-12)


def test_counts_of_a_resample_sum_to_n() -> None:
    for rows in draws(17, 20):
        assert len(rows) == 17


def test_counting_by_sorting_equals_counting_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = example(80)
    pairs = resampled(x, y, "kendall", seed=0, resamples=20)
    for module in (bootstrap, correlations):
        monkeypatch.setattr(module, "PAIRS_UP_TO", 10)
    np.testing.assert_allclose(resampled(x, y, "kendall", seed=0, resamples=20), pairs)


def test_blocks_do_not_change_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = example(30)
    whole = resampled(x, y, "spearman", seed=0, resamples=40)
    monkeypatch.setattr(bootstrap, "_CELLS", 30 * 7)
    np.testing.assert_array_equal(resampled(x, y, "spearman", seed=0, resamples=40), whole)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_same_seed_same_interval(statistic: str) -> None:
    x, y = example(40)
    assert interval(x, y, statistic, seed=1) == interval(x, y, statistic, seed=1)
    assert interval(x, y, statistic, seed=1) != interval(x, y, statistic, seed=2)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """200 samples from a normal pair with Pearson 0.6; its Spearman is 6/pi asin(0.3)."""
    truth = 6 / np.pi * np.arcsin(0.3)
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        x = rng.normal(size=60)
        y = 0.6 * x + 0.8 * rng.normal(size=60)
        found = interval(x, y, resamples=300)
        assert found is not None
        inside += found.low <= truth <= found.high
    assert 0.88 <= inside / 200 <= 0.99


def test_perfect_scores_have_a_point() -> None:
    y = np.arange(30.0)
    for statistic in STATISTICS:
        found = interval(y, y, statistic)
        assert found is not None
        assert (found.low, found.high) == pytest.approx((1, 1))


def test_no_interval_of_an_undefined_correlation() -> None:
    y = np.arange(10.0)
    assert interval(np.ones(10), y) is None
    assert interval(y, np.ones(10)) is None
    assert interval(np.full(10, np.nan), y) is None
    lonely = np.zeros(10)
    lonely[9] = 1
    found = interval(lonely, y)
    assert found is not None
    assert 550 < found.resamples < 750


def test_invalid_scores_stay_in() -> None:
    x, y = example(30, digits=6)
    x[:8] = np.nan
    low = np.where(np.isfinite(x), x, -99)
    np.testing.assert_allclose(
        resampled(x, y, "spearman", seed=0, resamples=30),
        resampled(low, y, "spearman", seed=0, resamples=30),
    )


def test_huge_scores() -> None:
    y = np.arange(20.0)
    found = interval(y * 9e306, y, "pearson")
    assert found is not None
    assert found.low == pytest.approx(1)
