"""What a training run leaves: weights, the model file that loads them, its log and its curve."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from torch import nn

from autodas_dsl.language.files import write_atomic
from autodas_dsl.report.terminal import Row, to_json
from autodas_dsl.training.checkpoint import write_weights
from autodas_dsl.training.loop import Epoch

CHECKPOINT = "checkpoint.safetensors"
SUFFIXES = (".safetensors", ".py")
_PYTHON = re.compile(r"(.+?\.py)(:.+)?", re.DOTALL)

_MODEL = '''\
"""{about}; its weights are in {weights}."""

from pathlib import Path

from autodas_dsl.models.load import load_model
from autodas_dsl.models.weights import load_weights

HERE = Path(__file__).parent
input = {shape!r}
classes = {classes!r}


def build_model():
    model = load_model({text}, input_shape=input, classes=classes).build()
    load_weights(model, HERE / {weights!r})
    return model
'''


def write_model(
    network: nn.Module,
    path: Path,
    model: str,
    input_shape: Sequence[int],
    classes: int,
) -> None:
    """Write weights, and beside them the Python file that rebuilds the network with them.

    Parameters
    ----------
    network : Module
    path : Path
        A ``.safetensors`` file; the other has the suffix ``.py``.
    model : str
        MODEL as the command line has it; a file of the user's is found from where `path` is.
    input_shape : sequence of int
        Of one sample.
    classes : int

    Raises
    ------
    InputError
        E517, when they cannot be written.
    """
    write_weights(path, network)
    file = _PYTHON.fullmatch(model)
    text = repr(model)
    if file is not None:
        near = os.path.relpath(file[1], path.parent)
        text = f"str(HERE / {near!r})" + (f" + {file[2]!r}" if file[2] else "")
    code = _MODEL.format(
        about=f"The network {model}".replace("\\", "/").replace('"', "'"),
        weights=path.name,
        shape=tuple(input_shape),
        classes=classes,
        text=text,
    )
    write_atomic(path.with_suffix(".py"), code)


def write_run(
    folder: Path, log: Sequence[Epoch], row: Row, recipe: Mapping[str, object], title: str
) -> None:
    """Write ``log.csv``, ``curve.svg``, ``curve.png``, ``result.json`` and ``recipe.toml``.

    They hold no times: a run that was killed and resumed has the same.

    Raises
    ------
    InputError
        E517, when they cannot be written.
    """
    from autodas_dsl.report.plots import learning_curve, save

    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow([field.name for field in fields(Epoch)])
    for line in log:
        table.writerow(["" if v is None else repr(v) for v in asdict(line).values()])
    write_atomic(folder / "log.csv", out.getvalue())
    save(learning_curve(log, title=title), folder / "curve")
    write_atomic(folder / "result.json", to_json(row))
    lines = [
        f"{key.replace('_', '-')} = {to_json(value)}"
        for key, value in recipe.items()
        if value is not None
    ]
    write_atomic(folder / "recipe.toml", "".join(lines))
