"""Random texts that know the grammar: formulas in every spelling, whole documents, damaged ones.

Every text comes from a `random.Random`; `case` makes the one of a seed and a number, so that a
failure is found again by its number alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from mutations import DAMAGES, TOKENS, damaged, delete, flip, insert
from strategies import Grower

from autodas_dsl.language.format import format_expression
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.library import library_names, typed
from autodas_dsl.language.operators import ALIASES, OPERATORS
from autodas_dsl.language.tree import Call, Expr, Name
from autodas_dsl.printing.unicode import unicode_of

_NUMBERS = ("0", "1", "2", "007", ".5", "5.", "0.1", "1e-5", "1E3", "1e308", "1e-400", "1e400", "3.0.1",
            "0x1", "1_000", "9" * 40)  # fmt: skip
_WORDS = ("v", "e", "a", "pow2", "noop", "grad", "hess", "score", "let", "no_such", "F_x", "Fₛ", "Fₜ",
          "σ", "∑", "W_s", "sums", "inf", "nan", "x" * 70)  # fmt: skip
_NAMES = (*INPUTS, *OPERATORS, *ALIASES, *_WORDS)
_ATTRIBUTES = ("HW", "C", "B", "G", "flow", "noise", "jitter", "all", "-2", "-1", "-99", "0", "3", "T=8",
               "n=4", "split=2", "degree=2", "p=0.5", "seed=3", "s=1", "T=-1", "n=1e9", "k=v", "")  # fmt: skip
_INFIX = ("+", "-", "−", "*", "⊙", "·", "×", "/", "@", "^")
_NORMS = (("|", "|"), ("|", "|_F"), ("|", "|_1"), ("|", "|_*"), ("|", "|_inf"), ("‖", "‖"), ("‖", "‖_F"),
          ("‖", "‖₂"), ("‖", "‖_∞"), ("||", "||"), ("|", "|_q"))  # fmt: skip
_SPELLINGS = ((" * ", (" * ", "*", " · ", " × ", "⊙")), (" - ", (" - ", "-", " − ", "−")),
              (" + ", (" + ", "+", "  +\t")), (" / ", (" / ", "/")), (", ", (", ", ",", " , ")),
              ("(", ("(", "( ")), ("F_s", ("F_s", "Fₛ")), ("E_t", ("E_t", "Eₜ")))  # fmt: skip
_TEXTS = ("A plain text.", "", "ünïcode ‖·‖ ∂ 日本", 'with \\"quotes\\" and \\\\', "a # no comment",
          "%_&$#{}^~", "<b>&amp;</b>", "line\\nline", "\u202eright\u202c to left", "]]>",
          "x" * 300)  # fmt: skip
_LINES = ("better: higher", "better: lower", "x-note: anything # at all", "x-b: 1", "reported: t kendall=0.5",
          "measured: t <&> é", "# a comment", "", "   # an indented comment")  # fmt: skip
_ODD_LINES = ("better: best", "inputs: W", "inputs: W, W, no", "x-: 1", "about: no quotes", "let W = 1",
              "let score = 1", "score = 1", "score", "let", "let a =", "lets b = 1", "foo: bar", "proxy/1 b",
              "  continued", "\tW", "better = lower", "let é = W")  # fmt: skip


def case(kind: str, seed: int, number: int) -> random.Random:
    """The source of one text."""
    return random.Random(f"{kind} {seed} {number}")


def typed_tree(source: random.Random) -> Expr:
    """A tree that checks: of one number, or of any kind."""
    grower = Grower(source.choice)
    steps = source.randint(0, 9)
    return grower.score(steps) if source.random() < 0.8 else grower.tree(steps)[0]


def respelled(source: random.Random, expr: Expr) -> str:
    """One of the many ways to write a tree."""
    text = unicode_of(typed(expr).score) if source.random() < 0.3 else format_expression(expr)
    for usual, others in _SPELLINGS:
        text = "".join(
            part if number == 0 else source.choice(others) + part
            for number, part in enumerate(text.split(usual))
        )
    return f"({text})" if source.random() < 0.1 else text


def expression(source: random.Random) -> str:
    """Right in its kinds, right in its grammar only, or damaged."""
    way = source.random()
    text = respelled(source, typed_tree(source)) if way < 0.6 else phrase(source, 4)
    return _hurt(source, text) if way > 0.45 and source.random() < 0.4 else text


def phrase(source: random.Random, level: int) -> str:
    """What the grammar allows, and a little more, whatever it means."""
    if level == 0 or source.random() < 0.15:
        return source.choice((source.choice(_NUMBERS), _name(source), _name(source)))

    def inner() -> str:
        return phrase(source, level - 1)

    ways: tuple[Callable[[], str], ...] = (
        lambda: f"{inner()} {source.choice(_INFIX)} {inner()}",
        lambda: f"{inner()}{source.choice(_INFIX)}{inner()}",
        lambda: f"{_name(source)}({', '.join(inner() for _ in range(source.randint(0, 3)))})",
        lambda: f"{source.choice(tuple(OPERATORS))}({inner()})",
        lambda: f"[{inner()}, {inner()}]",
        lambda: f"({inner()})",
        lambda: source.choice(("-", "−", "√", "+")) + inner(),
        lambda: inner() + source.choice(("²", "³", "⁴", "^2")),
        lambda: inner().join(source.choice(_NORMS)),
    )
    return source.choice(ways)()


def _name(source: random.Random) -> str:
    name = source.choice(_NAMES) if source.random() < 0.8 else source.choice(library_names())
    if source.random() < 0.25:
        count = source.randint(1, 2)
        name += f"[{', '.join(source.choice(_ATTRIBUTES) for _ in range(count))}]"
    prefix = source.choice(("grad ", "hess ", "grad[flow] ", "grad[split=2] ", "∂L/∂", "sum "))
    return prefix + name if source.random() < 0.1 else name


def _hurt(source: random.Random, text: str) -> str:
    """Words taken out, doubled, exchanged, and characters put anywhere."""
    words = re.findall(r"\w+|\s+|[^\w\s]", text) or [""]
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(words))
        way = source.randrange(4)
        if way == 0:
            words[at] = ""
        elif way == 1:
            words[at] *= 2
        elif way == 2:
            words[at] = source.choice(words)
        else:
            words[at] += source.choice(TOKENS).decode("utf-8", "replace")
    return "".join(words)


def document(source: random.Random) -> bytes:
    """A document as it stands in a file; half of them are right."""
    way = source.random()
    text = "\n".join(_document_lines(source, odd=way > 0.6)) + source.choice(
        ("\n", "\n", "", "\n\n")
    )
    data = text.encode("utf-8", "surrogatepass")
    if way > 0.8:
        return damaged(source, [data])
    if way > 0.7:
        return source.choice((flip, insert, delete, source.choice(DAMAGES)))(source, data)
    if way < 0.1:
        data = data.replace(b"\n", source.choice((b"\r\n", b"\r")))
    return b"\xef\xbb\xbf" + data if way < 0.02 else data


def _document_lines(source: random.Random, odd: bool) -> list[str]:
    lines = [f"proxy/1 {source.choice(('a', 'fuzzed_1', 'params', 'W', '1a')[: 5 if odd else 3])}"]
    headers = [f'{key}: "{source.choice(_TEXTS)}"' for key in ("about", "source")]
    between = [line for line in (*headers, *_LINES) if source.random() < 0.25]
    if odd:
        between += source.sample(_ODD_LINES, source.randint(0, 2))
    source.shuffle(between)
    lets, score = _formulas(source, odd)
    after = [line for line in _LINES[2:] if source.random() < 0.15]
    return [*lines, *_one_of_each(between, odd), *lets, *score, *after]


def _one_of_each(lines: list[str], odd: bool) -> list[str]:
    """At most one line that says which scores are better."""
    kept = {line.partition(":")[0] if line.startswith("better") else line: line for line in lines}
    return lines if odd else list(kept.values())


def _formulas(source: random.Random, odd: bool) -> tuple[list[str], list[str]]:
    """Lets that may use the ones before them, and the score."""
    grower = Grower(source.choice)
    lets: list[str] = []
    parts: list[Expr] = []
    for number in range(source.choice((0, 0, 1, 1, 2, 4))):
        expr, kind = grower.tree(source.randint(0, 5))
        name = f"v{number}"
        text = phrase(source, 3) if odd and source.random() < 0.3 else respelled(source, expr)
        lets += _broken(source, f"let {name} = {text}")
        parts.append(grower.closed(Name(name), kind))
    whole = grower.score(source.randint(0, 6))
    for part in parts:
        whole = Call(source.choice(("add", "mul", "sub", "div", "maximum")), (whole, part))
    text = phrase(source, 4) if odd and source.random() < 0.3 else _written(source, whole)
    if source.random() < 0.1:
        text += f" + {source.choice(library_names())}"
    return lets, _broken(source, f"score = {text}")


def _written(source: random.Random, expr: Expr) -> str:
    """Canonical here, since the names of lets have no kind by themselves."""
    text = format_expression(expr)
    return text.replace(" * ", source.choice((" * ", "*", " × ")))


def _broken(source: random.Random, line: str) -> list[str]:
    """A formula over several lines, with comments."""
    lines = [line]
    while source.random() < 0.4:
        head, sign, tail = lines[-1].partition(source.choice((" + ", " * ", ", ", "(")))
        if not tail or source.random() < 0.3:
            break
        comment = source.choice(("", "", "  # why", " #"))
        lines[-1:] = [head + sign.rstrip() + comment, f"  {tail}"]
        if source.random() < 0.2:
            lines.insert(-1, "  # between")
    return lines
