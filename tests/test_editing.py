"""What an editor is told about a document, without a server."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest

from autodas_dsl.editing.complete import proposals
from autodas_dsl.editing.draft import Draft, draft
from autodas_dsl.editing.explain import hover
from autodas_dsl.editing.rename import renamable, renamed, uses
from autodas_dsl.editing.signature import Signature, signatures
from autodas_dsl.editing.words import name_at, words
from autodas_dsl.language.documents import parse_document
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.library import library_files, library_names
from autodas_dsl.language.operators import OPERATORS, format_number
from autodas_dsl.language.typed import inlined

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
        ("proxy/1 mine\ninputs: grad W¦\nscore = params\n", "**grad W**"),
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
    # where the rest of the document is right or not
    assert "here: `lin number`" in told("proxy/1 mine\nlet a = |W|_F\nlet b = a¦\nscore = (\n")


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


def sorts(text: str) -> list[tuple[str, str]]:
    page = draft(text, "mine")
    return [(word.sort, page.text[word.span.start : word.span.end]) for word in words(page)]


def test_every_word_of_a_document_has_its_sort() -> None:
    text = (
        'proxy/1 mine  # a\n# b\nabout: "c\n  d"  # e\nbetter: higher\ninputs: grad[flow] W\n'
        "x-note: f # g\nlet part = |W|_F  # h\n  # i\n"
        "score = mean[C](part) ⊙ KL[T=8](Fₛ, diswot) − nothing\nreference: percentile(part) = 2\n"
    )
    assert sorts(text) == [
        ("item", "proxy/1"), ("proxy", "mine"), ("comment", "# a"), ("comment", "# b"),
        ("header", "about"), ("text", '"c'), ("text", 'd"'), ("comment", "# e"),
        ("header", "better"), ("value", "higher"),
        ("header", "inputs"), ("derivative", "grad"), ("value", "flow"), ("statistic", "W"),
        ("header", "x-note"), ("text", "f # g"),
        ("item", "let"), ("let", "part"), ("sign", "|"), ("statistic", "W"), ("sign", "|_F"),
        ("comment", "# h"), ("comment", "# i"),
        ("item", "score"), ("operator", "mean"), ("value", "C"), ("let", "part"), ("sign", "⊙"),
        ("operator", "KL"), ("attribute", "T"), ("number", "8"), ("statistic", "Fₛ"),
        ("proxy", "diswot"), ("sign", "−"), ("unknown", "nothing"),
        ("header", "reference"), ("operator", "percentile"), ("let", "part"), ("number", "2"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", library_names())
def test_every_character_of_the_library_is_a_word_or_punctuation(name: str) -> None:
    page = draft(library_files()[name].read_text(encoding="utf-8"), name)
    found = words(page)
    assert "unknown" not in {word.sort for word in found}
    assert [word.name for word in found if word.defines] == [name, *page.lets]
    rest = list(page.text)
    for word in found:
        rest[word.span.start : word.span.end] = " " * (word.span.end - word.span.start)
    assert set("".join(rest)) <= set(" \n:,()[]=")


@pytest.mark.parametrize(
    "text",
    ["", "\x00", "let", "proxy/1", "score = [[[((]", "let = a\nscore = |", "=", "# a", "  # a\n b",
     "score = 12abc + 🙂 W", "about: \"a\nscore = W", "x" * 100_000, "score = " + "W + " * 30_000],
)  # fmt: skip
def test_wrong_text_has_words_in_order_within_lines(text: str) -> None:
    page = draft(text)
    found = words(page)
    assert all(a.span.end <= b.span.start for a, b in pairwise(found))
    assert not any("\n" in page.text[word.span.start : word.span.end] for word in found)


def test_a_name_means_the_let_below_its_definition_only() -> None:
    text = "proxy/1 mine\nlet a = diswot\nlet diswot = a\nscore = diswot + a\n"
    assert [s for s in sorts(text) if s[1] == "diswot"] == [
        ("proxy", "diswot"), ("let", "diswot"), ("let", "diswot"),
    ]  # fmt: skip


def test_kinds_are_known_of_all_that_is_right() -> None:
    text = "let a = |W|_F\nlet b = nothing\nlet c = (\nlet d = b + 1\nlet e = a * 2\nscore = F_s\n"
    page = draft(text, "mine")
    shown = [(page.text[:offset].split()[-1], str(kind)) for offset, kind in page.kinds()]
    assert shown == [("a", "lin number"), ("e", "lin number"), ("score", "[B C HW]")]


def replaced(marked: str, name: str) -> str:
    """The text after a renaming at the mark."""
    page, offset = at(marked)
    text = page.text
    for word in reversed(renamed(page, renamable(page, offset), name)):
        text = text[: word.span.start] + name + text[word.span.end :]
    return text


def test_a_let_is_renamed_where_it_stands_and_nowhere_else() -> None:
    text = (
        "proxy/1 mine\nlet a_s = params  # a_s\n"
        "score = a¦_s + aₛ * mean(F_s) + percentile(a_s)\nreference: percentile(a_s) = 1, 2\n"
    )
    assert replaced(text, "b") == (
        "proxy/1 mine\nlet b = params  # a_s\n"
        "score = b + b * mean(F_s) + percentile(b)\nreference: percentile(b) = 1, 2\n"
    )
    assert replaced("proxy/1 mi¦ne\nscore = params\n", "yours") == "proxy/1 yours\nscore = params\n"
    assert replaced("proxy/1 mine\nlet ¦sum = params\nscore = (\n", "ok").startswith(
        "proxy/1 mine\nlet ok = params\n"
    )


@pytest.mark.parametrize("name", library_names())
def test_renaming_keeps_the_formula_and_goes_back(name: str) -> None:
    text = library_files()[name].read_text(encoding="utf-8")
    meant = inlined(parse_document(text).typed().score)
    for let in draft(text).lets:
        mark = text.index(f"let {let}") + 4
        changed = replaced(f"{text[:mark]}¦{text[mark:]}", "another_name")
        assert inlined(parse_document(changed).typed().score) == meant
        assert replaced(f"{changed[:mark]}¦{changed[mark:]}", let) == text


@pytest.mark.parametrize(
    ("marked", "name", "code"),
    [
        ("¦a + b + diswot", "1st", "E308"),
        ("¦a + b + diswot", "sum", "E308"),
        ("¦a + b + diswot", "log_softmax", "E308"),
        ("¦a + b + diswot", "F_s", "E308"),
        ("¦a + b + diswot", "score", "E308"),
        ("¦a + b + diswot", "a b", "E308"),
        ("¦a + b + diswot", "", "E308"),
        ("¦a + b + diswot", "b", "E311"),
        ("¦a + b + diswot", "diswot", "E654"),
        ("¦a + b + nothing", "nothing", "E654"),
        ("¦12 + a + b", "c", "E652"),
        ("a + b  # a¦", "c", "E652"),
        ("sum¦(a) + b", "c", "E653"),
        ("a¦ + b", "c", None),
        ("a¦ + b", "a", None),
        ("a¦ + b", "snip", None),
        ("disw¦ot + a + b", "c", "E653"),
        ("mean(grad W¦) + a + b", "c", "E653"),
    ],
)
def test_what_cannot_be_renamed_is_refused(marked: str, name: str, code: str | None) -> None:
    text = f"proxy/1 mine\nlet a = params\nlet b = flops\nscore = {marked}\n"
    if code is None:
        assert f"let {name} = params" in replaced(text, name)
        return
    with pytest.raises(InputError) as caught:
        replaced(text, name)
    assert caught.value.diagnostics[0].code == code


@pytest.mark.parametrize("name", ["1st", "sum", "F_s", "a b"])
def test_a_document_takes_no_name_that_is_none(name: str) -> None:
    with pytest.raises(InputError) as caught:
        replaced("proxy/1 ¦mine\nscore = params\n", name)
    assert caught.value.diagnostics[0].code == "E308"


def test_a_proxy_of_the_library_keeps_its_name() -> None:
    page, offset = at("proxy/1 ¦diswot\nscore = params\n")
    assert renamable(page, offset).name == "diswot"
    with pytest.raises(InputError, match="a proxy of the library"):
        renamable(page, offset, shipped=True)


def test_a_derivative_is_not_the_statistic_it_is_taken_by() -> None:
    page, offset = at("mean(|W¦|_F) + mean(|∂L/∂W|_F) + mean(|W|_1)")
    word = name_at(page, offset)
    assert word is not None
    assert len(uses(page, word)) == 2


def hinted(marked: str) -> list[tuple[str, str]]:
    """The labels of the signatures at the mark, each with its active parameter."""
    found, fitting = signatures(*at(marked))
    if found:
        found.insert(0, found.pop(fitting))
    return [(one.label, one.label[slice(*one_place(one))]) for one in found]


def one_place(one: Signature) -> tuple[int, int]:
    place = one.parameters[one.active][0]
    return place.start, place.end


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("KL(¦", ("KL[T=1](a, b)", "a")),
        ("KL[¦", ("KL[T=1](a, b)", "T=1")),
        ("KL[T=4](F_s, ¦", ("KL[T=1](a, b)", "b")),
        ("KL(f(a, b), ¦)", ("KL[T=1](a, b)", "b")),
        ("KL([F_s, ¦", ("KL[T=1](a, b)", "a")),
        ("mask[¦](F_s)", ("mask[p=0.65, seed=0](x)", "p=0.65")),
        ("mask[seed=¦", ("mask[p=0.65, seed=0](x)", "seed=0")),
        ("mask[p=1, ¦", ("mask[p=0.65, seed=0](x)", "seed=0")),
        ("mask[p=1, seed=2, 3, ¦", ("mask[p=0.65, seed=0](x)", "seed=0")),
        ("max(W¦", ("max[HW|C|B|CHW|G](x)", "x")),
        ("max(W, ¦", ("max(x, y)", "y")),
        ("max(W, 1, ¦", ("max(x, y)", "y")),
        ("softmax(|W|_F + (1 - ¦", ("softmax[C|B|HW](x)", "x")),
        ("softmax[C¦](W)", ("softmax[C|B|HW](x)", "C|B|HW")),
        ("align(¦", ("align[CHW|HW|C]([a, b])", "[a, b]")),
        ("σ(¦", ("σ(x)", "x")),
        ("sum(W) + mean(¦W)", ("mean[HW|C|B|CHW|G](x)", "x")),
        ("sum(W) ¦", None),
        ("(¦", None),
        ("(W)(¦", None),
        ("mean(nothing(¦", None),
        ("mean(F_s[¦", None),
        ("mean  # (¦", None),
    ],
)
def test_a_call_shows_what_it_takes(marked: str, expected: tuple[str, str] | None) -> None:
    assert hinted(marked)[:1] == ([] if expected is None else [expected])


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_operator_has_a_signature_of_its_table(name: str) -> None:
    found, _ = signatures(*at(f"{name}(¦"))
    entry = OPERATORS[name]
    assert found[0].doc.startswith(entry.doc)
    label = found[0].label
    assert [label[place.start : place.end] for place, _ in found[0].parameters] == [
        *(["|".join(entry.axes)] if entry.axes else []),
        *(f"{a.name}={format_number(a.default)}" for a in entry.attrs),
        *(["[a, b]"] if entry.aligns else entry.letters[: entry.arity]),
    ]


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
