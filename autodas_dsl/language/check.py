"""The type checker: the typed tree of a formula, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NoReturn, Protocol

from autodas_dsl.language.errors import Diagnostic, Fault
from autodas_dsl.language.infer import Typing, apply
from autodas_dsl.language.inputs import INPUTS, Statistic
from autodas_dsl.language.kinds import NUMBER, AnyKind, Pair, Requirement
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.resolve import (
    name_help,
    name_meant,
    operator_help,
    operator_meant,
    operator_values,
    statistic_named,
    suggestion,
)
from autodas_dsl.language.spans import Span
from autodas_dsl.language.tree import Call, Expr, Name, PairOf
from autodas_dsl.language.typed import Typed, TypedFormula

Lets = tuple[tuple[str, Expr], ...]


class Named(Protocol):
    """What a formula may name: a score, with its lets."""

    @property
    def name(self) -> str: ...
    @property
    def expression(self) -> Expr: ...
    @property
    def definitions(self) -> Lets: ...


Library = Mapping[str, Named]
NO_LIBRARY: Library = MappingProxyType({})


@dataclass
class Checked:
    """What the checker found out about one formula; `typed` is None where it does not check."""

    kind: AnyKind | None = None
    typed: TypedFormula | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def errors(self) -> list[Diagnostic]:
        return [found for found in self.diagnostics if found.severity == "error"]

    @property
    def ok(self) -> bool:
        return not self.errors

    @property
    def statistics(self) -> frozenset[Statistic]:
        return self.typed.statistics if self.typed else frozenset()

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        return self.typed.requirements if self.typed else ()


def check(score: Expr, lets: Lets = (), library: Library = NO_LIBRARY) -> Checked:
    """Check one formula: every name, attribute and kind, and that the score is one number.

    Parameters
    ----------
    score : Expr
    lets : tuple of (name, Expr)
        In the order of definition; each may use those before it.
    library : mapping
        Library proxies by name.

    Returns
    -------
    Checked
        With all diagnostics found, not only the first.
    """
    checker = _Checker(library)
    found = checker.formula(score, lets)
    if found.kind is not None and found.kind != NUMBER:
        checker.report(_not_a_number(found.kind, score.span))
        found.typed = None
    return found


def kinds(
    formulas: Iterable[tuple[str, Expr]], library: Library = NO_LIBRARY
) -> list[AnyKind | None]:
    """The kind of each formula in turn, None where it does not check; it may name those before it."""
    checker = _Checker(library)
    found = [checker.let(name, body) for name, body in formulas]
    return [None if one is None else one.kind for one in found]


def kind_of_expression(expr: Expr, library: Library = NO_LIBRARY) -> Checked:
    """Check an expression of any kind, such as one side of a pair."""
    return _Checker(library).formula(expr, ())


def _not_a_number(found: AnyKind, span: Span) -> Fault:
    if isinstance(found, Pair):
        return Fault(
            "E203", "the score must be one number; this is a pair", span,
            "compare its members with a distance such as L2(…)",
        )  # fmt: skip
    if found.layers and not found.axes:
        shown, wrap = found.describe(), "mean(…) or sum(…)"
        if found.layers == "lin":
            shown = "one number per layer"
    else:
        shown = found.describe()
        wrap = "mean(mean(…)) or sum(sum(…))" if found.layers else "mean(…) or sum(…)"
    return Fault(
        "E203", f"the score must be one number; this is {shown}", span, f"wrap it in {wrap}"
    )


class _Checker(Typing):
    """Typing that knows lets and the library, and says what is wrong where there is no type."""

    def __init__(
        self, library: Library, opened: tuple[str, ...] = (), placed: set[Typed] | None = None
    ) -> None:
        super().__init__()
        self._placed = set() if placed is None else placed  # values that see a population
        self.result = Checked()
        self._library = library
        self._opened = opened  # library proxies whose formulas are being checked
        self._scope: dict[str, Typed | None] = {}
        self._lets: tuple[str, ...] = ()

    def report(self, fault: Fault) -> None:
        if fault.diagnostic not in self.result.diagnostics:
            self.result.diagnostics.append(fault.diagnostic)

    def formula(self, score: Expr, lets: Lets) -> Checked:
        self._lets = tuple(name for name, _ in lets)
        for name, body in lets:
            self.let(name, body)
        root = self.typed(score)
        if root is not None:
            self.result.kind = root.kind
            known = tuple((name, let) for name, let in self._scope.items() if let is not None)
            self.result.typed = TypedFormula(known, root) if self.result.ok else None
        return self.result

    def let(self, name: str, body: Expr) -> Typed | None:
        """Name the value of a formula, for those that follow."""
        self._scope[name] = self.typed(body)
        return self._scope[name]

    def node(self, node: Expr, parts: Sequence[Typed | None]) -> Typed | None:
        try:
            found = super().node(node, parts)
            if found is None and isinstance(node, PairOf):
                _explain_pair(parts)
            elif found is None and isinstance(node, Call):
                self._explain_call(node, parts)
            elif found is not None:
                self._place(found)
            return found
        except Fault as fault:
            self.report(fault)
            return None

    def name(self, name: Name) -> Typed | None:
        if not name.prefix and name.text in self._scope:
            if name.attrs:
                raise Fault("E205", f"the let `{name.text}` takes no attributes", name.span)
            body = self._scope[name.text]
            return None if body is None else Typed(name, body.kind, body=body)
        found = super().name(name)
        if found is not None or statistic_named(name) is not None:
            return found
        if name.text in OPERATORS:
            raise Fault("E201", f"`{name.text}` is an operator", name.span, f"write {name.text}(…)")
        return self._proxy(name)

    def _proxy(self, name: Name) -> Typed | None:
        proxy = self._library.get(name.text)
        if proxy is None and name.text in self._lets:
            raise Fault("E208", f"the let `{name.text}` is not defined yet", name.span,
                        "a let uses those above it")  # fmt: skip
        if proxy is None:
            fix = name_meant(name.text, [*self._scope, *self._library])
            raise Fault(
                "E201", f"there is no statistic, let or proxy `{name.text}`", name.span,
                suggestion(fix) or name_help(name.text), fix,
            )  # fmt: skip
        if name.attrs:
            raise Fault("E205", f"the proxy `{name.text}` takes no attributes", name.span)
        if name.text in self._opened:
            circle = " -> ".join([*self._opened, name.text])
            raise Fault("E208", f"the proxy uses itself: {circle}", name.span)
        inner = _Checker(self._library, (*self._opened, proxy.name), self._placed)
        found = inner.formula(proxy.expression, proxy.definitions)
        for wrong in found.diagnostics:
            where = "" if wrong.code == "E208" else f"in `{proxy.name}`: "
            self.report(Fault(wrong.code, where + wrong.message, name.span))
        if found.typed is None:
            return None
        body = found.typed.score
        return Typed(name, self.one(body.kind), body=body, is_proxy=True)

    def _explain_call(self, call: Call, parts: Sequence[Typed | None]) -> None:
        head = call.head or call.span
        if call.op not in OPERATORS:
            self._no_operator(call.op, head)
        operator_values(OPERATORS[call.op], call.attrs, head)
        kinds = [part.kind for part in parts if part is not None]
        if len(kinds) == len(parts):
            apply(call.op, call.attrs, kinds, call.span, head)

    def _place(self, node: Typed) -> None:
        """Mark what depends on the other networks of a population: only numbers combine with it."""
        inside = [part for part in node.children if part.value() in self._placed]
        op = node.expr.op if isinstance(node.expr, Call) else ""
        if not inside and not (op and OPERATORS[op].sees_population):
            return
        if isinstance(node.expr, PairOf):
            raise Fault("E211", "a pair holds statistics, not places in a population",
                        inside[0].expr.span)  # fmt: skip
        if any(part.kind != NUMBER for part in node.children):
            raise Fault(
                "E211", "a place in a population combines with numbers only", node.expr.span,
                "reduce the other argument with mean(…) or sum(…) first",
            )  # fmt: skip
        self._placed.add(node)

    def _no_operator(self, word: str, head: Span) -> NoReturn:
        said = f"there is no operator `{word}`"
        for what, known in (("let", self._scope), ("statistic", INPUTS), ("proxy", self._library)):
            if word in known:
                hint = f"`{word}` is a {what}; it is written without parentheses"
                raise Fault("E202", said, head, hint)
        fix = operator_meant(word)
        raise Fault("E202", said, head, suggestion(fix) or operator_help(word), fix)


def _explain_pair(members: Sequence[Typed | None]) -> None:
    for member in members:
        if member is not None and isinstance(member.kind, Pair):
            raise Fault("E209", "a pair cannot hold a pair", member.expr.span)
