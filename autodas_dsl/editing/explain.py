"""What a word of a document means, as Markdown for an editor's hover."""

from __future__ import annotations

from autodas_dsl.editing.draft import Draft
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.format import format_number
from autodas_dsl.language.inputs import INPUTS, Input
from autodas_dsl.language.library import library_files, library_proxy
from autodas_dsl.language.operators import ALIASES, NORM_MARKS, OPERATORS, Attribute, Operator
from autodas_dsl.language.proxy import format_formula
from autodas_dsl.language.spans import Span

HEADERS = {
    "about": "What the formula is, in double quotes.",
    "source": "Where it was published, in double quotes.",
    "better": "`higher` or `lower`: which scores promise better networks.",
    "inputs": "The statistics that the formula reads; derived, and written by the formatter.",
    "reference": "`reference: percentile(x) = …`: the population of a term, frozen.",
    "reported": "A result from the literature, one line each.",
    "measured": "A result measured with this software, one line each.",
}
ITEMS = {
    "let": "`let name = …` names a part of the formula; it stands before the score.",
    "score": "`score = …` is the formula: one number for every network.",
}
PREFIXES = {
    "grad": "The gradient of the loss with respect to what follows, as in `grad W`.",
    "hess": "Hessian times gradient, as in `hess W`.",
}


def hover(draft: Draft, offset: int) -> tuple[str, Span] | None:
    """Markdown about what stands at an offset, and its place; None where there is nothing to say."""
    if draft.formula_at(offset) is None:
        return _hover_head(draft, offset)
    norm = _norm_at(draft.text, offset)
    if norm is not None:
        return norm
    span = draft.word_at(offset)
    if span is None:
        sign = draft.text[offset : offset + 1]
        meant = next((entry for entry in OPERATORS.values() if sign and sign in entry.signs), None)
        return None if meant is None else (operator_text(meant), Span(offset, offset + 1))
    text = _meaning(draft, span)
    if text is None:
        return None
    kind = draft.kind_at(offset)
    return (text if kind is None else f"{text}\n\nhere: `{kind}`"), span


def _hover_head(draft: Draft, offset: int) -> tuple[str, Span] | None:
    item, span = draft.item_at(offset), draft.word_at(offset)
    if item is None or span is None or span.start != item.span.start:
        return None
    word = draft.text[span.start : span.end]
    text = {**HEADERS, **ITEMS}.get(word)
    return None if text is None else (text, span)


def _norm_at(text: str, offset: int) -> tuple[str, Span] | None:
    """The mark of a norm, ``|_F``, that holds an offset."""
    for mark, name in NORM_MARKS.items():
        for bar in "|‖":
            sign = bar + mark
            start = text.find(sign, max(0, offset - len(sign) + 1), offset + len(sign))
            if 0 <= start <= offset < start + len(sign):
                return operator_text(OPERATORS[name]), Span(start, start + len(sign))
    return None


def _meaning(draft: Draft, span: Span) -> str | None:
    word = draft.text[span.start : span.end]
    if word in PREFIXES:
        return PREFIXES[word]
    if word in draft.lets:
        return f"```\n{draft.lets[word].text.strip()}\n```"
    base = word.replace("_ₛ", "_s").replace("_ₜ", "_t").replace("ₛ", "_s").replace("ₜ", "_t")
    prefix = next((p for p in PREFIXES if _preceded(draft.text[: span.start], p)), "")
    if f"{prefix} {base}".strip() in INPUTS:
        return statistic_text(INPUTS[f"{prefix} {base}".strip()])
    name = ALIASES.get(word, word)
    if name in OPERATORS:
        return operator_text(OPERATORS[name])
    return library_text(word) if word in library_files() else None


def _preceded(before: str, prefix: str) -> bool:
    """Whether ``grad``, or ``grad[…]``, stands right before a name."""
    if before.endswith("∂L/∂"):
        return prefix == "grad"
    before = before.rstrip()
    if before.endswith("]"):
        before = before[: before.rfind("[")]
    return before.endswith(prefix)


def statistic_text(entry: Input) -> str:
    """A statistic: its kind, its definition, its attributes and what collecting it takes."""
    lines = [f"**{entry.name}**: `{entry.kind}` (statistic)", entry.doc]
    options = statistic_attributes(entry)
    if options:
        shown = ", ".join(f"`[{option}]`" for option, _ in options)
        lines.append(f"attributes: {shown}")
    lines.append(f"pass: {entry.needs}")
    return "\n\n".join(lines)


def operator_text(entry: Operator) -> str:
    """An operator: its signature, definition, attributes, aliases and laws."""
    lines = [f"**{entry.name}**: `{entry.signature}` ({entry.group} operator)", entry.doc]
    options = [text for _, text in operator_attributes(entry)]
    if options:
        lines.append("\n".join(f"- {text}" for text in options))
    if entry.aliases:
        lines.append(f"also written {', '.join(f'`{alias}`' for alias in entry.aliases)}")
    if entry.laws:
        lines.append(f"laws: {', '.join(sorted(entry.laws))}")
    if entry.example:
        lines.append(f"example: `{entry.example}`")
    return "\n\n".join(lines)


def library_text(name: str) -> str:
    """A library proxy: what it says about itself, and its formula."""
    try:
        proxy = library_proxy(name)
    except InputError as error:
        return f"**{name}** (library proxy) cannot be read: {error.diagnostics[0].message}"
    parts = [f"**{name}** (library proxy)", proxy.about, proxy.source,
             f"```\n{format_formula(proxy)}\n```"]  # fmt: skip
    return "\n\n".join(part for part in parts if part)


def statistic_attributes(entry: Input) -> list[tuple[str, str]]:
    """What may stand in brackets after a statistic, and what it means."""
    found = [(probe, f"under the probe `{probe}`") for probe in entry.probes]
    if entry.stages:
        found.append(("-2", "the stage before the last; -1 is the last"))
    if entry.every:
        found.append(("all", "functional activations too"))
    if entry.parts:
        what = "parts of the batch" if entry.parts == "split" else "samples"
        found.append((f"{entry.parts}=2", f"the number of {what}"))
    return found


def operator_attributes(entry: Operator) -> list[tuple[str, str]]:
    """What may stand in brackets after an operator, and what it means."""
    found = []
    for word in entry.axes:
        default = " (the default)" if word == entry.axis else ""
        verb = "reduces" if entry.is_reduction else "works along"
        found.append((word, f"`[{word}]` {verb} {_axis(word)}{default}"))
    found += [(f"{a.name}={format_number(a.default)}", _attribute(a)) for a in entry.attrs]
    return found


def _axis(word: str) -> str:
    names = {"B": "the batch", "C": "the channels or classes", "HW": "the positions",
             "CHW": "channels and positions", "G": "the parts of the batch"}  # fmt: skip
    return names.get(word, word)


def _attribute(entry: Attribute) -> str:
    values = entry.allowed.removeprefix("a whole number ")
    return f"`[{entry.name}={format_number(entry.default)}]` {entry.doc} ({values})".replace(
        "  ", " "
    )
