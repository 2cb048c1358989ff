"""The statistics of a table: where they lie, and what some networks do not have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_space import Tiny, TinyArch
from torch import Tensor, nn

from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.library import load
from autodas_dsl.language.parse import parse
from autodas_dsl.models.source import ModelSource
from autodas_dsl.scoring.scorebook import setting_key
from autodas_dsl.scoring.setting import Data, Setting, Teacher
from autodas_dsl.scoring.stored import Stored, collect_table
from autodas_dsl.scoring.table import table_batch
from autodas_dsl.statistics.errors import StatisticError
from autodas_dsl.statistics.store import Store

ARCHITECTURES = ("1-2", "2-3", "4-4")
SETTING = Setting(Data("noise", 4))
W, F_T, S = (Statistic(name) for name in ("W", "F_t", "S"))


class Far(Tensor):
    """A tensor of a device that this machine need not have: all that comes of it is far too, until
    it is moved to the processor."""

    def cpu(self, *args: object, **more: object) -> Tensor:
        return self.as_subclass(Tensor)


def far(network: nn.Module) -> nn.Module:
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(parameter.detach().as_subclass(Far)))
    return network


class Distant(Tiny):
    """A space whose networks are on that device."""

    name = "distant"

    def build(self, arch: TinyArch, classes: int | None = None) -> nn.Module:
        return far(super().build(arch, classes))


def teacher_of(space: Tiny) -> Teacher:
    return Teacher(ModelSource("teacher", lambda: space.build(TinyArch((5, 5)))))


def parts(stored: Stored) -> list[Tensor]:
    values = [v for one in stored.collected for _, v in sorted(one.values.items())]
    return [part for v in values for part in (v if isinstance(v, tuple) else (v,))]


def test_statistics_stay_on_the_device_of_their_networks() -> None:
    wanted = [Statistic(n) for n in ("W", "A", "F_s", "P_s", "F_t", "V_t", "fan_in", "params")]
    wanted.append(Statistic("W", "grad"))
    found = [
        parts(collect_table(ARCHITECTURES, space, wanted, Setting(SETTING.data, teacher_of(space))))
        for space in (Distant(), Tiny())
    ]
    assert {type(part) for part in found[0] if part.dim() > 1} == {Far}
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("stored", [False, True])
def test_what_can_be_done_without_is_told_and_the_rest_collected(
    tmp_path: Path, stored: bool
) -> None:
    nodes = [to_ir(parse("sum(|W|_F)")), to_ir(load("zen")), to_ir(parse("|F_t|_F"))]
    for _ in range(1 + stored):  # the second time served from the store
        found = collect_table(
            ARCHITECTURES, Tiny(), [W], SETTING, optional=[W, Statistic("S", probe="noise"), F_T,
            *load("zen").check().statistics], store=Store(tmp_path) if stored else None,
        )  # fmt: skip
        good, zen, guided = found.evaluator(range(3))(nodes)
        assert good.valid.all()
        assert set(zen.reasons) == {
            "S[noise]: the network has no BatchNorm layer; it exists for BatchNorm only"
        }
        assert set(guided.reasons) == {
            "F_t: there is no teacher to take it from; add --teacher MODEL"
        }


def test_what_a_teacher_lacks_is_told_too() -> None:
    deep = Statistic("F_t", stage=-3)
    setting = Setting(SETTING.data, teacher_of(Tiny()))
    found = collect_table(ARCHITECTURES, Tiny(), [W, F_T], setting, optional=[deep])
    nodes = [to_ir(parse("sum(|W|_F) * |F_t|_F")), to_ir(parse("|F_t[-3]|_F"))]
    good, lost = found.evaluator(range(3))(nodes)
    assert good.valid.all()
    assert "F_t[-3]: the network has 1 stage(s)" in lost.reasons[0]


def test_what_cannot_be_done_without_is_an_error() -> None:
    with pytest.raises(StatisticError, match=r"tiny:1-2.*E443.*S: the network has no BatchNorm"):
        collect_table(ARCHITECTURES, Tiny(), [S, W], SETTING, optional=[S])
    with pytest.raises(StatisticError, match=r"E444.*F_t: there is no teacher"):
        collect_table(ARCHITECTURES, Tiny(), [F_T], SETTING)


def test_scores_of_another_device_are_stored_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = table_batch(Tiny(), SETTING, 4, 0)
    here = setting_key(batch, None, None, SETTING, 0)
    assert setting_key(batch, None, None, replace(SETTING), 0) == here
    cards = {"cuda:0": "H100", "cuda:1": "A100", "cuda:2": "A100"}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: cards[str(device)])
    keys = {c: setting_key(batch, None, None, replace(SETTING, device=c), 0) for c in cards}
    assert len({here, *keys.values()}) == 3
    assert keys["cuda:1"] == keys["cuda:2"], "what rounds alike is one device"
