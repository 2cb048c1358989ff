"""percentile and standardise: from a formula over several networks to a frozen reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import REFERENCE

from autodas_dsl import spaces
from autodas_dsl.compiler.interpret import Invalid, interpret
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.populated import (
    combined,
    freeze,
    frozen,
    open_terms,
    parts,
    references_of,
)
from autodas_dsl.data.batches import load_batch
from autodas_dsl.evaluation.rank import rank
from autodas_dsl.execution.jobs import InProcess
from autodas_dsl.language.documents import expression_proxy, parse_document
from autodas_dsl.language.errors import FormulaError, InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.parse import parse
from autodas_dsl.models.spaces import space_source
from autodas_dsl.printing.show import show
from autodas_dsl.scoring.score import score
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.scorer import Score, bind
from autodas_dsl.scoring.setting import usual_setting
from autodas_dsl.scoring.stored import collect_table
from autodas_dsl.scoring.table import Scoring, scores_of
from autodas_dsl.tables.read import load_table

SPACE = spaces.get("digits-resnet")
NAMES = [
    "depth=1-1-1,width=4-4-4", "depth=2-1-1,width=4-4-4", "depth=1-1-1,width=8-8-8",
    "depth=2-2-2,width=8-8-8",
]  # fmt: skip
MODELS = [space_source(SPACE, name) for name in NAMES]
FROZEN = """proxy/1 a

better: higher
inputs: flops, params

let size = log(params)
score = percentile(size) + standardise(flops)

reference: percentile(size) = 7, 8, 9
reference: standardise(flops) = 20000, 10000
"""


def values(text: str) -> np.ndarray:
    """Scores on the four networks, in their order."""
    return values_of(expression_proxy(text))


def values_of(proxy: object, models: list = MODELS) -> np.ndarray:
    found = {one.model: one.score for one in score(models, [proxy]).scores}
    return np.array([found[model.name] for model in models])


def node(text: str) -> Node:
    return to_ir(parse(text))


def by_hand(text: str, **columns: list[float]) -> list[float]:
    """A formula over statistics that are one number each, given for every network."""
    root = node(text)
    known = {
        node(name): Outcome(
            np.array(column), tuple("invalid" if np.isnan(v) else "" for v in column)
        )
        for name, column in columns.items()
    }
    networks = len(next(iter(columns.values())))
    return combined(root, known, {}, networks).scores.tolist()


# --- meaning


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=8))
@settings(deadline=None)
def test_both_operators_mean_what_the_reference_says(drawn: list[int]) -> None:
    x = np.array(drawn, dtype=np.float64)
    for name in ("percentile", "standardise"):
        expected = REFERENCE[name]([x], {}, [])
        np.testing.assert_allclose(
            by_hand(f"{name}(params)", params=x.tolist()), expected, atol=1e-12
        )


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=8))
@settings(deadline=None)
def test_both_increase_and_percentile_is_not_negative(drawn: list[int]) -> None:
    found = by_hand("percentile(params)", params=[float(v) for v in drawn])
    for x, place in zip(drawn, found, strict=True):
        assert 0 <= place <= 1
        assert all(place <= other for y, other in zip(drawn, found, strict=True) if x < y)
    moved = by_hand("standardise(params)", params=[float(v) for v in drawn])
    for x, place in zip(drawn, moved, strict=True):
        assert all(place < other for y, other in zip(drawn, moved, strict=True) if x < y)


def test_what_joins_them_works_on_numbers_of_every_network() -> None:
    found = by_hand(
        "log(2 * percentile(params)) - percentile(flops)^2", params=[1.0, 2.0], flops=[5.0, 5.0]
    )
    np.testing.assert_allclose(found, np.log([0.5, 1.5]) - 0.25)


def test_a_place_among_places() -> None:
    found = by_hand(
        "percentile(percentile(params) + flops)", params=[3.0, 1.0, 2.0], flops=[0.0, 9.0, 0.0]
    )
    np.testing.assert_allclose(found, [0.5, 5 / 6, 1 / 6])


def test_an_invalid_network_has_no_score_and_no_place_in_the_population() -> None:
    found = by_hand("percentile(params)", params=[1.0, np.nan, 2.0])
    assert np.isnan(found[1])
    assert [found[0], found[2]] == [0.25, 0.75]


def test_an_empty_population_says_so() -> None:
    part = node("params")
    found = combined(
        node("percentile(params) + 1"), {part: Outcome(np.full(2, np.nan), ("", ""))}, {}, 2
    )
    assert found.reasons == ("no network of the population has a value of `percentile`",) * 2


def test_all_equal_are_in_the_middle() -> None:
    assert by_hand("percentile(params)", params=[2.0, 2.0]) == [0.5, 0.5]
    assert by_hand("standardise(params)", params=[2.0, 2.0]) == [0.0, 0.0]


def test_the_parts_of_a_formula_are_its_largest_numbers_about_one_network() -> None:
    root = node("percentile(params + flops) * params - 2 * (params + flops)")
    assert [repr(part) for part in parts(root)] == [
        repr(node(text)) for text in ("params + flops", "params", "2 * (params + flops)")
    ]
    assert len(open_terms(root, {})) == 1


def test_a_constant_formula_has_its_value_everywhere() -> None:
    assert values("percentile(2)").tolist() == [0.5] * 4


# --- scoring


def test_networks_scored_together_are_the_population() -> None:
    params = values("params")
    expected = REFERENCE["percentile"]([params], {}, [])
    np.testing.assert_allclose(values("percentile(log(params))"), expected)
    np.testing.assert_allclose(values("percentile(params) + params"), expected + params)


def test_one_network_without_a_population_is_told_what_to_do() -> None:
    with pytest.raises(InputError) as caught:
        score(MODELS[:1], [expression_proxy("percentile(params)")])
    assert caught.value.diagnostics[0].code == "E463"
    assert "reference:" in (caught.value.diagnostics[0].help or "")


def test_one_network_is_scored_against_a_frozen_population() -> None:
    proxy = parse_document(FROZEN, stem="a")
    params, flops = values("params"), values("flops")
    places = [sum(v < x for v in (7, 8, 9)) / 3 for x in np.log(params)]
    expected = np.array(places) + (flops - 20000) / 10000
    np.testing.assert_allclose(values_of(proxy), expected)
    np.testing.assert_allclose(values_of(proxy, MODELS[2:3]), expected[2:3])


def test_one_formula_against_two_populations_and_an_open_one(tmp_path: Path) -> None:
    text = "proxy/1 a\nscore = percentile(params)\n"
    low, high = (f"{text}reference: percentile(params) = {value}\n" for value in ("1, 2", "1e9"))
    proxies = [parse_document(one, stem="a") for one in (low, high, text)]
    table = load_table("digits-resnet").rows(range(6))
    with ScoreBook(tmp_path / "scores.db") as book:
        for _ in range(2):
            found = rank(table, SPACE, proxies, book=book).scores
            assert found["a"].tolist() == [1.0] * 6
            assert found["a (2)"].tolist() == [0.0] * 6
            assert len(set(found["a (3)"])) > 1
        batch = load_batch("noise", size=2, input_shape=SPACE.input_shape, classes=SPACE.classes)
        with InProcess() as executor:
            for proxy, expected in zip(proxies[:2], (1.0, 0.0), strict=True):
                scoring = Scoring(SPACE, [bind(proxy)], usual_setting(SPACE), None, batch, 0)
                assert scores_of(NAMES[:1], scoring, executor, book) == [[Score(expected)]]


def test_a_formula_that_reads_a_teacher_which_is_not_there_is_listed() -> None:
    proxies = [expression_proxy("percentile(mean(P_t)) + params"), expression_proxy("params")]
    found = score(MODELS, proxies)
    assert list(found.unscored) == ["percentile(mean(P_t)) + params"]
    assert all(one.valid for one in found.scores if one.proxy == "params")
    with pytest.raises(InputError) as caught:
        score(MODELS, proxies[:1])
    assert caught.value.diagnostics[0].code == "E444"


def test_rank_takes_the_table_as_the_population() -> None:
    table = load_table("digits-resnet").rows(range(6))
    found = rank(table, SPACE, [expression_proxy("percentile(params) + percentile(flops)")])
    name = "percentile(params) + percentile(flops)"
    params, flops = found.scores["params"], found.scores["flops"]
    expected = REFERENCE["percentile"]([params], {}, []) + REFERENCE["percentile"]([flops], {}, [])
    np.testing.assert_allclose(found.scores[name], expected)


def test_a_search_refuses_such_a_formula_with_a_reason() -> None:
    stored = collect_table(NAMES[:2], SPACE, [Statistic("params")], usual_setting(SPACE))
    plain, placed = stored.evaluator([0, 1])([node("params"), node("percentile(params)")])
    assert plain.valid.all()
    assert not placed.valid.any()
    assert placed.reasons[0].startswith("it sees a network against others")


def test_the_interpreter_of_one_network_refuses_it() -> None:
    stored = collect_table(NAMES[:1], SPACE, [Statistic("params")], usual_setting(SPACE))
    with pytest.raises(Invalid, match="needs other networks"):
        interpret(node("percentile(params)"), stored.collected[0])


# --- documents


def test_references_belong_to_the_terms_also_through_lets() -> None:
    found = references_of(parse_document(FROZEN, stem="a"))
    assert found == {
        node("percentile(log(params))"): (7.0, 8.0, 9.0),
        node("standardise(flops)"): (20000.0, 10000.0),
    }


def test_the_canonical_text_is_stable_and_in_the_order_of_the_formula() -> None:
    proxy = parse_document(FROZEN, stem="a")
    proxy.typed()
    assert str(proxy) == FROZEN
    lines = FROZEN.splitlines()
    mixed = "\n".join([*lines[:-2], lines[-1], "reference:percentile( size )=7,", "  8.0, 9e0"])
    assert str(parse_document(mixed, stem="a")) == FROZEN


def test_a_reference_that_fits_no_term_is_a_mistake_wherever_it_is_checked() -> None:
    proxy = parse_document(FROZEN.replace("+ standardise(flops)", "+ flops"), stem="a")
    with pytest.raises(FormulaError) as caught:
        proxy.typed()
    assert [d.code for d in caught.value.diagnostics] == ["E324"]


@pytest.mark.parametrize("number", ["nan", "inf", "1e999"])
def test_numbers_of_a_reference_are_finite(number: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_document(FROZEN.replace("7, 8, 9", f"7, 8, {number}"), stem="a")
    assert caught.value.diagnostics[0].code == "E323"


def test_what_is_frozen_of_a_population() -> None:
    few = np.array([3.0, np.nan, 1.0, 2.0])
    assert frozen(few, "percentile") == (1.0, 2.0, 3.0)
    assert frozen(few, "standardise") == pytest.approx((2.0, np.sqrt(2 / 3)))
    many = frozen(np.arange(1000.0), "percentile")
    assert len(many) == 101
    assert list(many) == sorted(many)
    with pytest.raises(ValueError, match="empty"):
        frozen(np.array([np.nan]), "percentile")


def test_a_frozen_population_gives_the_places_that_the_open_one_gave(tmp_path: Path) -> None:
    params = values("params")
    line = ", ".join(map(repr, frozen(params, "percentile")))
    text = f"proxy/1 a\nscore = percentile(params)\nreference: percentile(params) = {line}\n"
    np.testing.assert_allclose(
        values_of(parse_document(text, stem="a")), values("percentile(params)")
    )


def test_freezing_a_document_gives_references_that_fit() -> None:
    text = "proxy/1 a\nlet p = percentile(params)\nscore = standardise(p + flops) - 2 * p\n"
    proxy = parse_document(text, stem="a")
    known = {node(name): values(name) for name in ("params", "flops")}
    closed = freeze(proxy, known)
    closed.typed()
    assert [one.term for one in closed.references] == [
        "percentile(params)",
        "standardise(p + flops)",
    ]
    np.testing.assert_allclose(values_of(parse_document(str(closed))), values_of(proxy))
    with pytest.raises(ValueError, match="empty"):
        freeze(proxy, {part: np.full(2, np.nan) for part in known})


# --- printing


def test_how_they_are_shown() -> None:
    proxy = expression_proxy("percentile(params) + standardise(flops)")
    latex = show(proxy, "latex")
    assert r"\operatorname{pct}\!\left(" in latex
    assert r"\operatorname{z}\!\left(" in latex
    assert "percentile" in show(proxy, "unicode")
