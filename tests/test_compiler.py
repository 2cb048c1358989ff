"""Emitted Python, rewrites, digests and costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fake_networks import fake, node
from hypothesis import given, settings
from hypothesis import strategies as st

from autodas_dsl.compiler import ir
from autodas_dsl.compiler.cost import Costs
from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.interpret import Invalid, evaluate
from autodas_dsl.compiler.pipeline import REWRITES, build, to_ir
from autodas_dsl.compiler.rewrite import rewrite
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.library import load
from autodas_dsl.language.operators import OPERATORS

EMITTED = Path(__file__).parent / "data" / "emitted"
GOLDEN = ("rho_cnn", "rho_vit", "snip", "nwot", "diswot", "zico", "rkd")
NET = fake(0, 3)


@pytest.mark.parametrize("name", GOLDEN)
def test_emitted_python(name: str) -> None:
    """Set AUTODAS_WRITE_GOLDEN=1 to write the files anew, then read what changed."""
    source = build([to_ir(load(name))]).source + "\n"
    path = EMITTED / f"{name}.txt"  # no .py: formatters would change it
    if os.environ.get("AUTODAS_WRITE_GOLDEN"):
        path.write_text(source, encoding="utf-8")
    assert source == path.read_text(encoding="utf-8")


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


def value_of(root: ir.Node) -> torch.Tensor | str:
    try:
        value = evaluate(root, NET)
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


def test_a_search_refuses_what_is_far_too_much_work() -> None:
    wide = fake(0, 3)
    wide.values[Statistic("F_s")] = torch.zeros(6, 64, 16, 16)
    costs = Costs([wide])
    assert costs.excess(node("mean(svdvals(mm(F_s)))")) == ""
    reason = costs.excess(node("mean(svdvals(chancov(batch(F_s))))"))
    assert "too many for a search" in reason
    assert "too many for a search" in Engine([wide]).excess(node("|chancorr(batch(F_s))|_*"))
