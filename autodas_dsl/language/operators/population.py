"""Operators that see a number of one network against those of others.

The population is the networks that are scored together, or one that a document froze in its
``reference:`` lines. Their values are made by `compiler.populated` from numbers of all networks, never
by the engine, which sees one network at a time.
"""

from functools import partial

from autodas_dsl.language.operators.entry import Operator, op

_population = partial(op, signature="number -> number", group="population", torch="", search=False)

POPULATION: list[Operator] = [
    _population("percentile",
        doc="Share of the population below a number of a network, equal ones counted half.",
        latex=r"\operatorname{{pct}}\!\left({0}\right)", laws="increasing nonnegative", hides=True,
        example="percentile(sum(|W|_1))"),
    _population("standardise",
        doc="(x - mean) / standard deviation over the population; 0 where all are equal.",
        latex=r"\operatorname{{z}}\!\left({0}\right)", laws="increasing",
        example="standardise(sum(|W|_1))"),
]  # fmt: skip
