"""Text to tree and back: fixtures of what prints as itself, what is rewritten, what is refused."""

from __future__ import annotations

from pathlib import Path

import lark
import pytest
from fixtures import Wrong, lines, wrong_inputs

from autodas_dsl.language.check import check
from autodas_dsl.language.documents import expression_proxy, parse_document, read_document
from autodas_dsl.language.errors import Diagnostic, FormulaError, InputError
from autodas_dsl.language.examples import example_of
from autodas_dsl.language.folders import data_folder
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.library import LIBRARY
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.parse import MAX_DEPTH, MAX_TOKENS, parse
from autodas_dsl.language.spans import Source
from autodas_dsl.language.tree import Call, Name, walk

IDENTITY = lines("identity.proxies")
EXAMPLES = [*map(example_of, OPERATORS.values()), *INPUTS]
PAIRS = [tuple(line.split(" -> ")) for line in lines("rewrite.pairs")]
WRONG = [pytest.param(w, id=f"errors.txt:{w.line}") for w in wrong_inputs()]


def test_fixtures_are_large_enough() -> None:
    assert len(set(IDENTITY)) == len(IDENTITY) >= 300
    assert len(WRONG) >= 120
    assert len(PAIRS) >= 100


def test_grammar_is_lalr_without_conflicts() -> None:
    pytest.importorskip("interegular")
    grammar = (data_folder("grammar") / "proxy.lark").read_text(encoding="utf-8")
    lark.Lark(grammar, parser="lalr", strict=True)


@pytest.mark.parametrize("text", list(dict.fromkeys([*IDENTITY, *EXAMPLES])))
def test_prints_as_itself(text: str) -> None:
    tree = parse(text)
    assert format_expression(tree) == text
    found = check(tree, library=LIBRARY).diagnostics
    assert [d.message for d in found if d.code != "E203"] == []


@pytest.mark.parametrize(("written", "canonical"), PAIRS)
def test_is_rewritten(written: str, canonical: str) -> None:
    assert written != canonical
    assert format_expression(parse(written)) == canonical
    assert parse(canonical) == parse(written)
    assert format_expression(parse(canonical)) == canonical


@pytest.mark.parametrize("text", ["maximum(|W|_F)", "minimum(W, W, W)", "max(1, 2, 3)"])
def test_what_does_not_check_is_not_rewritten_into_what_does(text: str) -> None:
    with pytest.raises(InputError):
        expression_proxy(text).typed()
    assert format_expression(parse(text)) == text


def test_what_prints_as_itself_covers_every_operator_and_statistic() -> None:
    nodes = [node for text in [*IDENTITY, *EXAMPLES] for node in walk(parse(text))]
    called = {node.op for node in nodes if isinstance(node, Call)}
    assert set(OPERATORS) - called == set()
    named = {f"{n.prefix} {n.text}".strip() for n in nodes if isinstance(n, Name)}
    assert set(INPUTS) - named == set()


# --- wrong inputs ---------------------------------------------------------------------------------


def diagnostics(text: str, document: bool) -> list[Diagnostic]:
    """Everything that is said about an input, in the order of places; warnings included."""
    try:
        if not document:
            expression_proxy(text).typed()
            return []
        proxy = parse_document(text, stem="a")
        proxy.typed()
        return proxy.check().diagnostics
    except FormulaError as error:
        return sorted(error.diagnostics, key=lambda d: d.span.start if d.span else 0)


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_input_is_explained(wrong: Wrong) -> None:
    found = [
        (d.span.start, min(d.span.end, len(wrong.text)), d.code, d.message, d.help)
        for d in diagnostics(wrong.text, wrong.document)
        if d.span is not None
    ]
    assert found == [(e.start, e.end, e.code, e.message, e.help) for e in wrong.expected]


@pytest.mark.parametrize("wrong", WRONG)
def test_valid_neighbour_of_a_wrong_input(wrong: Wrong) -> None:
    found = diagnostics(wrong.neighbour, wrong.document)
    assert [d.message for d in found if d.code != "E203"] == []


@pytest.mark.parametrize("wrong", WRONG)
def test_diagnostics_speak_with_one_voice(wrong: Wrong) -> None:
    for expected in wrong.expected:
        for text in (expected.message, expected.help):
            assert len(text) <= 160
            assert not text.endswith(".")
            assert "\n" not in text
            assert text[:1] == text[:1].lower() or text[:1] in "`EANTF"


@pytest.mark.parametrize("text", ["", " ", "\n\n", "# nothing but a comment"])
def test_empty_expression(text: str) -> None:
    with pytest.raises(FormulaError, match="the expression is empty"):
        parse(text)


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n"])
def test_empty_document(text: str) -> None:
    with pytest.raises(FormulaError, match="E305"):
        parse_document(text)


# --- limits ---------------------------------------------------------------------------------------


def test_depth_limit_counts_chains() -> None:
    fits = " + ".join(["W"] * MAX_DEPTH)
    assert format_expression(parse(fits)) == fits
    with pytest.raises(FormulaError, match="E103"):
        parse(fits + " + W")
    with pytest.raises(FormulaError, match="E103"):
        parse("(" * (MAX_DEPTH + 1) + "W" + ")" * (MAX_DEPTH + 1))
    with pytest.raises(FormulaError, match="E103"):
        parse("-" * (MAX_DEPTH + 1) + "W")


def test_token_and_length_limits() -> None:
    with pytest.raises(FormulaError, match="E102"):
        parse("sum(" + ", ".join(["W"] * MAX_TOKENS) + ")")
    with pytest.raises(FormulaError, match="E101"):
        parse(" " * 70_000 + "W")


# --- diagnostics as text --------------------------------------------------------------------------


def test_diagnostic_shows_the_line_with_carets() -> None:
    text = "proxy/1 x\n\nbetter: higher\n\nscore = |grad W|_F\n"
    with pytest.raises(FormulaError) as caught:
        parse_document(text, "proxies/x.proxy").typed()
    assert str(caught.value) == "\n".join(
        [
            "proxies/x.proxy:5:9: error[E203]: the score must be one number; "
            "this is one number per layer",
            "  5 | score = |grad W|_F",
            "    |         ^^^^^^^^^^",
            "    = help: wrap it in mean(…) or sum(…)",
        ]
    )


def test_diagnostic_for_editors() -> None:
    source = Source("a.proxy", "score = F_q\n")
    with pytest.raises(FormulaError) as caught:
        expression_proxy("F_q").typed()
    found = caught.value.diagnostics[0].as_dict(Source("<expression>", "F_q"))
    assert found == {
        "file": "<expression>", "code": "E201", "severity": "error", "help": "did you mean `F_t`?",
        "message": "there is no statistic, let or proxy `F_q`",
        "line": 1, "column": 1, "end_line": 1, "end_column": 4,
    }  # fmt: skip
    assert source.position(8) == (1, 9)


def test_long_lines_are_shown_around_the_place() -> None:
    text = " + ".join(["params"] * 60) + " + F_q + " + " + ".join(["flops"] * 60)
    with pytest.raises(FormulaError) as caught:
        expression_proxy(text).typed()
    shown = str(caught.value).split("\n")
    assert len(shown[1]) < 140
    assert shown[1][shown[2].index("^") :].startswith("F_q")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E301"):
        read_document(tmp_path / "missing.proxy")
    with pytest.raises(InputError, match="E301"):
        read_document(tmp_path)
    binary = tmp_path / "binary.proxy"
    binary.write_bytes(b'proxy/1 binary\nabout: "\xff"\nscore = params\n')
    with pytest.raises(InputError, match="not UTF-8"):
        read_document(binary)
    large = tmp_path / "large.proxy"
    large.write_bytes(b"proxy/1 large\nscore = params\n" + b"# padding\n" * 120_000)
    with pytest.raises(InputError, match="E302"):
        read_document(large)
