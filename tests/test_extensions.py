"""A user's own operators and statistics, from a file and from an installed package."""

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
from torch import nn

from autodas_dsl.cli.entry import COMMANDS, cli
from autodas_dsl.compiler.interpret import interpret
from autodas_dsl.compiler.lower import lower
from autodas_dsl.language import extend
from autodas_dsl.language.extend import load_extension
from autodas_dsl.language.inputs import INPUTS, Statistic
from autodas_dsl.language.library import load
from autodas_dsl.language.operators import ALIASES, OPERATORS
from autodas_dsl.language.spans import InputError
from autodas_dsl.spaces import get
from autodas_dsl.statistics.batches import Batch
from autodas_dsl.statistics.collect import collect
from autodas_dsl.statistics.errors import StatisticError

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLE = REPOSITORY / "examples" / "my_operator.py"
HEAD = "import torch\nfrom autodas_dsl.language.extend import op, statistic\n"


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The language of other tests is the built-in one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(extend, "_LOADED", {})
    tables = (OPERATORS, ALIASES, INPUTS)
    kept = [dict(table) for table in tables]
    yield
    for table, before in zip(tables, kept, strict=True):
        table.clear()
        table.update(before)  # type: ignore[arg-type]


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
    return interpret(lower(proxy), collect(network(), batch(), statistics))


# --- the example takes part in everything -------------------------------------------------------


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 30


def test_score_prints_what_the_definition_says() -> None:
    words = ("digits-resnet:depth=1-1-1,width=4-4-4", "--with", EXAMPLE, "--format", "json")
    formulas = ("-p", "sum(softcount(W)) + depth_of", "-p", "sum(sum(|softsign(W)|))")
    rows = json.loads(output("score", *words, *formulas))
    by_name = {row["proxy"]: row["score"] for row in rows}
    first, second = by_name.values()
    space = get("digits-resnet")
    depth = sum(isinstance(m, nn.Conv2d)
                for m in space.build(space.parse("depth=1-1-1,width=4-4-4")).modules())  # fmt: skip
    assert first == pytest.approx(second + depth, rel=1e-6)


def test_emitted_and_interpreted_agree_with_torch() -> None:
    load_extension(EXAMPLE)
    weights = [p.detach() for p in network().parameters() if p.dim() > 1]
    expected = sum(float((w.abs() / (1 + w.abs())).sum()) for w in weights)
    assert scored("sum(softcount(W))") == pytest.approx(expected, rel=1e-6)
    assert scored("sum(sum(softsign(|W|)))") == pytest.approx(expected, rel=1e-6)


def test_latex_is_that_of_the_entry() -> None:
    found = output("show", "sum(softcount(W))", "--as", "latex", "--with", EXAMPLE)
    assert r"\left|W_{\ell}\right|_{\mathrm{soft}}" in found


@pytest.mark.parametrize(
    "form", ["text", "unicode", "mathml", "sympy", "python", "tree", "dot", "json"]
)
def test_every_form_is_printed(form: str) -> None:
    assert output("show", "mean(softcount(W)) + depth_of", "--as", form, "--with", EXAMPLE)


def test_check_says_what_it_reads() -> None:
    found = output("check", "sum(softcount(W)) * depth_of", "--with", EXAMPLE)
    assert "reads W, depth_of" in found


def test_ops_explains_both() -> None:
    assert "The sum of |x| / (1 + |x|)" in output("ops", "softcount", "--with", EXAMPLE)
    assert "How many convolutions" in output("ops", "depth_of", "--with", EXAMPLE)


def test_laws_of_the_entry_simplify() -> None:
    assert (
        output("simplify", "sum(softcount(-W))", "--with", EXAMPLE).strip() == "sum(softcount(W))"
    )


def test_fmt_keeps_a_document_that_names_them(tmp_path: Path) -> None:
    path = tmp_path / "own_one.proxy"
    path.write_text("proxy/1 own_one\nscore=sum(softcount( W ))\n")
    output("fmt", path, "--with", EXAMPLE)
    assert "score = sum(softcount(W))\n" in path.read_text()


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
        "--batch-size", 4, "--inputs", "W,depth_of", "--operators", "softcount,softsign",
        "--null-repeats", 0, "--workers", 2, "--run", folder, "--with", EXAMPLE,
    )  # fmt: skip
    assert "soft" in found or "depth_of" in found
    journal = (folder / "journal.txt").read_text()
    assert "softcount" in journal
    described = json.loads((folder / "run.json").read_text())["run"]
    assert set(described["extensions"]) == {"softcount", "softsign", "depth_of"}


def test_every_command_that_reads_formulas_takes_them() -> None:
    without = {"distill", "table"}
    for name in set(COMMANDS) - without:
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert "--with" in {word for option in command.params for word in option.opts}, name


# --- what may be defined ------------------------------------------------------------------------


def test_a_function_gets_what_its_parameters_name(written) -> None:
    path = written(
        "from autodas_dsl.language.operators import Attribute\n"
        "def top(x, dims, k, extra=1):\n"
        "    return x.flatten(-len(dims)).topk(k, -1).values.sum(-1)\n"
        "a = op('topsum', 'x -> less', top, 'Sum of the k largest.',"
        " attrs=(Attribute('k', 2.0, 1, 9, integer=True),))\n"
    )
    load_extension(path)
    largest = sum(float(p.flatten(1).flatten().topk(3).values.sum())
                  for p in network().parameters() if p.dim() > 1)  # fmt: skip
    assert scored("sum(topsum[k=3](W))") == pytest.approx(largest, rel=1e-6)


def test_a_function_of_torch_itself_and_two_arguments(written) -> None:
    load_extension(written("a = op('bigger', 'x, y -> x', torch.fmax, 'The larger.')\n"))
    assert scored("sum(sum(bigger(W, 0 * W)))") == pytest.approx(scored("sum(sum(relu(W)))"))


def test_layer_lists_and_tensors_as_statistics(written) -> None:
    path = written(
        "def means(model, batch):\n"
        "    return [p.abs().mean() for p in model.parameters() if p.dim() > 1]\n"
        "def rows(model, batch):\n"
        "    return model(batch.x)\n"
        "def slope(model, batch):\n"
        "    (model(batch.x).sum() ** 2).backward()\n"
        "    return sum(float(p.grad.abs().sum()) for p in model.parameters())\n"
        "all = [statistic('level', means, 'Mean weight.', layers='lin'),\n"
        "       statistic('raw', rows, 'Outputs.', axes='B C=K_s'),\n"
        "       statistic('slope', slope, 'Of the squared sum.', needs='forward and backward')]\n"
    )
    assert set(load_extension(path).names) == {"level", "raw", "slope"}
    assert scored("sum(level)") == pytest.approx(scored("sum(mean(|W|))"), rel=1e-6)
    assert scored("|raw - P_s|_F") == pytest.approx(0, abs=1e-6)
    assert scored("slope") > 0


@pytest.mark.parametrize(
    ("axes", "gives", "said"),
    [
        ("B C", "1.0", "0 axes instead of 2"),
        ("", "batch.x", "4 axes instead of 0"),
        ("", "'text'", "gives str"),
        ("", "1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_statistic_of_another_kind_is_refused(written, axes: str, gives: str, said: str) -> None:
    load_extension(written(
        f"a = statistic('odd', lambda model, batch: {gives}, 'Odd.', axes={axes!r})\n"
    ))  # fmt: skip
    with pytest.raises(StatisticError, match="E454") as caught:
        collect(network(), batch(), [Statistic("odd")])
    assert said in caught.value.render()


def test_too_few_layers_are_refused(written) -> None:
    load_extension(written(
        "a = statistic('few', lambda model, batch: [1.0], 'Few.', layers='lin')\n"
    ))  # fmt: skip
    with pytest.raises(StatisticError, match="1 values for 2 layers"):
        collect(network(), batch(), [Statistic("few")])


# --- what is refused ----------------------------------------------------------------------------


def refused(path: Path) -> InputError:
    before = [set(table) for table in (OPERATORS, ALIASES, INPUTS)]
    with pytest.raises(InputError) as caught:
        load_extension(path)
    assert [set(table) for table in (OPERATORS, ALIASES, INPUTS)] == before
    return caught.value


def test_a_missing_file(tmp_path: Path) -> None:
    result = run("check", "sum(sum(W))", "--with", tmp_path / "none.py")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "error[E220]" in result.stderr


@pytest.mark.parametrize(
    "text", ["1 / 0\n", "def broken(:\n", "raise SystemExit(3)\n", "import nix\n"]
)
def test_a_file_that_does_not_run(written, text: str) -> None:
    error = refused(written(text))
    assert error.diagnostics[0].code == "E221"
    assert "line" in (error.diagnostics[0].help or "")


@pytest.mark.parametrize(
    "text",
    ["", "x = 3\n", "from autodas_dsl.language.operators import OPERATORS as O\nx = O['sum']\n"],
)
def test_a_file_that_defines_nothing(written, text: str) -> None:
    assert refused(written(text)).diagnostics[0].code == "E222"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a = op('sum', 'x -> less', 'torch.sum({0}, {dims})', 'Sum.')", "an operator"),
        ("a = op('mine', 'x -> x', '{0}', 'Same.', aliases=('ln',))", "an operator"),
        ("a = op('F_s', 'x -> x', '{0}', 'Same.')", "a statistic"),
        ("a = op('snip', 'x -> x', '{0}', 'Same.')", "a library proxy"),
        ("a = op('grad', 'x -> x', '{0}', 'Same.')", "a word of the language"),
        ("a = statistic('W', len, 'Weights.')", "a statistic"),
        ("a = statistic('mean', len, 'Mean.')", "an operator"),
    ],
)
def test_nothing_is_shadowed(written, text: str, what: str) -> None:
    error = refused(written(f"fine = op('fine', 'x -> x', '{{0}}', 'Same.')\n{text}\n"))
    assert error.diagnostics[0].code == "E223"
    assert f"is {what} already" in error.diagnostics[0].message


def test_two_files_cannot_define_one_name(written) -> None:
    text = "a = op('mine', 'x -> x', '{0}', 'Same.')\n"
    load_extension(written(text))
    assert refused(written(text, "other.py")).diagnostics[0].code == "E223"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("op('a b', 'x -> x', '{0}', '.')", "is no name"),
        ("op('lambda', 'x -> x', '{0}', '.')", "is no name"),
        ("op('mine', 'x = x', '{0}', '.')", "its signature is"),
        ("op('mine', 'list(B ...) -> B C', '{0}', '.')", "whole layer lists"),
        ("op('mine', 'B C H W Q -> B', '{0}', '.')", "fits no usual argument"),
        ("op('mine', 'B C H W -> B C H=H/r W', '{0}', '.')", "fits no usual argument"),
        ("op('mine', 'x -> x', '{0} + {1}', '.')", "names {1}"),
        ("op('mine', 'x -> x', 'torch.cumsum({0}, {axis})', '.')", "names {axis}"),
        ("op('mine', 'x -> x', 'torch.f({0}', '.')", "no Python expression"),
        ("op('mine', 'x -> x', '{0', '.')", "does not read"),
        ("op('mine', 'x -> x', lambda x, wide: x, '.')", "names {wide}"),
        ("op('mine', 'x -> x', '{0}', '.', latex='{b}')", "names {b}"),
        ("statistic('mine', 3, '.')", "no function"),
        ("statistic('mine', len, '.', latex='{b}')", "names {b}"),
        ("[op('mine', 'x -> x', '{0}', '.'), op('mine', 'x -> x', '{0}', ':')]", "defined twice"),
    ],
)
def test_definitions_that_cannot_work(written, text: str, said: str) -> None:
    error = refused(written(f"mine = {text}\n"))
    assert error.diagnostics[0].code == "E224"
    assert said in error.diagnostics[0].message


@pytest.mark.parametrize(
    "text",
    [
        "op('mine', 'x -> x', '{0}', '.', laws='lovely')",
        "op('mine', 'x -> x', '{0}', '.', group='mine')",
        "statistic('mine', len, '.', layers='act')",
        "statistic('mine', len, '.', axes='B Q')",
    ],
)
def test_unknown_words_are_named_with_their_line(written, text: str) -> None:
    error = refused(written(f"mine = {text}\n"))
    assert error.diagnostics[0].code == "E221"
    assert "ValueError" in error.diagnostics[0].message


# --- loading again ------------------------------------------------------------------------------


def test_a_changed_file_replaces_its_definitions_and_stored_scores(written) -> None:
    text = "a = op('mine', 'x -> x', '{0} * %d', 'Multiple.')\n"
    path = written(text % 2)
    first = load_extension(path)
    assert load_extension(path) is first
    doubled, node = scored("sum(sum(mine(W)))"), lower(load("sum(sum(mine(W)))"))
    written(text % 3)
    assert load_extension(path) is not first
    assert scored("sum(sum(mine(W)))") == pytest.approx(1.5 * doubled, rel=1e-6)
    assert lower(load("sum(sum(mine(W)))")).digest != node.digest


def test_the_built_in_language_keeps_its_digests() -> None:
    before = lower(load("sum(sum(W))")).digest
    load_extension(EXAMPLE)
    assert lower(load("sum(sum(W))")).digest == before


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
    path = installed(tmp_path, "a = op('mine', 'x -> x', '2 * {0}', 'Double.')\n")
    found = python("-m", "autodas_dsl", "check", "sum(sum(mine(W)))", path=path)
    assert found.returncode == 0, found.stderr
    assert "ok" in found.stdout


def test_a_broken_installed_extension_is_named(tmp_path: Path) -> None:
    found = python("-m", "autodas_dsl", "check", "W", path=installed(tmp_path, "1 / 0\n"))
    assert found.returncode == 1
    assert "error[E221]: the installed extension own_package" in found.stderr


def test_without_extensions_nothing_slow_is_imported() -> None:
    code = (
        "import sys\nfrom autodas_dsl.cli.entry import cli\n"
        "cli(['ops', 'sum'], standalone_mode=False)\n"
        "print({'torch', 'sympy', 'importlib.metadata'} & set(sys.modules))\n"
    )
    found = python("-c", code)
    assert found.stdout.splitlines()[-1] == "set()", found.stderr
