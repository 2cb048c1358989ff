"""The operator table: one operator, one entry.

From an entry come name resolution, suggestions, kind checking, emission, LaTeX, the sympy form,
the search vocabulary, ``autodas-dsl ops``, the language reference and the parameters of the tests.
To add one, add one ``op(…)`` line to the family it belongs to.
"""

from autodas_dsl.language.operators.elementwise import ARITHMETIC, ELEMENTWISE
from autodas_dsl.language.operators.entry import (
    GROUPS,
    LAWS,
    LEVELS,
    Attribute,
    Attrs,
    Operator,
    Value,
    format_number,
    format_value,
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

BINARY: dict[str, str] = {e.word: e.name for e in OPERATORS.values() if e.word != e.name}
"""Words that mean another operator where they have two arguments: ``max(a, b)``."""

NORM_MARKS: dict[str, str] = {
    template.rpartition("}")[2][1:]: entry.name
    for entry in OPERATORS.values()
    for template in (entry.text, entry.unicode)
    if template.startswith(("|", "‖")) and not template.endswith("}|")
}
"""What stands after the closing bar of a norm: ``_F``, ``_∞``, ``₁``."""

__all__ = [
    "ALIASES",
    "BINARY",
    "GROUPS",
    "LAWS",
    "LEVELS",
    "NORM_MARKS",
    "OPERATORS",
    "Attribute",
    "Attrs",
    "Operator",
    "Value",
    "axis_dims",
    "format_number",
    "format_value",
    "op",
    "reduced_axes",
    "result_kind",
]
