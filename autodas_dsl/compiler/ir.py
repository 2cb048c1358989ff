"""The core tree as an interned DAG: equal nodes are one object, so equality is ``is``.

There are neither pairs nor lets here. Besides the operators of the language there are four node
kinds of its own: ``number``, ``stat``, ``flat`` (positions of a map read as one axis) and
``unflat`` (back to the shape of the second argument).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from weakref import WeakValueDictionary

from autodas_dsl.language import tree
from autodas_dsl.language.inputs import Statistic, definition_of, kind_of
from autodas_dsl.language.kinds import NUMBER, Kind, Requirement, merge_rest
from autodas_dsl.language.operators import OPERATORS, Attrs, result_kind

Content = Attrs | Statistic | float
LIST_OPERATORS = frozenset({"concat", "first", "last", "total"})


class Node:
    """One operation of a formula.

    Parameters
    ----------
    op : str
        An operator name, or ``number``, ``stat``, ``flat``, ``unflat``.
    args : tuple of Node
    content : attributes, Statistic or float
        Attributes without defaults; the statistic of ``stat``; the value of ``number``.
    kind : Kind
    digest : str
        A stable hash of the whole tree below, equal across processes.
    """

    __slots__ = ("__weakref__", "args", "content", "digest", "kind", "op")

    def __init__(self, op: str, args: tuple[Node, ...], content: Content, kind: Kind, digest: str):
        self.op = op
        self.args = args
        self.content = content
        self.kind = kind
        self.digest = digest

    def __repr__(self) -> str:
        if self.op in ("number", "stat"):
            return str(self.content)
        attrs = [f"{k}={v}" for k, v in self.attrs]
        return f"{self.op}({', '.join([*map(repr, self.args), *attrs])})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickled by content and interned again, so that identity holds in another process."""
        return _intern, (self.op, self.args, self.content, self.kind)

    @property
    def attrs(self) -> Attrs:
        return self.content if isinstance(self.content, tuple) else ()

    @property
    def statistic(self) -> Statistic:
        if not isinstance(self.content, Statistic):
            raise TypeError(f"{self.op} is no statistic")
        return self.content

    @property
    def value(self) -> float:
        if not isinstance(self.content, float):
            raise TypeError(f"{self.op} is no number")
        return self.content


_INTERNED: WeakValueDictionary[str, Node] = WeakValueDictionary()


def _intern(op: str, args: tuple[Node, ...], content: Content, kind: Kind) -> Node:
    meaning = definition_of(content) if isinstance(content, Statistic) else str(content)
    defined = OPERATORS[op].definition if op in OPERATORS else ""
    text = f"{op}{defined}|{meaning}|{','.join(arg.digest for arg in args)}"
    digest = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
    known = _INTERNED.get(digest)
    if known is None:
        known = Node(op, args, content, kind, digest)
        _INTERNED[digest] = known
    return known


def number(value: float) -> Node:
    return _intern("number", (), float(value), NUMBER)


def stat(statistic: Statistic) -> Node:
    return _intern("stat", (), statistic, kind_of(statistic))


def flat(node: Node) -> Node:
    """Positions as one axis; the node itself where they are one already."""
    kind = merge_rest(node.kind)
    return node if kind == node.kind else _intern("flat", (node,), (), kind)


def unflat(node: Node, like: Node) -> Node:
    """Back to the shape of `like`, whose positions were flattened."""
    return _intern("unflat", (node, like), (), like.kind)


def call(op: str, args: tuple[Node, ...], attrs: Attrs = (), kind: Kind | None = None) -> Node:
    """An operator applied to nodes; its kind follows from theirs unless given."""
    entry = OPERATORS[op]
    if kind is None:
        kind = result_kind(entry, [a.kind for a in args], entry.values(attrs), _ignore)
    return _intern(op, args, entry.trimmed(dict(attrs)), kind)


def _ignore(requirement: Requirement) -> None:
    """Requirements were recorded by the checker."""


def topological(
    roots: Iterable[Node], stop: Callable[[Node], bool] = lambda node: False
) -> list[Node]:
    """All nodes below the roots, arguments before users, each once, in a stable order.

    Parameters
    ----------
    roots : iterable of Node
    stop : callable, optional
        Nodes below which not to look.
    """
    return tree.topological(roots, lambda node: () if stop(node) else node.args)


def constants(order: Iterable[Node]) -> set[Node]:
    """Nodes, of a topological order, below which there is no statistic."""
    found: set[Node] = set()
    for node in order:
        if node.op != "stat" and all(arg in found for arg in node.args):
            found.add(node)
    return found


def is_gather(node: Node) -> bool:
    """Makes one tensor of a layer list of tensors."""
    return node.op in LIST_OPERATORS and bool(node.args[0].kind.axes)


def is_measure(node: Node) -> bool:
    """A number made of tensors."""
    return not node.kind.axes and any(arg.kind.axes for arg in node.args)


def is_join(node: Node) -> bool:
    """Reduces a layer list of numbers to one number per network."""
    return not node.kind.layers and any(a.kind.layers and not a.kind.axes for a in node.args)


def removes_level(node: Node) -> bool:
    """A number whose argument is no number: where finiteness is tested."""
    return is_measure(node) or (not node.kind.axes and is_join(node))


def hides(node: Node) -> bool:
    """Whether the result can be finite although an argument is not."""
    return node.op in OPERATORS and OPERATORS[node.op].hides


def statistics_of(roots: Iterable[Node]) -> list[Statistic]:
    """The statistics that formulas read, sorted."""
    return sorted({n.statistic for n in topological(roots) if n.op == "stat"}, key=str)


def requirements_of(root: Node) -> list[Requirement]:
    """The equalities of sizes that a formula needs, each once, in the order of evaluation."""
    found: dict[Requirement, None] = {}
    for node in topological([root]):
        if node.op in OPERATORS and not OPERATORS[node.op].aligns:
            entry = OPERATORS[node.op]
            kinds = [arg.kind for arg in node.args]
            result_kind(entry, kinds, entry.values(node.attrs), lambda r: found.setdefault(r))
    return list(found)
