"""Inference of kinds: one engine for the checker and for the search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from autodas_dsl.language.errors import Fault
from autodas_dsl.language.inputs import Statistic, kind_of
from autodas_dsl.language.kinds import (
    NUMBER,
    AnyKind,
    Axis,
    Kind,
    KindError,
    Pair,
    Requirement,
    Size,
    product,
    smaller,
)
from autodas_dsl.language.operators import (
    BINARY,
    OPERATORS,
    Attrs,
    Operator,
    Value,
    axis_dims,
    result_kind,
)
from autodas_dsl.language.resolve import operator_values, statistic_named
from autodas_dsl.language.spans import NOWHERE, Span
from autodas_dsl.language.tree import Expr, Name, Number, PairOf, children, postorder
from autodas_dsl.language.typed import Typed

Allowed = Callable[[Requirement], bool]
Signature = tuple[object, ...]


def signature(kind: AnyKind) -> Signature:
    """A kind without its sizes: what may stand where."""
    if isinstance(kind, Pair):
        return ("pair", signature(kind.first), signature(kind.second))
    return (kind.layers, kind.names)


@dataclass(frozen=True, slots=True)
class Applied:
    """A call that checks: its kind, its attribute values, and what it asks of the networks."""

    kind: AnyKind
    values: Attrs
    needs: tuple[Requirement, ...]


def never(requirement: Requirement) -> bool:
    """No requirement is known to hold."""
    return False


class Typing:
    """Typed trees of expressions over statistics; what does not check has none.

    Equal kinds that it gives out are one object, so that its tables are keyed by identity: hashing
    a kind means hashing all its symbolic sizes.

    Parameters
    ----------
    allowed : callable, optional
        Whether a requirement such as ``C_s = C_t`` holds for the networks at hand; a call that
        needs what does not hold does not check. Without it every requirement may hold.
    """

    def __init__(self, allowed: Allowed | None = None) -> None:
        self._allowed = allowed
        self._kinds: dict[AnyKind, AnyKind] = {}
        self._calls: dict[tuple[str, Attrs, tuple[int, ...]], Applied | None] = {}
        self._misfits: set[tuple[str, Attrs, tuple[Signature, ...]]] = set()
        self._names: dict[Name, tuple[Statistic, AnyKind] | None] = {}
        self._pairs: dict[tuple[int, int], AnyKind] = {}
        self._holds: dict[Requirement, bool] = {}
        self.number = self.one(NUMBER)

    def one(self, kind: AnyKind) -> AnyKind:
        """The one object that stands for all kinds equal to this one."""
        return self._kinds.setdefault(kind, kind)

    def typed(self, expr: Expr) -> Typed | None:
        """The typed tree of an expression, or None when it does not check."""
        done: list[Typed | None] = []
        for node in postorder(expr):
            first = len(done) - len(children(node))
            parts = done[first:]
            done[first:] = [self.node(node, parts)]
        return done[0]

    def kind(self, expr: Expr) -> AnyKind | None:
        """The kind of an expression, or None when it does not check."""
        found = self.typed(expr)
        return None if found is None else found.kind

    def node(self, node: Expr, parts: Sequence[Typed | None]) -> Typed | None:
        """One node over its typed children."""
        if isinstance(node, Number):
            return Typed(node, self.number)
        if isinstance(node, Name):
            return self.name(node)
        known = tuple(part for part in parts if part is not None)
        if len(known) < len(parts):
            return None
        if isinstance(node, PairOf):
            return self._pair(node, known)
        found = self.applied(node.op, node.attrs, tuple(part.kind for part in known))
        if found is None:
            return None
        return Typed(node, found.kind, known, values=found.values, needs=found.needs)

    def name(self, name: Name) -> Typed | None:
        """A statistic, or None when the name denotes none."""
        if name not in self._names:
            try:
                statistic = statistic_named(name)
            except Fault:
                statistic = None
            found = None if statistic is None else (statistic, self.one(kind_of(statistic)))
            self._names[name] = found
        known = self._names[name]
        return None if known is None else Typed(name, known[1], statistic=known[0])

    def _pair(self, pair: PairOf, members: tuple[Typed, ...]) -> Typed | None:
        first, second = (member.kind for member in members)
        if isinstance(first, Pair) or isinstance(second, Pair):
            return None
        key = (id(first), id(second))
        if key not in self._pairs:
            self._pairs[key] = self.one(Pair(first, second))
        return Typed(pair, self._pairs[key], members)

    def call(self, op: str, attrs: Attrs, kinds: tuple[AnyKind, ...]) -> AnyKind | None:
        """The kind of a call, as `applied` knows it."""
        found = self.applied(op, attrs, kinds)
        return None if found is None else found.kind

    def applied(self, op: str, attrs: Attrs, kinds: tuple[AnyKind, ...]) -> Applied | None:
        """What a call gives, or None when it does not check or needs what does not hold.

        Parameters
        ----------
        kinds : kinds that this object gave out
        """
        key = (op, attrs, tuple(map(id, kinds)))
        if key not in self._calls:
            self._calls[key] = self._apply(op, attrs, kinds)
        return self._calls[key]

    def _apply(self, op: str, attrs: Attrs, kinds: tuple[AnyKind, ...]) -> Applied | None:
        shape = (op, attrs, tuple(map(signature, kinds)))
        if shape in self._misfits or op not in OPERATORS:
            return None
        try:
            found = apply(op, attrs, kinds)
        except Fault:
            self._misfits.add(shape)  # sizes alone never decide this: they give requirements
            return None
        if self._allowed and not all(map(self._hold, (*found.needs, *_divisible(found.kind)))):
            return None
        return Applied(self.one(found.kind), found.values, found.needs)

    def _hold(self, needed: Requirement) -> bool:
        if needed not in self._holds:
            self._holds[needed] = self._allowed is None or self._allowed(needed)
        return self._holds[needed]


def apply(
    op: str,
    attrs: Attrs,
    kinds: Sequence[AnyKind],
    span: Span = NOWHERE,
    head: Span = NOWHERE,
) -> Applied:
    """A call by the rules of its operator, whose arguments may be pairs.

    Parameters
    ----------
    span, head : Span
        Places of the call and of its name, for the fault.

    Raises
    ------
    Fault
        E205 or E206 for an attribute, E204 for a wrong number of arguments, E209 for a misused
        pair, E207 when the kinds do not fit.
    """
    entry = OPERATORS[op]
    values = operator_values(entry, attrs, head)
    needs: list[Requirement] = []
    try:
        kind = _kind(entry, kinds, values, needs.append, span)
    except KindError as error:
        raise Fault("E207", error.reason, span, error.help) from None
    return Applied(kind, tuple(values.items()), tuple(needs))


def _kind(
    entry: Operator,
    kinds: Sequence[AnyKind],
    values: Mapping[str, Value],
    record: Callable[[Requirement], None],
    span: Span,
) -> AnyKind:
    """Distances consume a pair, other operators lift over its members."""
    if entry.aligns:
        return _align(kinds, values, span)
    if entry.is_distance and len(kinds) == 1:
        pair = kinds[0]
        if not isinstance(pair, Pair):
            raise Fault(
                "E204", f"`{entry.name}` compares two values; this is {pair.describe()}", span,
                f"write {entry.name}(a, b) or {entry.name}([a, b])",
            )  # fmt: skip
        return result_kind(entry, [pair.first, pair.second], values, record)
    _count(entry, kinds, span)
    if entry.is_distance and any(isinstance(kind, Pair) for kind in kinds):
        raise Fault("E209", f"`{entry.name}` takes one pair or two values, not both", span)
    firsts = [kind.first if isinstance(kind, Pair) else kind for kind in kinds]
    if not any(isinstance(kind, Pair) for kind in kinds):
        return result_kind(entry, firsts, values, record)
    seconds = [kind.second if isinstance(kind, Pair) else kind for kind in kinds]
    return Pair(
        result_kind(entry, firsts, values, record), result_kind(entry, seconds, values, record)
    )


def _count(entry: Operator, kinds: Sequence[AnyKind], span: Span) -> None:
    wanted = 2 if entry.is_distance else entry.arity
    if len(kinds) == wanted:
        return
    words = {1: "one", 2: "two", 3: "three"}
    takes = "one argument" if wanted == 1 else "two arguments"
    help = ""
    if entry.name in BINARY:
        takes = "one or two arguments"
        help = f"nest it: {entry.name}({entry.name}(a, b), c)"
    got = words.get(len(kinds), str(len(kinds)))
    raise Fault("E204", f"`{entry.name}` takes {takes}, not {got}", span, help)


def _align(kinds: Sequence[AnyKind], values: Mapping[str, Value], span: Span) -> Pair:
    pair = kinds[0]
    if len(kinds) != 1 or not isinstance(pair, Pair):
        raise Fault("E209", "`align` takes a pair", span, "write align([F_s, F_t])")
    return Pair(aligned(pair.first, pair.second, values), aligned(pair.second, pair.first, values))


def aligned(kind: Kind, other: Kind, values: Mapping[str, Value]) -> Kind:
    """The kind of a member of a pair after `align`.

    Raises
    ------
    KindError
        When the members differ in more than sizes.
    """
    word = str(values["axis"])
    if "R" in kind.names and not kind.layers:
        raise KindError("`align` needs maps; the positions of this one are flattened")
    fits = kind.names in (("B", "C"), ("B", "C", "H", "W"))
    if kind.layers or other.layers or kind.names != other.names or not fits:
        raise KindError(
            f"`align` needs two maps or two [B C] tensors; these are {kind.describe()} and "
            f"{other.describe()}"
        )
    if word == "CHW" and "H" not in kind.names:
        word = "C"
    pooled = axis_dims(kind, word)
    return Kind(
        None,
        tuple(
            Axis(a.name, smaller(a.size, other.size(a.name))) if a.name in pooled else a
            for a in kind.axes
        ),
    )


def _divisible(kind: AnyKind) -> list[Requirement]:
    """What must hold so that no size was rounded down, perhaps to nothing."""
    if isinstance(kind, Pair):
        return _divisible(kind.first) + _divisible(kind.second)
    return [
        Requirement(product([size, divisor]), whole, kind.layers)
        for axis in kind.axes
        for size in _quotients(axis.size)
        for whole, divisor in [[part for part in size.args if isinstance(part, Size)]]
    ]


def _quotients(size: Size) -> list[Size]:
    inner = [found for arg in size.args if isinstance(arg, Size) for found in _quotients(arg)]
    return [size, *inner] if size.op == "div" else inner
