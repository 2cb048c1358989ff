"""``--with``: a user's own operators and statistics in every command that reads formulas."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from conftest import own_language
from torch import nn

from autodas_dsl.cli.entry import COMMANDS, cli
from autodas_dsl.compiler.interpret import interpret
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.data.batches import Batch
from autodas_dsl.execution.randomness import seeded
from autodas_dsl.language import extend
from autodas_dsl.language.extend import load_extension
from autodas_dsl.language.inputs import INPUTS, Statistic
from autodas_dsl.language.library import load
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.spaces import get
from autodas_dsl.statistics.collect import collect
from autodas_dsl.statistics.errors import StatisticError

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLE = REPOSITORY / "examples" / "my_operator.py"
HEAD = "import torch\nfrom autodas_dsl.language.extend import Attribute, Input, kind, op\n"


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The language of other tests is the built-in one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with own_language():
        yield


@pytest.fixture
def written(tmp_path: Path):
    """Writes an extension and gives its path."""

    def write(text: str, name: str = "own.py") -> Path:
        path = tmp_path / name
        path.write_text(HEAD + text)
        return path

    return write


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def output(*words: object) -> str:
    result = run(*words)
    assert result.exit_code == 0, (result.stderr, result.exception)
    return result.stdout


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(3, 10))  # fmt: skip


def batch() -> Batch:
    torch.manual_seed(1)
    return Batch(torch.randn(4, 1, 8, 8), torch.arange(4), 10, "test")


def scored(formula: str) -> float:
    proxy = load(formula)
    statistics = proxy.check().statistics
    return interpret(to_ir(proxy), collect(network(), batch(), statistics))


# --- the example takes part in everything -------------------------------------------------------


def test_score_prints_what_the_definition_says() -> None:
    words = ("digits-resnet:depth=1-1-1,width=4-4-4", "--with", EXAMPLE, "--format", "json")
    formulas = ("sum(sum(gelu(W)))", "mean(above[limit=0.1](W))", "bias")
    chosen = [word for formula in formulas for word in ("-p", formula)]
    rows = json.loads(output("score", *words, *chosen))
    found = {row["proxy"]: row["score"] for row in rows}
    space = get("digits-resnet")
    with seeded(0):
        model = space.build(space.parse("depth=1-1-1,width=4-4-4"))
    weights = [p.detach() for p in model.parameters() if p.dim() > 1]
    gelu = sum(float(nn.functional.gelu(w).sum()) for w in weights)
    above = sum(float((w.abs() > 0.1).double().mean()) for w in weights) / len(weights)
    last = [p for name, p in model.named_parameters() if name.endswith("bias")][-1]
    expected = dict(zip(formulas, (gelu, above, float(last.detach().norm())), strict=True))
    assert found == {name: pytest.approx(value, rel=1e-5) for name, value in expected.items()}


def test_latex_is_that_of_the_entry() -> None:
    found = output("show", "sum(sum(gelu(W))) + bias", "--as", "latex", "--with", EXAMPLE)
    assert r"\operatorname{GELU}\!\left(W_{\ell}\right)" in found
    assert r"\|b\|" in found


FORMS = ["text", "unicode", "mathml", "python", "tree", "dot", "json"]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_printed(form: str) -> None:
    assert output("show", "mean(above(W)) + bias", "--as", form, "--with", EXAMPLE)


def test_check_says_what_it_reads() -> None:
    assert "reads W, bias" in output("check", "mean(above(W)) * bias", "--with", EXAMPLE)


def test_ops_explains_both() -> None:
    assert "Share of values" in output("ops", "above", "--with", EXAMPLE)
    assert "Norm of the last bias" in output("ops", "bias", "--with", EXAMPLE)


def test_laws_of_an_entry_simplify(written) -> None:
    path = written(
        "a = op('level', 'x -> less', 'torch.sum(torch.abs({0}), {dims})', 'Sum of |x|.',"
        " group='reduction', laws='even nonnegative')\n"
    )
    assert output("simplify", "sum(level(-W))", "--with", path).strip() == "sum(level(W))"


def test_fmt_keeps_a_document_that_names_them(tmp_path: Path) -> None:
    path = tmp_path / "own_one.proxy"
    path.write_text("proxy/1 own_one\nscore=mean(above( W ))\n")
    output("fmt", path, "--with", EXAMPLE)
    assert "score = mean(above(W))\n" in path.read_text()


def small_table(tmp_path: Path) -> Path:
    """Twelve architectures with accuracies that grow with the widths."""
    path = tmp_path / "small.csv"
    with path.open("w", newline="") as stream:
        stream.write("# space: digits-resnet\n")
        writer = csv.writer(stream)
        writer.writerow(["arch", "kd"])
        for number in range(12):
            widths = [(4, 8, 16)[number // 3**at % 3] for at in range(3)]
            writer.writerow([f"depth=1-1-1,width={'-'.join(map(str, widths))}", 50 + sum(widths)])
    return path


def test_a_search_uses_them_in_its_workers_too(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    found = output(
        "evolve", small_table(tmp_path), "--population", 6, "--elite", 2, "--iterations", 3,
        "--batch-size", 4, "--inputs", "W,bias", "--operators", "gelu,above",
        "--null-repeats", 0, "--workers", 2, "--run", folder, "--with", EXAMPLE,
    )  # fmt: skip
    assert "gelu" in found or "above" in found or "bias" in found
    assert "above" in (folder / "journal.txt").read_text()
    described = json.loads((folder / "run.json").read_text())["run"]
    assert set(described["extensions"]) == {"gelu", "above", "bias"}


def test_every_command_that_reads_formulas_takes_them() -> None:
    without = {"distill", "explain", "table", "train"}
    for name in set(COMMANDS) - without:
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert "--with" in {word for option in command.params for word in option.opts}, name


# --- what a statistic gives ---------------------------------------------------------------------


def test_layer_lists_and_tensors_as_statistics(written) -> None:
    path = written(
        "def means(model, batch):\n"
        "    return [p.abs().mean() for p in model.parameters() if p.dim() > 1]\n"
        "def rows(model, batch):\n"
        "    return model(batch.x)\n"
        "def slope(model, batch):\n"
        "    (model(batch.x).sum() ** 2).backward()\n"
        "    return sum(float(p.grad.abs().sum()) for p in model.parameters())\n"
        "a = Input('level', kind('lin'), 'Mean weight.', 'l', 'weights', collect=means)\n"
        "b = Input('raw', kind(B='B', C='K_s'), 'Outputs.', 'r', 'activations', collect=rows)\n"
        "c = Input('slope', kind(), 'Slope.', 's', 'activations', collect=slope)\n"
    )
    load_extension(path)
    assert scored("sum(level)") == pytest.approx(scored("sum(mean(|W|))"), rel=1e-6)
    assert scored("|raw - P_s|_F") == pytest.approx(0, abs=1e-6)
    assert scored("slope") > 0


@pytest.mark.parametrize(
    ("declared", "gives", "said"),
    [
        ("B='B', C='c_odd'", "1.0", "0 axes instead of 2"),
        ("", "batch.x", "4 axes instead of 0"),
        ("", "'text'", "gives str"),
        ("", "1 / 0", "ZeroDivisionError"),
        ("'lin'", "[1.0]", "1 values for 2 layers"),
        ("'lin'", "1.0", "no list for 2 layers"),
    ],
)
def test_a_statistic_of_another_kind_is_refused(
    written, declared: str, gives: str, said: str
) -> None:
    load_extension(written(
        f"a = Input('odd', kind({declared}), 'Odd.', 'o', 'weights',"
        f" collect=lambda model, batch: {gives})\n"
    ))  # fmt: skip
    with pytest.raises(StatisticError) as caught:
        collect(network(), batch(), [Statistic("odd")])
    assert caught.value.diagnostics[0].code == "E454"
    assert said in caught.value.render()


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("op('mine', 'list(x) -> x', '{0}', '.', group='transform')", "whole layer lists"),
        ("op('mine', 'x -> x', '{0} + {1}', '.', group='elementwise')", "names {1}"),
        ("op('mine', 'x -> x', 'f({0}, {axis})', '.', group='transform')", "names {axis}"),
        ("op('mine', 'x -> x', 'f({0}', '.', group='elementwise')", "no Python expression"),
        ("op('mine', 'x -> x', '{0', '.', group='elementwise')", "does not read"),
        ("op('mine', 'x -> x', '{0}', '.', group='elementwise', latex='{b}')", "names {b}"),
        ("op('mine', 'x -> x', '{0}', '.', group='elementwise', text='<{0}>')", "signs are those"),
        ("op('mine', 'x -> x', '{0}', '.', group='elementwise', signs='~')", "signs are those"),
        ("Input('mine', kind(), '.', '{b}', 'weights', collect=len)", "names {b}"),
        ("Input('mine', kind('bn'), '.', 'b', 'weights', collect=len)", "its layer list is `bn`"),
    ],
)
def test_templates_that_cannot_work(written, text: str, said: str) -> None:
    result = run("check", "sum(sum(W))", "--with", written(f"mine = {text}\n"))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "error[E224]" in result.stderr
    assert said in result.stderr
    assert "mine" not in OPERATORS
    assert "mine" not in INPUTS


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1 / 0\n", "E221"),
        ("x = 3\n", "E222"),
        ("a = op('sum', 'x -> x', '{0}', '.', group='elementwise')\n", "E223"),
    ],
)
def test_files_that_cannot_be_used(written, text: str, code: str) -> None:
    result = run("fmt", "nothing.proxy", "--with", written(text))
    assert result.exit_code == 1
    assert result.stderr.count("error[") == 1
    assert f"error[{code}]" in result.stderr


def test_a_missing_file(tmp_path: Path) -> None:
    result = run("check", "sum(sum(W))", "--with", tmp_path / "none.py")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "error[E220]" in result.stderr


# --- definitions are part of what is stored -----------------------------------------------------


def test_another_definition_of_a_name_has_other_digests(written) -> None:
    digests = []
    for factor in (2, 3):
        text = f"a = op('mine', 'x -> x', '{{0}} * {factor}', '.', group='elementwise')\n"
        load_extension(written(text, f"own{factor}.py"))
        assert set(extend.definitions()) == {"mine"}
        digests.append(to_ir(load("sum(sum(mine(W)))")).digest)
        del OPERATORS["mine"]
    assert digests[0] != digests[1]


def test_the_built_in_language_keeps_its_digests() -> None:
    before = to_ir(load("sum(sum(W))")).digest
    load_extension(EXAMPLE)
    assert to_ir(load("sum(sum(W))")).digest == before


# --- installed packages -------------------------------------------------------------------------


def installed(tmp_path: Path, text: str) -> Path:
    """A folder on the path that holds one package with an entry point."""
    (tmp_path / "own_package.py").write_text(HEAD + text)
    info = tmp_path / "own_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{extend.GROUP}]\nown = own_package\n")
    return tmp_path


def python(*words: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    where = os.pathsep.join(str(p) for p in (REPOSITORY, path) if p)
    return subprocess.run(
        [sys.executable, *words], env={**os.environ, "PYTHONPATH": where}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip


def test_an_installed_extension_is_always_there(tmp_path: Path) -> None:
    path = installed(
        tmp_path, "a = op('mine', 'x -> x', '2 * {0}', 'Double.', group='elementwise')\n"
    )
    found = python("-m", "autodas_dsl", "check", "sum(sum(mine(W)))", path=path)
    assert found.returncode == 0, found.stderr
    assert "ok" in found.stdout


def test_a_broken_installed_extension_is_named(tmp_path: Path) -> None:
    found = python("-m", "autodas_dsl", "check", "W", path=installed(tmp_path, "1 / 0\n"))
    assert found.returncode == 1
    assert "error[E221]: the extension `own` fails" in found.stderr


def test_without_extensions_nothing_slow_is_imported() -> None:
    code = (
        "import sys\nfrom autodas_dsl.cli.entry import cli\n"
        "cli(['ops', 'sum'], standalone_mode=False)\n"
        "print({'torch', 'sympy', 'importlib.metadata'} & set(sys.modules))\n"
    )
    found = python("-c", code)
    assert found.stdout.splitlines()[-1] == "set()", found.stderr
