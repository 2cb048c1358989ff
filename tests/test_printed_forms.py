from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import networkx as nx
import pytest
import sympy
from conftest import Golden
from hypothesis import given, settings
from hypothesis import strategies as st
from random_formulas import random_formula

from autodas_dsl.language.documents import expression_proxy, parse_document
from autodas_dsl.language.errors import FormulaError, InputError
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.library import library_names, library_proxy, load, typed
from autodas_dsl.language.parse import parse
from autodas_dsl.printing.graph import computation_graph, dot
from autodas_dsl.printing.mathml import NAMESPACE, mathml, mathml_of, wrapping_mathml
from autodas_dsl.printing.show import FORMS, show
from autodas_dsl.printing.sympy_form import to_sympy
from autodas_dsl.printing.unicode import unicode_of
from autodas_dsl.simplify.from_sympy import from_sympy

CHILDREN = {"mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2,
            "munderover": 3, "semantics": 2}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_the_whole_library_prints_in_every_form(form: str) -> None:
    for name in library_names():
        text = show(library_proxy(name), form)
        assert text.strip()
        assert text == show(library_proxy(name), form)


@pytest.mark.parametrize("form", ["unicode", "tree"])
def test_forms_print_as_their_golden_files(form: str, golden: Golden) -> None:
    blocks = [f"[{name}]\n{show(library_proxy(name), form)}\n" for name in library_names()]
    golden(f"{form}.golden", "\n".join(blocks))


def test_graphs_print_as_their_golden_file(golden: Golden) -> None:
    names = ["rho_cnn", "rho_cnn_s0", "snip"]
    golden("dot.golden", "".join(show(library_proxy(name), "dot") for name in names))
    golden("mathml.golden", "\n".join(show(library_proxy(n), "mathml") for n in names) + "\n")
    golden("graph.svg", show(library_proxy("rho_cnn_s0"), "svg"))


def test_unknown_forms_and_options_are_refused() -> None:
    with pytest.raises(InputError, match=r"E807.*\n.*did you mean `latex`"):
        show(load("params"), "latx")
    with pytest.raises(InputError, match="E808"):
        show(load("params"), "tree", width=3)
    with pytest.raises(FormulaError, match="E20"):
        show(expression_proxy("|W|_F"), "unicode")


def test_options_reach_the_printer() -> None:
    proxy = expression_proxy("0.123456 * params")
    assert "0.12" in show(proxy, "latex", layout="align", width=30, digits=2)
    assert "<mn>0.12</mn>" in show(proxy, "mathml", digits=2)


def test_show_imports_neither_torch_nor_sympy() -> None:
    code = (
        "import sys\nfrom autodas_dsl.printing.show import show\n"
        "from autodas_dsl.language.library import load\n"
        "for form in ('text', 'unicode', 'latex', 'mathml', 'tree'):\n"
        "    show(load('rho_cnn'), form)\n"
        "print(sorted({'torch', 'sympy', 'networkx', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- Unicode ----------------------------------------------------------------------------------

EXPRESSIONS = [
    "KL(sigmoid(F_s), sigmoid(F_t)) + mean(|logsoftmax(grad W)|_F)",
    "sum(|abs(|W|_1 * W)|_inf) - -2 * params",
    "norm_F[HW](W) * norm_F(|W|)",
    "(-params)^2^-flops",
    "(params^2)^3 + (params + 1)^2 + sqrt(params)^4 + sqrt(params + 1)",
    "sqrt(params^2) * sqrt(sum(|W|_F)) / -(2 * 3)",
    "|F_s[-2] - F_s[noise]|_2 + mean(|hess W|_*)",
    "max([E_s, -E_t])",
    "mm(F_s) @ mm(F_t) @ (mm(F_s) @ mm(F_s))",
    "mask[p=0.5, seed=3](align[HW]([F_s, F_t]))",
    "grad[split=2] W + 1 - (2 - 3) / (4 / 5)",
    "F_s * E_s * 2 * F_s",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_unicode_reads_back_as_the_same_tree(text: str) -> None:
    tree = parse(text)
    assert parse(unicode_of(typed(tree).score)) == tree


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|grad W|_F", "‖∂L/∂W‖_F"),
        ("|abs(W)|_2", "‖abs(W)‖₂"),
        ("sqrt(sigmoid(F_s))^2", "√σ(Fₛ)²"),
        ("W * grad W * 2", "W ⊙ ∂L/∂W · 2"),
        ("-F_t[-2]", "−Fₜ[−2]"),
        ("grad[flow] W", "grad[flow] W"),
    ],
)
def test_unicode_spelling(text: str, expected: str) -> None:
    assert unicode_of(typed(parse(text)).score) == expected


# --- MathML -----------------------------------------------------------------------------------


def test_mathml_is_well_formed() -> None:
    for name in library_names():
        root = ElementTree.fromstring(show(library_proxy(name), "mathml"))
        assert root.tag == f"{{{NAMESPACE}}}math"
        for element in root.iter():
            tag = element.tag.rpartition("}")[2]
            assert len(element) == CHILDREN.get(tag, len(element)), (name, tag)
            if tag in ("mi", "mn", "mo"):
                assert element.text is not None
                assert not len(element)


def test_mathml_has_the_latex_as_annotation() -> None:
    proxy = library_proxy("rho_cnn")
    root = ElementTree.fromstring(show(proxy, "mathml"))
    note = root.find(f".//{{{NAMESPACE}}}annotation")
    assert note is not None
    assert note.text == show(proxy, "latex")


def test_mathml_escapes_and_refuses() -> None:
    assert "&lt;" not in mathml_of("x")
    assert 'display="inline"' in mathml_of("x", display=False)
    with pytest.raises(InputError, match="E802"):
        mathml_of(r"\frac{x}")


# --- graph ------------------------------------------------------------------------------------


def test_shared_values_are_one_node() -> None:
    graph = computation_graph(expression_proxy("sum(|W|_F) * sum(|W|_F) + mean(|W|_F)"))
    labels = sorted(data["label"] for _, data in graph.nodes(data=True))
    assert labels == ["+", "W", "mean", "sum", "×", "‖·‖_F"]
    assert graph.number_of_edges() == 7
    assert nx.is_directed_acyclic_graph(graph)
    assert graph.out_degree(graph.graph["score"]) == 0


def test_lets_and_library_proxies_are_inlined() -> None:
    text = "proxy/1 a\n\nlet v = |W|_F\nscore = sum(v) + snip + sum(|W * grad W|_1) * mean(v)\n"
    graph = computation_graph(parse_document(text))
    labels = [data["label"] for _, data in graph.nodes(data=True)]
    assert labels.count("W") == labels.count("‖·‖_F") == 1
    assert "snip" not in labels


@pytest.mark.parametrize("form", FORMS)
def test_lets_without_use_print_in_every_form(form: str) -> None:
    proxy = parse_document("proxy/1 a\n\nlet v = sum(|W|_F)\nlet w = v + 2\nscore = params\n")
    assert show(proxy, form)


def test_the_graph_leads_to_the_score() -> None:
    text = "proxy/1 a\n\nlet v = sum(|W|_F)\nlet w = v + 2\nscore = params + snip\n"
    graph = computation_graph(parse_document(text))
    assert [n for n in graph if graph.out_degree(n) == 0] == [graph.graph["score"]]


def test_operators_with_one_sign_stay_apart() -> None:
    graph = computation_graph(expression_proxy("max(|W|_F) + max(params, flops) + -params - flops"))
    labels = [data["label"] for _, data in graph.nodes(data=True)]
    assert labels.count("max") == 2
    assert labels.count("−") == 2


def test_edges_carry_kinds_and_arguments() -> None:
    proxy = expression_proxy("params / flops")
    graph = computation_graph(proxy)
    rows = [
        (graph.nodes[s]["label"], d["argument"], d["kind"]) for s, _, d in graph.edges(data=True)
    ]
    assert rows == [("params", 0, "number"), ("flops", 1, "number")]
    assert '"number"' in dot(proxy)


def test_json_and_graphml_are_data() -> None:
    data = json.loads(show(library_proxy("diswot_relation"), "json"))
    assert data["inputs"] == ["F_s", "F_t"]
    assert data["requirements"] == []
    assert {n["role"] for n in data["graph"]["nodes"]} == {"operator", "statistic"}
    ids = {node["id"] for node in data["graph"]["nodes"]}
    assert all(edge["source"] in ids and edge["target"] in ids for edge in data["graph"]["edges"])
    assert data["graph"]["score"] in ids
    text = show(library_proxy("diswot_relation"), "graphml")
    assert nx.parse_graphml(text).number_of_nodes() == len(ids)
    assert json.loads(show(library_proxy("rho_cnn"), "json"))["requirements"] == [
        "C_s = C_t", "H_s = H_t", "W_s = W_t",
    ]  # fmt: skip


def test_the_drawing_is_one_image() -> None:
    root = ElementTree.fromstring(show(library_proxy("tf_tas"), "svg"))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "grad[flow] W" in texts
    assert "lin [C HW]" in texts
    assert ElementTree.fromstring(show(library_proxy("params"), "svg")) is not None


# --- sympy ------------------------------------------------------------------------------------


def test_sympy_keeps_what_it_would_rewrite() -> None:
    for text in ("0 * W", "W / W", "exp(log(W))", "W - W", "abs(abs(W))"):
        assert to_sympy(parse(text)) != 0
        assert str(sympy.Symbol("W", real=True)) in str(to_sympy(parse(text)))


@pytest.mark.parametrize(
    "text",
    [
        "params + flops",
        "params - flops",
        "params / flops",
        "2 * params",
        "-params",
        "params^3",
        "sqrt(params)",
        "0.1 * params",
        "1e-5 + params",
        "sigmoid(params)",
        "max(params, flops)",
        "|params|",
        "tanh(log(params))",
        "mean[HW](F_s)",
        "KL[T=8]([F_s, F_t])",
        "mask[p=0.5, seed=3](align([F_s[-2], F_t[-2]]))",
        "mean(|logsoftmax(grad[flow] W)|_F)",
        "symlog(W) @ W",
    ],
)
def test_sympy_and_back(text: str) -> None:
    from_text = from_sympy(to_sympy(parse(text)))
    assert from_sympy(to_sympy(from_text)) == from_text
    assert sympy.simplify(to_sympy(from_text) - to_sympy(parse(text))) == 0


def test_the_sympy_form_rebuilds() -> None:
    line = show(load("mean(|logsoftmax(grad W)|_F) + 0.1 * params"), "sympy")
    names = {name: getattr(sympy, name) for name in sympy.__all__ if hasattr(sympy, name)}
    assert str(eval(line, names)) == "params/10 + mean(norm_F(logsoftmax(grad W)))"


def test_what_has_no_formula_is_refused() -> None:
    for value in (sympy.I, sympy.zoo, sympy.gamma(sympy.Symbol("x")), sympy.pi):
        with pytest.raises(InputError, match="E810"):
            from_sympy(value)


def test_notebooks_show_latex() -> None:
    shown = library_proxy("snip")._repr_latex_()
    assert shown == f"$\\displaystyle {show(library_proxy('snip'), 'latex')}$"


@settings(max_examples=80, deadline=None)
@given(slot=st.integers(0, 2**40))
def test_random_formulas_print_and_read_back(slot: int) -> None:
    expr = random_formula(slot)
    proxy = expression_proxy(format_expression(expr))
    assert parse(show(proxy, "unicode")) == expr
    assert show(proxy, "latex").count("{") == show(proxy, "latex").count("}")
    ElementTree.fromstring(show(proxy, "mathml"))
    ElementTree.fromstring(show(proxy, "svg"))
    assert from_sympy(to_sympy(expr)) is not None


def wrapped(text: str) -> list[str]:
    """The texts of the parts between which a line may break, without invisible signs."""
    parts = wrapping_mathml(expression_proxy(text), digits=3).split("<wbr />")
    return ["".join(ElementTree.fromstring(p).itertext()).replace("\u2061", "") for p in parts]


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        ("params - 2 * flops", ["ρ=", "#params", "−2#flops"]),
        ("-sum(|W|_F)", ["ρ=", "−∑ℓ=1M", "‖Wℓ‖F"]),
        ("L2(F_s, F_t)", ["ρ=", "𝒟L2(Fs,Ft)"]),
        ("KL(softmax(F_s), sigmoid(F_t))", ["ρ=", "𝒟KL(", "softmax(Fs),", "σ(Ft))"]),
        ("log(params + exp(flops) + layers^2)", ["ρ=", "ln(", "#params", "+exp(#flops)", "+M2)"]),
        ("sqrt(params + flops + layers + 1)", ["ρ=", "√(", "#params", "+#flops", "+M", "+1)"]),
        ("3 / (params + flops + layers)", ["ρ=", "3", "/(", "#params", "+#flops", "+M)"]),
        ("sqrt(params) + 1 / layers", ["ρ=", "#params", "+1M"]),
    ],
)
def test_formulas_wrap_at_signs_and_inside_what_is_wide(formula: str, parts: list[str]) -> None:
    assert wrapped(formula) == parts


def test_every_library_formula_that_wraps_keeps_its_letters() -> None:
    for name in library_names():
        html = wrapping_mathml(library_proxy(name))
        for part in html.split("<wbr />"):
            assert ElementTree.fromstring(part).tag.endswith("math")
        plain = ElementTree.fromstring(mathml(library_proxy(name)))
        annotation = plain.find(".//{*}annotation")
        assert annotation is not None
        annotation.text = ""
        letters = [c for c in "".join(plain.itertext()) if c.isalnum()]
        assert [c for c in re.sub("<[^>]*>", "", html) if c.isalnum()] == letters


_EDGE = re.compile(
    r'd="M(\S+) (\S+) H(\S+) C(\S+) (\S+) (\S+) (\S+) (\S+) (\S+)" fill="none"'
)  # fmt: skip
_KIND = re.compile(r'<text x="(\S+)" y="(\S+)" font-size="10.5"[^>]*>([^<]*)<')


def _points(edge: tuple[float, ...]) -> list[tuple[float, float]]:
    """Places along an edge: level, then a Bézier curve."""
    x, y, turn, *curve = edge
    ax, ay, bx, by, cx, cy = curve
    steps = [n / 20 for n in range(21)]
    level = [(x + (turn - x) * t, y) for t in steps]
    bent = [
        tuple(
            (1 - t) ** 3 * p + 3 * (1 - t) ** 2 * t * a + 3 * (1 - t) * t**2 * b + t**3 * c
            for p, a, b, c in ((turn, ax, bx, cx), (y, ay, by, cy))
        )
        for t in steps
    ]
    return level + bent  # type: ignore[return-value]


def test_no_edge_of_a_drawn_graph_crosses_a_kind_and_each_ends_in_an_arrow() -> None:
    for name in library_names():
        proxy = library_proxy(name)
        drawn = show(proxy, "svg")
        edges = [tuple(map(float, found)) for found in _EDGE.findall(drawn)]
        graph = computation_graph(proxy)
        assert drawn.count(" v8 z") == len({(s, t) for s, t, _ in graph.edges})
        kinds = [(float(x), float(y), text) for x, y, text in _KIND.findall(drawn)]
        assert len(kinds) == sum(graph.out_degree(node) > 0 for node in graph)
        for x, y, text in kinds:
            crossed = [
                point
                for edge in edges
                for point in _points(edge)
                if x - 2 < point[0] < x + 6.4 * len(text) and y - 9 < point[1] < y + 3
            ]
            assert not crossed, (name, text)
