"""The type checker: kinds of a surface tree, the statistics it names, and its requirements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from autodas_dsl.language.errors import Diagnostic
from autodas_dsl.language.inputs import INPUTS, Statistic, kind_of
from autodas_dsl.language.kinds import (
    NUMBER,
    Axis,
    Kind,
    KindError,
    Pair,
    Requirement,
    smaller,
)
from autodas_dsl.language.operators import OPERATORS, Operator, Value, axis_dims, result_kind
from autodas_dsl.language.resolve import (
    Fault,
    kind_fault,
    name_help,
    operator_help,
    operator_values,
    statistic_named,
)
from autodas_dsl.language.spans import Span
from autodas_dsl.language.tree import Call, Expr, Name, Number, PairOf

AnyKind = Kind | Pair
Library = Callable[[str], "Proxied | None"]
LibraryNames = Callable[[], list[str]]


@dataclass(frozen=True)
class Proxied:
    """A library proxy as another formula sees it: lets and score, both surface trees."""

    name: str
    lets: tuple[tuple[str, Expr], ...]
    score: Expr


@dataclass(frozen=True, slots=True)
class Needed:
    """A requirement and the place that gives rise to it."""

    requirement: Requirement
    span: Span


@dataclass
class Checked:
    """What the checker found out about one formula."""

    kind: AnyKind | None = None
    statistics: set[Statistic] = field(default_factory=set)
    requirements: list[Needed] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not any(d.severity == "error" for d in self.diagnostics)


def no_library(name: str) -> Proxied | None:
    return None


def check(
    score: Expr,
    lets: tuple[tuple[str, Expr], ...] = (),
    library: Library = no_library,
    library_names: LibraryNames = list,
) -> Checked:
    """Check one formula: every name, attribute and kind, and that the score is one number.

    Parameters
    ----------
    score : Expr
    lets : tuple of (name, Expr)
        In the order of definition; each may use those before it.
    library : callable
        Looks a library proxy up by name.
    library_names : callable
        All library names, for suggestions.

    Returns
    -------
    Checked
        With all diagnostics found, not only the first.
    """
    checker = _Checker(library, library_names, tuple(name for name, _ in lets))
    scope: dict[str, AnyKind | None] = {}
    for name, body in lets:
        scope[name] = checker.kind(body, scope)
    found = checker.kind(score, scope)
    checker.result.kind = found
    if found is not None and found != NUMBER:
        checker.report(_not_a_number(found, score.span))
    return checker.result


def kind_of_expression(
    expr: Expr,
    scope: Mapping[str, AnyKind | None] | None = None,
    library: Library = no_library,
    library_names: LibraryNames = list,
) -> Checked:
    """Check an expression of any kind, such as one side of a pair."""
    checker = _Checker(library, library_names)
    checker.result.kind = checker.kind(expr, scope or {})
    return checker.result


def _not_a_number(found: AnyKind, span: Span) -> Fault:
    if isinstance(found, Pair):
        return Fault(
            "E203", "the score must be one number; this is a pair", span,
            "compare its members with a distance such as L2(…)",
        )  # fmt: skip
    if found.layers and not found.axes:
        shown = "one number per layer" if found.layers == "lin" else found.describe()
        return Fault(
            "E203", f"the score must be one number; this is {shown}", span,
            "wrap it in mean(…) or sum(…)",
        )  # fmt: skip
    twice = "mean(mean(…)) or sum(sum(…))" if found.layers else "mean(…) or sum(…)"
    return Fault(
        "E203", f"the score must be one number; this is {found.describe()}", span,
        f"wrap it in {twice}",
    )  # fmt: skip


class _Checker:
    def __init__(
        self, library: Library, library_names: LibraryNames, lets: tuple[str, ...] = ()
    ) -> None:
        self.result = Checked()
        self._lets = lets
        self._library = library
        self._library_names = library_names
        self._open: list[str] = []

    def report(self, fault: Fault) -> None:
        found = Diagnostic(fault.code, fault.message, fault.span, fault.help)
        if found not in self.result.diagnostics:
            self.result.diagnostics.append(found)

    def kind(self, expr: Expr, scope: Mapping[str, AnyKind | None]) -> AnyKind | None:
        """The kind of an expression, or None after reporting what is wrong with it."""
        try:
            if isinstance(expr, Number):
                return NUMBER
            if isinstance(expr, Name):
                return self._name(expr, scope)
            if isinstance(expr, PairOf):
                return self._pair(expr, scope)
            return self._call(expr, scope)
        except Fault as fault:
            self.report(fault)
            return None

    def _name(self, name: Name, scope: Mapping[str, AnyKind | None]) -> AnyKind | None:
        if not name.prefix and name.text in scope:
            if name.attrs:
                raise Fault("E205", f"the let `{name.text}` takes no attributes", name.span)
            return scope[name.text]
        statistic = statistic_named(name)
        if statistic is not None:
            self.result.statistics.add(statistic)
            return kind_of(statistic)
        if name.text in OPERATORS:
            raise Fault("E201", f"`{name.text}` is an operator", name.span, f"write {name.text}(…)")
        return self._proxy(name, scope)

    def _proxy(self, name: Name, scope: Mapping[str, AnyKind | None]) -> AnyKind | None:
        proxy = self._library(name.text)
        if proxy is None and name.text in self._lets:
            raise Fault("E208", f"the let `{name.text}` is not defined yet", name.span,
                        "a let uses those above it")  # fmt: skip
        if proxy is None:
            raise Fault(
                "E201", f"there is no statistic, let or proxy `{name.text}`", name.span,
                name_help(name.text, [*scope, *self._library_names()]),
            )  # fmt: skip
        if name.attrs:
            raise Fault("E205", f"the proxy `{name.text}` takes no attributes", name.span)
        if name.text in self._open:
            circle = " -> ".join([*self._open, name.text])
            raise Fault("E208", f"the proxy uses itself: {circle}", name.span)
        return self._inline(proxy, name.span)

    def _inline(self, proxy: Proxied, span: Span) -> AnyKind | None:
        """Check a proxy's own formula, reporting its faults and requirements at `span`."""
        inner = _Checker(self._library, self._library_names)
        inner._open = [*self._open, proxy.name]
        scope: dict[str, AnyKind | None] = {}
        for let, body in proxy.lets:
            scope[let] = inner.kind(body, scope)
        kind = inner.kind(proxy.score, scope)
        self.result.statistics |= inner.result.statistics
        self.result.requirements += [Needed(n.requirement, span) for n in inner.result.requirements]
        for found in inner.result.diagnostics:
            if found.code == "E208":
                self.report(Fault("E208", found.message, span))
            else:
                self.report(Fault(found.code, f"in `{proxy.name}`: {found.message}", span))
        return kind

    def _pair(self, pair: PairOf, scope: Mapping[str, AnyKind | None]) -> AnyKind | None:
        first, second = self.kind(pair.first, scope), self.kind(pair.second, scope)
        for kind, member in ((first, pair.first), (second, pair.second)):
            if isinstance(kind, Pair):
                raise Fault("E209", "a pair cannot hold a pair", member.span)
            if kind is not None and kind.population:
                raise Fault("E211", "a pair holds statistics, not places in a population",
                            member.span)  # fmt: skip
        if isinstance(first, Kind) and isinstance(second, Kind):
            return Pair(first, second)
        return None

    def _call(self, call: Call, scope: Mapping[str, AnyKind | None]) -> AnyKind | None:
        kinds = [self.kind(arg, scope) for arg in call.args]
        head = call.head or call.span
        if call.op not in OPERATORS:
            raise self._no_operator(call.op, head, scope)
        entry = OPERATORS[call.op]
        values = operator_values(entry, call.attrs, head)
        if any(kind is None for kind in kinds):
            return None
        try:
            known = [kind for kind in kinds if kind is not None]
            found = apply_kinds(entry, known, values, self._recorder(call.span), call.span)
        except KindError as error:
            raise kind_fault(error, call.span) from None
        if entry.group == "population" or any(is_populated(kind) for kind in known):
            if any(kind != NUMBER for kind in known):
                raise Fault(
                    "E211", "a place in a population combines with numbers only", call.span,
                    "reduce the other argument with mean(…) or sum(…) first",
                )  # fmt: skip
            return Kind(population=True)
        return found

    def _no_operator(self, word: str, span: Span, scope: Mapping[str, AnyKind | None]) -> Fault:
        help = operator_help(word)
        for what, known in (("let", word in scope), ("statistic", word in INPUTS),
                            ("proxy", self._library(word) is not None)):  # fmt: skip
            if known:
                help = f"`{word}` is a {what}; it is written without parentheses"
                break
        return Fault("E202", f"there is no operator `{word}`", span, help)

    def _recorder(self, span: Span) -> Callable[[Requirement], None]:
        def record(requirement: Requirement) -> None:
            needed = Needed(requirement, span)
            if needed not in self.result.requirements:
                self.result.requirements.append(needed)

        return record


def is_populated(kind: AnyKind) -> bool:
    """Whether a value depends on the other networks of a population."""
    return isinstance(kind, Kind) and kind.population


def apply_kinds(
    entry: Operator,
    kinds: list[AnyKind],
    values: Mapping[str, Value],
    record: Callable[[Requirement], None],
    span: Span,
) -> AnyKind:
    """The kind of a call whose arguments may be pairs: distances consume a pair, others lift.

    Raises
    ------
    Fault
        E204 for a wrong number of arguments, E209 for a misused pair.
    KindError
        When the kinds do not fit.
    """
    if entry.name == "align":
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


def _count(entry: Operator, kinds: list[AnyKind], span: Span) -> None:
    wanted = 2 if entry.is_distance else entry.arity
    if len(kinds) == wanted:
        return
    words = {1: "one", 2: "two", 3: "three"}
    takes = "one argument" if wanted == 1 else "two arguments"
    help = ""
    if entry.name in ("max", "min"):
        takes = "one or two arguments"
        help = f"nest it: {entry.name}({entry.name}(a, b), c)"
    got = words.get(len(kinds), str(len(kinds)))
    raise Fault("E204", f"`{entry.name}` takes {takes}, not {got}", span, help)


def _align(kinds: list[AnyKind], values: Mapping[str, Value], span: Span) -> Pair:
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
