"""Tables whose architectures are models: files of one's own and networks of libraries."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import refused, run
from torch import nn

import autodas_dsl
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.session import search
from autodas_dsl.language.errors import InputError
from autodas_dsl.models.named import NamedModels, named_models
from autodas_dsl.models.source import ModelSource
from autodas_dsl.scoring.table import table_and_space

NET = """
from torch import nn
input, classes = (1, 8, 8), 10

class Net(nn.Module):
    def __init__(self, width, depth=1):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(width if i else 1, width, 3, padding=1) for i in range(depth)), nn.ReLU()
        )
        self.fc = nn.Linear(width, 10)

    def forward(self, x):
        return self.fc(self.body(x).mean((2, 3)))
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Ten networks of a file that lies beside the table."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "net.py").write_text(NET)
    return write(folder, [f"net.py:Net({w}, depth={d})" for w in (2, 3, 4, 5, 6) for d in (1, 2)])


def write(folder: Path, texts: list[str]) -> Path:
    path = folder / "table.csv"
    rows = (f'"{text}",{number % 7}\n' for number, text in enumerate(texts))
    path.write_text("arch,acc\n" + "".join(rows))
    return path


def test_they_need_no_space(table: Path, tmp_path: Path) -> None:
    assert "none needed: the architectures are models" in run("table", "info", table).stdout
    ranked = run("rank", table, "-p", "snip", "--data", "digits", "--batch-size", 4)
    assert ranked.exit_code == 0, ranked.output
    assert "snip" in ranked.stdout
    found = autodas_dsl.rank(table, "params", data="digits", batch_size=4)
    assert found.rows[0].n == 10


def test_a_search_takes_them(table: Path) -> None:
    config = Config(iterations=20, inputs=("W",), null_repeats=0, size=2)
    session = search([table], config)
    assert {len(one.compared(True)) for one in session.scores}
    assert session.run.counts.evaluations >= 20


def test_describing_a_table_runs_nothing(table: Path) -> None:
    (table.parent / "net.py").write_text("raise SystemExit('it was run')")
    assert run("table", "info", table).exit_code == 0
    refused(run("rank", table, "-p", "params"), "E402", "it was run")


def test_a_table_runs_only_what_lies_beside_it(table: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere.py"
    outside.write_text("raise SystemExit('it was run')")
    for text in ("../elsewhere.py:Net(1)", f"{outside}:Net(1)"):
        write(table.parent, [f"net.py:Net({n})" for n in range(1, 6)] + [text])
        said = refused(run("rank", table, "-p", "params"), "E719", "does not lie beside it")
        assert "it was run" not in said
    (table.parent / "link.py").symlink_to(outside)
    write(table.parent, [f"link.py:Net({n})" for n in range(1, 6)])
    refused(run("rank", table, "-p", "params"), "E719")


def test_a_changed_file_is_scored_again(table: Path) -> None:
    words = ("rank", table, "-p", "l2_norm", "--batch-size", 2, "--format", "csv")
    first = run(*words).stdout
    assert run(*words).stdout == first
    (table.parent / "net.py").write_text(NET.replace("range(depth)", "range(8 - depth)"))
    assert run(*words).stdout != first


def test_weights_depend_on_the_seed_and_survive_pickling(table: Path) -> None:
    _, space = table_and_space(table)
    arch = space.parse("net.py:Net(2, depth=1)")

    def weights(one: NamedModels, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return nn.utils.parameters_to_vector(one.build(arch).parameters())

    assert isinstance(space, NamedModels)
    assert torch.equal(weights(space, 1), weights(pickle.loads(pickle.dumps(space)), 1))
    assert not torch.equal(weights(space, 1), weights(space, 2))
    assert space.input_shape == (1, 8, 8)
    rng = np.random.default_rng(0)
    assert space.mutate(arch, rng) != arch
    assert space.sample(rng) in list(space.enumerate())


def test_networks_of_libraries_and_spaces_stand_beside_files(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "small.json").write_text(
        '{"model_type": "vit", "hidden_size": 8, "num_hidden_layers": 1, "image_size": 32,'
        ' "num_attention_heads": 1, "intermediate_size": 8, "num_labels": 10, "patch_size": 8}'
    )
    (tmp_path / "conv.py").write_text(
        "from torch import nn\nmodel = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))\n"
    )
    space = named_models(["hf:small.json", "conv.py"], tmp_path)
    assert (space.input_shape, space.classes) == ((3, 32, 32), 10)
    before = space.source
    (tmp_path / "conv.py").write_text("from torch import nn\nmodel = nn.Flatten()\n")
    assert named_models(["hf:small.json", "conv.py"], tmp_path).source != before


def test_models_of_other_inputs_do_not_compare() -> None:
    def source(**told: object) -> ModelSource:
        return ModelSource("n", nn.Flatten, **told)  # type: ignore[arg-type]

    same = NamedModels({"a": source(input_shape=(1, 8, 8)), "b": source()})
    assert same.input_shape == (1, 8, 8)
    assert "`classes`, 10 is assumed" in same.note
    for wrong in ({"input_shape": (3, 8, 8)}, {"input_shape": (1, 8, 8), "classes": 3}):
        with pytest.raises(InputError, match="E719"):
            NamedModels({"a": source(input_shape=(1, 8, 8), classes=10), "b": source(**wrong)})


def test_words_that_are_no_models_still_need_a_space(tmp_path: Path) -> None:
    path = write(tmp_path, [f"net{number}" for number in range(6)])
    refused(run("rank", path, "-p", "params"), "E520", "FILE.py:Name(16)")
    refused(run("rank", write(tmp_path, ["gone.py:Net(1)"] * 1), "-p", "params"), "E401")
