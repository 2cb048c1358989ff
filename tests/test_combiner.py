"""Sums of terms: bags, criteria, the search for a sum, against slow and obvious ways."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.populated import combined
from autodas_dsl.compiler.population import percentile, percentiles, standardise
from autodas_dsl.evolution.bagged import Bagged, Linear, bags_of, centred
from autodas_dsl.evolution.best_sum import expression
from autodas_dsl.evolution.combiner import Combiner, Scored, Settings, Sum, usable
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.parse import parse


def _random(seed: int, terms: int, n: int, levels: int | None = None) -> np.ndarray:
    drawn = np.random.Generator(np.random.Philox(seed)).normal(size=(terms, n))
    return np.round(drawn * levels) / levels if levels else drawn


def _signal(seed: int, terms: int = 40, n: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Terms that each see a part of the accuracy, and noise."""
    noise = _random(seed, terms, n)
    parts = _random(seed + 1000, 3, n)
    noise[:9] = np.repeat(parts, 3, axis=0) + 0.3 * noise[:9]
    noise[4] *= -1
    return noise, parts.sum(axis=0)


def _slow(sums: np.ndarray, accuracies: np.ndarray, bags: np.ndarray) -> np.ndarray:
    """Agreement of each sum in each bag, by SciPy, one at a time."""
    found = np.zeros((len(sums), len(bags)))
    for i, row in enumerate(np.round(sums, 12)):
        for b, bag in enumerate(bags):
            if np.ptp(row[bag]) > 0 and np.ptp(accuracies[bag]) > 0:
                found[i, b] = stats.spearmanr(row[bag], accuracies[bag]).statistic
    return found


# --- populations


def test_percentile_is_the_share_below_ties_half() -> None:
    assert percentile(np.array([0.0, 1.0, 2.0, 5.0]), np.array([1.0, 2.0, 2.0, 3.0])).tolist() == [
        0.0, 0.125, 0.5, 1.0
    ]  # fmt: skip


def test_percentile_of_nan_is_nan_and_infinities_are_ends() -> None:
    found = percentile(np.array([np.nan, -np.inf, np.inf]), np.array([1.0]))
    assert np.isnan(found[0])
    assert found[1:].tolist() == [0.0, 1.0]


@given(st.integers(0, 10**6), st.sampled_from([None, 2]))
@settings(deadline=None)
def test_percentiles_are_each_rows_own(seed: int, levels: int | None) -> None:
    rows = _random(seed, 4, 9, levels)
    for row, found in zip(rows, percentiles(rows), strict=True):
        np.testing.assert_allclose(found, percentile(row, row), atol=1e-15)


def test_standardised_constant_is_0_and_nan_stays() -> None:
    assert standardise(np.array([3.0, 3.0]), 3.0, 0.0).tolist() == [0.0, 0.0]
    assert np.isnan(standardise(np.array([np.nan]), 0.0, 0.0)).all()


# --- bags and criteria


def test_bags_are_parts_of_the_right_size_and_depend_on_seed_and_table_alone() -> None:
    bags = bags_of(20, 8, 0.75, 3, 0)
    assert bags.shape == (8, 20)
    assert (bags.sum(axis=1) == 15).all()
    assert (bags == bags_of(20, 8, 0.75, 3, 0)).all()
    assert (bags[:4] == bags_of(20, 4, 0.75, 3, 0)).all()
    assert not (bags == bags_of(20, 8, 0.75, 3, 1)).all()
    assert not (bags == bags_of(20, 8, 0.75, 4, 0)).all()


def test_a_bag_of_a_small_table_holds_five() -> None:
    assert bags_of(6, 3, 0.1, 0, 0).sum(axis=1).tolist() == [5, 5, 5]
    assert bags_of(3, 2, 0.5, 0, 0).sum(axis=1).tolist() == [3, 3]


@given(st.integers(0, 10**6), st.sampled_from([None, 1, 3]))
@settings(max_examples=30, deadline=None)
def test_bagged_agreement_is_scipys(seed: int, levels: int | None) -> None:
    sums, accuracies = _random(seed, 5, 12, levels), _random(seed + 1, 1, 12, levels)[0]
    bags = bags_of(12, 3, 0.75, seed, 0)
    np.testing.assert_allclose(
        Bagged(accuracies, bags)(sums), _slow(sums, accuracies, bags), atol=1e-12
    )


def test_what_is_tied_agrees_with_nothing() -> None:
    bags = bags_of(8, 2, 0.75, 0, 0)
    sums = np.stack([np.ones(8), np.arange(8.0)])
    assert Bagged(np.arange(8.0), bags)(sums)[0].tolist() == [0.0, 0.0]
    assert Bagged(np.ones(8), bags)(sums).tolist() == [[0.0, 0.0]] * 2


def test_equal_sums_stay_equal_whatever_their_last_digit() -> None:
    bags = np.ones((1, 3), dtype=bool)
    accuracies = np.array([1.0, 2.0, 3.0])
    noisy = np.array([[0.1 + 0.2, 0.3, 1.0]])
    assert Bagged(accuracies, bags)(noisy) == pytest.approx(
        stats.spearmanr([0.3, 0.3, 1.0], accuracies).statistic
    )


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_linear_promise_is_the_correlation_of_the_sum_with_ranks(seed: int) -> None:
    values, bases = _random(seed, 6, 10), _random(seed + 1, 2, 10)
    accuracies = _random(seed + 2, 1, 10, 2)[0]
    if np.ptp(accuracies) == 0:
        return
    linear = Linear(values, accuracies)
    ranks = stats.rankdata(accuracies)
    for base, found in zip(bases, linear(bases), strict=True):
        expected = [np.corrcoef(base + row, ranks)[0, 1] for row in values]
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_linear_promise_of_a_constant_is_0() -> None:
    assert Linear(np.ones((1, 5)), np.arange(5.0))(np.zeros((1, 5))).tolist() == [[0.0]]


# --- which terms may enter


def test_invalid_constant_and_repeated_terms_do_not_enter() -> None:
    row = np.array([3.0, 1.0, 2.0, 5.0, 4.0])
    scores = np.stack([row, np.exp(row), -row, np.ones(5), row, row, row[::-1]])
    scores[4, 2] = np.nan
    scores[5, 1] = np.inf
    assert usable([Scored(scores, np.arange(5.0))]).tolist() == [0, 6]


def test_what_differs_on_one_table_is_no_repetition() -> None:
    first, second = _random(0, 2, 8), _random(1, 2, 10)
    second[1] = second[0]
    first[1] = -first[0]
    tables = [Scored(first, np.arange(8.0)), Scored(second, np.arange(10.0))]
    assert usable(tables).tolist() == [0, 1]
    assert usable(tables[:1]).tolist() == [0]


def test_a_term_invalid_on_one_table_is_out_and_constant_on_one_is_in() -> None:
    first, second = _random(0, 3, 8), _random(1, 3, 10)
    first[0] = 1.0
    second[1, 4] = np.nan
    tables = [Scored(first, np.arange(8.0)), Scored(second, np.arange(10.0))]
    assert usable(tables).tolist() == [0, 2]


# --- sums


def test_a_wide_beam_finds_the_best_of_all_pairs() -> None:
    """Against a loop over all pairs, each ranked by SciPy in each bag."""
    scores, accuracies = _signal(5, 14, 16)
    way = Settings(2, bags=3, beam=14, shortlist=400, near=0.0)
    found = Combiner([Scored(scores, accuracies)], way).sums()[-1]
    values = percentiles(scores)
    own = np.array([np.sign(stats.spearmanr(row, accuracies).statistic) for row in scores])
    bags = bags_of(16, 3, 0.75, 0, 0)
    best = max(
        _slow((own[[i, j]] @ values[[i, j]])[None], accuracies, bags).mean()
        for i, j in combinations(range(14), 2)
    )
    assert found.value == pytest.approx(best, abs=1e-12)
    again = np.array(found.signs) @ values[list(found.terms)]
    assert _slow(again[None], accuracies, bags)[0] == pytest.approx(found.bags)


def test_parts_of_the_truth_are_put_together_each_in_its_direction() -> None:
    scores, accuracies = _signal(1, n=60)
    scores[:9] *= np.where(np.arange(9) % 2, -7.0, 1.0)[:, None]
    sums = Combiner([Scored(scores, accuracies)], Settings(3)).sums()
    best = sums[-1]
    assert sorted(term // 3 for term in best.terms) == [0, 1, 2]
    for term, sign in zip(best.terms, best.signs, strict=True):
        assert sign == np.sign(stats.spearmanr(scores[term], accuracies).statistic)
    assert [len(one.terms) for one in sums] == [1, 2, 3]
    assert sums[0].value < sums[1].value < best.value


def test_a_term_that_adds_too_little_is_not_added() -> None:
    scores, accuracies = _signal(2, n=60)
    table = Scored(scores, accuracies)
    loose = Combiner([table], Settings(8, near=0.0)).sums()
    margin = loose[2].value - loose[1].value
    strict = Combiner([table], Settings(8, near=0.0, margin=margin)).sums()
    assert strict == loose[:2]
    assert Combiner([table], Settings(8, near=0.0, margin=margin - 1e-6)).sums()[:3] == loose[:3]


def test_a_term_that_is_the_accuracy_stays_alone() -> None:
    scores, accuracies = _signal(3)
    scores[17] = -np.exp(accuracies)
    sums = Combiner([Scored(scores, accuracies)], Settings(3)).sums()
    assert [(one.terms, one.signs, one.value) for one in sums] == [((17,), (-1.0,), 1.0)]


def test_twins_are_not_paired() -> None:
    accuracies = np.arange(60.0)
    row = accuracies + 5 * _random(4, 1, 60)[0]
    twin = row.copy()
    order = np.argsort(row)
    twin[order[[0, 1]]] = twin[order[[1, 0]]]
    table = Scored(np.stack([row, -twin]), accuracies)
    assert [len(one.terms) for one in Combiner([table], Settings(2, margin=-2.0)).sums()] == [1]
    apart = Settings(2, margin=-2.0, twins=1.0)
    assert [len(one.terms) for one in Combiner([table], apart).sums()] == [1, 2]


def test_nothing_usable_gives_no_sum() -> None:
    table = Scored(np.full((3, 6), np.nan), np.arange(6.0))
    combiner = Combiner([table])
    assert combiner.sums() == ()
    assert combiner.leaders(2) == ()
    assert Combiner([Scored(np.zeros((0, 6)), np.arange(6.0))]).sums() == ()


def test_tied_accuracies_agree_with_nothing() -> None:
    sums = Combiner([Scored(_random(0, 5, 8), np.ones(8))]).sums()
    assert [one.value for one in sums] == [0.0]


@pytest.mark.parametrize(("objective", "over"), [("mean", np.mean), ("min", np.min)])
def test_several_tables_count_alike_whatever_their_size_and_scale(
    objective: str, over: Callable[..., object]
) -> None:
    (first, truth), (second, other) = _signal(7, n=12), _signal(8, n=50)
    tables = [Scored(first, truth), Scored(1e6 * second, 1e-3 * other)]
    found = Combiner(tables, Settings(2, objective=objective)).sums()[-1]
    values = [
        np.array(found.signs) @ percentiles(table.scores)[list(found.terms)] for table in tables
    ]
    agreements = [
        _slow(v[None], table.accuracies, bags_of(v.size, 8, 0.75, 0, place))[0]
        for place, (v, table) in enumerate(zip(values, tables, strict=True))
    ]
    np.testing.assert_allclose(found.bags, over(agreements, axis=0), atol=1e-12)


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_sums_do_not_depend_on_monotone_changes_of_terms(seed: int) -> None:
    scores, accuracies = _signal(seed, 20, 20)
    way = Settings(3, beam=4, shortlist=16)
    plain = Combiner([Scored(scores, accuracies)], way).sums()
    bent = Combiner([Scored(np.sinh(scores), np.exp(accuracies))], way).sums()
    assert plain == bent


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_the_order_of_terms_changes_no_value(seed: int) -> None:
    scores, accuracies = _signal(seed, 15, 15)
    way = Settings(2, beam=15, shortlist=200, near=0.0)
    forth = Combiner([Scored(scores, accuracies)], way).sums()
    back = Combiner([Scored(scores[::-1], accuracies)], way).sums()
    assert [one.value for one in forth] == pytest.approx([one.value for one in back])


def test_equal_inputs_give_equal_sums_and_another_seed_other_bags() -> None:
    scores, accuracies = _signal(9)
    table = Scored(scores, accuracies)
    assert Combiner([table]).sums() == Combiner([table]).sums()
    assert Combiner([table]).sums()[-1].bags != Combiner([table], Settings(seed=1)).sums()[-1].bags


def test_a_wider_beam_is_no_worse_than_a_greedy_sum() -> None:
    greedy, wide = [], []
    for seed in range(8):
        table = Scored(*_signal(seed))
        greedy.append(Combiner([table], Settings(3, beam=1, near=0.0)).sums()[-1].value)
        wide.append(Combiner([table], Settings(3, beam=32, near=0.0)).sums()[-1].value)
    assert np.mean(greedy) <= np.mean(wide)


def test_the_medoid_is_one_of_the_leaders() -> None:
    scores, accuracies = _signal(12)
    combiner = Combiner([Scored(scores, accuracies)], Settings(2, near=0.02))
    leaders = combiner.leaders(2)
    bar = leaders[0].value - 0.02
    good = [one for one in leaders if one.value >= bar]
    assert len(good) > 1
    ranks = np.stack(
        [
            centred(stats.rankdata(np.array(g.signs) @ percentiles(scores)[list(g.terms)]))
            for g in good
        ]
    )
    assert combiner.sums()[-1] == good[int(np.argmax(ranks @ ranks.mean(axis=0)))]
    assert [one.value for one in leaders] == sorted((one.value for one in leaders), reverse=True)


# --- sums as formulas


def test_a_sum_is_written_as_a_formula_that_scores_alike() -> None:
    terms = [parse(text) for text in ("params", "flops", "layers")]
    expr = expression(Sum((2, 0, 1), (-1.0, 1.0, 1.0), 0.5, (0.5,)), terms)
    text = "percentile(params) + percentile(flops) - percentile(layers)"
    assert format_expression(expr) == text
    scores = _random(17, 3, 9)
    root = to_ir(expr)
    columns = {
        to_ir(term): Outcome(row, ("",) * 9) for term, row in zip(terms, scores, strict=True)
    }
    scored = combined(root, columns, {}, 9).scores
    np.testing.assert_allclose(scored, np.array([1.0, 1.0, -1.0]) @ percentiles(scores))
    alone = expression(Sum((0,), (-1.0,), 0.5, ()), terms)
    assert format_expression(alone) == "-percentile(params)"


# --- bad input, speed


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([], "at least one table"),
        ([(3, 6), (4, 6)], "the same terms"),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(
    tables: list[tuple[int, int]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Combiner([Scored(_random(0, *shape), np.arange(float(shape[1]))) for shape in tables])


def test_scores_that_do_not_fit_accuracies_are_refused() -> None:
    with pytest.raises(ValueError, match="scores for"):
        Scored(_random(0, 3, 6), np.arange(5.0))
    with pytest.raises(ValueError, match="not finite"):
        Scored(_random(0, 3, 5), np.array([1.0, 2.0, np.nan, 4.0, 5.0]))


@pytest.mark.parametrize(
    "wrong",
    [{"terms_max": 0}, {"bags": 0}, {"share": 0.0}, {"share": 1.5},
     {"objective": "max"}, {"shortlist": 0}, {"beam": 0}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Settings(**wrong)  # type: ignore[arg-type]


def test_two_thousand_terms_take_a_moment() -> None:
    scores, accuracies = _signal(16, 2000, 48)
    began = time.process_time()
    Combiner([Scored(scores, accuracies)]).sums()
    assert time.process_time() - began < 2.0


def test_centred_rows_have_length_1_or_are_0() -> None:
    rows = centred(np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]]))
    np.testing.assert_allclose((rows**2).sum(axis=1), [1.0, 0.0], atol=1e-12)
