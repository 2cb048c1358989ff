"""The operator table: one operator, one entry.

From an entry come name resolution, suggestions, kind checking, emission, LaTeX, the sympy form,
the search vocabulary, ``autodas-dsl ops``, the language reference and the parameters of the tests.
To add one, add one ``op(…)`` line to the family it belongs to.
"""

from autodas_dsl.language.operators.elementwise import ARITHMETIC, ELEMENTWISE
from autodas_dsl.language.operators.entry import (
    GROUPS,
    LAWS,
    Attribute,
    Attrs,
    Operator,
    Value,
    op,
)
from autodas_dsl.language.operators.measures import DISTANCES, NORMS, REDUCTIONS
from autodas_dsl.language.operators.population import POPULATION
from autodas_dsl.language.operators.rules import axis_dims, reduced_axes, result_kind
from autodas_dsl.language.operators.shaping import NORMALISE, SPECTRAL, TRANSFORMS

OPERATORS: dict[str, Operator] = {
    entry.name: entry
    for family in (
        ARITHMETIC, ELEMENTWISE, NORMALISE, TRANSFORMS, SPECTRAL, DISTANCES, NORMS, REDUCTIONS,
        POPULATION,
    )
    for entry in family
}  # fmt: skip

ALIASES: dict[str, str] = {
    alias: entry.name for entry in OPERATORS.values() for alias in entry.aliases
}

__all__ = [
    "ALIASES",
    "GROUPS",
    "LAWS",
    "OPERATORS",
    "Attribute",
    "Attrs",
    "Operator",
    "Value",
    "axis_dims",
    "op",
    "reduced_axes",
    "result_kind",
]
