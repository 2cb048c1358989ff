"""The commands for papers: show in every form, latex, simplify, report; the language server."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autodas_dsl.cli.entry import cli
from autodas_dsl.cli.evolve import _print_simpler
from autodas_dsl.cli.show import FORMS
from autodas_dsl.compiler.standalone import standalone
from autodas_dsl.evolution.session import simplified
from autodas_dsl.language.library import library_names, load
from autodas_dsl.language.tree import Expr
from autodas_dsl.printing.show import FORMS as KNOWN
from autodas_dsl.printing.show import show
from autodas_dsl.simplify.proposals import ask_sympy

RANKED = ("--table", "digits-resnet", "--limit", 6, "--batch-size", 4)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def refused(result: Result, code: str, *words: str) -> None:
    assert result.exit_code == 1, (result.stdout, result.stderr, result.exception)
    assert result.stderr.count("error[") == 1
    assert all(word in result.stderr for word in (f"error[{code}]", *words)), result.stderr


# --- show ---------------------------------------------------------------------------------------


def test_show_knows_every_form_that_there_is() -> None:
    assert set(FORMS) - {"python"} == set(KNOWN) - {"svg"}


@pytest.mark.parametrize("form", FORMS)
def test_show_in_a_form_prints_what_the_room_prints(form: str) -> None:
    result = run("show", "rho_cnn", "--as", form)
    assert result.exit_code == 0
    assert result.stdout.endswith("\n")
    if form == "python":
        assert result.stdout == standalone(load("rho_cnn"))
    else:
        assert result.stdout.rstrip("\n") == show(load("rho_cnn"), form).rstrip("\n")


GOLDEN = {
    "text": "sum(sum(|W * grad W|))",
    "unicode": "∑(∑(|W ⊙ ∂L/∂W|))",
    "latex": r"\rho_{\mathrm{snip}} = \sum_{\ell=1}^{M} \sum_{i} \left|W_{\ell} \odot "
    r"\frac{\partial\mathcal{L}}{\partial W_{\ell}}\right|",
}


@pytest.mark.parametrize("form", GOLDEN)
def test_show_prints_the_golden_text(form: str) -> None:
    assert run("show", "snip", "--as", form).stdout == GOLDEN[form] + "\n"


@pytest.mark.parametrize("name", library_names())
def test_show_prints_the_whole_library(name: str) -> None:
    for form in (None, "latex", "tree", "dot"):
        assert run("show", name, *(("--as", form) if form else ())).exit_code == 0


def test_show_takes_switches_of_latex() -> None:
    words = ("show", "0.123456 * sum(|W|_F)", "--as", "latex", "--layout", "equation")
    assert r"\begin{equation}" in run(*words).stdout
    assert r"0.12\," in run(*words, "--digits", 2).stdout
    assert run("show", "snip", "--as", "text", "--digits", 2).exit_code == 2
    assert run("show", "snip", "--as", "picture").exit_code == 2
    assert run("show", "--list", "--as", "latex").exit_code == 2


def test_show_draws_the_graph(tmp_path: Path) -> None:
    file = tmp_path / "graph.svg"
    result = run("show", "diswot", "--graph", file)
    assert (result.exit_code, result.stdout) == (0, "")
    assert ElementTree.parse(file).getroot().tag.endswith("svg")
    refused(run("show", "diswot", "--graph", file), "E680", "--force")
    assert run("show", "diswot", "--graph", file, "--force").exit_code == 0
    refused(run("show", "diswot", "--graph", tmp_path / "graph.gif"), "E661", ".svg")


@pytest.mark.parametrize("spec", ["sum(", "snipp", "|W|_F", "nowhere.proxy"])
def test_show_of_a_wrong_formula(spec: str) -> None:
    for form in ("text", "latex", "json"):
        result = run("show", spec, "--as", form)
        assert result.exit_code == 1
        assert (result.stdout, result.stderr.count("error[")) == ("", 1)


# --- latex --------------------------------------------------------------------------------------


def test_latex_without_a_table_prints_formulas() -> None:
    text = run("latex", "snip", "rho_cnn").stdout
    assert text.count(r"\\") == 3
    assert r"$\rho_{\mathrm{snip}}$" in text
    assert text.count("& -- & --") == 2


def test_latex_measures_on_a_table(tmp_path: Path) -> None:
    out = tmp_path / "table.tex"
    words = ("latex", "snip", "L2(F_s, F_t)", *RANKED, "-o", out)
    result = run(*words)
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    text = out.read_text()
    own, _, baselines = text.partition(r"\midrule")[2].partition(r"\midrule")
    assert r"\rho_{\mathrm{snip}}" in own
    assert r"\rho_{\mathrm{params}}" in baselines
    assert r"\rho_{\mathrm{flops}}" in baselines
    assert (
        "% Rank correlations with the accuracy kd of 6 architectures of digits-resnet, drawn at random."
        "\n% In brackets: 95 % bootstrap intervals.\n"
    ) in text
    assert "is not ranked: requires C_s = C_t" in text
    refused(run(*words), "E680", "--force")


def test_latex_of_a_wrong_formula_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "table.tex"
    refused(run("latex", "snip", "sum(", "-o", out), "E109")
    refused(run("latex", "snip", "--table", "nowhere.csv", "-o", out), "E501")
    assert not out.exists()


# --- simplify -----------------------------------------------------------------------------------


def test_simplify_explains_each_step() -> None:
    result = run("simplify", "exp(log(sum(|W|_F))) + 0", "--explain")
    lines = result.stdout.split("\n")
    assert [line for line in lines if line[:3] in ("# 1", "# 2")] == [
        "# 1. exp(log(x)) -> x", "# 2. x + 0 -> x",
    ]  # fmt: skip
    assert lines[-2] == "sum(|W|_F)"
    assert run("simplify", "exp(log(sum(|W|_F))) + 0").stdout == "sum(|W|_F)\n"


def test_simplify_keeps_what_it_cannot_make_smaller() -> None:
    result = run("simplify", "l2_norm", "--explain")
    assert result.exit_code == 0
    assert result.stdout.startswith("# no step\nproxy/1 l2_norm\n")
    assert result.stderr.startswith("not simplified: ")


def _small_memory(expr: Expr, seconds: float, megabytes: int) -> list[tuple[str, Expr]]:
    return ask_sympy(expr, seconds, 48)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_a_formula_that_takes_sympy_too_much_memory_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autodas_dsl.simplify.simplify.ask_sympy", _small_memory)
    result = run("simplify", "log(params^log(2^(10^10))) + flops * 1")
    assert result.exit_code == 0
    assert result.stdout == "log(params^log(2^10^10)) + flops * 1\n"
    assert result.stderr == (
        "not simplified: sympy reached its memory limit of 48 MiB and was stopped\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_a_search_says_that_sympy_took_too_much_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("autodas_dsl.simplify.simplify.ask_sympy", _small_memory)
    best = load("log(params^log(2^(10^10))) + flops * 1")
    found = simplified(best, [], 0)
    assert found.proxy == best
    _print_simpler(found)
    assert capsys.readouterr().out == (
        "not simplified: sympy reached its memory limit of 48 MiB and was stopped\n"
    )


def test_a_formula_too_large_for_sympy_says_so() -> None:
    large = " + ".join(f"params^{n}" for n in range(2, 90))
    result = run("simplify", large)
    assert result.exit_code == 0
    assert result.stdout == large + "\n"
    assert result.stderr == "not simplified: sympy was not asked: 351 nodes, its limit is 300\n"
    deep = "log(1 + " * 60 + "params" + ")" * 60
    result = run("simplify", deep)
    assert result.stdout == deep + "\n"
    assert (
        result.stderr == "not simplified: sympy was not asked: nested 121 deep, its limit is 100\n"
    )
    result = run("simplify", f"{large} + 0 * 3")
    assert result.stdout == f"{large}\n"
    assert result.stderr == "note: sympy was not asked: 351 nodes, its limit is 300\n"


def test_simplify_for_ranking_says_so_in_the_file(tmp_path: Path) -> None:
    out = tmp_path / "small.proxy"
    result = run("simplify", "2 * sum(|W|_F) + 3", "--rank", "-o", out)
    assert result.exit_code == 0, result.stderr
    assert run("check", out).exit_code == 0
    text = out.read_text()
    assert text.startswith("proxy/1 small\n")
    assert "score = sum(|W|_F)\n" in text
    assert "\nx-" in text
    refused(run("simplify", "2 * params", "-o", out), "E680", "--force")


def test_simplify_json_and_the_terms_on_a_table() -> None:
    words = ("simplify", "params + 0 * flops + sum(|W|_F)", *RANKED)
    found = json.loads(run(*words, "--format", "json").stdout)
    assert found["formula"] == "params + sum(|W|_F)"
    assert found["complexity"] < 8
    assert [step["law"] for step in found["steps"]]
    terms = {term["text"]: term for term in found["terms"]}
    assert set(terms) == {"params", "0 * flops", "sum(|W|_F)"}
    assert not terms["0 * flops"]["changes_ranking"]
    assert terms["params"]["share"] > 0.9
    text = run(*words).stdout
    assert text.startswith("params + sum(|W|_F)\n\nHow much each term matters\n")


def test_simplify_refuses_what_does_not_check(tmp_path: Path) -> None:
    refused(run("simplify", "|W|_F"), "E203")
    refused(run("simplify", "params", "--table", "nowhere.csv"), "E501")


# --- report and lsp -----------------------------------------------------------------------------


def test_report_of_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = ("evolve", "--run", folder, "--population", 4, "--elite", 2, "--iterations", 1)
    searched = run(
        *words, "--workers", 1, "--batch-size", 2, "--inputs", "W, E_s", "--split", "6/6"
    )
    assert searched.exit_code == 0, searched.stderr
    command = (folder / "command.txt").read_text()
    assert command == (
        "autodas-dsl evolve --population 4 --iterations 1 --elite 2 --inputs W,E_s --split 6/6 "
        "--batch-size 2\n"
    )
    result = run("report", folder)
    assert result.exit_code == 0, result.stderr
    page = (folder / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "--inputs" in page
    refused(run("report", folder), "E680", "--force")
    assert run("report", folder, "-o", tmp_path / "page.html").exit_code == 0


def test_report_of_no_run(tmp_path: Path) -> None:
    result = run("report", tmp_path, "-o", tmp_path / "page.html")
    assert result.exit_code == 1
    assert "error[E64" in result.stderr
    assert not (tmp_path / "page.html").exists()


def test_the_language_server_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "pygls" else found(name)
    )
    refused(run("lsp"), "E660", "pygls")
