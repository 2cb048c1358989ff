"""The example of a space of one's own: every command of its page, with tiny settings."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from commands import run

from autodas_dsl import spaces
from autodas_dsl.tables import load_table
from autodas_dsl.tables.read import builtin_folder

EXAMPLE = Path(__file__).parent.parent / "examples" / "own_space"

TINY = {
    "table": ("--sample", "10", "--seeds", "2,0", "--steps", "2"),
    "rank": ("--batch-size", "4"),
    "evolve": ("--iterations", "20", "--inputs", "W", "--null-repeats", "0", "--batch-size", "4"),
    "search": ("--budget", "6", "--batch-size", "4"),
    "distill": ("--steps", "4", "--samples", "40"),
}


def test_the_whole_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLE / "convnets.py", tmp_path)
    shutil.copy(builtin_folder() / "digits-teacher.safetensors", tmp_path)
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    done = []
    for line in re.findall(r"^    autodas-dsl (.+)", page, re.MULTILINE):
        words = shlex.split(line)
        result = run(*words, *TINY[words[0]])
        assert result.exit_code == 0, (line, result.stderr, result.exception)
        done.append(words[0])
    assert done == list(TINY)
    assert len(load_table("table.csv", "convnets.py")) == 10
    assert (tmp_path / "trained.safetensors").is_file()


def test_its_space_has_as_many_networks_as_the_page_says() -> None:
    assert spaces.load(EXAMPLE / "convnets.py").count() == 1024
