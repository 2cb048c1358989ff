"""What a search may write: statistics, operators, constants, and which terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from autodas_dsl.evolution.identity import side, twin
from autodas_dsl.language.errors import Fault, FormulaError, InputError
from autodas_dsl.language.infer import Allowed, Typing, never
from autodas_dsl.language.inputs import INPUTS, Statistic
from autodas_dsl.language.operators import ALIASES, GROUPS, OPERATORS, Attrs, Operator
from autodas_dsl.language.parse import parse
from autodas_dsl.language.resolve import statistic_of, suggest
from autodas_dsl.language.tree import Expr, Name, PairOf

DEFAULT_INPUTS = (
    "W", "grad W", "A", "grad A", "chancov(A)", "chancorr(A)", "chancov(grad A)",
    "F_s", "F_t", "E_s", "E_t", "P_s", "P_t",
)  # fmt: skip
TERMS = ("both", "instinct", "interaction")
POPULATION = "population"
CONSTANTS = (0.5, 1.0, 2.0, 3.0, 4.0, 10.0)


@cache
def leaf(statistic: Statistic) -> Expr:
    """A statistic as a formula writes it."""
    return parse(str(statistic))


@dataclass(frozen=True)
class Vocabulary:
    """Everything that a random formula is made of.

    Parameters
    ----------
    statistics : tuple of Statistic
        Those that the formulas may name, in order.
    operators : tuple of str
        Canonical operator names, in order.
    terms : str
        ``"both"``; ``"instinct"`` for terms about the student alone; ``"interaction"`` for terms
        that compare student and teacher.
    allowed : callable
        Whether a requirement such as ``C_s = C_t`` holds for the networks at hand.
    """

    statistics: tuple[Statistic, ...]
    operators: tuple[str, ...]
    terms: str = "both"
    allowed: Allowed = never

    def __post_init__(self) -> None:
        if self.terms not in TERMS:
            raise ValueError(f"terms must be one of {TERMS}, not {self.terms!r}")
        if self.terms != "interaction" and not self.own:
            raise InputError(
                "E620", "no statistic of the student is left to search over",
                "give more --inputs, or search with --terms interaction",
            )  # fmt: skip
        if self.terms == "interaction" and not self.pairs:
            raise InputError(
                "E621", "comparing student and teacher needs a statistic of both",
                "add F_s and F_t, E_s and E_t, or P_s and P_t to --inputs, and give a teacher",
            )  # fmt: skip

    @cached_property
    def typing(self) -> Typing:
        return Typing(self.allowed)

    @cached_property
    def own(self) -> tuple[Expr, ...]:
        """Leaves about the student alone."""
        names = (leaf(statistic) for statistic in self.statistics)
        return tuple(name for name in names if not isinstance(name, Name) or side(name) != "_t")

    @cached_property
    def pairs(self) -> tuple[PairOf, ...]:
        """Leaf pairs, ``[F_s, F_t]``."""
        known = {leaf(statistic) for statistic in self.statistics}
        return tuple(
            PairOf(name, twin(name))
            for name in self.own
            if isinstance(name, Name) and side(name) == "_s" and twin(name) in known
        )

    @cached_property
    def leaves(self) -> tuple[Expr, ...]:
        """Every leaf that a term of this search may start from."""
        own: tuple[Expr, ...] = () if self.terms == "interaction" else self.own
        return own + (() if self.terms == "instinct" else self.pairs)

    @cached_property
    def unary(self) -> tuple[tuple[Operator, tuple[Attrs, ...]], ...]:
        """Operators of one argument (distances take a pair), each with the attributes to draw."""
        entries = (OPERATORS[name] for name in self.operators)
        return tuple((e, attributes(e)) for e in entries if e.arity == 1 or e.is_distance)

    @cached_property
    def binary(self) -> tuple[Operator, ...]:
        entries = (OPERATORS[name] for name in self.operators)
        return tuple(e for e in entries if e.arity == 2 and not e.is_distance)


def takes_constant(entry: Operator) -> bool:
    """Whether an operator of two arguments combines a value with a constant."""
    return entry.group == "arithmetic" and entry.signature == "x, y -> x"


def attributes(entry: Operator) -> tuple[Attrs, ...]:
    """The attributes that a search draws from for an operator; the first are the defaults."""
    words: list[Attrs] = [()]
    if entry.axes:
        rest = entry.axes if entry.is_reduction else entry.axes[1:]
        words += [(("", word),) for word in rest]
    found = words
    for declared in entry.attrs:
        values = [v for v in declared.search if v != declared.default]
        found = found + [(*attrs, (declared.name, float(v))) for attrs in words for v in values]
    return tuple(found)


def needs_gradient(statistic: Statistic) -> bool:
    """Whether collecting or naming this statistic involves a gradient."""
    return bool(statistic.prefix) or "backward" in INPUTS[statistic.base].needs


def chosen_statistics(
    texts: Iterable[str] = DEFAULT_INPUTS, gradient_free: bool = False
) -> tuple[Statistic, ...]:
    """Statistics from what a user wrote, each once, in that order.

    Raises
    ------
    InputError
        E622 for a text that is no statistic, E623 when nothing is left.
    """
    found = list(dict.fromkeys(_statistic(text.strip()) for text in texts if text.strip()))
    kept = tuple(s for s in found if not (gradient_free and needs_gradient(s)))
    if not kept:
        raise InputError("E623", "there are no inputs to search over", "name some with --inputs")
    return kept


def _statistic(text: str) -> Statistic:
    try:
        found = statistic_of(parse(text, "--inputs"))
    except (Fault, FormulaError):
        found = None
    if found is None:
        raise InputError(
            "E622", f"`{text}` is not a statistic",
            suggest(text, INPUTS) or "statistics are W, grad W, A, chancov(A), F_s, F_t, …",
        )  # fmt: skip
    return found


def chosen_operators(words: Sequence[str] = ()) -> tuple[str, ...]:
    """Operators from names and groups a user wrote; all that evolution may draw when empty.

    ``sum`` and ``mean`` are always there: without them few formulas end in a number.

    Raises
    ------
    InputError
        E624 for a word that is neither an operator nor a group.
    """
    everything = [entry.name for entry in OPERATORS.values() if entry.search]
    if not words:
        return tuple(everything)
    wanted = {"sum", "mean"}
    for word in words:
        name = word if word in GROUPS else ALIASES.get(word, word)
        members = {entry.name for entry in OPERATORS.values() if entry.group == name}
        if name == POPULATION or (name in OPERATORS and OPERATORS[name].sees_population):
            raise InputError(
                "E624", f"`{word}` sees a population, a search scores one network at a time",
                "leave it out",
            )  # fmt: skip
        if name not in OPERATORS and not members:
            raise InputError(
                "E624", f"`{word}` is neither an operator nor a group of operators",
                suggest(word, [*OPERATORS, *ALIASES, *GROUPS]) or "autodas-dsl ops lists them",
            )  # fmt: skip
        wanted |= {name} if name in OPERATORS else {m for m in members if m in everything}
    return tuple(name for name in OPERATORS if name in wanted)
