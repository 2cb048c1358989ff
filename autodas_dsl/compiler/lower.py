"""Surface tree to core DAG: lets and library proxies inlined, pairs taken apart."""

from __future__ import annotations

from collections.abc import Mapping

from autodas_dsl.compiler import ir
from autodas_dsl.compiler.ir import Node
from autodas_dsl.language.check import Library, aligned
from autodas_dsl.language.documents import Proxy
from autodas_dsl.language.library import proxied
from autodas_dsl.language.operators import OPERATORS, Attrs, Operator
from autodas_dsl.language.resolve import operator_values, statistic_named
from autodas_dsl.language.tree import Call, Expr, Name, Number, PairOf

Lowered = Node | tuple[Node, Node]


def lower(proxy: Proxy | Expr, library: Library = proxied) -> Node:
    """The core DAG of a checked formula.

    Parameters
    ----------
    proxy : Proxy or Expr
        A document, or a single expression without lets. It must check.
    library : callable
        Looks up the library proxies that the formula names.

    Returns
    -------
    Node
        A number.
    """
    if isinstance(proxy, Proxy):
        root = _document(tuple((f.name, f.expr) for f in proxy.lets), proxy.score.expr, library)
    else:
        root = _lower(proxy, {}, library)
    if isinstance(root, tuple):
        raise TypeError("a pair is no score; check the formula before lowering it")
    return root


def _document(lets: tuple[tuple[str, Expr], ...], score: Expr, library: Library) -> Lowered:
    scope: dict[str, Lowered] = {}
    for name, body in lets:
        scope[name] = _lower(body, scope, library)
    return _lower(score, scope, library)


def _lower(expr: Expr, scope: Mapping[str, Lowered], library: Library) -> Lowered:
    if isinstance(expr, Number):
        return ir.number(expr.value)
    if isinstance(expr, Name):
        return _name(expr, scope, library)
    if isinstance(expr, PairOf):
        first, second = (_lower(m, scope, library) for m in (expr.first, expr.second))
        if isinstance(first, tuple) or isinstance(second, tuple):
            raise TypeError("a pair of pairs; check the formula before lowering it")
        return first, second
    return _call(expr, [_lower(arg, scope, library) for arg in expr.args])


def _name(name: Name, scope: Mapping[str, Lowered], library: Library) -> Lowered:
    if not name.prefix and name.text in scope:
        return scope[name.text]
    statistic = statistic_named(name)
    if statistic is not None:
        return ir.stat(statistic)
    proxy = library(name.text)
    if proxy is None:
        raise KeyError(name.text)
    return _document(proxy.lets, proxy.score, library)


def _call(call: Call, args: list[Lowered]) -> Lowered:
    entry = OPERATORS[call.op]
    attrs = tuple(operator_values(entry, call.attrs, call.span).items())
    if entry.is_distance and len(args) == 1 and isinstance(args[0], tuple):
        return apply(entry, list(args[0]), attrs)
    if entry.name == "align" and isinstance(args[0], tuple):
        return _align(entry, args[0], attrs)
    if not any(isinstance(arg, tuple) for arg in args):
        return apply(entry, [a for a in args if isinstance(a, Node)], attrs)
    members = [[a[m] if isinstance(a, tuple) else a for a in args] for m in (0, 1)]
    return apply(entry, members[0], attrs), apply(entry, members[1], attrs)


def _align(entry: Operator, pair: tuple[Node, Node], attrs: Attrs) -> Lowered:
    """Each member pooled to the smaller sizes: the second argument says against what."""
    a, b = pair
    values = entry.values(attrs)
    first = ir.call("align", (a, b), attrs, aligned(a.kind, b.kind, values))
    second = ir.call("align", (b, a), attrs, aligned(b.kind, a.kind, values))
    return first, second


def apply(entry: Operator, args: list[Node], attrs: Attrs) -> Node:
    """One operator on nodes, with the positions of maps flattened where its signature needs it."""
    values = entry.values(attrs)
    if _flattens(entry, args):
        args = [ir.flat(arg) for arg in args]
    if not entry.is_reduction and values.get("axis") == "HW" and "H" in args[0].kind.names:
        flattened = ir.call(entry.name, tuple(ir.flat(arg) for arg in args), attrs)
        return flattened if entry.is_distance else ir.unflat(flattened, args[0])
    return ir.call(entry.name, tuple(args), attrs)


def _flattens(entry: Operator, args: list[Node]) -> bool:
    if entry.name == "matmul":
        return True
    if len(args) == 2 and all(arg.kind.axes for arg in args):
        return len({"R" in arg.kind.names for arg in args}) == 2
    return entry.left in ("i i", "i j")
