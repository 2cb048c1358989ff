"""Spaces of a user's own: fields of names, and files with a function ``build(arch)``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import refused, run
from torch import nn

import autodas_dsl
from autodas_dsl import spaces
from autodas_dsl.language.errors import InputError
from autodas_dsl.models.load import load_models
from autodas_dsl.spaces import Field, FieldSpace

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# --- fields of names ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Arch:
    width: int
    ops: tuple[str, ...]


class Cells(FieldSpace[Arch]):
    name, input_shape, classes, arch_type = "cells", (1, 8, 8), 10, Arch
    parts = (
        Field("width", (2, 4), accepts=range(1, 65)),
        Field("ops", ("skip", "conv3", "3x3"), length=3),
    )

    def build(self, arch: Arch, classes: int | None = None) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, arch.width), nn.Linear(arch.width, 10))


def test_names_are_as_good_as_numbers() -> None:
    space = Cells()
    text = "width=2,ops=skip-conv3-3x3"
    arch = space.parse(text)
    assert arch == Arch(2, ("skip", "conv3", "3x3"))
    assert space.format(arch) == text
    assert space.from_fields({"width": "2", "ops": "skip-conv3-3x3"}) == arch
    assert space.count() == 2 * 3**3 == len(list(space.enumerate() or ()))
    rng = np.random.default_rng(0)
    for _ in range(20):
        mutant = space.mutate(space.sample(rng), rng)
        assert space.parse(space.format(mutant)) == mutant
        assert space.outside(mutant) == ""
    larger = space.parse("width=64,ops=skip-skip-skip")
    assert space.outside(larger) == "width is 2, 4 in cells, not 64"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("width=2,ops=skip-conv3-conv5", "E706", "allowed: skip, conv3, 3x3"),
        ("width=2,ops=skip-conv3", "E705", "3 long"),
        ("width=skip,ops=skip-skip-skip", "E706", 'cannot be "skip"'),
        ("ops=skip-skip-skip", "E703", "lacks width"),
    ],
)
def test_a_wrong_name_is_told_what_is_allowed(text: str, code: str, says: str) -> None:
    with pytest.raises(InputError, match=f"{code}.*(\n.*)?{says}"):
        Cells().parse(text)


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        (("skip", "conv-3"), "'conv-3' would be misread"),
        (("skip", "a,b"), "'a,b' would be misread"),
        (("k=3",), "misread"),
        (("conv 3",), "misread"),
        (("conv\n3",), "misread"),
        (("conv\u202e3",), "misread"),
        (("",), "misread"),
        ((1, -1), "number -1 cannot be written"),
        ((1, 1e-12), "cannot be written"),
        ((1, float("nan")), "cannot be written"),
        ((3, "3"), "3 is among its choices twice"),
        ((None, "conv"), "None is of type NoneType"),
        ("skip", "its choices are 'skip'"),
        ((), "its choices are"),
        (((1, 2), ()), "one position has the choices"),
        (((1, 2), (1, "x-y"), (1,)), "'x-y' would be misread"),
        (((1, 2), (1, 3)), "3 long and has choices for 2 positions"),
    ],
)
def test_a_field_that_could_not_be_read_back_is_refused(choices: Any, says: str) -> None:
    with pytest.raises(InputError, match="E708") as error:
        Field("ops", choices, length=3)
    assert says in str(error.value)
    assert "help" in str(error.value)


def test_a_length_is_a_field_of_whole_numbers() -> None:
    with pytest.raises(InputError, match=r"E709.*length of ops is 'kind'"):

        class Wrong(Cells):
            parts = (Field("kind", ("a", "b")), Field("ops", ("skip",), length="kind"))


def test_numbers_are_written_in_full() -> None:
    class Wide(Cells):
        parts = (Field("width", (1048576, 0.125)), Field("ops", ("skip",), length=1))

    space = Wide()
    texts = [space.format(arch) for arch in space.enumerate() or ()]
    assert texts == ["width=1048576,ops=skip", "width=0.125,ops=skip"]
    assert [space.format(space.parse(text)) for text in texts] == texts


def test_the_commands_take_names(tmp_path: Path) -> None:
    table = tmp_path / "own.csv"
    rows = ["8,skip-conv1-conv1-skip", "16,conv1-conv1-conv1-skip", "8,conv1-conv1-skip-skip",
            "32,skip-conv1-skip-skip", "16,skip-skip-skip-conv1"]  # fmt: skip
    table.write_text("width,ops,acc\n" + "".join(f"{row},{i}\n" for i, row in enumerate(rows)))
    space = ("--space", EXAMPLES / "my_space.py")
    shown = run("table", "info", table, *space)
    assert "5 architectures\nspace: tiny-conv" in shown.stdout
    ranked = run("rank", table, *space, "-p", "l2_norm", "--batch-size", 2)
    assert ranked.exit_code == 0, ranked.output
    assert "l2_norm" in ranked.stdout
    found = run("search", EXAMPLES / "my_space.py", "-p", "params", "--budget", 6, "--max-params",
                "2k", "--batch-size", 2, "--format", "csv")  # fmt: skip
    assert found.exit_code == 0, found.output
    assert "width=8,ops=" in found.stdout
    table.write_text("width,ops,acc\n8,skip-conv7-skip-skip,1\n")
    refused(run("table", "info", table, *space), "E706", "conv7", "allowed: skip, conv1, conv3")


# --- a file with build(arch) --------------------------------------------------------------------

BUILD = """
from torch import nn

def build(arch: str):
    layers, width = [], 3
    for kernel in map(int, arch.split("/")):
        layers += [nn.Conv2d(width, 4, kernel, padding="same"), nn.ReLU()]
        width = 4
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
"""
SMALL = BUILD + "\ninput_shape = (3, 6, 6)\nclasses = 10\n"
TABLE = "arch,kd\n1/1,1\n3/1,2\n3/3,3\n1,0\n5/3/3,5\n"


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str, name: str = "cells.py") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_function_is_a_space(write) -> None:
    space, table = write(BUILD), write(TABLE, "own.csv")
    assert "space: cells" in run("table", "info", table, "--space", space).stdout
    result = run("rank", table, "--space", space, "-p", "l2_norm", "--batch-size", 2)
    assert result.exit_code == 0, result.output
    assert "l2_norm" in result.stdout
    assert "inputs of shape 3x32x32" in result.stderr
    assert "cells.py does not say `input_shape = (3, 32, 32)` and `classes = 10`" in result.stderr
    told = run("rank", table, "--space", write(SMALL), "-p", "l2_norm", "--batch-size", 2)
    assert "inputs of shape 3x6x6" in told.stderr
    assert "does not say" not in told.stderr


def test_python_takes_the_space_itself(write) -> None:
    space = spaces.load(write(SMALL))
    found = autodas_dsl.rank(write(TABLE, "own.csv"), "l2_norm", space=space, batch_size=2)
    assert found.architectures == ("1/1", "3/1", "3/3", "1", "5/3/3")


def test_scores_belong_to_the_file_as_it_is(write) -> None:
    table = write(TABLE, "own.csv")

    def params(text: str) -> float:
        space = spaces.load(write(text))
        return autodas_dsl.rank(table, "params", space=space, batch_size=2).scores["params"][0]

    first = params(SMALL)
    assert params(SMALL) == first
    assert params(SMALL.replace("Linear(4, 10)", "Linear(4, 7)")) < first


def test_search_asks_for_architectures_and_uses_them(write) -> None:
    words = ("-p", "params", "--batch-size", 2, "--budget", 6, "--format", "csv")
    refused(run("search", write(SMALL), *words), "E718", "archs()", "sample(rng)")
    listed = run(
        "search", write(SMALL + "def archs():\n    yield from ['1', '3', '1', '3/3']"), *words
    )
    assert listed.exit_code == 0, listed.output
    assert "3 networks scored" not in listed.stdout
    assert [line.split(",")[2] for line in listed.stdout.splitlines()[1:4]] == ["3/3", "3", "1"]
    drawn = run(
        "search",
        write(SMALL + "def sample(rng):\n    return '/'.join(rng.choice(['1', '3'], 3))"),
        *words,
    )
    assert drawn.exit_code == 0, drawn.output
    assert "3/3/3" in drawn.stdout


def test_a_neighbour_may_be_told(write) -> None:
    path = write(SMALL + "def sample(rng): return '1'\ndef mutate(arch, rng): return arch + '/3'")
    space = spaces.load(path)
    rng = np.random.default_rng(0)
    assert space.mutate("1", rng) == "1/3"
    assert space.count() is None
    path.write_text(SMALL + "def sample(rng): return '1'")
    with pytest.raises(InputError, match=r"E717.*no architecture besides '1'"):
        spaces.load(path).mutate("1", rng)


def test_classes_are_told_where_build_takes_them(write) -> None:
    told = SMALL.replace("arch: str", "arch, classes").replace("(4, 10)", "(4, classes)")
    for text, expected in ((told, 7), (SMALL, 10)):
        network = spaces.load(write(text)).build("1", 7)
        assert network(torch.zeros(1, 3, 6, 6)).shape == (1, expected)


def test_a_file_imports_what_lies_beside_it(write) -> None:
    write("KERNEL = 3\n", "beside_the_space.py")
    path = write("from beside_the_space import KERNEL\n" + SMALL)
    assert spaces.load(path).name == "cells"


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("input_shape = 32", "E715.*input_shape is 32"),
        ("classes = 0", "E715.*classes is 0"),
        ("archs = ['1']", "E716.*archs is of type list, not a function"),
        ("def archs(): return []", "E716.*lists none"),
        ("def archs(): return 'abc'", "E716.*not a list of texts"),
        ("def archs(): return [3]", "E716.*gives 3 of type int"),
        ("def archs(): return 1 / 0", "E716.*fails: line 14: ZeroDivisionError"),
        ("def archs(): return ['a\\nb']", "E702.*one line"),
    ],
)
def test_a_wrong_function_is_named(extra: str, says: str, write) -> None:
    with pytest.raises(InputError) as error:
        spaces.load(write(SMALL + "\n" + extra)).count()
    first, *rest = says.split(".*")
    assert first in str(error.value)
    assert all(word in str(error.value) for word in rest)


def test_an_architecture_that_build_refuses_shows_the_line(write) -> None:
    table = write("arch,kd\nx,1\ny,2\nz,3\n1,4\n3,5\n", "own.csv")
    said = refused(run("rank", table, "--space", write(SMALL), "-p", "l2_norm"), "E716")
    assert "build('x') fails: line 6: ValueError" in said


@pytest.mark.parametrize("text", ["", "a\nb", "a\u202eb"])
def test_an_architecture_is_one_visible_line(text: str, write) -> None:
    with pytest.raises(InputError, match="E702"):
        spaces.load(write(SMALL)).parse(text)


def test_an_architecture_of_a_file_is_a_model(write) -> None:
    path = write(SMALL)
    for arch in ("1/3", "3"):
        (source,) = load_models(f"{path}:{arch}")
        assert (source.input_shape, source.classes) == ((3, 6, 6), 10)
        assert source.build()(torch.zeros(1, 3, 6, 6)).shape == (1, 10)
    own = write(SMALL.replace('map(int, arch.split("/"))', "(3,)"))
    assert load_models(f"{own}:word")[0].build() is not None  # as a name in a file is written
    with pytest.raises(InputError, match=r"E403.*is a space.*\n.*name an architecture"):
        load_models(str(own))


def test_the_example_is_a_space_and_a_model(write) -> None:
    path = EXAMPLES / "my_functions.py"
    space = spaces.load(path)
    rng = np.random.default_rng(0)
    drawn = [space.mutate(space.sample(rng), rng) for _ in range(3)]
    assert all(space.build(arch)(torch.zeros(2, 1, 8, 8)).shape == (2, 10) for arch in drawn)
    result = run("score", f"{path}:conv3|skip", "-p", "params", "--format", "csv")
    assert result.exit_code == 0, result.output
    found = run(
        "search", path, "-p", "params", "--budget", 5, "--data", "digits", "--batch-size", 2
    )
    assert found.exit_code == 0, found.output


def test_a_function_is_searched_for_formulas(write, tmp_path: Path) -> None:
    rows = [f"{a}/{b},{a + b}\n" for a in (1, 3, 5, 7) for b in (1, 3, 5)]
    table = write("arch,kd\n" + "".join(rows), "own.csv")
    path = write(SMALL)
    found = autodas_dsl.evolve(
        table, space=str(path), teacher=f"{path}:3/3", iterations=2, population=4, elite=2,
        data=(torch.randn(4, 3, 6, 6), torch.tensor([0, 1, 2, 3])),
    )  # fmt: skip
    assert found.best.check().ok
