"""Grammars of editors, written from the words of the lexer, which come from the tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from autodas_dsl.language.documents import FACTS
from autodas_dsl.language.operators import NORM_MARKS
from autodas_dsl.language.parse import SUPERSCRIPTS
from autodas_dsl.report.lexer import (
    END,
    NAME,
    NUMBER,
    PREFIXES,
    SIGNS,
    operator_words,
    statistic_words,
)

_WRITTEN = "Written by `python -m pytest --golden`; change the tables, not this file."
_SIGN_LETTERS = "".join(sorted({*SIGNS, *SUPERSCRIPTS}))
_HEADER = rf"{'|'.join(FACTS)}|x-[a-z0-9-]+"
_LETTER = "A-Za-z0-9_σ∑ₛₜ"


def _any(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, words))


# --- TextMate: VS Code, Sublime Text, TextMate, JetBrains -------------------------------------


def _match(pattern: str, *scopes: str) -> dict[str, object]:
    """A pattern whose whole or whose groups have scopes."""
    if re.compile(pattern).groups == 0:
        return {"match": pattern, "name": f"{scopes[0]}.proxy"}
    named = {str(n): {"name": f"{scope}.proxy"} for n, scope in enumerate(scopes, 1)}
    return {"match": pattern, "captures": named}


def textmate() -> str:
    """The TextMate grammar of documents, as JSON."""
    key, declared, sign = "support.type.property-name", "storage.type", "keyword.operator"
    quoted = {
        "begin": '"', "end": '"', "name": "string.quoted.double.proxy",
        "patterns": [_match(r"\\.", "constant.character.escape")],
    }  # fmt: skip
    attributes = {
        "begin": rf"(?<=[{_LETTER}])\[", "end": r"\]",
        "patterns": [
            _match(rf"({NAME})\s*(=)", "variable.parameter", sign),
            _match(rf"[-−]?{NUMBER}", "constant.numeric"),
            _match(NAME, "constant.language"),
        ],
    }  # fmt: skip
    patterns = [
        _match(r"^(proxy/\d+)[ \t]+(\S+)", "keyword.other.version", "entity.name.type"),
        _match(rf"^({_HEADER}):(.*)$", key, "string.unquoted"),
        quoted,
        _match(r"^(better):[ \t]*(higher|lower)\b", key, "constant.language"),
        _match(r"^(?:about|source|inputs|reference)(?=:)", key),
        _match(rf"^(let)[ \t]+({NAME})[ \t]*(=)", declared, "variable.other.definition", sign),
        _match(r"^(score)\s*(=)", declared, sign),
        _match(r"#.*$", "comment.line.number-sign"),
        _match("∂L/∂", "keyword.operator.derivative"),
        _match(rf"(?:{_any(PREFIXES)}){END}", "keyword.operator.derivative"),
        _match(rf"(?:{_any(operator_words())})(?=[\[(])", "support.function"),
        _match(rf"(?:{_any(statistic_words())}){END}", "support.variable"),
        _match(NAME, "variable.other"),
        attributes,
        _match(NUMBER, "constant.numeric"),
        _match(rf"[|‖](?:{_any(NORM_MARKS)})?", sign),
        _match(f"[{re.escape(_SIGN_LETTERS)}]", sign),
    ]
    grammar = {
        "information_for_contributors": [_WRITTEN],
        "name": "Proxy formula",
        "scopeName": "source.proxy",
        "fileTypes": ["proxy"],
        "patterns": patterns,
    }
    return json.dumps(grammar, indent=2, ensure_ascii=False) + "\n"


# --- Vim and Neovim ---------------------------------------------------------------------------

_VIM_NAME = r"[A-Za-zσ∑][A-Za-z0-9_ₛₜ]*"
_VIM_NUMBER = r"\%(\d\+\%(\.\d*\)\?\|\.\d\+\)\%([eE][+-]\?\d\+\)\?"
_VIM_END = r"[A-Za-z0-9_ₛₜ]\@!"
_LINKS = {
    "Item": "Keyword", "Title": "Title", "Header": "Label", "Fact": "String", "Text": "String",
    "Choice": "Constant", "Let": "Identifier", "Comment": "Comment", "Derivative": "Type",
    "Operator": "Function", "Statistic": "Identifier", "Number": "Number", "Sign": "Operator",
    "Parameter": "Label",
}  # fmt: skip


def _vim_any(words: Iterable[str]) -> str:
    return r"\%(" + r"\|".join(re.sub(r"[*/.]", r"\\\g<0>", word) for word in words) + r"\)"


def vim() -> str:
    """The syntax file of Vim; of matches that start at one place, the last one wins."""
    header = r"\%(" + r"\|".join([*FACTS, r"x-[a-z0-9-]\+"]) + r"\)"
    matches = [
        ("Name", _VIM_NAME),
        ("Statistic", _vim_any(statistic_words()) + _VIM_END),
        ("Operator", _vim_any(operator_words()) + r"\ze[[(]"),
        ("Derivative", _vim_any(PREFIXES) + _VIM_END),
        ("Derivative", r"∂L\/∂"),
        ("Number", _VIM_NUMBER),
        ("Sign", f"[-{re.sub('[-/^]', '', _SIGN_LETTERS)}\\/^]"),
        ("Sign", rf"[|‖]{_vim_any(NORM_MARKS)}\?"),
        ("Item", r"^proxy\/\d\+"),
        ("Title", r"\%(^proxy\/\d\+\s\+\)\@<=\S\+"),
        ("Header", rf"^\%({header}\|about\|source\|better\|inputs\|reference\)\ze:"),
        ("Fact", rf"\%(^{header}:\)\@<=.*$"),
        ("Choice", r"\%(^better:\s*\)\@<=\%(higher\|lower\)\>"),
        ("Item", r"^\%(let\ze\s\|score\ze\s*=\)"),
        ("Let", rf"\%(^let\s\+\)\@<={_VIM_NAME}\ze\s*="),
        ("Comment", "#.*$"),
    ]
    inside = [
        ("Choice", _VIM_NAME), ("Parameter", _VIM_NAME + r"\ze\s*="), ("Number", "[-−]\\?" + _VIM_NUMBER),
        ("Sign", "="),
    ]  # fmt: skip
    lines = [
        f'" {_WRITTEN}', "scriptencoding utf-8", 'if exists("b:current_syntax")', "  finish", "endif",
        "syntax case match", "",
        *(f"syntax match proxy{group} /{pattern}/" for group, pattern in matches),
        r'syntax region proxyText start=/\%(^\%(about\|source\):\s*\)\@<="/ skip=/\\./ end=/"/',
        rf"syntax region proxyAttributes start=/[{_LETTER}]\@1<=\[/ end=/\]/ "
        "contains=proxyChoice,proxyParameter,proxyNumber,proxySign",
        *(f"syntax match proxy{group} /{pattern}/ contained" for group, pattern in inside),
        "",
        *(f"highlight default link proxy{group} {link}" for group, link in _LINKS.items()),
        "", 'let b:current_syntax = "proxy"',
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
