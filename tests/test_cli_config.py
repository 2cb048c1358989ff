"""Defaults of options in a file: autodas.toml, pyproject.toml, --config."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import pytest
from commands import refused, run

from autodas_dsl.cli import evolve
from autodas_dsl.cli.entry import cli
from autodas_dsl.cli.options import EXTENSIONS
from autodas_dsl.cli.remembered import words_of

TWO = '[check]\nformat = "json"\n[table.build]\nsteps = 3\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    return tmp_path


def wrote(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def is_json(*words: str) -> bool:
    printed = run(*words, "check", "params").stdout
    return printed.startswith("[") and json.loads(printed) == []


def test_the_nearest_file_above_says_what_options_are(folder: Path) -> None:
    assert not is_json()
    wrote(folder / "pyproject.toml", '[tool.autodas-dsl.check]\nformat = "json"\n')
    assert is_json()
    wrote(folder / "autodas.toml", '[check]\nformat = "text"\n')
    assert not is_json()
    wrote(folder / "in" / "pyproject.toml", '[project]\nname = "x"\n')  # says nothing to us
    assert not is_json()
    wrote(folder / "in" / "autodas.toml", TWO)
    assert is_json()
    assert run("check", "params", "--format", "text").stdout.startswith("params: ok\n")


def test_config_names_the_file(folder: Path) -> None:
    wrote(folder / "autodas.toml", '[check]\nformat = "text"\n')
    assert is_json("--config", str(wrote(folder / "mine.toml", TWO)))
    refused(run("--config", "none.toml", "check", "params"), "E664", "none.toml")


def test_a_byte_order_mark_is_no_mistake_and_other_bytes_are(folder: Path) -> None:
    (folder / "autodas.toml").write_bytes(b"\xef\xbb\xbf[check]\r\nformat = 'json'\r\n")
    assert is_json()
    (folder / "autodas.toml").write_bytes(b"[check]\n# \xe9\n")
    refused(run("check", "params"), "E664", "autodas.toml is no TOML: it is not UTF-8")


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be deleted there")
def test_a_working_folder_that_was_deleted(folder: Path) -> None:
    (folder / "in").rmdir()
    refused(run("check", "params"), "E669", "the working folder is not there")


def test_options_of_every_kind(folder: Path) -> None:
    file = wrote(
        folder / "autodas.toml",
        '[show]\nlist = true\n[score]\nproxy = ["params", "flops"]\nseed = 3\n',
    )
    assert run("show").stdout.startswith("parameter-level\n")
    assert file.is_file()
    scored = json.loads(
        run("score", "digits-resnet:depth=1-1-1,width=8-8-8", "--format", "json").stdout
    )
    assert [row["proxy"] for row in scored] == ["params", "flops"]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("[check\n", "E664", ("autodas.toml is no TOML",)),
        ("[chek]\nformat = 1\n", "E665", ("autodas.toml:1: there is no command `chek`", "`check`")),
        ("\n[check]\nfix = true\nformt = 1\n", "E665",
         ("autodas.toml:4: `check` has no option `formt`", "`format`")),
        ("format = 'json'\n", "E665", ("autodas.toml:1: there is no command `format`",)),
        ("check = 3\n", "E666", ("autodas.toml:1: `check` is a command",)),
        ("[check]\nformat = 'xml'\n", "E666", ("autodas.toml:2: format: 'xml' is not one of",)),
        ("[check]\nfix = 'yes'\n", "E666", ("autodas.toml:2: fix: 'yes' is not what it takes",)),
        ("[check]\nformat = {a = 1}\n", "E666", ("autodas.toml:2: format",)),
        ("[check]\nformat = ['json']\n", "E666", ("autodas.toml:2: format",)),
        ("[check]\nwith = ['a.py']\n", "E667", ("autodas.toml:2: --with",)),
        ("[check]\nquiet = true\n", "E667", ("autodas.toml:2: --quiet",)),
    ],
)  # fmt: skip
def test_what_a_file_cannot_say(folder: Path, text: str, code: str, words: tuple[str, ...]) -> None:
    wrote(folder / "autodas.toml", text)
    refused(run("check", "params"), code, *words)


def test_values_are_checked_of_the_command_that_is_called(folder: Path) -> None:
    wrote(folder / "autodas.toml", "[table.build]\nsteps = 0\n")
    assert run("check", "params").exit_code == 0
    refused(run("table", "info", "digits-resnet"), "E666", "autodas.toml:2: steps: 0 is not in")
    wrote(folder / "autodas.toml", "[table.bild]\nsteps = 1\n")
    refused(run("table", "info", "digits-resnet"), "E665", "no command `table bild`", "`build`")


def test_a_pyproject_is_told_with_its_lines(folder: Path) -> None:
    wrote(folder / "pyproject.toml", "[project]\nx = 1\n[tool.autodas-dsl.check]\nx = 1\n")
    refused(run("check", "params"), "E665", "pyproject.toml:4: `check` has no option `x`")
    wrote(folder / "pyproject.toml", "[tool]\nautodas-dsl = 1\n")
    refused(run("check", "params"), "E664", "tool.autodas-dsl is no table")


def test_a_file_that_was_found_runs_no_code_and_replaces_nothing(folder: Path) -> None:
    text = '[score]\nteacher = "evil.py:Net(1)"\n'
    wrote(folder / "evil.py", "open('ran', 'w')\n")
    file = wrote(folder / "autodas.toml", text)
    refused(run("score", "digits-resnet:depth=1-1-1,width=8-8-8", "-p", "params"), "E667")
    named = run("--config", file, "score", "digits-resnet:depth=1-1-1,width=8-8-8", "-p", "params")
    assert "E667" not in named.stderr
    wrote(folder / "autodas.toml", "[report]\nforce = true\n")
    refused(run("report", "run"), "E667", "--force stands on the command line")
    assert not (folder / "in" / "ran").exists()


def test_a_recipe_says_more_than_a_file_of_defaults(folder: Path) -> None:
    (folder / "in" / "recipe.toml").write_text("epochs = 2\n")
    command = cli.get_command(click.Context(cli), "train")
    assert command is not None
    parent = click.Context(cli, default_map={"train": {"epochs": "5", "seed": "4"}})
    words = ["net.py", "--data", "digits", "--recipe", "recipe.toml"]
    given = command.make_context("train", words, parent=parent).params
    assert (given["epochs"], given["seed"]) == (2, 4)


def test_a_run_remembers_what_a_file_of_defaults_said() -> None:
    parent = click.Context(cli, default_map={"evolve": {"population": "7"}})
    parent.meta[EXTENSIONS] = []
    ctx = evolve.command.make_context("evolve", ["digits-resnet"], parent=parent)
    assert words_of(ctx, ctx.params) == [
        "autodas-dsl", "evolve", "digits-resnet", "--population", "7",
    ]  # fmt: skip
