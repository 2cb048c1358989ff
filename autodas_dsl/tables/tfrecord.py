"""NAS-Bench-101's own file, read without TensorFlow.

Facts about the format: a TFRecord is, for each record, eight bytes of length (little-endian), four
of a checksum, the record, four of a checksum. A record of the benchmark is JSON, ``[hash, epochs,
adjacency digits, operations joined by commas, metrics]``, and the metrics are a protocol buffer in
base64: field 1, repeated, an evaluation (field 1 its epoch; 3, 4, 5 the accuracies in training,
validation and test; doubles), field 2 the number of parameters. The evaluations are those at the
start, in the middle and at the end of the training. Checksums are not compared.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path

_ACCURACIES = {3: "train_accuracy", 4: "validation_accuracy", 5: "test_accuracy"}
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5

Record = dict[str, object]


def nasbench_records(path: Path) -> Iterator[Record]:
    """The trainings in a file, with the names that the benchmark's own reader gives them.

    Raises
    ------
    ValueError, struct.error, IndexError, TypeError
        The file is not such a file, or cut off.
    """
    for raw in _framed(path):
        _, epochs, adjacency, operations, metrics = json.loads(raw)
        found: Record = {
            "epochs": epochs, "module_adjacency": adjacency, "module_operations": operations,
        }  # fmt: skip
        message = base64.b64decode(metrics, validate=True)
        evaluations = []
        for field, value in _fields(message):
            if field == 1 and isinstance(value, bytes):
                evaluations.append(dict(_fields(value)))
            elif field == 2:
                found["trainable_parameters"] = value
        yield found | {name: evaluations[-1].get(key, 0.0) for key, name in _ACCURACIES.items()}


def _framed(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while head := stream.read(12):
            (length,) = struct.unpack("<Q", head[:8])
            if length > path.stat().st_size:
                raise ValueError("a record is longer than the file")
            record = stream.read(length + 4)
            if len(record) < length + 4:
                raise ValueError("the last record is cut off")
            yield record[:length]


def _fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Number and value of each field of a protocol buffer."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            number, place = _varint(message, place)
            yield field, number
        elif kind == _DOUBLE:
            yield field, struct.unpack_from("<d", message, place)[0]
            place += 8
        elif kind == _BYTES:
            length, place = _varint(message, place)
            yield field, message[place : place + length]
            place += length
        elif kind == _FLOAT:
            place += 4
        else:
            raise ValueError(f"a field of the unknown kind {kind}")


def _varint(message: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[place]
        place += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, place
