"""Building tables, and the tables that ship."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import autodas_dsl
from autodas_dsl import spaces
from autodas_dsl.language.spans import InputError
from autodas_dsl.training import build, sheet
from autodas_dsl.training.agreement import noise_ceiling
from autodas_dsl.training.recipe import Recipe
from autodas_dsl.training.rows import Row, consult

BUILTIN = Path(autodas_dsl.__path__[0]) / "tables" / "builtin"
TEACHER = BUILTIN / build.TEACHER_FILE


def code_of(error: pytest.ExceptionInfo[InputError]) -> str:
    return error.value.diagnostics[0].code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the teacher in it, and a plan of two steps."""
    (tmp_path / build.TEACHER_FILE).write_bytes(TEACHER.read_bytes())
    plan = build.Plan(limit=3, seeds=(2, 3), recipe=Recipe(steps=2), within="depth")
    monkeypatch.setitem(build.PLANS, "digits-resnet", plan)
    return tmp_path


def test_a_build_goes_on_where_it_stopped(folder: Path) -> None:
    out = folder / "table.csv"
    told: list[tuple[int, int]] = []
    build.build_table("digits-resnet", out, progress=lambda *n: told.append(n))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    whole = out.read_bytes()
    assert b"# noise ceiling kd: " in whole
    lines = whole.decode().splitlines(keepends=True)
    begun = [line for line in lines if not line.startswith(("# command", "# arch", "# noise"))]
    out.write_text("".join(begun[:-2]), encoding="utf-8")
    told.clear()
    build.build_table("digits-resnet", out, progress=lambda *n: told.append(n))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert out.read_bytes() == whole
    assert sorted(path.name for path in folder.iterdir()) == sorted([build.TEACHER_FILE, out.name])


def test_the_accuracies_are_those_of_the_rows(tmp_path: Path) -> None:
    rows = [Row("a", (0.5, 0.7), (0.9, 0.8, 0.7)), Row("b,c", (0.1, 0.1), (0.2, 0.3, 0.4))]
    provenance = {"table": "mine", "recipe": "a: b"}
    path = tmp_path / "t.csv"
    sheet.replace(path, sheet.render(rows, provenance, (2, 3)))
    assert sheet.read(path, provenance, (2, 3)) == {row.arch: row for row in rows}
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    first = next(csv.DictReader(lines))
    assert first["vanilla"] == "0.600000"
    assert float(first["kd_std"]) == pytest.approx(0.1)
    assert first["kd_seeds"] == "3"
    assert first["kd_2"] == "0.700000"
    with pytest.raises(InputError) as error:
        sheet.read(path, {"recipe": "another"}, (2, 3))
    assert code_of(error) == "E720"
    assert sheet.read(tmp_path / "none.csv", provenance, (2, 3)) == {}


@pytest.mark.parametrize("damage", ["", "arch,kd\n", "not a table\n", "# recipe: x\n"])
def test_a_strange_output_file_is_left_alone(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(damage, encoding="utf-8")
    with pytest.raises(InputError) as error:
        sheet.read(path, {"recipe": "r"}, (2, 2))
    assert code_of(error) == "E720"
    assert path.read_text(encoding="utf-8") == damage


def test_a_damaged_row_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    content = sheet.render([Row("a", (0.5, 0.7), (0.9, 0.8))], {"table": "t"}, (2, 2))
    path.write_bytes(content.replace(b"0.700000", b"0.7x"))
    with pytest.raises(InputError) as error:
        sheet.read(path, {"table": "t"}, (2, 2))
    assert code_of(error) == "E720"


def test_bad_requests(tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    with pytest.raises(InputError) as error:
        build.build_table("digit-resnet", out)
    assert code_of(error) == "E722"
    assert 'did you mean "digits-resnet"?' in str(error.value)
    for wrong in ({"limit": 2}, {"limit": 0}, {"vanilla_seeds": 1}, {"kd_seeds": 0}):
        with pytest.raises(InputError) as error:
            build.build_table("digits-resnet", out, **wrong)
        assert code_of(error) == "E723"
    with pytest.raises(InputError) as error:
        build.build_table("digits-resnet", tmp_path / "absent" / "t.csv")
    assert code_of(error) == "E721"
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(InputError) as error:
        sheet.replace(target, b"text")
    assert code_of(error) == "E721"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


SHIPPED = [name for name in build.PLANS if (BUILTIN / f"{name}.csv").exists()]


def test_the_promised_tables_ship() -> None:
    assert "digits-resnet" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_table_is_what_its_provenance_says(name: str) -> None:
    text = (BUILTIN / f"{name}.csv").read_text(encoding="utf-8")
    said = dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("# "))
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert len(rows) >= 64
    space = spaces.get(name)
    assert [row["arch"] for row in rows] == build.sampling_order(name)[: len(rows)]
    assert all(space.format(space.parse(row["arch"])) == row["arch"] for row in rows)
    assert said["recipe"].startswith(str(build.PLANS[name].recipe))
    for target, least in (("vanilla", 4), ("kd", 8)):
        seeds = int(rows[0][f"{target}_seeds"])
        assert seeds >= least
        table = np.array([[float(row[f"{target}_{n}"]) for n in range(seeds)] for row in rows])
        assert np.allclose(table * 897, np.round(table * 897), atol=1e-3)
        means = np.array([float(row[target]) for row in rows])
        np.testing.assert_allclose(table.mean(1), means, atol=1e-6)
        spreads = np.array([float(row[f"{target}_std"]) for row in rows])
        np.testing.assert_allclose(table.std(1, ddof=1), spreads, atol=1e-6)
        ceiling = noise_ceiling(table)
        assert ceiling == pytest.approx(float(said[f"noise ceiling {target}"].split()[0]), abs=1e-3)
        assert float(said[f"spearman params {target}"]) < 0.9
        if target == "kd":
            assert ceiling >= 0.9


def test_the_shipped_teacher_is_the_one_in_the_provenance() -> None:
    weights = load_file(TEACHER)
    digest = hashlib.sha256(b"".join(weights[key].tobytes() for key in sorted(weights)))
    taught = consult(weights)
    for name in SHIPPED:
        text = (BUILTIN / f"{name}.csv").read_text(encoding="utf-8")
        said = next(line for line in text.splitlines() if line.startswith("# teacher"))
        assert digest.hexdigest()[:16] in said
        assert f"test {taught.test:.4f}" in said
    assert taught.logits.shape == (9, 300, 10)
