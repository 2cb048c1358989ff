"""Users' own operators and statistics take part in everything and shadow nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from conftest import REPOSITORY
from worlds import World, collected, shapes

from autodas_dsl.cli.entry import cli
from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.interpret import interpret
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.data.batches import Batch
from autodas_dsl.language import extend
from autodas_dsl.language.check import check, kind_of_expression
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.extend import load_extension, load_installed
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.operators import ALIASES, OPERATORS
from autodas_dsl.language.parse import parse
from autodas_dsl.printing.latex import operator_latex
from autodas_dsl.statistics.collect import collect

EXAMPLE = REPOSITORY / "examples" / "my_operator.py"
HEADER = "from autodas_dsl.language.extend import Attribute, Input, kind, op\n"


@pytest.fixture(autouse=True)
def tables_as_before() -> Iterator[None]:
    tables = (OPERATORS, ALIASES, INPUTS, extend._LOADED)
    before = [dict(table) for table in tables]
    yield
    for table, old in zip(tables, before, strict=True):
        table.clear()
        table.update(old)


def write(folder: Path, body: str) -> Path:
    file = folder / "mine.py"
    file.write_text(HEADER + body, encoding="utf-8")
    return file


def test_the_example_is_short() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 30


def test_an_operator_takes_part_in_everything() -> None:
    found = load_extension(EXAMPLE)
    assert found.operators == ("gelu", "above")
    assert found.statistics == ("bias",)
    formula = parse("mean(above[limit=0.5](gelu(W))) + above[limit=2](above[HW](gelu(F_s))) * bias")
    assert format_expression(formula).startswith("mean(above[limit=0.5](gelu(W)))")
    checked = check(formula)
    assert checked.ok, checked.diagnostics
    world = World(shapes(), seed=1)
    values = collected(world, checked.statistics)
    weights = [torch.nn.functional.gelu(torch.from_numpy(w)).numpy() for w in
               world[next(s for s in checked.statistics if s.name == "W")]]  # fmt: skip
    wanted = np.mean([np.mean(np.abs(w) > 0.5) for w in weights])
    score = Engine([values]).evaluate([to_ir(parse("mean(above[limit=0.5](gelu(W)))"))])[0]
    assert score.scores[0] == pytest.approx(wanted)
    node = to_ir(formula)
    both = Engine([values, values]).evaluate([node])[0].scores
    assert both == pytest.approx([interpret(node, values)] * 2)
    assert operator_latex(OPERATORS["gelu"]) == r"\operatorname{GELU}\!\left(x\right)"


def test_a_statistic_is_collected() -> None:
    load_extension(EXAMPLE)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
    batch = Batch(torch.zeros(2, 1, 2, 2), torch.tensor([0, 1]), 3, "zeros")
    (statistic,) = kind_of_expression(parse("bias")).statistics
    found = collect(model, batch, [statistic]).values[statistic]
    assert float(found) == pytest.approx(float(model[1].bias.detach().norm()))


def test_attributes_of_an_operator_are_checked() -> None:
    load_extension(EXAMPLE)
    assert check(parse("mean(above[limit=3](W))")).ok
    found = check(parse("mean(above[limit=300](W))")).diagnostics
    assert found[0].message == "limit of `above` must be a number from 0 to 100"


def test_loading_twice_changes_nothing() -> None:
    first = load_extension(EXAMPLE)
    assert load_extension(str(EXAMPLE)) == first
    assert [file.path for file in extend.loaded()] == [EXAMPLE.resolve()]


def test_a_file_may_use_a_template_and_an_alias(tmp_path: Path) -> None:
    file = write(tmp_path, 'f = op("cube", "x -> x", "{0} ** 3", "x^3.", group="elementwise", '
                           'aliases=("cubed",))\n')  # fmt: skip
    load_extension(file)
    assert format_expression(parse("cubed(W)")) == "cube(W)"
    assert operator_latex(OPERATORS["cube"]) == r"\operatorname{cube}\!\left(x\right)"


@pytest.mark.parametrize("name", ["sum", "silu", "W", "snip", "let", "score", "σ", "2x", "a-b"])
def test_no_name_in_use_can_be_taken(tmp_path: Path, name: str) -> None:
    before = OPERATORS.get("sum")
    file = write(
        tmp_path, f'f = op("mine", "x -> x", "-{{0}}", "F.", group="elementwise")\n'
                  f'g = op("{name}", "x -> x", "-{{0}}", "F.", group="elementwise")\n')  # fmt: skip
    with pytest.raises(InputError, match="E223"):
        load_extension(file)
    assert OPERATORS.get("sum") is before
    assert "mine" not in OPERATORS
    statistic = write(tmp_path, f'f = Input("{name}", kind(), "F.", "f", "weights", '
                                'collect=lambda m, b: 1.0)\n')  # fmt: skip
    with pytest.raises(InputError, match="E223"):
        load_extension(statistic)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x = 1\n", "E222.*defines no operator"),
        ("raise ValueError('no')\n", "E221.*ValueError: no"),
        ("import nothing_of_that_name\n", "E221.*ModuleNotFoundError"),
        ("raise SystemExit(3)\n", "E221.*SystemExit"),
        ("def f(:\n", "E221.*SyntaxError"),
        ('f = op("f", "x -> x", "{0}", "F.", group="misc")\n', "E221.*unknown group"),
        ('f = op("f", "x -> x", "{0}", "F.", group="norm", laws="odder")\n', "E221.*law"),
        ('f = op("f", "x -> x", lambda x, y: x, "F.", group="norm")\n', "E221.*not given: y"),
        ('f = op("f", "x -> x", "{0}", "", group="norm")\n', "E224.*no definition"),
        ('f = op("f", "x to y", "{0}", "F.", group="norm")\n', "E224.*no signature"),
        ('f = op("f", "G G -> G", "{0}", "F.", group="norm")\n', "E224.*no usual argument"),
        ('f = op("f", "x -> x", "{0}", "F.", group="norm", example="f(")\n', "E224.*example"),
        ('f = op("f", "x -> x", "{0}", "F.", group="norm", example="f(Q)")\n', "E224.*`Q`"),
        ('f = op("f", "x -> x", "{0}", "F.", group="norm", '
         'attrs=(Attribute("p", 5, 0, 1),))\n', "E224.*default of p"),
        ('f = Input("f", kind(), "F.", "f", "weights")\n', "E224.*no `collect`"),
        ('f = Input("f", kind(), "F.", "f", "heavy", collect=print)\n', "E224.*no group"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_explained(tmp_path: Path, body: str, message: str) -> None:
    before = dict(OPERATORS), dict(INPUTS)
    with pytest.raises(InputError, match=message):
        load_extension(write(tmp_path, body))
    assert before == (OPERATORS, INPUTS)


def test_a_missing_file(tmp_path: Path) -> None:
    loop = tmp_path / "loop.py"
    loop.symlink_to(loop)
    for path in ("nowhere/mine.py", loop):
        with pytest.raises(InputError, match="E220"):
            load_extension(path)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("lambda x: x.sum()", "it makes"),
        ("lambda x: 1 / 0", "ZeroDivisionError"),
        ("lambda x: 3.0", "it returns float"),
    ],
)
def test_a_function_that_fails_is_a_diagnostic(tmp_path: Path, function: str, message: str) -> None:
    load_extension(write(
        tmp_path, f'f = op("f", "x -> x", {function}, "F.", group="elementwise")\n'
    ))  # fmt: skip
    formula = parse("mean(mean(f(W)))")
    values = collected(World(shapes(), seed=1), check(formula).statistics)
    with pytest.raises(InputError, match=f"E225.*{message}"):
        Engine([values]).evaluate([to_ir(formula)])


def test_installed_packages_offer_extensions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 'f = op("twice", "x -> x", "2 * {0}", "2x.", group="elementwise")\n')
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("mine", "mine", extend.GROUP)
    monkeypatch.setattr(extend, "entry_points", lambda group: [point])
    assert load_installed()[0].operators == ("twice",)
    assert load_installed()[0].operators == ("twice",)
    broken = EntryPoint("broken", "nothing_of_that_name", extend.GROUP)
    monkeypatch.setattr(extend, "entry_points", lambda group: [broken])
    with pytest.raises(InputError, match="the extension `broken` fails"):
        load_installed()


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def test_with_works_for_every_command() -> None:
    formula = "mean(above[limit=0.5](gelu(W))) + bias"
    assert run("check", formula).exit_code == 1
    for words in (["check", formula], ["ops", "above"], ["latex", formula]):
        done = run(*words, "--with", str(EXAMPLE))
        assert done.exit_code == 0, done.output
        before = run(f"--with={EXAMPLE}", *words)
        assert (before.exit_code, before.stdout) == (0, done.stdout)


def test_with_scores_a_network() -> None:
    model = str(REPOSITORY / "examples" / "resnet20.py")
    done = run("score", model, "-p", "mean(above(gelu(W))) + bias", "--with", str(EXAMPLE),
               "--format", "json", "--batch-size", "4")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["valid"]


def test_with_a_wrong_file_is_a_diagnostic(tmp_path: Path) -> None:
    done = run("ops", "--with", str(write(tmp_path, "raise ValueError('no')\n")))
    assert done.exit_code == 1
    assert "E221" in done.stderr
    assert "Traceback" not in done.stderr
    assert run("ops", "--with").exit_code == 2
