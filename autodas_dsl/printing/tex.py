"""A small, strict reader of the LaTeX that this package writes: text to boxes.

MathML and line breaking are made from the boxes, and a formula whose LaTeX reads here is known
to be well formed: braces and ``\\left … \\right`` balance, and every command is one of amsmath.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from autodas_dsl.language.errors import InputError

SYMBOLS = {
    "partial": "∂", "ell": "ℓ", "cdot": "⋅", "odot": "⊙", "times": "×", "infty": "∞", "sum": "∑",
    "langle": "⟨", "rangle": "⟩", "|": "‖", "#": "#", "_": "_", "%": "%", "&": "&", "$": "$",
    "{": "{", "}": "}", "to": "→", "nabla": "∇", "prod": "∏", "in": "∈", "le": "≤", "ge": "≥",
    "pm": "±", "circ": "∘", "top": "⊤", "ast": "∗", "star": "⋆", "dots": "…", "ldots": "…",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "zeta": "ζ",
    "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "ϕ", "chi": "χ",
    "psi": "ψ", "omega": "ω", "Theta": "Θ", "Gamma": "Γ", "Delta": "Δ", "Lambda": "Λ",
    "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "Pi": "Π", "Xi": "Ξ",
}  # fmt: skip
FUNCTIONS = frozenset({"ln", "log", "exp", "max", "min", "sin", "cos", "tan", "tanh", "det"})
FONTS = {"mathcal": "script", "mathrm": "normal", "mathbf": "bold", "mathit": "italic",
         "text": "normal", "operatorname": "normal"}  # fmt: skip
SPACES = {"!": -0.1667, ",": 0.1667, ";": 0.2778, ":": 0.2222, "quad": 1.0, "qquad": 2.0, " ": 0.25}
ACCENTS = {"hat": "^", "bar": "‾", "tilde": "~", "overline": "‾"}
MAX_LEVELS = 120  # TeX itself stops at 255 groups
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}^_&]|\s+|[0-9]+(?:\.[0-9]+)?|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Row:
    items: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """One identifier, number, operator or word; `role` is ``i``, ``n``, ``o``, ``f`` or ``t``."""

    role: str
    text: str
    font: str = ""


@dataclass(frozen=True, slots=True)
class Space:
    width: float


@dataclass(frozen=True, slots=True)
class Fraction:
    above: Row
    below: Row


@dataclass(frozen=True, slots=True)
class Root:
    inside: Row


@dataclass(frozen=True, slots=True)
class Accent:
    inside: Row
    mark: str


@dataclass(frozen=True, slots=True)
class Fence:
    """``\\left( … \\right)``; an invisible delimiter is the empty text."""

    opening: str
    inside: Row
    closing: str


@dataclass(frozen=True, slots=True)
class Script:
    base: Box
    below: Row | None = None
    above: Row | None = None


Box = Row | Mark | Space | Fraction | Root | Accent | Fence | Script


def read_tex(text: str) -> Row:
    """Boxes of a LaTeX formula.

    Raises
    ------
    InputError
        E802 for an unknown command or for LaTeX that is not well formed.
    """
    reader = _Reader(text)
    row = reader.row(())
    reader.expect_end()
    return row


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [t for t in _TOKEN.findall(text) if t.strip() or t == "\\ "]
        self.at = 0
        self.level = 0

    def fail(self, message: str) -> InputError:
        return InputError("E802", f"LaTeX {self.text!r}: {message}",
                          "the templates of operators may use the commands of amsmath listed in "
                          "the language reference")  # fmt: skip

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        if self.at >= len(self.tokens):
            raise self.fail("it ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def expect_end(self) -> None:
        if self.peek():
            raise self.fail(f"unexpected {self.peek()!r}")

    def row(self, ends: tuple[str, ...]) -> Row:
        """Items up to a token in `ends`, which stays."""
        self.level += 1
        if self.level > MAX_LEVELS:
            raise InputError("E806", f"the formula is nested deeper than {MAX_LEVELS} in LaTeX",
                             "name inner parts with let")  # fmt: skip
        items: list[Box] = []
        while self.peek() and self.peek() not in ends:
            if self.peek() in ("}", "\\right", "&", "\\\\"):
                raise self.fail(f"unexpected {self.peek()!r}")
            items.append(self._scripted())
        self.level -= 1
        return Row(tuple(items))

    def group(self) -> Row:
        """``{…}``, or one token."""
        if self.peek() != "{":
            return Row((self._atom(),))
        self.take()
        row = self.row(("}",))
        if self.peek() != "}":
            raise self.fail("a brace is never closed")
        self.take()
        return row

    def _scripted(self) -> Box:
        base: Box = Row(()) if self.peek() in ("^", "_") else self._atom()
        below: Row | None = None
        above: Row | None = None
        while self.peek() in ("^", "_"):
            if self.take() == "_":
                if below is not None:
                    raise self.fail("two subscripts on one base")
                below = self.group()
            else:
                if above is not None:
                    raise self.fail("two superscripts on one base")
                above = self.group()
        return base if below is None and above is None else Script(base, below, above)

    def _atom(self) -> Box:
        token = self.peek()
        if token == "{":
            return self.group()
        token = self.take()
        if token.startswith("\\"):
            return self._command(token[1:])
        if token[0].isdigit():
            return Mark("n", token)
        return Mark("i" if token.isalpha() else "o", "−" if token == "-" else token)

    def _command(self, name: str) -> Box:
        if name in SPACES:
            return Space(SPACES[name])
        if name in FUNCTIONS:
            return Mark("f", name)
        if name in SYMBOLS:
            plain = SYMBOLS[name].isalpha() or name in ("partial", "ell", "infty", "#")
            return Mark("i" if plain else "o", SYMBOLS[name])
        if name in FONTS:
            return Mark("f" if name == "operatorname" else "t" if name == "text" else "i",
                        self._words(), FONTS[name])  # fmt: skip
        if name in ("frac", "tfrac", "dfrac"):
            above = self.group()
            return Fraction(above, self.group())
        if name == "sqrt":
            return Root(self.group())
        if name in ACCENTS:
            return Accent(self.group(), ACCENTS[name])
        if name == "left":
            return self._fence()
        raise self.fail(f"unknown command \\{name}")

    def _words(self) -> str:
        """The plain text of a font or text argument."""
        if self.peek() != "{":
            return self.take()
        self.take()
        words: list[str] = []
        while self.peek() != "}":
            token = self.take()
            if token in ("{", "^", "_", "&"):
                raise self.fail(f"unexpected {token!r} in a word")
            if token.startswith("\\") and token[1:] not in SYMBOLS:
                raise self.fail(f"unexpected {token!r} in a word")
            words.append(SYMBOLS[token[1:]] if token.startswith("\\") else token)
        self.take()
        return "".join(words)

    def _fence(self) -> Box:
        opening = self._delimiter()
        inside = self.row(("\\right",))
        if self.peek() != "\\right":
            raise self.fail(r"\left without \right")
        self.take()
        return Fence(opening, inside, self._delimiter())

    def _delimiter(self) -> str:
        token = self.take()
        plain = {"(": "(", ")": ")", "[": "[", "]": "]", "|": "|", ".": "", "\\|": "‖",
                 "\\{": "{", "\\}": "}", "\\langle": "⟨", "\\rangle": "⟩"}  # fmt: skip
        if token not in plain:
            raise self.fail(f"{token!r} is no delimiter")
        return plain[token]


def width(box: Box | None) -> float:
    """About how wide a box is, in characters: for breaking lines."""
    if box is None:
        return 0.0
    if isinstance(box, Mark):
        spaced = box.role == "o" and box.text not in "()[]|‖,"
        return len(box.text) + (1.0 if spaced else 0.0)
    if isinstance(box, Space):
        return box.width * 2
    if isinstance(box, Row):
        return sum(width(item) for item in box.items)
    if isinstance(box, Fraction):
        return max(width(box.above), width(box.below))
    if isinstance(box, Fence):
        return width(box.inside) + len(box.opening) + len(box.closing)
    if isinstance(box, Script):
        return width(box.base) + 0.7 * max(width(box.below), width(box.above))
    return width(box.inside) + 1.0


def marks(box: Box | None) -> Iterator[Mark]:
    """All marks of a box, left to right."""
    if isinstance(box, Mark):
        yield box
    elif isinstance(box, Row):
        for item in box.items:
            yield from marks(item)
    elif isinstance(box, Fraction):
        yield from marks(box.above)
        yield from marks(box.below)
    elif isinstance(box, Script):
        for part in (box.base, box.below, box.above):
            yield from marks(part)
    elif isinstance(box, (Root, Accent, Fence)):
        yield from marks(box.inside)
