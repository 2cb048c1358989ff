"""Correlations of scores with accuracies: laws, invalid scores, ties, and when there is none."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import ndcg_score

from autodas_dsl.compiler.population import rankdata
from autodas_dsl.evaluation import correlations
from autodas_dsl.evaluation.agreement import agreement
from autodas_dsl.evaluation.best import ndcg, overlap, top_k_regret
from autodas_dsl.evaluation.correlations import beyond_size, kendall, placed, spearman
from autodas_dsl.tables import load_table

Floats = npt.NDArray[np.float64]

numbers = st.integers(-8, 8).map(float)
pairs = st.lists(st.tuples(numbers, numbers), min_size=5, max_size=30).map(np.array)


def split_pairs(values: Floats) -> tuple[Floats, Floats]:
    x, y = values.T
    assume(np.ptp(x) > 0)
    assume(np.ptp(y) > 0)
    return x, y


def kendall_by_counting(x: Floats, y: Floats) -> float:
    """Tau-b straight from its definition."""
    signs = [
        (np.sign(x[i] - x[j]), np.sign(y[i] - y[j]))
        for i, j in itertools.combinations(range(len(x)), 2)
    ]
    top = sum(a * b for a, b in signs)
    return float(top / np.sqrt(sum(a * a for a, _ in signs) * sum(b * b for _, b in signs)))


@given(pairs)
def test_equals_the_definitions(values: Floats) -> None:
    x, y = split_pairs(values)
    found = agreement(x, y)
    assert found.kendall == pytest.approx(kendall_by_counting(x, y))
    assert found.spearman == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.pearson == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert (found.n, found.invalid, found.reason) == (len(x), 0, "")


@given(pairs)
def test_reversed_scores_reverse_the_sign(values: Floats) -> None:
    x, y = split_pairs(values)
    one, other = agreement(x, y), agreement(-x, y)
    for name in ("kendall", "spearman", "pearson"):
        assert getattr(one, name) == pytest.approx(-getattr(other, name))


@given(pairs)
def test_rank_correlations_ignore_monotone_maps(values: Floats) -> None:
    x, y = split_pairs(values)
    one, other = agreement(x, y), agreement(np.exp(x) * 7 + 3, y**3)
    assert one.kendall == pytest.approx(other.kendall)
    assert one.spearman == pytest.approx(other.spearman)
    assert one.ties == other.ties


@given(pairs)
def test_correlations_are_those_of_scipy_to_the_last_bit(values: Floats) -> None:
    x, y = split_pairs(values)
    for ys in (y, y / 3, x + y * 1e-3):
        assume(np.ptp(ys) > 0)
        assert kendall(x, ys) == stats.kendalltau(x, ys).statistic
        assert spearman(x, ys) == stats.spearmanr(x, ys).statistic


def test_many_architectures_are_counted_by_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.arange(12.0) % 5, np.arange(12.0) % 7
    pairwise = kendall(x, y)
    monkeypatch.setattr(correlations, "PAIRS_UP_TO", 11)
    assert kendall(x, y) == pairwise


@given(st.lists(st.lists(numbers, min_size=4, max_size=4), min_size=1, max_size=6).map(np.array))
def test_ranks_are_those_of_scipy(values: Floats) -> None:
    for axis in (0, 1):
        np.testing.assert_array_equal(rankdata(values, axis), stats.rankdata(values, axis=axis))


@given(pairs, st.randoms(use_true_random=False))
def test_row_order_does_not_matter(values: Floats, random: object) -> None:
    x, y = split_pairs(values)
    order = np.random.default_rng(len(x)).permutation(len(x))
    one, other = agreement(x, y), agreement(x[order], y[order])
    assert one.kendall == pytest.approx(other.kendall)
    assert one.pearson == pytest.approx(other.pearson)


@given(pairs, st.lists(numbers, min_size=1, max_size=6))
def test_invalid_scores_rank_below_all_and_are_counted(values: Floats, lost: list[float]) -> None:
    x, y = split_pairs(values)
    bad = np.resize([np.nan, np.inf, -np.inf], len(lost))
    found = agreement(np.append(x, bad), np.append(y, lost))
    low = agreement(np.append(x, np.full(len(lost), x.min() - 1)), np.append(y, lost))
    assert found.n == len(x) + len(lost)
    assert found.invalid == len(lost)
    assert found.kendall == pytest.approx(low.kendall)
    assert found.spearman == pytest.approx(low.spearman)


def test_invalid_scores_lower_a_perfect_correlation() -> None:
    y = np.arange(10.0)
    scores = y.copy()
    scores[9] = np.nan
    found = agreement(scores, y)
    assert found.kendall == pytest.approx((36 - 9) / 45)
    assert found.pearson is not None
    assert found.pearson < 0.9


def test_ties_are_counted_among_valid_scores() -> None:
    found = agreement([1, 1, 2, 3, 3, 3, 4, np.nan, np.nan], np.arange(9.0))
    assert (found.ties, found.invalid) == (5, 2)


@pytest.mark.parametrize(
    ("scores", "accuracies", "reason"),
    [
        ([1, 1, 1, 1, 1, 1], range(6), "all scores are equal"),
        ([1, 1, 1, 1, 1, np.nan], range(6), "all scores are equal"),
        (range(6), [2] * 6, "all accuracies are equal"),
        ([1, 2, 3, 4, np.nan, np.inf], range(6), "4 of 6 scores are valid, at least 5 are needed"),
        ([1, 2, 3], range(3), "3 of 3 scores are valid, at least 5 are needed"),
        ([], [], "0 of 0 scores are valid, at least 5 are needed"),
    ],
)
def test_undefined_has_a_reason_and_no_number(
    scores: list[float], accuracies: list[float], reason: str
) -> None:
    found = agreement(list(scores), list(accuracies))
    assert (found.kendall, found.spearman, found.pearson) == (None, None, None)
    assert found.reason == reason


def test_scores_of_any_size() -> None:
    """SynFlow's scores reach the end of float64; their correlation is a number all the same."""
    y = np.arange(6.0)
    huge = np.array([1.0, 2, 3, 4, 5, 6]) * 2.5e307
    found = agreement(huge, y)
    assert (found.kendall, found.spearman, found.pearson) == pytest.approx((1, 1, 1))
    near = agreement(1 + 1e-12 * y, y)
    assert near.pearson == pytest.approx(1, abs=1e-3)
    spread = agreement([-1.7e308, 0, 1, 2, 3, 1.7e308], y)
    assert spread.pearson is not None


def test_programming_errors_are_raised() -> None:
    with pytest.raises(ValueError, match="scores for"):
        agreement([1.0, 2], [1.0])
    with pytest.raises(ValueError, match="not finite"):
        agreement(np.arange(6.0), [1, 2, 3, 4, 5, np.nan])


def test_places_are_dense() -> None:
    np.testing.assert_array_equal(placed(np.array([5, np.nan, 1, 5, np.inf])), [2, 0, 1, 2, 0])


# --- beyond size ---------------------------------------------------------------------------------


@given(st.integers(0, 1000))
def test_partial_correlation_is_that_of_residuals(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(size=40))
    x, y = np.log(size) + rng.normal(size=40), np.log(size) + rng.normal(size=40)
    rx, ry, rz = (stats.rankdata(v) for v in (x, y, size))
    residual = [v - np.polyval(np.polyfit(rz, v, 1), rz) for v in (rx, ry)]
    found = beyond_size(x, y, size)
    assert found == pytest.approx(np.corrcoef(*residual)[0, 1])
    assert beyond_size(np.exp(x), y, np.log(size)) == pytest.approx(found)


def test_size_itself_has_nothing_beyond_size() -> None:
    y = np.random.default_rng(0).normal(size=20)
    size = np.arange(1.0, 21)
    assert beyond_size(size**3, y, size) is None
    assert beyond_size(y, size, size) is None
    assert beyond_size(y, size, np.ones(20)) is None
    assert beyond_size(np.ones(20), y, size) is None


# --- regret --------------------------------------------------------------------------------------


def test_regret_of_the_best_k() -> None:
    y = np.array([90.0, 80, 70, 60, 50])
    assert top_k_regret(y, y, 1) == 0
    assert top_k_regret(-y, y, 1) == 40
    assert top_k_regret(-y, y, 3) == 20
    assert top_k_regret(-y, y, 5) == 0


def test_regret_of_ties_is_expected() -> None:
    y = np.array([90.0, 80, 70, 60])
    assert top_k_regret([1, 1, 1, 1], y, 1) == pytest.approx(15)
    assert top_k_regret([2, 1, 1, 0], [60.0, 80, 70, 90], 2) == pytest.approx(90 - 75)
    assert top_k_regret([np.nan, np.nan, 1, 0], y, 3) == pytest.approx(90 - 85)


@given(pairs, st.data())
def test_regret_equals_the_mean_over_all_choices(values: Floats, data: st.DataObject) -> None:
    x, y = values[:7].T
    k = data.draw(st.integers(1, len(x)))
    threshold = np.sort(x)[-k]
    sure, open_ = np.flatnonzero(x > threshold), np.flatnonzero(x == threshold)
    bests = [
        max(y[list(sure) + list(chosen)]) for chosen in itertools.combinations(open_, k - len(sure))
    ]
    assert top_k_regret(x, y, k) == pytest.approx(y.max() - np.mean(bests))


def test_regret_refuses_a_wrong_k() -> None:
    for k in (0, 4):
        with pytest.raises(ValueError, match="cannot choose"):
            top_k_regret([1.0, 2, 3], [1.0, 2, 3], k)


# --- real tables ---------------------------------------------------------------------------------


def test_cifar_resnet_depth_against_distilled_accuracy(shared: Path) -> None:
    """Parameters of a stage grow with 4^stage; their sum ranks the table at 0.968 (published)."""
    table = load_table(shared / "ground_truth" / "cifar_resnet_s0.csv")
    rows, accuracies = table.measured("cifar100_kd")
    size = [
        sum(int(d) * 18 * (16 * 2**i) ** 2 for i, d in enumerate(text.split("-")))
        for text in rows.architectures
    ]
    found = agreement(size, accuracies)
    assert found.spearman == pytest.approx(0.968, abs=0.002)


# --- the best k ----------------------------------------------------------------------------------


@given(pairs, st.integers(1, 4))
def test_ndcg_equals_that_of_scikit_learn(values: Floats, k: int) -> None:
    x, y = split_pairs(values)
    gains = (y - y.min()) / np.ptp(y)
    assert ndcg(x, y, k) == pytest.approx(ndcg_score([gains], [x], k=k))
    assert ndcg(x, 3 * y - 100, k) == pytest.approx(ndcg(x, y, k))
    assert ndcg(y, y, k) == pytest.approx(1)


@given(pairs, st.integers(1, 4))
def test_overlap_equals_the_mean_over_all_choices(values: Floats, k: int) -> None:
    x, y = split_pairs(values[:7])
    shared = [len(set(a) & set(b)) for a in choices(x, k) for b in choices(y, k)]
    assert overlap(x, y, k) == pytest.approx(np.mean(shared) / k)
    assert overlap(x, y, k) == pytest.approx(overlap(y, x, k))


def choices(values: Floats, k: int) -> list[tuple[int, ...]]:
    """Every set of the k highest that ties allow."""
    threshold = np.sort(values)[-k]
    sure = tuple(np.flatnonzero(values > threshold))
    tied = np.flatnonzero(values == threshold)
    return [sure + drawn for drawn in itertools.combinations(tied, k - len(sure))]


def test_invalid_scores_are_not_among_the_best() -> None:
    y = np.arange(8.0)
    x = np.where(y == 7, np.nan, y)
    assert overlap(x, y, 2) == 0.5
    assert overlap(-y, y, 2) == 0
    assert ndcg(x, y, 2) == pytest.approx(ndcg(np.where(y == 7, -1, y), y, 2))


@pytest.mark.parametrize(
    ("scores", "accuracies"),
    [(range(6), [2] * 6), ([1] * 6, range(6)), (range(5), range(5)), ([np.nan] * 6, range(6))],
)
def test_no_best_k_without_a_ranking(scores: list[float], accuracies: list[float]) -> None:
    assert ndcg(list(scores), list(accuracies), 5) is None
    assert overlap(list(scores), list(accuracies), 5) is None
