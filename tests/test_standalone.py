"""A formula as Python that stands alone computes what the interpreter computes."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import refused, run

from autodas_dsl.compiler.interpret import Invalid, interpret
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.standalone import standalone
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.library import library_names, library_proxy, load
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.tree import Call, walk
from autodas_dsl.simplify.random_statistics import networks


def compares(name: str) -> bool:
    """Whether a formula sees the other networks of a population."""
    nodes = walk(library_proxy(name).expression)
    return any(isinstance(n, Call) and OPERATORS[n.op].sees_population for n in nodes)


ALONE = [name for name in library_names() if not compares(name)]
FORMULAS = (
    "params", "mean(|W|_F) / layers", "sum(sum(softplus(W) * sign(grad W)))", "sum(mean(mish(A)))",
    "first(mean(A)) + last(mean(A))", "mean(rank(mm(A))) + 1e-3", "log(params) - -2",
    "sum(mean(W^0.5))", "mean(abslog(mask(F_s)))",
)  # fmt: skip


@pytest.mark.parametrize("name", [*ALONE, *FORMULAS])
def test_it_gives_the_values_of_the_interpreter(name: str) -> None:
    proxy = load(name)
    text = standalone(proxy)
    assert not re.search(r"autodas|\bkernels\.|\buser\b", text)
    scope: dict[str, Any] = {}
    exec(compile(text, name, "exec"), scope)
    root, typed, scored = to_ir(proxy), proxy.typed(), 0
    for network in networks(typed.statistics, typed.requirements, 0, 1)[:6]:
        given: dict[str, object] = {
            str(key): list(value) if isinstance(value, tuple) else value
            for key, value in network.values.items()
            if isinstance(key, Statistic)
        }
        try:
            expected = interpret(root, network)
        except Invalid:
            with pytest.raises((ValueError, RuntimeError)):
                scope["score"](given)
            continue
        assert math.isclose(scope["score"](given), expected, rel_tol=1e-9, abs_tol=1e-12)
        scored += 1
    assert scored


def test_what_show_prints_runs_when_pasted_into_a_file(tmp_path: Path) -> None:
    printed = run("show", "snip", "--as", "python").stdout
    call = 'print(score({"W": [torch.ones(2, 3)], "grad W": [-torch.ones(2, 3)]}))\n'
    (tmp_path / "pasted.py").write_text(printed + call, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "pasted.py"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "6.0\n"


def test_a_formula_that_compares_networks_stands_not_alone() -> None:
    refused(run("show", "az_nas", "--as", "python"), "E668", "`az_nas` compares a network")


def test_only_what_is_called_is_copied() -> None:
    text = standalone(load("sum(mean(exp(W)))"))
    assert re.findall(r"^ *(?:def|class) (\w+)", text, re.M) == [
        "Backend", "elementary", "backend_of", "_elementary", "exp", "checked", "score",
    ]  # fmt: skip
    assert "numpy" not in text
