"""Library proxies equal independent public implementations, through ``autodas-dsl score`` itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from autodas_dsl.cli.entry import cli
from autodas_dsl.language.library import library_names

TOLERANCE = 1e-6  # relative, float64

RESNET = """
from pathlib import Path
from autodas_dsl.spaces.resnet import CifarResNet
from autodas_dsl.models.weights import load_weights

input, classes = (3, 32, 32), 10

def build_model():
    network = CifarResNet({depths}, (8, 16, 32), classes=10, stem=8)
    load_weights(network, Path({weights!r}))
    return network
"""

VIT = """
from pathlib import Path
from transformers import ViTConfig, ViTForImageClassification
from autodas_dsl.models.weights import load_weights

input, classes = (3, 32, 32), 10

def build_model():
    network = ViTForImageClassification(ViTConfig(**{config!r}))
    load_weights(network, Path({weights!r}))
    return network
"""


def _scores(model: Path, batch: Path, names: list[str], *more: str) -> dict[str, float]:
    chosen = [part for name in names for part in ("-p", name)]
    args = ["score", str(model), *chosen, "--data", str(batch), "--dtype", "float64",
            "--format", "json", *more]  # fmt: skip
    found = CliRunner().invoke(cli, args)
    assert found.exit_code == 0, found.stderr
    return {row["proxy"]: row["score"] for row in json.loads(found.stdout)}


def _compare(found: dict[str, float], expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert found[_name(name)] == pytest.approx(value, rel=TOLERANCE), name


def _name(name: str) -> str:
    return "params" if name == "parameters" else name


def _resnet(folder: Path, reference: Path, who: str, depths: tuple[int, ...]) -> Path:
    path = folder / f"{who}.py"
    weights = str(reference / f"cifar_resnet_{who}.npz")
    path.write_text(RESNET.format(depths=depths, weights=weights))
    return path


@pytest.fixture
def expected(shared: Path) -> dict[str, Any]:
    text = (shared / "reference" / "expected.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def test_resnet(shared: Path, tmp_path: Path, expected: dict[str, Any]) -> None:
    reference = shared / "reference"
    student = _resnet(tmp_path, reference, "student", (1, 3, 1))
    teacher = _resnet(tmp_path, reference, "teacher", (3, 3, 3))
    scores = expected["cifar_resnet"]["scores"]
    found = _scores(
        student, reference / "batch.npz", [_name(n) for n in scores], "--teacher", str(teacher)
    )
    assert len(scores) == 12
    _compare(found, scores)


def test_vit(shared: Path, tmp_path: Path, expected: dict[str, Any]) -> None:
    pytest.importorskip("transformers")
    reference = shared / "reference"
    model = tmp_path / "vit.py"
    config, scores = expected["vit"]["config"], expected["vit"]["scores"]
    model.write_text(VIT.format(config=config, weights=str(reference / "vit_student.npz")))
    found = _scores(model, reference / "batch.npz", [_name(n) for n in scores])
    assert len(scores) == 8
    _compare(found, scores)


def test_every_name_compared_is_a_library_proxy(expected: dict[str, Any]) -> None:

    names = {_name(n) for network in expected.values() for n in network["scores"]}
    assert names <= set(library_names())
