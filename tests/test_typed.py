"""The typed tree: made once, shared where it is named twice, read by every consumer."""

from __future__ import annotations

from pathlib import Path

import pytest

from autodas_dsl.compiler.lower import lower
from autodas_dsl.language import proxy as documents
from autodas_dsl.language.check import check
from autodas_dsl.language.documents import expression_proxy, parse_document
from autodas_dsl.language.errors import FormulaError, InputError
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.infer import Typing, never
from autodas_dsl.language.kinds import NUMBER
from autodas_dsl.language.library import library_proxy, load, typed
from autodas_dsl.language.parse import parse
from autodas_dsl.language.tree import Call, put
from autodas_dsl.language.typed import inlined, topological
from autodas_dsl.printing.show import show
from autodas_dsl.scoring.scorer import bind

TEXT = """proxy/1 twice
inputs: W, grad W
let size = sum(|W|_F)
score = size * size + snip
"""


def test_names_show_one_shared_body() -> None:
    formula = parse_document(TEXT).typed()
    product, proxy = formula.score.children
    first, second = product.children
    assert first.body is second.body is formula.lets[0][1]
    assert (first.is_proxy, proxy.is_proxy) == (False, True)
    assert format_expression(first.expr) == "size"
    assert first.value() is formula.lets[0][1]
    assert proxy.value(proxies=False) is proxy
    assert proxy.value() is not proxy
    assert len({id(node) for node in formula.values}) == len(formula.values)


def test_nodes_know_their_place_kind_and_attribute_values() -> None:
    proxy = parse_document(
        TEXT.replace("inputs: W, grad W\n", "").replace("snip", "KL[T=8]([P_s, P_t])")
    )
    found = {n.expr.op: n for n in proxy.typed().values if isinstance(n.expr, Call)}
    assert dict(found["KL"].values) == {"T": 8.0}
    assert [str(needed) for needed in found["KL"].needs] == ["K_s = K_t"]
    span = found["KL"].expr.span
    assert proxy.text is not None
    assert proxy.text.text[span.start : span.end] == "KL[T=8]([P_s, P_t])"
    assert {str(statistic) for statistic in proxy.typed().statistics} == {"W", "P_s", "P_t"}


def test_a_document_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library_proxy("snip")
    calls: list[object] = []

    def counted(*args: object) -> object:
        calls.append(args)
        return check(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(documents, "check", counted)
    path = tmp_path / "twice.proxy"
    path.write_text(TEXT.replace(" + snip", "").replace(", grad W", ""))
    found = load(str(path))
    bind(found)
    for form in ("latex", "tree", "json", "unicode"):
        show(found, form)
    assert lower(found) is bind(found).node
    assert len(calls) == 1


def test_what_is_wrong_is_said_each_time() -> None:
    proxy = expression_proxy("mean(softmx(W)) + F_q")
    for _ in range(2):
        with pytest.raises(FormulaError) as raised:
            proxy.typed()
        assert [found.code for found in raised.value.diagnostics] == ["E202", "E201"]
    with pytest.raises(FormulaError):
        lower(parse("sum(nothing)"))
    with pytest.raises(TypeError):
        lower(parse("[F_s, F_t]"))


@pytest.mark.parametrize(
    ("proxies", "text"),
    [(True, "sum(|W|_F) * sum(|W|_F) + sum(sum(abs(W * grad W)))"),
     (False, "sum(|W|_F) * sum(|W|_F) + snip")],
)  # fmt: skip
def test_inlined_writes_names_out(proxies: bool, text: str) -> None:
    root = parse_document(TEXT).typed().score
    whole = inlined(root, proxies)
    assert lower(whole) is lower(root)
    if not proxies:
        assert format_expression(whole) == text
    assert inlined(typed(whole).score) == inlined(root)


def test_lets_that_double_each_other_are_refused_written_out_and_fine_as_they_are() -> None:
    lets = ["let a0 = sum(|W|_F)", *(f"let a{i} = a{i - 1} * a{i - 1}" for i in range(1, 41))]
    proxy = parse_document("proxy/1 many\n" + "\n".join(lets) + "\nscore = a40\n")
    assert len(topological(proxy.typed().score)) == 43
    assert lower(proxy).kind == NUMBER
    with pytest.raises(InputError, match="E811"):
        inlined(proxy.typed().score)


def test_the_search_asks_the_checkers_engine() -> None:
    text = "KL([P_s, P_t])"
    assert Typing().kind(parse(text)) == check(parse(text)).kind == NUMBER
    assert Typing(never).kind(parse(text)) is None  # what it needs is not known to hold
    assert Typing().kind(parse("softmx(W)")) is None
    assert Typing().kind(put(parse(text), (0, 0), parse("[P_s, P_t]"))) is None
