"""Commands, run in the process of a test."""

from __future__ import annotations

from click.testing import CliRunner, Result

from autodas_dsl.cli.entry import cli


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def refused(result: Result, code: str, *words: str) -> str:
    """The one diagnostic of a command that stopped with status 1."""
    assert result.exit_code == 1, (result.stdout, result.stderr, result.exception)
    assert result.stdout == ""
    assert result.stderr.count("error[") == 1, result.stderr
    assert f"error[{code}]" in result.stderr, result.stderr
    for word in words:
        assert word in result.stderr, result.stderr
    return result.stderr
