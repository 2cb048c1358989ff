"""Tables of NAS-Bench-101, NAS-Bench-301 and TransNAS-Bench-101, in the formats of their authors.

Facts about the formats: NAS-Bench-101 is one TFRecord file, and often passed on as JSON or CSV
with the same names (``module_adjacency`` and ``module_operations``, or ``matrix`` and ``ops``).
NAS-Bench-301 is a folder of one JSON file for each training, ``results_0.json``, …, whose
configuration names an operation for each edge. TransNAS-Bench-101 is a ``.pth`` of plain data.
A file that would run code when it is read, a pickle, is refused.
"""

from __future__ import annotations

import csv
import json
import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autodas_dsl.language.errors import InputError
from autodas_dsl.tables.importers import checked_table, plain_data
from autodas_dsl.tables.table import Floats, Table
from autodas_dsl.tables.tfrecord import nasbench_records

Record = Mapping[str, Any]
Values = dict[str, float]

_NASBENCH101 = {
    "validation_accuracy": "cifar10_valid",
    "test_accuracy": "cifar10_test",
    "train_accuracy": "cifar10_train",
}

_DARTS = "NetworkSelectorDatasetInfo:darts:"
_FULL = {f"{_DARTS}layers": 8, f"{_DARTS}init_channels": 32}
"""The network of the benchmark; other trainings in the folder are of smaller or larger ones."""

_NODES = 4

_METRICS = ("top1", "ssim", "neg_loss", "mIoU", "acc")
"""What the tasks of TransNAS-Bench-101 are measured by; the first that a task has is taken."""


def import_nasbench101(path: Path, *, epochs: int = 108) -> Table:
    """NAS-Bench-101 from ``nasbench_only108.tfrecord``, or the same fields as JSON or CSV.

    Accuracies become per cent. Trainings of one cell are averaged, each a column of its own.

    Parameters
    ----------
    path : Path
        The TFRecord, a JSON list of objects (or an object of them, or one a line), or a CSV.
    epochs : int
        Length of training, where the records tell.

    Raises
    ------
    InputError
        The file cannot be read (E526, E539) or holds something else (E538).
    """
    runs = []
    for number, record in enumerate(_records(path, nasbench_records)):
        where = _Where(path, "NAS-Bench-101", number)
        if int(where.number(record.get("epochs", epochs))) != epochs:
            continue
        matrix = where.first(record, "module_adjacency", "matrix")
        operations = where.first(record, "module_operations", "ops")
        text = f"matrix={_matrix(matrix, where)},ops={_operations(operations, where)}"
        each = {
            column: _accuracies(record[key], where)
            for key, column in _NASBENCH101.items()
            if record.get(key) not in (None, "")
        }
        longest = max(map(len, each.values()), default=0)
        for place in range(longest):
            runs.append((text, {k: v[place] for k, v in each.items() if place < len(v)}))
    if not runs:
        raise _other(path, "NAS-Bench-101", f"no training of {epochs} epochs with an accuracy")
    source = f"NAS-Bench-101 {path.name}, {epochs} epochs"
    return _averaged("nasbench101", "nasbench101", runs, source)


def import_nasbench301(path: Path, *, epochs: int = 100) -> Table:
    """NAS-Bench-301 from the folder of its trainings, or genotypes with accuracies as JSON.

    Only trainings of the benchmark's network, eight cells from 32 channels, are read.

    Parameters
    ----------
    path : Path
        A folder with ``results_*.json`` at any depth, one such file, or a JSON list of objects
        with a genotype (``normal`` and ``reduce``, lists of operation and input) and accuracies
        ``val_accuracy`` and ``test_accuracy``.
    epochs : int
        Length of training, where a record tells it as its ``budget``.

    Raises
    ------
    InputError
        As `import_nasbench101`.
    """
    files = sorted(path.rglob("results_*.json")) if path.is_dir() else [path]
    runs = []
    for file in files:
        for number, record in enumerate(_records(file)):
            where = _Where(file, "NAS-Bench-301", number)
            settings = where.part(record, "optimized_hyperparamater_config", Mapping, {})
            if any(settings.get(key, value) != value for key, value in _FULL.items()):
                continue
            if where.number(record.get("budget", epochs)) != epochs:
                continue
            last = where.part(record, "info", list, [record])[-1]
            values = {
                "cifar10_valid": last.get("val_accuracy") if isinstance(last, Mapping) else None,
                "cifar10_test": record.get("test_accuracy"),
            }
            known = {k: where.number(v) for k, v in values.items() if v is not None}
            runs.append((_genotype(record, settings, where), known))
    if not runs:
        raise _other(path, "NAS-Bench-301", f"no training of its network over {epochs} epochs")
    return _averaged("nasbench301", "nasbench301", runs, f"NAS-Bench-301 {path.name}")


def import_transnas(path: Path) -> Table:
    """The macro level of TransNAS-Bench-101 from ``transnas-bench_v10141024.pth``, JSON or CSV.

    For each task the last epoch's validation measure is the column ``class_scene``, …, the test
    measure ``class_scene_test``, …; losses are negative there.

    Parameters
    ----------
    path : Path
        The ``.pth``, the same structure as JSON, or a CSV with ``arch`` (``64-1234-basic`` or
        ``1-2-3-4``) and a column for each task.

    Raises
    ------
    InputError
        As `import_nasbench101`, or the ``.pth`` holds more than plain data (E527).
    """
    runs = []
    if path.suffix == ".csv":
        for number, record in enumerate(_records(path)):
            where = _Where(path, "TransNAS-Bench-101", number)
            text = where.first(record, "arch")
            tasks = {str(k): v for k, v in record.items() if k != "arch" and v}
            runs.append((_modules(text), {k: where.number(v) for k, v in tasks.items()}))
    else:
        stored = plain_data(path) if path.suffix == ".pth" else _json(path)
        for number, (arch, tasks) in enumerate(_macro(path, stored).items()):
            where = _Where(path, "TransNAS-Bench-101", number)
            runs.append((_modules(str(arch)), _measures(tasks, where)))
    if not runs:
        raise _other(path, "TransNAS-Bench-101", "it holds no architecture")
    source = f"TransNAS-Bench-101 {path.name}, last epoch"
    return _averaged("transnas_macro", "transnas-macro", runs, source)


class _Where:
    """One record of a file: what reads its parts and says what is wrong with them."""

    def __init__(self, path: Path, benchmark: str, number: int) -> None:
        self.path, self.benchmark, self.place = path, benchmark, number

    def wrong(self, why: str) -> InputError:
        return _other(self.path, self.benchmark, f"entry {self.place} {why}")

    def first(self, record: Record, *names: str) -> Any:
        for name in names:
            if record.get(name) is not None:
                return record[name]
        raise self.wrong(f"has no {' or '.join(names)}")

    def part(self, record: Record, name: str, kind: type, default: Any) -> Any:
        found = record.get(name, default)
        if not isinstance(found, kind) or (found == [] and kind is list):
            raise self.wrong(f"has an unusual {name}")
        return found

    def number(self, value: object) -> float:
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError as error:
                raise self.wrong(f'has "{value}" for a number') from error
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isinf(value):
            raise self.wrong("has something else for a number")
        return float(value)


def _other(path: Path, benchmark: str, why: str) -> InputError:
    return InputError(
        "E538",
        f"{path} is not a table of {benchmark}: {why}",
        "autodas-dsl table import --help lists the formats that are read",
    )


# --- reading files ------------------------------------------------------------------------------


def _records(
    path: Path, tfrecord: Callable[[Path], Iterator[Record]] | None = None
) -> Iterable[Record]:
    """The records of a CSV, a JSON or, where the benchmark has it, a TFRecord file."""
    if not path.is_file():
        raise InputError("E526", f"there is no file {path}", "give a file of the benchmark")
    if path.suffix == ".tfrecord" and tfrecord is not None:
        return _whole(path, tfrecord)
    if path.suffix == ".csv":
        return list(csv.DictReader(_text(path).splitlines()))
    found = _json(path)
    entries = list(found.values()) if _is_group(found) else found
    if isinstance(entries, Mapping):
        entries = [entries]
    if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
        raise _unread(path, "it is no list of objects")
    return entries


def _is_group(found: object) -> bool:
    """Whether a JSON object holds records by name, instead of being one."""
    return isinstance(found, Mapping) and all(isinstance(v, Mapping) for v in found.values())


def _whole(path: Path, tfrecord: Callable[[Path], Iterator[Record]]) -> list[Record]:
    try:
        return list(tfrecord(path))
    except (ValueError, TypeError, IndexError, struct.error) as error:
        raise _unread(path, f"no TFRecord of the benchmark, or damaged ({error})") from error


def _json(path: Path) -> Any:
    """A JSON text, or the values of one a line."""
    text = _text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise _unread(path, f"no JSON (line {error.lineno}: {error.msg})") from error
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise _unread(path, f"neither JSON nor an object a line ({error.msg})") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _unread(path, "it is no text") from error


def _unread(path: Path, why: str) -> InputError:
    return InputError(
        "E539",
        f"cannot read {path}: {why}",
        "give JSON or CSV, NAS-Bench-101 also as .tfrecord, TransNAS-Bench-101 as .pth; a pickle "
        "can run code and is not read: write its fields as JSON first",
    )


# --- what the records say -----------------------------------------------------------------------


def _matrix(value: object, where: _Where) -> str:
    """The rows of an adjacency matrix, from nested lists or digits, joined by hyphens."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        digits = value.replace("-", "")
    else:
        try:
            rows = json.loads(value) if isinstance(value, str) else value
        except json.JSONDecodeError as error:
            raise where.wrong(f'has "{value}" for a matrix') from error
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise where.wrong("has a matrix that is no list of rows")
        digits = "".join(str(int(one)) if one in (0, 1) else "?" for row in rows for one in row)
    size = math.isqrt(len(digits))
    if size**2 != len(digits) or not set(digits) <= {"0", "1"} or not digits:
        raise where.wrong("has a matrix that is not square, or holds more than 0 and 1")
    return "-".join(digits[i * size : (i + 1) * size] for i in range(size))


def _operations(value: object, where: _Where) -> str:
    """The labels of the vertices, from a list or text, joined by hyphens."""
    if isinstance(value, str):
        plain = re.sub(r"[\[\]'\" ]|-bn-relu", "", value)
        value = re.split("[,-]", plain)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise where.wrong("has operations that are no list of names")
    return "-".join(name.removesuffix("-bn-relu") for name in value)


def _accuracies(value: object, where: _Where) -> list[float]:
    """One share, or one of each training, as per cent."""
    if isinstance(value, str) and value.startswith("["):
        value = value.strip("[]").split(",")
    values = value if isinstance(value, list) else [value]
    shares = [where.number(one) for one in values]
    if not all(0 <= share <= 1 for share in shares):
        raise where.wrong("has an accuracy that is not between 0 and 1")
    return [100 * share for share in shares]


def _genotype(record: Record, settings: Record, where: _Where) -> str:
    held = next((record[k] for k in ("genotype", "arch") if isinstance(record.get(k), Mapping)),
                record)  # fmt: skip
    return ",".join(
        f"{part}={_pairs(held[part], where) if part in held else _edges(settings, part, where)}"
        for part in ("normal", "reduce")
    )


def _pairs(cell: object, where: _Where) -> str:
    if isinstance(cell, str):
        return cell
    pairs = cell if isinstance(cell, list) else []
    if not pairs or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise where.wrong("has a cell that is no list of operation and input")
    return "+".join(f"{name}~{source}" for name, source in pairs)


def _edges(settings: Record, part: str, where: _Where) -> str:
    """The pairs of a cell from its numbered edges: 0 and 1 lead to the first node, 2 to 4 to the
    second, and so on."""
    pairs, first = [], 0
    for node in range(_NODES):
        names = [settings.get(f"{_DARTS}edge_{part}_{first + i}") for i in range(node + 2)]
        chosen = [f"{name}~{i}" for i, name in enumerate(names) if name is not None]
        if len(chosen) != 2:
            raise where.wrong(f"names {len(chosen)} edges of node {node + 1} in {part}, not two")
        pairs += chosen
        first += node + 2
    return "+".join(pairs)


def _macro(path: Path, stored: object) -> Mapping[str, Any]:
    data = stored.get("data") if isinstance(stored, Mapping) else None
    macro = data.get("macro") if isinstance(data, Mapping) else None
    if not isinstance(macro, Mapping):
        raise _other(path, "TransNAS-Bench-101", "it has no data of the macro level")
    return macro


def _modules(text: str) -> str:
    """``64-1234-basic`` -> ``1-2-3-4``."""
    parts = text.split("-")
    return "-".join(parts[1]) if len(parts) == 3 and parts[2] == "basic" else text


def _measures(tasks: object, where: _Where) -> Values:
    found: Values = {}
    for task, result in tasks.items() if isinstance(tasks, Mapping) else ():
        metrics = result.get("metrics") if isinstance(result, Mapping) else None
        if not isinstance(metrics, Mapping):
            raise where.wrong(f"has no metrics of {task}")
        for part, name in (("valid", f"{task}"), ("test", f"{task}_test")):
            measured = [metrics[f"{part}_{m}"] for m in _METRICS if metrics.get(f"{part}_{m}")]
            if measured:
                epochs = measured[0] if isinstance(measured[0], list) else measured[:1]
                found[name] = where.number(epochs[-1])
    return found


# --- from trainings to a table ------------------------------------------------------------------


def _averaged(name: str, space: str, runs: Sequence[tuple[str, Values]], source: str) -> Table:
    """Means over the trainings of each architecture, and each training where there are several."""
    grouped: dict[str, list[Values]] = {}
    for text, values in runs:
        grouped.setdefault(text, []).append(values)
    numbers: dict[str, Floats] = {}
    for column in dict.fromkeys(key for _, values in runs for key in values):
        each = [[v[column] for v in of_one if column in v] for of_one in grouped.values()]
        numbers[column] = np.array([np.mean(v) if v else np.nan for v in each])
        longest = max(map(len, each))
        for place in range(longest if longest > 1 else 0):
            numbers[f"{column}_{place}"] = np.array(
                [v[place] if place < len(v) else np.nan for v in each]
            )
    return checked_table(name, space, list(grouped), numbers, {"source": source})
