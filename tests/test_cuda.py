"""On a GPU: the numbers of the processor within rounding, the same bits each time.

Parameters, batches and formulas are in float64, where both round far below the tolerances.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_formulas import random_formula
from small_networks import BATCH, EVERYTHING, Small, seeded
from torch import Tensor, nn

import autodas_dsl
from autodas_dsl.compiler.engine import Engine
from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.reading import needed
from autodas_dsl.language.library import library_names, load
from autodas_dsl.models.load import load_model
from autodas_dsl.scoring.score import score
from autodas_dsl.scoring.setting import Data, Teacher
from autodas_dsl.statistics.collect import Collected, collect, collect_teacher
from autodas_dsl.training.build import build_table
from autodas_dsl.training.digits import digits
from autodas_dsl.training.distillation import distill
from autodas_dsl.training.recipe import Recipe

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU at hand")

MODELS = (
    "digits-resnet:depth=1-1-1,width=8-16-16", "cifar-resnet:1-1-1",
    "digits-vit:patch=4,dim=8,depth=2,heads=2,mlp=1",
    "nasbench201:|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|",
)  # fmt: skip
TOLERANCE = 1e-8
"""Of a score, relative, in float64."""


def parts(collected: Collected) -> dict[str, list[Tensor]]:
    return {str(s): list(v) if isinstance(v, tuple) else [v] for s, v in collected.values.items()}


def on(device: str, wanted: Any = EVERYTHING) -> Collected:
    network = seeded(Small).double().to(device)
    return collect(network, BATCH, wanted, dtype=torch.float64, absent={})


def test_statistics_are_those_of_the_processor_and_stay_on_the_device() -> None:
    here, there = parts(on("cpu")), parts(on("cuda"))
    assert here.keys() == there.keys()
    for name, own in here.items():
        for a, b in zip(own, there[name], strict=True):
            assert b.is_cuda or not b.dim(), name
            torch.testing.assert_close(
                b.cpu(), a, rtol=1e-9, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}"
            )


def test_statistics_are_the_same_bits_each_time() -> None:
    once, again = parts(on("cuda")), parts(on("cuda"))
    unlike = [name for name in once if not all(map(torch.equal, once[name], again[name]))]
    assert not unlike


@pytest.mark.parametrize("model", MODELS)
def test_every_library_formula_scores_as_on_the_processor(model: str) -> None:
    names = [name for name in library_names() if name not in ("az_nas", "vkdnw_agg")]
    teacher = "cifar-resnet:1-1-1" if "cifar" in model or "nasbench" in model else None
    found = {}
    for device in ("cpu", "cuda"):
        result = score(
            [load_model(model)], [load(name) for name in names], data=Data("noise", 8),
            teacher=Teacher(load_model(teacher)) if teacher else None, dtype=torch.float64,
            device=device,
        )  # fmt: skip
        found[device] = {row.proxy: row.score for row in result.scores}
    if "vit" in model:  # constant weights behind LayerNorm: what is left is rounding, anywhere
        del found["cpu"]["epsinas"]
    for name, value in found["cpu"].items():
        assert found["cuda"][name] == pytest.approx(value, rel=TOLERANCE, nan_ok=True), name


def networks(device: str) -> list[Collected]:
    formulas = [to_ir(random_formula(slot)) for slot in range(150)]
    wanted = needed(formulas)
    teacher = collect_teacher(seeded(Small).double().to(device), BATCH, wanted, absent={})
    return [
        collect(
            build(number).double().to(device), BATCH, wanted, teacher=teacher, seed=number, absent={}
        )
        for number in range(6)
    ]  # fmt: skip


def build(seed: int) -> nn.Module:
    torch.manual_seed(seed + 8)  # not the teacher's: a distance of 0 has no relative error
    return Small()


def test_random_formulas_score_as_on_the_processor_and_repeat() -> None:
    here, there = networks("cpu"), networks("cuda")
    held = set(here[0].values) & set(there[0].values)
    drawn = [to_ir(random_formula(slot)) for slot in range(150)]
    roots = [root for root in drawn if set(needed([root])) <= held]
    assert len(roots) > 60
    expected, found, again = (Engine(nets).evaluate(roots) for nets in (here, there, there))
    for root, a, b, c in zip(roots, expected, found, again, strict=True):
        assert b.scores.tobytes() == c.scores.tobytes(), root
        np.testing.assert_allclose(b.scores, a.scores, rtol=1e-6, atol=1e-9, err_msg=repr(root))


def run(out: Path, **more: Any) -> dict[str, bytes]:
    given: dict[str, Any] = dict(
        iterations=3, population=8, brood=4, device="cuda", run=out, baselines=("params",)
    )
    autodas_dsl.evolve("digits-resnet", **{**given, **more})
    return {
        path.name: path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.suffix in (".proxy", ".csv") and path.name != "history.csv"
    }


def test_a_search_repeats_for_any_workers_and_with_statistics_on_disk(tmp_path: Path) -> None:
    first = run(tmp_path / "one")
    assert run(tmp_path / "two", workers=2) == first
    assert run(tmp_path / "disk", memory=0.05) == first


def test_a_table_is_trained_there(tmp_path: Path) -> None:
    tables = []
    for name in ("a.csv", "b.csv"):
        path = build_table(
            "digits-resnet", tmp_path / name, sample=5, seeds=(2, 2), recipe=Recipe(steps=20),
            device="cuda",
        )  # fmt: skip
        tables.append(path.read_text())
    assert torch.cuda.get_device_name() in tables[0]
    assert tables[0] == tables[1]


def test_a_model_is_distilled_there() -> None:
    student, teacher = load_model(MODELS[0]), load_model("digits-resnet:depth=1-1-1,width=16-16-16")
    samples = digits().train
    done = distill(
        student.build().cuda(), teacher.build().cuda(), (samples.x[:64], samples.y[:64]),
        recipe=Recipe(steps=10, batch=16),
    )  # fmt: skip
    assert next(done.network.parameters()).is_cuda
    assert np.isfinite(done.losses).all()
