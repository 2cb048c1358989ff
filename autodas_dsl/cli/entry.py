"""The program `autodas-dsl`: its commands, loaded when named, and its exit status."""

from __future__ import annotations

import codecs
import importlib
import io
import logging
import os
import sys
from pathlib import Path
from typing import Any

import click

from autodas_dsl import __version__
from autodas_dsl.cli.config import defaults, find_config
from autodas_dsl.cli.options import (
    CONFIG,
    EXTENSIONS,
    say_defaults,
    with_loudness,
    without_extensions,
)
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.extend import load_extension, load_installed
from autodas_dsl.report.loudness import usual_loudness

COMMANDS = ("score", "rank", "evolve", "search", "distill", "train", "table", "show", "latex", "simplify",
            "compile", "check", "fmt", "ops", "explain", "report", "lsp")  # fmt: skip
"""The commands, each a module of this package, in the order of the help."""

_LOGGER = logging.getLogger(__name__)

WRONG_INPUT = 1
INTERRUPTED = 130
BROKEN_PIPE = 141

_EPILOG = """\b
Examples:
  autodas-dsl score examples/resnet20.py examples/resnet56.py -p snip
  autodas-dsl check "KL(sigmoid(F_s), sigmoid(F_t))"
  autodas-dsl show --list

\b
Shell completion, here for bash (zsh and fish likewise):
  eval "$(_AUTODAS_DSL_COMPLETE=bash_source autodas-dsl)"

Exit status: 0 done, 1 the input is wrong, 2 the command line is wrong, 130 interrupted."""


class LazyGroup(click.Group):
    """Commands are imported when they are named, and everything wrong ends here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"autodas_dsl.cli.{cmd_name}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"autodas_dsl.cli.{cmd_name} defines no command")
        return with_loudness(command)

    def main(self, *args: Any, **extra: Any) -> Any:
        with usual_loudness():
            return super().main(*args, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest, ctx.meta[EXTENSIONS] = without_extensions(args)
        return super().parse_args(ctx, rest)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            load_installed()
            for path in ctx.meta[EXTENSIONS]:
                load_extension(path)
            result = super().invoke(ctx)
            sys.stdout.flush()
            _LOGGER.info("done")
        except InputError as error:
            click.echo(error.render(), err=True)
            ctx.exit(WRONG_INPUT)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(BROKEN_PIPE)
        except OSError as error:
            click.echo(_system_error(error).render(), err=True)
            ctx.exit(WRONG_INPUT)
        return result


def _system_error(error: OSError) -> InputError:
    """A full disk or a missing permission, where no command knows better."""
    where = f"{error.filename}: " if error.filename else ""
    return InputError("E690", f"{where}{error.strerror or error}")


@click.group(
    "autodas-dsl",
    cls=LazyGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "--version", message="%(prog)s %(version)s")
@click.option("--with", "files", multiple=True, expose_value=False, metavar="FILE.py",
              help="Operators, statistics, proposers of your own; may stand anywhere.")  # fmt: skip
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.toml",
    help="Defaults of options.  [default: the nearest autodas.toml or pyproject.toml above]",
)
@click.pass_context
def cli(ctx: click.Context, path: Path | None) -> None:
    """Write, check, score, evolve and print formulas that rank student networks."""
    found = find_config(path)
    if found is not None and isinstance(ctx.command, click.Group):
        ctx.meta[CONFIG] = found.path
        say_defaults(ctx)
        ctx.default_map = defaults(found, ctx.command, ctx)


with_loudness(cli)


def _open_closed_streams() -> None:
    """A stream that the caller closed reads as empty and writes to nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def _print_any_character() -> None:
    """Make the streams take every character: UTF-8 where they know ASCII only, as click does."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if ascii_only else None, errors="replace")


def main() -> None:
    """The console script."""
    _open_closed_streams()
    _print_any_character()
    cli.main(prog_name="autodas-dsl")
