"""The command line: options are parsed and results printed here, and nothing is computed."""

from autodas_dsl.cli.entry import main

__all__ = ["main"]
