"""A Pygments lexer for ``.proxy`` text, made from the tables of operators and statistics.

Registered as an entry point, so that rich, Sphinx, MkDocs and Jupyter colour formulas.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups, default, words
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Text,
    Whitespace,
)

from autodas_dsl.language.documents import FACTS
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.operators import ALIASES, NORM_MARKS, OPERATORS
from autodas_dsl.language.parse import SHORTHANDS, SUPERSCRIPTS

END = r"(?![A-Za-z0-9_ₛₜ])"
SIGNS = "".join(entry.signs for entry in OPERATORS.values())
NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
NAME = r"[A-Za-zσ∑][A-Za-z0-9_ₛₜ]*"
PREFIXES = tuple(sorted({name.partition(" ")[0] for name in INPUTS if " " in name}))


def _longest_first(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=lambda name: (-len(name), name)))


def operator_words() -> tuple[str, ...]:
    """Every word that stands before an opening bracket."""
    return _longest_first({*OPERATORS, *ALIASES, *SHORTHANDS})


def statistic_words() -> tuple[str, ...]:
    """Every statistic without its prefix, also with subscript letters: ``Fₛ``."""
    plain = {name.rpartition(" ")[2] for name in INPUTS}
    fancy = {f"{n[:-2]}{mark}" for end, mark in (("_s", "ₛ"), ("_t", "ₜ")) for n in plain
             if n.endswith(end)}  # fmt: skip
    return _longest_first(plain | fancy)


class ProxyLexer(RegexLexer):
    """Colours ``.proxy`` documents and single formulas."""

    name = "Proxy formula"
    aliases: ClassVar[list[str]] = ["proxy", "autodas"]
    filenames: ClassVar[list[str]] = ["*.proxy"]
    mimetypes: ClassVar[list[str]] = ["text/x-proxy"]

    tokens: ClassVar[dict[str, list[Any]]] = {
        "root": [
            (r"^(proxy/\d+)([ \t]+)(\S+)", bygroups(Keyword.Namespace, Whitespace, Name.Class)),
            (
                rf"^({'|'.join(FACTS)}|x-[a-z0-9-]+)(:)(.*)$",
                bygroups(Name.Attribute, Punctuation, String.Doc),
            ),
            (
                r'^(about|source)(:)(\s*)("(?:[^"\\]|\\.)*")',
                bygroups(Name.Attribute, Punctuation, Whitespace, String.Double),
            ),
            (
                r"^(better)(:)([ \t]*)(higher|lower)\b",
                bygroups(Name.Attribute, Punctuation, Whitespace, Keyword.Constant),
            ),
            (r"^(inputs|reference)(:)", bygroups(Name.Attribute, Punctuation)),
            (
                rf"^(let)([ \t]+)({NAME})([ \t]*)(=)",
                bygroups(Keyword.Declaration, Whitespace, Name.Variable, Whitespace, Operator),
            ),
            (r"^(score)(\s*)(=)", bygroups(Keyword.Declaration, Whitespace, Operator)),
            (r"#[^\n]*", Comment.Single),
            (r"\s+", Whitespace),
            (r"∂L/∂", Keyword.Type),
            (words(PREFIXES, suffix=END), Keyword.Type, "after name"),
            (words(operator_words(), suffix=r"(?=[\[(])"), Name.Function, "after name"),
            (words(statistic_words(), suffix=END), Name.Builtin, "after name"),
            (NAME, Name, "after name"),
            (NUMBER, Number),
            (rf"[|‖](?:{'|'.join(map(re.escape, NORM_MARKS))})?", Operator),
            (f"[{re.escape(''.join({*SIGNS, *SUPERSCRIPTS}))}]", Operator),
            (r"[\[\](),=]", Punctuation),
            (r".", Text),
        ],
        "after name": [
            (r"\[", Punctuation, ("#pop", "attributes")),
            default("#pop"),
        ],
        "attributes": [
            (r"\]", Punctuation, "#pop"),
            (rf"({NAME})(\s*)(=)", bygroups(Name.Attribute, Whitespace, Operator)),
            (rf"[-−]?{NUMBER}", Number),
            (NAME, Keyword.Constant),
            (r"\s+", Whitespace),
            (r".", Punctuation),
        ],
    }
