"""Surface tree with the kind of every node: what printing and rewriting need to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autodas_dsl.language.check import AnyKind, apply_kinds
from autodas_dsl.language.inputs import Statistic, kind_of
from autodas_dsl.language.kinds import NUMBER, Kind, Pair, Requirement
from autodas_dsl.language.library import verify
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.resolve import operator_values, statistic_named
from autodas_dsl.language.tree import Call, Expr, Name, Number, PairOf

Scope = Mapping[str, AnyKind]


@dataclass(frozen=True, slots=True)
class Typed:
    """A node, its kind, and its typed children; `is_proxy` marks the name of a library proxy."""

    expr: Expr
    kind: AnyKind
    children: tuple[Typed, ...] = ()
    is_proxy: bool = False

    @property
    def member(self) -> Kind:
        """The kind, or that of the first member where the node is a pair."""
        return self.kind.first if isinstance(self.kind, Pair) else self.kind

    @property
    def statistic(self) -> Statistic | None:
        """The statistic that this name denotes; None for let names and library proxies."""
        return statistic_named(self.expr) if isinstance(self.expr, Name) else None


def _ignore(requirement: Requirement) -> None:
    """Requirements were listed by the checker."""


def typed(expr: Expr, scope: Scope) -> Typed:
    """The typed tree of an expression that checks.

    Parameters
    ----------
    expr : Expr
    scope : mapping
        Kinds of let names. Names that are neither lets nor statistics are library proxies, which
        are one number.

    Raises
    ------
    KindError or Fault
        When the expression does not check.
    """
    if isinstance(expr, Number):
        return Typed(expr, NUMBER)
    if isinstance(expr, Name):
        return _typed_name(expr, scope)
    if isinstance(expr, PairOf):
        first, second = typed(expr.first, scope), typed(expr.second, scope)
        return Typed(expr, Pair(first.member, second.member), (first, second))
    children = tuple(typed(arg, scope) for arg in expr.args)
    return Typed(expr, _kind_of_call(expr, [child.kind for child in children]), children)


def _typed_name(name: Name, scope: Scope) -> Typed:
    if name.text in scope and not name.prefix:
        return Typed(name, scope[name.text])
    statistic = statistic_named(name)
    if statistic is None:
        return Typed(name, NUMBER, is_proxy=True)
    return Typed(name, kind_of(statistic))


def _kind_of_call(call: Call, kinds: list[AnyKind]) -> AnyKind:
    entry = OPERATORS[call.op]
    values = operator_values(entry, call.attrs, call.span)
    return apply_kinds(entry, kinds, values, _ignore, call.span)


@dataclass(frozen=True, slots=True)
class TypedProxy:
    """A checked proxy: typed lets in the order of definition, and the typed score."""

    proxy: Proxy
    lets: tuple[tuple[str, Typed], ...]
    score: Typed


def typed_proxy(proxy: Proxy) -> TypedProxy:
    """Check a proxy and give every node its kind.

    Raises
    ------
    FormulaError
        With every mistake that the checker finds.
    """
    verify(proxy)
    scope: dict[str, AnyKind] = {}
    lets: list[tuple[str, Typed]] = []
    for formula in proxy.lets:
        body = typed(formula.expr, scope)
        scope[formula.name] = body.kind
        lets.append((formula.name, body))
    return TypedProxy(proxy, tuple(lets), typed(proxy.score.expr, scope))
