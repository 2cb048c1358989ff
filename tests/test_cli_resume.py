"""A run on the command line: interrupted, killed, resumed by its folder alone, made longer."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import pytest
from children import forked
from commands import refused, run

from autodas_dsl.cli.entry import cli
from autodas_dsl.evolution.config import Config
from autodas_dsl.evolution.session import search
from autodas_dsl.report.live import STOPPING
from autodas_dsl.scoring.setting import Data

REPOSITORY = Path(__file__).resolve().parent.parent
TINY = ("--population", "4", "--elite", "2", "--batch-size", "2", "--inputs", "W, E_s",
        "--split", "6/6", "--null-repeats", "1")  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    """Everything a run leaves but the journal, whose lines have no order, and the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("journal.txt", ".lock")
    }


def started(child: subprocess.Popen[str], folder: Path) -> subprocess.Popen[str]:
    """A process that runs ``evolve``, at the moment when it evaluates formulas."""
    deadline = time.monotonic() + 120
    while not (folder / "journal.txt").exists() and time.monotonic() < deadline:
        assert child.poll() is None, child.stderr and child.stderr.read()
        time.sleep(0.02)
    return child


def evolving(folder: Path, *words: str) -> list[str]:
    return ["evolve", *TINY, "--run", str(folder), *words]


def program(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The program in a process group of its own."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    child = subprocess.Popen(
        [sys.executable, "-m", "autodas_dsl", *evolving(folder, *words)],
        env={**os.environ, "PYTHONPATH": path}, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # whoever started the tests in the background may have had it ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    return started(child, folder)


def command(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The same command without the start-up of the program, and without plots."""

    def evolve() -> None:
        with patch("autodas_dsl.report.pictures.Process"):
            cli(evolving(folder, *words))

    return started(forked(evolve), folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    result = run("evolve", *TINY, "--iterations", 8, "--run", folder)
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("half") / "run"
    # written otherwise, it is the same search
    result = run("evolve", "--iterations", 3, *reversed_pairs(TINY), "--run", folder)
    assert result.exit_code == 0, result.stderr
    return folder


def reversed_pairs(words: tuple[str, ...]) -> list[str]:
    pairs = [words[i : i + 2] for i in range(0, len(words), 2)]
    return [word for pair in reversed(pairs) for word in pair]


def test_the_first_ctrl_c_is_answered_and_ends_the_run_cleanly(tmp_path: Path) -> None:
    child = program(tmp_path / "run", "--iterations", "1000000", "--workers", "2")
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does it: it goes to the workers too
    out, err = child.communicate(timeout=120)
    assert child.returncode == 130, err
    assert err.splitlines()[0] == STOPPING
    assert "Traceback" not in err
    last = out.splitlines()[-1]
    assert last.startswith("cut short by Ctrl-C after generation ")
    assert last.endswith(f"evolve --resume {tmp_path / 'run'}")
    assert {"best.proxy", "scores.csv", "command.txt", "plots/pareto.svg"} <= set(
        files(tmp_path / "run")
    )


def test_the_second_ctrl_c_stops_now(tmp_path: Path) -> None:
    child = command(tmp_path / "run", "--iterations", "1000000")
    child.send_signal(signal.SIGINT)
    assert child.stderr is not None
    assert child.stderr.readline() == f"{STOPPING}\n"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert (child.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err


def test_a_killed_run_is_resumed_by_its_folder_alone(whole: Path, tmp_path: Path) -> None:
    child = command(tmp_path / "run", "--iterations", "8")
    child.kill()
    child.communicate()
    assert {"run.json", "command.txt"} <= set(files(tmp_path / "run"))
    result = run("evolve", "--resume", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert files(tmp_path / "run") == files(whole)


def test_a_finished_run_is_extended_to_the_bytes_of_a_longer_one(
    whole: Path, half: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(half, folder)
    (folder / "simplified.proxy").write_text("of the shorter run")
    result = run("evolve", "--resume", folder, "--iterations", 8)
    assert result.exit_code == 0, result.stderr
    assert files(folder) == files(whole)
    refused(run("evolve", "--resume", folder, "--iterations", 3), "E603",
            "--iterations was 8, is 3", "only --iterations may grow")  # fmt: skip
    assert files(folder) == files(whole)


@pytest.mark.usefixtures("plain_runs")
def test_what_was_measured_about_another_best_formula_goes(half: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(half, folder)
    (folder / "sensitivity.csv").write_text("kept while the formula stays")
    assert run("evolve", "--resume", folder).exit_code == 0
    assert (folder / "sensitivity.csv").exists()
    (folder / "best.proxy").write_text("another")
    result = run("evolve", "--resume", folder)
    assert not (folder / "sensitivity.csv").exists()
    assert "measure again" in result.stderr


@pytest.mark.usefixtures("plain_runs")
def test_other_options_are_refused_by_their_names(half: Path) -> None:
    before = files(half)
    said = refused(
        run("evolve", "digits-vit", "--resume", half, "--seed", 4, "--population", 5, "--inputs",
            "W", "--gradient-free", "--iterations", 9),
        "E603", "TABLE was not given, is digits-vit", "--seed was 0, is 4",
        "--population was 4, is 5", "--inputs was W,E_s, is W",
        "--gradient-free was False, is True",
    )  # fmt: skip
    assert "--iterations" not in said.partition("= help")[0]
    assert files(half) == before
    same = run("evolve", "--resume", half, "--population", 4, "--seed", 0, "--workers", 1,
               "--max-time", 600, "--format", "json")  # fmt: skip
    assert same.exit_code == 0, same.stderr
    assert files(half) == before


def test_what_is_no_run_is_not_resumed(half: Path, tmp_path: Path) -> None:
    refused(run("evolve", "--resume", tmp_path / "none"), "E602", "none")
    assert not (tmp_path / "none").exists()
    refused(run("evolve", "--resume", tmp_path), "E602")
    assert list(tmp_path.iterdir()) == []
    result = run("evolve", "--resume", half, "--run", tmp_path / "a")
    assert (result.exit_code, "leave --run out" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "text", ["autodas-dsl rank digits-resnet", "autodas-dsl evolve 'open", "autodas-dsl evolve --no",
             "autodas-dsl evolve --population x", "", b"\xff"],
    ids=str,
)  # fmt: skip
def test_a_damaged_command_is_refused(text: str | bytes, half: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(half, folder)
    (folder / "command.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(run("evolve", "--resume", folder), "E606", "command.txt")


@pytest.mark.usefixtures("plain_runs")
def test_extensions_are_remembered(
    half: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr("autodas_dsl.language.extend.load_extension", loaded.append)
    folder = tmp_path / "run"
    shutil.copytree(half, folder)
    command = (folder / "command.txt").read_text().strip() + " --with 'my own.py'\n"
    (folder / "command.txt").write_text(command)
    result = run("evolve", "--resume", folder)
    assert result.exit_code == 0, result.stderr
    assert loaded == ["my own.py"]
    assert (folder / "command.txt").read_text() == command


@pytest.mark.usefixtures("plain_runs")
def test_a_run_that_python_started_is_resumed_with_its_options(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    config = Config(
        population=4, elite=2, iterations=1, inputs=("W",), data=(Data("digits", 2),), split="6/6",
        null_repeats=0,
    )  # fmt: skip
    search(config=config, folder=folder)
    refused(run("evolve", "--resume", folder), "E613", "name its table")
    words = ("--population", 4, "--elite", 2, "--iterations", 2, "--inputs", "W", "--split", "6/6",
             "--batch-size", 2, "--null-repeats", 0, "--data", "digits")  # fmt: skip
    result = run("evolve", "digits-resnet", *words, "--resume", folder)
    assert result.exit_code == 0, result.stderr
    assert run("evolve", "--resume", folder).stdout == result.stdout


def test_max_time_is_said_and_the_rest_follows(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run("evolve", *TINY, "--iterations", 8, "--max-time", 0, "--run", folder)
    assert result.exit_code == 0
    assert "cut short by --max-time after generation 0" in result.stdout
    assert run("evolve", "--resume", folder).exit_code == 0
    assert files(folder) == files(whole)
