"""Simplification with proof: laws and sympy propose, a judge disposes.

Every step must make the formula smaller, keep its kind and its requirements, and be proven by the
judge on numbers, both where it happens and for the whole formula. The number of steps is bounded
and no clock decides, so the result is the same on every machine. The limits on the time and the
memory of sympy are a safety net: when it strikes, the raw formula stays and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from autodas_dsl.language.check import Lets, kind_of_expression
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.kinds import NUMBER, Pair
from autodas_dsl.language.library import LIBRARY, typed
from autodas_dsl.language.proxy import Formula, Proxy
from autodas_dsl.language.tree import (
    Call,
    Expr,
    Name,
    Number,
    Path,
    children,
    complexity,
    depth,
    negated,
    put,
    walk,
    with_children,
)
from autodas_dsl.language.typed import Typed, inlined
from autodas_dsl.simplify.laws import proposals, root_proposals
from autodas_dsl.simplify.proposals import SympyStopped, ask_sympy

Ask = Callable[[Expr], list[tuple[str, Expr]]]
Measure = tuple[int, int]
NOTE = "x-ranks-like"
"""The header of a document whose scores are not those of the raw formula, only its ranking."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a simplification may try.

    `steps` bounds the steps taken, `proofs` the proofs asked for, `rounds` the questions to sympy,
    `nodes` and `depth` the size above which sympy is not asked. `seconds` and `megabytes` (MiB) are
    the safety net under sympy.
    """

    steps: int = 100
    proofs: int = 600
    rounds: int = 3
    nodes: int = 300
    depth: int = 100
    seconds: float = 60.0
    megabytes: int = 1024


DEFAULT = Budget()


Judge = Callable[[Expr, Expr], str]
"""Why two formulas do not agree, in one clause; empty where they do."""


@dataclass(frozen=True, slots=True)
class Judges:
    """Who decides.

    Parameters
    ----------
    unequal : callable
        Of two expressions of one kind, of any kind: whether they have the same values on random
        statistics, not finite in the same places.
    rescored : callable, optional
        Whether two formulas have the same scores and ranking on the architectures of a run.
    reordered : callable, optional
        Whether two formulas rank random networks, and those of a run, alike; for ranking only.
    """

    unequal: Judge
    rescored: Judge | None = None
    reordered: Judge | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One law applied to one part; `whole` is the formula after it, lets inlined."""

    law: str
    before: Expr
    after: Expr
    whole: Expr
    ranking_only: bool = False


@dataclass(frozen=True, slots=True)
class Simplified:
    """What became of a formula.

    Parameters
    ----------
    raw : Proxy
    proxy : Proxy
        The simplified formula, or the raw one.
    steps : tuple of Step
        Those that led to `proxy`.
    reason : str
        Why the raw formula stays, or why later steps were taken back; may be empty.
    """

    raw: Proxy
    proxy: Proxy
    steps: tuple[Step, ...] = ()
    reason: str = ""

    @property
    def ranking_only(self) -> bool:
        """Whether the scores differ and only the ranking is kept."""
        return any(step.ranking_only for step in self.steps)


def simplify(
    proxy: Proxy,
    judges: Judges,
    *,
    rank: bool = False,
    budget: Budget = DEFAULT,
    ask: Ask | None = None,
) -> Simplified:
    """The smallest formula that the laws reach and the judges accept.

    Parameters
    ----------
    proxy : Proxy
    judges : Judges
    rank : bool
        Also drop what cannot change a ranking, at the root; needs `reordered`.
    budget : Budget
    ask : callable, optional
        Another source of proposals in the place of sympy.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    ValueError
        When `rank` is asked for without a judge of order.
    """
    if rank and judges.reordered is None:
        raise ValueError("ranking needs a judge of order")
    formula = proxy.typed()
    if proxy.references:
        return Simplified(proxy, proxy, (), "its references belong to the terms as they stand")
    lets = tuple((name, inlined(body, proxies=False)) for name, body in formula.lets)
    raw = inlined(formula.score, proxies=False)
    sympy_asked = ask or (lambda expr: ask_sympy(expr, budget.seconds, budget.megabytes))
    search = _Search(raw, judges, budget, sympy_asked, proxy.better == "higher")
    try:
        search.run(rank)
    except SympyStopped as stopped:
        return Simplified(proxy, proxy, (), str(stopped))
    return _accepted(proxy, raw, lets, search)


def _accepted(proxy: Proxy, raw: Expr, lets: Lets, search: _Search) -> Simplified:
    """The last state that is smaller and that the judges accept as a whole."""
    reason = search.exhausted
    for count in range(len(search.steps), 0, -1):
        steps = tuple(search.steps[:count])
        whole = steps[-1].whole
        if complexity(whole) >= complexity(raw) and not steps[-1].ranking_only:
            reason = reason or "no smaller formula was found"
            continue
        refused = search.judge_whole(raw, steps)
        if not refused:
            return Simplified(proxy, _rewritten(proxy, whole, lets, steps), steps, reason)
        reason = reason or f"`{format_expression(whole)}` was refused: {refused}"
    return Simplified(proxy, proxy, (), reason or "no law makes it smaller")


def _rewritten(proxy: Proxy, whole: Expr, lets: Lets, steps: tuple[Step, ...]) -> Proxy:
    """The document with the new formula; what was measured for the old one is left out."""
    kept, score = fold_lets(whole, lets)
    formulas = tuple(Formula(name, body) for name, body in kept)
    extra = proxy.extra
    dropped = [step.law for step in steps if step.ranking_only]
    if dropped:
        extra = tuple(item for item in extra if item[0] != NOTE)
        extra += ((NOTE, f"same ranking, other values; dropped by {'; '.join(dropped)}"),)
    return replace(
        proxy, score=Formula("score", score), lets=formulas, notes=(), text=None, inputs=None,
        extra=extra,
        measured=() if dropped else proxy.measured,
    )  # fmt: skip


def fold_lets(expr: Expr, lets: Lets) -> tuple[Lets, Expr]:
    """The lets whose bodies still occur, and the formula that uses them.

    A let whose body was simplified away is dropped.

    Parameters
    ----------
    lets : tuple of (name, Expr)
        Their bodies without let names.
    """
    kept: list[tuple[str, Expr]] = []
    known: dict[Expr, Name] = {}
    for name, body in lets:
        if complexity(body) > 1:
            known.setdefault(body, Name(name))
    for body, symbol in known.items():
        if any(node == body for node in walk(expr)):
            inner = {b: n for b, n in known.items() if complexity(b) < complexity(body)}
            kept.append((symbol.text, _take(body, inner)))
    return tuple(kept), _take(expr, known)


def _take(expr: Expr, known: Mapping[Expr, Name]) -> Expr:
    """Replace known parts by their names, the largest first."""
    if expr in known:
        return known[expr]
    return with_children(expr, tuple(_take(part, known) for part in children(expr)))


class _Search:
    """The state of one simplification: the formula so far and the steps that led there."""

    def __init__(
        self, raw: Expr, judges: Judges, budget: Budget, ask: Ask, higher: bool = True
    ) -> None:
        self.current = raw
        self.higher = higher
        self.judges = judges
        self.budget = budget
        self.ask = ask
        self.steps: list[Step] = []
        self.proofs = 0
        self.refused: set[tuple[Expr, Expr]] = set()
        self.requirements = set(map(str, typed(raw).requirements))
        self.exhausted = ""

    def run(self, rank: bool) -> None:
        rounds = 0
        while self._within_budget():
            if self._by_law():
                continue
            if rank and self._at_root():
                continue
            if rounds >= self.budget.rounds or self._too_large() or not self._by_sympy():
                return
            rounds += 1

    def _too_large(self) -> bool:
        """Whether the formula is too large to ask sympy about; then the reason says so."""
        nodes, deep = complexity(self.current), depth(self.current)
        if nodes > self.budget.nodes:
            self.exhausted = f"sympy was not asked: {nodes} nodes, its limit is {self.budget.nodes}"
        elif deep > self.budget.depth:
            self.exhausted = (
                f"sympy was not asked: nested {deep} deep, its limit is {self.budget.depth}"
            )
        return bool(self.exhausted)

    def _within_budget(self) -> bool:
        if len(self.steps) >= self.budget.steps:
            self.exhausted = f"stopped after {self.budget.steps} steps"
        elif self.proofs >= self.budget.proofs:
            self.exhausted = f"stopped after {self.budget.proofs} proofs"
        return not self.exhausted

    def _by_law(self) -> bool:
        """Take the first proposal of a law that is proven, innermost parts first."""
        for path, node, enclosing in places(typed(self.current).score):
            for found in proposals(node):
                whole = put(self.current, path, found.expr)
                if not self._improves(whole):
                    continue
                outer, before = enclosing[0], enclosing[1].expr
                after = put(before, path[len(outer) :], found.expr)
                if self._agrees(self.judges.unequal, before, after):
                    self._take(Step(found.law, node.expr, found.expr, whole))
                    return True
        return False

    def _by_sympy(self) -> bool:
        """Take the smallest proposal of sympy that is proven."""
        answers = [(law, expr) for law, expr in self.ask(self.current) if self._improves(expr)]
        answers.sort(key=lambda answer: (measure(answer[1]), format_expression(answer[1])))
        for law, expr in answers:
            if self._agrees(self.judges.unequal, self.current, expr):
                self._take(Step(f"sympy: {law}", self.current, expr, expr))
                return True
        return False

    def _at_root(self) -> bool:
        for found in root_proposals(typed(self.current).score):
            changed = found.expr != self.current and self._fits(found.expr)
            if changed and self._agrees(self._reordered, self.current, found.expr):
                self._take(Step(found.law, self.current, found.expr, found.expr, True))
                return True
        return False

    def _take(self, step: Step) -> None:
        self.steps.append(step)
        self.current = step.whole

    def _improves(self, whole: Expr) -> bool:
        return measure(whole) < measure(self.current) and self._fits(whole)

    def _fits(self, whole: Expr) -> bool:
        """It is still one number and asks nothing new of the networks."""
        found = kind_of_expression(whole, LIBRARY)
        known = set(map(str, found.requirements)) <= self.requirements
        return found.kind == NUMBER and found.ok and known

    def _agrees(self, judge: Judge, before: Expr, after: Expr) -> bool:
        if (before, after) in self.refused:
            return False
        self.proofs += 1
        agrees = not judge(before, after)
        if not agrees:
            self.refused.add((before, after))
        return agrees

    def _reordered(self, before: Expr, after: Expr) -> str:
        """The judge of order, asked about scores of which a higher one is better."""
        judge = self.judges.reordered
        assert judge is not None  # `simplify` asked for it
        if self.higher:
            return judge(before, after)
        return judge(negated(before), negated(after))

    def judge_whole(self, raw: Expr, steps: tuple[Step, ...]) -> str:
        """The last word: the whole formula against the raw one."""
        whole = steps[-1].whole
        if any(step.ranking_only for step in steps):
            return self._reordered(raw, whole)
        found = self.judges.unequal(raw, whole)
        if not found and self.judges.rescored is not None:
            found = self.judges.rescored(raw, whole)
        return found


def measure(expr: Expr) -> Measure:
    """What every step lowers: nodes, then the depth of constants and minus signs.

    A minus sign is no level itself, so moving one outwards lifts nothing else down.
    """
    total = 0
    stack = [(expr, 0)]
    while stack:
        node, level = stack.pop()
        minus = isinstance(node, Call) and node.op == "neg"
        total += level if minus or isinstance(node, Number) else 0
        stack.extend((child, level if minus else level + 1) for child in children(node))
    return complexity(expr), total


def places(
    node: Typed, path: Path = (), around: tuple[Path, Typed] | None = None
) -> Iterator[tuple[Path, Typed, tuple[Path, Typed]]]:
    """Every node with its path, children first, and the smallest part around it that is no pair."""
    here = (path, node) if around is None or not isinstance(node.kind, Pair) else around
    for number, child in enumerate(node.children):
        yield from places(child, (*path, number), here)
    yield path, node, here


def explain(result: Simplified) -> str:
    """The steps, one below the other, each with its law; or why there are none."""
    lines: list[str] = []
    for number, step in enumerate(result.steps, 1):
        kept = "  (keeps the ranking only)" if step.ranking_only else ""
        lines.append(f"{number}. {step.law}{kept}")
        lines.append(f"     {format_expression(step.before)}")
        lines.append(f"  -> {format_expression(step.after)}")
    if result.reason:
        lines.append(f"note: {result.reason}")
    return "\n".join(lines)
