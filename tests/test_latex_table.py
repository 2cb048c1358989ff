from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Golden

from autodas_dsl.language.documents import expression_proxy
from autodas_dsl.language.errors import FormulaError, InputError
from autodas_dsl.language.library import library_proxy
from autodas_dsl.printing.latex_page import LatexOptions
from autodas_dsl.printing.table import Measured, TableRow, booktabs


def row(name: str, tau: float, rho: float, baseline: bool = False) -> TableRow:
    return TableRow(library_proxy(name), Measured(tau, tau - 0.1, tau + 0.1),
                    Measured(rho, rho - 0.1, rho + 0.1), baseline)  # fmt: skip


ROWS = [
    row("rho_cnn_s0", 0.5, 0.65),
    row("pkt", -0.25, -0.3),
    row("params", 0.4, 0.55, baseline=True),
    TableRow(library_proxy("flops"), None, Measured(0.5), baseline=True),
]
NOTES = ["digits-resnet, 50% of 96 architectures, target: distilled_mean"]


def test_a_table_prints_as_its_golden_file(golden: Golden) -> None:
    golden("table.tex", booktabs(ROWS, notes=NOTES))


def test_numbers_have_real_minus_signs_and_no_negative_zero() -> None:
    text = booktabs([TableRow(library_proxy("params"), Measured(-0.0001), Measured(-0.25))])
    assert "& 0.000 & $-$0.250 \\\\" in text


def test_what_is_not_defined_is_a_dash() -> None:
    assert "& -- & 0.500 \\\\" in booktabs(ROWS)


def test_baselines_stand_below_a_line() -> None:
    lines = booktabs(ROWS).splitlines()
    rule = [number for number, line in enumerate(lines) if line == r"  \midrule"]
    assert len(rule) == 2
    assert "params" in lines[rule[1] + 1]
    assert booktabs(ROWS[:2]).count(r"\midrule") == 1


def test_options_reach_the_formulas() -> None:
    proxy = expression_proxy("0.123456 * params + 2 * sum(|W|_F) - mean(|grad W|_F)")
    wide = booktabs([TableRow(proxy, None, None)], options=LatexOptions(width=200, digits=2))
    assert "0.12\\," in wide
    assert "array" not in wide
    narrow = LatexOptions(width=20)
    assert "array" in booktabs([TableRow(proxy, None, None)], options=narrow)
    assert "0.5 {\\scriptsize [0.4, 0.6]}" in booktabs(ROWS, decimals=1)


def test_bad_tables_are_refused() -> None:
    with pytest.raises(InputError, match="E813"):
        booktabs([])
    with pytest.raises(InputError, match="E812"):
        Measured(1.5)
    with pytest.raises(InputError, match="E812"):
        Measured(float("nan"))
    with pytest.raises(FormulaError):
        booktabs([TableRow(expression_proxy("sum(Q)"), None, None)])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_a_table_compiles(tmp_path: Path) -> None:
    (tmp_path / "table.tex").write_text(booktabs(ROWS, notes=NOTES), encoding="utf-8")
    page = (
        r"\documentclass{article}\usepackage{amsmath,booktabs}\begin{document}"
        "\n\\input{table}\n\\end{document}\n"
    )
    (tmp_path / "page.tex").write_text(page, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
