"""Tables of the NAS benchmarks whose spaces are built in."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from autodas_dsl.language.errors import InputError
from autodas_dsl.spaces import get
from autodas_dsl.tables import load_table
from autodas_dsl.tables.benchmarks import (
    import_nasbench101,
    import_nasbench301,
    import_transnas,
)
from autodas_dsl.tables.table import write_table

MATRIX = "0110001000010000"
OPERATIONS = "input,conv3x3-bn-relu,maxpool3x3,output"
CELL = "matrix=0110-0010-0001-0000,ops=input-conv3x3-maxpool3x3-output"


def save(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


# --- NAS-Bench-101 -------------------------------------------------------------------------------


def field(number: int, kind: int, value: bytes) -> bytes:
    return bytes([number << 3 | kind]) + value


def evaluation(*accuracies: float) -> bytes:
    places = enumerate((108.0, 1.5, *accuracies), start=1)
    message = b"".join(field(place, 1, struct.pack("<d", value)) for place, value in places)
    message += field(6, 2, b"\x02ab")
    return field(1, 2, bytes([len(message)]) + message)


def tfrecord(path: Path, *rows: tuple[str, int, str, str, bytes]) -> Path:
    framed = b""
    for *told, metrics in rows:
        data = json.dumps([*told, base64.b64encode(metrics).decode()]).encode()
        framed += struct.pack("<QI", len(data), 0) + data + bytes(4)
    path.write_bytes(framed)
    return path


def training(epochs: int, valid: float, test: float) -> tuple[str, int, str, str, bytes]:
    start, end = evaluation(0.1, 0.1, 0.1), evaluation(1, valid, test)
    return "ab", epochs, MATRIX, OPERATIONS, start + end + field(2, 0, b"\xac\x02")


def test_nasbench101_tfrecord(tmp_path: Path) -> None:
    rows = training(108, 0.93, 0.92), training(4, 0.5, 0.5), training(108, 0.95, 0.94)
    table = import_nasbench101(tfrecord(tmp_path / "only108.tfrecord", *rows))
    assert table.space == "nasbench101"
    assert table.architectures == (CELL,)
    assert table.columns["cifar10_valid"] == pytest.approx([94])
    assert table.columns["cifar10_test"] == pytest.approx([93])
    np.testing.assert_allclose(table.seeds["cifar10_valid"], [[93, 95]])
    short = import_nasbench101(tmp_path / "only108.tfrecord", epochs=4)
    assert short.columns["cifar10_valid"] == pytest.approx([50])
    write_table(table, tmp_path / "out.csv")
    assert load_table(tmp_path / "out.csv").architectures == (CELL,)


@pytest.mark.parametrize("damage", [b"", b"x", b"\x00" * 40])
def test_a_damaged_tfrecord_is_refused(tmp_path: Path, damage: bytes) -> None:
    path = tfrecord(tmp_path / "nb.tfrecord", training(108, 0.93, 0.92))
    path.write_bytes(path.read_bytes()[:-30] + damage if damage != b"x" else b"hello world, hi")
    with pytest.raises(InputError, match="E539"):
        import_nasbench101(path)


def test_nasbench101_as_json_and_csv(tmp_path: Path) -> None:
    rows = [[int(digit) for digit in MATRIX[4 * i : 4 * i + 4]] for i in range(4)]
    one = {"matrix": rows, "ops": OPERATIONS.split(","), "validation_accuracy": 0.93}
    several = {"module_adjacency": MATRIX, "module_operations": OPERATIONS,
               "validation_accuracy": [0.9, 0.96]}  # fmt: skip
    listed = import_nasbench101(save(tmp_path / "list.json", [one]))
    named = import_nasbench101(save(tmp_path / "named.json", {"5f": several}))
    lines = tmp_path / "lines.json"
    lines.write_text(f"{json.dumps(one)}\n{json.dumps(several)}\n")
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(
        "module_adjacency,module_operations,validation_accuracy,epochs\n"
        f'{MATRIX},"{OPERATIONS}",0.93,108\n"{rows}","{OPERATIONS.split(",")}",0.97,108\n'
    )
    for table, mean in [(listed, 93), (named, 93), (import_nasbench101(lines), 93),
                        (import_nasbench101(sheet), 95)]:  # fmt: skip
        assert table.architectures == (CELL,)
        assert table.columns["cifar10_valid"] == pytest.approx([mean])


@pytest.mark.parametrize(
    ("record", "code", "says"),
    [
        ({"ops": ["input"], "validation_accuracy": 1}, "E538", "no module_adjacency or matrix"),
        ({"matrix": "011", "ops": "input,output", "test_accuracy": 1}, "E538", "not square"),
        ({"matrix": [[0, 7], [0, 0]], "ops": "input,output", "test_accuracy": 1}, "E538", "square"),
        ({"matrix": "0100", "ops": 3, "test_accuracy": 1}, "E538", "no list of names"),
        ({"matrix": "0100", "ops": "input,output", "test_accuracy": 93}, "E538", "0 and 1"),
        ({"matrix": "0100", "ops": "input,output", "test_accuracy": "x"}, "E538", '"x"'),
        ({"matrix": "0000", "ops": "input,output", "test_accuracy": 1}, "E707", "does not depend"),
        ({"matrix": "0100", "ops": "input,output"}, "E538", "108 epochs"),
        ([3], "E539", "no list of objects"),
    ],
)
def test_nasbench101_refused(tmp_path: Path, record: object, code: str, says: str) -> None:
    with pytest.raises(InputError, match=code) as caught:
        import_nasbench101(save(tmp_path / "nb.json", [record]))
    assert says in str(caught.value)


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "nb.pkl"
    path.write_bytes(b"\x80\x04\x95")
    with pytest.raises(InputError, match=r"E539(.|\n)*a pickle can run code"):
        import_nasbench101(path)
    with pytest.raises(InputError, match="E526"):
        import_nasbench301(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('[{"a": 1')
    with pytest.raises(InputError, match=r"E539.*line 1"):
        import_transnas(tmp_path / "half.json")


# --- NAS-Bench-301 -------------------------------------------------------------------------------

FIRST = [("skip_connect", 0), ("sep_conv_3x3", 1)]
EDGES = {0: FIRST[0][0], 1: FIRST[1][0], 2: "sep_conv_3x3", 4: "skip_connect",
         5: "max_pool_3x3", 8: "dil_conv_3x3", 10: "avg_pool_3x3", 13: "dil_conv_5x5"}  # fmt: skip
PAIRS = ("skip_connect~0+sep_conv_3x3~1+sep_conv_3x3~0+skip_connect~2+max_pool_3x3~0+"
         "dil_conv_3x3~3+avg_pool_3x3~1+dil_conv_5x5~4")  # fmt: skip


def result(valid: float, **changed: object) -> dict[str, object]:
    prefix = "NetworkSelectorDatasetInfo:darts:"
    settings: dict[str, object] = {f"{prefix}layers": 8, f"{prefix}init_channels": 32}
    for part in ("normal", "reduce"):
        settings |= {f"{prefix}edge_{part}_{edge}": name for edge, name in EDGES.items()}
    settings |= {f"{prefix}{key}": value for key, value in changed.items()}
    return {"optimized_hyperparamater_config": settings, "budget": 100, "test_accuracy": 93.5,
            "info": [{"val_accuracy": valid, "model_parameters": 1}]}  # fmt: skip


def test_nasbench301_folder_of_trainings(tmp_path: Path) -> None:
    for number, one in enumerate(
        [result(94), result(95), result(97, layers=20), {**result(80), "budget": 50}]
    ):
        folder = tmp_path / "runs" / f"fidelity_{number}"
        folder.mkdir(parents=True)
        save(folder / f"results_{number}.json", one)
    table = import_nasbench301(tmp_path / "runs")
    assert table.space == "nasbench301"
    assert table.architectures == (f"normal={PAIRS},reduce={PAIRS}",)
    assert table.columns["cifar10_valid"] == pytest.approx([94.5])
    np.testing.assert_allclose(table.seeds["cifar10_valid"], [[94, 95]])
    assert import_nasbench301(tmp_path / "runs", epochs=50).columns["cifar10_valid"] == [80]


def test_nasbench301_genotypes(tmp_path: Path) -> None:
    cell = [pair.split("~") for pair in PAIRS.split("+")]
    pairs = [[name, int(source)] for name, source in cell]
    nested = {"genotype": {"normal": pairs, "reduce": PAIRS}, "val_accuracy": 94.25}
    table = import_nasbench301(save(tmp_path / "all.json", [nested]))
    flat = {"normal": pairs, "reduce": pairs, "val_accuracy": 94.25}
    assert table.columns["cifar10_valid"] == [94.25]
    assert import_nasbench301(save(tmp_path / "one.json", flat)).architectures == (
        table.architectures
    )


@pytest.mark.parametrize(
    ("value", "code", "says"),
    [
        ({"val_accuracy": 94}, "E538", "names 0 edges of node 1 in normal"),
        (result(94, edge_normal_3="skip_connect"), "E538", "names 3 edges of node 2"),
        (result(94, layers=20), "E538", "no training of its network"),
        ({**result(94), "info": []}, "E538", "unusual info"),
        (result(94, edge_reduce_0="conv"), "E706", '"conv"'),
        ({"normal": [["skip_connect"]], "reduce": [], "val_accuracy": 1}, "E538", "no list"),
        ({"normal": "skip_connect~0", "reduce": PAIRS, "val_accuracy": 1}, "E705", "8 pairs"),
    ],
)
def test_nasbench301_refused(tmp_path: Path, value: object, code: str, says: str) -> None:
    with pytest.raises(InputError, match=code) as caught:
        import_nasbench301(save(tmp_path / "results_0.json", value))
    assert says in str(caught.value)


# --- TransNAS-Bench-101 --------------------------------------------------------------------------


def stored(arch: str = "64-1423-basic") -> dict[str, object]:
    scene = {"valid_top1": [10.0, 50.5], "test_top1": [11.0, 49.5], "valid_loss": [1.0, 2.0]}
    layout = {"valid_neg_loss": [-0.9, -0.7], "time_elapsed": [1, 2]}
    tasks = {"class_scene": {"metrics": scene}, "room_layout": {"metrics": layout}}
    return {"data": {"macro": {arch: tasks}, "micro": {"64-41414-1_02_333": {}}}}


def test_transnas_structure(tmp_path: Path) -> None:
    torch.save(stored(), tmp_path / "transnas-bench.pth")
    for path in (tmp_path / "transnas-bench.pth", save(tmp_path / "t.json", stored())):
        table = import_transnas(path)
        assert table.space == "transnas-macro"
        assert table.architectures == ("1-4-2-3",)
        found = {key: float(values[0]) for key, values in table.columns.items()}
        assert found == {"class_scene": 50.5, "class_scene_test": 49.5, "room_layout": -0.7}


def test_transnas_sheet(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("arch,class_scene,jigsaw\n64-1423-basic,50.5,\n1-4-2-4,51,95\n")
    table = import_transnas(path)
    assert table.architectures == ("1-4-2-3", "1-4-2-4")
    np.testing.assert_array_equal(table.columns["jigsaw"], [np.nan, 95])


@pytest.mark.parametrize(
    ("value", "code", "says"),
    [
        ([], "E538", "no data of the macro level"),
        ({"data": {"micro": {}}}, "E538", "no data of the macro level"),
        ({"data": {"macro": {}}}, "E538", "no architecture"),
        ({"data": {"macro": {"64-1423-basic": {"jigsaw": 3}}}}, "E538", "no metrics of jigsaw"),
        (stored("64-1111-basic"), "E707", "double the channels"),
        (stored("64-1425-basic"), "E702", "4 both"),
    ],
)
def test_transnas_refused(tmp_path: Path, value: object, code: str, says: str) -> None:
    with pytest.raises(InputError, match=code) as caught:
        import_transnas(save(tmp_path / "t.json", value))
    assert says in str(caught.value)


def test_the_shared_tables_are_read(shared: Path) -> None:
    for name, rows in (("nasbench101", 300), ("nasbench301", 300), ("transnas_macro", 600)):
        table = load_table(shared / "ground_truth" / f"{name}.csv")
        assert (len(table), get(table.space or "").name) == (rows, name.replace("_", "-"))
