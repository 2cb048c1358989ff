"""README.md prints what its commands print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from autodas_dsl.cli.entry import cli

ROOT = Path(__file__).resolve().parent.parent
SHOWN = re.findall(
    r"^```\n\$ autodas-dsl ([^\n]*)\n(.*?)^```$",
    (ROOT / "README.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)
SLOW = ("evolve", "search", "rank")
"""Commands that train, search or score for longer than a test may take."""

QUICK = [(line, text) for line, text in SHOWN if shlex.split(line)[0] not in SLOW]
NUMBER = re.compile(r"[+-]?\d+\.\d+")


def test_the_tour_shows_commands() -> None:
    assert {"score", "check", "compile", "show"} <= {shlex.split(line)[0] for line, _ in QUICK}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the tour stands after `evolve`: the examples, and the formula it printed."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    grown = dict(SHOWN)["evolve"]
    run = re.search(r"the run is in (\S+)", grown)
    assert run
    folder = tmp_path / run[1]
    folder.mkdir(parents=True)
    formula = grown.split("\n")[1]
    (folder / "best.proxy").write_text(f"proxy/1 best\n\nscore = {formula}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize(("line", "text"), QUICK, ids=[line for line, _ in QUICK])
def test_a_command_prints_what_is_shown(line: str, text: str) -> None:
    done = CliRunner().invoke(cli, shlex.split(line))
    printed = done.output if done.exit_code else done.stdout
    assert NUMBER.sub("0", printed).split() == NUMBER.sub("0", text).split()
    found = [float(number) for number in NUMBER.findall(printed)]
    assert found == pytest.approx([float(number) for number in NUMBER.findall(text)], rel=1e-3)
