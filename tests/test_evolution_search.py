"""Fitness, strategies, duplicates, stopping: on made-up scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evolution_tables import FEW, Fake, accuracies, fake_task
from fake_networks import networks
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.evaluator import FitnessEvaluator
from autodas_dsl.evolution.finished import Run
from autodas_dsl.evolution.fitness import (
    CONSTANT,
    Fitness,
    Kendall,
    Objective,
    likeness,
    shuffled,
)
from autodas_dsl.evolution.individual import Individual
from autodas_dsl.evolution.interrupt import Interrupt, Stopped
from autodas_dsl.evolution.null import null_level
from autodas_dsl.evolution.run import evolve, statistics_needed
from autodas_dsl.evolution.strategies.base import distinct, unlike
from autodas_dsl.evolution.strategies.nsga2 import fronts
from autodas_dsl.evolution.task import Networks, Task
from autodas_dsl.evolution.watch import Progress, Watch
from autodas_dsl.language.documents import parse_document
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.infer import never
from autodas_dsl.language.parse import parse
from autodas_dsl.language.proxy import format_document
from autodas_dsl.language.searchers import STRATEGIES

SHORT = replace(FEW, iterations=15, population=10)
TRUTH = np.arange(12.0)


def outcome(scores: object) -> Outcome:
    values = np.asarray(scores, dtype=np.float64)
    return Outcome(values, tuple("`log` gave NaN" if np.isnan(v) else "" for v in values))


def written(run: Run) -> list[str]:
    return [entry.formula for entry in run.entries]


# --- fitness ----------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=30))
def test_kendall_is_tau_b(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=np.float64).T
    expected = stats.kendalltau(x, y).statistic
    if not np.isnan(expected):
        assert Kendall(y)(x.astype(np.int64)) == pytest.approx(expected)


def test_a_falling_score_counts_and_is_oriented() -> None:
    found = Objective([TRUTH])([outcome(-TRUTH)])
    assert isinstance(found, Fitness)
    assert (found.tau, found.sign) == (1.0, -1)


def test_formulas_that_rank_alike_or_in_reverse_share_their_ranks() -> None:
    judge = Objective([TRUTH])
    scores = np.array([3, 1, 2, 2, 5, 4, 9, 8, 7, 6, 0, 10.0])
    found = [judge([outcome(s)]) for s in (scores, np.exp(scores), -scores, scores[::-1])]
    ranks = [f.ranks for f in found if isinstance(f, Fitness)]
    assert ranks[0] == ranks[1] == ranks[2] != ranks[3]


def test_likeness_is_the_correlation_of_ranks_meant_over_tables() -> None:
    generator = np.random.default_rng(1)
    tables = [TRUTH, generator.random(30)]
    own, others = generator.random((2, 42)), generator.random((5, 2, 42))
    judge = Objective(tables)

    def ranks(scores: np.ndarray) -> bytes:
        found = judge([outcome(scores[0][:12]), outcome(scores[1][:30])])
        assert isinstance(found, Fitness)
        return found.ranks

    expected = [
        abs(np.mean([stats.spearmanr(own[t][:n], other[t][:n])[0] for t, n in enumerate((12, 30))]))
        for other in others
    ]
    assert likeness(ranks(own), [ranks(other) for other in others]) == pytest.approx(expected)
    assert likeness(ranks(own), [ranks(-own)]) == pytest.approx([1.0])


def test_constant_scores_are_rejected() -> None:
    assert Objective([TRUTH])([outcome(np.ones(12))]) == CONSTANT


def test_a_score_that_is_not_finite_is_rejected_with_its_reason() -> None:
    scores = TRUTH.copy()
    scores[3] = np.nan
    assert Objective([TRUTH])([outcome(scores)]) == "`log` gave NaN"


def test_several_tables_share_one_orientation() -> None:
    up, half = outcome(TRUTH), outcome(-TRUTH)
    tables = [TRUTH, TRUTH]
    mean = Objective(tables, "mean")([up, half])
    low = Objective(tables, "min")([up, half])
    assert isinstance(mean, Fitness)
    assert isinstance(low, Fitness)
    assert (mean.tau, low.tau) == (0.0, -1.0)


def test_folds_take_off_what_hangs_on_few_architectures() -> None:
    n = 40
    truth = np.arange(float(n))
    steady = truth + 12 * np.sin(truth * 1.7)
    plain = Objective([truth])([outcome(steady)])
    folded = Objective([truth], folds=5)([outcome(steady)])
    perfect = Objective([truth], folds=5)([outcome(truth)])
    assert isinstance(plain, Fitness)
    assert isinstance(folded, Fitness)
    assert isinstance(perfect, Fitness)
    assert plain.value == plain.tau == folded.tau > folded.value > 0.5
    assert perfect.value == 1.0


def test_shuffling_keeps_the_accuracies_and_is_seeded() -> None:
    one = shuffled(TRUTH, 0, 0)
    assert sorted(one) == sorted(TRUTH)
    assert (one == shuffled(TRUTH, 0, 0)).all()
    assert (one != shuffled(TRUTH, 1, 0)).any()
    assert (one != shuffled(TRUTH, 0, 1)).any()


# --- the evaluator ----------------------------------------------------------------------------


def test_known_formulas_are_not_evaluated_again() -> None:
    fake = Fake()
    evaluator = FitnessEvaluator([fake_task(evaluator=fake)], SHORT, None)
    same = ["sum(|W|_F) + params", "params + sum(|W|_F)", "params + sum(|abs(W)|_F)"]
    found = evaluator.evaluate([parse(text) for text in same])
    assert found[0] is found[1] is found[2]
    assert len(fake.seen) == 1
    assert (evaluator.counts.evaluations, evaluator.counts.same_formula) == (1, 2)
    assert evaluator.evaluate([parse(same[1])]) == [found[0]]
    assert len(fake.seen) == 1


def test_rank_duplicates_and_rejections_are_counted() -> None:
    evaluator = FitnessEvaluator([fake_task()], SHORT, None)
    found = evaluator.evaluate(
        [parse(text) for text in ("sqrt(params)", "sqrt(flops)", "params", "params^1")]
    )
    assert [i.valid for i in found] == [False, False, True, True]
    assert evaluator.counts.rejected == (("`sqrt` gave NaN", 2),)
    twin = FitnessEvaluator(
        [fake_task(evaluator=lambda nodes: [outcome(accuracies())] * len(nodes))], SHORT, None
    )
    twin.evaluate([parse("params"), parse("flops")])
    assert twin.counts.same_ranks == 1


def test_a_winner_that_falls_gets_a_leading_minus() -> None:
    down = Networks(lambda nodes: [outcome(-accuracies())] * len(nodes), accuracies())
    evaluator = FitnessEvaluator([Task("down", "kd", down)], SHORT, None)
    (found,) = evaluator.evaluate([parse("params")])
    assert found.tau == 1.0
    assert format_expression(found.formula) == "-params"
    assert found.complexity == 2


def test_the_screen_spares_the_selection() -> None:
    fake = Fake()
    task = fake_task(evaluator=fake, screen=True)
    evaluator = FitnessEvaluator([task], replace(SHORT, margin=0.0), None)
    found = evaluator.evaluate(
        [parse(text) for text in ("params", "flops", "layers")], threshold=2.0
    )
    assert not any(i.valid for i in found)
    assert fake.seen == []
    assert evaluator.counts.screened == 3
    assert evaluator.evaluate([parse("sum(|W|_F)")])[0].valid


def test_a_formula_that_contains_one_without_a_value_is_rejected_without_work() -> None:
    engine, seen = Engine(networks()), []

    def evaluate(nodes: Sequence[Node]) -> list[Outcome]:
        seen.extend(nodes)
        return engine.evaluate(nodes)

    evaluator = FitnessEvaluator(
        [Task("six", "kd", Networks(evaluate, np.arange(6.0)))], SHORT, None
    )
    (alone,) = evaluator.evaluate([parse("sum(mean(sqrt(W - 100)))")])
    before = len(seen)
    (around,) = evaluator.evaluate([parse("max(sum(mean(sqrt(W - 100))), 1) + params")])
    assert (alone.valid, around.valid) == (False, False)
    assert around.reason == alone.reason
    assert "`sqrt` gave nan" in alone.reason
    assert len(seen) == before
    assert evaluator.evaluate([parse("params + sum(|W|_F)")])[0].valid


def test_a_formula_may_mend_the_infinity_of_one_that_it_contains() -> None:
    engine = Engine(networks())
    evaluator = FitnessEvaluator(
        [Task("six", "kd", Networks(engine.evaluate, np.arange(6.0)))], SHORT, None
    )
    (alone,) = evaluator.evaluate([parse("log(params - params)")])
    (around,) = evaluator.evaluate([parse("exp(log(params - params)) + sum(|W|_F)")])
    assert (alone.valid, around.valid) == (False, True)


# --- strategies -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_runs_and_is_determined_by_its_seed(name: str) -> None:
    config = replace(SHORT, strategy=name)
    first, again = (evolve(config, [fake_task()], baselines=()) for _ in range(2))
    other = evolve(replace(config, seed=1), [fake_task()], baselines=())
    assert written(first) == written(again)
    assert first.steps == again.steps
    assert first.counts == again.counts
    assert written(first) != written(other)
    assert first.steps[-1].tau >= first.steps[0].tau
    assert len(first.steps) == SHORT.iterations + 1


def test_strategies_beat_random_search_at_equal_proposals() -> None:
    def mean_tau(strategy: str) -> float:
        config = Config(iterations=40, population=20, strategy=strategy)
        found = [
            evolve(replace(config, seed=seed), [fake_task()], baselines=()) for seed in range(3)
        ]
        return float(np.mean([run.champion.individual.tau for run in found]))

    assert min(mean_tau("adaptive-elite"), mean_tau("nsga2")) > mean_tau("random")


def individual(complexity: int, tau: float, number: int = 0, ranks: bytes = b"") -> Individual:
    return Individual(parse("params"), "", complexity, number, tau, tau, 1, (tau,), ranks)


def test_distinct_keeps_the_best_of_those_that_rank_alike() -> None:
    members = [
        individual(5, 0.5, 0, b"a"),
        individual(3, 0.6, 1, b"a"),
        individual(2, 0.1, 2, b"b"),
    ]
    assert distinct(members) == [members[1], members[2]]


def test_unlike_keeps_the_best_of_those_that_rank_nearly_alike() -> None:
    order = np.arange(40.0)
    swapped, mixed = order.copy(), np.roll(order, 20)
    swapped[:2] = order[1::-1]
    judge = Objective([order])
    found = [judge([outcome(scores)]) for scores in (swapped, order, mixed)]
    members = [
        individual(3, one.tau, number, one.ranks)
        for number, one in enumerate(found)
        if isinstance(one, Fitness)
    ]
    assert distinct(members) == [members[1], members[0], members[2]]
    assert unlike(members) == [members[1], members[2]]


def test_fronts_are_peeled() -> None:
    a, b, c, d = (individual(*v) for v in ((2, 0.5), (4, 0.7), (4, 0.6), (6, 0.65)))
    assert fronts([d, c, b, a]) == [[a, b], [c, d]]


# --- whole runs -------------------------------------------------------------------------------


def test_a_run_finds_more_than_nothing_and_says_what_nothing_is() -> None:
    found = evolve(Config(seed=3), [fake_task()])
    null = evolve(Config(seed=3, null=True), [fake_task()])
    assert found.champion.individual.tau > 0.6
    assert null.champion.individual.tau < found.champion.individual.tau
    assert null.champion.held_out == ()
    assert "shuffled" in null.best.about
    assert found.champion.held_out[0].agreement.n == 40


def test_the_hall_of_fame_holds_one_formula_per_complexity() -> None:
    run = evolve(SHORT, [fake_task()])
    sizes = [entry.individual.complexity for entry in run.entries]
    assert sizes == sorted(set(sizes))
    for entry in run.entries:
        assert parse(entry.formula) == entry.individual.formula
    taus = [next(e for e in run.entries if f"complexity_{e.individual.complexity}" == p.name)
            .individual.tau for p in run.pareto]  # fmt: skip
    assert taus == sorted(taus)
    assert len(run.hall_of_fame) == len(run.entries)
    assert {"complexity", "tau", "selection_kendall", "held_out_spearman", "formula"} <= set(
        run.entries[0].row()
    )


def test_the_best_is_a_document_that_says_what_was_measured() -> None:
    run = evolve(SHORT, [fake_task()])
    text = format_document(run.best)
    assert format_document(parse_document(text)) == text
    (line,) = run.best.measured
    for part in ("fake", "target=kd", "split=half", "half=held-out", "n=40", "kendall=",
                 "spearman=", "interval=", "params="):  # fmt: skip
        assert part in line
    assert set(run.baselines) == {"params", "flops"}


def test_measured_correlations_are_those_of_the_written_formula() -> None:
    run = evolve(SHORT, [fake_task()])
    chosen = run.champion.selection[0].agreement
    assert chosen.kendall == pytest.approx(run.champion.individual.tau)


def test_several_tables() -> None:
    tasks = [fake_task("one"), fake_task("two", Fake(start=3))]
    run = evolve(replace(SHORT, objective="min"), tasks)
    assert run.champion.individual.tau == min(run.champion.individual.taus)
    assert [one.task for one in run.champion.held_out] == ["one", "two"]
    assert len(run.best.measured) == 2
    assert "selection_one_kendall" in run.entries[0].row()


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("evaluations", {"max_evaluations": 15}),
        ("patience", {"patience": 2}),
        ("target", {"stop_at": 0.05}),
        ("iterations", {}),
    ],
)
def test_reasons_to_stop(reason: str, changes: dict[str, float]) -> None:
    run = evolve(replace(SHORT, **changes), [fake_task()], baselines=())  # type: ignore[arg-type]
    assert run.stopped == reason
    assert reason == "iterations" or len(run.steps) <= SHORT.iterations


def test_time_stops_between_generations() -> None:
    run = evolve(replace(SHORT, max_time=0.0), [fake_task()], baselines=())
    assert run.stopped == "time"
    assert len(run.steps) == 1


def test_the_watcher_is_told_every_generation() -> None:
    seen: list[Progress] = []
    run = evolve(SHORT, [fake_task()], watch=Watch(seen.append), baselines=())
    assert [p.generation for p in seen] == list(range(SHORT.iterations + 1))
    assert seen[-1].counts == run.counts
    assert seen[-1].best is run.champion.individual


def test_seeds_start_the_search() -> None:
    config = replace(SHORT, seeds=("snip", "rho_cnn_s0", "params + 1"), iterations=0, population=3,
                     elite=2, max_complexity=30)  # fmt: skip
    run = evolve(config, [fake_task()], lambda requirement: True)
    assert run.counts.evaluations == 3
    assert {s.base for s in statistics_needed(config)} >= {"params", "flops", "E_t", "grad W"}


def test_parsimony_prefers_the_simple() -> None:
    sizes = [
        evolve(Config(seed=2, iterations=40, parsimony=p), [fake_task()], baselines=())
        .champion.individual.complexity
        for p in (0.0, 0.2)
    ]  # fmt: skip
    assert sizes[1] <= 3
    assert sizes[1] <= sizes[0]


# --- wrong input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("E630", {"strategy": "adaptive"}),
        ("E630", {"objective": "max"}),
        ("E630", {"terms": "none"}),
        ("E631", {"population": 1}),
        ("E631", {"tournament": 1.5}),
        ("E631", {"folds": 1}),
        ("E632", {"elite": 50}),
    ],
)
def test_wrong_options(code: str, options: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        Config(**options)  # type: ignore[arg-type]
    assert caught.value.diagnostics[0].code == code


def nothing(nodes: list[Node]) -> list[Outcome]:
    return [outcome(np.full(40, np.nan)) for _ in nodes]


@pytest.mark.parametrize(
    ("code", "start"),
    [
        ("E600", lambda: evolve(SHORT, [])),
        ("E600", lambda: evolve(SHORT, [fake_task(), fake_task()])),
        ("E607", lambda: evolve(SHORT, [fake_task(evaluator=nothing)])),
        ("E608", lambda: evolve(replace(SHORT, seeds=("rho_cnn",)), [fake_task()])),
        ("E301", lambda: evolve(replace(SHORT, seeds=("snipp.proxy",)), [fake_task()])),
        ("E625", lambda: Task("few", "kd", Networks(Fake(3), accuracies(3)))),
        ("E626", lambda: Task("nan", "kd", Networks(Fake(), np.full(40, np.nan)))),
        ("E627", lambda: Task("flat", "kd", Networks(Fake(), np.ones(40)))),
    ],
)
def test_wrong_searches(code: str, start: object) -> None:
    with pytest.raises(InputError) as caught:
        start()  # type: ignore[operator]
    assert caught.value.diagnostics[0].code == code


# --- the null level ---------------------------------------------------------------------------


def test_the_null_level_is_below_what_the_search_finds_and_reuses_its_facts() -> None:
    config = replace(SHORT, strategy="random", inputs=("W", "grad W", "A", "F_s", "F_t"))
    run = evolve(config, [fake_task()], baselines=())
    spared, alone = Fake(), Fake()
    with_facts = null_level(
        config, [fake_task(evaluator=spared)], never, repeats=2, known=run.facts
    )
    without = null_level(config, [fake_task(evaluator=alone)], never, repeats=2)
    assert with_facts == without
    assert len(set(without.taus)) == 2
    assert 0 < without.mean <= without.highest < run.champion.individual.tau
    assert spared.seen == []
    assert len(alone.seen) == run.counts.evaluations


def test_null_searches_are_counted_and_stop_when_asked() -> None:
    told: list[object] = []

    class Counting(Watch):
        def phase(self, label: str, total: int | None = None) -> None:
            told.append((label, total))

        def reached(self, done: int) -> None:
            told.append(done)

    config = replace(SHORT, patience=1)
    null_level(config, [fake_task()], never, repeats=2, watch=Counting())
    each = config.iterations + 1
    label, *steps = told
    assert label == ("null searches", 2 * each)
    assert steps == sorted(steps)
    assert {each, 2 * each} <= set(steps), "also a repeat that ends early is a whole one"
    interrupt = Interrupt()
    interrupt.asked = True
    with pytest.raises(Stopped):
        null_level(config, [fake_task()], never, repeats=2, interrupt=interrupt)


def test_the_null_level_is_kept_for_the_same_search_only(tmp_path: Path) -> None:
    fake = Fake()
    task = fake_task(evaluator=fake)
    first = null_level(SHORT, [task], never, repeats=1, cache=tmp_path / "a")
    asked = len(fake.seen)
    assert null_level(SHORT, [task], never, repeats=1, cache=tmp_path / "a") == first
    assert len(fake.seen) == asked
    null_level(replace(SHORT, seed=9), [task], never, repeats=1, cache=tmp_path / "a")
    assert len(fake.seen) > asked
    for kept in (tmp_path / "a").iterdir():
        kept.write_text("{")
    assert null_level(SHORT, [task], never, repeats=1, cache=tmp_path / "a") == first


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert null_level(SHORT, [fake_task()], never, repeats=1, cache=tmp_path / "file").taus


# --- what is held out never chooses -------------------------------------------------------------


def test_held_out_architectures_are_looked_at_once_when_the_search_is_over() -> None:
    selection, report = Fake(), Fake(start=40)
    asked: list[int] = []

    def late(nodes: list[Node]) -> list[Outcome]:
        asked.append(len(selection.seen))
        return report(nodes)

    task = Task("t", "kd", Networks(selection, accuracies()), Networks(late, accuracies(start=40)))
    generations: list[int] = []
    run = evolve(SHORT, [task], baselines=(), watch=Watch(lambda p: generations.append(len(asked))))
    assert set(generations) == {0}
    assert asked
    assert run.champion.held_out


def test_poisoned_held_out_accuracies_change_nothing_but_the_report() -> None:
    clean, poisoned = (fake_task(), fake_task())
    assert poisoned.report is not None
    worse = replace(poisoned.report, accuracies=-poisoned.report.accuracies)
    runs = [evolve(SHORT, [t]) for t in (clean, replace(poisoned, report=worse))]
    assert written(runs[0]) == written(runs[1])
    assert runs[0].best.score == runs[1].best.score
    one, other = (run.champion.held_out[0].agreement.kendall for run in runs)
    assert one is not None
    assert other == pytest.approx(-one)
