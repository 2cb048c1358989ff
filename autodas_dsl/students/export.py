"""A student in a folder: the Python file that builds it, its weights, and a card about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autodas_dsl import __version__, spaces
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import cannot_write, write_atomic
from autodas_dsl.language.format import format_expression
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.visible import visible
from autodas_dsl.models.spaces import FromSpace
from autodas_dsl.spaces.base import Space
from autodas_dsl.students.find import Student, Students
from autodas_dsl.training.checkpoint import write_weights

MODEL, WEIGHTS, CARD = "student.py", "student.safetensors", "card.md"

_MODEL = '''"""A student that was found without training, with the weights it was scored with."""

from pathlib import Path

from safetensors.torch import load_file

from autodas_dsl import spaces

HERE = Path(__file__).parent
input = {shape!r}
classes = {classes!r}


def build_model():
    family = {family}
    network = family.build(family.parse({architecture!r}), classes)
    network.load_state_dict(load_file(HERE / "{weights}"))
    return network
'''


def export(
    student: Student, found: Students, proxies: Sequence[Proxy], folder: Path, seed: int = 0
) -> None:
    """Write a student: `MODEL` is what ``distill`` and ``score`` take, `CARD` is for people.

    Parameters
    ----------
    student : Student
    found : Students
        The search it comes from.
    proxies : sequence of Proxy
        What it was scored with.
    folder : Path
        Made where there is none.
    seed : int
        Of the weights.

    Raises
    ------
    InputError
        E728 when no file could build it again, E517 when the folder cannot be written.
    """
    make = student.source.make
    if not isinstance(make, FromSpace) or not (
        make.space.file or make.space.name in spaces.names()
    ):
        raise InputError(
            "E728", f"no file could build {student.architecture} of {found.space} again",
            "put the networks into a space of your own: a Python file with build(arch)",
        )  # fmt: skip
    network = student.source.build(seed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    own = Path(make.space.file) if make.space.file else None
    if own is not None:
        write_atomic(folder / own.name, own.read_bytes())
    write_weights(folder / WEIGHTS, network)
    write_atomic(folder / CARD, _card(student, found, proxies, seed))
    write_atomic(folder / MODEL, _model(student, make.space, own))


def _model(student: Student, space: Space[str], own: Path | None) -> str:
    family = f"spaces.load(HERE / {own.name!r})" if own else f"spaces.get({space.name!r})"
    return _MODEL.format(
        family=family, shape=student.source.input_shape, classes=student.source.classes, weights=WEIGHTS,
        architecture=student.architecture,
    )  # fmt: skip


def _card(student: Student, found: Students, proxies: Sequence[Proxy], seed: int) -> str:
    place = f"rank {student.rank} of {found.scored} networks scored"
    facts = {
        "architecture": f"`{found.space}:{student.architecture}`",
        "score": f"{student.score:.6g}, {place}" if student.rank else f"none: {student.reason}",
        **{f"score of `{name}`": f"{value:.6g}" for name, value in student.scores.items()},
        "parameters": f"{student.params:,}",
        "multiply-adds of one sample": f"{student.flops:,}",
        **({"latency of one sample": str(student.latency)} if student.latency else {}),
        "weights": f"untrained, seed {seed}",
        "largest network under the limits": f"`{found.largest.architecture}`, "
        f"{found.largest.params:,} parameters",
        "made by": f"autodas-dsl {__version__}",
    }
    lines = [f"# {found.space}:{student.architecture}", ""]
    lines += [f"* {key}: {text}" for key, text in facts.items()]
    for one in proxies:
        defined = [*one.definitions, (one.name, one.expression)]
        lines += ["", *(f"    {name} = {format_expression(expr)}" for name, expr in defined)]
    lines.append("")
    lines += [f"* {note}" for note in found.notes]
    lines += ["", "Train it:", "", f"    autodas-dsl distill {MODEL} --teacher MODEL --data SOURCE"]
    return "\n".join(map(visible, lines)) + "\n"
