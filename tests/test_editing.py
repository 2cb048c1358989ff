"""What an editor is told about a document, without a server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from autodas_dsl.editing.complete import proposals
from autodas_dsl.editing.draft import Draft, draft
from autodas_dsl.editing.explain import hover
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.library import library_names
from autodas_dsl.language.operators import OPERATORS

HEAD = "proxy/1 mine\n\nbetter: higher\n\n"


def at(marked: str) -> tuple[Draft, int]:
    """A document from a formula or whole text, and the offset of the mark ``¦`` in it."""
    text = marked if marked.startswith("proxy/") else f"{HEAD}score = {marked}\n"
    return draft(text.replace("¦", ""), "mine"), text.index("¦")


def told(marked: str) -> str:
    found = hover(*at(marked))
    return "" if found is None else found[0]


def offered(marked: str) -> list[str]:
    return [one.label for one in proposals(*at(marked))[0]]


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_operator_is_explained_by_its_own_definition(name: str) -> None:
    assert OPERATORS[name].doc in told(f"{name[:1]}¦{name[1:]}(W)")


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_every_statistic_is_explained_by_its_own_definition(name: str) -> None:
    text = told(f"sum({name}¦)")
    assert text.startswith(f"**{name}**")
    assert INPUTS[name].doc in text


@pytest.mark.parametrize(
    ("marked", "start"),
    [
        ("mean(|W|¦_F)", "**norm_F**"),
        ("mean(|W¦|_F)", "**norm_F**"),
        ("mean(|W|_i¦nf)", "**norm_inf**"),
        ("W ¦* W", "**mul**"),
        ("2¦^layers", "**pow**"),
        ("sum(gr¦ad W)", "The gradient"),
        ("sum(∂L/∂W¦)", "**grad W**"),
        ("sum(grad[flow] W¦)", "**grad W**"),
        ("L2(Fₛ¦, F_t)", "**F_s**"),
        ("lo¦g_softmax(W)", "**logsoftmax**"),
        ("di¦swot + 1", "**diswot** (library proxy)"),
        ("proxy/1 mine\nbett¦er: higher\nscore = params\n", "`higher` or `lower`"),
        ("proxy/1 mine\nlet a = params\nsco¦re = a\n", "`score = …`"),
        ("proxy/1 mine\nlet a = params\nscore = a¦\n", "```\nlet a = params\n```"),
    ],
)
def test_hover(marked: str, start: str) -> None:
    assert told(marked).startswith(start)


@pytest.mark.parametrize(
    "marked",
    [
        "1¦2 + params",
        "nothing¦",
        "params  # a word¦",
        'proxy/1 mine\nabout: "the mean¦"\nscore = params\n',
        "¦proxy/1 mine\n",
        "proxy/1 mine\n¦\n",
    ],
)
def test_no_hover_where_there_is_nothing_to_say(marked: str) -> None:
    assert told(marked) == ""


def test_hover_tells_the_kind_where_the_document_is_right() -> None:
    assert "here: `lin [C HW]`" in told("mean(|logsoft¦max(grad W)|_F)")
    assert "here: `lin number`" in told(
        "proxy/1 m\nlet a = |W|_F\nscore = mean(a¦)\n".replace(" m\n", " mine\n")
    )
    assert "here:" not in told("mean(|logsoft¦max(grad W)|_F")


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("sum(grad ¦", ["W", "A", "X", "H", "V_s", "V_t"]),
        ("sum(hess W¦)", ["W"]),
        ("sum(∂L/∂¦", ["W", "A", "X", "H", "V_s", "V_t"]),
        ("F_s[¦", ["noise", "noise2", "jitter", "-2"]),
        ("NTK[¦]", ["n=2"]),
        ("X[al¦", ["all"]),
        ("KL[¦](F_s, F_t)", ["T=1"]),
        ("softmax[¦", ["C", "B", "HW"]),
        ("params[¦", []),
        ("proxy/1 mine\nbetter: ¦\n", ["higher", "lower"]),
        ("proxy/¦", ["proxy/1 mine"]),
        ("¦", None),
        ("proxy/1 mine\nabout: \"¦\n", []),
        ("proxy/1 mine\nbetter: higher\nsc¦\n",
         ["about", "source", "inputs", "reference", "reported", "measured", "let", "score"]),
        ("proxy/1 mine\nabout: \"\"\nbetter: higher\n¦\nscore = params\n",
         ["source", "inputs", "reference", "reported", "measured", "let"]),
    ],
)  # fmt: skip
def test_completion_offers_what_fits(marked: str, expected: list[str] | None) -> None:
    if expected is None:
        assert {"F_s", "mean", "diswot", "grad"} <= set(offered(marked))
    else:
        assert set(offered(marked)) == set(expected)


def test_attributes_offered_are_accepted() -> None:
    """Whatever completion offers inside brackets checks when it is chosen."""
    from autodas_dsl.language.parse import parse
    from autodas_dsl.language.resolve import operator_values, statistic_named
    from autodas_dsl.language.tree import Call, Name

    for name in OPERATORS:
        for label in offered(f"{name}[¦"):
            call = parse(f"{name}[{label}](W)")
            assert isinstance(call, Call)
            assert operator_values(OPERATORS[call.op], call.attrs, call.span)
    for name in INPUTS:
        prefix, _, base = name.rpartition(" ")
        for label in offered(f"{prefix or base}[¦"):
            found = parse(f"{prefix}[{label}] W" if prefix == "grad" else f"{base}[{label}]")
            assert isinstance(found, Name)
            assert statistic_named(found) is not None


def test_everything_that_can_be_named_is_offered_in_a_formula() -> None:
    text = "proxy/1 mine\nlet mine = params\nscore = ¦\n"
    labels = offered(text)
    assert "mine" in labels
    assert {name for name in INPUTS if " " not in name} <= set(labels)
    assert set(library_names()) <= set(labels)
    infix = {"add", "sub", "mul", "div", "pow", "matmul", "neg", "maximum", "minimum"}
    assert set(OPERATORS) - infix <= set(labels)
    assert len(labels) == len(set(labels))


def test_a_let_is_offered_below_its_definition_only() -> None:
    text = "proxy/1 mine\nlet a = ¦\nlet b = params\nscore = a + b\n"
    assert not {"a", "b"} & set(offered(text))


def test_a_choice_replaces_the_word_before_it() -> None:
    page, offset = at("mean(|logso¦ft|_F)")
    span = proposals(page, offset)[1]
    assert page.text[span.start : span.end] == "logso"


def test_syntax_first_then_kinds() -> None:
    assert [d.code for d in draft(HEAD + "score = |W\n", "mine").diagnostics] == ["E109"]
    assert [d.code for d in draft(HEAD + "score = |W|_F\n", "mine").diagnostics] == ["E203"]
    wrong_inputs = "proxy/1 mine\ninputs: F_s\nscore = params\n"
    assert [d.code for d in draft(wrong_inputs, "mine").diagnostics] == ["E315"]
    assert draft(HEAD + "score = params\n", "other").diagnostics[0].code == "E309"
    assert draft(HEAD + "score = params\n").diagnostics == ()


def test_formatting_needs_a_well_formed_document() -> None:
    assert draft(HEAD + "score = |W\n").formatted() is None
    tidy = "proxy/1 mine\n\nbetter: higher\ninputs: params\n\nscore = params + 1\n"
    assert draft(HEAD + "score =   params+1").formatted() == tidy
    assert draft(tidy).formatted() == tidy


def test_an_editor_does_not_wait_for_torch() -> None:
    code = (
        "import sys; sys.modules.update(torch=None, sympy=None, pygls=None)\n"
        "import autodas_dsl.editing.lsp\n"
        "from autodas_dsl.editing.draft import draft\n"
        "from autodas_dsl.editing.complete import proposals\n"
        "found = draft('proxy/1 a\\n\\nscore = |W\\n')\n"
        "assert found.diagnostics and proposals(found, 22)[0]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
