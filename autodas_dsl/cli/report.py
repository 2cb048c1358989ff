"""``report``: one page about a run."""

from __future__ import annotations

from pathlib import Path

import click

from autodas_dsl.cli import options
from autodas_dsl.language.visible import visible

_EPILOG = """\b
Examples:
  autodas-dsl report runs/digits-resnet-1
  autodas-dsl report runs/long -o report.html --force"""


@click.command("report", epilog=_EPILOG)
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="The HTML file.  [default: RUN/report.html]")  # fmt: skip
@options.force
@options.extensions
def command(run: Path, out: Path | None, force: bool) -> None:
    """Write one self-contained page about a run.

    RUN is a folder that evolve wrote. The page needs no network.
    """
    from autodas_dsl.report.page import write_report

    written = out or run / "report.html"
    write_report(run, written, force)
    click.echo(visible(f"wrote {written}"), err=True)
