"""Formulas that see a network against a population: ``percentile(x) + percentile(y)``.

Such a formula is taken apart: its largest *parts* without a population operator are numbers of one
network each and are scored like any formula. What joins them works on numbers only, one per network
of the population, and is evaluated here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import nan

import numpy as np
import torch

from autodas_dsl.compiler.interpret import operation
from autodas_dsl.compiler.ir import Node, topological
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.population import Floats, percentile, standardise
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.proxy import Formula, Proxy
from autodas_dsl.language.references import Reference, population_calls
from autodas_dsl.language.tree import Expr

References = Mapping[Node, tuple[float, ...]]
EMPTY = "no network of the population has a value of `{}`"
MAX_REFERENCE = 101
"""Values that a frozen percentile keeps; of a larger population, so many quantiles."""


def is_population(node: Node) -> bool:
    return node.op in OPERATORS and OPERATORS[node.op].sees_population


def is_populated(root: Node) -> bool:
    """Whether a formula depends on the other networks of a population."""
    return any(map(is_population, topological([root])))


def parts(root: Node) -> tuple[Node, ...]:
    """The largest numbers below that are about one network, each once; literals left out."""
    return tuple(dict.fromkeys(_parts(root)))


def _parts(node: Node) -> Iterator[Node]:
    if is_populated(node):
        for arg in node.args:
            yield from _parts(arg)
    elif node.op != "number":
        yield node


def references_of(proxy: Proxy) -> dict[Node, tuple[float, ...]]:
    """The frozen populations of a document, by the node that each belongs to."""
    return {to_ir(_alone(proxy, one.call)): one.values for one in proxy.references}


def _alone(proxy: Proxy, score: Expr) -> Proxy:
    """A part of a formula, with its lets."""
    return replace(proxy, score=Formula("score", score), references=(), inputs=None)


def open_terms(root: Node, references: References) -> list[Node]:
    """The population operators of a formula that have no frozen population."""
    return [n for n in topological([root]) if is_population(n) and n not in references]


def combined(
    root: Node, outcomes: Mapping[Node, Outcome], references: References, networks: int
) -> Outcome:
    """A formula from the values of its parts on all networks.

    Parameters
    ----------
    root : Node
    outcomes : mapping of Node to Outcome
        Of every part; networks where it is invalid are no part of a population.
    references : mapping of Node to tuple of float
        Frozen populations.
    networks : int
    """
    found: dict[Node, Floats] = {}
    empty = ""
    for node in _order(root, outcomes):
        if node in outcomes:
            found[node] = outcomes[node].scores
        elif node.op == "number":
            found[node] = np.full(networks, node.value)
        elif is_population(node):
            inner = found[node.args[0]]
            reference = np.array(references.get(node, inner[np.isfinite(inner)]))
            if not len(reference):
                empty = empty or EMPTY.format(node.op)
            found[node] = _placed(node, inner, reference, node in references)
        else:
            args = [torch.from_numpy(found[arg]) for arg in node.args]
            found[node] = operation(node)(*args).double().numpy()
    scores = np.where(np.isfinite(found[root]), found[root], nan)
    return Outcome(
        scores,
        tuple(
            ""
            if np.isfinite(score)
            else _reason(root, outcomes, place) or empty or _undefined(root)
            for place, score in enumerate(scores)
        ),
    )


def _order(root: Node, known: Mapping[Node, Outcome]) -> list[Node]:
    """Nodes above the parts, and the parts, arguments first."""
    below = {n for part in known for n in topological([part])} - set(known)
    return [node for node in topological([root]) if node not in below or node.op == "number"]


def _placed(node: Node, inner: Floats, reference: Floats, frozen: bool) -> Floats:
    if not len(reference):
        return np.full(len(inner), nan)
    if node.op == "percentile":
        return percentile(inner, reference)
    centre, spread = reference if frozen else (reference.mean(), reference.std())
    return standardise(inner, float(centre), float(spread))


def _reason(root: Node, outcomes: Mapping[Node, Outcome], network: int) -> str:
    return next((said for part in parts(root) if (said := outcomes[part].reasons[network])), "")


def _undefined(root: Node) -> str:
    return f"`{root.op}` gave a number that is not finite"


def alone(name: str, op: str) -> InputError:
    """The error for one network without a population."""
    return InputError(
        "E463", f"`{name}` has a {op}: it needs other networks to compare with",
        "score several networks together, or write the population into the document with reference:",
    )  # fmt: skip


def frozen(values: Floats, op: str) -> tuple[float, ...]:
    """What a `reference:` line keeps of a population.

    Raises
    ------
    ValueError
        When no value is finite.
    """
    known = np.sort(values[np.isfinite(values)])
    if not len(known):
        raise ValueError("the population is empty")
    if op == "standardise":
        return (float(known.mean()), float(known.std()))
    if len(known) > MAX_REFERENCE:
        shares = (np.arange(MAX_REFERENCE) + 0.5) / MAX_REFERENCE
        known = np.quantile(known, shares)
    return tuple(known.tolist())


def freeze(proxy: Proxy, values: Mapping[Node, Floats]) -> Proxy:
    """The document with the population of each of its terms frozen.

    Parameters
    ----------
    proxy : Proxy
    values : mapping of Node to float64 array [networks]
        Of every part of the formula, on the networks of the population; NaN where invalid.

    Raises
    ------
    ValueError
        When a term has no value on any network.
    """
    networks = len(next(iter(values.values()))) if values else 0
    outcomes = {part: Outcome(own, ("",) * networks) for part, own in values.items()}
    references = []
    for call in population_calls([*(let.expr for let in proxy.lets), proxy.score.expr]):
        inner = to_ir(_alone(proxy, call.args[0]))
        scores = combined(inner, outcomes, {}, networks).scores
        references.append(Reference(call, frozen(scores, call.op)))
    return replace(proxy, references=tuple(references))


__all__ = [
    "alone", "combined", "freeze", "frozen", "is_populated", "open_terms", "parts",
    "references_of",
]  # fmt: skip
