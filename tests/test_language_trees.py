"""Generated trees: they print, parse back, format stably and check."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from strategies import scores, seeded_scores, trees

from autodas_dsl.language.check import check, kind_of_expression
from autodas_dsl.language.documents import parse_document
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.kinds import NUMBER
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.parse import parse
from autodas_dsl.language.proxy import Formula, Proxy
from autodas_dsl.language.tree import Call, Expr, walk

SHRINKING = settings(
    max_examples=200, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
COUNT = 2500


@pytest.fixture(scope="module")
def generated() -> list[Expr]:
    return seeded_scores(COUNT, seed=0)


def holds(expr: Expr) -> None:
    """A tree prints, parses back, formats stably and checks."""
    text = format_expression(expr)
    again = parse(text)
    assert again == expr
    assert format_expression(again) == text
    checked = check(again)
    assert checked.ok, checked.diagnostics
    assert checked.kind == NUMBER


def test_generated_scores_print_parse_format_and_check(generated: list[Expr]) -> None:
    assert len(set(generated)) == COUNT
    for expr in generated:
        holds(expr)


@SHRINKING
@given(scores())
def test_scores(expr: Expr) -> None:
    holds(expr)


@SHRINKING
@given(trees())
def test_trees_of_any_kind(expr: Expr) -> None:
    text = format_expression(expr)
    assert parse(text) == expr
    assert kind_of_expression(parse(text)).ok


def test_documents_of_generated_trees(generated: list[Expr]) -> None:
    for expr in generated[::10]:
        text = str(Proxy("a", Formula("score", expr)))
        again = parse_document(text)
        assert again.score.expr == expr
        assert str(again) == text


def test_generated_trees_reach_every_operator(generated: list[Expr]) -> None:
    nodes = [node for tree in generated for node in walk(tree)]
    called = {node.op for node in nodes if isinstance(node, Call)}
    assert set(OPERATORS) - called == set()
