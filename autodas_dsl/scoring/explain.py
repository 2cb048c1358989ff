"""What a score was made of: the modules taken, the layers, and what each layer adds to a sum."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from autodas_dsl.compiler.interpret import NotFinite, ShapeMismatch, evaluate
from autodas_dsl.compiler.ir import Node, topological
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.parse import parse
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Call, Expr, signed
from autodas_dsl.models.source import ModelSource
from autodas_dsl.scoring.score import Batches
from autodas_dsl.scoring.scorer import Bound, Score, Scorer, bind, distinct
from autodas_dsl.scoring.setting import Data, Teacher
from autodas_dsl.statistics.collect import Collected
from autodas_dsl.statistics.errors import of_network

SHOWN = tuple(Statistic(name) for name in ("F_s", "E_s", "P_s", "W"))
"""What is looked for in every model that is explained, whatever the formulas read."""


@dataclass(frozen=True)
class LayerValue:
    """One layer's number, and what it adds to a sum or mean over the layers (None elsewhere)."""

    layer: str
    value: float
    share: float | None


@dataclass(frozen=True)
class LayerTerm:
    """A place where a formula goes from one number per layer to one number.

    Parameters
    ----------
    term : str
        The operation.
    value : float
    layers : tuple of LayerValue
    """

    term: str
    value: float
    layers: tuple[LayerValue, ...]


@dataclass(frozen=True)
class Explained:
    """One formula on one model.

    Parameters
    ----------
    score : Score
    terms : tuple of LayerTerm
        The outermost operations over layers; none where the formula reads no layer list, or where
        a layer is not finite.
    """

    proxy: str
    score: Score
    terms: tuple[LayerTerm, ...]


@dataclass(frozen=True)
class Explanation:
    """One model: what was taken of it, its layers, and each formula."""

    model: str
    taken: Mapping[str, str]
    layers: Mapping[str, tuple[str, ...]]
    formulas: tuple[Explained, ...]


def explain_scores(
    model: ModelSource,
    proxies: Sequence[Proxy],
    *,
    teacher: Teacher | None = None,
    data: Data | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    seed: int = 0,
) -> Explanation:
    """Explain the scores of one model; parameters as those of `scoring.score.score`."""
    formulas = distinct([bind(proxy) for proxy in proxies])
    scorer = Scorer(
        formulas, Batches(data or Data()).of(model, seed),
        teacher=teacher.build(seed).to(device) if teacher else None,
        teacher_size=teacher.size if teacher else None, dtype=dtype, seed=seed, beside=SHOWN,
    )  # fmt: skip
    with of_network(model.name):
        scores, collected = scorer.explain(model.build(seed).to(device))
    found = tuple(
        Explained(formula.name, one, _terms(formula, one, collected))
        for formula, one in zip(formulas, scores, strict=True)
    )
    taken = dict(sorted(collected.taken.items()))
    if Statistic("P_s") in collected.values:
        taken["P_s"] = "output of the model"
    return Explanation(model.name, taken, dict(collected.layers), found)


def _terms(formula: Bound, score: Score, collected: Collected) -> tuple[LayerTerm, ...]:
    if score.unmet:
        return ()
    try:
        return tuple(_term(node, collected) for node in outermost(formula.node))
    except (NotFinite, ShapeMismatch):
        return ()


def outermost(root: Node) -> Iterator[Node]:
    """The operations nearest to the root that turn one number per layer into one number."""
    below: set[Node] = set()
    for node in reversed(topological([root])):
        if node in below:
            below.update(node.args)
        elif _joins_layers(node):
            below.update(node.args)
            yield node


def _joins_layers(node: Node) -> bool:
    return (
        not node.kind.layers
        and len(node.args) == 1
        and bool(node.args[0].kind.layers)
        and not node.args[0].kind.axes
    )


def _term(node: Node, collected: Collected) -> LayerTerm:
    names = collected.layers[str(node.args[0].kind.layers)]
    values = [float(v) for v in evaluate(node.args[0], collected)]
    each = {"sum": 1.0, "mean": 1.0 / max(1, len(values))}.get(node.op, math.nan)
    layers = tuple(
        LayerValue(name, value, None if math.isnan(each) else each * value)
        for name, value in zip(names, values, strict=True)
    )
    value = evaluate(node, collected)
    if isinstance(value, tuple):
        raise TypeError("a layer operation gives one number")
    return LayerTerm(core_text(node), float(value), layers)


def core_text(node: Node) -> str:
    """A core node in canonical text, which reads back."""
    return format_expression(_surface(node))


def _surface(node: Node) -> Expr:
    """A core node as a person would write it; flattened positions are no operation there."""
    if node.op == "number":
        return signed(node.value)
    if node.op == "stat":
        return parse(str(node.statistic))
    if node.op in ("flat", "unflat"):
        return _surface(node.args[0])
    attrs = tuple(("" if key == "axis" else key, value) for key, value in node.attrs)
    return Call(node.op, tuple(map(_surface, node.args)), attrs)
