from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Golden

from autodas_dsl.language.documents import expression_proxy, parse_document
from autodas_dsl.language.errors import FormulaError, InputError
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.library import library_names, library_proxy, load, typed
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.parse import parse
from autodas_dsl.printing.latex import (
    latex_of,
    number_latex,
    operator_latex,
    statistic_latex,
    symbol_latex,
)
from autodas_dsl.printing.latex_page import LatexOptions, latex
from autodas_dsl.printing.mathml import mathml
from autodas_dsl.printing.tex import is_fence, read_tex, width


def of(text: str) -> str:
    """LaTeX of an expression of any kind."""
    return latex_of(typed(parse(text)).score).text


def test_the_canonical_example_prints_as_in_the_paper() -> None:
    assert latex(library_proxy("rho_cnn")) == (
        r"\rho_{\mathrm{cnn}} = \mathcal{D}_{KL}\!\left({\sigma\!\left(F_s\right)}, "
        r"\sigma\!\left(F_t\right)\right) + \frac{1}{M}\sum_{\ell=1}^{M} "
        r"\left\|\operatorname{logsoftmax}\!\left(\frac{\partial\mathcal{L}}"
        r"{\partial W_{\ell}}\right)\right\|_{F}"
    )


def test_the_library_prints_as_its_golden_file(golden: Golden) -> None:
    lines = [f"{name}\n  {latex(library_proxy(name))}\n" for name in library_names()]
    golden("latex.golden", "".join(lines))


def test_aligned_and_numbered_layouts_print_as_their_golden_file(golden: Golden) -> None:
    names = ["rho_cnn", "rho_cnn_s0", "pkt", "zen"]
    aligned = [latex(library_proxy(n), LatexOptions("align", width=40, digits=2)) for n in names]
    numbered = [latex(library_proxy(n), LatexOptions("equation")) for n in names]
    golden("latex_layouts.golden", "\n\n".join([*aligned, *numbered]) + "\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sum(|W|_F)", r"\sum_{\ell=1}^{M} \left\|W_{\ell}\right\|_{F}"),
        ("mean(|W|_F)", r"\frac{1}{M}\sum_{\ell=1}^{M} \left\|W_{\ell}\right\|_{F}"),
        ("sum(S)", r"\sum_{\ell=1}^{M_{\mathrm{bn}}} S_{\ell}"),
        ("sum[HW](W)", r"\sum_{HW} W_{\ell}"),
        ("mean[C](F_s)", r"\operatorname{mean}_{C}\!\left(F_s\right)"),
        ("max(|W|_F)", r"\max_{\ell}\!\left(\left\|W_{\ell}\right\|_{F}\right)"),
        ("norm_F[HW](W)", r"\left\|W_{\ell}\right\|_{F,HW}"),
        ("cosine[B](F_s, F_t)", r"\mathcal{D}_{\cos,B}\!\left(F_s, F_t\right)"),
        ("KL[T=8]([P_s, P_t])", r"\mathcal{D}_{KL}^{T=8}\!\left(P_s, P_t\right)"),
        ("grad[flow] W", r"\frac{\partial\mathcal{L}^{\mathrm{flow}}}{\partial W_{\ell}}"),
        ("F_s[-2]", r"F_s^{(-2)}"),
        ("F_s[noise2]^2", r"\left(F_s^{\mathrm{noise2}}\right)^{2}"),
        ("NTK[n=8]", r"\Theta_{8}"),
        ("X[all]", r"X_{\ell}^{\mathrm{all}}"),
        ("grad V_t", r"\frac{\partial\mathcal{L}}{\partial V_t}"),
        ("index * fan_in", r"\ell \cdot n^{\mathrm{in}}_{\ell}"),
        (
            "mask[p=0.5, seed=3](F_s)",
            r"\operatorname{mask}_{0.5}^{\mathrm{seed}=3}\!\left(F_s\right)",
        ),
    ],
)
def test_notation(text: str, expected: str) -> None:
    assert of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params + (flops + layers)", r"P + Q + M"),
        ("params - (flops + layers)", r"P - \left(Q + M\right)"),
        ("params - (flops - layers)", r"P - \left(Q - M\right)"),
        ("params + -flops", r"P - Q"),
        ("params - -flops", r"P + Q"),
        ("-(params + flops)", r"-\left(P + Q\right)"),
        ("-params * flops", r"-P \cdot Q"),
        ("params * -flops", r"P \cdot \left(-Q\right)"),
        ("(params + 1) * 2", r"\left(P + 1\right) \cdot 2"),
        ("2 * params", r"2\,P"),
        ("2 * 3", r"2 \cdot 3"),
        ("2 * (1 / params)", r"2 \cdot \frac{1}{P}"),
        ("(params + 1) / (flops + 1)", r"\frac{P + 1}{Q + 1}"),
        ("(params / flops)^2", r"\left(\frac{P}{Q}\right)^{2}"),
        ("params^2^3", r"P^{2^{3}}"),
        ("(params^2)^3", r"\left(P^{2}\right)^{3}"),
        ("(-params)^2", r"\left(-P\right)^{2}"),
        ("|params|^2", r"\left|P\right|^{2}"),
        ("sum(S) * params", r"\left(\sum S\right) \cdot P"),
        ("params * sum(S)", r"P \cdot \sum S"),
        ("params * sum(S) * flops", r"\left(P \cdot \sum S\right) \cdot Q"),
        ("sum(S + 1)", r"\sum \left(S + 1\right)"),
        ("sum(S) / 2", r"\frac{1}{2} \sum S"),
        ("1e-5 * params", r"10^{-5}\,P"),
    ],
)
def test_parentheses_are_those_needed(text: str, expected: str) -> None:
    shown = of(text).replace(r"\#\mathrm{params}", "P").replace(r"\#\mathrm{flops}", "Q")
    shown = shown.replace(r"\sum_{\ell=1}^{M_{\mathrm{bn}}}", r"\sum")
    assert shown.replace(r"S_{\ell}", "S") == expected


def test_tensor_products_have_their_own_sign() -> None:
    assert r"W_{\ell} \odot" in of("W * grad W")
    assert r" \cdot " in of("|W|_F * W")


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0.65, None, "0.65"),
        (1e-5, None, "10^{-5}"),
        (2.5e-7, None, r"2.5 \times 10^{-7}"),
        (0.123456, 3, "0.123"),
        (100.0, 1, "100"),
    ],
)
def test_numbers(value: float, digits: int | None, expected: str) -> None:
    assert number_latex(value, digits).text == expected


@pytest.mark.parametrize(
    ("name", "index", "expected"),
    [
        ("v", "", "v"),
        ("v1", "", "v_{1}"),
        ("g", r"\ell", r"g_{\ell}"),
        ("v1", r"\ell", r"v_{1,\ell}"),
        ("alpha", "", r"\alpha"),
        ("left_side", "", r"\mathrm{left}_{\mathrm{side}}"),
        ("a_b_c", "", r"a_{\text{b-c}}"),
    ],
)
def test_symbols_of_names(name: str, index: str, expected: str) -> None:
    assert symbol_latex(name, index) == expected
    read_tex(expected)


def test_lets_are_definitions() -> None:
    text = "proxy/1 a\n\nlet v = F_s * 2\nscore = mean(v)\n"
    assert latex(parse_document(text)) == (
        r"\rho_{\mathrm{a}} = \operatorname{mean}\!\left(v\right)"
        r"\quad\text{where}\quad v = F_s \cdot 2"
    )


def test_align_breaks_at_the_width_and_numbers_once() -> None:
    proxy = expression_proxy("sum(|W|_F) - sum(|grad W|_F) + sum(|A|_F) - sum(|grad A|_F)")
    wide = latex(proxy, LatexOptions("align", width=200))
    narrow = latex(proxy, LatexOptions("align", width=20))
    assert wide.count("\\\\") == 0
    assert narrow.count("\\\\") == narrow.count(r"\notag") == 3
    assert narrow.splitlines()[2].startswith(r"  &\quad - \sum")


def test_align_breaks_a_wide_term_at_its_factors() -> None:
    proxy = expression_proxy("sum(|W|_F) - 2 * |E_s|_F * |F_s|_F * KL(P_s, P_t)")
    lines = latex(proxy, LatexOptions("align", width=20)).splitlines()
    assert len(lines) == 4
    assert r" - 2\,\left" in lines[1]
    assert lines[2].startswith(r"  &\quad \cdot \left")
    whole = latex(proxy, LatexOptions("align", width=300)).splitlines()
    assert len(whole) == 3


def test_every_operator_prints_latex_that_reads() -> None:
    for entry in OPERATORS.values():
        read_tex(operator_latex(entry))
        filled = entry.latex.format(
            "x",
            "y",
            axis="_{C}",
            within=",C",
            attrs="^{a}",
            times=r" \cdot ",
            **{a.name: "1" for a in entry.attrs},
        )
        read_tex(filled)


def test_every_statistic_prints_latex_that_reads() -> None:
    for entry in INPUTS.values():
        assert (r"\ell" in statistic_latex(entry)) == bool(entry.kind.layers)
        read_tex(statistic_latex(entry))
    assert statistic_latex(INPUTS["grad W"]) == r"\frac{\partial\mathcal{L}}{\partial W_{\ell}}"


@pytest.mark.parametrize(
    "text",
    [
        r"\frac{1}{2",
        r"\left(x",
        r"x\right)",
        r"x}",
        r"\unknown{x}",
        r"x_1_2",
        r"x^1^2",
        r"\left/x\right)",
        r"a & b",
        r"\mathrm{a_b}",
        r"\frac{1}",
    ],
)
def test_the_reader_refuses_what_is_no_latex(text: str) -> None:
    with pytest.raises(InputError, match="E802"):
        read_tex(text)


def test_the_reader_builds_mathml() -> None:
    script = read_tex(r"\left\|W_{\ell}\right\|_{F}")
    assert script.tag == "msub"
    assert is_fence(script[0])
    assert script[0][0].text == "‖"
    assert [e.text for e in script.iter() if e.tag == "mi"] == ["W", "ℓ", "F"]
    assert read_tex("2.5").tag == "mn"
    assert width(read_tex(r"\frac{aaaa}{b}")) == 4


def test_wrong_formulas_and_options_are_refused() -> None:
    with pytest.raises(FormulaError, match="E2"):
        latex(expression_proxy("sum(Q)"))
    with pytest.raises(InputError, match="E803"):
        LatexOptions("display")
    with pytest.raises(InputError, match="E804"):
        LatexOptions("align", width=3)
    with pytest.raises(InputError, match="E805"):
        LatexOptions(digits=0)


def test_a_wrong_template_names_its_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "tanh", replace(OPERATORS["tanh"], latex=r"\tanh{2}({0})"))
    with pytest.raises(InputError, match=r"E801.*tanh"):
        latex(load("tanh(params)"))
    monkeypatch.setitem(OPERATORS, "tanh", replace(OPERATORS["tanh"], latex=r"\foo({0})"))
    with pytest.raises(InputError, match=r"E802.*foo"):
        latex(load("tanh(params)"))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_whole_library_compiles(tmp_path: Path) -> None:
    proxies = [library_proxy(name) for name in library_names()]
    formulas = [latex(p) for p in proxies]
    formulas += [latex(p, LatexOptions("align", width=40)) for p in proxies]
    formulas += [latex(p, LatexOptions("equation")) for p in proxies]
    shown = [f if f.startswith(r"\begin") else f"\\[\n  {f}\n\\]" for f in formulas]
    head = [r"\documentclass{article}", r"\usepackage{amsmath}", r"\begin{document}"]
    page = "\n".join([*head, *shown, r"\end{document}", ""])
    (tmp_path / "library.tex").write_text(page, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "library.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "library.pdf").stat().st_size > 10_000


def test_a_pair_keeps_its_brackets_inside_a_fraction() -> None:
    text = "proxy/1 x\n\nlet v = invert([F_s, F_t])\nscore = L2(v)\n"
    assert latex(parse_document(text, "x.proxy")).endswith(
        r"v = \frac{1}{\left[F_s, F_t\right] + \epsilon}"
    )


@pytest.mark.parametrize(
    ("formula", "sides"),
    [
        ("KL(sigmoid([F_s, F_t]))", r"{\sigma\!\left(F_s\right)}, \sigma\!\left(F_t\right)"),
        ("L2(2 * [P_s, P_t] + params)", r"2\,P_s + \#\mathrm{params}, 2\,P_t + \#\mathrm{params}"),
        ("cosine(align([E_s, E_t]))", r"{\operatorname{align}\!\left(E_s\right)}, "
                                      r"\operatorname{align}\!\left(E_t\right)"),
        ("sum(L1([W, grad W] - 1))", r"W_{\ell} - 1, \frac{\partial\mathcal{L}}"
                                     r"{\partial W_{\ell}} - 1"),
        ("L2([F_s, F_t])", "F_s, F_t"),
    ],
)  # fmt: skip
def test_a_distance_of_one_argument_shows_both_sides(formula: str, sides: str) -> None:
    assert rf"\left({sides}\right)" in latex(expression_proxy(formula))


def test_a_distance_of_a_name_shows_both_members() -> None:
    text = "proxy/1 x\n\nlet e_1 = sigmoid([F_s, F_t])\nlet dist = KL(e_1)\nscore = dist + L2(2 * e_1)\n"
    shown = latex(parse_document(text, "x.proxy"))
    assert r"\mathcal{D}_{KL}\!\left(e_{1}^{(1)}, e_{1}^{(2)}\right)" in shown
    assert r"\left(2\,e_{1}^{(1)}, 2\,e_{1}^{(2)}\right)" in shown
    assert r"e_{1} = {\sigma\!\left(\left[F_s, F_t\right]\right)},\quad" in shown


def test_no_space_stands_before_a_comma() -> None:
    """TeX sets one between a closing delimiter of \\left and a comma, unless braces hide it."""
    texts = [latex(library_proxy(name)) for name in library_names()]
    texts += [
        latex(expression_proxy(formula))
        for formula in (
            "KL(|F_s|, sqrt(|F_t|))", "sum(dot(|W|^2, grad W))", "max(|params|^2, sum(|W|_inf))",
            "L2([abs(F_s), F_t])", "sum(L2(norm_F[HW](A), norm_F[HW](A)))",
        )
    ]  # fmt: skip
    for text in texts:
        assert not re.search(r"\\right(\W|\\rangle)([_^](\w|\{[^{}]*\}))*\s*,", text), text
    assert any("}, " in text for text in texts)


def test_infinity_is_a_letter_beside_a_comma() -> None:
    assert "<mi>∞</mi><mo>,</mo>" in mathml(expression_proxy("mean(mean(norm_inf[HW](A)))"))
