from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_formulas import random_formula

from autodas_dsl.language.documents import expression_proxy, parse_document
from autodas_dsl.language.errors import FormulaError, InputError
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.laws import Law, real_laws
from autodas_dsl.language.library import library_names, library_proxy, typed
from autodas_dsl.language.parse import parse
from autodas_dsl.language.proxy import Proxy, format_document, format_formula
from autodas_dsl.language.tree import Expr, complexity
from autodas_dsl.simplify.laws import fill, folded, is_nonnegative, match
from autodas_dsl.simplify.proof import Proof
from autodas_dsl.simplify.proposals import SympyStopped, ask_sympy, limit_memory, propose
from autodas_dsl.simplify.simplify import (
    NOTE,
    Budget,
    Judges,
    Simplified,
    explain,
    measure,
    simplify,
)

DATA = Path(__file__).parent / "data"
PROOF = Proof()
JUDGES = Judges(PROOF.unequal, None, PROOF.reordered)


def silent(expr: Expr) -> list[tuple[str, Expr]]:
    """In the place of sympy, where a test is about laws."""
    return []


def simplified(text: str, **options: object) -> Simplified:
    options.setdefault("ask", silent)
    return simplify(expression_proxy(text), JUDGES, **options)  # type: ignore[arg-type]


def pairs(name: str) -> list[tuple[str, str]]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    rows = [line.split("  =>  ") for line in lines if line and not line.startswith("#")]
    return [(raw.strip(), expected.strip()) for raw, expected in rows]


@pytest.mark.parametrize(("raw", "expected"), pairs("simplify.pairs"))
def test_laws_make_formulas_smaller(raw: str, expected: str) -> None:
    assert format_formula(simplified(raw).proxy) == expected


@pytest.mark.parametrize("raw", [raw for raw, _ in pairs("simplify_not.pairs")])
def test_what_is_not_true_for_floats_stays(raw: str) -> None:
    result = simplified(raw)
    assert format_formula(result.proxy) == format_expression(parse(raw))
    assert result.reason


def test_the_reasons_in_the_fixture_are_given() -> None:
    assert all(reason for _, reason in pairs("simplify_not.pairs"))


@pytest.mark.parametrize(("raw", "expected"), pairs("simplify_rank.pairs"))
def test_ranking_drops_what_cannot_change_it(raw: str, expected: str) -> None:
    result = simplified(raw, rank=True)
    assert format_formula(result.proxy) == expected
    changed = format_expression(parse(raw)) != expected
    assert result.ranking_only == changed
    assert (NOTE in dict(result.proxy.extra)) == changed


def test_a_document_that_only_ranks_alike_says_so_and_reads_back() -> None:
    result = simplified("log(params) * 2 - 1", rank=True).proxy
    text = format_document(result)
    assert (
        f"{NOTE}: same ranking, other values; dropped by x - c -> x; p * x -> x; log(x) -> x"
        in text
    )
    assert parse_document(text) == result


def test_without_rank_nothing_that_changes_values_is_dropped() -> None:
    assert format_formula(simplified("2 * params + 3").proxy) == "2 * params + 3"


def test_a_ranking_with_lower_is_better_is_kept() -> None:
    text = "proxy/1 a\n\nbetter: lower\n\nscore = exp(-sum(|W|_F)) * 3\n"
    result = simplify(parse_document(text), JUDGES, rank=True, ask=silent)
    assert format_formula(result.proxy) in ("-sum(|W|_F)", "exp(-sum(|W|_F))")


def test_ranking_needs_a_judge_of_order() -> None:
    with pytest.raises(ValueError, match="judge of order"):
        simplify(expression_proxy("params"), Judges(PROOF.unequal), rank=True)


def test_explain_lists_each_step_with_its_law() -> None:
    text = explain(simplified("mean(mean(|-W|)) * 1"))
    assert "1. abs is even: f(-x) = f(x)" in text
    assert "|-W|\n  -> |W|" in text
    assert "x * 1 -> x" in text
    assert "no law makes it smaller" in explain(simplified("params"))


def test_every_step_lowers_the_measure() -> None:
    result = simplified("sum(|2 * W|_F) / 2 + sum(mean(-W)) + 0")
    sizes = [measure(step.whole) for step in result.steps]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)
    assert complexity(result.proxy.expression) < complexity(parse("sum(|2 * W|_F) / 2"))


def test_simplifying_twice_changes_nothing() -> None:
    once = simplified("sum(|2 * W|_F) / 2 + sum(mean(-W)) + 0").proxy
    twice = simplify(once, JUDGES, ask=silent).proxy
    assert format_formula(once) == format_formula(twice)


def test_lets_stay_where_they_still_occur() -> None:
    text = (
        "proxy/1 a\n\nlet g = |grad W|\nlet unused = F_s * 1\n"
        "score = sum(mean(g + 0)) + sum(|g|_F) + mean(unused) * 1\n"
    )
    result = simplify(parse_document(text), JUDGES, ask=silent).proxy
    assert [let.name for let in result.lets] == ["g"]
    assert result.lets[0].expr == parse("|grad W|")
    assert "mean(F_s)" in format_document(result)
    assert result.check().ok


def test_lets_that_double_are_refused() -> None:
    lines = [f"let v{n + 1} = v{n} + v{n}" for n in range(14)]
    text = "\n".join(["proxy/1 a", "", "let v0 = params", *lines, "score = v14", ""])
    with pytest.raises(InputError, match="E811"):
        simplify(parse_document(text), JUDGES, ask=silent)


def test_a_formula_that_does_not_check_is_refused() -> None:
    with pytest.raises(FormulaError, match="E203"):
        simplified("|W|_F")


def test_scores_on_the_architectures_have_the_last_word() -> None:
    def refuse(first: Expr, second: Expr) -> str:
        return "" if complexity(second) > 2 else "the scores differ on the architectures"

    judges = Judges(PROOF.unequal, refuse)
    result = simplify(expression_proxy("sum(|W|_F + 0) * 1"), judges, ask=silent)
    assert format_formula(result.proxy) == "sum(|W|_F)"
    result = simplify(expression_proxy("params * 1"), judges, ask=silent)
    assert format_formula(result.proxy) == "params * 1"
    assert "the scores differ" in result.reason
    assert not result.steps


def test_a_lying_judge_of_steps_is_overruled() -> None:
    def agreeable(first: Expr, second: Expr) -> str:
        if first == parse("mean(mean(W / W))"):
            return PROOF.unequal(first, second)
        return ""

    result = simplify(expression_proxy("mean(mean(W / W))"), Judges(agreeable), ask=silent)
    assert format_formula(result.proxy) == "mean(mean(W / W))"


def test_the_budget_bounds_steps_and_proofs() -> None:
    raw = "sum(|-W|_F) * 1 + 0 + 0"
    assert len(simplified(raw, budget=Budget(steps=1)).steps) == 1
    assert "stopped after 1 steps" in simplified(raw, budget=Budget(steps=1)).reason
    assert "stopped after 2 proofs" in simplified(raw, budget=Budget(proofs=2)).reason


def test_sympy_collects_what_laws_do_not() -> None:
    raw = "params * sum(|W|_F) + 2 * flops - 3 * params + flops * 4 + 2 * params"
    result = simplify(expression_proxy(raw), JUDGES)
    assert complexity(result.proxy.expression) <= 13
    assert any(step.law.startswith("sympy: ") for step in result.steps)
    again = simplify(expression_proxy(raw), JUDGES)
    assert again == result


def test_a_hanging_sympy_is_stopped_and_the_raw_formula_stays() -> None:
    def hang(expr: Expr) -> list[tuple[str, Expr]]:
        return ask_sympy(expr, 0.01, 1024)

    result = simplify(expression_proxy("params * 1 + flops"), JUDGES, ask=hang)
    assert format_formula(result.proxy) == "params * 1 + flops"
    assert "did not answer within 0.01 s" in result.reason
    with pytest.raises(SympyStopped):
        ask_sympy(parse("params"), 0.01, 1024)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_a_sympy_that_takes_too_much_memory_is_stopped_and_the_raw_formula_stays() -> None:
    def greedy(expr: Expr) -> list[tuple[str, Expr]]:
        return ask_sympy(expr, 60, 48)

    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    result = simplify(expression_proxy("log(2^(10^10)) * params"), JUDGES, ask=greedy)
    assert format_formula(result.proxy) == "log(2^10^10) * params"
    assert result.reason == "sympy reached its memory limit of 48 MiB and was stopped"
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert ask_sympy(parse("params * flops + params * layers"), 60, 48)


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_systems_without_a_limit_on_memory_are_left_alone(
    system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setitem(sys.modules, "resource", None)
    limit_memory(48)


def test_sympy_is_not_asked_about_what_is_too_large() -> None:
    raw = "log(params * 1 + flops)"
    for budget, reason in (
        (Budget(nodes=3), "sympy was not asked: 4 nodes, its limit is 3"),
        (Budget(depth=2), "sympy was not asked: nested 3 deep, its limit is 2"),
        (Budget(), "no law makes it smaller"),
    ):
        asked: list[Expr] = []
        result = simplified(raw, ask=lambda expr: asked.append(expr) or [], budget=budget)  # noqa: B023
        assert format_formula(result.proxy) == "log(params + flops)"
        assert result.reason == (reason if budget != Budget() else "")
        assert bool(asked) == (budget == Budget())


def test_numbers_beyond_floats_are_no_proposals() -> None:
    assert propose(parse("params + 2^1100")) == []


def test_proposals_of_sympy_are_formulas() -> None:
    found = dict(propose(parse("params * flops + params * layers")))
    assert found["common factors"] == parse("params * (flops + layers)")
    assert propose(parse("params")) == []


def wrong_answers(*texts: str) -> Callable[[Expr], list[tuple[str, Expr]]]:
    return lambda expr: [("invented", parse(text)) for text in texts]


def test_wrong_proposals_are_refused() -> None:
    ask = wrong_answers("flops", "F_s", "sum(|Q|_F)", "mean(W)", "sum(|A|_F)")
    result = simplified("sum(|W|_F + 2) + params", ask=ask)
    assert not result.steps


def test_new_requirements_are_refused() -> None:
    result = simplified("mean(F_s) + mean(F_t)")
    assert format_formula(result.proxy) == "mean(F_s) + mean(F_t)"


def test_the_library_stays_as_it_is_or_says_why() -> None:
    for name in library_names():
        proxy: Proxy = library_proxy(name)
        result = simplify(proxy, JUDGES, ask=silent)
        assert result.proxy.check().statistics <= proxy.check().statistics
        assert result.steps or result.reason


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("x - x", "params - params", True),
        ("x - x", "params - flops", False),
        ("c * x", "params * -2", True),
        ("p * x", "params * -2", False),
        ("x + m", "sum(|W|_F) + params", True),
        ("sqrt(x)^2", "sqrt(params)^2", True),
        ("sqrt(x)^2", "sqrt(params)^3", False),
        ("max(x, 0)", "max(0, params)", True),
    ],
)
def test_matching(pattern: str, text: str, fits: bool) -> None:
    assert bool(list(match(parse(pattern), typed(parse(text)).score, {}))) == fits


def test_a_number_letter_fits_no_tensor() -> None:
    assert not list(match(parse("m * n"), typed(parse("W * grad W")).score, {}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("|W|", True), ("W", False), ("sum(W^2)", True), ("exp(W) * |A|", True), ("-2", False),
     ("sigmoid(W) - 1", False), ("mean(relu(W))", True)],
)  # fmt: skip
def test_signs(text: str, expected: bool) -> None:
    assert is_nonnegative(parse(text)) == expected


@pytest.mark.parametrize("law", real_laws(), ids=lambda law: law.text)
def test_every_law_can_make_something_smaller(law: Law) -> None:
    large = parse("1 * (2 * 3)")
    bound = {letter: typed(large).score for letter in "xyzmn"}
    bound |= {letter: typed(parse("4")).score for letter in "cdpq"}
    before, after = (fill(part, bound, folded) for part in (law.pattern, law.replacement))
    assert measure(after) < measure(before)


@settings(max_examples=40, deadline=None)
@given(slot=st.integers(0, 2**40))
def test_simplified_random_formulas_hold_on_other_numbers(slot: int) -> None:
    raw = random_formula(slot)
    result = simplified(format_expression(raw))
    new = result.proxy.expression
    assert complexity(new) < complexity(raw) or new == raw
    if new != raw:
        ordinary = Proof(seed=1, profiles=("normal", "positive", "negative", "zeros"))
        assert ordinary.unequal(raw, new) == ""
