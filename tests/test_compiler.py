"""Emitted Python, rewrites, digests and costs."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch
from conftest import Golden
from fake_networks import Fake, fake, node
from hypothesis import given, settings
from hypothesis import strategies as st

from autodas_dsl.compiler import ir
from autodas_dsl.compiler.cost import Costs
from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.interpret import Invalid, evaluate
from autodas_dsl.compiler.lower import lower
from autodas_dsl.compiler.pipeline import REWRITES, build, to_ir
from autodas_dsl.compiler.rewrite import rewrite
from autodas_dsl.language.errors import FormulaError
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.laws import BITWISE_FOLDS, Law, bitwise_laws
from autodas_dsl.language.library import load
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.parse import parse
from autodas_dsl.language.tree import Expr

EMITTED = ("rho_cnn", "rho_vit", "snip", "nwot", "diswot", "zico", "rkd")
NET = fake(0, 3)


@pytest.mark.parametrize("name", EMITTED)
def test_emitted_python(name: str, golden: Golden) -> None:
    source = build([to_ir(load(name))]).source + "\n"
    golden(f"emitted/{name}.txt", source)  # no .py: formatters would change it


# --- rewrites -------------------------------------------------------------------------------------

_UNARY = (
    "neg",
    "abs",
    "exp",
    "sqrt",
    "sign",
    "relu",
    "norm_F",
    "norm_1",
    "norm_2",
    "norm_inf",
    "sum",
)
_BINARY = ("add", "sub", "mul", "div", "pow", "maximum")
_LEAVES = st.sampled_from([
    ir.stat(Statistic("P_s")), ir.stat(Statistic("P_t")), ir.stat(Statistic("params")),
    ir.number(1.0), ir.number(2.0), ir.number(0.5), ir.number(0.0),
])  # fmt: skip


def _unary(op: str, arg: ir.Node) -> ir.Node:
    if OPERATORS[op].is_reduction and not arg.kind.axes:
        return arg
    return ir.call(op, (arg,))


TREES = st.recursive(
    _LEAVES,
    lambda below: st.one_of(
        st.builds(_unary, st.sampled_from(_UNARY), below),
        st.builds(lambda op, a, b: ir.call(op, (a, b)), st.sampled_from(_BINARY), below, below),
    ),
    max_leaves=12,
)


def value_of(root: ir.Node, net: Fake = NET) -> torch.Tensor | str:
    try:
        value = evaluate(root, net)
    except Invalid:
        return "invalid"
    assert isinstance(value, torch.Tensor)
    return value


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_rewriting_keeps_every_bit(root: ir.Node) -> None:
    before, after = value_of(root), value_of(rewrite(root, REWRITES))
    if isinstance(before, str) or isinstance(after, str):
        assert isinstance(before, str) == isinstance(after, str)
        return
    before, after = torch.broadcast_tensors(before, after)
    same = (before == after) | (before.isnan() & after.isnan())
    assert bool(same.all())


@settings(max_examples=50, deadline=None)
@given(TREES)
def test_rewriting_is_settled_and_keeps_the_kind(root: ir.Node) -> None:
    once = rewrite(root, REWRITES)
    assert rewrite(once, REWRITES) is once
    assert once.kind == root.kind


def _of_tensors(side: Expr) -> ir.Node:
    """A side of a law, its letters statistics; not rewritten."""
    return lower(parse(re.sub(r"\bx\b", "P_s", re.sub(r"\by\b", "P_t", format_expression(side)))))


@pytest.mark.parametrize("law", bitwise_laws(), ids=lambda law: law.text)
def test_laws_of_the_compiler_hold_bit_for_bit(law: Law) -> None:
    odd = torch.tensor([0.0, -0.0, 1e-310, -1e308, 1e308, 3.0, -torch.inf, torch.nan])
    before, after = _of_tensors(law.pattern), _of_tensors(law.replacement)
    for count in (6, 8):  # numbers alone, and beside them what is not finite
        x, y = odd[:count], odd[:count].flip(0)
        for dtype in (torch.float32, torch.float64):
            values = {
                Statistic("P_s"): x.to(dtype)[:, None],
                Statistic("P_t"): y.to(dtype)[:, None],
            }
            a, b = (value_of(side, Fake(values)) for side in (before, after))
            assert isinstance(a, str) == isinstance(b, str)
            if not isinstance(a, str) and not isinstance(b, str):
                assert torch.equal(a.isnan(), b.isnan())
                assert torch.equal(
                    a.nan_to_num().view(torch.uint8), b.nan_to_num().view(torch.uint8)
                )
    assert rewrite(before, REWRITES) is rewrite(after, REWRITES)


@pytest.mark.parametrize("op", sorted(BITWISE_FOLDS))
def test_constants_are_folded_to_what_torch_computes(op: str) -> None:
    values = [0.1, -0.3][: OPERATORS[op].arity]
    folded = rewrite(ir.call(op, tuple(map(ir.number, values))), REWRITES)
    assert folded.op == "number"
    exact = evaluate(ir.call(op, tuple(map(ir.number, values))), NET)
    assert folded.value == float(exact)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["params + 0", "params - params", "log(exp(params))", "1 / 3"])
def test_what_holds_over_the_reals_only_is_left_alone(text: str) -> None:
    assert to_ir(parse(text)) is lower(parse(text))


def test_a_text_is_checked_and_a_tree_is_not_again() -> None:
    assert to_ir("snip") is to_ir(load("snip"))
    assert to_ir("params * 1") is to_ir(parse("params"))
    with pytest.raises(FormulaError, match="E"):
        to_ir("sum(params)")


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("-(-params)", "params"), ("params * 1", "params"), ("1 * params / 1", "params"),
        ("mean(F_s + F_t)", "mean(F_t + F_s)"), ("|abs(E_s)|_F", "|E_s|_2"),
        ("2 * 3 + params", "params + 6"), ("mean(P_s - (-P_t))", "mean(P_t + P_s)"),
    ],
)  # fmt: skip
def test_alike_formulas_are_one_node(text: str, same_as: str) -> None:
    assert node(text) is node(same_as)


@pytest.mark.parametrize(("text", "other"), [("E_s - E_t", "E_t - E_s"), ("E_s / 2", "E_s * 2")])
def test_different_formulas_are_different_nodes(text: str, other: str) -> None:
    assert node(f"mean({text})") is not node(f"mean({other})")


# --- identity across processes --------------------------------------------------------------------


def test_digests_are_stable_across_processes() -> None:
    texts = ["KL[T=4](P_s, P_t) + mean(|W|_F)", "params / 3"]
    code = (
        "from autodas_dsl.compiler.pipeline import to_ir\n"
        "from autodas_dsl.language.parse import parse\n"
        f"print(*[to_ir(parse(t)).digest for t in {texts!r}])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == [node(text).digest for text in texts]


# --- costs ----------------------------------------------------------------------------


def test_a_search_refuses_nothing_for_the_size_of_what_was_collected() -> None:
    deep = fake(0, 3)
    deep.values[Statistic("W")] = (torch.zeros(4096, 2), torch.zeros(2, 4096))
    costs = Costs([deep.values])
    assert costs.excess(node("mean(|logsoftmax(W)|_F)")) == ""


def test_a_search_refuses_what_is_far_too_much_work() -> None:
    wide = fake(0, 3)
    wide.values[Statistic("F_s")] = torch.zeros(6, 64, 16, 16)
    costs = Costs([wide.values])
    assert costs.excess(node("mean(svdvals(mm(F_s)))")) == ""
    reason = costs.excess(node("mean(svdvals(chancov(batch(F_s))))"))
    assert "too many for a search" in reason
    assert "too many for a search" in Engine([wide]).excess(node("|chancorr(batch(F_s))|_*"))
