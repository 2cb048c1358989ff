"""A small, strict reader of the LaTeX that this package writes: text to presentation MathML.

Line breaking and MathML are made from its elements, and a formula whose LaTeX reads here is known
to be well formed: braces and ``\\left … \\right`` balance, and every command is one of amsmath.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, tostring

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
FONTS = frozenset({"mathcal", "mathrm", "mathbf", "mathit", "text", "operatorname"})
SPACES = {"!": -0.1667, ",": 0.1667, ";": 0.2778, ":": 0.2222, "quad": 1.0, "qquad": 2.0, " ": 0.25}
ACCENTS = {"hat": "^", "bar": "‾", "tilde": "~", "overline": "‾"}
MAX_LEVELS = 120  # TeX itself stops at 255 groups
APPLY = "\u2061"
"""The invisible sign between a function and its argument."""
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}^_&]|\s+|[0-9]+(?:\.[0-9]+)?|.", re.DOTALL)
_SCRIPT = {"L": "ℒ", "D": "𝒟"}
_BOLD = {str(digit): chr(0x1D7CE + digit) for digit in range(10)} | {
    chr(65 + at): chr(0x1D400 + at) for at in range(26)
}
_LIMITS = ("∑", "∏")


def read_tex(text: str) -> Element:
    """MathML of a LaTeX formula; negative spaces stay in it until `markup` writes it.

    Raises
    ------
    InputError
        E802 for an unknown command or for LaTeX that is not well formed.
    """
    reader = _Reader(text)
    row = reader.row(())
    if reader.peek():
        raise reader.fail(f"unexpected {reader.peek()!r}")
    return row


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [t for t in _TOKEN.findall(text) if t.strip() or t == "\\ "]
        self.at = 0
        self.level = 0
        self.functions: set[Element] = set()

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

    def row(self, ends: tuple[str, ...]) -> Element:
        """Items up to a token in `ends`, which stays."""
        self.level += 1
        if self.level > MAX_LEVELS:
            raise InputError("E806", f"the formula is nested deeper than {MAX_LEVELS} in LaTeX",
                             "name inner parts with let")  # fmt: skip
        items: list[Element] = []
        while self.peek() and self.peek() not in ends:
            if self.peek() in ("}", "\\right", "&", "\\\\"):
                raise self.fail(f"unexpected {self.peek()!r}")
            items.append(self._scripted())
        self.level -= 1
        return self._joined(items)

    def _joined(self, items: Sequence[Element]) -> Element:
        """The items of a row, an invisible sign between a function and its argument."""
        seen = [item for item in items if not is_narrow(item)]
        if len(seen) == 1:
            return seen[0]
        row, before = Element("mrow"), None
        for item in items:
            if before in self.functions and is_fence(item):
                row.append(leaf("mo", APPLY))
            row.append(item)
            before = before if is_narrow(item) else item
        return row

    def group(self) -> Element:
        """``{…}``, or one token."""
        if self.peek() != "{":
            return self._atom()
        self.take()
        row = self.row(("}",))
        if self.peek() != "}":
            raise self.fail("a brace is never closed")
        self.take()
        return row

    def _scripted(self) -> Element:
        base = Element("mrow") if self.peek() in ("^", "_") else self._atom()
        scripts: dict[str, Element] = {}
        while self.peek() in ("^", "_"):
            mark = self.take()
            if mark in scripts:
                which = "subscripts" if mark == "_" else "superscripts"
                raise self.fail(f"two {which} on one base")
            scripts[mark] = self.group()
        if not scripts:
            return base
        names = ("under", "over") if base.text in _LIMITS else ("sub", "sup")
        tag = "".join(name for name, mark in zip(names, "_^", strict=True) if mark in scripts)
        result = node(f"m{tag}", base, *(scripts[mark] for mark in "_^" if mark in scripts))
        if base in self.functions:
            self.functions.add(result)
        return result

    def _atom(self) -> Element:
        token = self.peek()
        if token == "{":
            return self.group()
        token = self.take()
        if token.startswith("\\"):
            return self._command(token[1:])
        if token[0].isdigit():
            return leaf("mn", token)
        return leaf("mi" if token.isalpha() else "mo", "−" if token == "-" else token)

    def _command(self, name: str) -> Element:
        if name in SPACES:
            return Element("mspace", width=f"{SPACES[name]:g}em")
        if name in FUNCTIONS:
            return self._function(leaf("mi", name))
        if name in SYMBOLS:
            plain = SYMBOLS[name].isalpha() or name in ("partial", "ell", "infty", "#")
            return leaf("mi" if plain else "mo", SYMBOLS[name])
        if name in FONTS:
            return self._in_font(name, self._words())
        if name in ("frac", "tfrac", "dfrac"):
            above = self.group()
            return node("mfrac", above, self.group())
        if name == "sqrt":
            return node("msqrt", self.group())
        if name in ACCENTS:
            return node("mover", self.group(), leaf("mo", ACCENTS[name]))
        if name == "left":
            return self._fence()
        raise self.fail(f"unknown command \\{name}")

    def _function(self, name: Element) -> Element:
        self.functions.add(name)
        return name

    def _in_font(self, font: str, text: str) -> Element:
        if font == "text":
            return leaf("mtext", text)
        if font == "mathcal":
            return leaf("mi", _SCRIPT.get(text, text))
        if font == "mathbf":
            return leaf("mi", "".join(_BOLD.get(letter, letter) for letter in text))
        if font != "operatorname" and text.isdigit():
            return leaf("mn", text)
        found = leaf("mi", text)
        if font != "mathit" and len(text) == 1:
            found.set("mathvariant", "normal")
        return self._function(found) if font == "operatorname" else found

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

    def _fence(self) -> Element:
        opening = self._delimiter()
        inside = self.row(("\\right",))
        if self.peek() != "\\right":
            raise self.fail(r"\left without \right")
        self.take()
        return fenced(opening, inside, self._delimiter())

    def _delimiter(self) -> str:
        token = self.take()
        plain = {"(": "(", ")": ")", "[": "[", "]": "]", "|": "|", ".": "", "\\|": "‖",
                 "\\{": "{", "\\}": "}", "\\langle": "⟨", "\\rangle": "⟩"}  # fmt: skip
        if token not in plain:
            raise self.fail(f"{token!r} is no delimiter")
        return plain[token]


def leaf(tag: str, text: str) -> Element:
    element = Element(tag)
    element.text = text
    return element


def node(tag: str, *children: Element) -> Element:
    element = Element(tag)
    element.extend(children)
    return element


def fenced(opening: str, inside: Element, closing: str) -> Element:
    """Something in brackets, which stretch around what is tall; "" is an invisible one.

    Browsers give a stretched bracket the width of its largest form.
    """
    brackets = leaf("mo", opening), leaf("mo", closing)
    for bracket, form in zip(brackets, ("prefix", "postfix"), strict=True):
        bracket.set("fence", "true")
        bracket.set("stretchy", "true" if is_tall(inside) else "false")
        bracket.set("form", form)
    return node("mrow", brackets[0], inside, brackets[1])


def is_fence(element: Element) -> bool:
    """Whether an element is something in brackets."""
    return element.tag == "mrow" and len(element) > 0 and element[0].get("fence") == "true"


def is_narrow(element: Element) -> bool:
    """Whether an element is a negative space."""
    return element.get("width", "").startswith("-")


def is_tall(element: Element) -> bool:
    """Whether an element is higher than a line."""
    if element.tag in ("mfrac", "msqrt"):
        return True
    if element.tag == "mrow":
        return any(map(is_tall, element))
    return len(element) > 0 and (is_tall(element[0]) or element[0].text in _LIMITS)


def is_sum(element: Element) -> bool:
    """Whether an element is a big sum or product with its limits."""
    return len(element) > 0 and element[0].text in _LIMITS


def width(element: Element) -> float:
    """About how wide an element is, in characters: for breaking lines."""
    if element.tag == "mspace":
        return 2 * float(element.get("width", "").removesuffix("em"))
    if not len(element) and element.tag != "mrow":
        text = element.text or ""
        spaced = element.tag == "mo" and not element.get("fence") and text not in "()[]|‖,"
        return 0.0 if text == APPLY else len(text) + (1.0 if spaced else 0.0)
    parts = [width(part) for part in element]
    if element.tag in ("mrow", "mfrac"):
        return sum(parts) if element.tag == "mrow" else max(parts)
    if element.tag == "msqrt" or (element.tag == "mover" and not is_sum(element)):
        return parts[0] + 1.0
    return parts[0] + 0.7 * max(0.0, *parts[1:])


def markup(math: Element) -> str:
    """The text of a ``<math>`` element; in MathML no two signs are drawn together."""
    for parent in math.iter():
        for child in [child for child in parent if is_narrow(child)]:
            parent.remove(child)
    return tostring(math, encoding="unicode")
