"""Published tables in other formats."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from autodas_dsl.cli.entry import cli
from autodas_dsl.language.errors import InputError
from autodas_dsl.tables import load_table
from autodas_dsl.tables.importers import import_autoprox, import_diswot, import_nats

CELL = "|{}~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# --- DisWOT --------------------------------------------------------------------------------------


def test_diswot_pair_of_files(tmp_path: Path) -> None:
    kd = write(tmp_path / "kd.txt", "111 61.8700\n113 69.0100\n\n757 74.2300\n")
    vanilla = write(tmp_path / "cls.txt", "113 67.26\n757 70\n111 60.20\n")
    table = import_diswot(kd=kd, vanilla=vanilla)
    assert table.space == "cifar-resnet"
    rows = dict(zip(table.architectures, table.columns["kd"], strict=True))
    assert rows == {"1-1-1": 61.87, "1-1-3": 69.01, "7-5-7": 74.23}
    alone = dict(zip(table.architectures, table.columns["vanilla"], strict=True))
    assert alone == {"1-1-1": 60.2, "1-1-3": 67.26, "7-5-7": 70.0}
    assert table.target() == "kd"


def test_diswot_equals_the_shared_table(shared: Path, tmp_path: Path) -> None:
    known = load_table(shared / "ground_truth" / "cifar_resnet_s0.csv")
    lines = (
        f"{arch.replace('-', '')} {value:.4f}\n"
        for arch, value in zip(known.architectures, known.columns["cifar100_kd"], strict=True)
    )
    table = import_diswot(kd=write(tmp_path / "kd.txt", "".join(lines)))
    assert table.architectures == known.architectures
    np.testing.assert_array_equal(table.columns["kd"], known.columns["cifar100_kd"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("111 61.87 7\n", "E524"),
        ("1-1-1 61.87\n", "E524"),
        ("hello\n", "E524"),
        ("111 61\n111 62\n", "E525"),
        ("111 61\n1111 62\n", "E7"),
        ("", "E503"),
    ],
)
def test_diswot_refused(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(InputError, match=code):
        import_diswot(kd=write(tmp_path / "kd.txt", text))


def test_diswot_files_must_agree_and_exist(tmp_path: Path) -> None:
    kd, vanilla = write(tmp_path / "a.txt", "111 61\n"), write(tmp_path / "b.txt", "113 61\n")
    with pytest.raises(InputError, match="E523"):
        import_diswot(kd=kd, vanilla=vanilla)
    with pytest.raises(InputError, match="E522"):
        import_diswot()
    with pytest.raises(InputError, match="E526"):
        import_diswot(kd=tmp_path / "none.txt")


# --- Auto-Prox -----------------------------------------------------------------------------------

PIT = {"base_dim": 16, "mlp_ratio": 6, "depth": [2, 8, 4], "num_heads": [2, 4, 4]}


def save(path: Path, value: object) -> Path:
    torch.save(value, path)
    return path


def test_autoprox_pit(tmp_path: Path) -> None:
    rows = [
        {"arch": PIT, "c100_base_acc": 68.33, "c100_kd_acc": 72.5, "flower_kd_acc": None},
        {
            "arch": {**PIT, "base_dim": 32},
            "c100_base_acc": torch.tensor(70.0),
            "c100_kd_acc": float("nan"),
            "flower_kd_acc": 60,
            "note": "left out",
        },
    ]
    table = import_autoprox(save(tmp_path / "gt_pit.pth", rows))
    assert table.space == "pit"
    assert table.architectures[0] == "base_dim=16,mlp_ratio=6,depth=2-8-4,num_heads=2-4-4"
    assert table.targets == ("cifar100_vanilla", "cifar100_kd", "flowers_kd")
    np.testing.assert_array_equal(table.columns["cifar100_vanilla"], [68.33, 70.0])
    np.testing.assert_array_equal(table.columns["cifar100_kd"], [72.5, np.nan])
    np.testing.assert_array_equal(table.columns["flowers_kd"], [np.nan, 60])


def test_autoprox_autoformer(tmp_path: Path) -> None:
    arch = {
        "hidden_dim": 192,
        "depth": 12,
        "mlp_ratio": [3.5, 4.0] * 6,
        "num_heads": [3, 4] * 6,
    }
    table = import_autoprox(save(tmp_path / "gt.pth", [{"arch": arch, "imagenet_super_acc": 75}]))
    assert table.space == "autoformer"
    assert table.targets == ("imagenet_inherited",)


class Payload:
    """Unpickling this would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("legacy", [False, True])
def test_autoprox_executes_nothing(tmp_path: Path, legacy: bool) -> None:
    touched = tmp_path / "touched"
    path = tmp_path / "evil.pth"
    value = [{"arch": PIT, "c100_kd_acc": Payload(touched)}]
    if legacy:
        path.write_bytes(pickle.dumps(value, protocol=2))
    else:
        torch.save(value, path)
    with pytest.raises(InputError, match=r"E527.*refused"):
        import_autoprox(path)
    assert not touched.exists()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({}, "no list"),
        ([], "no list"),
        ([1], "entry 0 has no arch"),
        ([{"arch": 3}], "entry 0 has no arch"),
        ([{"arch": PIT, "c100_kd_acc": "high"}], "not a number"),
        ([{"arch": {**PIT, "depth": "x"}, "c100_kd_acc": 1}], "no number"),
        ([{"arch": PIT, "c100_kd_acc": 1}, {"arch": {"depth": 1}, "c100_kd_acc": 1}], "entry 1"),
    ],
)
def test_autoprox_refused(tmp_path: Path, value: object, says: str) -> None:
    with pytest.raises(InputError, match="E528") as caught:
        import_autoprox(save(tmp_path / "gt.pth", value))
    assert says in str(caught.value)


def test_autoprox_not_a_pth(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E527"):
        import_autoprox(write(tmp_path / "gt.pth", "hello"))
    with pytest.raises(InputError, match="E527"):
        import_autoprox(write(tmp_path / "empty.pth", ""))
    with pytest.raises(InputError, match="E526"):
        import_autoprox(tmp_path / "none.pth")


def test_autoprox_same_network_twice(tmp_path: Path) -> None:
    rows = [{"arch": PIT, "c100_kd_acc": 1}, {"arch": PIT, "c100_kd_acc": 2}]
    with pytest.raises(InputError, match="E510"):
        import_autoprox(save(tmp_path / "gt.pth", rows))


# --- NATS-Bench ----------------------------------------------------------------------------------


class Api:
    """Stands for nats_bench's topology object: five cells, no CIFAR-10 test accuracy."""

    ops = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

    def __len__(self) -> int:
        return 5

    def arch(self, index: int) -> str:
        return CELL.format(self.ops[index])

    def get_more_info(
        self, index: int, dataset: str, iepoch: None = None, hp: str = "12", is_random: bool = True
    ) -> dict[str, float]:
        assert hp == "200"
        assert not is_random
        if dataset == "cifar10":
            return {}
        return {"valid-accuracy": 10.0 * index + len(dataset), "test-accuracy": 9.0 * index}


def test_nats_through_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def create(path: str, space: str, fast_mode: bool, verbose: bool) -> Api:
        opened.append((path, space, fast_mode))
        return Api()

    monkeypatch.setitem(sys.modules, "nats_bench", SimpleNamespace(create=create))
    told: list[tuple[int, int]] = []
    table = import_nats(
        tmp_path, trust=True, progress=lambda done, total: told.append((done, total))
    )
    assert opened == [(str(tmp_path), "tss", True)]
    assert table.space == "nasbench201"
    assert "cifar10_test" not in table.columns
    np.testing.assert_array_equal(table.columns["cifar10_valid"], 10.0 * np.arange(5) + 13)
    np.testing.assert_array_equal(table.columns["imagenet16_120_test"], 9.0 * np.arange(5))
    assert told == [(i + 1, 5) for i in range(5)]


def test_nats_without_the_package_or_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nats_bench", None)
    with pytest.raises(InputError, match=r"E535.*nats_bench"):
        import_nats(tmp_path, trust=True)

    def create(path: str, space: str, fast_mode: bool, verbose: bool) -> Api:
        raise ValueError("neither a file or a dir")

    monkeypatch.setitem(sys.modules, "nats_bench", SimpleNamespace(create=create))
    with pytest.raises(InputError, match="E521"):
        import_nats(tmp_path / "none", trust=True)


def test_nats_is_not_unpickled_without_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(*args: object, **kwargs: object) -> Api:
        raise AssertionError("the file was read")

    monkeypatch.setitem(sys.modules, "nats_bench", SimpleNamespace(create=create))
    with pytest.raises(InputError, match=r"E537(?s:.)*--trust"):
        import_nats(tmp_path)
    words = ["table", "import", "nats", str(tmp_path), "--out", str(tmp_path / "n.csv")]
    refused = CliRunner().invoke(cli, words)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "--trust" in refused.stderr
    monkeypatch.setattr(sys.modules["nats_bench"], "create", lambda *a, **k: Api())
    assert CliRunner().invoke(cli, [*words, "--trust"]).exit_code == 0
