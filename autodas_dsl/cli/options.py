"""Options that several commands share, and the text of several PROXY and FILE arguments."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from autodas_dsl.execution.jobs import MOST, RAY
from autodas_dsl.report.loudness import say_less, say_more
from autodas_dsl.training.losses import LOSSES

if TYPE_CHECKING:
    from autodas_dsl.execution.jobs import Executor
FORMATS = ("table", "csv", "json")
EXTENSIONS = "autodas-dsl.extensions"
"""Under which the context keeps the files of ``--with``."""

CONFIG = "autodas-dsl.config"
"""Under which the context keeps the path of the file of defaults that is read."""

_LOGGER = logging.getLogger(__name__)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def together(*parts: Decorator) -> Decorator:
    """Several options as one, in the order of the help."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for part in reversed(parts):
            command = part(command)
        return command

    return decorate


def listed(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated list; a comma inside brackets belongs to its part."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "([") - (char in ")]")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return tuple(part.strip() for part in parts if part.strip())


def without_extensions(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without ``--with FILE``, which may stand anywhere, and the files."""
    rest: list[str] = []
    files: list[str] = []
    words = iter(args)
    for word in words:
        name, equals, value = word.partition("=")
        if word == "--":
            return [*rest, word, *words], files
        if name != "--with":
            rest.append(word)
            continue
        file = value if equals else next(words, "")
        if not file:
            raise click.UsageError("--with needs a Python file")
        files.append(file)
    return rest, files


class NameType(click.ParamType):
    """An argument that is one of some names or a file; completes the names, else files.

    Parameters
    ----------
    name : str
        What the argument is.
    names : callable
        The names, looked up when the shell asks.
    """

    def __init__(self, name: str, names: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self.names = names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        found = [CompletionItem(n) for n in self.names() if n.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


_PROTECTED = "\0"
"""Stands before a formula that begins with a minus; no word of a command line can hold it."""
_OPERATOR = "*/+-^@⊙·×²³⁴−"
_CALL = re.compile(r"[A-Za-zσ∑][\w]*[(\[]|(grad|hess)[ \[]|[|‖(√∂\[\d.]|\s")
_WORD = re.compile(rf"([A-Za-z]\w*)(?=[\s{re.escape(_OPERATOR)}]|\Z)")


class ProxyType(NameType):
    """A PROXY: a file, a library name or an expression; completes library names and files."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:  # fmt: skip
        spec = str(value).removeprefix(_PROTECTED)
        _say_which(spec)
        return spec


def _say_which(spec: str) -> None:
    """Say that a name is the library's where a file of the user's goes by it, too."""
    from autodas_dsl.language.library import exists, library_files

    file = f"{spec}.proxy"
    if spec in library_files() and exists(file) and not library_files()[spec].samefile(file):
        click.echo(f"note: `{spec}` is the library's; the file is {file}", err=True)


def _library() -> Iterable[str]:
    from autodas_dsl.language.library import library_names

    return library_names()


def _tables() -> Iterable[str]:
    from autodas_dsl.tables import builtin_tables

    return builtin_tables()


def _spaces() -> Iterable[str]:
    """The files that hold a space; to import them all would take seconds."""
    folder = files("autodas_dsl") / "spaces"
    held = (
        entry.name.removesuffix(".py").replace("_", "-")
        for entry in folder.iterdir()
        if entry.name.endswith(".py") and "\nSPACE = " in entry.read_text(encoding="utf-8")
    )
    return sorted(held)


PROXY = ProxyType("proxy", _library)
TABLE = NameType("table", _tables)
SPACE = NameType("space", _spaces)
LOSS = NameType("loss", lambda: LOSSES)


class FormulaCommand(click.Command):
    """A command whose PROXY arguments may begin with a minus, as formulas do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._protected(args))

    def _protected(self, args: list[str]) -> list[str]:
        """The words, formulas with a minus marked so that none is taken for an option."""
        given = [p for p in self.params if isinstance(p, click.Option)]
        valued = {name for p in given if not (p.is_flag or p.count) for name in p.opts}
        found: list[str] = []
        words = iter(args)
        for word in words:
            if word == "--":
                return [*found, word, *words]
            negative = word[:2] not in valued or not word.endswith(".proxy")
            if negative and _is_negative(word, attached=word[:2] in valued):
                word = _PROTECTED + word
            found.append(word)
            if word in valued:
                found.extend(itertools.islice(words, 1))
        return found


def _is_negative(word: str, attached: bool) -> bool:
    """Whether a word is a formula that begins with a minus, rather than a mistyped option.

    Parameters
    ----------
    word : str
    attached : bool
        It begins as an option that takes the rest of the word as its value.
    """
    if not word.startswith("-") or word == "-":
        return False
    rest = word.lstrip("-")
    if _CALL.match(rest):
        return True
    name = _WORD.match(rest)
    if name is None or word.startswith("--"):
        return False
    if not attached and name.end() < len(rest):
        return True
    from autodas_dsl.language.inputs import INPUTS
    from autodas_dsl.language.library import library_files

    return name.group(1) in INPUTS or name.group(1) in library_files()


extensions = click.option(
    "--with", multiple=True, expose_value=False, metavar="FILE.py",
    help="Operators, statistics, proposers of your own; may be repeated.",
)  # fmt: skip
"""``--with``, for the help of a command: the group loads the files, wherever they stand."""


def say_defaults(ctx: click.Context) -> None:
    """Log which file says the defaults of options, once it is known."""
    if CONFIG in ctx.meta:
        _LOGGER.info("defaults of options are those of %s", ctx.meta[CONFIG])


def _speak(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """Say less or more from here on, wherever on the command line it was asked for."""
    asked = value and "autodas-dsl.loudness" not in ctx.meta
    if value and ctx.meta.setdefault("autodas-dsl.loudness", param.name) != param.name:
        raise click.UsageError("--quiet and --verbose exclude each other", ctx)
    if asked and param.name == "quiet":
        say_less()
    elif asked:
        say_more()
        say_defaults(ctx)


LOUDNESS = tuple(
    click.Option(words, is_flag=True, expose_value=False, callback=_speak, help=text)
    for words, text in (
        (("-q", "--quiet"), "Only the result, and errors: no notes, no progress."),
        (("-v", "--verbose"), "Say what is collected, what was stored, and when."),
    )
)
"""Options of the program and of each of its commands."""


def with_loudness(command: click.Command) -> click.Command:
    """The command, which takes ``LOUDNESS`` from now on, as those below it do."""
    if LOUDNESS[0] not in command.params:
        command.params += LOUDNESS
        for below in getattr(command, "commands", {}).values():
            with_loudness(below)
    return command


def proxies(required: bool = True) -> Decorator:
    return click.option(
        "-p", "--proxy", "specs", multiple=True, required=required, type=PROXY, metavar="PROXY",
        help="A .proxy file, a library name or an expression in quotes; may be repeated.",
    )  # fmt: skip


output_format = click.option(
    "--format", "format", type=click.Choice(FORMATS), default="table", show_default=True,
    help="How results are printed on standard output.",
)  # fmt: skip
force = click.option("--force", is_flag=True, help="Replace a file that exists.")


seed = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True,
    help="Chooses random weights, samples and noise.",
)  # fmt: skip


device = click.option(
    "--device", default="cpu", show_default=True, metavar="NAME",
    help="Where everything is computed: cpu, cuda, cuda:1, mps.",
)  # fmt: skip


dtype = click.option(
    "--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True,
    help="Precision of the passes and of the formulas.",
)  # fmt: skip


def data(default_text: str = "by default what the space is usually scored on") -> Decorator:
    return click.option(
        "--data", "data_spec", metavar="SOURCE",
        help="FILE.npz (x, y), a folder of images per class, digits, noise or torchvision:NAME; "
        f"{default_text}.",
    )  # fmt: skip


def _shape(value: Any) -> tuple[int, ...]:
    """The shape of one input, such as 3x32x32."""
    if isinstance(value, tuple):
        return value
    if not re.fullmatch(r"[1-9][0-9]{0,5}(x[1-9][0-9]{0,5})*", value):
        raise click.BadParameter(f"{value!r} is no shape such as 3x32x32 (channels, height, width)")
    return tuple(map(int, value.split("x")))


input_shape = click.option(
    "--input-shape", type=_shape, metavar="CxHxW",
    help="Shape of one input, 3x32x32.  [default: what MODEL says]",
)  # fmt: skip


def _workers(value: Any) -> int | str:
    """How many processes work, or that a Ray cluster does."""
    if value == RAY:
        return RAY
    text = str(value)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST):
        raise click.BadParameter(f"{text!r} is neither a number from 1 to {MOST} nor {RAY}")
    return int(text)


workers = together(
    click.option(
        "--workers", type=_workers, default=1, show_default=True, metavar="N|ray",
        help="Processes, each with one thread, or the Ray cluster that this machine is part of; "
        "results do not depend on it.",
    ),
    click.option(
        "--ray", "ray", metavar="HOST:PORT",
        help="Work on this Ray cluster.  [default: RAY_ADDRESS, with --workers ray]",
    ),
)  # fmt: skip


def executor(workers: int | str, ray: str | None) -> Executor:
    """Who works: as many processes, or a Ray cluster."""
    from autodas_dsl.execution.executors import executor_of

    if ray is not None and workers not in (1, RAY):
        raise click.UsageError("--ray works on a cluster: leave --workers out")
    return executor_of(workers if ray is None else RAY, address=ray)


def classes(default_text: str) -> Decorator:
    return click.option(
        "--classes", type=click.IntRange(1), metavar="N",
        help=f"Classes of the networks.  [default: {default_text}]",
    )  # fmt: skip


batch_size = click.option(
    "--batch-size", type=click.IntRange(1), metavar="N",
    help="Samples in the batch.  [default: 64, or all when there are fewer]",
)  # fmt: skip


def teacher(required: bool = False) -> Decorator:
    return click.option(
        "--teacher", metavar="MODEL", required=required,
        help="The teacher network, written as MODEL is.",
    )  # fmt: skip


teacher_weights = click.option(
    "--teacher-weights", metavar="FILE", help="Trained weights: safetensors or a torch file."
)


teacher_size = click.option(
    "--teacher-size", type=click.IntRange(1), metavar="N",
    help="Height and width to which the teacher's input is resized.",
)  # fmt: skip
taught = together(teacher(), teacher_weights, teacher_size)


space = click.option(
    "--space", type=SPACE, metavar="NAME|FILE.py",
    help="The space of the architectures, where the table does not say; FILE.py needs build(arch).",
)  # fmt: skip
