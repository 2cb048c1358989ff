"""Building tables, and the tables that ship."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import refused, run
from tiny_space import Tiny, TinyArch, Unlisted
from torch import nn

import autodas_dsl
from autodas_dsl import spaces
from autodas_dsl.language import files
from autodas_dsl.language.errors import InputError
from autodas_dsl.models.source import ModelSource
from autodas_dsl.scoring.setting import Teacher, usual_teacher
from autodas_dsl.spaces.base import Space
from autodas_dsl.tables import load_table, write_table
from autodas_dsl.tables.info import noise_ceiling
from autodas_dsl.training import build
from autodas_dsl.training.lessons import lessons_of
from autodas_dsl.training.recipe import Recipe
from autodas_dsl.training.rows import Row, begun, table_of
from autodas_dsl.training.teacher import consult

BUILTIN = Path(autodas_dsl.__path__[0]) / "tables" / "builtin"
RESNETS = spaces.get("digits-resnet")
QUICK = Recipe(steps=2, batch=8)


def code_of(error: pytest.ExceptionInfo[InputError]) -> str:
    return error.value.diagnostics[0].code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, and a plan of two steps."""
    plan = build.Plan(sample=5, seeds=(2, 3), recipe=Recipe(steps=2), within="depth")
    monkeypatch.setitem(build.PLANS, "digits-resnet", plan)
    return tmp_path


def samples(count: int = 24, classes: int = 3, size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.arange(count) % classes
    x = torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(0))
    return x + y[:, None, None, None], y


class Knowing(nn.Module):
    """Reads the label off the mean, and has as many classes as it is told."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.fc = nn.Linear(2, classes)
        with torch.no_grad():
            self.conv.weight.fill_(1 / 9)
            self.fc.weight.copy_(torch.arange(classes, dtype=torch.float32)[:, None].expand(-1, 2))
            self.fc.bias.copy_(-(torch.arange(classes, dtype=torch.float32) ** 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).mean((2, 3)))


def knowing(classes: int = 3) -> Teacher:
    return Teacher(ModelSource("knowing", lambda: Knowing(classes), (1, 8, 8), classes))


def built(out: Path, space: Space[Any] | None = None, **more: Any) -> Path:
    given = {"data": samples(), "sample": 5, "seeds": (2, 0), "recipe": QUICK, **more}
    return build.build_table(space or Tiny(), out, **given)


# --- as the tables that ship --------------------------------------------------------------------


def test_a_build_goes_on_where_it_stopped(folder: Path) -> None:
    out = folder / "table.csv"
    told: list[tuple[int, int]] = []
    build.build_table("digits-resnet", out, progress=lambda *n: told.append(n))
    assert told == [(done, 5) for done in range(6)]
    whole = out.read_bytes()
    assert b"# noise ceiling kd: " in whole
    lines = whole.decode().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("# arch", "# noise", "# spear"))]
    out.write_text("".join(kept[:-2]), encoding="utf-8")
    told.clear()
    build.build_table("digits-resnet", out, progress=lambda *n: told.append(n))
    assert told == [(3, 5), (4, 5), (5, 5)]
    assert out.read_bytes() == whole
    assert [path.name for path in folder.iterdir()] == [out.name]


# --- any space ----------------------------------------------------------------------------------

OWN = """
import os, signal
from pathlib import Path
from torch import nn
input_shape, classes = (1, 8, 8), 3

def archs():
    return [str(width) for width in range(1, 9)]

def build(arch):
    if arch == "3" and Path(__file__).with_name("deadly").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if arch == "5":
        raise ValueError("no five\u202e")
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 9 * int(arch)), nn.ReLU(), nn.Linear(9 * int(arch), 3))
"""


def own_space(folder: Path) -> Path:
    path = folder / "mine.py"
    path.write_text(OWN)
    return path


def npz(folder: Path) -> Path:
    x, y = samples()
    np.savez(folder / "data.npz", x=x.numpy(), y=y.numpy())
    return folder / "data.npz"


def test_a_space_of_ones_own_from_the_command_line(tmp_path: Path) -> None:
    space, data, out = own_space(tmp_path), npz(tmp_path), tmp_path / "t.csv"
    words = ("table", "build", space, "--data", data, "--sample", 8, "--seeds", "2,2", "--steps", 2,
             "--kd", "pkt", "--teacher", f"{space}:8", "--out", out)  # fmt: skip
    refused(run(*words), "E726", "which the commonest label does")
    words = (*words, "--seeds", 2)
    (tmp_path / "teacher.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_training_build import Knowing\n\ndef build_model():\n    return Knowing(3)\n"
    )
    words = (*words, "--teacher", tmp_path / "teacher.py")
    result = run(*words)
    assert result.exit_code == 0, (result.stderr, result.exception)
    text = out.read_text(encoding="utf-8")
    assert "# command: autodas-dsl table build" in text
    assert "# space file: mine.py, sha256 " in text
    assert "# left out: 1 that could not be trained; 5: E716 " in text
    assert "no five\\u202e" in text
    assert "loss pkt" in text
    table = load_table(out, str(space))
    assert sorted(table.architectures) == list("1234678")
    assert table.targets == ("vanilla", "kd")
    before = out.read_bytes()
    assert run(*words).exit_code == 0
    assert out.read_bytes() == before


def test_a_recipe_may_be_a_file(tmp_path: Path) -> None:
    recipe, out = tmp_path / "recipe.toml", tmp_path / "t.csv"
    recipe.write_text('optimizer = "adamw"\nsteps = 9\nbatch-size = 4\n')
    words = ("table", "build", own_space(tmp_path), "--data", npz(tmp_path), "--sample", 6,
             "--seeds", "2,0", "--recipe", recipe, "--steps", 2, "--out", out)  # fmt: skip
    assert run(*words).exit_code == 0
    assert "optimizer adamw" in out.read_text(encoding="utf-8")
    assert "steps 2, batch 4" in out.read_text(encoding="utf-8")
    recipe.write_text("stepps = 9\n")
    refused(run(*words), "E741", "stepps")


def test_a_worker_that_is_killed_twice_by_one_network(tmp_path: Path) -> None:
    space, out = spaces.load(own_space(tmp_path)), tmp_path / "t.csv"
    (tmp_path / "deadly").touch()
    with pytest.raises(InputError) as error:
        built(out, space, sample=8, workers=2)
    assert code_of(error) == "E724"
    assert len(load_table(out, space)) == 6
    (tmp_path / "deadly").unlink()
    killed = built(out, space, sample=8).read_bytes()
    assert built(tmp_path / "whole.csv", space, sample=8).read_bytes() == killed


def test_networks_that_are_only_trained_alone_or_only_taught(tmp_path: Path) -> None:
    alone = load_table(built(tmp_path / "alone.csv"), Tiny())
    assert alone.targets == ("vanilla",)
    taught = built(tmp_path / "taught.csv", teacher=knowing(), seeds=(0, 2))
    assert load_table(taught, Tiny()).targets == ("kd",)
    before = taught.read_bytes()
    built(taught, teacher=knowing(), seeds=(0, 2))
    assert taught.read_bytes() == before


def test_a_space_that_cannot_be_listed_is_drawn_from(tmp_path: Path) -> None:
    order = build.sampling_order(Unlisted(), 12)
    assert len(order) == 12 == len({Tiny().canonical(Tiny().parse(text)) for text in order})
    assert order == build.sampling_order(Unlisted(), 20)[:12]
    assert len(build.sampling_order(Unlisted(), 1000)) == 36
    assert len(build.sampling_order(Tiny(), 1000)) == 36


def test_a_larger_sample_goes_on_with_a_finished_table(tmp_path: Path) -> None:
    out = built(tmp_path / "t.csv")
    few = load_table(out, Tiny())
    more = load_table(built(out, sample=7), Tiny())
    assert more.architectures[:5] == few.architectures
    assert len(load_table(built(out, sample=5), Tiny())) == 7


def test_a_test_set_of_its_own(tmp_path: Path) -> None:
    x, y = samples(10)
    table = load_table(built(tmp_path / "t.csv", test_data=(x, y)), Tiny())
    assert "test 10, samples of their own" in table.provenance["splits"]
    with pytest.raises(InputError) as error:
        built(tmp_path / "t.csv")
    assert code_of(error) == "E720"


# --- what goes wrong ----------------------------------------------------------------------------


class Narrow(Tiny):
    """One of its networks takes other inputs, and one fails to be built."""

    def build(self, arch: TinyArch, classes: int | None = None) -> nn.Module:
        if arch.width == (1, 1):
            raise ValueError("not one")
        return nn.Linear(3, 3) if arch.width == (2, 2) else super().build(arch, classes)


def test_networks_that_cannot_be_trained_are_left_out(tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    table = load_table(built(out, Narrow(), sample=36), Tiny())
    assert len(table) == 34
    said = table.provenance["left out"]
    assert said.startswith("2 that could not be trained; ")
    assert "1-1: E403 " in said
    assert "2-2: E440 the network fails on an input of shape [1, 1, 8, 8]" in said


def test_none_that_can_be_trained(tmp_path: Path) -> None:
    class Broken(Tiny):
        def build(self, arch: TinyArch, classes: int | None = None) -> nn.Module:
            return nn.Linear(3, 3)

    with pytest.raises(InputError) as error:
        built(tmp_path / "t.csv", Broken())
    assert code_of(error) == "E727"
    assert not (tmp_path / "t.csv").exists()


def test_a_full_disk_leaves_the_rows_that_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = built(tmp_path / "whole.csv").read_bytes()
    out, synced = tmp_path / "t.csv", []

    def full(handle: int) -> None:
        synced.append(handle)
        if len(synced) == 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(InputError) as error:
            built(out)
    assert code_of(error) == "E517"
    assert "No space left" in str(error.value)
    assert len(load_table(out, Tiny())) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "whole.csv"]
    assert built(out).read_bytes() == whole


def test_teachers_that_cannot_teach(tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    for wrong, code in (
        ({"teacher": knowing(5)}, "E725"),
        ({"teacher": knowing(5), "loss": "sp"}, "E725"),
        ({"teacher": Tiny().build(TinyArch((1, 1)))}, "E726"),
        ({}, "E726"),
        ({"teacher": knowing(), "loss": "kdd"}, "E730"),
    ):
        with pytest.raises(InputError) as error:
            built(out, seeds=(2, 2), **wrong)
        assert code_of(error) == code
    assert not out.exists()
    built(out, seeds=(2, 2), teacher=knowing())


def test_bad_requests(tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    with pytest.raises(InputError) as error:
        build.build_table("digit-resnet", out)
    assert code_of(error) == "E710"
    for wrong in ({"sample": 4}, {"seeds": (1, 2)}, {"seeds": (0, 0)}, {"seeds": (2, -1)}):
        with pytest.raises(InputError) as error:
            built(out, teacher=knowing(), **wrong)
        assert code_of(error) == "E723"
    for folder, code in ((tmp_path / "absent", "E721"), (out / "file", "E721")):
        with pytest.raises(InputError) as error:
            built(folder / "t.csv")
        assert code_of(error) == code
    with pytest.raises(InputError) as error:
        build.build_table("cifar-resnet", out)
    assert code_of(error) == "E722"
    assert run("table", "build", "digits-vit", "--seeds", "some").exit_code == 2
    assert not list(tmp_path.iterdir())


# --- rows and files -----------------------------------------------------------------------------


def test_rows_become_a_table_and_rows_again(tmp_path: Path) -> None:
    archs = build.sampling_order(RESNETS, 2)
    rows = [Row(archs[0], (0.5, 0.7), (0.9, 0.8, 0.7)), Row(archs[1], (0.1, 0.1), (0.2, 0.3, 0.4))]
    provenance = {"recipe": "a: b", "seeds": "2 and 3"}
    path = tmp_path / "t.csv"
    write_table(table_of(RESNETS, rows, provenance), path, decimals=6)
    assert begun(path, RESNETS, provenance, (2, 3)) == {row.arch: row for row in rows}
    table = load_table(path)
    assert table.space == "digits-resnet"
    np.testing.assert_allclose(table.columns["vanilla"], [0.6, 0.1])
    np.testing.assert_allclose(table.spreads["kd"], [0.1, 0.1])
    np.testing.assert_allclose(table.seed_counts["kd"], [3, 3])
    for other, seeds in [({"recipe": "b"}, (2, 3)), (provenance, (2, 2)), (provenance, (3, 3))]:
        with pytest.raises(InputError) as error:
            begun(path, RESNETS, other, seeds)
        assert code_of(error) == "E720"
    assert begun(tmp_path / "none.csv", RESNETS, provenance, (2, 3)) == {}


@pytest.mark.parametrize("content", ["", "arch,kd\n", "# recipe: r\narch,kd_0\n1-1-1,x\n"])
def test_a_strange_output_file_is_left_alone(folder: Path, content: str) -> None:
    path = folder / "t.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError):
        build.build_table("digits-resnet", path)
    assert path.read_text(encoding="utf-8") == content


# --- the tables that ship -----------------------------------------------------------------------

SHIPPED = [name for name in build.PLANS if (BUILTIN / f"{name}.csv").exists()]


def test_the_promised_tables_ship() -> None:
    assert "digits-resnet" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_table_is_what_its_provenance_says(name: str) -> None:
    table = load_table(name)
    said = table.provenance
    assert table.space == name
    assert len(table) >= 64
    assert list(table.architectures) == build.sampling_order(spaces.get(name), len(table))
    assert said["recipe"].startswith(str(build.PLANS[name].recipe))
    for target, least in (("vanilla", 4), ("kd", 8)):
        seeds = table.seeds[target]
        assert seeds.shape[1] >= least
        assert np.allclose(seeds * 897, np.round(seeds * 897), atol=1e-3)
        np.testing.assert_allclose(seeds.mean(1), table.columns[target], atol=1e-6)
        np.testing.assert_allclose(seeds.std(1, ddof=1), table.spreads[target], atol=1e-6)
        ceiling = noise_ceiling(seeds)
        assert ceiling is not None
        assert said[f"noise ceiling {target}"].startswith(f"{ceiling.all_seeds:.4f}")
        assert ceiling.all_seeds >= 0.9
        assert float(said[f"spearman params {target}"]) < 0.9


def test_the_shipped_teacher_is_the_one_in_the_provenance() -> None:
    for name in SHIPPED:
        space = spaces.get(name)
        usual = usual_teacher(space)
        assert usual is not None
        logits, said = consult(usual, lessons_of(space), space)
        assert load_table(name).provenance["teacher"] == said
        assert logits.shape == (9, 300, 10)
