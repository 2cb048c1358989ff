"""Building tables, and the tables that ship."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import autodas_dsl
from autodas_dsl.execution.jobs import InProcess, Job, Lost
from autodas_dsl.execution.processes import Processes
from autodas_dsl.execution.threads import one_thread
from autodas_dsl.language.errors import InputError
from autodas_dsl.tables import load_table, write_table
from autodas_dsl.tables.info import noise_ceiling
from autodas_dsl.training import build
from autodas_dsl.training.digits import digits
from autodas_dsl.training.recipe import Recipe
from autodas_dsl.training.rows import Row, Training
from autodas_dsl.training.sheet import begun, table_of
from autodas_dsl.training.teacher import TEACHER_FILE, consult, teacher_network

BUILTIN = Path(autodas_dsl.__path__[0]) / "tables" / "builtin"
TEACHER = BUILTIN / TEACHER_FILE


def code_of(error: pytest.ExceptionInfo[InputError]) -> str:
    return error.value.diagnostics[0].code


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the teacher in it, and a plan of two steps."""
    (tmp_path / TEACHER_FILE).write_bytes(TEACHER.read_bytes())
    plan = build.Plan(limit=5, seeds=(2, 3), recipe=Recipe(steps=2), within="depth")
    monkeypatch.setitem(build.PLANS, "digits-resnet", plan)
    return tmp_path


def test_a_build_goes_on_where_it_stopped(folder: Path) -> None:
    out = folder / "table.csv"
    told: list[tuple[int, int]] = []
    build.build_table("digits-resnet", out, progress=lambda *n: told.append(n))
    assert told == [(done, 5) for done in range(6)]
    whole = out.read_bytes()
    assert b"# noise ceiling kd: " in whole
    lines = whole.decode().splitlines(keepends=True)
    kept = [
        line for line in lines if not line.startswith(("# command", "# arch", "# noise", "# spear"))
    ]
    out.write_text("".join(kept[:-2]), encoding="utf-8")
    told.clear()
    build.build_table("digits-resnet", out, progress=lambda *n: told.append(n))
    assert told == [(3, 5), (4, 5), (5, 5)]
    assert out.read_bytes() == whole
    assert sorted(path.name for path in folder.iterdir()) == sorted([TEACHER_FILE, out.name])


def test_rows_are_the_same_from_other_processes(folder: Path) -> None:
    archs = build.sampling_order("digits-resnet")[:3]
    training = Training(
        "digits-resnet", Recipe(steps=2), (1, 1), consult(load_file(TEACHER)).logits
    )
    with one_thread():
        here = [training.row(arch) for arch in archs]
    with Processes(2) as executor:
        found = dict(executor.run(Job(training, arch) for arch in archs))
    assert [found[number] for number in range(3)] == here


def test_a_row_that_ends_two_workers_is_told_and_the_others_are_kept(
    folder: Path,
) -> None:
    class Losing(InProcess):
        """Loses every job with the second architecture."""

        def run(self, jobs: Iterable[Job[Any, Any]]) -> Iterator[tuple[int, Any]]:
            for number, job in enumerate(jobs):
                lost = job.argument == archs[1]
                yield number, Lost(job) if lost else job.state()(job.argument)

    archs = build.sampling_order("digits-resnet")[:5]
    out = folder / "table.csv"
    with pytest.raises(InputError) as error:
        build.build_table("digits-resnet", out, executor=Losing())
    assert code_of(error) == "E724"
    assert archs[1] in str(error.value)
    kept = load_table(out, "digits-resnet").architectures
    assert sorted(kept) == sorted(set(archs) - {archs[1]})


def test_rows_become_a_table_and_rows_again(tmp_path: Path) -> None:
    archs = build.sampling_order("digits-resnet")[:2]
    rows = [Row(archs[0], (0.5, 0.7), (0.9, 0.8, 0.7)), Row(archs[1], (0.1, 0.1), (0.2, 0.3, 0.4))]
    provenance = {"recipe": "a: b", "seeds": "2 and 3"}
    path = tmp_path / "t.csv"
    write_table(table_of("digits-resnet", rows, provenance), path, decimals=6)
    assert begun(path, "digits-resnet", provenance, (2, 3)) == {row.arch: row for row in rows}
    table = load_table(path)
    assert table.space == "digits-resnet"
    np.testing.assert_allclose(table.columns["vanilla"], [0.6, 0.1])
    np.testing.assert_allclose(table.spreads["kd"], [0.1, 0.1])
    np.testing.assert_allclose(table.seed_counts["kd"], [3, 3])
    for other, seeds in [({"recipe": "b"}, (2, 3)), (provenance, (2, 2)), (provenance, (3, 3))]:
        with pytest.raises(InputError) as error:
            begun(path, "digits-resnet", other, seeds)
        assert code_of(error) == "E720"
    assert begun(tmp_path / "none.csv", "digits-resnet", provenance, (2, 3)) == {}


@pytest.mark.parametrize("content", ["", "arch,kd\n", "# recipe: r\narch,kd_0\n1-1-1,x\n"])
def test_a_strange_output_file_is_left_alone(folder: Path, content: str) -> None:
    path = folder / "t.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError):
        build.build_table("digits-resnet", path)
    assert path.read_text(encoding="utf-8") == content


def test_bad_requests(tmp_path: Path) -> None:
    out = tmp_path / "t.csv"
    with pytest.raises(InputError) as error:
        build.build_table("digit-resnet", out)
    assert code_of(error) == "E722"
    assert 'did you mean "digits-resnet"?' in str(error.value)
    for wrong in ({"limit": 4}, {"limit": 0}, {"vanilla_seeds": 1}, {"kd_seeds": 0}):
        with pytest.raises(InputError) as error:
            build.build_table("digits-resnet", out, **wrong)
        assert code_of(error) == "E723"
    with pytest.raises(InputError) as error:
        build.build_table("digits-resnet", tmp_path / "absent" / "t.csv")
    assert code_of(error) == "E721"
    assert not list(tmp_path.iterdir())


SHIPPED = [name for name in build.PLANS if (BUILTIN / f"{name}.csv").exists()]


def test_the_promised_tables_ship() -> None:
    assert "digits-resnet" in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_table_is_what_its_provenance_says(name: str) -> None:
    table = load_table(name)
    said = table.provenance
    assert table.space == name
    assert len(table) >= 64
    assert list(table.architectures) == build.sampling_order(name)[: len(table)]
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
    weights = load_file(TEACHER)
    digest = hashlib.sha256(b"".join(weights[key].tobytes() for key in sorted(weights)))
    taught = consult(weights)
    for name in SHIPPED:
        said = load_table(name).provenance["teacher"]
        assert digest.hexdigest()[:16] in said
        assert f"test {taught.test:.4f}" in said
    assert taught.logits.shape == (9, 300, 10)
    with torch.no_grad():
        logits = teacher_network(weights)(digits().shifted[4])
    np.testing.assert_array_equal(logits.numpy(), taught.logits[4])
