"""The sum that a search builds of the formulas it has looked at."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
from evolution_tables import ARCHITECTURES, Fake, accuracies, fake_task, values
from scipy import stats

from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.populated import MAX_REFERENCE
from autodas_dsl.evolution.best_sum import BestSum, best_sum, measure_sum, sum_outcome
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.evaluator import FitnessEvaluator
from autodas_dsl.evolution.finished import Run
from autodas_dsl.evolution.null import null_level
from autodas_dsl.evolution.run import evolve
from autodas_dsl.evolution.run_folder import RunFolder
from autodas_dsl.evolution.run_records import Null
from autodas_dsl.evolution.task import Networks, Task
from autodas_dsl.language.documents import parse_document
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.infer import never
from autodas_dsl.language.parse import parse
from autodas_dsl.language.proxy import format_document, format_formula
from autodas_dsl.report.page import report

SHORT = Config(iterations=6, population=8, seed=1)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A finished search, and its folder."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    return evolve(SHORT, [fake_task()], folder=folder), folder


@pytest.fixture
def run(kept: tuple[Run, Path]) -> Run:
    return kept[0]


@pytest.fixture
def folder(kept: tuple[Run, Path], tmp_path: Path) -> RunFolder:
    """A copy of it, to be damaged."""
    return RunFolder(shutil.copytree(kept[1], tmp_path / "run"))


class Given:
    """An evaluator that gives fixed scores to statistics."""

    def __init__(self, scores: dict[str, np.ndarray]) -> None:
        self.scores = scores

    def __call__(self, nodes: Sequence[Node]) -> list[Outcome]:
        found = [self.scores[str(node.statistic)] for node in nodes]
        return [
            Outcome(s, tuple("`log` gave NaN" if np.isnan(v) else "" for v in s)) for s in found
        ]


def given_task(
    scores: dict[str, np.ndarray], truth: np.ndarray, name: str = "given", held: int = 20
) -> Task:
    """The first architectures to select on, the last `held` of them to report on."""
    first = Given({key: row[:-held] for key, row in scores.items()})
    last = Given({key: row[-held:] for key, row in scores.items()})
    return Task(name, "kd", Networks(first, truth[:-held]), Networks(last, truth[-held:]))


def parts(seed: int = 0, n: int = 60) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Accuracies that are the sum of two numbers and lower where a third is higher."""
    rows = np.random.default_rng(seed).normal(size=(3, n))
    scores = dict(zip(("params", "flops", "layers"), rows, strict=True))
    return scores, rows[0] + rows[1] - rows[2]


def found_in(tasks: Sequence[Task], config: Config = SHORT) -> tuple[BestSum, FitnessEvaluator]:
    evaluator = FitnessEvaluator(tasks, config)
    evaluator.evaluate([parse(text) for text in ("params", "flops", "layers")])
    found = best_sum(evaluator, tasks, config)
    assert found is not None
    return measure_sum(found, evaluator, tasks), evaluator


def test_parts_of_the_truth_are_found_each_with_its_sign() -> None:
    scores, truth = parts()
    found, _ = found_in([given_task(scores, truth)])
    assert set(found.terms) == {parse(name) for name in scores}
    assert found.formula.endswith(" - percentile(layers)")
    assert found.complexity == 8
    assert found.selection[0].agreement.kendall == pytest.approx(found.tau)
    assert found.held_out[0].agreement.spearman > 0.9


def test_the_document_says_what_was_measured() -> None:
    """Held-out networks are placed among those of the selection, one at a time."""
    scores, truth = parts()
    found, _ = found_in([given_task(scores, truth)])
    again = parse_document(format_document(found.proxy))
    assert again == found.proxy
    total = np.zeros(20)
    for name, sign in (("params", 1), ("flops", 1), ("layers", -1)):
        known, new = scores[name][:40], scores[name][40:]
        total += sign * np.array([np.mean(known < x) + 0.5 * np.mean(known == x) for x in new])
    expected = stats.kendalltau(total.round(9), truth[40:]).statistic
    assert found.held_out[0].agreement.kendall == pytest.approx(expected, abs=0.02)
    outcome = sum_outcome(
        again, {to_ir(parse(n)): Outcome(scores[n][40:41], ("",)) for n in scores}
    )
    assert outcome.scores[0] == pytest.approx(total[0])


def test_several_tables_share_one_sum_and_are_populations_of_their_own() -> None:
    (scores, truth), (others, other) = parts(1), parts(2, 90)
    tasks = [
        given_task(scores, truth),
        given_task({k: 1e6 * row + 7e8 for k, row in others.items()}, 1e-3 * other, "other", 30),
    ]
    found, _ = found_in(tasks)
    assert found.proxy.references == ()
    assert [one.task for one in found.held_out] == ["given", "other"]
    assert min(one.agreement.spearman for one in found.held_out) > 0.9


def test_the_objective_is_that_of_the_search() -> None:
    (scores, truth), (others, other) = parts(3), parts(4)
    tasks = [given_task(scores, truth), given_task(others, other, "other")]
    for objective, combine in (("mean", np.mean), ("min", np.min)):
        found, _ = found_in(tasks, replace(SHORT, objective=objective))
        assert found.tau == pytest.approx(combine([o.agreement.kendall for o in found.selection]))


def test_a_held_out_network_without_a_term_has_no_sum() -> None:
    scores, truth = parts()
    scores["flops"][50] = np.nan
    found, _ = found_in([given_task(scores, truth)])
    assert found.held_out[0].agreement.invalid == 1


def test_large_selections_are_frozen_as_quantiles() -> None:
    scores, truth = parts(n=300)
    found, _ = found_in([given_task(scores, truth)])
    assert {len(one.values) for one in found.proxy.references} == {MAX_REFERENCE}
    assert found.tau > 0.85


def test_no_sum_where_all_formulas_rank_alike_or_one_is_the_truth() -> None:
    scores, truth = parts()
    for rows in (
        {
            "params": scores["params"],
            "flops": np.exp(scores["params"]),
            "layers": -scores["params"],
        },
        {**scores, "params": truth},
        {**scores, "params": np.ones(60), "flops": np.ones(60)},
        {name: np.ones(60) for name in scores},
        {name: np.full(60, np.nan) for name in scores},
    ):
        tasks = [given_task(rows, truth)]
        evaluator = FitnessEvaluator(tasks, SHORT)
        evaluator.evaluate([parse(text) for text in scores])
        assert best_sum(evaluator, tasks, SHORT) is None
    assert best_sum(FitnessEvaluator(tasks, SHORT), tasks, SHORT) is None


def test_of_formulas_that_rank_alike_the_fittest_is_a_term() -> None:
    scores, truth = parts()
    tasks = [given_task(scores, truth)]

    class Doubling(Given):
        def __call__(self, nodes: Sequence[Node]) -> list[Outcome]:
            return super().__call__([n if n.op == "stat" else n.args[0] for n in nodes])

    tasks = [
        replace(task, selection=Networks(Doubling(task.selection.evaluate.scores), task.selection.accuracies))
        for task in tasks
    ]  # fmt: skip
    evaluator = FitnessEvaluator(tasks, SHORT)
    texts = ["sqrt(params)", "params", "exp(flops)", "flops", "layers", "exp(layers)"]
    evaluator.evaluate([parse(text) for text in texts])
    found = best_sum(evaluator, tasks, SHORT)
    assert found is not None
    assert set(found.terms) == {parse(text) for text in ("params", "flops", "layers")}


# --- in a search ------------------------------------------------------------------------------


def test_a_search_finds_a_sum_and_keeps_it(run: Run, folder: RunFolder) -> None:
    assert run.sum is not None
    assert 2 <= len(run.sum.terms) <= 3
    assert run.sum.proxy.about == run.best.about
    assert run.sum.proxy.measured[0].startswith("fake target=kd split=half half=held-out n=40")
    saved = folder.read()
    assert saved.sum == run.sum.proxy
    assert saved.found.sum == run.found.sum
    kept, found = saved.found.measured["sum"], run.found.measured["sum"]
    assert [one.agreement.kendall for one in kept] == [one.agreement.kendall for one in found]
    known = {to_ir(t): Outcome(values(to_ir(t), 80)[40:], ("",) * 40) for t in run.sum.terms}
    scores = sum_outcome(run.sum.proxy, known).scores
    kendall = stats.kendalltau(scores, accuracies(start=ARCHITECTURES)).statistic
    assert run.sum.held_out[0].agreement.kendall == pytest.approx(kendall)


def test_no_sums_on_request(tmp_path: Path) -> None:
    config = replace(SHORT, terms_max=1)
    run = evolve(config, [fake_task()], folder=tmp_path)
    assert run.sum is None
    assert not RunFolder(tmp_path).sum.exists()
    assert RunFolder(tmp_path).read().sum is None
    assert null_level(config, [fake_task()], never, repeats=1).sums == ()


def test_more_terms_on_request() -> None:
    run = evolve(replace(SHORT, terms_max=8, seed=2), [fake_task()])
    assert run.sum is not None
    assert len(run.sum.terms) > 3


def test_a_sum_of_an_earlier_state_is_removed(run: Run, folder: RunFolder) -> None:
    described = json.loads(folder.run.read_text())["run"]
    folder.save(described, replace(run, sum=None))
    assert not folder.sum.exists()
    assert folder.read().sum is None


def test_searches_on_shuffled_accuracies_build_sums_too(tmp_path: Path) -> None:
    found = null_level(SHORT, [fake_task()], never, repeats=2, cache=tmp_path)
    assert found.of_sums is not None
    assert found.of_sums.mean > found.mean
    assert null_level(SHORT, [fake_task()], never, repeats=2, cache=tmp_path) == found
    run = evolve(replace(SHORT, null=True), [fake_task()])
    assert run.sum is not None
    assert run.sum.held_out == ()


def test_folds_objective_and_tables_go_together() -> None:
    config = replace(SHORT, folds=4, objective="min")
    run = evolve(config, [fake_task("one"), fake_task("two", Fake(start=3))])
    assert run.sum is not None
    assert run.sum.tau == pytest.approx(min(o.agreement.kendall for o in run.sum.selection))


@pytest.mark.parametrize("terms", [0, 17, -1])
def test_a_number_of_terms_out_of_range(terms: int) -> None:
    with pytest.raises(InputError, match=r"E631.*terms-max must be from 1 to 16"):
        Config(terms_max=terms)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ([], "`sum` is not what it should be"),
        ({}, "`selection` is missing"),
        ({"formula": 1}, "`formula` is not what it should be"),
        ({"tau": "high"}, "`tau` is not what it should be"),
        ({"tau": 1e300}, "`tau` is not what it should be"),
        ({"complexity": 2.5}, "`complexity` is not what it should be"),
        ({"selection": {}}, "`selection` is not what it should be"),
        ({"held_out": [1]}, "`task` is missing"),
    ],
)
def test_a_sum_that_is_none_is_refused(folder: RunFolder, change: object, said: str) -> None:
    data = json.loads(folder.run.read_text())
    if isinstance(change, dict) and change:
        change = data["outcome"]["sum"] | change
    data["outcome"]["sum"] = change
    folder.run.write_text(json.dumps(data))
    with pytest.raises(InputError, match="E642") as caught:
        folder.read()
    assert said in str(caught.value)


def test_a_sum_without_its_document_is_refused_and_older_runs_have_none(folder: RunFolder) -> None:
    text = folder.sum.read_text()
    folder.sum.write_text(text.replace("percentile", "percentil", 1))
    with pytest.raises(InputError, match="E202"):
        report(folder.read())
    folder.sum.unlink()
    with pytest.raises(InputError, match="E301"):
        folder.read()
    data = json.loads(folder.run.read_text())
    del data["outcome"]["sum"]
    folder.run.write_text(json.dumps(data))
    assert folder.read().sum is None
    assert "Best sum" not in report(folder.read())


@pytest.mark.parametrize(
    "text",
    ['{"taus": [], "sums": []}', '{"taus": [0.1], "sums": [0.1, 0.2]}', '{"taus": [0.1], "sums": 1}',
     '{"taus": [0.1], "sums": ["x"]}', '{"taus": [0.1], "sums": [true]}', '{"sums": [0.1]}', "[]"],
)  # fmt: skip
def test_null_levels_that_are_none_are_refused(folder: RunFolder, text: str) -> None:
    (folder.path / "null.json").write_text('{"taus": [0.1]}')
    null = folder.read().null
    assert null is not None
    assert null.of_sums is None
    (folder.path / "null.json").write_text(text)
    with pytest.raises(InputError, match="E642"):
        folder.read()


def test_the_report_shows_the_sum_beside_the_best_formula(run: Run, folder: RunFolder) -> None:
    assert run.sum is not None
    folder.save_null(Null((0.25, 0.5), (0.375, 0.625)))
    page = report(folder.read())
    assert "Best sum" in page
    assert escape(format_formula(run.sum.proxy), quote=False) in page
    assert page.count('class="formula"') == 2
    assert "where sums reach 0.500 on shuffled accuracies (highest 0.625)" in page
    found = run.sum.held_out[0].agreement
    assert f"{found.kendall:.3f}" in page
