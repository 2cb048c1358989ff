"""Everything that a search is told: declared once, for Python, the command line and ``run.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from autodas_dsl.evolution.vocabulary import (
    DEFAULT_INPUTS,
    TERMS,
    chosen_operators,
    takes_constant,
)
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.resolve import suggest
from autodas_dsl.language.searchers import OWN_STRATEGIES, PROPOSERS, STRATEGIES

if TYPE_CHECKING:
    from autodas_dsl.scoring.setting import Data, Teacher

OBJECTIVES = ("mean", "min")
BASELINES = ("params", "flops", "snip", "synflow", "rho_cnn_s0", "rho_cnn_s0_aligned")


@dataclass(frozen=True)
class Declared:
    """What is said about an option beside its default.

    Attributes
    ----------
    help : str
        On the command line; empty for an option that several commands share.
    low, high : float or None
        The range of a number.
    choices : tuple of str
        All values of a text.
    metavar, option : str
        How the command line writes it.
    shown : bool
        The help tells the default.
    """

    help: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    metavar: str = "N"
    option: str = ""
    shown: bool = False


def _option(default: Any, *said: Any, **more: Any) -> Any:
    return field(default=default, metadata={"declared": Declared(*said, **more)})


def declared(one: Field[Any]) -> Declared:
    """What is said about a field of `Config`."""
    found: Declared = one.metadata["declared"]
    return found


@dataclass(frozen=True)
class Config:
    """What a search does, what its networks are scored under, and what only stops or speeds it up.

    Parameters
    ----------
    population, iterations, tournament, elite : int, int, float, int
        P, T, r and k of Algorithm 1.
    brood : int
        Pairs of a child and a fresh formula that one iteration makes; Algorithm 1 makes one.
    crossover : float
        Share of the children that have two parents.
    strategy : str
        One of `STRATEGIES`, or one of a file that was loaded.
    proposer : str
        A function of a file that was loaded, which proposes formulas; empty: none.
    objective : str
        ``mean`` or ``min`` over several tables.
    terms : str
        ``both``, ``instinct`` or ``interaction``.
    gradient_free : bool
        No statistic that is a gradient.
    inputs, operators : tuple of str
        What formulas may be made of; no operators: all that evolution may draw.
    seeds : tuple of str
        Library names, files or expressions that the first population starts with.
    max_complexity : int
        Nodes that a formula may have.
    parsimony : float
        Taken off the fitness for each node.
    folds : int
        0, or the parts of the jackknife (see `fitness.Objective`).
    terms_max : int
        Terms of the sum that is built of the formulas found (see `best_sum`); 1: no sum.
    fit_constants : bool
        Fit constants of the best formulas when the generations are over (see `constants`).
    null : bool
        Shuffle the accuracies first: the tau one gets from nothing.
    screening : bool
        Look at formulas on a few architectures and a sample of their statistics first.
    memory : float
        GiB for statistics (see `prepare`), which tables share by their architectures. Changes no
        result.
    thin : float
        0, or GiB that activations are thinned to, shared likewise.
    margin : float
        A formula is screened out when its tau on the screen falls this far below the worst of the
        population.
    null_repeats : int
        Searches on shuffled accuracies that estimate the null level; 0: none.
    max_time : float, optional
        Seconds after which the search stops at the end of a generation.
    max_evaluations, patience : int
        Stop after so many formulas, or so many iterations without progress; 0: never.
    stop_at : float
        Stop at this tau; 0: never.
    baselines : tuple of str
        Formulas reported beside the best one; those that do not fit, with the requirement.
    target : str, optional
        Accuracy column; of several, separated by commas, each table takes the first that it has.
    split : str
        How selection and report are parted, see `splits.split`.
    space : str, optional
        Space of tables that do not say theirs.
    teacher : Teacher, optional
        By default the usual one of each space.
    data : tuple of Data
        For all tables, or one for each; by default what each space is usually scored on.
    size : int, optional
        Samples of that usual data.
    seed : int
        Of the search, and of split, weights and batch.
    dtype : str
        Of the passes and of the formulas, ``float32`` or ``float64``.
    device : str
        Where networks run and formulas are computed.

    Raises
    ------
    InputError
        E630 a value is none of the choices; E631 one is out of range; E632 more elite than
        population; E633 there is no such proposer; E670 constants are to be fitted
        where there are none.
    """

    population: int = _option(40, "Formulas kept.", 2, 100_000, shown=True)
    iterations: int = _option(100, "Generations.", 0, 10_000_000, shown=True)
    tournament: float = _option(
        0.9, "Share of the population a tournament draws.", 0.0, 1.0, shown=True
    )
    elite: int = _option(
        5, "Best of the tournament that parents come from.", 1, 100_000, shown=True
    )
    brood: int = _option(1, "Children and fresh formulas per generation.", 1, 100_000, shown=True)
    crossover: float = _option(0.5, "Share of the children with two parents.", 0.0, 1.0, shown=True)
    strategy: str = _option(
        "nsga2", ", ".join(STRATEGIES) + " or your own.", metavar="NAME", shown=True,
    )  # fmt: skip
    proposer: str = _option("", "A function of yours that proposes formulas.", metavar="NAME")
    objective: str = _option(
        "mean", "Over several tables.", choices=OBJECTIVES, metavar="mean|min", shown=True
    )
    terms: str = _option(
        "both", "both, instinct (student alone) or interaction (with the teacher).", choices=TERMS,
        metavar="NAME",
    )  # fmt: skip
    gradient_free: bool = _option(False, "No gradient in any formula.")
    inputs: tuple[str, ...] = _option(
        DEFAULT_INPUTS, "Statistics that formulas may name.", metavar="A,B"
    )
    operators: tuple[str, ...] = _option(
        (), "Operators or groups that formulas may use.", metavar="A,B"
    )
    seeds: tuple[str, ...] = _option(
        (), "Formulas that the first population starts with.", metavar="PROXY,…",
        option="--seed-with",
    )  # fmt: skip
    max_complexity: int = _option(20, "Nodes a formula may have.", 2, 150, shown=True)
    parsimony: float = _option(0.001, "Taken off the fitness per node.", 0.0, 1.0, shown=True)
    folds: int = _option(
        0, "Jackknife parts of the selection, against fitting noise.", 0, 100, shown=True
    )
    terms_max: int = _option(
        3, "Terms of the sum built of the formulas found; 1: no sum.", 1, 16, shown=True
    )
    fit_constants: bool = _option(
        False, "Fit constants of the best formulas when the search is over."
    )
    null: bool = _option(False, "Shuffle the accuracies first: what the search finds in nothing.")
    screening: bool = _option(
        False, "Look at formulas on few architectures and a sample of statistics first."
    )
    memory: float = _option(
        4.0, "For statistics; those that do not fit lie on disk.", 0.01, 4096, metavar="GIB",
        shown=True,
    )  # fmt: skip
    thin: float = _option(
        0.0, "Thin activations until statistics fit in so many GiB; 0: never.", 0, 4096,
        metavar="GIB",
    )  # fmt: skip
    margin: float = _option(
        0.15, "How far below the population a screened formula may be.", 0.0, 2.0, shown=True
    )
    null_repeats: int = _option(
        3, "Searches on shuffled accuracies for the null level.", 0, 100, shown=True
    )
    max_time: float | None = _option(None, "Seconds; stops at the end of a generation.")
    max_evaluations: int = _option(0, "Stop after so many formulas.", 0, 10**12)
    patience: int = _option(0, "Stop after so many generations without progress.", 0, 10**12)
    stop_at: float = _option(0.0, "Stop at this tau on the selection.", 0.0, 1.0)
    baselines: tuple[str, ...] = _option(
        BASELINES, "Formulas to compare with.  [default: params, snip and others]",
        metavar="PROXY,…",
    )  # fmt: skip
    target: str | None = _option(
        None,
        "The accuracy column, the first that a table has.  [default: kd, or the only one]",
        metavar="COLUMN,…",
    )
    split: str = _option(
        "half", "Architectures to select on and to report on.", metavar="half|K/N", shown=True
    )
    space: str | None = _option(None)
    teacher: Teacher | None = _option(None)  # noqa: RUF009, a field
    data: tuple[Data, ...] = _option(())
    size: int | None = _option(None)
    seed: int = _option(0, low=0, high=2**63 - 1)
    dtype: str = _option("float32", choices=("float32", "float64"))
    device: str = _option("cpu")

    def __post_init__(self) -> None:
        for one in fields(self):
            if isinstance(getattr(self, one.name), list):
                object.__setattr__(self, one.name, tuple(getattr(self, one.name)))
            _check(one.name.replace("_", "-"), getattr(self, one.name), declared(one))
        _check_choice("strategy", self.strategy, (*STRATEGIES, *OWN_STRATEGIES))
        if self.proposer and self.proposer not in PROPOSERS:
            raise InputError(
                "E633", f"there is no proposer `{self.proposer}`",
                suggest(self.proposer, PROPOSERS) or "give the file that defines it with --with",
            )  # fmt: skip
        if self.elite > self.population:
            raise InputError(
                "E632", f"elite {self.elite} is more than the population {self.population}",
                "choose a smaller elite",
            )  # fmt: skip
        if self.folds == 1:
            raise InputError("E631", "folds must be 0 or at least 2, not 1")
        if self.fit_constants and not (self.seeds or self.proposer or self._has_constants):
            raise InputError(
                "E670", "no formula of this search can hold a constant",
                "add arithmetic to --operators, or search without --fit-constants",
            )  # fmt: skip

    @property
    def _has_constants(self) -> bool:
        return any(takes_constant(OPERATORS[name]) for name in chosen_operators(self.operators))

    def as_json(self) -> dict[str, Any]:
        """What determines the search itself, as ``run.json`` has it; tuples as lists."""
        values = {SAVED_AS.get(name, name): getattr(self, name) for name in SAVED}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


SAVED = (
    "population", "iterations", "tournament", "elite", "strategy", "proposer", "brood", "crossover", "seed",
    "max_complexity", "parsimony", "folds", "terms_max", "fit_constants",
    "objective", "margin", "terms", "inputs", "operators",
    "gradient_free", "seeds", "null", "max_evaluations", "patience", "stop_at",
)  # fmt: skip
"""The fields that ``run.json`` keeps, in its order: the others are in its tables, or only stop or
speed up the search."""

SAVED_AS = {"stop_at": "target"}


def _check(name: str, value: Any, said: Declared) -> None:
    if said.choices:
        _check_choice(name, value, said.choices)
    if said.low is not None and said.high is not None and not said.low <= value <= said.high:
        raise InputError("E631", f"{name} must be from {said.low} to {said.high}, not {value}")


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InputError(
            "E630", f"{name} is one of {', '.join(choices)}, not {value}", suggest(value, choices)
        )


def changed(options: dict[str, Any]) -> dict[str, Any]:
    """The fields that differ from their defaults in what `Config.as_json` gave."""
    names = {SAVED_AS.get(name, name): name for name in SAVED}
    typed = {
        names[key]: tuple(value) if isinstance(value, list) else value
        for key, value in options.items()
        if key in names
    }
    return {name: value for name, value in typed.items() if value != getattr(Config, name)}
