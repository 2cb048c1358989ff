"""What a word of a document means, as Markdown for an editor's hover."""

from __future__ import annotations

from autodas_dsl.editing.draft import Draft
from autodas_dsl.editing.words import NAMES, Word, words_at
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.format import format_number
from autodas_dsl.language.inputs import INPUTS, Input
from autodas_dsl.language.library import library_proxy
from autodas_dsl.language.operators import OPERATORS, Attribute, Operator
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
    for word in reversed(words_at(draft, offset)):
        text = _meaning(draft, word)
        if text:
            kind = draft.kind_at(offset) if word.sort in NAMES else None
            return (text if kind is None else f"{text}\n\nhere: `{kind}`"), word.span
    return None


def _meaning(draft: Draft, word: Word) -> str:
    """What a word means; empty where there is nothing to say."""
    if word.sort in ("header", "item"):
        return {**HEADERS, **ITEMS}.get(word.name, "")
    if word.sort == "derivative":
        return PREFIXES[word.name]
    if word.sort == "let":
        return f"```\n{draft.lets[word.name].text.strip()}\n```"
    if word.sort == "statistic":
        return statistic_text(INPUTS[word.name])
    if word.sort in ("operator", "sign") and word.name in OPERATORS:
        return operator_text(OPERATORS[word.name])
    return library_text(word.name) if word.sort == "proxy" and not word.defines else ""


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
