"""Tables that others published in formats of their own.

Facts about the formats: NATS-Bench is read through the `nats_bench` package. DisWOT tables are
text, one line ``111 61.8700`` for each cifar-resnet, its three depths as digits. Auto-Prox ViT
tables are ``.pth`` files with a list of dictionaries, ``arch`` and one accuracy for each data set
and kind of training; they are read as plain data, and a file that holds anything else is refused
before any of it runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import read_file
from autodas_dsl.language.foreign import foreign
from autodas_dsl.language.spans import Source
from autodas_dsl.tables.read import MAX_BYTES, read_table
from autodas_dsl.tables.table import Floats, Table, assemble, table_text

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do."""

_NATS_COLUMNS = {
    "cifar10_valid": ("cifar10-valid", "valid-accuracy"),
    "cifar10_test": ("cifar10", "test-accuracy"),
    "cifar100_valid": ("cifar100", "valid-accuracy"),
    "cifar100_test": ("cifar100", "test-accuracy"),
    "imagenet16_120_valid": ("ImageNet16-120", "valid-accuracy"),
    "imagenet16_120_test": ("ImageNet16-120", "test-accuracy"),
}

_AUTOPROX_DATA = {"c100": "cifar100", "flower": "flowers", "imagenet": "imagenet"}
_AUTOPROX_KINDS = {"base": "vanilla", "kd": "kd", "super": "inherited"}


def import_nats(
    path: Path, *, trust: bool = False, epochs: int = 200, progress: Progress | None = None
) -> Table:
    """The topology space of NATS-Bench (NAS-Bench-201), validation and test accuracies.

    Parameters
    ----------
    path : Path
        The folder ``NATS-tss-v1_0-3ffb9-simple`` or the file ``….pickle.pbz2``. The package
        unpickles it, and a pickle can run anything: only give it a file from the authors.
    trust : bool
        That the file is such a one; without it nothing is read.
    epochs : int
        Length of training, 12 or 200; accuracies are means over the trials that were run.
    progress : callable, optional
        Told after each architecture.

    Raises
    ------
    InputError
        E537 the file is not trusted; or the package is missing, or it cannot read the file.
    """
    if not trust:
        raise InputError(
            "E537",
            f"reading {path} unpickles it, and a pickle can run any code",
            "if the file comes from the authors of NATS-Bench, add --trust",
        )
    try:
        import nats_bench
    except ImportError as error:
        raise InputError(
            "E535",
            "reading NATS-Bench files needs the package nats_bench",
            "install it: pip install nats_bench",
        ) from error

    def describe(error: BaseException) -> InputError:
        return InputError(
            "E521",
            f"nats_bench cannot read {path}: {error}",
            "give the folder NATS-tss-v1_0-3ffb9-simple or the .pickle.pbz2 file",
        )

    with foreign(describe):
        api = nats_bench.create(str(path), "tss", fast_mode=path.is_dir(), verbose=False)
    architectures = [str(api.arch(index)) for index in range(len(api))]
    columns = {name: np.full(len(architectures), np.nan) for name in _NATS_COLUMNS}
    for row in range(len(architectures)):
        for name, (data, key) in _NATS_COLUMNS.items():
            found = api.get_more_info(row, data, hp=str(epochs), is_random=False)
            columns[name][row] = found.get(key, np.nan)
        if progress is not None:
            progress(row + 1, len(architectures))
    kept = {name: values for name, values in columns.items() if not np.isnan(values).all()}
    return checked_table(
        "nasbench201",
        "nasbench201",
        architectures,
        kept,
        {"source": f"NATS-Bench topology space, {epochs} epochs, mean over trials"},
    )


def import_diswot(kd: Path | None = None, vanilla: Path | None = None) -> Table:
    """The cifar-resnet tables of DisWOT, distilled and trained alone.

    Parameters
    ----------
    kd, vanilla : Path, optional
        The text files; at least one. With both they must list the same networks.

    Raises
    ------
    InputError
        No file is given, a line is not ``DIGITS NUMBER``, or the files list other networks.
    """
    files = {name: path for name, path in (("vanilla", vanilla), ("kd", kd)) if path is not None}
    if not files:
        raise InputError("E522", "no DisWOT file is given", "give the file of --kd or --vanilla")
    read = {name: _diswot_lines(path) for name, path in files.items()}
    architectures = list(next(iter(read.values())))
    for name, values in read.items():
        if set(values) != set(architectures):
            odd = sorted(set(values) ^ set(architectures))[0]
            raise InputError(
                "E523",
                f"the two files list different networks: {odd} is in one of them only",
                f"check {files[name]}",
            )
    columns = {name: np.array([rows[a] for a in architectures]) for name, rows in read.items()}
    names = ", ".join(path.name for path in files.values())
    return checked_table(
        "diswot", "cifar-resnet", architectures, columns, {"source": f"DisWOT {names}"}
    )


def _diswot_lines(path: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        match = re.fullmatch(r"\s*([1-9]{2,})\s+(\d+(?:\.\d+)?)\s*", line)
        if match is None:
            raise InputError(
                "E524",
                f'{path}:{number}: "{line.strip()[:40]}" is not a line of a DisWOT table',
                'a line is like "137 73.3100": depths as digits, accuracy',
            )
        architecture = "-".join(match[1])
        if architecture in found:
            raise InputError(
                "E525", f"{path}:{number}: {architecture} is given twice", "delete one of the lines"
            )
        found[architecture] = float(match[2])
    return found


def import_autoprox(path: Path) -> Table:
    """A ViT table of Auto-Prox, PiT or AutoFormer.

    Accuracies ``c100_kd_acc``, ``flower_base_acc``, … become ``cifar100_kd``,
    ``flowers_vanilla``, …; what is None or NaN there is missing here.

    Raises
    ------
    InputError
        The file is not a ``.pth`` of plain data (nothing of it is executed), or not such a list.
    """
    rows = _plain_records(path)
    space = "pit" if "base_dim" in rows[0]["arch"] else "autoformer"
    fields = list(rows[0]["arch"])
    keys = dict.fromkeys(key for row in rows for key in row if str(key).endswith("_acc"))
    columns: dict[str, Floats] = {}
    for key in keys:
        columns[_autoprox_name(str(key))] = np.array(
            [_accuracy(path, number, row.get(key)) for number, row in enumerate(rows)]
        )
    architectures = []
    for number, row in enumerate(rows):
        if list(row["arch"]) != fields:
            raise _not_autoprox(path, f"entry {number} has other parts than the first")
        parts = {name: _field(path, number, value) for name, value in row["arch"].items()}
        architectures.append(",".join(f"{name}={text}" for name, text in parts.items()))
    return checked_table(
        path.stem, space, architectures, columns, {"source": f"Auto-Prox {path.name}"}
    )


def plain_data(path: Path) -> Any:
    """What a ``.pth`` holds, when that is plain data; nothing in it is run.

    Raises
    ------
    InputError
        There is no such file (E526), or it holds more (E527).
    """
    from autodas_dsl.models.weights import load_plain  # loads torch

    def describe(error: BaseException) -> InputError:
        return InputError(
            "E527",
            f"{path} is refused: it holds more than plain data, or is damaged",
            "only lists, dictionaries, texts, numbers and tensors are read; nothing was executed",
        )

    if not path.is_file():
        raise InputError("E526", f"there is no file {path}", "give a .pth file")
    return load_plain(path, describe)


def _plain_records(path: Path) -> list[dict[str, Any]]:
    loaded = plain_data(path)
    if not isinstance(loaded, list) or not loaded:
        raise _not_autoprox(path, "it holds no list")
    for number, row in enumerate(loaded):
        if not isinstance(row, Mapping) or not isinstance(row.get("arch"), Mapping):
            raise _not_autoprox(path, f"entry {number} has no arch")
    return loaded


def _autoprox_name(key: str) -> str:
    """``c100_kd_acc`` -> ``cifar100_kd``."""
    data, _, kind = key.removesuffix("_acc").rpartition("_")
    return f"{_AUTOPROX_DATA.get(data, data)}_{_AUTOPROX_KINDS.get(kind, kind)}".lstrip("_")


def _accuracy(path: Path, number: int, value: object) -> float:
    if value is None:
        return float("nan")
    found = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise _not_autoprox(path, f"entry {number} has an accuracy that is not a number")
    return float(found)


def _field(path: Path, number: int, value: object) -> str:
    values: Sequence[object] = value if isinstance(value, list | tuple) else (value,)
    if not values or not all(isinstance(v, int | float) for v in values):
        raise _not_autoprox(path, f"entry {number} has a part that is no number or list of them")
    return "-".join(f"{v:g}" for v in values if isinstance(v, int | float))


def _not_autoprox(path: Path, why: str) -> InputError:
    return InputError(
        "E528",
        f"{path} is not an Auto-Prox table: {why}",
        "it should hold a list of dictionaries with arch and accuracies such as c100_kd_acc",
    )


def _text(path: Path) -> str:
    try:
        return read_file(path, MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError("E526", f"cannot read {path}: {why}", "give a text file") from error


def checked_table(
    name: str,
    space: str,
    architectures: Sequence[str],
    columns: Mapping[str, Floats],
    provenance: Mapping[str, str],
) -> Table:
    """The table, through the checks every CSV passes: its space, repeats, numbers."""
    table = assemble(name, space, architectures, columns, provenance)
    return read_table(Source(name, table_text(table)), name=name)
