"""What a name means: statistics, operators, attributes; with suggestions when it means nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from autodas_dsl.language.errors import Fault, Fix
from autodas_dsl.language.inputs import INPUTS, NTK_SAMPLES, Input, Statistic
from autodas_dsl.language.nearest import nearest, slips
from autodas_dsl.language.operators import (
    ALIASES,
    OPERATORS,
    Attribute,
    Attrs,
    Operator,
    Value,
    format_value,
)
from autodas_dsl.language.spans import Span
from autodas_dsl.language.tree import Call, Expr, Name

MAX_PARTS = 64


def meant(word: str, known: Iterable[str]) -> Fix | None:
    """The known word to write for an unknown one, sure where it is one slip from that word alone."""
    names = list(known)
    close = nearest(word, names)
    return Fix(close, slips(word, names) == [close], word=word) if close else None


def suggestion(fix: Fix | None) -> str:
    """ "did you mean …?" or the empty string."""
    return f"did you mean `{fix.text}`?" if fix else ""


def suggest(word: str, known: Iterable[str]) -> str:
    """The suggestion of the nearest known word."""
    return suggestion(meant(word, known))


def operator_meant(word: str) -> Fix | None:
    """The operator to write for one that there is not, by its canonical name."""
    if f"{word}_s" in INPUTS or _derivative(word) is not None or word in _PREFIXES:
        return None
    found = meant(word, [*OPERATORS, *ALIASES])
    return found and replace(found, text=ALIASES.get(found.text, found.text))


def operator_help(word: str) -> str:
    """What to do about an operator that there is not, and that is near to none."""
    if f"{word}_s" in INPUTS:
        return f"`{word}_s` is a statistic; it is written without parentheses"
    if word in _PREFIXES:
        return f"write {word} W"
    derivative = _derivative(word)
    return f"write {derivative.text}" if derivative else "autodas-dsl ops lists them"


def name_meant(word: str, known: Iterable[str]) -> Fix | None:
    """What to write for a name that is no let, statistic or proxy."""
    base, side = word[:-2], word[-2:]
    if f"{word}_s" in INPUTS or (side == "_t" and base in INPUTS) or word in _PREFIXES:
        return None
    if side == "_s" and base in INPUTS:
        return Fix(base, sure=True, word=word)
    statistics = [name for name in INPUTS if " " not in name]
    return _derivative(word) or meant(word, [*statistics, *known])


def name_help(word: str) -> str:
    """What to do about a name that is no let, statistic or proxy, and that is near to none."""
    if f"{word}_s" in INPUTS:
        return f"write {word}_s for the student's or {word}_t for the teacher's"
    if word.endswith("_t") and word[:-2] in INPUTS:
        return f"only the student has `{word[:-2]}`"
    return f"write {word} W" if word in _PREFIXES else "autodas-dsl ops lists the statistics"


_PREFIXES = ("grad", "hess")


def _derivative(word: str) -> Fix | None:
    """For ``gradW`` and ``grad_W``."""
    for prefix in _PREFIXES:
        found = f"{prefix} {word.removeprefix(prefix).removeprefix('_')}"
        if word.startswith(prefix) and found in INPUTS:
            return Fix(found, sure=True, word=word)
    return None


def statistic_named(name: Name) -> Statistic | None:
    """The statistic that a name denotes, or None when its base is no statistic.

    Raises
    ------
    Fault
        E205 or E206 for an attribute that the statistic does not take.
    """
    base = f"{name.prefix} {name.text}" if name.prefix else name.text
    entry = INPUTS.get(base)
    if entry is None:
        if name.prefix:
            allowed = sorted(b.partition(" ")[2] for b in INPUTS if b.startswith(f"{name.prefix} "))
            raise Fault(
                "E201", f"there is no `{base}`", name.span,
                f"{name.prefix} stands before {', '.join(allowed)}",
            )  # fmt: skip
        return None
    if name.prefix and name.attrs:
        raise Fault(
            "E205", f"`{name.text}` after {name.prefix} takes no attributes", name.span,
            f"write {name.prefix}[…] {name.text}",
        )  # fmt: skip
    found: dict[str, Value | bool] = {}
    for key, value in name.prefix_attrs if name.prefix else name.attrs:
        slot, content = _slot(entry, key, value, name.span)
        if slot in found:
            raise Fault("E205", f"`{base}` has two attributes that exclude each other", name.span)
        found[slot] = content
    if found.get("probe") and found.get("parts"):
        raise Fault("E205", f"`{base}` has two attributes that exclude each other", name.span)
    if entry.name == "NTK":
        found.setdefault("parts", NTK_SAMPLES)
    return Statistic(name.text, name.prefix, **found)  # type: ignore[arg-type]


def statistic_of(expr: Expr) -> Statistic | None:
    """What is collected as one thing: a statistic or, such as ``chancov(A)``, an operator on one.

    Raises
    ------
    Fault
        As `statistic_named`.
    """
    if isinstance(expr, Name):
        return statistic_named(expr)
    if isinstance(expr, Call) and len(expr.args) == 1 and isinstance(expr.args[0], Name):
        found = statistic_named(expr.args[0])
        if found is not None and not expr.attrs and expr.op in INPUTS[found.base].through:
            return replace(found, through=expr.op)
    return None


def _slot(entry: Input, key: str, value: Value, span: Span) -> tuple[str, Value | bool]:
    if key and key == entry.parts:
        if not isinstance(value, float) or value != int(value) or not 2 <= value <= MAX_PARTS:
            raise Fault(
                "E206", f"{key} of `{entry.name}` is a whole number from 2 to {MAX_PARTS}", span
            )
        return "parts", int(value)
    if not key and isinstance(value, float) and entry.stages:
        if value != int(value) or not -9 <= value <= -1:
            raise Fault(
                "E206", "a stage is a whole number from -9 to -1", span, "-1 is the last map"
            )
        return "stage", int(value)
    if not key and value in entry.probes:
        return "probe", value
    if not key and value == "all" and entry.every:
        return "every", True
    allowed = [*entry.probes, *(["-2"] if entry.stages else []), *(["all"] if entry.every else [])]
    allowed += [f"{entry.parts}=…"] if entry.parts else []
    shown = f"{key}={format_value(value)}" if key else format_value(value)
    fix = meant(shown, [*entry.probes, *(["all"] if entry.every else [])])
    hint = f"it takes {', '.join(allowed)}" if allowed else "it takes none"
    raise Fault("E205", f"`{entry.name}` has no attribute `{shown}`", span,
                suggestion(fix) or hint, fix)  # fmt: skip


def operator_values(entry: Operator, attrs: Attrs, span: Span) -> dict[str, Value]:
    """All attribute values of a call, checked, with defaults filled in.

    Raises
    ------
    Fault
        E205 for an unknown attribute, E206 for a value out of range.
    """
    found: dict[str, Value] = {}
    for key, value in attrs:
        name = key or "axis"
        if name in found:
            shown = f"`{key}`" if key else "the axis"
            raise Fault("E205", f"{shown} is given twice", span,
                        "" if key else "several axes are joined, as in CHW")  # fmt: skip
        found[name] = _axis(entry, value, span) if not key else _keyed(entry, key, value, span)
    return entry.values(tuple(found.items()))


def _axis(entry: Operator, value: Value, span: Span) -> Value:
    shown = entry.word
    if not entry.axes or isinstance(value, float):
        keyed = [a.name for a in entry.attrs]
        hint = f"it takes {', '.join([*keyed, *entry.axes]) or 'none'}"
        fix = None
        if keyed and isinstance(value, float):
            named = f"{keyed[0]}={format_value(value)}"
            hint = f"write {named}"
            fix = Fix(named, len(keyed) == 1, word=format_value(value))
        raise Fault("E205", f"`{shown}` has no attribute `{format_value(value)}`", span, hint, fix)
    if entry.is_reduction:
        if not re.fullmatch("(HW|G|B|C)+", value):
            raise Fault("E206", f"`{value}` is no axis", span,
                        "axes are B, C, HW and G, joined as in CHW")  # fmt: skip
    elif value not in entry.axes:
        raise Fault(
            "E206", f"`{value}` is no axis of `{shown}`", span,
            f"it takes {', '.join(entry.axes)}",
        )  # fmt: skip
    return value


def _keyed(entry: Operator, key: str, value: Value, span: Span) -> Value:
    shown = entry.word
    declared = entry.attribute(key)
    if declared is None:
        names = [a.name for a in entry.attrs]
        axis = f"an axis is written alone: {shown}[{value}](…)" if key == "axis" else ""
        listed = f"it takes {', '.join(names)}" if names else "it takes none"
        fix = (
            Fix(format_value(value), sure=True, word=f"axis={value}") if axis else meant(key, names)
        )
        raise Fault(
            "E205", f"`{shown}` has no attribute `{key}`", span,
            axis or suggestion(fix) or listed, fix,
        )  # fmt: skip
    if not _within(declared, value):
        raise Fault("E206", f"{key} of `{shown}` must be {_range(declared)}", span)
    return value


def _within(declared: Attribute, value: Value) -> bool:
    if isinstance(value, str) or not declared.low <= value <= declared.high:
        return False
    if declared.choices:
        return value in declared.choices
    return not declared.integer or value == int(value)


def _range(declared: Attribute) -> str:
    allowed = declared.allowed
    return f"a number {allowed}" if allowed.startswith("from") else allowed
