"""Syntax errors in words: what Lark could not read becomes a diagnostic that says what to write."""

from __future__ import annotations

import re
from dataclasses import replace

from lark.exceptions import UnexpectedEOF, UnexpectedToken

from autodas_dsl.language.errors import Fault, Fix
from autodas_dsl.language.operators import ALIASES, OPERATORS
from autodas_dsl.language.spans import Span

_CLOSES = {")": "(", "]": "["}
_PARTNER = {"(": ")", "[": "]"}
_NORMS = "norms are |x|_F, |x|_1, |x|_2, |x|_inf and |x|_*"
_COMPARISON = "there are no comparisons"
_NO_LATEX = "write the formula without LaTeX"
_IN_BRACKETS = "attributes stand in brackets before the arguments: KL[T=8](a, b)"
_LET = "a formula is one expression; `let name = …` stands on a line of its own"
_HINTS = {
    "&": "min(a, b) gives the smaller of two", "!": _COMPARISON, "<": _COMPARISON,
    ">": _COMPARISON, "{": "attributes stand in [ ]", "}": "attributes stand in [ ]",
    "$": _NO_LATEX, "\\": _NO_LATEX, "%": "there is no modulo", "_": "names start with a letter",
    ";": "arguments are separated by commas", ":": "an attribute is written T=8",
    "'": "names are written without quotes", '"': "names are written without quotes",
    "∂": "gradients are written grad W or ∂L/∂W",
}  # fmt: skip


_TWICE = {
    "**": ("powers are written x^2", Fix("^", sure=True)),
    "//": ("there is one division, /", Fix("/", sure=False)),
}
"""Two signs that Python has: what to do about them."""

_METHOD = re.compile(r"\.([A-Za-z_]\w*)\s*(\(\)|\()?")
_MODULES = ("F", "math", "np", "numpy", "torch")


def unexpected_character(text: str, at: int) -> Fault:
    """A character that starts no token."""
    char = text[at]
    method = _METHOD.match(text, at)
    if method:
        return _method(text, at, method)
    if char.isdigit() or char == ".":
        end = _word_end(text, at)
        return Fault("E104", f"`{text[at:end]}` is not a number", Span(at, end),
                           "numbers look like 0.5, 2, 1e-5")  # fmt: skip
    if char == "_" and text[at - 1 : at] in ("|", "‖"):
        end = _word_end(text, at)
        return Fault("E104", f"`{text[at:end]}` is no norm", Span(at, end), _NORMS)
    shown = f"`{char}`" if char.isprintable() and char != "`" else f"U+{ord(char):04X}"
    fix = Fix(",", sure=False) if char == ";" else None
    return Fault(
        "E104", f"unexpected character {shown}", Span(at, at + 1), _HINTS.get(char, ""), fix
    )


def _method(text: str, at: int, found: re.Match[str]) -> Fault:
    """``W.mean()`` and ``torch.mean(W)``, as Python has it."""
    owner = re.search(r"[A-Za-z]\w*\s*\Z", text[max(0, at - 40) : at])
    name, called = found.groups()
    inside = owner.group().strip() if owner and called is not None else "…"
    if inside in _MODULES or called == "(":
        inside = "…"
    known = name in OPERATORS or name in ALIASES
    return Fault(
        "E104", f"there are no methods such as `.{name}`", Span(at, at + 1 + len(name)),
        f"written {name}({inside})" if known else "operators are written mean(W)",
    )  # fmt: skip


def _word_end(text: str, at: int) -> int:
    end = at + 1
    while end < len(text) and (text[end].isalnum() or text[end] in "._"):
        end += 1
    return end


def unexpected_token(text: str, error: UnexpectedToken | UnexpectedEOF) -> Fault:
    """A token where another was expected, or the end of the text."""
    token = getattr(error, "token", None)
    if token is None or token.type == "$END":
        return _ends_early(text)
    span = Span(token.start_pos, token.end_pos)
    expected = error.expected
    if token in _CLOSES:
        fault = _closing(text, span, str(token))
        if fault is not None:
            return fault
    if "NUMBER" in expected:
        what = "an operand" if "LPAR" in expected else "an attribute"
        twice = _TWICE.get(text[span.start - 1 : span.end], ("", None))
        fix = twice[1] and replace(twice[1], span=Span(span.start - 1, span.end))
        return Fault("E110", f"expected {what}, found `{token}`", span, twice[0], fix)
    if token.type in ("NAME", "NUMBER", "LPAR", "_DL", "__ANON_0"):
        return Fault("E107", f"expected an operator before `{token}`", span,
                           _operator_help(text, span))  # fmt: skip
    if token == "|":
        return Fault("E109", "`|` closes nothing", span, "bars come in pairs: |x|")
    return Fault("E110", f"unexpected `{token}`", span, _place_help(text, span))


def _ends_early(text: str) -> Fault:
    text = without_comments(text)
    if not text.strip():
        return Fault("E108", "the expression is empty", Span(0, max(1, len(text))))
    opened = _unclosed(text)
    if opened is not None:
        return Fault(
            "E109", f"`{text[opened]}` is never closed", Span(opened, opened + 1)
        )  # fmt: skip
    end = len(text.rstrip())
    return Fault("E108", "the expression ends too early", Span(end, end + 1),
                       "an operand is missing")  # fmt: skip


def _closing(text: str, span: Span, token: str) -> Fault | None:
    """A closing bracket that opens nothing, or closes the wrong one."""
    opened = _open_brackets(text[: span.start])
    if not opened:
        return Fault("E109", f"`{token}` closes nothing", span, "delete it", Fix("", sure=False))
    bracket = text[opened[-1]]
    if bracket != _CLOSES[token]:
        closes = _PARTNER[bracket]
        return Fault("E109", f"`{token}` does not close `{bracket}`", span, f"`{closes}` does",
                     Fix(closes, sure=False))  # fmt: skip
    return None


def _operator_help(text: str, span: Span) -> str:
    if text[span.start - 1] in "|‖":
        return _NORMS
    return "products are written with *, pairs as [a, b]"


def _place_help(text: str, span: Span) -> str:
    """What a comma, bracket or equals sign in the wrong place was probably meant to be."""
    token = text[span.start : span.end]
    if token == "=":
        if text[span.end : span.end + 1] == "=":
            return _COMPARISON
        return _IN_BRACKETS if _open_brackets(text[: span.start]) else _LET
    if token == "[":
        return _IN_BRACKETS
    if token in (",", "]"):
        return _comma_help(text, span)
    return "‖ is closed by ‖, | by |" if token[0] in "|‖" else ""


def _comma_help(text: str, span: Span) -> str:
    opened = _open_brackets(text[: span.start])
    if not opened:
        return "arguments stand in f(a, b), pairs in [a, b]; decimals are written 0.5"
    if text[opened[-1]] == "[":
        return "a pair has two members: [a, b]"
    return "a pair is written [a, b]"


def _open_brackets(text: str) -> list[int]:
    opened: list[int] = []
    for position, char in enumerate(without_comments(text)):
        if char in _PARTNER:
            opened.append(position)
        elif char in _CLOSES and opened:
            opened.pop()
    return opened


def without_comments(text: str) -> str:
    return re.sub(r"#[^\n]*", lambda found: " " * len(found.group()), text)


def _unclosed(text: str) -> int | None:
    text = without_comments(text)
    opened = _open_brackets(text)
    if not opened and (text.count("|") % 2 or text.count("‖") % 2):
        return max(text.rfind("|"), text.rfind("‖"))
    return opened[-1] if opened else None
