from __future__ import annotations

import pytest
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, String

from autodas_dsl.language.folders import data_folder
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.library import library_files
from autodas_dsl.language.operators import ALIASES, OPERATORS
from autodas_dsl.language.parse import parse
from autodas_dsl.report.lexer import SHORTHANDS, ProxyLexer


def tokens(text: str) -> list[tuple[object, str]]:
    return [(kind, word) for kind, word in ProxyLexer().get_tokens(text) if word.strip()]


def test_a_formula_is_coloured_word_by_word() -> None:
    assert tokens("mean(|logsoftmax[B](grad[flow] W)|_F) + 0.5 * v") == [
        (Name.Function, "mean"),
        (Punctuation, "("),
        (Operator, "|"),
        (Name.Function, "logsoftmax"),
        (Punctuation, "["),
        (Keyword.Constant, "B"),
        (Punctuation, "]"),
        (Punctuation, "("),
        (Keyword.Type, "grad"),
        (Punctuation, "["),
        (Keyword.Constant, "flow"),
        (Punctuation, "]"),
        (Name.Builtin, "W"),
        (Punctuation, ")"),
        (Operator, "|_F"),
        (Punctuation, ")"),
        (Operator, "+"),
        (Number, "0.5"),
        (Operator, "*"),
        (Name, "v"),
    ]


def test_pairs_are_not_attributes() -> None:
    found = tokens("KL[T=8]([F_s, F_t[-2]])")
    assert (Name.Attribute, "T") in found
    assert (Name.Builtin, "F_s") in found
    assert (Name.Builtin, "F_t") in found
    assert (Number, "-2") in found


def test_a_document_is_coloured_line_by_line() -> None:
    text = (
        'proxy/1 a\n\nabout: "A \\"b\\"."\nbetter: higher\ninputs: F_s, grad W\nx-note: free\n\n'
        "let v = F_s  # why\nscore = sum(v)\nmeasured: digits n=8\n"
    )
    found = tokens(text)
    for expected in [
        (Keyword.Namespace, "proxy/1"),
        (Name.Class, "a"),
        (Name.Attribute, "about"),
        (String.Double, '"A \\"b\\"."'),
        (Keyword.Constant, "higher"),
        (Name.Builtin, "F_s"),
        (Keyword.Declaration, "let"),
        (Name.Variable, "v"),
        (Comment.Single, "# why"),
        (Keyword.Declaration, "score"),
        (String.Doc, " digits n=8"),
    ]:
        assert expected in found, expected


def test_unicode_is_coloured() -> None:
    assert tokens("σ(Fₛ) ⊙ ∂L/∂W")[0] == (Name.Function, "σ")
    assert (Name.Builtin, "Fₛ") in tokens("σ(Fₛ)")
    assert (Keyword.Type, "∂L/∂") in tokens("∂L/∂W")


@pytest.mark.parametrize("word", [*OPERATORS, *ALIASES, *SHORTHANDS])
def test_every_operator_is_known(word: str) -> None:
    assert tokens(f"{word}(x)")[0] == (Name.Function, word)


@pytest.mark.parametrize("word", sorted({name.rpartition(" ")[2] for name in INPUTS}))
def test_every_statistic_is_known(word: str) -> None:
    assert tokens(word)[0] == (Name.Builtin, word)


@pytest.mark.parametrize("word", SHORTHANDS)
def test_shorthands_are_words_of_the_parser(word: str) -> None:
    assert parse(f"{word}(x)") != parse(f"other{word}(x)")


def test_the_library_has_no_error_tokens() -> None:
    assert data_folder("proxies").is_dir()
    for path in library_files().values():
        text = path.read_text(encoding="utf-8")
        found = list(ProxyLexer().get_tokens(text))
        assert "".join(word for _, word in found) == text
        assert not [word for kind, word in found if kind is Error]


def test_wrong_text_does_not_stop_it() -> None:
    assert "".join(w for _, w in ProxyLexer().get_tokens("let = § [ |")).strip() == "let = § [ |"
