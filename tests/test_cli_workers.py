"""``--workers`` and ``--ray`` of the commands that take them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from commands import refused, run

SPACE = Path(__file__).with_name("tiny_space.py")
COMMANDS = (
    ("evolve",),
    ("rank", "digits-resnet", "-p", "params"),
    ("search", "digits-resnet", "-p", "params"),
    ("table", "build", "digits-resnet"),
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("workers", ["0", "-1", "257", "many", "1.5", "²"])
def test_what_is_no_number_of_workers(command: tuple[str, ...], workers: str) -> None:
    found = run(*command, "--workers", workers)
    assert found.exit_code == 2
    assert f"'{workers}' is neither a number from 1 to 256 nor ray" in found.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_workers_on_a_cluster(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "leave --workers out" in run(*command, "--workers", 2, "--ray", "host:1").stderr
    monkeypatch.setitem(sys.modules, "ray", None)
    refused(run(*command, "--workers", "ray"), "E782", 'pip install "autodas-dsl[ray]"')
    refused(run(*command, "--ray", "host:1"), "E782")
    assert list(tmp_path.iterdir()) == []


def test_rank_and_search_print_the_same_with_more_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "tiny.csv"
    table.write_text("arch,kd\n" + "".join(f"{n}-{n % 3 + 1},0.{n}\n" for n in range(1, 8)))
    drawn = ("--data", "noise", "--batch-size", 4, "--format", "json")
    printed: list[list[str]] = []
    for workers in (1, 2):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache-{workers}"))
        given = ("-p", "snip", *drawn, "--workers", workers)
        found = [
            run("rank", table, "--space", SPACE, *given),
            run("search", SPACE, "--max-params", 60, *given),
        ]
        assert [one.exit_code for one in found] == [0, 0], [one.stderr for one in found]
        printed.append([one.stdout for one in found])
    assert printed[0] == printed[1]
    assert '"score": ' in printed[0][1]
